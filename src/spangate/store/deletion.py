"""What goes when content, a trace or a call goes, in one place. The bill stays until the call goes, and holds nobody's words.

Content is more than its own rows: previews are cut from it, and a provider that finds fault with a prompt quotes it. Each function takes
rows in the order of their ids, as do all who write the ledger anew: of two at once one waits, and never in a circle.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from ..exchange import AttemptRecord, Exchange, Fault, Status, trace_id
from . import paging
from .packing import packed_exchange, unpacked_exchange
from .schema import attempts, calls, contents, responses, trace_metadata, trace_tags, traces

GONE = "The provider's words were deleted with the content of the call."


class Gone(NamedTuple):
    """How many rows of each kind."""

    contents: int = 0
    traces: int = 0
    calls: int = 0

    def plus(self, other: "Gone") -> "Gone":
        return Gone(self.contents + other.contents, self.traces + other.traces, self.calls + other.calls)


class Criteria(NamedTuple):
    """Which traces: all that are given must hold."""

    user_id: str | None = None
    session_id: str | None = None
    experiment_ids: Collection[int] | None = None
    endpoint_ids: Collection[str] | None = None
    trace_ids: Collection[str] | None = None  # few enough for one IN list
    before_ms: int | None = None  # received before this moment


def found(connection: Connection, criteria: Criteria, limit: int) -> list[str]:
    """Ids of traces that meet the criteria, the oldest of each experiment first. Reads along an index, whatever is asked."""
    conditions: list[sa.ColumnElement[bool]] = []
    if criteria.user_id is not None:
        conditions.append(traces.c.user_id == criteria.user_id)
    if criteria.session_id is not None:
        conditions.append(traces.c.session_id == criteria.session_id)
    if criteria.before_ms is not None:
        conditions.append(traces.c.request_time_ms < criteria.before_ms)
    if criteria.endpoint_ids is not None:
        conditions.append(traces.c.endpoint_id.in_(sorted(criteria.endpoint_ids)))
    if criteria.trace_ids is not None:
        conditions.append(traces.c.trace_id.in_(sorted(criteria.trace_ids)))
    query = sa.select(traces.c.trace_id).where(*conditions).order_by(traces.c.request_time_ms, traces.c.trace_id)
    if criteria.experiment_ids is None and (criteria.user_id or criteria.session_id or criteria.trace_ids):
        return list(connection.execute(query.limit(limit)).scalars())
    ids: list[str] = []
    for experiment_id in _experiments(connection) if criteria.experiment_ids is None else sorted(criteria.experiment_ids):
        if len(ids) < limit:
            ids += connection.execute(query.where(traces.c.experiment_id == experiment_id).limit(limit - len(ids))).scalars()
    return ids


def content(connection: Connection, trace_ids: Sequence[str]) -> Gone:
    """What was said goes, the trace stays."""
    gone = Gone()
    for some in paging.chunks(sorted(trace_ids)):
        _hush(connection, some)
        said = sa.or_(traces.c.request_preview.is_not(None), traces.c.response_preview.is_not(None))
        connection.execute(traces.update().where(traces.c.trace_id.in_(some), said).values(request_preview=None, response_preview=None))
        gone = gone.plus(Gone(contents=connection.execute(contents.delete().where(contents.c.trace_id.in_(some))).rowcount))
    return gone


def trace(connection: Connection, trace_ids: Sequence[str]) -> Gone:
    """The traces go, with content, tags and metadata."""
    gone = Gone()
    for some in paging.chunks(sorted(trace_ids)):
        _hush(connection, some, whole=True)
        gone = gone.plus(_traces(connection, some))
    return gone


def ledger(connection: Connection, call_ids: Sequence[str]) -> Gone:
    """The calls go, with their traces and all that is known of them; their sums stay."""
    gone = Gone()
    for some in paging.chunks(sorted(call_ids)):
        received = _taken(connection, some)
        if not received:
            continue
        gone = gone.plus(Gone(calls=connection.execute(calls.delete().where(calls.c.call_id.in_(some))).rowcount))
        connection.execute(attempts.delete().where(attempts.c.call_id.in_(some)))
        # Who asks for such a response later is not told which target made it. Their index is by time.
        made = responses.c.made_at.between(min(received), max(received))
        connection.execute(responses.delete().where(made, responses.c.call_id.in_(some)))
        gone = gone.plus(_traces(connection, [trace_id(call_id) for call_id in some]))
    return gone


# ---------------------------------------------------------------- inside


def _traces(connection: Connection, trace_ids: Sequence[str]) -> Gone:
    # A trace's own row first, as with whatever else changes a trace: then nobody waits in a circle, and no tag comes after the others went.
    gone, content, _, _ = (
        connection.execute(table.delete().where(table.c.trace_id.in_(trace_ids))).rowcount
        for table in (traces, contents, trace_tags, trace_metadata)
    )
    return Gone(content, gone)


def _experiments(connection: Connection) -> list[int]:
    """Of all traces: the smallest, then the next larger one, so that each costs one look into the index."""
    ids: list[int] = []
    query = sa.select(sa.func.min(traces.c.experiment_id))
    while (next_ := connection.execute(query.where(traces.c.experiment_id > (ids[-1] if ids else -1))).scalar()) is not None:
        ids.append(next_)
    return ids


def _hush(connection: Connection, trace_ids: Sequence[str], *, whole: bool = False) -> None:
    """Takes what providers said of these calls' requests out of the ledger, and unless the traces go as a `whole` out of them."""
    call_ids = [_call_id(id_) for id_ in trace_ids]
    spoke = sa.and_(attempts.c.status == Status.error.value, attempts.c.fault_message.is_not(None), attempts.c.fault_message != GONE)
    query = sa.select(attempts.c.call_id).where(attempts.c.call_id.in_(call_ids), spoke).distinct()
    quoted = sorted(connection.execute(query).scalars())
    if not quoted:
        return
    _taken(connection, quoted)
    # A call that did not end well may have the fault of its last attempt, word for word.
    repeated = sa.exists().where(attempts.c.call_id == calls.c.call_id, spoke, attempts.c.fault_message == calls.c.fault_message)
    connection.execute(calls.update().where(calls.c.call_id.in_(quoted), repeated).values(fault_message=GONE))
    connection.execute(attempts.update().where(attempts.c.call_id.in_(quoted), spoke).values(fault_message=GONE))
    if whole:
        return
    ids = [trace_id(call_id) for call_id in quoted]
    for row in connection.execute(sa.select(traces.c.trace_id, traces.c.exchange).where(traces.c.trace_id.in_(ids))).all():
        hushed = packed_exchange(_hushed(unpacked_exchange(row.exchange)))
        connection.execute(traces.update().where(traces.c.trace_id == row.trace_id).values(exchange=hushed))


def _taken(connection: Connection, call_ids: Sequence[str]) -> list[int]:
    """When the calls were received (ms), of those that there are. Nobody else changes them until we commit."""
    query = sa.select(calls.c.received_ns).where(calls.c.call_id.in_(call_ids)).order_by(calls.c.call_id)
    taken = connection.execute(query.with_for_update().with_hint(calls, "WITH (UPDLOCK)", "mssql"))
    return [received // 1_000_000 for received in taken.scalars()]


def _hushed(exchange: Exchange) -> Exchange:
    said = {tried.fault.message for tried in exchange.attempts if tried.status is Status.error and tried.fault is not None}

    def quiet(fault: Fault | None) -> Fault | None:
        return fault if fault is None or fault.message not in said else msgspec.structs.replace(fault, message=GONE)

    tried: tuple[AttemptRecord, ...] = tuple(msgspec.structs.replace(tried, fault=quiet(tried.fault)) for tried in exchange.attempts)
    return msgspec.structs.replace(exchange, fault=quiet(exchange.fault), attempts=tried)


def _call_id(trace_id: str) -> str:
    digits = trace_id.removeprefix("tr-")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
