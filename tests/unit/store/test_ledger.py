import pytest
from tests.unit.store.given import T0, attempt, begun, call_id, entry, exchange

from spangate.exchange import Begun, JournalRecord, ProcessPosition, Settled, Status
from spangate.store import ledger
from spangate.store.engine import Database
from spangate.store.faults import Invalid, NotFound
from spangate.store.ledger import Process
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage


@pytest.fixture
def kept(database: Database) -> Database:
    sink = LedgerSink(database, entry, clock=lambda: T0 * 1_000_000)
    unknown = attempt(usage=Usage(), provenance=Provenance.unknown)
    records: list[JournalRecord] = [
        Settled(seq=1, exchange=exchange(1)),
        Settled(seq=2, exchange=exchange(2, endpoint="other", status=Status.error, attempts=(attempt(1), attempt(2)))),
        Settled(seq=3, exchange=exchange(3, attempts=(unknown,))),
        Settled(seq=4, exchange=exchange(4, status=Status.refused, attempts=(), experiment_id=None)),
        Begun(seq=5, exchange=begun(5)),
    ]
    assert sink.keep(None, ProcessPosition("p-1", 2, 300, 7), records, gaps=[(6, 7)])
    return database


def test_completeness_is_told_by_process(kept: Database) -> None:
    with kept.read() as connection:
        assert ledger.completeness(connection) == [
            Process(
                process_id="p-1",
                state="open",
                segment=2,
                offset=300,
                last_seq=7,
                records=5,
                duplicates=0,
                gaps=((6, 7),),
                open_calls=1,
                created_at=T0,
                updated_at=T0,
            )
        ]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [4, 3, 2, 1]),
        ({"endpoint": "other"}, [2]),
        ({"status": "ok"}, [3, 1]),
        ({"since_ms": T0 + 2, "until_ms": T0 + 4}, [3, 2]),
        ({"status": "none"}, []),
    ],
)
def test_calls_are_listed_newest_first(kept: Database, asked: dict[str, object], numbers: list[int]) -> None:
    for size in (1, 2, 100):
        got: list[str] = []
        token = None
        with kept.read() as connection:
            while True:
                rows, token = ledger.calls(connection, **asked, max_results=size, page_token=token)  # type: ignore[arg-type]
                got += [row.call_id for row in rows]
                if token is None:
                    break
        assert got == [call_id(number) for number in numbers]


def test_a_call_comes_with_its_attempts(kept: Database) -> None:
    with kept.read() as connection:
        assert [row.attempt_no for row in ledger.call(connection, call_id(2)).attempts] == [1, 2]
        with pytest.raises(NotFound):
            ledger.call(connection, call_id(5))  # begun, not settled: not on the bill yet
        for size in (0, 1_001):
            with pytest.raises(Invalid):
                ledger.calls(connection, max_results=size)
