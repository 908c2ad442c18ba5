"""Which rollups a range is read from: each call once, out of the widest buckets that lie in one period of the series.

Whole UTC days are read as days. A period that does not begin with one (a day in Berlin) is read from hours, and what begins between two
hours (a day in Kolkata, the edges of a range) from quarters of them.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import Any

from msgspec import Struct

from .periods import DAY, HOUR, QUARTER, WEEK, Step, segments

MONDAY = 3 * DAY  # 1970 began on a Thursday
SIZES = {Step.quarter: QUARTER, Step.hour: HOUR, Step.day: DAY, Step.week: WEEK}


class Piece(Struct, frozen=True, kw_only=True):
    """Buckets of one width, from `since` to before `until`. All in ms."""

    width: int
    since: int
    until: int
    size: int | None = None  # of the periods that it is cut into; None: it lies in one
    shift: int = 0  # what takes a moment to its phase: 0 where a period begins
    instead: int | None = None  # only where a bucket of this width lies in two periods

    def conditions(self, bucket: Any) -> Iterator[Any]:
        """What holds for a bucket of the piece, told of a number or of a column."""
        yield bucket >= self.since
        yield bucket < self.until
        if _torn(self.width, self.size, self.shift):
            yield self._phase(bucket) + self.width <= self.size
        if self.instead is not None:
            yield self._phase(bucket - bucket % self.instead) + self.instead > self.size

    def period(self, bucket: Any) -> Any:
        """When its period began, had the clocks never been changed; None: the piece lies in one."""
        return None if self.size is None else bucket - self._phase(bucket)

    def index(self, starts: Sequence[int], period: int | None) -> int:
        """Which of the periods that begin at `starts` that is."""
        return bisect_right(starts, self.since if period is None else max(period, self.since)) - 1

    def _phase(self, bucket: Any) -> Any:
        return (bucket + self.shift) % self.size


def pieces(since: int, until: int, starts: Sequence[int], step: Step | None, zone: tzinfo) -> Iterator[Piece]:
    """What adds up to a range of whole quarters of an hour, and to each of its periods."""
    if step is None or step is Step.month:
        for start, end in pairwise((*starts, until)):
            yield from _pieces(start, end, None, 0)
        return
    for start, end, offset in segments(since, until, zone):
        shift = offset + -offset % QUARTER + (MONDAY if step is Step.week else 0)
        yield from _pieces(start, end, SIZES[step], shift)


def _pieces(since: int, until: int, size: int | None, shift: int) -> Iterator[Piece]:
    left: list[tuple[int, int, int | None]] = [(since, until, None)]
    for width in (DAY, HOUR, QUARTER):
        torn = _torn(width, size, shift)
        if size is not None and (size < width or (size == width and torn)):  # no bucket lies in one period
            continue
        narrower: list[tuple[int, int, int | None]] = []
        for start, end, instead in left:
            first, last = start + -start % width, end - end % width
            if first >= last:
                narrower.append((start, end, instead))
                continue
            yield Piece(width=width, since=first, until=last, size=size, shift=shift, instead=instead)
            narrower += [(start, first, instead), (last, end, instead)]
            if torn:
                narrower.append((first, last, width))
        left = [span for span in narrower if span[0] < span[1]]


def _torn(width: int, size: int | None, shift: int) -> bool:
    """Whether buckets of a width lie in two periods here and there."""
    return size is not None and shift % width != 0
