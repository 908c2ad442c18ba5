import pytest
from tests.unit.store.given import house
from tests.unit.store.test_sweeping import NOW, keep, made

from spangate.exchange import Retention
from spangate.store import retention, schema, settings, sizes
from spangate.store.engine import Database
from spangate.store.retention import DAY, Kind


def measured(database: Database, now: int = NOW) -> sizes.Size:
    if database.dialect != "sqlite":  # what servers believe of their tables, they believe since they looked last
        words = {"postgresql": "ANALYZE", "mysql": f"ANALYZE TABLE {', '.join(schema.metadata.tables)}"}
        with database._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(words[database.dialect])
    with database.read() as connection:
        return sizes.measure(connection, now=now)


def test_of_an_empty_database(database: Database) -> None:
    size = measured(database)
    assert size.dialect == database.dialect
    assert size.bytes > 0
    assert {table.name for table in size.tables} >= set(schema.metadata.tables)
    assert [(part.kind, part.rows, part.oldest, part.newest, part.due_rows) for part in size.parts] == [
        (kind, 0, None, None, 0) for kind in Kind
    ]
    assert (size.calls_per_day, size.bytes_per_day) == (0.0, 0)


def test_says_how_much_of_what_and_since_when(database: Database) -> None:
    with database.write() as connection:
        brief = house(connection, "brief").endpoint.endpoint_id
    mades = [made(n, n * DAY // 10, brief if n % 2 else None, said=n % 3 > 0) for n in range(100)]
    keep(database, mades)
    size = measured(database)
    content, trace, ledger = size.parts
    assert (content.rows, trace.rows, ledger.rows) == (66, 100, 100)
    assert (trace.oldest, trace.newest) == (ledger.oldest, ledger.newest) == (NOW - 99 * DAY // 10, NOW)
    assert min(content.bytes, trace.bytes, ledger.bytes) > 0
    assert sum(table.bytes for table in size.tables) <= size.bytes
    search = {table.name: table for table in size.tables}.get(sizes.SEARCH)
    assert (search is not None and search.rows == 100 and search.bytes > 0) == (database.dialect == "sqlite")
    assert size.rows_estimated == (database.dialect != "sqlite")
    assert [part.due_rows for part in size.parts] == [0, 0, 0]
    with database.write() as connection:
        retention.update(connection, {"content_days": 5, "trace_days": 8})
        settings.update(connection, "brief", {"retention": Retention(content_days=1, trace_days=2)}, now=NOW)
    content, trace, ledger = measured(database).parts
    due = [sum(one.age > (own if n % 2 else server) * DAY for n, one in enumerate(mades)) for server, own in ((5, 1), (8, 2))]
    assert content.due_rows == sum(one.age > (1 if n % 2 else 5) * DAY for n, one in enumerate(mades) if n % 3 > 0)
    assert (trace.due_rows, ledger.due_rows) == (due[1], 0)
    assert 0 < trace.due_bytes < trace.bytes
    with database.write() as connection:
        settings.update(connection, "brief", {"retention": None}, now=NOW)
    assert measured(database).parts[1].due_rows == sum(one.age > 8 * DAY for one in mades)


def test_growth_is_the_mean_of_the_last_whole_days_also_of_calls_that_are_gone(database: Database) -> None:
    noon = NOW - NOW % DAY + DAY // 2
    keep(database, [made(n, NOW - noon + n * DAY // 4, None) for n in range(43)])  # four a day, the three of today left out
    assert measured(database, noon).calls_per_day == 4.0
    size = measured(database, noon)
    assert size.bytes_per_day > 0
    assert measured(database, noon - 8 * DAY).calls_per_day == 4.0  # the first day is the oldest that there is
    with database.write() as connection:
        connection.execute(schema.calls.delete().where(schema.calls.c.call_id > ""))
        connection.execute(schema.attempts.delete())
    size = measured(database, noon)
    assert (size.calls_per_day, size.bytes_per_day) == (4.0, 0)


def test_a_large_sqlite_file_is_estimated_and_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.dialect != "sqlite":
        return
    keep(database, [made(n, n, None) for n in range(300)])
    exact = measured(database)
    monkeypatch.setattr(sizes, "EXACT", 0)
    guess = measured(database)
    assert (exact.bytes_estimated, guess.bytes_estimated) == (False, True)
    measured_traces, guessed_traces = (next(t.bytes for t in size.tables if t.name == "traces") for size in (exact, guess))
    assert measured_traces / 3 < guessed_traces < measured_traces * 3


def test_the_whole_is_told_without_looking_at_its_parts(database: Database) -> None:
    with database.read() as connection:
        assert sizes.total(connection) > 100_000
        assert abs(sizes.total(connection) - sizes.measure(connection, now=NOW).bytes) < 1 << 20  # others write beside us
