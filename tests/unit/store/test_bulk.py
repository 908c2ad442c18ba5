import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from spangate.store import schema
from spangate.store.bulk import Rows
from spangate.store.engine import Database

TAGS = Rows(schema.trace_tags)


def kept(connection: sa.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(sa.select(schema.trace_tags).order_by(schema.trace_tags.c.trace_id))]


def test_rows_are_inserted_where_their_key_is_not_there(database: Database) -> None:
    with database.write() as connection:
        TAGS.insert(connection, [("tr-1", "k", "first")])
        TAGS.insert_absent(connection, [("tr-1", "k", "second"), ("tr-2", "k", "é%s?")])
        TAGS.insert_absent(connection, [])
        assert kept(connection) == [("tr-1", "k", "first"), ("tr-2", "k", "é%s?")]


def test_rows_may_be_made_as_they_are_inserted(database: Database) -> None:
    with database.write() as connection:
        TAGS.insert(connection, (("tr-1", "k", value) for value in ()))
        TAGS.insert(connection, ((f"tr-{number}", "k", "v") for number in range(3)))
        assert kept(connection) == [("tr-0", "k", "v"), ("tr-1", "k", "v"), ("tr-2", "k", "v")]


def test_postgresql_stores_rows_while_others_are_made(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("of COPY")

    def stored() -> int:
        query = sa.text("SELECT coalesce(max(tuples_processed), 0) FROM pg_stat_progress_copy WHERE datname = current_database()")
        with database.read() as connection:
            return connection.execute(query).scalar_one()

    def made() -> Iterator[tuple[Any, ...]]:
        for number in range(1_000):  # more than the driver sends at once
            yield f"tr-{number}", "k", "v" * 1_000
        patience = time.monotonic() + 30
        while stored() == 0:
            assert time.monotonic() < patience, "PostgreSQL was given no row before the last was made"
            time.sleep(0.01)

    with database.write() as connection:
        TAGS.insert(connection, made())
        assert len(kept(connection)) == 1_000


def test_of_rows_that_cannot_all_be_made_none_is_kept(database: Database) -> None:
    def made() -> Iterator[tuple[Any, ...]]:
        yield "tr-1", "k", "v"
        raise LookupError("no second one")

    with pytest.raises(LookupError, match="no second one"), database.write() as connection:
        TAGS.insert(connection, made())
    with database.read() as connection:
        assert kept(connection) == []


def test_rows_are_updated_by_their_keys(database: Database) -> None:
    with database.write() as connection:
        TAGS.insert(connection, [(f"tr-{number}", "k", "before") for number in range(3)])
        TAGS.update(connection, [("tr-0", "k", "after"), ("tr-2", "k", "after"), ("tr-9", "k", "after")])
        TAGS.update(connection, [])
        assert kept(connection) == [("tr-0", "k", "after"), ("tr-1", "k", "before"), ("tr-2", "k", "after")]


def test_only_the_columns_that_are_said_are_updated(database: Database) -> None:
    rows = Rows(schema.calibrations)
    before = {"provider": "p", "model": "m", "updated_at": 1} | {
        name: 5 for name in rows.columns if name not in ("provider", "model", "updated_at")
    }
    with database.write() as connection:
        rows.insert(connection, [rows.of(before)])
        rows.update(connection, [rows.of({**before, "samples": 6, "updated_at": 2})], ["samples"])
        row = connection.execute(sa.select(schema.calibrations)).mappings().one()
    assert dict(row) == {**before, "samples": 6}


class Recorded:
    """A connection to a server that is not here: what it is told."""

    dialect = mssql.dialect(paramstyle="qmark")

    def __init__(self) -> None:
        self.said: list[tuple[str, list[tuple[Any, ...]]]] = []

    def exec_driver_sql(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        self.said.append((statement, rows))


@pytest.fixture
def server() -> Any:
    return Recorded()


def test_sql_server_is_told_each_value_that_its_statement_has_a_mark_for(server: Any) -> None:
    TAGS.insert_absent(server, [("tr-1", "k", "v")])
    TAGS.update(server, [("tr-1", "k", "v")])
    assert server.said == [
        (
            "INSERT INTO trace_tags (trace_id, [key], value) SELECT ?, ?, ? WHERE NOT EXISTS "
            "(SELECT 1 FROM trace_tags WITH (UPDLOCK, HOLDLOCK) WHERE trace_id = ? AND [key] = ?)",
            [("tr-1", "k", "v", "tr-1", "k")],
        ),
        ("UPDATE trace_tags SET value = ? WHERE trace_id = ? AND [key] = ?", [("v", "tr-1", "k")]),
    ]
