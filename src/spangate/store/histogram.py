"""How long calls took, in bins that can be added up: of a day's histograms the sum is the day's, which no list of percentiles gives.

Bin k holds the durations from 2^(k/8) ms up to, not including, 2^((k+1)/8) ms; the first takes what is shorter too, and the
last (from about an hour on) what is longer. So a quantile is wrong by less than a bin's width: a factor of 2^(1/8), 9 %.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping

STEPS = 8  # bins that a duration doubles in
BINS = 175  # 2^(175/8) ms are an hour and four minutes
_STARTS = [round(1_000_000 * 2 ** (index / STEPS)) for index in range(BINS)]  # ns


class Histogram:
    """Counts by bin. As bytes, pairs of varints for each bin that has any: how many bins after the last one, and its count."""

    __slots__ = ("_bins",)

    def __init__(self, bins: Mapping[int, int] | None = None) -> None:
        self._bins = dict(bins or {})

    @classmethod
    def of(cls, data: bytes) -> "Histogram":
        self = cls()
        index = -1
        for ahead, count in _pairs(data):
            index += ahead
            self._bins[index] = count
        return self

    def __bytes__(self) -> bytes:
        data = bytearray()
        last = -1
        for index in sorted(self._bins):
            _write(data, index - last)
            _write(data, self._bins[index])
            last = index
        return bytes(data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._bins == other._bins

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    @property
    def count(self) -> int:
        return sum(self._bins.values())

    def add(self, ns: int) -> None:
        index = max(0, bisect_right(_STARTS, ns) - 1)
        self._bins[index] = self._bins.get(index, 0) + 1

    def merge(self, other: "Histogram") -> None:
        for index, count in other._bins.items():
            self._bins[index] = self._bins.get(index, 0) + count

    def quantile(self, p: float) -> float | None:
        """The duration, in ms, that the share `p` (0 to 1) of the calls did not exceed; None: there are no calls.

        Within the bin, the calls are taken to be spread evenly over the logarithm.
        """
        rank = p * self.count
        before = 0
        for index in sorted(self._bins):
            here = self._bins[index]
            if before + here >= rank:
                return 2 ** ((index + (rank - before) / here) / STEPS)
            before += here
        return None


def merged(parts: Mapping[bytes, int]) -> Histogram:
    """The sum of histograms as they are stored, each so many times: of narrow buckets many are the same, one call in one bin.

    Below zero: so many that were added before, or will be, are taken out.
    """
    bins = [0] * BINS
    for data, times in parts.items():
        index = -1
        for ahead, count in _pairs(data):
            index += ahead
            bins[index] += times * count
    return Histogram({index: count for index, count in enumerate(bins) if count})


def _write(data: bytearray, number: int) -> None:
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)


def _pairs(data: bytes) -> Iterator[tuple[int, int]]:
    numbers = iter(data if data.isascii() else _numbers(data))  # no byte above 127: each is a number
    return zip(numbers, numbers, strict=True)


def _numbers(data: bytes) -> list[int]:
    numbers: list[int] = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            numbers.append(number)
            number = shift = 0
    return numbers
