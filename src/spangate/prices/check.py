"""Two sources of prices, held against each other. Where they differ one of them is wrong, and somebody should look which."""

from collections.abc import Container, Iterable

import msgspec

from .book import Book
from .cost import Billed
from .rates import Class, Rate
from .rows import Price


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """One rate, in picodollars a unit, as either source has it."""

    provider: str  # the price book's id
    model: str  # the first's name
    second_model: str
    token_class: Class
    above: int = 0  # input tokens: in calls of more
    first: int
    second: int
    first_source: str
    second_source: str
    price_id: str  # the first's
    effective_from: int | None  # ms; since when the first has it

    @property
    def ratio(self) -> float | None:
        """How many times the first's rate the second's is. None: the first's is zero."""
        return self.second / self.first if self.first else None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`disagreements` by provider, model and class. The counts are of rates: a class of a model."""

    disagreements: tuple[Disagreement, ...]
    agreed: int
    first_only: int  # of the providers that both know
    second_only: int


def compare(first: Iterable[Price], second: Iterable[Price], at: int, *, only: Container[str] | None = None) -> Comparison:
    """The standard rates of both at a moment (ms), where both have one. A name of the second's means what the first finds by it.

    `only`: ids of the first's prices; of others nothing is said or counted.
    """
    known, other = _standard(first, at), _standard(second, at)
    providers = {price.provider for price in known} & {price.provider for price in other}
    book = Book(known, names={name: name for name in providers})
    found: list[Disagreement] = []
    met: set[tuple[str, Class]] = set()
    agreed = second_only = 0
    for theirs in other:
        terms = book.find(Billed(at=at, provider=theirs.provider, model=theirs.model))
        ours = None if terms is None else terms.price
        if only is not None and (ours is None or ours.price_id not in only):
            continue
        for name, rate in theirs.rates.items():
            if ours is None or name not in ours.rates:
                second_only += 1
                continue
            met.add((ours.price_id, name))
            differing = list(_differing(ours.rates[name], rate))
            agreed += not differing
            found += (_disagreement(ours, theirs, name, *each) for each in differing)
    told = (price for price in known if price.provider in providers and price.of is None and (only is None or price.price_id in only))
    own = {(price.price_id, name) for price in told for name in price.rates}
    return Comparison(
        disagreements=tuple(sorted(found, key=lambda each: (each.provider, each.model, each.second_model, each.token_class, each.above))),
        agreed=agreed,
        first_only=len(own - met),
        second_only=second_only,
    )


def _standard(prices: Iterable[Price], at: int) -> list[Price]:
    return [price for price in prices if not price.when and price.in_force(at)]


def _differing(first: Rate, second: Rate) -> Iterable[tuple[int, int, int]]:
    """Above how many input tokens they differ, and how."""
    before: tuple[int, int] | None = None
    for above in sorted({0, *(tier.above for rate in (first, second) for tier in rate.tiers)}):
        # One writes 199,999 where the other writes 200,000: what a single token more or less pays is no disagreement.
        both = first.at(above + 2 if above else 0), second.at(above + 2 if above else 0)
        if both[0] != both[1] and both != before:
            yield above, *both
        before = both


def _disagreement(ours: Price, theirs: Price, name: Class, above: int, first: int, second: int) -> Disagreement:
    return Disagreement(
        provider=ours.provider,
        model=ours.model,
        second_model=theirs.model,
        token_class=name,
        above=above,
        first=first,
        second=second,
        first_source=ours.source,
        second_source=theirs.source,
        price_id=ours.price_id,
        effective_from=ours.effective_from,
    )
