"""A database for one gateway: SQLite in its data folder, or one made on a PostgreSQL or MariaDB server and dropped after."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psycopg
import pymysql
import pytest
from sqlalchemy import make_url

POSTGRES = os.environ.get("SPANGATE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
MARIADB = os.environ.get("SPANGATE_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/")

# A test says `@on_all` where the third one is worth its seconds; the others run on the first two.
on_all = pytest.mark.parametrize("db", ["sqlite", "postgresql", "mariadb"], indirect=True)


@contextmanager
def database(kind: str) -> Iterator[str | None]:
    """The URL for --db; None for SQLite. `kind`: sqlite, postgresql or mariadb."""
    if kind == "sqlite":
        yield None
    else:
        with (_postgresql if kind == "postgresql" else _mariadb)(f"spangate_proof_{uuid.uuid4().hex[:12]}") as url:
            yield url


@contextmanager
def _postgresql(name: str) -> Iterator[str]:
    try:
        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        _missing(f"no PostgreSQL at SPANGATE_TEST_POSTGRES ({error})")
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
        try:
            yield POSTGRES.rpartition("/")[0] + "/" + name
        finally:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
    admin.close()


@contextmanager
def _mariadb(name: str) -> Iterator[str]:
    url = make_url(MARIADB)
    try:
        admin = pymysql.connect(
            host=url.host, port=url.port or 3306, user=url.username, password=url.password or "", autocommit=True, connect_timeout=3
        )
    except pymysql.err.OperationalError as error:
        _missing(f"no MariaDB at SPANGATE_TEST_MARIADB ({error})")
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{name}`")
        try:
            yield url.set(drivername="mariadb", database=name).render_as_string(hide_password=False)
        finally:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
    admin.close()


def _missing(said: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(said)
    pytest.skip(said)
