"""What the tokens that differ come to, and what of the money they do not explain: the price."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..prices.cost import usd
from .case import Case, Draft
from .cells import Cell, Place
from .lines import PARENTS, TOTAL, Export
from .report import Cause

MILLION = 1_000_000
ROUGH = 0.05  # share of a cell's money below which nothing is said of its price, where our rates are only averages
STEADY = 0.01  # by so much may a price's ratio to ours differ between days


@dataclass
class Rates:
    """Picodollars a token. `exact`: the price's own, and they come to what the ledger has; else what our tokens cost on average."""

    of: Mapping[str, Fraction]
    exact: bool

    def value(self, tokens: Mapping[str, int]) -> int:
        return round(sum((count * self._rate(cls) for cls, count in tokens.items()), Fraction(0)))

    def _rate(self, cls: str) -> Fraction:
        while cls not in self.of and cls != TOTAL:
            cls = PARENTS.get(cls, TOTAL)
        return self.of.get(cls, Fraction(0))


class Known:
    """The rates of each cell; where the ledger has nothing, those of the same model on other days."""

    def __init__(self, cases: Iterable[Case], export: Export) -> None:
        self._cells: dict[Place, Rates] = {}
        models: dict[str, list[Rates]] = {}
        for case in cases:
            if (rates := _rates(case.cell, export)) is not None:
                self._cells[case.place] = rates
                models.setdefault(case.place[1], []).append(rates)
        self._models = {model: next((one for one in found if one.exact), found[0]) for model, found in models.items()}

    def of(self, place: Place) -> Rates | None:
        return self._cells.get(place) or self._models.get(place[1])


def _rates(cell: Cell, export: Export) -> Rates | None:
    if not cell.prices or not cell.fine.total():
        return None
    exact = Rates({cls: Fraction(rate) for cls, rate in (cell.rates or {}).items()}, exact=True)
    told = all(cls in export.classes for cls, count in cell.fine.items() if count)
    # A rounding a call is what a multiplied price may be off by.
    if cell.rates and told and not cell.unpriced and abs(exact.value(cell.fine) - cell.our_cost) <= cell.attempts:
        return exact
    return Rates({TOTAL: Fraction(cell.our_cost, cell.fine.total())}, exact=False)


def settle(case: Case, export: Export, known: Known) -> None:
    """Gives each draft its cost, and makes one of what the price explains."""
    drafts = [draft for draft in case.drafts if draft.cost is None]
    rates = known.of(case.place)
    if not export.priced:
        for draft in drafts:
            draft.cost = None if rates is None else rates.value(draft.tokens)
        return
    if case.cell.unpriced and case.theirs:  # ours comes to nothing that could be compared: theirs on average
        rates = Rates({TOTAL: Fraction(case.their_cost, sum(case.theirs.values()))}, exact=True)
    for draft in drafts:
        draft.cost = 0 if rates is None else rates.value(draft.tokens)
        case.money -= draft.cost
    largest = max((abs(case.their_cost), abs(case.cell.our_cost)))
    if drafts and (rates is None or (not rates.exact and abs(case.money) <= ROUGH * largest)):
        biggest = max(drafts, key=lambda draft: sum(abs(count) for count in draft.tokens.values()))
        biggest.cost = (biggest.cost or 0) + case.money
        case.money = 0
    if abs(case.money) > case.allowed:
        case.drafts.append(Draft(Cause.price, {}, tuple(_said(case, known)), case.money))
        case.money = 0


def only_money(cases: Iterable[Case]) -> None:
    """Without tokens a price cannot be told from calls that are missing: it is one if it is off by the same share each day."""
    ratios: dict[tuple[str, str], list[Fraction]] = {}
    priced = [(case, draft) for case in cases for draft in case.drafts if draft.cause is Cause.price]
    for case, _ in priced:
        if case.cell.our_cost:
            ratios.setdefault(case.place[1:], []).append(Fraction(case.their_cost, case.cell.our_cost))
    for case, draft in priced:
        found = ratios.get(case.place[1:], [])
        if not case.cell.unpriced and (len(found) < 2 or max(found) - min(found) > STEADY * max(found)):
            draft.cause = Cause.unexplained
            draft.evidence = (
                *draft.evidence,
                "the file has no tokens: give the export of the usage too, to tell a price from missing calls",
            )


def _said(case: Case, known: Known) -> list[str]:
    """Their rates beside ours."""
    cell, words = case.cell, list[str]()
    named = f" ({', '.join(sorted(cell.prices))})" if cell.prices else ""
    if cell.unpriced:
        words.append(f"{cell.unpriced} of our {cell.attempts} calls have no known price")
    rates = known.of(case.place)
    if rates is not None and rates.exact:
        for cls, cost in sorted(cell.their_costs.items()):
            if tokens := cell.theirs.get(cls, 0):
                ours, theirs = rates.value({cls: tokens}), cost
                if abs(theirs - ours) > case.tolerance * max(theirs, ours) + cell.slack:
                    words.append(f"{cls}: they charge {_rate(theirs, tokens)} a million tokens, our price is {_rate(ours, tokens)}{named}")
    if not words and cell.our_cost:
        ratio = float(Fraction(case.their_cost, cell.our_cost))
        words.append(f"they charge ${usd(case.their_cost)}, the ledger has ${usd(cell.our_cost)}: {ratio:.4g} times our price{named}")
    return words or [f"they charge ${usd(case.their_cost)}, the ledger has no cost"]


def _rate(cost: int, tokens: int) -> str:
    return f"${usd(round(Fraction(cost * MILLION, tokens)) // 100_000_000 * 100_000_000)}"
