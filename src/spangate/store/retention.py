"""How long what is kept: three periods, the server's and of each endpoint that says otherwise, and what has outlived them.

Trace and call ids are UUIDv7, so that the order of their keys is the order of time: what is older than a moment is what is below a key.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from ..exchange import EndpointSettings, Retention, trace_id
from .engine import bump
from .faults import Invalid
from .schema import calls, contents, endpoints, server_state, traces

DAY = 86_400_000  # ms
LONGEST = 36_500  # days; what is to be kept longer is kept for good
STATE = "retention"
LEASE = "retention.sweeper"


class Kind(StrEnum):
    """What a period is for. Each can outlive those before it, never those after: a trace's cost is read from the ledger."""

    content = "content"
    trace = "trace"
    ledger = "ledger"

    @property
    def field(self) -> str:
        return f"{self.value}_days"


_KEYS: Mapping[Kind, sa.Column[str]] = {Kind.content: contents.c.trace_id, Kind.trace: traces.c.trace_id, Kind.ledger: calls.c.call_id}
_ENDPOINTS: Mapping[Kind, sa.Column[str]] = {
    Kind.content: traces.c.endpoint_id,
    Kind.trace: traces.c.endpoint_id,
    Kind.ledger: calls.c.endpoint_id,
}
_FROM: Mapping[Kind, sa.FromClause] = {
    Kind.content: contents.outerjoin(traces, traces.c.trace_id == contents.c.trace_id),
    Kind.trace: traces,
    Kind.ledger: calls,
}


class Periods(NamedTuple):
    """The periods in force. `own`: of the endpoints that have some, by id, each filled up from the server's."""

    server: Retention
    own: Mapping[str, Retention]

    def days(self, kind: Kind, endpoint_id: str | None) -> int | None:
        """None: for good."""
        held = self.server if endpoint_id is None else self.own.get(endpoint_id, self.server)
        return getattr(held, kind.field)

    def distinct(self, kind: Kind) -> list[int]:
        """All that there are of a kind, in days; empty: nothing of it is ever deleted."""
        return sorted({days for held in (self.server, *self.own.values()) if (days := getattr(held, kind.field)) is not None})


def get(connection: Connection) -> Retention:
    """The server's own periods."""
    stored = connection.execute(sa.select(server_state.c.text).where(server_state.c.name == STATE)).scalar()
    return Retention() if stored is None else msgspec.json.decode(stored, type=Retention)


def periods(connection: Connection) -> Periods:
    """All that are in force."""
    server = get(connection)
    return Periods(server, {endpoint_id: _filled(held, server) for endpoint_id, _, held in own(connection)})


def own(connection: Connection) -> list[tuple[str, str, Retention]]:
    """Id, name and periods of each endpoint that has some of its own; None in them: the server's."""
    query = sa.select(endpoints.c.endpoint_id, endpoints.c.name, endpoints.c.settings).where(endpoints.c.settings.is_not(None))
    rows = connection.execute(query.order_by(endpoints.c.name)).all()
    held = ((row, msgspec.json.decode(row.settings, type=EndpointSettings).retention) for row in rows)
    return [(row.endpoint_id, row.name, days) for row, days in held if days is not None]


def update(connection: Connection, changes: Mapping[str, int | None]) -> Retention:
    """Changes what is named and leaves the rest; None: for good. `changes`: fields of Retention."""
    bump(connection)
    changed = msgspec.structs.replace(get(connection), **changes)
    _valid(changed, "")
    for _, name, held in own(connection):
        _valid(_filled(held, changed), f" for endpoint '{name}'")
    stored = {"text": msgspec.json.encode(changed).decode()}
    if connection.execute(server_state.update().where(server_state.c.name == STATE).values(stored)).rowcount == 0:
        connection.execute(server_state.insert().values(name=STATE, **stored))
    return changed


def check(connection: Connection, own: Retention, endpoint: str) -> None:
    """Raises Invalid if an endpoint cannot have these periods beside the server's."""
    _valid(_filled(own, get(connection)), f" for endpoint '{endpoint}'")


# ---------------------------------------------------------------- what has outlived its period


class Page(NamedTuple):
    """A page of rows older than a moment, whosoever they are: their ids in the order of time, with their endpoints."""

    rows: Sequence[tuple[str, str | None]]
    full: bool  # more may follow after the last of them


def older(connection: Connection, kind: Kind, *, after: str, before_ms: int, limit: int) -> Page:
    """Rows of a kind whose call was received before a moment: trace ids of content and traces, call ids of the ledger.

    A call is not due before it is in the rollups: the sums outlive the rows.
    """
    key, endpoint = _KEYS[kind], _ENDPOINTS[kind]
    query = sa.select(key, endpoint).select_from(_FROM[kind]).where(key > after, key < first_key(kind, before_ms))
    if kind is Kind.ledger:
        query = query.where(calls.c.unpriced.is_not(None))
    rows = [(row[0], row[1]) for row in connection.execute(query.order_by(key).limit(limit))]
    return Page(rows, len(rows) == limit)


def due(connection: Connection, kind: Kind, periods: Periods, now: int) -> int:
    """How many rows of a kind have outlived their periods. `now`: ms."""
    key, endpoint = _KEYS[kind], _ENDPOINTS[kind]
    if not periods.own:  # along the key alone
        days = periods.days(kind, None)
        query = sa.select(sa.func.count()).select_from(key.table)
        return 0 if days is None else connection.execute(query.where(key < first_key(kind, now - days * DAY))).scalar_one()
    count = 0
    for days in periods.distinct(kind):
        query = sa.select(endpoint, sa.func.count()).select_from(_FROM[kind]).where(key < first_key(kind, now - days * DAY))
        count += sum(rows for endpoint_id, rows in connection.execute(query.group_by(endpoint)) if periods.days(kind, endpoint_id) == days)
    return count


def span(connection: Connection, kind: Kind) -> tuple[int | None, int | None]:
    """When the calls of the oldest and of the newest row of a kind were received, in ms; None: there is none."""
    key = _KEYS[kind]
    oldest, newest = (connection.execute(sa.select(which(key))).scalar() for which in (sa.func.min, sa.func.max))
    return _ms(oldest), _ms(newest)


def first_key(kind: Kind, ms: int) -> str:
    """Not above the key of any call that was received at this moment or later, and above those of all before it."""
    digits = f"{max(ms, 0):012x}"
    call_id = f"{digits[:8]}-{digits[8:12]}"
    return call_id if kind is Kind.ledger else trace_id(call_id)


# ---------------------------------------------------------------- one sweeper


def lease(connection: Connection, holder: str, *, now: int, until: int) -> bool:
    """Whether `holder` may sweep until then (ms): of several hosts on one database one does."""
    mine = server_state.update().where(server_state.c.name == LEASE, sa.or_(server_state.c.number < now, server_state.c.text == holder))
    if connection.execute(mine.values(number=until, text=holder)).rowcount == 1:
        return True
    if connection.execute(sa.select(server_state.c.name).where(server_state.c.name == LEASE)).first() is not None:
        return False
    connection.execute(server_state.insert().values(name=LEASE, number=until, text=holder))  # of two at once, one is refused here
    return True


# ---------------------------------------------------------------- inside


def _ms(key: str | None) -> int | None:
    """The moment that is in a UUIDv7: its first 48 bits."""
    return None if key is None else int(key.removeprefix("tr-").replace("-", "")[:12], 16)


def _filled(own: Retention, server: Retention) -> Retention:
    given: dict[str, Any] = {field: getattr(own, field) for field in Retention.__struct_fields__ if getattr(own, field) is not None}
    return msgspec.structs.replace(server, **given)


def _valid(held: Retention, whose: str) -> None:
    for kind in Kind:
        days: int | None = getattr(held, kind.field)
        if days is not None and not 1 <= days <= LONGEST:
            said = f"Invalid {kind.field} {days}{whose}. It is in days, at least 1 and at most {LONGEST}; null is for good."
            raise Invalid(said, field=kind.field)
    for shorter, longer in ((Kind.content, Kind.trace), (Kind.trace, Kind.ledger)):
        first, last = getattr(held, shorter.field), getattr(held, longer.field)
        if last is not None and (first is None or first > last):
            kept = "for good" if first is None else f"for {first} days"
            raise Invalid(
                f"Invalid retention{whose}: {shorter.field} is {kept} and {longer.field} {last} days, but no {shorter} outlives its "
                f"{longer}. Set {shorter.field} to {last} or less.",
                field=shorter.field,
            )
