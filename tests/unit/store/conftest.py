"""Each test of the store that takes `database` runs on SQLite and on PostgreSQL, on tables of its own."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from spangate.store.engine import Database
from spangate.store.schema import metadata

POSTGRES = os.environ.get("SPANGATE_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
DIALECTS = ("sqlite", "postgresql")


class Server:
    """A PostgreSQL server on which we may make databases, of names that no other run uses."""

    def __init__(self) -> None:
        self._url = make_url(POSTGRES)
        self._prefix = f"spangate_store_{uuid.uuid4().hex[:8]}"
        self._made = 0
        self._admin = psycopg.connect(
            host=self._url.host,
            port=self._url.port,
            user=self._url.username,
            password=self._url.password,
            dbname=self._url.database,
            autocommit=True,
        )
        self._shared: str | None = None

    def fresh(self) -> str:
        """The URL of an empty database."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        self._admin.execute(f'CREATE DATABASE "{name}"')
        return self._url.set(database=name).render_as_string(hide_password=False)

    def shared(self) -> str:
        """The URL of a database at the newest revision. Who takes it leaves it `cleaned`: making one a test costs ten times that."""
        if self._shared is None:
            self._shared = self.fresh()
            database = Database(self._shared)
            database.upgrade()
            database.close()
        return self._shared

    def drop(self, url: str) -> None:
        self._admin.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    def close(self) -> None:
        names = self._admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (self._prefix,)).fetchall()
        for (name,) in names:
            self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._admin.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    try:
        server = Server()
    except psycopg.OperationalError as fault:
        said = f"no PostgreSQL at {make_url(POSTGRES)!r} (set SPANGATE_TEST_POSTGRES): {fault}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    yield server
    server.close()


@pytest.fixture(scope="session")
def upgraded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "upgraded.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def open_database(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Opens an empty database, or with `url` one that is there."""
    opened: list[Database] = []
    made: list[str] = []
    server: Server | None = request.getfixturevalue("server") if dialect == "postgresql" else None

    def open_(url: str | None = None) -> Database:
        if url is None:
            url = server.fresh() if server is not None else f"sqlite:///{tmp_path}/{len(made)}.db"
            made.append(url)
        opened.append(Database(url))
        return opened[-1]

    yield open_
    for database in opened:
        database.close()
    if server is not None:
        for url in made:
            server.drop(url)


@pytest.fixture
def database(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database at the newest revision, with nothing in it but what it must have."""
    if dialect == "postgresql":
        server: Server = request.getfixturevalue("server")
        database = Database(server.shared())
        yield database
        cleaned(database)
    else:
        shutil.copy(request.getfixturevalue("upgraded_file"), tmp_path / "store.db")
        database = Database(f"sqlite:///{tmp_path}/store.db")
        yield database
    database.close()


def cleaned(database: Database) -> None:
    """As it was after the upgrade."""
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    database.upgrade()
