"""Each test of the store that takes `database` runs on SQLite, PostgreSQL and MariaDB, on tables of its own."""

import os
import shutil
import uuid
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy import URL, make_url
from sqlalchemy.dialects import mssql

from spangate.store.engine import Database
from spangate.store.schema import metadata

POSTGRES = os.environ.get("SPANGATE_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
MARIADB = os.environ.get("SPANGATE_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/")
DIALECTS = ("sqlite", "postgresql", "mariadb")


class Server(Protocol):
    """A database server on which we may make databases, of names that no other run uses."""

    url: URL

    def run(self, statement: str) -> list[str]:
        """What the first column says."""
        ...

    def databases(self, prefix: str) -> list[str]: ...

    def drop(self, name: str) -> None: ...

    def close(self) -> None: ...


class Postgres:
    def __init__(self) -> None:
        self.url = make_url(POSTGRES)
        self._admin = psycopg.connect(
            host=self.url.host,
            port=self.url.port,
            user=self.url.username,
            password=self.url.password,
            dbname=self.url.database,
            autocommit=True,
            connect_timeout=5,
        )

    def run(self, statement: str) -> list[str]:
        done = self._admin.execute(statement.encode())
        return [row[0] for row in done.fetchall()] if done.description else []

    def databases(self, prefix: str) -> list[str]:
        return self.run(f"SELECT datname FROM pg_database WHERE starts_with(datname, '{prefix}')")

    def drop(self, name: str) -> None:
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def close(self) -> None:
        self._admin.close()


class MariaDB:
    def __init__(self) -> None:
        self.url = make_url(MARIADB).set(drivername="mysql+pymysql")
        self._admin = pymysql.connect(
            host=self.url.host,
            port=self.url.port or 3306,
            user=self.url.username,
            password=self.url.password or "",
            autocommit=True,
            connect_timeout=5,
        )

    def run(self, statement: str) -> list[str]:
        with self._admin.cursor() as cursor:
            cursor.execute(statement)
            return [row[0] for row in cursor.fetchall()]

    def databases(self, prefix: str) -> list[str]:
        return [name for name in self.run("SHOW DATABASES") if name.startswith(prefix)]

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS `{name}`")

    def close(self) -> None:
        self._admin.close()


class Databases:
    """Those that this run made on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._prefix = f"spangate_store_{uuid.uuid4().hex[:8]}"
        self._made = 0
        self._shared: Database | None = None

    def fresh(self) -> str:
        """The URL of an empty database."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        self._server.run(f"CREATE DATABASE {name}")
        return self._server.url.set(database=name).render_as_string(hide_password=False)

    def shared(self) -> Database:
        """One at the newest revision. Who takes it leaves it `cleaned`: making one a test costs a hundred times that."""
        if self._shared is None:
            self._shared = Database(self.fresh(), durable=False)
            self._shared.upgrade()
        return self._shared

    def drop(self, url: str) -> None:
        self._server.drop(make_url(url).database or "")

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()
        for name in self._server.databases(self._prefix):
            self._server.drop(name)
        self._server.close()


def _databases(connect: Callable[[], Server], what: str, variable: str) -> Iterator[Databases]:
    try:
        server = connect()
    except (psycopg.OperationalError, pymysql.err.OperationalError) as fault:
        said = f"no {what} (set {variable}): {fault}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    databases = Databases(server)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    yield from _databases(Postgres, f"PostgreSQL at {make_url(POSTGRES)!r}", "SPANGATE_TEST_POSTGRES")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Databases]:
    yield from _databases(MariaDB, f"MariaDB at {make_url(MARIADB)!r}", "SPANGATE_TEST_MARIADB")


class File:
    """One SQLite database for the whole run, as servers have one: what is compiled for it once need not be again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"
        self._upgraded = folder / "upgraded.db"
        database = Database(f"sqlite:///{self._upgraded}")
        database.upgrade()
        database.close()
        self.database = Database(f"sqlite:///{self._path}", durable=False)
        _compile_for_sql_server(self.database)

    def anew(self) -> Database:
        """As it was after the upgrade."""
        self.database.close()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink()
        shutil.copy(self._upgraded, self._path)
        return self.database


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    file = File(tmp_path_factory.mktemp("store"))
    yield file
    file.database.close()


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def open_database(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Opens an empty database, or with `url` one that is there."""
    opened: list[Database] = []
    made: list[str] = []
    server: Databases | None = None if dialect == "sqlite" else request.getfixturevalue(dialect)

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
def database(dialect: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database at the newest revision, with nothing in it but what it must have."""
    if dialect == "sqlite":
        file: File = request.getfixturevalue("file")
        yield file.anew()
    else:
        server: Databases = request.getfixturevalue(dialect)
        yield server.shared()
        cleaned(server.shared())


_compiled: set[Hashable] = set()  # what was a statement to SQL Server once: SQLAlchemy's key of it stands for the same text


def _compile_for_sql_server(database: Database) -> None:
    """No SQL Server runs here; what every test of the store says to SQLite must at least be a statement to it too."""
    dialect = mssql.dialect()

    def compiled(_: object, statement: object, multiple: object, single: dict[str, object], __: object) -> None:
        if isinstance(statement, sa.ClauseElement) and not isinstance(statement, sa.schema.ExecutableDDLElement):
            some = multiple[0] if isinstance(multiple, list) and multiple else single
            names = list(some) if isinstance(some, dict) and some else None
            known = statement._generate_cache_key()
            key = None if known is None else (known.key, tuple(names or ()))
            if key in _compiled:
                return
            try:
                str(statement.compile(dialect=dialect, column_keys=names, compile_kwargs={"render_postcompile": True}))
            except sa.exc.CompileError as error:
                if "regular expressions" not in str(error):  # filters refuse RLIKE there, and say so
                    raise
            if key is not None:
                _compiled.add(key)

    for engine in (database._writer, database._reader):
        sa.event.listen(engine, "before_execute", compiled)


_HELD = sa.union_all(*(sa.select(sa.literal(table.name)).where(sa.exists().select_from(table)) for table in metadata.sorted_tables))


def cleaned(database: Database) -> None:
    """As it was after the upgrade."""
    with database.write() as connection:
        held = set(connection.execute(_HELD).scalars())
        for table in reversed(metadata.sorted_tables):
            if table.name in held:
                connection.execute(table.delete())
    database.upgrade()
