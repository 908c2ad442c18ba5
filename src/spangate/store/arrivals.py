"""The order in which traces came into the database, which is not the order in which their calls were received: long ones come late, and
those of a host that had no way to the database later still.

Each batch of a journal leaves a row with the traces that came with it. Batches of one process come in the order of their numbers, as the
position row is taken for each. So a number for each process (`Head`) says exactly what somebody has seen, with whatever clocks.
Rows go after an hour: whoever has not asked since then begins anew.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from .faults import Invalid
from .packing import packed, unpacked
from .schema import arrivals as table

KEPT = 3_600_000  # ms
LATEST = KEPT * 9 // 10  # ms that a head is good for: hosts' clocks differ


_Number = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]  # -1: none yet; no more than a database has room for


class Head(Struct, frozen=True, array_like=True):
    """What was seen: of each process its batches up to `seq`, and of the one after these so many traces."""

    at: int  # ms; when it was made, or the one before it if that was not all that had come
    seen: dict[str, tuple[_Number, _Number]]

    def token(self) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")


class Arrival(Struct, frozen=True):
    """A trace that came, and what was seen with it."""

    trace_id: str
    process_id: str
    place: tuple[int, int]


def parse(token: str) -> Head:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=Head)
    except (binascii.Error, ValueError, msgspec.DecodeError):  # ValidationError too
        raise Invalid("Invalid head: it is what an answer before this one had as its head.") from None


def note(connection: Connection, process_id: str, seq: int, trace_ids: Sequence[str], now: int) -> None:
    """In the transaction that writes them. `seq`: of the last record of their batch."""
    if trace_ids:
        connection.execute(table.delete().where(table.c.arrived_at < now - KEPT))
        lines = packed("\n".join(trace_ids).encode())
        connection.execute(table.insert().values(process_id=process_id, last_seq=seq, arrived_at=now, traces=lines))


def head(connection: Connection, now: int) -> Head:
    """All that is there has been seen."""
    last = sa.select(table.c.process_id, sa.func.max(table.c.last_seq)).group_by(table.c.process_id)
    return Head(now, {process_id: (seq, 0) for process_id, seq in connection.execute(last)})


def since(connection: Connection, seen: Head, now: int) -> Iterator[Arrival]:
    """What came after it, in the order in which it came. Raises Invalid for what is too long ago."""
    if not now - LATEST <= seen.at <= now + KEPT:
        raise Invalid("This head is too old: ask for the list anew.")
    known = [sa.and_(table.c.process_id == process_id, table.c.last_seq > seq) for process_id, (seq, _) in sorted(seen.seen.items())]
    newer = (
        sa.select(table.c.process_id, table.c.last_seq)
        .where(sa.or_(table.c.process_id.not_in(sorted(seen.seen)), *known))
        .order_by(table.c.arrived_at, table.c.process_id, table.c.last_seq)
    )
    so_far = dict(seen.seen)
    for process_id, seq in connection.execute(newer).all():
        before, given = so_far.get(process_id, (-1, 0))
        so_far[process_id] = (seq, 0)
        batch = sa.select(table.c.traces).where(table.c.process_id == process_id, table.c.last_seq == seq)
        trace_ids = unpacked(connection.execute(batch).scalar_one()).decode().split("\n")
        for number, trace_id in list(enumerate(trace_ids, 1))[given:]:
            yield Arrival(trace_id, process_id, (seq, 0) if number == len(trace_ids) else (before, number))
