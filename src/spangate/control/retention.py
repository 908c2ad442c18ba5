"""What has outlived its period is deleted, the oldest first, in chunks that nobody notices: the drain goes before it, and it takes half of
what the machine leaves idle at the most.

Nothing of how far it is must be kept: what is deleted is gone, so a sweep that was cut off begins where the other ended.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

import msgspec
from sqlalchemy import Connection

from ..store import deletion, fulltext, retention
from ..store.deletion import Criteria, Gone
from ..store.engine import Database
from ..store.faults import AlreadyExists
from ..store.retention import DAY, Kind, Page, Periods

LEAST, MOST = 20, 500  # rows of one transaction; with fewer most of its time is the commit's
LONG = 0.1  # s that one may hold the writer of SQLite, of which there is one: a fifth is the commit alone, and the drain waits so long
# How much of the time sweeping takes, of one processor: what it does not need itself, the database does.
MOST_SHARE = 0.5
LEAST_SHARE = 1 / 16  # while the drain is behind too, and where nothing is idle
SHARE = 0.2  # where nobody says what is idle
LONGEST_REST = 3.0  # s
ROUND = 60_000  # ms between two looks for what has come of age
AFRESH = DAY  # from the first row on again once a day: a journal that was drained late may have brought older ones
LEASE = 60_000  # ms; a host that died in its sweep keeps the others from it for no longer

Read = Callable[[], AbstractContextManager[Connection]]
Write = Callable[[], AbstractContextManager[Connection]]  # one transaction

_DELETE: dict[Kind, Callable[[Connection, Sequence[str]], Gone]] = {
    Kind.content: deletion.content,
    Kind.trace: deletion.trace,
    Kind.ledger: deletion.ledger,
}


class Swept(msgspec.Struct, frozen=True):
    """What this process has deleted since it began."""

    content: int
    trace: int
    ledger: int
    at: int | None  # ms; when it last was done with all that had come of age. None: never yet
    under_way: bool
    fault: str | None = None  # why the last try failed


class Pace:
    """How many rows the next transaction takes, so that none is long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows = 100
        self.took = 0.0  # s
        self._clock = clock

    def look(self, read: Read, work: Callable[[Connection], Page]) -> Page:
        """What is read rests too: where a few of many rows are kept for longer, all of these are gone through again and again."""
        with read() as connection:
            began = self._clock()
            page = work(connection)
        self.took = self._clock() - began
        return page

    def step(self, write: Write, work: Callable[[Connection], Gone]) -> Gone:
        """One transaction; what it waits for its turn does not count."""
        with write() as connection:
            began = self._clock()
            done = work(connection)
            fulltext.fold(connection)
        self.took = self._clock() - began
        if self.took > LONG:
            self.rows = max(LEAST, self.rows // 2)
        elif self.took < LONG / 2:
            self.rows = min(MOST, self.rows + LEAST)
        return done

    def fold(self, write: Write) -> bool:
        """One piece of what is left to merge of SQLite's search index; returns whether there was any."""
        with write() as connection:
            began = self._clock()
            more = fulltext.fold(connection)
        self.took = self._clock() - began
        return more


class Sweeper:
    """For one thread. `version`: the database's, None before it answered; `busy`: whether the drain is behind; `idle`: so many processors
    of the machine, if somebody knows."""

    def __init__(
        self,
        database: Database,
        *,
        version: Callable[[], int | None],
        busy: Callable[[], bool],
        idle: Callable[[], float | None],
        now: Callable[[], int],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._version = version
        self._busy = busy
        self._idle = idle
        self._now = now
        self._sleep = sleep
        self._pace = Pace(clock)
        self._name = uuid.uuid4().hex
        self._known: int | None = None  # the version that these are of
        self._periods: Periods | None = None
        self._round: Iterator[tuple[Kind, int]] | None = None
        self._turn: tuple[Kind, int] | None = None  # what is swept now: all of a kind whose period is so many days
        self._past: dict[tuple[Kind, int], str] = {}  # up to this key nothing is left
        self._next = 0  # ms
        self._afresh = 0  # ms
        self._leased = 0  # ms
        self._gone = Gone()
        self._done: int | None = None

    def sweep(self) -> bool:
        """One chunk; returns whether there is more to do."""
        if not self._sweep() and not self._fold():
            return False
        self._sleep(self._rest())
        return True

    def swept(self, fault: str | None = None) -> Swept:
        return Swept(self._gone.contents, self._gone.traces, self._gone.calls, self._done, self._round is not None, fault)

    # ------------------------------------------------------------ inside

    def _sweep(self) -> bool:
        """Whether there may be more that has come of age."""
        periods = self._current()
        now = self._now()
        if periods is None or not any(map(periods.distinct, Kind)):
            return False
        if self._round is None:
            if now < self._next:
                return False
            if now >= self._afresh:
                self._past.clear()
                self._afresh = now + AFRESH
            # Whole calls first: what goes with its call is not gone through twice more before.
            self._round = iter([(kind, days) for kind in reversed(Kind) for days in periods.distinct(kind)])
            self._turn = next(self._round, None)
        if self._turn is None or not self._chunk(periods, *self._turn, now):
            self._end(now)
            return False
        return True

    def _fold(self) -> bool:
        """Whether something of the search index was merged, and more may be to."""
        return self._database.dialect == "sqlite" and self._pace.fold(self._database.write)

    def _rest(self) -> float:
        """So long (s) that with the chunk before it our share of the time is kept to."""
        idle = self._idle()
        share = SHARE if idle is None else min(max(idle / 2, LEAST_SHARE), MOST_SHARE)
        if self._busy():
            share = LEAST_SHARE
        return min(self._pace.took * (1 / share - 1), LONGEST_REST)

    def _current(self) -> Periods | None:
        """The periods in force; whatever management changes moves the version, and most changes are not of these."""
        version = self._version()
        if version is not None and version != self._known:
            with self._database.read() as connection:
                periods = retention.periods(connection)
            if periods != self._periods:
                self._periods, self._past = periods, {}
                self._round, self._next = None, 0
            self._known = version
        return self._periods

    def _chunk(self, periods: Periods, kind: Kind, days: int, now: int) -> bool:
        """Whether to go on with this round."""
        key, limit = (kind, days), self._pace.rows
        page = self._pace.look(
            self._database.read,
            lambda connection: retention.older(connection, kind, after=self._past.get(key, ""), before_ms=now - days * DAY, limit=limit),
        )
        due = [id_ for id_, endpoint_id in page.rows if periods.days(kind, endpoint_id) == days]
        if due and not self._leading(now):
            return False
        if due:
            self._gone = self._gone.plus(self._pace.step(self._database.write, lambda connection: _DELETE[kind](connection, due)))
        if page.rows:
            self._past[key] = page.rows[-1][0]
        if not page.full:
            assert self._round is not None
            self._turn = next(self._round, None)
        return True

    def _leading(self, now: int) -> bool:
        """Whether it is us who sweep, of all hosts on this database."""
        if now + LEASE // 2 < self._leased:
            return True
        try:
            with self._database.write() as connection:
                leading = retention.lease(connection, self._name, now=now, until=now + LEASE)
        except AlreadyExists:  # two hosts at the very first time
            leading = False
        self._leased = now + LEASE if leading else 0
        return leading

    def _end(self, now: int) -> None:
        if self._turn is None:
            self._done = now
        self._round = self._turn = None
        self._next = now + ROUND


# ---------------------------------------------------------------- on request


def delete(
    read: Read,
    write: Write,
    criteria: Criteria,
    *,
    most: int | None = None,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, bool]:
    """Deletes traces that meet the criteria, `most` at the most, for so many seconds; returns how many, and whether that was all.

    Many short transactions: what they do stays done if a later one fails, and who asks again goes on from there.
    """
    pace, deadline, gone = Pace(clock), clock() + seconds, 0
    while True:
        limit = pace.rows if most is None else min(pace.rows, most - gone)
        with read() as connection:
            ids = deletion.found(connection, criteria, limit) if limit > 0 else []
        if not ids:
            return gone, True
        gone += pace.step(write, partial(deletion.trace, trace_ids=ids)).traces
        if clock() > deadline:
            return gone, False
        sleep(min(pace.took, LONGEST_REST))  # so that the drain has its turn
