"""The price book: what was in force when, for whom. What it does not know, it does not price."""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType

import msgspec

from .cost import Billed, Cost, cost
from .rates import Class, Rate, Rates, Tier
from .rows import Hours, Misfit, Override, Price
from .shelf import Shelf

__all__ = ["Book", "Class", "Hours", "Misfit", "Override", "Price", "Rate", "Rates", "Terms", "Tier"]

REMEMBERED = 4096  # kinds of calls; ~1 KB each


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a call pays under, and why: the book's price, an admin's rates, or the book's price scaled."""

    price_id: str  # the price's, the override's, or of a scaled price both: "o-….p-…"
    rates: Rates
    price: Price | None = None
    override: Override | None = None
    hours: Hours | None = None  # in these only
    multiplier: Fraction | None = None

    def in_force(self, at: int) -> bool:
        return (
            (self.override is None or self.override.in_force(at))
            and (self.price is None or self.price.in_force(at))
            and (self.hours is None or self.hours.cover(at))
        )


class Book:
    """Prices and overrides, looked up. Immutable: what was found for a call is found again without looking.

    `prices` may say of one model at one time several things: the last of those that start last is believed. `names` has the book's
    id of each provider that the catalogue has prices for.
    """

    def __init__(
        self, prices: Iterable[Price], overrides: Iterable[Override] = (), names: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.prices = tuple(prices)
        self.overrides = tuple(sorted(overrides, key=_precedence, reverse=True))
        self.names = dict(names)
        by_provider: dict[str, list[Price]] = {}
        for price in self.prices:
            by_provider.setdefault(price.provider, []).append(price)
        self._shelves = {provider: Shelf(of) for provider, of in by_provider.items()}
        self._found: dict[tuple[object, ...], tuple[Terms, ...]] = {}

    def cost(self, billed: Billed) -> Cost | None:
        """None: nobody said a price for these tokens, or nobody counted them."""
        terms = self.find(billed)
        return None if terms is None else cost(terms.price_id, terms.rates, billed.usage, terms.multiplier)

    def find(self, billed: Billed) -> Terms | None:
        """The price of the model that answered, else of the one that was asked for; the most specific override goes before it."""
        key = (
            billed.provider,
            billed.model,
            billed.response_model,
            billed.service_tier,
            billed.batch,
            billed.endpoint_id,
            billed.secret_id,
        )
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= REMEMBERED:  # the names are the callers'
                self._found.clear()
            found = self._found[key] = tuple(self._all(billed))
        for terms in found:
            if terms.in_force(billed.at):
                return terms
        return None

    def _all(self, billed: Billed) -> Iterator[Terms]:
        """Whatever this call might pay under at any time, by precedence."""
        listed = tuple(self._listed(billed))
        for override in self.overrides:
            if not override.covers(billed):
                continue
            if override.rates is not None:
                yield Terms(price_id=override.override_id, rates=override.rates, override=override)
            else:
                yield from (_scaled(terms, override) for terms in listed)
        yield from listed

    def _listed(self, billed: Billed) -> Iterator[Terms]:
        shelf = self._shelves.get(self.names.get(billed.provider, ""))
        if shelf is None:
            return
        circumstances = _circumstances(billed)
        for name in dict.fromkeys((billed.response_model or billed.model, billed.model)):
            for price in shelf.prices(name, circumstances):
                for hours in price.hours:
                    yield Terms(price_id=price.price_id, rates=hours.rates, price=price, hours=hours)
                yield Terms(price_id=price.price_id, rates=price.rates, price=price)


def _scaled(terms: Terms, override: Override) -> Terms:
    both = f"{override.override_id}.{terms.price_id}"
    return msgspec.structs.replace(terms, price_id=both, override=override, multiplier=Fraction(override.multiplier or 0))


def _precedence(override: Override) -> tuple[object, ...]:
    model = 0 if override.model is None else 1 if "*" in override.model else 2
    scopes = (override.endpoint_id is not None, override.secret_id is not None, model, override.provider is not None)
    return (*scopes, float("-inf") if override.effective_from is None else override.effective_from, override.name)


def _circumstances(billed: Billed) -> dict[str, str]:
    """What a price's `when` asks about."""
    # Vertex says ON_DEMAND_FLEX where the Gemini API says flex; Anthropic's tier of a batch is "batch".
    tier = (billed.service_tier or "").lower().removeprefix("on_demand_")
    batch = {"processing": "batch"} if billed.batch or tier == "batch" else {}
    return {"service_tier": tier, **batch}
