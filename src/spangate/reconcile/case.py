"""A cell while it is taken apart: what is left to explain, and what was found so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .cells import Cell, Place
from .lines import Export
from .report import Cause, Finding


@dataclass
class Draft:
    """A finding before the money of its cell is shared out. `cost` is None until then."""

    cause: Cause
    tokens: dict[str, int]
    evidence: tuple[str, ...]
    cost: int | None = None


@dataclass
class Case:
    place: Place
    cell: Cell
    tolerance: float
    theirs: dict[str, int]  # tokens by class, without what was found to be there twice
    their_cost: int  # likewise
    left: dict[str, int]  # tokens by class, theirs minus ours, that are not explained yet
    money: int  # picodollars, theirs minus ours, that no draft with a cost explains
    drafts: list[Draft] = field(default_factory=list[Draft])

    def take(self, cause: Cause, tokens: Mapping[str, int], *evidence: str, cost: int | None = None) -> None:
        """A cause for some of what is left."""
        self.left = minus(self.left, tokens)
        self.money -= cost or 0
        self.drafts.append(Draft(cause, dict(tokens), evidence, cost))

    def repeated(self, tokens: Mapping[str, int], cost: int | None, *evidence: str) -> None:
        """Theirs, counted once too often; what they count without it is what all else is held against."""
        self.theirs = minus(self.theirs, tokens)
        self.their_cost -= cost or 0
        self.take(Cause.doubled, tokens, *evidence, cost=cost)

    @property
    def allowed(self) -> int:
        """Picodollars that are no difference: the tolerance, and what rounding may have done."""
        return int(self.tolerance * max(abs(self.their_cost), abs(self.cell.our_cost))) + self.cell.slack

    def significant(self) -> dict[str, int]:
        """Of what is left, the classes that are off by more than the tolerance."""
        ours = self.cell.ours
        return {cls: n for cls, n in self.left.items() if abs(n) > self.tolerance * max(self.theirs.get(cls, 0), ours[cls])}

    def findings(self) -> list[Finding]:
        day, model, key = self.place
        return [
            Finding(cause=one.cause, day=day, model=model, key=key, tokens=one.tokens, cost=one.cost, evidence=one.evidence)
            for one in self.drafts
        ]


def opened(place: Place, cell: Cell, export: Export, tolerance: float) -> Case:
    return Case(
        place=place,
        cell=cell,
        tolerance=tolerance,
        theirs=dict(cell.theirs),
        their_cost=cell.their_cost,
        left=minus(cell.theirs, cell.ours),
        money=cell.their_cost - cell.our_cost if export.priced else 0,
    )


def minus(these: Mapping[str, int], those: Mapping[str, int]) -> dict[str, int]:
    left = {cls: these.get(cls, 0) - those.get(cls, 0) for cls in sorted({*these, *those})}
    return {cls: count for cls, count in left.items() if count}
