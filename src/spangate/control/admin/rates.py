"""Rates as JSON has them: dollars as exact decimals in text, for a million tokens; for `request`, each."""

import datetime
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...prices import PICO, usd
from ...prices.book import Class, Price, Rate, Rates, Tier
from ...store.faults import Invalid
from ..moments import EPOCH

LARGEST = 1000 * PICO  # a unit
DOLLARS = re.compile(r"\d{1,10}(\.\d{1,18})?")

Usd = Annotated[str, Field(description="USD, such as `1.25`: for a million tokens, or for each call where the class is `request`.")]


class TierRow(BaseModel):
    """What a call with more input tokens than `above` pays, for all of its tokens."""

    model_config = ConfigDict(extra="forbid")

    above: int = Field(ge=0)
    usd: Usd


class RateRow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    usd: Usd
    tiers: list[TierRow] = Field(default=[], description="By the call's input tokens, cached ones included; ascending.")


class HoursRow(BaseModel):
    """Other rates, each day at this time in UTC."""

    start: datetime.time
    end: datetime.time
    rates: dict[Class, RateRow]


class PriceRow(BaseModel):
    """What a model cost in a time, under a condition. A class without a rate is paid as the one that it is a part of."""

    price_id: str
    provider: str = Field(description="The price book's own id of it: `names.prices` of the catalogue.")
    model: str = Field(description="The book's name; providers may have several for it.")
    when: dict[str, str] = Field(description="What must be true of a call, such as `service_tier`; {}: the standard price.")
    rates: dict[Class, RateRow]
    hours: list[HoursRow]
    effective_from: datetime.datetime | None = Field(description="null: since ever.")
    effective_to: datetime.datetime | None = Field(description="The first moment that it is not in force any more; null: it is.")
    source: str
    of: str | None = Field(description="The provider whose price this is, where the book has none of this provider's own.")
    uncounted: list[str] = Field(description="What is paid besides that no usage tells, such as web searches: not a part of any cost.")


def price_row(price: Price) -> PriceRow:
    return PriceRow(
        price_id=price.price_id,
        provider=price.provider,
        model=price.model,
        when=price.when,
        rates=rate_rows(price.rates),
        hours=[HoursRow(start=_time(hours.start), end=_time(hours.end), rates=rate_rows(hours.rates)) for hours in price.hours],
        effective_from=moment(price.effective_from),
        effective_to=moment(price.effective_to),
        source=price.source,
        of=price.of,
        uncounted=list(price.uncounted),
    )


def rate_rows(rates: Rates) -> dict[Class, RateRow]:
    return {
        name: RateRow(usd=shown(name, rate.base), tiers=[TierRow(above=tier.above, usd=shown(name, tier.rate)) for tier in rate.tiers])
        for name, rate in rates.items()
    }


def shown(name: Class, pico: int) -> str:
    return usd(pico * _units(name))


def parsed(given: Mapping[Class, RateRow | str]) -> Rates:
    """Raises Invalid where a text is no price that a whole number of picodollars can say."""
    rates: Rates = {}
    for name, said in given.items():
        row = RateRow(usd=said) if isinstance(said, str) else said
        try:
            rates[name] = Rate(_pico(name, row.usd), tuple(Tier(tier.above, _pico(name, tier.usd)) for tier in row.tiers))
        except ValueError as error:
            raise Invalid(f"Invalid rate for {name}: {error}.", field=f"rates.{name}") from None
    return rates


def moment(ms: int | None) -> datetime.datetime | None:
    return None if ms is None else EPOCH + datetime.timedelta(milliseconds=ms)


def ms(moment: datetime.datetime | None) -> int | None:
    """A time without a zone is UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    try:
        return (aware.astimezone(datetime.UTC) - EPOCH) // datetime.timedelta(milliseconds=1)
    except OverflowError:
        raise Invalid(f"Invalid time '{moment.isoformat()}': in UTC it is not in the years 1 to 9999.") from None


def _pico(name: Class, text: str) -> int:
    """Picodollars a unit. Raises ValueError in words."""
    if not DOLLARS.fullmatch(text):
        raise ValueError(f"'{text[:40]}' is no price; it is in USD, as a decimal such as \"1.25\"")
    pico = Decimal(text) * PICO / _units(name)
    if pico != int(pico):
        raise ValueError(f"{text} has more decimal places than can be kept exactly")
    if pico > LARGEST:
        raise ValueError(f"{text} is more than {shown(name, LARGEST)} USD")
    return int(pico)


def _units(name: Class) -> int:
    """How many are sold at the price that people say."""
    return 1 if name == "request" else 1_000_000


def _time(ms: int) -> datetime.time:
    return (EPOCH + datetime.timedelta(milliseconds=ms)).time()
