"""Responses that providers keep: which target made each, and which call has its tokens. They are billed once, however often one is read.

A response that is made in the background has no usage yet when its call is answered; whoever reads it first when it is
done is told its tokens, and so is everybody after.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..exchange import OF_A_RESPONSE, AttemptRecord, Exchange, trace_id
from ..wire.usage import Provenance, Usage
from . import limits, paging
from .bulk import Rows
from .packing import packed_exchange, unpacked_exchange
from .schema import attempts, calls, traces
from .schema import responses as table

FORMATS = frozenset({"openai.responses", "openai.responses.stored"})
LONGEST = 255  # characters of an id

_ON_THE_BILL = frozenset({Provenance.reported, Provenance.drained})
_rows = Rows(table)

Kept = TypeVar("Kept")


class Made(Struct, frozen=True, kw_only=True):
    """Which attempt made a response, at which target."""

    response_id: str
    endpoint_id: str
    model_definition_id: str
    call_id: str
    attempt_no: int
    made_at: int  # ms
    counted_by: str | None = None  # the call whose attempt has its tokens; None: nobody was told them yet


def maker(connection: Connection, response_id: str) -> Made | None:
    """None: it was not made through this gateway, or that is not in the database (yet, or any more)."""
    if len(response_id) > LONGEST or not limits.storable(response_id):
        return None
    return _known(connection, [response_id]).get(response_id)


def counted_once(
    connection: Connection, settled: Sequence[tuple[Exchange, Kept]]
) -> tuple[Sequence[tuple[Exchange, Kept]], Set[tuple[str, int]]]:
    """Writes down who made which response, and takes the tokens from each look-up but the first that was told them.

    Returns the calls as they are to be written, and the attempts (call, number) in the ledger whose tokens the caller takes back.

    In the writer's transaction. What the provider told the attempt that made a response is always its own. Of the look-ups,
    the one counts that finds, and sets, a row without `counted_by`: of two at once, on whatever host, one does; and what was
    estimated for the maker then gives way to the truth. A look-up of a response that is not known here counts nothing:
    who made it paid for it elsewhere.
    """
    made: dict[str, Made] = {}
    looked_up: set[str] = set()
    for exchange, _ in settled:
        for attempt, response_id in _responses(exchange):
            if exchange.request_type in OF_A_RESPONSE:
                if attempt.usage.known:
                    looked_up.add(response_id)
            elif (row := _made(exchange, attempt, response_id)) is not None:
                made.setdefault(response_id, row)
    if not made and not looked_up:
        return settled, frozenset()
    known = _known(connection, sorted(made.keys() | looked_up))
    new = {response_id: row for response_id, row in sorted(made.items()) if response_id not in known}
    # If another host writes down the same id at this moment, this is refused, and the batch comes again and finds it there.
    _rows.insert(connection, [tuple(getattr(row, name) for name in _rows.columns) for row in new.values()])
    if not looked_up:
        return settled, frozenset()
    free, makers = _free(connection, [exchange for exchange, _ in settled if exchange.request_type in OF_A_RESPONSE], known | new)
    return [(_without(exchange, free | makers), kept) for exchange, kept in settled], _guessed(connection, makers)


def _free(
    connection: Connection, looks: Sequence[Exchange], known: Mapping[str, Made]
) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """The attempts, by call and number, that keep no tokens: of look-ups, and of makers whose estimate gives way."""
    told: dict[str, tuple[str, int]] = {}  # response -> the first attempt that was told its tokens, and nobody before
    free: set[tuple[str, int]] = set()
    for exchange in looks:
        for attempt, response_id in _responses(exchange):
            if attempt.usage.known:
                free.add((exchange.call_id, attempt.no))
                if _told(attempt) and response_id in known and known[response_id].counted_by is None:
                    told.setdefault(response_id, (exchange.call_id, attempt.no))
    won = _claimed(connection, {response_id: call_id for response_id, (call_id, _) in sorted(told.items())})
    makers = {(known[response_id].call_id, known[response_id].attempt_no) for response_id in won}
    return free - {told[response_id] for response_id in won}, makers


def _claimed(connection: Connection, claims: Mapping[str, str]) -> set[str]:
    """Response -> call that would count it; returns those responses that are that call's now."""
    if not claims:
        return set()
    claim = table.update().where(table.c.response_id == sa.bindparam("claimed"), table.c.counted_by.is_(None))
    # One after the other in the order of the ids, on all hosts: they wait for each other and never in a circle.
    connection.execute(
        claim.values(counted_by=sa.bindparam("call")),
        [{"claimed": response_id, "call": call_id} for response_id, call_id in claims.items()],
    )
    now = _known(connection, list(claims)).values()
    return {made.response_id for made in now if made.counted_by == claims[made.response_id]}


def _guessed(connection: Connection, makers: Set[tuple[str, int]]) -> Set[tuple[str, int]]:
    """Those that are in the ledger with tokens that we estimated; from their traces, which keep a copy, they are gone now."""
    estimated: set[tuple[str, int]] = set()
    for some in paging.chunks(sorted({call_id for call_id, _ in makers})):
        # As all who write what is there anew: whoever deletes the words of these calls has done so, or waits for us.
        taken = sa.select(calls.c.call_id).where(calls.c.call_id.in_(some)).order_by(calls.c.call_id)
        connection.execute(taken.with_for_update().with_hint(calls, "WITH (UPDLOCK)", "mssql")).all()
        query = sa.select(attempts.c.call_id, attempts.c.attempt_no)
        query = query.where(attempts.c.call_id.in_(some), attempts.c.provenance == Provenance.estimated.value)
        estimated |= {(row.call_id, row.attempt_no) for row in connection.execute(query)} & makers
    for call_id, no in sorted(estimated):
        of_call = traces.c.trace_id == trace_id(call_id)
        stored = connection.execute(sa.select(traces.c.exchange).where(of_call)).scalar()
        if stored is not None:
            exchange = _without(unpacked_exchange(stored), {(call_id, no)})
            connection.execute(traces.update().where(of_call).values(exchange=packed_exchange(exchange)))
    return estimated


def _without(exchange: Exchange, free: Set[tuple[str, int]]) -> Exchange:
    """The exchange without the tokens of those of its attempts that count none."""
    if not any((exchange.call_id, attempt.no) in free for attempt in exchange.attempts):
        return exchange
    tried = tuple(
        msgspec.structs.replace(attempt, usage=Usage(), provenance=Provenance.unknown)
        if attempt.usage.known and (exchange.call_id, attempt.no) in free
        else attempt
        for attempt in exchange.attempts
    )
    return msgspec.structs.replace(exchange, attempts=tried)


def _responses(exchange: Exchange) -> Iterator[tuple[AttemptRecord, str]]:
    for attempt in exchange.attempts:
        if attempt.format in FORMATS and (response_id := limits.kept(attempt.response_id, LONGEST)):
            yield attempt, response_id


def _made(exchange: Exchange, attempt: AttemptRecord, response_id: str) -> Made | None:
    if exchange.endpoint_id is None or attempt.model_definition_id is None:
        return None
    return Made(
        response_id=response_id,
        endpoint_id=exchange.endpoint_id,
        model_definition_id=attempt.model_definition_id,
        call_id=exchange.call_id,
        attempt_no=attempt.no,
        made_at=exchange.received_at // 1_000_000,
        counted_by=exchange.call_id if _told(attempt) else None,
    )


def _told(attempt: AttemptRecord) -> bool:
    """Whether the provider said what the response cost. What we estimate does not keep the truth off the bill."""
    return attempt.usage.known and attempt.provenance in _ON_THE_BILL


def _known(connection: Connection, response_ids: Sequence[str]) -> dict[str, Made]:
    found: dict[str, Made] = {}
    for some in paging.chunks(response_ids):
        for row in connection.execute(sa.select(table).where(table.c.response_id.in_(some))).mappings():
            found[row["response_id"]] = Made(**row)
    return found
