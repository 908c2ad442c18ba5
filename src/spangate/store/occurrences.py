"""When calls of some kind came, read off the rollups: so that a search for a rare kind need not go through all others.

The ledger has no index by provider, model or status. Its sums say in which hours there were any, and only these are gone through.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from .periods import DAY, HOUR
from .schema import usage_dimensions as dimensions
from .schema import usage_rollups as rollups

FEW = 50  # dimensions that are looked up one by one
STEP = 4  # so many times as far back is looked each time that it was not enough
HOURS = 20 * 24  # of one statement


class Kind(Struct, frozen=True, kw_only=True):
    """Calls by where their last attempt went and how they ended; None: whatever it is."""

    endpoint_ids: Collection[str] | None = None
    providers: Collection[str] | None = None
    models: Collection[str] | None = None
    key_ids: Collection[str] | None = None
    owners: Collection[str] | None = None
    teams: Collection[str] | None = None
    statuses: Collection[str] | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """On the dimensions under which calls are counted."""
        asked = (
            (dimensions.c.endpoint_id, self.endpoint_ids),
            (dimensions.c.provider, self.providers),
            (dimensions.c.model, self.models),
            (dimensions.c.key_id, self.key_ids),
            (dimensions.c.owner, self.owners),
            (dimensions.c.team, self.teams),
            (dimensions.c.status, self.statuses),
        )
        return [dimensions.c.price_id == "", *(column.in_(sorted(values)) for column, values in asked if values is not None)]


def ranges(connection: Connection, kind: Kind, since: int, until: int) -> Iterator[tuple[int, int]]:
    """(since, until) in ms, the newest first: outside of these no such call came. As many as are taken are looked for."""
    some = connection.execute(sa.select(dimensions.c.dimension_id).where(*kind.conditions).limit(FEW + 1)).scalars().all()
    if not some:
        return
    few = some if len(some) <= FEW else None
    end, first, span = until + -until % DAY, since - since % DAY, DAY
    while end > first:
        begin = max(first, end - span)
        found, width = _days(connection, kind, few, begin, end), DAY
        if few is not None:
            found, width = _hours(connection, few, found), HOUR
        for begins, ends in _merged(found, width):
            if max(begins, since) < min(ends, until):
                yield max(begins, since), min(ends, until)
        end, span = begin, span * STEP


def _days(connection: Connection, kind: Kind, few: Sequence[str] | None, since: int, until: int) -> list[int]:
    """The days with such calls, the newest first."""
    query = _buckets(DAY).where(rollups.c.bucket >= since, rollups.c.bucket < until)
    if few is not None:
        query = query.where(rollups.c.dimension_id.in_(few))
    else:
        # As usage is read: joined outwardly and in a CASE, or a planner might begin with the dimensions.
        query = query.select_from(rollups.outerjoin(dimensions, dimensions.c.dimension_id == rollups.c.dimension_id))
        query = query.where(sa.case((sa.and_(*kind.conditions), 1), else_=0) == 1)
    return sorted(connection.execute(query).scalars(), reverse=True)


def _hours(connection: Connection, few: Sequence[str], days: Sequence[int]) -> Iterator[int]:
    hours = [day + hour for day in days for hour in range(DAY - HOUR, -HOUR, -HOUR)]
    for start in range(0, len(hours), HOURS):
        among = rollups.c.bucket.in_(hours[start : start + HOURS])
        yield from sorted(connection.execute(_buckets(HOUR).where(among, rollups.c.dimension_id.in_(few))).scalars(), reverse=True)


def _buckets(width: int) -> sa.Select[Any]:
    return sa.select(rollups.c.bucket).where(rollups.c.width == width // 1000, rollups.c.calls > 0).distinct()


def _merged(buckets: Sequence[int] | Iterator[int], width: int) -> Iterator[tuple[int, int]]:
    """Those that touch as one; the newest first, as they come."""
    begin = end = None
    for bucket in buckets:
        if begin is None or end is None or bucket + width != begin:
            if begin is not None and end is not None:
                yield begin, end
            end = bucket + width
        begin = bucket
    if begin is not None and end is not None:
        yield begin, end
