"""A history into a database, by the way of all calls: batches of journal records, through the sink that the drain writes to."""

from collections.abc import Callable, Iterable

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy import Connection

from ..exchange import Begun, Content, Exchange, JournalRecord, ProcessPosition, Settled, Sink, Status
from ..store.faults import AlreadyExists
from ..store.schema import calls as calls_table

BATCH = 2_000  # records; a rollup that two calls of a batch share is written once
PROCESS = 250_000  # records after which another worker took over


def occupied(connection: Connection) -> bool:
    """Whether there are calls already."""
    return connection.execute(sa.select(calls_table.c.call_id).limit(1)).first() is not None


def load(sink: Sink, calls: Iterable[tuple[Exchange, Content | None]], *, name: str, told: Callable[[int], None] = lambda _: None) -> int:
    """How many there were. `name`: the first part of the processes' ids; `told` hears how many are in after each batch."""
    done, batch = 0, list[JournalRecord]()
    position: ProcessPosition | None = None
    for exchange, content in calls:
        seq = (0 if position is None else position.last_seq) + len(batch) + 1
        lost = exchange.status is Status.unknown
        batch.append(
            Begun(seq=seq, exchange=replace(exchange, duration=None)) if lost else Settled(seq=seq, exchange=exchange, content=content)
        )
        if len(batch) == BATCH:
            position = _kept(sink, position, batch, f"{name}-{done // PROCESS}")
            done, batch = done + BATCH, []
            told(done)
            if done % PROCESS == 0:
                sink.close(position.process_id)
                position = None
    if batch:
        position = _kept(sink, position, batch, f"{name}-{done // PROCESS}")
    if position is not None:
        sink.close(position.process_id)
    told(done + len(batch))
    return done + len(batch)


def _kept(sink: Sink, before: ProcessPosition | None, batch: list[JournalRecord], process_id: str) -> ProcessPosition:
    after = ProcessPosition(process_id, 1, batch[-1].seq, batch[-1].seq)
    if not sink.keep(before, after, batch, gaps=[]):
        raise AlreadyExists(f"The process '{process_id}' has written here before: another history has this name.")
    return after
