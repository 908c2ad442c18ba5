"""Months of the bill, in UTC. Closing one keeps what it came to; from then on its calls are not priced anew.

Calls that a host brings after that (it was away) are in the ledger and in every sum of usage like any others: the month then says by
how much it differs from what was kept.
"""

import datetime
import re
from collections.abc import Collection
from decimal import Decimal

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..prices.cost import PICO, usd
from . import limits, schema
from .engine import take
from .faults import InUse, Invalid, NotFound
from .periods import Step
from .schema import closed_months as table
from .usage import Measures, Question, Row, usage

KEPT = ("endpoint", "provider", "model", "key", "owner", "team")  # a list of lines is kept by each
NOTE = 1_000  # characters
_MONTH = re.compile(r"(19[7-9]\d|20\d\d|21\d\d)-(0[1-9]|1[0-2])", re.ASCII)


class Line(Struct, frozen=True, kw_only=True):
    """What a month came to, or one group's part of it. `cost` in dollars, exactly; None: nothing had a price."""

    group: str = ""
    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost: str | None
    unpriced_attempts: int
    estimated_attempts: int
    unknown_attempts: int


class Event(Struct, frozen=True, kw_only=True):
    at: int  # ms
    what: str  # closed | reopened
    by: str
    note: str = ""


class Statement(Struct, frozen=True, kw_only=True):
    """What is kept of a month that was closed."""

    total: Line
    by: dict[str, tuple[Line, ...]]
    events: tuple[Event, ...]  # oldest first


class Drift(Struct, frozen=True, kw_only=True):
    """How much more (or less) a closed month has now than when it was closed."""

    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost: str


class Month(Struct, frozen=True, kw_only=True):
    month: str  # 2026-11
    closed: bool
    total: Line  # as it is now
    statement: Statement | None = None  # of the last closing, also if it was reopened since
    drift: Drift | None = None  # None: it is open, or as it was


def bounds(month: str) -> tuple[int, int]:
    """When a month begins and when the next one does, in ms."""
    if (said := _MONTH.fullmatch(month)) is None:
        raise Invalid(f"Invalid month '{month[:20]}'. It is a year and a month, such as 2026-11.")
    year, number = int(said[1]), int(said[2])
    begins = datetime.datetime(year, number, 1, tzinfo=datetime.UTC)
    ends = datetime.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=datetime.UTC)
    return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)


def named(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m")


def months(connection: Connection, *, now: int, endpoints: Collection[str] | None = None) -> list[Month]:
    """All from the first that has usage to the current one, newest first. Who may see some endpoints only sees what they came to."""
    kept = {row.month: row for row in connection.execute(sa.select(table))}
    rollups = schema.usage_rollups.c
    first = connection.execute(sa.select(sa.func.min(rollups.bucket)).where(rollups.width == 86_400)).scalar_one()
    since = bounds(min([named(now), *kept, *([] if first is None else [named(first)])]))[0]
    found = usage(connection, _question(since, bounds(named(now))[1], step=Step.month, endpoints=endpoints))
    return [_month(row, kept.get(named(row.since)), whole=endpoints is None) for row in reversed(found.rows)]


def month(connection: Connection, month: str) -> Month:
    since, until = bounds(month)
    kept = connection.execute(sa.select(table).where(table.c.month == month)).one_or_none()
    (row,) = usage(connection, _question(since, until)).rows
    return _month(row, kept, whole=True)


def close(connection: Connection, month: str, *, now: int, by: str, note: str = "") -> None:
    """Raises InUse if it is not over, closed already, or not all of its calls are settled and accounted for."""
    since, until = bounds(month)
    take(connection)  # nothing is priced anew meanwhile
    if until > now:
        raise InUse(f"{month} is not over; it can be closed from {named(until)}-01 on (UTC).")
    before = connection.execute(sa.select(table).where(table.c.month == month)).one_or_none()
    if before is not None and before.reopened_at is None:
        raise InUse(f"{month} is closed already.")
    # A call's id begins with the ms at which it was received.
    after = f"{until:012x}"
    waiting = sa.select(sa.func.count()).where(schema.open_calls.c.call_id < f"{after[:8]}-{after[8:]}")
    if count := connection.execute(waiting).scalar_one():
        raise InUse(
            f"{count} calls of {month} or before are not settled yet. They are once their processes have ended them, or have ended."
        )
    calls = schema.calls.c
    behind = sa.select(calls.call_id).where(
        calls.received_ns >= since * 1_000_000, calls.received_ns < until * 1_000_000, calls.unpriced.is_(None)
    )
    if connection.execute(behind.limit(1)).first() is not None:
        raise InUse(f"Not all calls of {month} are accounted for yet: those of an older version are being so. Try again in a while.")
    statement = Statement(
        total=_line("", usage(connection, _question(since, until)).total.measures),
        by={
            noun: tuple(
                _line("" if row.group is None else row.group[0], row.measures)
                for row in usage(connection, msgspec.structs.replace(_question(since, until, groups=(noun,)), whole=True)).rows
            )
            for noun in KEPT
        },
        events=(*_events(before), Event(at=now, what="closed", by=by, note=limits.given(note, "note", NOTE, empty=True))),
    )
    values = {"closed_at": now, "closed_by": by, "reopened_at": None, "document": msgspec.json.encode(statement).decode()}
    if before is None:
        connection.execute(table.insert().values(month=month, **values))
    else:
        connection.execute(table.update().where(table.c.month == month).values(**values))


def reopen(connection: Connection, month: str, *, now: int, by: str, note: str = "") -> None:
    """So that its calls can be priced anew. What was kept stays until it is closed again. Raises InUse if it is not closed."""
    bounds(month)
    take(connection)
    before = connection.execute(sa.select(table).where(table.c.month == month)).one_or_none()
    if before is None:
        raise NotFound(f"{month} was never closed.")
    if before.reopened_at is not None:
        raise InUse(f"{month} is open already.")
    event = Event(at=now, what="reopened", by=by, note=limits.given(note, "note", NOTE, empty=True))
    statement = msgspec.structs.replace(_statement(before), events=(*_events(before), event))
    document = msgspec.json.encode(statement).decode()
    connection.execute(table.update().where(table.c.month == month).values(reopened_at=now, document=document))


def _question(
    since: int, until: int, *, step: Step | None = None, groups: tuple[str, ...] = (), endpoints: Collection[str] | None = None
) -> Question:
    return Question(since=since, until=until, zone=datetime.UTC, step=step, groups=groups, endpoints=endpoints)


def _month(row: Row, kept: "sa.Row[tuple[object, ...]] | None", *, whole: bool) -> Month:
    total = _line("", row.measures)
    statement = None if kept is None or not whole else _statement(kept)
    closed = kept is not None and kept.reopened_at is None
    drift = _drift(statement.total, total) if closed and statement is not None else None
    return Month(month=named(row.since), closed=closed, total=total, statement=statement, drift=drift)


def _line(group: str, measures: Measures) -> Line:
    return Line(
        group=group,
        calls=measures.calls,
        attempts=measures.attempts,
        input_tokens=measures.input_tokens,
        output_tokens=measures.output_tokens,
        cost=None if measures.cost_pico is None else usd(measures.cost_pico),
        unpriced_attempts=measures.unpriced_attempts,
        estimated_attempts=measures.estimated_attempts,
        unknown_attempts=measures.unknown_attempts,
    )


def _drift(then: Line, now: Line) -> Drift | None:
    cost = Decimal(now.cost or 0) - Decimal(then.cost or 0)
    drift = Drift(
        calls=now.calls - then.calls,
        attempts=now.attempts - then.attempts,
        input_tokens=now.input_tokens - then.input_tokens,
        output_tokens=now.output_tokens - then.output_tokens,
        cost=usd(int(cost * PICO)),
    )
    return drift if any((drift.calls, drift.attempts, drift.input_tokens, drift.output_tokens, cost)) else None


def _statement(kept: "sa.Row[tuple[object, ...]]") -> Statement:
    return msgspec.json.decode(str(kept.document), type=Statement)


def _events(kept: "sa.Row[tuple[object, ...]] | None") -> tuple[Event, ...]:
    return () if kept is None else _statement(kept).events
