"""Traces as they come: each is told once, whatever their times say."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.store.given import T0, begun, entry, exchange

from spangate.exchange import Begun, ProcessPosition, Settled, Status
from spangate.store import arrivals, experiments, finding, schema
from spangate.store.arrivals import Head
from spangate.store.engine import Database
from spangate.store.faults import Invalid
from spangate.store.finding import Question
from spangate.store.writer import LedgerSink


class Journal:
    """A process whose batches are drained one by one."""

    def __init__(self, database: Database, process_id: str) -> None:
        self.now = T0
        self._sink = LedgerSink(database, entry, clock=lambda: self.now * 1_000_000)
        self._process_id = process_id
        self._at: ProcessPosition | None = None
        self._seq = 0

    def drain(self, *numbers: int, **changes: Any) -> None:
        self._keep([Settled(seq=self._seq + n, exchange=exchange(no, **changes)) for n, no in enumerate(numbers, 1)])

    def die(self, last: int, open_: int) -> None:
        """Right after one call was settled, with another one open."""
        self._keep([Settled(seq=self._seq + 1, exchange=exchange(last)), Begun(seq=self._seq + 2, exchange=begun(open_))])
        self._sink.close(self._process_id)

    def _keep(self, records: list[Any]) -> None:
        before, self._seq = self._at, self._seq + len(records)
        self._at = ProcessPosition(self._process_id, 1, self._seq, self._seq)
        assert self._sink.keep(before, self._at, records, gaps=[])


class Watcher:
    def __init__(self, database: Database, **asked: Any) -> None:
        self._database = database
        self._question = Question(**asked)
        with database.read() as connection:
            self.head = arrivals.head(connection, T0)

    def look(self, now: int = T0, most: int = 50) -> list[int]:
        with self._database.read() as connection:
            rows, head, self.more = finding.newer(connection, self._question, self.head, now=now, max_results=most)
        self.head = arrivals.parse(head.token())
        return [int(row.call_id[-12:], 16) for row in rows]


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database, "p-1")


def test_what_comes_is_told_once_in_the_order_in_which_it_comes(database: Database, journal: Journal) -> None:
    journal.drain(1, 2)
    watcher = Watcher(database)
    assert watcher.look() == []
    journal.drain(9, 5)
    journal.drain(3)  # it was received before those, and took longer
    assert watcher.look() == [9, 5, 3]
    assert watcher.look() == []
    other = Journal(database, "p-0")  # a process that nobody had heard of
    other.drain(4)
    journal.drain(6)
    assert sorted(watcher.look()) == [4, 6]
    assert watcher.look() == []


def test_more_than_one_answer_takes_goes_on_in_the_next(database: Database, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher(database)
    journal.drain(1, 2, 3)
    journal.drain(4, 5)
    assert (watcher.look(most=2), watcher.more) == ([1, 2], True)
    assert (watcher.look(most=2), watcher.more) == ([3, 4], True)
    assert (watcher.look(most=2), watcher.more) == ([5], False)
    rare = Watcher(database, models=("none",))
    journal.drain(6, 7, 8)
    monkeypatch.setattr(finding, "LOOKED", 2)
    assert (rare.look(), rare.more) == ([], True)
    assert rare.head.seen["p-1"] == (5, 2)
    assert (rare.look(), rare.more) == ([], False)


def test_who_falls_behind_is_told_so_before_it_misses_any(database: Database, journal: Journal) -> None:
    watcher = Watcher(database)
    journal.drain(1, 2, 3)
    assert (watcher.look(now=T0 + arrivals.LATEST - 1, most=1), watcher.more) == ([1], True)
    with pytest.raises(Invalid, match="too old"):
        watcher.look(now=T0 + arrivals.LATEST + 1)


def test_a_call_whose_process_died_comes_too(database: Database, journal: Journal) -> None:
    watcher = Watcher(database)
    journal.die(1, 2)
    assert watcher.look() == [1, 2]
    assert watcher.look() == []


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [1, 2, 3]),
        ({"statuses": (Status.error,)}, [2]),
        ({"experiment_ids": ("1",)}, [4]),
        ({"experiment_ids": ("2",)}, [5]),
        ({"among": frozenset({"1"})}, []),
        ({"endpoint_ids": frozenset({"e-3"})}, [3]),
        ({"endpoints": ("support",)}, [3]),
        ({"endpoints": ("none",)}, []),
        ({"keys": ("ann",)}, [2]),
        ({"keys": ("none",)}, []),
        ({"providers": ("openai",), "since_ms": T0 + 2}, [2, 3]),
        ({"until_ms": T0 + 2}, [1]),
    ],
)
def test_what_is_not_asked_for_is_not_told(database: Database, journal: Journal, asked: dict[str, Any], numbers: list[int]) -> None:
    with database.write() as connection:
        assert [experiments.create(connection, name=name, now=T0) for name in ("deleted", "gone")] == ["1", "2"]
        experiments.delete(connection, "1", now=T0)
        experiments.delete(connection, "2", now=T0)
    watcher = Watcher(database, **asked)
    journal.drain(1)
    journal.drain(2, status=Status.error, caller="ann", caller_id="k-1")
    journal.drain(3, endpoint="support", endpoint_id="e-3")
    journal.drain(4, experiment_id="1")
    journal.drain(5, experiment_id="2")
    assert watcher.look() == numbers


def test_what_has_its_hour_behind_it_goes_and_whoever_asks_so_late_begins_anew(database: Database, journal: Journal) -> None:
    watcher = Watcher(database)
    journal.drain(1)
    journal.now += arrivals.KEPT + 1
    journal.drain(2)
    with database.read() as connection:
        assert connection.execute(sa.select(schema.arrivals.c.last_seq)).scalars().all() == [2]
    with pytest.raises(Invalid, match="too old"):
        watcher.look(now=T0 + arrivals.LATEST + 1)


def test_calls_that_are_not_traced_leave_no_row(database: Database, journal: Journal) -> None:
    journal.drain(1, experiment_id=None)
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.arrivals)).scalar_one() == 0


@pytest.mark.parametrize(
    "token",
    ["", "x", "é", "AAAA", Head(T0, {}).token()[:-2], Head(T0, {"p-1": (2**63, 0)}).token(), Head(T0, {"p-1": (1, -2)}).token()],
)
def test_what_is_no_head_is_refused(token: str) -> None:
    with pytest.raises(Invalid, match="Invalid head"):
        arrivals.parse(token)
