"""Rows of the ledger written anew, with all that is added up from them.

Who does so takes the calls' rows first, in the order of their ids, then the rollups: in this order on every host.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..wire.usage import Provenance
from . import accounts, paging, schema
from .accounts import Contributions, CostOf, Row
from .bulk import Rows

Tried = Sequence[Row]  # the attempts of a call

_calls = Rows(schema.calls)
_attempts = Rows(schema.attempts)
_FACTS = (*accounts.TOKENS, "usage_invalid", "provenance", *accounts.COSTS)
_NOTHING = {**dict.fromkeys(_FACTS), "provenance": Provenance.unknown.value}


class Restated(Struct, frozen=True):
    """A call that is in the ledger, its attempts as they are there, and as they shall be."""

    call: Row
    before: Tried
    after: Tried

    @property
    def changes(self) -> Iterator[tuple[Row, Row]]:
        return ((old, new) for old, new in zip(self.before, self.after, strict=True) if any(old[name] != new[name] for name in _FACTS))


def taken(connection: Connection, call_ids: Collection[str]) -> Iterator[tuple[Row, Tried]]:
    """The calls with their attempts, which nobody else changes until we commit."""
    return _calls_of(connection, call_ids, locking=True)


def seen(connection: Connection, call_ids: Collection[str]) -> Iterator[tuple[Row, Tried]]:
    """The calls with their attempts, for who changes nothing."""
    return _calls_of(connection, call_ids, locking=False)


def _calls_of(connection: Connection, call_ids: Collection[str], *, locking: bool) -> Iterator[tuple[Row, Tried]]:
    query = sa.select(schema.calls).order_by(schema.calls.c.call_id)
    if locking:
        query = query.with_for_update().with_hint(schema.calls, "WITH (UPDLOCK)", "mssql")
    attempts = sa.select(schema.attempts).order_by(schema.attempts.c.call_id, schema.attempts.c.attempt_no)
    for some in paging.chunks(sorted(call_ids)):
        calls = connection.execute(query.where(schema.calls.c.call_id.in_(some))).mappings().all()
        tried: dict[str, list[Row]] = {}
        for row in connection.execute(attempts.where(schema.attempts.c.call_id.in_(some))).mappings():
            tried.setdefault(row["call_id"], []).append(row)
        yield from ((call, tried.get(call["call_id"], [])) for call in calls)


def restate(connection: Connection, restated: Iterable[Restated], contributions: Contributions) -> None:
    """Writes the rows that change, and counts what that changes in the books; who calls applies it.

    A call that was written before there were prices is in no book yet, and is counted as a whole.
    """
    calls: list[tuple[Any, ...]] = []
    attempts: list[tuple[Any, ...]] = []
    for one in restated:
        changes = list(one.changes)
        if one.call["unpriced"] is None:
            accounts.count(contributions, one.call, one.after)
        elif not changes:
            continue
        else:
            for old, new in changes:
                accounts.count_attempt(contributions, one.call, old, -1)
                accounts.count_attempt(contributions, one.call, new)
        calls.append(_calls.of({**one.call, **accounts.sums(one.after)}))
        attempts += [_attempts.of(new) for _, new in changes]
    _calls.update(connection, calls, accounts.SUMS)
    _attempts.update(connection, attempts, _FACTS)


def without_tokens(connection: Connection, free: Collection[tuple[str, int]], cost_of: CostOf, contributions: Contributions) -> None:
    """Takes the tokens from attempts, by call and number: they are another attempt's."""

    def freed(call: Row, tried: Tried) -> Restated:
        after = [{**row, **_NOTHING} if (row["call_id"], row["attempt_no"]) in free else row for row in tried]
        return Restated(call, tried, accounts.priced(call, after, cost_of) if call["unpriced"] is None else after)

    found = taken(connection, {call_id for call_id, _ in free})
    restate(connection, [freed(call, tried) for call, tried in found], contributions)
