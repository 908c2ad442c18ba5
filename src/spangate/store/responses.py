"""Responses that providers keep: which target made each, and which call has its tokens. They are billed once, however often one is read.

A response that is made in the background has no usage yet when its call is answered; whoever reads it first when it is
done is told its tokens, and so is everybody after.
"""

from collections.abc import Iterator, Sequence, Set
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
from .schema import attempts, traces
from .schema import responses as table

FORMATS = frozenset({"openai.responses", "openai.responses.stored"})
LONGEST = 255  # characters of an id

_ON_THE_BILL = frozenset({Provenance.reported, Provenance.drained})
_TOKENS = [column.name for column in attempts.columns if column.name.endswith("_tokens")]
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


def counted_once(connection: Connection, settled: Sequence[tuple[Exchange, Kept]]) -> Sequence[tuple[Exchange, Kept]]:
    """Writes down who made which response, and takes the tokens from each look-up but the first that was told them.

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
        return settled
    known = _known(connection, sorted(made.keys() | looked_up))
    new = {response_id: row for response_id, row in sorted(made.items()) if response_id not in known}
    # If another host writes down the same id at this moment, this is refused, and the batch comes again and finds it there.
    _rows.insert(connection, [tuple(getattr(row, name) for name in _rows.columns) for row in new.values()])
    if not looked_up:
        return settled
    billed = _Billing(connection, known | new)
    looks = [
        (response_id, exchange.call_id, attempt)
        for exchange, _ in settled
        if exchange.request_type in OF_A_RESPONSE
        for attempt, response_id in _responses(exchange)
        if attempt.usage.known
    ]
    for response_id, call_id, attempt in sorted(looks, key=lambda look: look[0]):  # in one order on all hosts: no deadlock
        if not billed.first(call_id, attempt, response_id):
            billed.free.add((call_id, attempt.no))
    return [(_without(exchange, billed.free), kept) for exchange, kept in settled]


class _Billing:
    """Who counts, look-up by look-up. `free`: the attempts, by call and number, that keep no tokens."""

    def __init__(self, connection: Connection, known: dict[str, Made]) -> None:
        self.free: set[tuple[str, int]] = set()
        self._connection = connection
        self._known = known

    def first(self, call_id: str, attempt: AttemptRecord, response_id: str) -> bool:
        """Whether this look-up is the first one that was told the tokens of a response of ours; from then on it is."""
        row = self._known.get(response_id)
        if row is None or row.counted_by is not None or not _told(attempt):
            return False
        claim = table.update().where(table.c.response_id == response_id, table.c.counted_by.is_(None)).values(counted_by=call_id)
        self._known[response_id] = msgspec.structs.replace(row, counted_by=call_id)
        if self._connection.execute(claim).rowcount != 1:
            return False
        _take_back(self._connection, row)
        self.free.add((row.call_id, row.attempt_no))  # if it is written in this very batch
        return True


def _take_back(connection: Connection, made: Made) -> None:
    """The estimate of the attempt that made the response, if there is one: in the ledger, and in the trace that is read from it."""
    estimated = sa.and_(
        attempts.c.call_id == made.call_id,
        attempts.c.attempt_no == made.attempt_no,
        attempts.c.provenance == Provenance.estimated.value,
    )
    nothing = dict.fromkeys(_TOKENS) | {"usage_invalid": None, "provenance": Provenance.unknown.value}
    if connection.execute(attempts.update().where(estimated).values(nothing)).rowcount == 0:
        return
    of_call = traces.c.trace_id == trace_id(made.call_id)
    stored = connection.execute(sa.select(traces.c.exchange).where(of_call)).scalar()
    if stored is not None:
        exchange = _without(unpacked_exchange(stored), {(made.call_id, made.attempt_no)})
        connection.execute(traces.update().where(of_call).values(exchange=packed_exchange(exchange)))


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
