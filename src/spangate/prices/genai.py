"""genai-prices' data as prices of ours: https://github.com/pydantic/genai-prices. The package itself says what holds at a moment; we ask
it for each moment at which that may change, so that its rules are not written down twice.

The package takes half a second to import: it is, where it is used.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from .match import AllOf, AnyOf, Contains, EndsWith, Equals, Match, Regex, StartsWith
from .rates import Class, Rate, Rates, Tier
from .rows import DAY, Hours, Price

if TYPE_CHECKING:
    from genai_prices import types as package

SOURCE = "genai-prices"

CLASSES: dict[str, Class] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
    "requests_kcount": "request",
}
TOKEN, REQUEST = 1_000_000, 1_000_000_000  # picodollars of one, where the data has a dollar: for a million tokens, a thousand requests
EVER = datetime(1, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The data has no rates for what is free, nor for what it does not know the price of. Free are OpenRouter's models that say so in their
# name, and these (ai.google.dev/gemini-api/docs/pricing; platform.openai.com/docs/models/omni-moderation-latest).
FREE = frozenset(
    {
        ("google", "gemma-3"),
        ("google", "gemma-3n"),
        ("google", "gemma-4-26b-a4b-it"),
        ("google", "gemma-4-31b-it"),
        ("openai", "moderation"),
    }
)
FOR_FREE: Rates = {"input": Rate(0), "output": Rate(0)}


class Unreadable(ValueError):
    """What was fetched is no price list of genai-prices."""


def installed() -> list[Price]:
    """All prices that the installed package knows."""
    from genai_prices.data import providers

    return list(_prices(providers))


def parse(document: bytes) -> list[Price]:
    """The prices in a document that the project publishes (genai_prices.update_prices.DEFAULT_UPDATE_URL). Raises Unreadable."""
    from genai_prices import types

    try:
        raw = json.loads(document)
        if not isinstance(raw, list) or not raw:
            raise ValueError("not a list of providers")
        providers = types._providers_from_raw(raw)  # pyright: ignore[reportPrivateUsage] - as its own UpdatePrices does
        # Read back, so that what does not fit our bounds ends here and not where it is read from the database.
        return msgspec.json.decode(msgspec.json.encode(list(_prices(providers))), type=list[Price])
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, msgspec.MsgspecError) as error:
        raise Unreadable(f"this is no price list of genai-prices: {str(error).partition(chr(10))[0]}") from None


def _prices(providers: "Sequence[package.Provider]") -> Iterator[Price]:
    by_id = {provider.id: provider for provider in providers}
    for provider in providers:
        lenders = [by_id[name] for name in provider.fallback_model_providers or () if name in by_id]
        models = ((owner, model) for owner in (provider, *lenders) for model in owner.models)
        taken: set[str] = set()
        taken: set[str] = set()
        for order, (owner, model) in enumerate(models):
            lent = owner is not provider
            name = f"{owner.id}/{model.id}" if model.id in taken else model.id
            taken.add(name)
            free = model.id.endswith(":free") or (owner.id, model.id) in FREE
            # As the package has it, whoever lends a price lends the standard one only.
            for when in [{}] if lent else _conditions(model):
                for start, end, rates, hours in _dated(model, when):
                    yield Price(
                        provider=provider.id,
                        # Another model than the provider's own of that name: it is for other names, and comes after it.
                        model=name,
                        match=_match(model.match),
                        order=order,
                        when=when,
                        rates=FOR_FREE if free and not rates else rates,
                        hours=hours,
                        effective_from=start,
                        effective_to=end,
                        source=SOURCE,
                        of=owner.id if lent else None,
                        uncounted=_uncounted(model, start),
                    )


def _conditions(model: "package.ModelInfo") -> list[dict[str, str]]:
    conditions: list[dict[str, str]] = [{}]
    for variant in model.price_variants or ():
        if variant.when not in conditions:
            conditions.append(variant.when)
    return conditions


_Said = tuple[Rates, tuple[Hours, ...]]


def _dated(model: "package.ModelInfo", when: dict[str, str]) -> Iterator[tuple[int | None, int | None, Rates, tuple[Hours, ...]]]:
    """The rates under one condition, anew each time that they change. None while the condition changes nothing."""
    days = [EVER, *_days(model)]
    said: list[_Said | None] = [_said(model, day, when) for day in days]
    if when:
        said = [None if special == _said(model, day, {}) else special for special, day in zip(said, days, strict=True)]
    runs = [(what, next(days)[0]) for what, days in groupby(zip(days, said, strict=True), key=lambda pair: pair[1])]
    ends = [*(_ms(day) for _, day in runs[1:]), None]
    for (what, day), end in zip(runs, ends, strict=True):
        if what is not None:
            yield None if day is EVER else _ms(day), end, *what


def _said(model: "package.ModelInfo", day: datetime, when: dict[str, str]) -> _Said:
    """The rates of most of a day, and the hours with others."""
    times = _times(model)
    if not times:
        return _rates(model.get_prices(day, when)), ()
    slices = [
        Hours(start, end, _rates(model.get_prices(day + timedelta(milliseconds=start), when)))
        for start, end in zip(times, [*times[1:], times[0]], strict=True)
    ]
    lasting = [sum((other.end - other.start) % DAY or DAY for other in slices if other.rates == one.rates) for one in slices]
    usual = slices[lasting.index(max(lasting))].rates
    return usual, tuple(one for one in slices if one.rates != usual)


def _days(model: "package.ModelInfo") -> list[datetime]:
    """The UTC days on which something of its prices may change."""
    from genai_prices.types import StartDateConstraint

    days = {each.start_date for each in _constraints(model) if isinstance(each, StartDateConstraint)}
    return [datetime.combine(day, time(), UTC) for day in sorted(days)]


def _times(model: "package.ModelInfo") -> list[int]:
    """The times of day at which something of its prices may change, in ms after midnight UTC."""
    from genai_prices.types import TimeOfDateConstraint

    hours = [each for each in _constraints(model) if isinstance(each, TimeOfDateConstraint)]
    return sorted({_after_midnight(each) for one in hours for each in (one.start_time, one.end_time)})


def _constraints(model: "package.ModelInfo") -> "list[package.StartDateConstraint | package.TimeOfDateConstraint | None]":
    dated = [price.constraint for price in model.prices] if isinstance(model.prices, list) else []
    return [*dated, *(variant.constraint for variant in model.price_variants or ())]


def _rates(price: "package.ModelPrice") -> Rates:
    return {CLASSES[key]: _rate(value, REQUEST if key == "requests_kcount" else TOKEN) for key, value in _keys(price) if key in CLASSES}


def _uncounted(model: "package.ModelInfo", start: int | None) -> tuple[str, ...]:
    day = EVER if start is None else EPOCH + timedelta(milliseconds=start)
    prices = [model.get_prices(day + timedelta(milliseconds=time)) for time in _times(model) or [0]]
    return tuple(sorted({key for price in prices for key, _ in _keys(price) if key not in CLASSES}))


def _keys(price: "package.ModelPrice") -> "list[tuple[str, Decimal | package.TieredPrices]]":
    return [(key, value) for key, value in vars(price).items() if value is not None]


def _rate(value: "Decimal | package.TieredPrices", unit: int) -> Rate:
    if isinstance(value, Decimal):
        return Rate(_pico(value, unit))
    return Rate(_pico(value.base, unit), tuple(Tier(tier.start, _pico(tier.price, unit)) for tier in value.tiers))


def _pico(dollars: Decimal, unit: int) -> int:
    # Some rates are what floats left over of a division: 0.13999999999999999.
    return int((dollars * unit).to_integral_value(ROUND_HALF_EVEN))


def _match(clause: "package.MatchLogic") -> Match:
    from genai_prices import types

    match clause:
        case types.ClauseEquals():
            return Equals(clause.equals.lower())
        case types.ClauseStartsWith():
            return StartsWith(clause.starts_with.lower())
        case types.ClauseEndsWith():
            return EndsWith(clause.ends_with.lower())
        case types.ClauseContains():
            return Contains(clause.contains.lower())
        case types.ClauseRegex():
            return Regex(clause.regex)
        case types.ClauseOr():
            return AnyOf(tuple(_match(each) for each in clause.or_))
        case _:
            return AllOf(tuple(_match(each) for each in clause.and_))


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _after_midnight(moment: time) -> int:
    since = timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)
    return ((since - (moment.utcoffset() or timedelta())) // timedelta(milliseconds=1)) % DAY
