"""What an export says, line by line, whoever wrote it."""

import datetime
from collections.abc import Collection, Iterable

import msgspec

from ..prices.cost import PART_OF

TOTAL = "total"  # money that is told for all classes together
REQUEST = "request"  # counts of calls, and fees that no token is charged for
INPUTS = ("input", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "audio_input", "image_input")
PARENTS: dict[str, str] = {**PART_OF}
CLASSES = (*INPUTS, "output", "audio_output", "image_output")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One number of an export. `tokens` and `cost` are None where the row does not say; picodollars."""

    day: datetime.date  # UTC
    model: str | None  # None: what was paid for is no model
    key: str | None = None  # the provider's own id or name of its API key
    cls: str
    tokens: int | None = None
    cost: int | None = None
    requests: int | None = None
    generation: str | None = None
    tier: str | None = None  # "batch" or the provider's word for a service tier, where it is not the usual one
    what: str = ""  # of a fee: the provider's words
    again: str = ""  # where it stands, if the same row stood in the export before


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines of one row have in common."""

    day: datetime.date
    model: str | None
    key: str | None = None
    generation: str | None = None
    tier: str | None = None
    again: str = ""

    def line(self, cls: str, *, tokens: int | None = None, cost: int | None = None, requests: int | None = None, what: str = "") -> Line:
        return Line(
            day=self.day,
            model=self.model,
            key=self.key,
            cls=cls,
            tokens=tokens,
            cost=cost,
            requests=requests,
            generation=self.generation,
            tier=self.tier,
            what=what,
            again=self.again,
        )


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """All files of one export, read."""

    format: str
    provider: str | None  # MLflow's name of who wrote it; None: anybody
    lines: tuple[Line, ...]
    classes: frozenset[str]  # the token classes that it tells apart; none: it has no tokens
    slack: int = 1  # picodollars that each cost may be off, as it is rounded
    unique: bool = True  # no two calls make the same row: one that is there again was counted twice
    notes: tuple[str, ...] = ()

    @property
    def priced(self) -> bool:
        return any(line.cost is not None for line in self.lines)

    @property
    def days(self) -> tuple[datetime.date, datetime.date] | None:
        """The first and the last; None: it is empty."""
        days = {line.day for line in self.lines}
        return (min(days), max(days)) if days else None


def fold(cls: str, into: Collection[str]) -> str:
    """The class of `into` that a class is a part of."""
    while cls not in into and cls != TOTAL:
        cls = PARENTS.get(cls, TOTAL)
    return cls


def folded(tokens: Iterable[tuple[str, int]], into: Collection[str]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for cls, count in tokens:
        cls = fold(cls, into)
        sums[cls] = sums.get(cls, 0) + count
    return {cls: count for cls, count in sums.items() if count}
