from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from tests.unit.store.test_sweeping import NOW, QUOTE, column, keep, left, made

from spangate.control import retention as control
from spangate.exchange import Content, ProcessPosition, Settled, TraceEntry, trace_id
from spangate.store import deletion, experiments, schema
from spangate.store.deletion import GONE, Criteria
from spangate.store.engine import Database
from spangate.store.retention import DAY
from spangate.store.writer import LedgerSink

SAID = "my secret plan, in words that are nowhere else: quixotic zephyr"


@pytest.fixture
def kept(database: Database) -> Database:
    """Calls 0 to 11, the even ones of ann (`e-1`) and the odd ones of bob; sessions s-0, s-1, s-2 in turn; number n is n days old."""
    with database.write() as connection:
        experiments.create(connection, name="other", now=NOW)
    mades = [made(n, n * DAY, "e-1" if n % 2 == 0 else None, failed=n in (2, 3)) for n in range(12)]
    mades[11] = msgspec.structs.replace(mades[11], exchange=msgspec.structs.replace(mades[11].exchange, experiment_id="1"))
    keep(database, mades)
    return database


def numbers(ids: Any) -> list[int]:
    return sorted(int(id_[-12:], 16) for id_ in ids)


def delete(database: Database, criteria: Criteria, **options: Any) -> tuple[int, bool]:
    return control.delete(database.read, database.write, criteria, **({"seconds": 60.0} | options), sleep=lambda seconds: None)


@pytest.mark.parametrize(
    ("criteria", "gone"),
    [
        (Criteria(user_id="ann"), {0, 2, 4, 6, 8, 10}),
        (Criteria(session_id="s-1"), {1, 4, 7, 10}),
        (Criteria(user_id="ann", session_id="s-1"), {4, 10}),
        (Criteria(before_ms=NOW - 9 * DAY), {10, 11}),
        (Criteria(before_ms=NOW - 9 * DAY + 1), {9, 10, 11}),
        (Criteria(experiment_ids=(1,)), {11}),
        (Criteria(experiment_ids=(0,), before_ms=NOW - 9 * DAY), {10}),
        (Criteria(experiment_ids=(0, 1), user_id="bob"), {1, 3, 5, 7, 9, 11}),
        (Criteria(experiment_ids=(7,)), set()),
        (Criteria(user_id="Ann"), set()),
        (Criteria(user_id="bob", endpoint_ids=frozenset({"e-1"})), set()),
        (Criteria(before_ms=NOW, endpoint_ids=frozenset({"e-1"})), {2, 4, 6, 8, 10}),
        (Criteria(experiment_ids=(0,), trace_ids=(made(3, 3 * DAY, None).trace_id, made(11, 11 * DAY, None).trace_id, "tr-none")), {3}),
    ],
)
def test_what_meets_all_that_is_said_goes_and_nothing_else(kept: Database, criteria: Criteria, gone: set[int]) -> None:
    before = left(kept)
    assert delete(kept, criteria) == (len(gone), True)
    after = left(kept)
    for table in ("contents", "traces", "trace_tags", "trace_metadata"):
        assert numbers(before[table] - after[table]) == sorted(gone)
    for table in ("calls", "attempts", "responses"):
        assert after[table] == before[table]  # the bill stays
    quoting = column(kept, schema.attempts.c.call_id, schema.attempts.c.fault_message == QUOTE)
    assert set(numbers(quoting)) == {2, 3} - gone
    assert set(numbers(column(kept, schema.calls.c.call_id, schema.calls.c.fault_message == GONE))) == {2, 3} & gone
    assert delete(kept, criteria) == (0, True)


def test_the_oldest_go_first_and_no_more_than_asked(kept: Database) -> None:
    assert delete(kept, Criteria(experiment_ids=(0,), before_ms=NOW + 1), most=3) == (3, True)
    assert numbers(left(kept)["traces"]) == [0, 1, 2, 3, 4, 5, 6, 7, 11]


def test_what_is_too_much_for_one_request_is_gone_after_several(kept: Database) -> None:
    times: Iterator[float] = iter(range(1000))
    parts = [delete(kept, Criteria(user_id="ann"), seconds=0.5, clock=lambda: float(next(times)))]
    while not parts[-1][1]:
        parts.append(delete(kept, Criteria(user_id="ann"), seconds=0.5, clock=lambda: float(next(times))))
    assert parts == [(6, False), (0, True)]


def test_no_query_goes_through_all_traces(kept: Database) -> None:
    if kept.dialect != "sqlite":
        pytest.skip("the plan of a table this small says nothing elsewhere")
    plans: list[str] = []
    with kept.read() as connection:

        def explain(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
            plans.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

        sa.event.listen(connection, "before_cursor_execute", explain)
        for criteria in (Criteria(user_id="a"), Criteria(session_id="s"), Criteria(before_ms=NOW), Criteria(experiment_ids=(0,))):
            deletion.found(connection, criteria, 10)
        sa.event.remove(connection, "before_cursor_execute", explain)
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]


def test_nothing_of_what_was_said_is_left_in_the_files(database: Database) -> None:
    if database.dialect != "sqlite":
        pytest.skip("what a server's files hold is its own business: see docs/guides/retention.md")
    path = Path(str(database.url.database))

    def entry(exchange: Any, content: Content | None) -> TraceEntry:
        return TraceEntry(name="n", state="OK", request_preview=SAID, user_id="ann")

    # Of those sizes that lie within a page, across pages, and in pages of their own; and not packed.
    sizes = (1, 50, 1000, 20_000)
    mades = [made(n, 0, None) for n in range(len(sizes))]
    records = [
        Settled(seq=n + 1, exchange=mades[n].exchange, content=Content(request=f"{n}{SAID}".encode() + bytes(range(256)) * size))
        for n, size in enumerate(sizes)
    ]
    assert LedgerSink(database, entry).keep(None, ProcessPosition("p", 1, 1, len(records)), records, gaps=[])
    with database.write() as connection:
        connection.execute(schema.contents.update().values(response=SAID.encode() * 500))  # as it is: nothing packs it
    assert any(SAID.encode() in file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert delete(database, Criteria(user_id="ann")) == (len(sizes), True)
    assert database.forget()
    assert not [file.name for file in path.parent.glob(f"{path.name}*") if SAID.encode() in file.read_bytes()]


def test_who_reads_on_keeps_the_log_and_no_more(database: Database) -> None:
    if database.dialect != "sqlite":
        assert database.forget()
        return
    keep(database, [made(1, 0, None)])
    with database.read() as reading:
        reading.execute(sa.select(schema.traces)).all()
        assert delete(database, Criteria(session_id="s-1")) == (1, True)
        assert not database.forget()
    assert database.forget()


def test_compacting_gives_back_what_is_free(database: Database) -> None:
    mades = [made(n, 0, "e-1") for n in range(300)]
    keep(database, mades)
    with database.write() as connection:
        for one in mades:
            connection.execute(schema.contents.update().where(schema.contents.c.trace_id == one.trace_id).values(response=bytes(5000)))
    delete(database, Criteria(user_id="ann"))
    with closing(Database(database.url.render_as_string(hide_password=False))) as other:
        other.compact()
    assert numbers(left(database)["calls"]) == list(range(300))
    if database.dialect == "sqlite":
        with database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA freelist_count").scalar() == 0
        assert Path(str(database.url.database)).stat().st_size < 1 << 20
    assert trace_id(mades[0].call_id) not in left(database)["traces"]
