import datetime
from collections.abc import Callable

import msgspec
import pytest
import sqlalchemy as sa
from tests.unit.store.given import attempt, begun, entry, exchange
from tests.unit.store.test_usage import Fact, dimension, kept, measured

from spangate.exchange import Begun, Exchange, JournalRecord, ProcessPosition, Settled
from spangate.prices.cost import Billed, Cost
from spangate.store import months, schema, usage
from spangate.store.engine import Database
from spangate.store.faults import InUse, Invalid, NotFound
from spangate.store.months import Drift, Event, Line, Month
from spangate.store.periods import DAY, HOUR
from spangate.store.writer import LedgerSink

OCTOBER, NOVEMBER = 1_790_812_800_000, 1_793_491_200_000  # 2026, UTC
NOW = NOVEMBER + 9 * DAY

NOTHING = Line(
    calls=0, attempts=0, input_tokens=0, output_tokens=0, cost="0", unpriced_attempts=0, estimated_attempts=0, unknown_attempts=0
)


def october(database: Database) -> None:
    kept(
        database,
        [
            Fact(OCTOBER, dimension(model="a", team="ads"), measured(3 * 10**12, attempts=1, input_tokens=10, output_tokens=5)),
            Fact(OCTOBER + 31 * DAY - HOUR, dimension(model="b", key_id=""), measured(10**10, attempts=2, input_tokens=1)),
            Fact(OCTOBER, dimension(price_id=""), measured(calls=2)),
            Fact(NOVEMBER, dimension(), measured(7, attempts=1)),
        ],
    )


def close(database: Database, month: str = "2026-10", **more: object) -> None:
    with database.write() as connection:
        months.close(connection, month, **({"now": NOW, "by": "ann"} | more))  # type: ignore[arg-type]


def reopen(database: Database, month: str = "2026-10", **more: object) -> None:
    with database.write() as connection:
        months.reopen(connection, month, **({"now": NOW + 1, "by": "ben"} | more))  # type: ignore[arg-type]


def month(database: Database, name: str = "2026-10") -> Month:
    with database.read() as connection:
        return months.month(connection, name)


def test_a_closed_month_keeps_what_it_came_to_by_whom(database: Database) -> None:
    october(database)
    close(database, note="sent to finance")
    found = month(database)
    total = Line(
        calls=2, attempts=3, input_tokens=11, output_tokens=5, cost="3.01", unpriced_attempts=0, estimated_attempts=0, unknown_attempts=0
    )
    assert (found.closed, found.total, found.drift) == (True, total, None)
    assert found.statement is not None
    assert found.statement.total == total
    assert found.statement.events == (Event(at=NOW, what="closed", by="ann", note="sent to finance"),)
    by = {noun: [(line.group, line.calls, line.cost) for line in lines] for noun, lines in found.statement.by.items()}
    assert set(by) == set(months.KEPT)
    assert by["model"] == [("a", 0, "3"), ("b", 0, "0.01"), ("gpt-5", 2, "0")]
    assert by["team"] == [("ads", 0, "3"), ("search", 2, "0.01")]


def test_a_month_of_more_keys_than_anyone_reads_is_closed_too(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "POINTS", 2)
    facts = [Fact(OCTOBER, dimension(key_id=f"k-{number}", key_name=f"key {number}"), measured(calls=1)) for number in range(4)]
    kept(database, facts)
    close(database)
    found = month(database)
    assert found.statement is not None
    assert sorted(line.group for line in found.statement.by["key"]) == ["key 0", "key 1", "key 2", "key 3"]


def test_months_are_told_from_the_first_with_usage_to_this_one(database: Database) -> None:
    with database.read() as connection:
        assert months.months(connection, now=NOW) == [Month(month="2026-11", closed=False, total=NOTHING)]
    october(database)
    kept(database, [Fact(OCTOBER - 40 * DAY, dimension(endpoint_id="e-2"), measured(calls=1))])
    close(database)
    with database.read() as connection:
        found = months.months(connection, now=NOW)
        assert [(one.month, one.closed, one.total.calls) for one in found] == [
            ("2026-11", False, 0),
            ("2026-10", True, 2),
            ("2026-09", False, 0),
            ("2026-08", False, 1),
        ]
        scoped = months.months(connection, now=NOW, endpoints=["e-2"])
    assert [(one.closed, one.total.calls, one.statement) for one in scoped] == [
        (False, 0, None),
        (True, 0, None),
        (False, 0, None),
        (False, 1, None),
    ]


def test_what_comes_after_the_close_is_told_as_drift(database: Database) -> None:
    october(database)
    close(database)
    kept(database, [Fact(OCTOBER + DAY, dimension(), measured(10**12 // 4, attempts=2, calls=1, output_tokens=9))])
    found = month(database)
    assert found.drift == Drift(calls=1, attempts=2, input_tokens=0, output_tokens=9, cost="0.25")
    assert (found.total.cost, found.statement and found.statement.total.cost) == ("3.26", "3.01")
    reopen(database)
    assert month(database).drift is None
    close(database)
    assert month(database).drift is None
    assert month(database).total.cost == "3.26"


def test_a_month_is_reopened_and_closed_again_and_says_so(database: Database) -> None:
    october(database)
    close(database)
    reopen(database, note="a price was wrong")
    found = month(database)
    assert not found.closed
    assert found.statement is not None
    assert found.statement.events[1] == Event(at=NOW + 1, what="reopened", by="ben", note="a price was wrong")
    with pytest.raises(InUse, match="open already"):
        reopen(database)
    close(database, now=NOW + 2)
    again = month(database)
    assert again.closed
    assert [event.what for event in again.statement.events] == ["closed", "reopened", "closed"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "now", "fault"),
    [
        ("2026-11", NOW, InUse),
        ("2027-01", NOW, InUse),
        ("2026-10", NOVEMBER - 1, InUse),
        ("2026-13", NOW, Invalid),
        ("2026-1", NOW, Invalid),
        ("1969-12", NOW, Invalid),
        ("2026-10'; --", NOW, Invalid),
        ("20٢٦-10", NOW, Invalid),
    ],
)
def test_only_a_month_that_is_over_is_closed(database: Database, name: str, now: int, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        close(database, name, now=now)


def test_a_month_is_closed_when_the_next_begins(database: Database) -> None:
    close(database, now=NOVEMBER)
    assert month(database).closed
    with pytest.raises(InUse, match="closed already"):
        close(database)
    with pytest.raises(NotFound):
        reopen(database, "2026-09")


def at(when: int, n: int) -> Callable[[Exchange], Exchange]:
    """The same call, received then, with an id that says so."""
    prefix = f"{when:012x}"
    call_id = f"{prefix[:8]}-{prefix[8:]}-7000-8000-{n:012x}"
    return lambda given: msgspec.structs.replace(given, call_id=call_id, received_at=when * 1_000_000)


def drained(database: Database, *records: JournalRecord) -> None:
    def cost_of(billed: Billed) -> Cost:
        return Cost(price_id="p-1", input=1)

    sink = LedgerSink(database, entry, cost_of=cost_of, clock=lambda: NOW * 1_000_000)
    assert sink.keep(None, ProcessPosition("p-1", 1, 100, len(records)), records, gaps=[])


@pytest.mark.parametrize(("received", "closes"), [(NOVEMBER - 1, False), (OCTOBER - DAY, False), (NOVEMBER, True)])
def test_a_call_that_is_open_keeps_its_month_open(database: Database, received: int, closes: bool) -> None:
    drained(database, Begun(seq=1, exchange=at(received, 1)(begun(1))))
    if closes:
        close(database)
    else:
        with pytest.raises(InUse, match="not settled"):
            close(database)


@pytest.mark.parametrize(("received", "closes"), [(OCTOBER, False), (NOVEMBER - 1, False), (NOVEMBER, True), (OCTOBER - 1, True)])
def test_a_call_that_is_not_accounted_for_keeps_its_month_open(database: Database, received: int, closes: bool) -> None:
    drained(database, Settled(seq=1, exchange=at(received, 1)(exchange(1, attempts=(attempt(),)))))
    close(database, "2026-08")
    with database.write() as connection:
        connection.execute(sa.update(schema.calls).values(unpriced=None))
    if closes:
        close(database)
    else:
        with pytest.raises(InUse, match="accounted"):
            close(database)


@pytest.mark.parametrize("note", ["x" * (months.NOTE + 1), "a\x00"])
def test_a_note_that_cannot_be_kept_is_refused(database: Database, note: str) -> None:
    with pytest.raises(Invalid):
        close(database, note=note)


def test_months_begin_and_end_in_utc() -> None:
    for name, since, until in (("2026-10", "2026-10-01", "2026-11-01"), ("2026-12", "2026-12-01", "2027-01-01")):
        expected = [int(datetime.datetime.fromisoformat(f"{one}T00:00+00:00").timestamp() * 1000) for one in (since, until)]
        assert months.bounds(name) == tuple(expected)
        assert (months.named(expected[0]), months.named(expected[1] - 1)) == (name, name)
