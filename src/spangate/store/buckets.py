"""Which rollups a range is read from: the widest buckets, and what of them lies in another period out of narrower ones.

A day in Berlin begins an hour before UTC's. It is read as UTC's day, with the hour before it and without its last hour: the row of a day
is counted where the larger part of it lies, and the hour is moved. So a month of days is read from 31 days and 31 hours, not 744 hours.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import islice, pairwise
from typing import Any

from msgspec import Struct

from .periods import DAY, HOUR, QUARTER, WEEK, Step, segments

WIDTHS = (DAY, HOUR, QUARTER)
MONDAY = 3 * DAY  # 1970 began on a Thursday
LISTED = 2_000  # buckets that are named one by one rather than picked out of a range; the statement has them in its text
SIZES = {Step.quarter: QUARTER, Step.hour: HOUR, Step.day: DAY, Step.week: WEEK}


class Moved(Struct, frozen=True, kw_only=True):
    """The buckets of a piece are a part of wider ones, which are counted in the period before theirs, or in the one after it."""

    width: int  # of the wider ones
    first: int  # since their beginning
    last: int
    back: int  # from the period to that one


class Piece(Struct, frozen=True, kw_only=True):
    """Buckets of one width, from `since` to before `until`. All in ms."""

    width: int
    since: int
    until: int
    size: int | None = None  # of the periods that it is cut into; None: it lies in one
    shift: int = 0  # what takes a moment to its phase: 0 where a period begins
    lead: int = 0  # the period of a bucket is that of the moment so long after its beginning
    moved: Moved | None = None

    def conditions(self, bucket: Any) -> Iterator[Any]:
        """What holds for a bucket of the piece, told of a number or of a column."""
        yield bucket >= self.since
        yield bucket < self.until
        if self.moved is not None:
            within = bucket % self.moved.width
            yield within >= self.moved.first
            yield within < self.moved.last
            if self._mostly_whole(self.moved):
                yield self._cut(self.moved, bucket - within)

    def listed(self) -> list[int] | None:
        """Its buckets, where they lie apart and are few: an index then leads to them, and not past all between them."""
        if self.moved is None:
            return None
        wide: Iterable[int] = range(self.since, self.until, self.moved.width)
        if self._mostly_whole(self.moved):
            wide = (bucket for bucket in wide if self._cut(self.moved, bucket))
        offsets = range(self.moved.first, self.moved.last, self.width)
        buckets = list(islice((bucket + offset for bucket in wide for offset in offsets), LISTED + 1))
        return buckets if len(buckets) <= LISTED else None

    def _mostly_whole(self, moved: Moved) -> bool:
        """Whether most of the wider buckets lie in one period, and have no part that is moved."""
        return self.size is not None and self.size > moved.width

    def _cut(self, moved: Moved, bucket: Any) -> Any:
        return self._phase(bucket) + moved.width > self.size

    def key(self, bucket: Any) -> Any:
        """What all buckets of a period have in common, told of a number or of a column; None: the piece lies in one."""
        if self.size is None:
            return None
        # One bucket a period: grouped by the column alone, SQLite reads them in the order of its index and sorts nothing.
        return bucket if self.size == self.width else self._period(bucket + self.lead)

    def places(self, starts: Sequence[int], key: int | None) -> Iterator[tuple[int, int]]:
        """Where its buckets are counted: number of the period, of those that begin at `starts`, and 1, or -1: they are taken out there."""
        if key is None:
            yield bisect_right(starts, self.since) - 1, 1
            return
        period = self._period(key + self.lead) if self.size == self.width else key
        yield self._index(starts, period), 1
        if self.moved is not None:
            yield self._index(starts, period + self.moved.back), -1

    def _index(self, starts: Sequence[int], period: int) -> int:
        # The piece's first period began before it, and where the clocks were changed then, at another moment.
        return bisect_right(starts, max(period, self.since)) - 1

    def _period(self, moment: Any) -> Any:
        """When its period began, had the clocks never been changed."""
        return moment - self._phase(moment)

    def _phase(self, moment: Any) -> Any:
        return (moment + self.shift) % self.size


def pieces(since: int, until: int, starts: Sequence[int], step: Step | None, zone: tzinfo) -> Iterator[Piece]:
    """What adds up to a range of whole quarters of an hour, and to each of its periods."""
    if step is None or step is Step.month:
        for start, end in pairwise((*starts, until)):
            yield from _pieces(start, end, None, 0, WIDTHS)
        return
    size = SIZES[step]
    for start, end, offset in segments(since, until, zone):
        shift = offset + -offset % QUARTER + (MONDAY if step is Step.week else 0)
        yield from _pieces(start, end, size, shift, [width for width in WIDTHS if width <= size])


def _pieces(since: int, until: int, size: int | None, shift: int, widths: Sequence[int]) -> Iterator[Piece]:
    if since == until:
        return
    width, *narrower = widths
    first, last = since + -since % width, until - until % width
    if first >= last:
        yield from _pieces(since, until, size, shift, narrower)
        return
    cut = 0 if size is None else -shift % width  # how long after the beginning of a bucket a period may begin
    tail = 2 * cut >= width  # what comes after that is the smaller part
    lead = width - QUARTER if cut and not tail else 0
    yield Piece(width=width, since=first, until=last, size=size, shift=shift, lead=lead)
    if size is not None and cut:
        for narrow, begins, ends in _parts(cut if tail else 0, width if tail else cut, narrower):
            moved = Moved(width=width, first=begins, last=ends, back=-size if tail else size)
            yield Piece(width=narrow, since=first, until=last, size=size, shift=shift, moved=moved)
    yield from _pieces(since, first, size, shift, narrower)
    yield from _pieces(last, until, size, shift, narrower)


def _parts(since: int, until: int, widths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(width, since, until) of what a part of a bucket is made of, the widest first."""
    if since == until:
        return
    width, *narrower = widths
    first, last = since + -since % width, until - until % width
    if first >= last:
        yield from _parts(since, until, narrower)
        return
    yield width, first, last
    yield from _parts(since, first, narrower)
    yield from _parts(last, until, narrower)
