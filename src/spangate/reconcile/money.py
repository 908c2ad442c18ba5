"""What the tokens that differ come to, and what of the money they do not explain: the price."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..prices.cost import usd
from .case import Case, Draft
from .cells import Cell, Place
from .lines import CLASSES, TOTAL, Export, fold
from .report import Cause

MILLION = 1_000_000
STEADY = 0.01  # by so much may a price's ratio to ours differ between days


@dataclass(frozen=True)
class Rates:
    """Picodollars a token, by class: what it likely costs, and at least and at most."""

    likely: Mapping[str, Fraction]
    low: Mapping[str, Fraction]
    high: Mapping[str, Fraction] | None  # None: it may cost anything

    @property
    def exact(self) -> bool:
        return self.low == self.high

    def value(self, tokens: Mapping[str, int]) -> int:
        return round(_come(tokens, self.likely))

    def covers(self, tokens: Mapping[str, int], estimated: Mapping[str, int], money: int, allowed: int) -> bool:
        """Whether the tokens may come to this, whatever finer classes they are of, and those that we estimated."""
        if self.high is None:
            return bool(tokens)
        low = sum((_come({cls: count}, self.low if count > 0 else self.high) for cls, count in tokens.items()), Fraction(0))
        high = sum((_come({cls: count}, self.high if count > 0 else self.low) for cls, count in tokens.items()), Fraction(0))
        spread = _come(estimated, self.high) - _come(estimated, self.low)
        return low - spread - allowed <= money <= high + spread + allowed


def _flat(rate: Fraction, *, sure: bool) -> Rates:
    return Rates({TOTAL: rate}, {TOTAL: rate}, {TOTAL: rate} if sure else None)


def _come(tokens: Mapping[str, int], rates: Mapping[str, Fraction]) -> Fraction:
    return sum((count * rates.get(fold(cls, rates.keys()), Fraction(0)) for cls, count in tokens.items()), Fraction(0))


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
    rates = {cls: Fraction(rate) for cls, rate in (cell.rates or {}).items()}
    # A rounding a call is what a multiplied price may be off by. Where the price does not come to our cost, it has tiers or fees.
    if not rates or cell.unpriced or abs(_come(cell.fine, rates) - cell.our_cost) > cell.attempts:
        return _flat(Fraction(cell.our_cost, cell.fine.total()), sure=False)
    likely, low, high = dict[str, Fraction](), dict[str, Fraction](), dict[str, Fraction]()
    for cls in sorted(export.classes or CLASSES):
        inner = {fine: rates.get(fold(fine, rates.keys()), Fraction(0)) for fine in CLASSES if fold(fine, export.classes or {fine}) == cls}
        inner = {fine: rate for fine, rate in inner.items() if fine in rates} or inner
        counts = {fine: cell.fine[fine] for fine in inner}
        low[cls], high[cls] = min(inner.values()), max(inner.values())
        total = sum(counts.values())
        likely[cls] = _come(counts, inner) / total if total else rates.get(fold(cls, rates.keys()), Fraction(0))
    return Rates(likely, low, high)


def settle(case: Case, export: Export, known: Known) -> None:
    """Gives each draft its cost, and makes one of what the price explains."""
    drafts = [draft for draft in case.drafts if draft.cost is None]
    rates = known.of(case.place)
    if not export.priced:
        for draft in drafts:
            draft.cost = None if rates is None else rates.value(draft.tokens)
        return
    if case.cell.unpriced and case.theirs:  # ours comes to nothing that could be compared: theirs on average
        rates = _flat(Fraction(case.their_cost, sum(case.theirs.values())), sure=True)
    rates = rates or _flat(Fraction(0), sure=False)
    tokens = Counter[str]()
    for draft in drafts:
        tokens.update(draft.tokens)
    fits = rates.covers(tokens, case.cell.estimated, case.money, case.allowed)
    for draft in drafts:
        draft.cost = rates.value(draft.tokens)
        case.money -= draft.cost
    if drafts and fits:
        largest = max(drafts, key=lambda draft: sum(abs(count) for count in draft.tokens.values()))
        largest.cost = (largest.cost or 0) + case.money
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
    if rates is not None and rates.high is not None and not rates.exact:
        words.append("the file does not tell cached input apart: it may also be that")
    return words or [f"they charge ${usd(case.their_cost)}, the ledger has no cost"]


def _rate(cost: int, tokens: int) -> str:
    return f"${usd(round(Fraction(cost * MILLION, tokens)) // 100_000_000 * 100_000_000)}"
