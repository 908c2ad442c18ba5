"""Calls of the past, priced anew. A closed month is left as it is; what is priced anew is so in attempts, calls and rollups at once.

It goes through the calls in the order in which they were received, a short transaction for some hundred of them, so that neither the
drain nor a reader waits. It may be ended at any time and begun again: what has its price already is not changed.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import accounts, restating, schema
from .accounts import Contributions, CostOf
from .engine import Database, take
from .faults import Invalid
from .months import bounds
from .restating import Restated

CHUNK = 300  # calls of one transaction: some 50 ms
LIMIT = 10_000  # calls of one request: some seconds

Place = tuple[int, str]  # a call in the order of the ledger: received_ns, call_id
_CURSOR = re.compile(r"([0-9]{1,19}):([0-9A-Za-z-]{1,36})")


class Change(Struct, frozen=True, kw_only=True):
    """Attempts of one model that had one price and have another now, or come to something else under it. None: the price is unknown."""

    provider: str
    model: str
    before: str | None
    after: str | None
    attempts: int
    before_pico: int
    after_pico: int


class Report(Struct, frozen=True, kw_only=True):
    calls: int  # that were looked at
    changed_calls: int
    unpriced: int  # attempts among them that have tokens and still no price
    changes: tuple[Change, ...]
    closed: tuple[str, ...]  # months of the range that stay as they are: 2026-11
    cursor: str | None  # go on with this; None: this was all


def reprice(database: Database, cost_of: CostOf, *, since_ms: int, until_ms: int, dry_run: bool, cursor: str | None, limit: int) -> Report:
    """Prices the calls received from `since_ms` on and before `until_ms` anew, `limit` of them at most. `dry_run`: changes nothing."""
    if until_ms <= since_ms:
        raise Invalid("'until' must be after 'since'.")
    at = (since_ms * 1_000_000, "") if cursor is None else _place(cursor)
    pile = _Pile()
    closed: Sequence[str] = ()
    while pile.calls < limit:
        with database.read() if dry_run else database.write() as connection:
            if not dry_run:
                take(connection)  # no month is closed meanwhile
            closed = _closed(connection, since_ms, until_ms)
            places = _next(connection, _open(closed, since_ms, until_ms), at, min(CHUNK, limit - pile.calls))
            if places:
                at = places[-1]
                pile.add(_chunk(connection, [call_id for _, call_id in places], cost_of, dry_run=dry_run))
        if not places:
            return pile.report(closed, None)
    return pile.report(closed, f"{at[0]}:{at[1]}")


def _chunk(connection: Connection, call_ids: Sequence[str], cost_of: CostOf, *, dry_run: bool) -> list[Restated]:
    taken = restating.seen if dry_run else restating.taken
    restated = [Restated(call, tried, accounts.priced(call, tried, cost_of)) for call, tried in taken(connection, call_ids)]
    if not dry_run:
        contributions: Contributions = {}
        restating.restate(connection, restated, contributions)
        accounts.apply(connection, contributions)
    return restated


class _Pile:
    """What was found out so far."""

    def __init__(self) -> None:
        self.calls = 0
        self._changed_calls = 0
        self._unpriced = 0
        self._changes: dict[tuple[str, str, str | None, str | None], tuple[int, int, int]] = {}

    def add(self, restated: Sequence[Restated]) -> None:
        for one in restated:
            self.calls += 1
            changes = list(one.changes)
            self._changed_calls += bool(changes)
            self._unpriced += accounts.sums(one.after)["unpriced"] or 0
            for old, new in changes:
                kind = new["provider"], new["model"], old["price_id"], new["price_id"]
                attempts, before, after = self._changes.get(kind, (0, 0, 0))
                self._changes[kind] = attempts + 1, before + (old["cost_pico"] or 0), after + (new["cost_pico"] or 0)

    def report(self, closed: Sequence[str], cursor: str | None) -> Report:
        return Report(
            calls=self.calls,
            changed_calls=self._changed_calls,
            unpriced=self._unpriced,
            changes=tuple(
                Change(
                    provider=provider,
                    model=model,
                    before=old,
                    after=new,
                    attempts=attempts,
                    before_pico=before,
                    after_pico=after,
                )
                for (provider, model, old, new), (attempts, before, after) in sorted(self._changes.items(), key=lambda item: str(item[0]))
            ),
            closed=tuple(closed),
            cursor=cursor,
        )


# ---------------------------------------------------------------- the way through the ledger


def _place(cursor: str) -> Place:
    said = _CURSOR.fullmatch(cursor)
    if said is None or int(said[1]) >= 2**63:
        raise Invalid("Invalid cursor: it is what the call before gave back.")
    return int(said[1]), said[2]


def _next(connection: Connection, open_: Sequence[tuple[int, int]], at: Place, size: int) -> list[Place]:
    """The next calls after a place, in the parts of the range (ms) that are open."""
    table = schema.calls.c
    for since, until in open_:
        if until * 1_000_000 <= at[0]:
            continue
        query = sa.select(table.received_ns, table.call_id).where(
            table.received_ns >= max(since * 1_000_000, at[0]),
            table.received_ns < until * 1_000_000,
            sa.or_(table.received_ns > at[0], table.call_id > at[1]),
        )
        rows = connection.execute(query.order_by(table.received_ns, table.call_id).limit(size)).all()
        if rows:
            return [(row.received_ns, row.call_id) for row in rows]
    return []


def _closed(connection: Connection, since_ms: int, until_ms: int) -> list[str]:
    table = schema.closed_months.c
    months = connection.execute(sa.select(table.month).where(table.reopened_at.is_(None)).order_by(table.month)).scalars()
    return [month for month in months if bounds(month)[0] < until_ms and bounds(month)[1] > since_ms]


def _open(closed: Sequence[str], since_ms: int, until_ms: int) -> list[tuple[int, int]]:
    """What is left of a range without those months, which are in order."""
    edges = [since_ms, *(edge for month in closed for edge in bounds(month)), until_ms]
    return [(since, until) for since, until in list(pairwise(edges))[::2] if since < until]


# ---------------------------------------------------------------- calls from before there were prices


class Arrears:
    """Calls that an older version wrote, which are in no book yet: some at a time, each once, however many hosts do it.

    Each host looks for them at its start and no more: of several, the one that is upgraded last finds what was written till then.
    """

    def __init__(self, database: Database, cost_of: CostOf) -> None:
        self._database = database
        self._cost_of = cost_of
        self._at: Place = (0, "")

    def some(self) -> bool:
        """Accounts for the next of them; returns whether there were any."""
        table = schema.calls.c
        query = sa.select(table.received_ns, table.call_id).where(
            table.unpriced.is_(None),
            table.received_ns >= self._at[0],
            sa.or_(table.received_ns > self._at[0], table.call_id > self._at[1]),
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.received_ns, table.call_id).limit(CHUNK)).all()
        if not rows:
            return False
        with self._database.write() as connection:
            found = restating.taken(connection, [row.call_id for row in rows])
            # Another host may have been quicker.
            owed = [Restated(call, tried, accounts.priced(call, tried, self._cost_of)) for call, tried in found if call["unpriced"] is None]
            contributions: Contributions = {}
            restating.restate(connection, owed, contributions)
            accounts.apply(connection, contributions)
        self._at = (rows[-1].received_ns, rows[-1].call_id)
        return True
