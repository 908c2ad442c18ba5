"""Our book and the package that it is made from agree, for every model, at every moment at which something changes."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

import msgspec
import pytest
from genai_prices import types as package
from genai_prices.data import providers

from spangate.prices import genai
from spangate.prices.book import Book
from spangate.prices.cost import Billed, Cost
from spangate.prices.match import AllOf, AnyOf, EndsWith, Equals, StartsWith
from spangate.prices.rates import Rate, Tier
from spangate.prices.rows import Hours, Price
from spangate.wire.usage import Usage

PICO = 10**12
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
EDGES = (0, 0, 0, 32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288)  # all at which a tier ends

# Their name of each class of ours; all of theirs that are not here are said to be zero.
KEYS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_5m": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "reasoning": "output_reasoning_tokens",
    "audio_input": "input_audio_tokens",
    "audio_output": "output_audio_tokens",
    "image_input": "input_image_tokens",
    "image_output": "output_image_tokens",
}
# Conditions that no usage tells of yet.
UNTOLD = {"speed", "route", "search_type"}
# Rates that are the rest of a division of floats, no whole number of picodollars: ours is the nearest.
INEXACT = {"openrouter", "huggingface_together"}


@cache
def book() -> Book:
    return Book(genai.installed(), names={provider.id: provider.id for provider in providers})


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def owner_of(provider: package.Provider, model: package.ModelInfo) -> package.Provider:
    candidates = [provider, *(each for name in provider.fallback_model_providers or () for each in providers if each.id == name)]
    return next(each for each in candidates if any(model is own for own in each.models))


def texts(clause: package.MatchLogic) -> Iterator[str]:
    match clause:
        case package.ClauseOr():
            for each in clause.or_:
                yield from texts(each)
        case package.ClauseAnd():
            for each in clause.and_:
                yield from texts(each)
        case package.ClauseRegex():
            yield clause.regex.strip("^$")
        case _:
            yield next(iter(vars(clause).values()))


def names(models: list[package.ModelInfo]) -> list[str]:
    found = {text for model in models for text in (model.id, *texts(model.match))}
    spelled = {variant for text in found for variant in (text, text.upper(), f"{text}-latest", f"{text}-20251211", f"vendor/{text}")}
    compact = {text.replace("-2025-", "-2025").replace("-2024-", "-2024") for text in found}
    return sorted(spelled | compact)


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_a_name_means_the_same_model(provider: package.Provider) -> None:
    lent = [model for name in provider.fallback_model_providers or () for each in providers if each.id == name for model in each.models]
    foreign = random.Random(7).sample(names([model for each in providers for model in each.models]), 200)
    for name in (*names(provider.models + lent), *foreign, "no-such-model", ""):
        theirs = provider.find_model(name, all_providers=providers)
        ours = book().find(Billed(at=ms(NOW), provider=provider.id, model=name))
        if theirs is None:
            assert ours is None, name
            continue
        owner = owner_of(provider, theirs)
        assert ours is not None, name
        assert ours.price is not None
        assert ours.price.model in (theirs.id, f"{owner.id}/{theirs.id}"), name
        assert ours.price.of == (None if owner is provider else owner.id), name


def conditions(model: package.ModelInfo) -> list[dict[str, str]]:
    return [{}, *(variant.when for variant in model.price_variants or () if not variant.when.keys() & UNTOLD)]


def moments(model: package.ModelInfo) -> list[datetime]:
    """Before and after each change of its prices, and each time of day that matters."""
    dated = [price.constraint for price in model.prices] if isinstance(model.prices, list) else []
    constraints = [*dated, *(variant.constraint for variant in model.price_variants or ())]
    found = {datetime(2023, 1, 1, tzinfo=UTC), NOW}
    for each in constraints:
        if isinstance(each, package.StartDateConstraint):
            start = datetime.combine(each.start_date, datetime.min.time(), UTC)
            found |= {start - timedelta(milliseconds=1), start}
    for each in constraints:
        if isinstance(each, package.TimeOfDateConstraint):
            for edge in (each.start_time, each.end_time):
                times = [datetime.combine(day.date(), edge) for day in list(found)]
                found |= {time + step for time in times for step in (timedelta(), -timedelta(milliseconds=1))}
    return sorted(found)


def usage(dice: random.Random) -> Usage:
    """Any that is possible: parts do not exceed the whole."""

    def some() -> int:
        return dice.choice((0, dice.randrange(2_000), dice.randrange(150_000)))

    brief, long, other, read, audio, image, text = (some() for _ in range(7))
    reasoning, spoken, drawn, said = (some() for _ in range(4))
    return Usage(
        input=max(brief + long + other + read + audio + image + text, dice.choice(EDGES) + dice.randrange(2)),
        output=reasoning + spoken + drawn + said,
        cache_read=read,
        cache_write=brief + long + other,
        cache_write_5m=brief,
        cache_write_1h=long,
        audio_input=audio,
        image_input=image,
        reasoning=reasoning,
        audio_output=spoken,
        image_output=drawn,
    )


def their_usage(ours: Usage) -> package.Usage:
    said = dict.fromkeys(package._reported_usage_keys(), 0)
    return package.Usage(**said | {theirs: getattr(ours, name) for name, theirs in KEYS.items()})


def prices(
    provider: package.Provider, model: package.ModelInfo, dice: random.Random
) -> Iterator[tuple[object, Usage, Cost | None, package.PriceCalculation]]:
    name = next((name for name in (model.id, *texts(model.match)) if provider.find_model(name, all_providers=providers) is model), None)
    if name is None:
        return  # an earlier one takes all its names
    for when in conditions(model):
        for moment in moments(model):
            used = usage(dice)
            billed = Billed(
                at=ms(moment),
                provider=provider.id,
                model=name,
                service_tier=when.get("service_tier"),
                batch="processing" in when,
                usage=used,
            )
            theirs = model.calc_price(their_usage(used), provider, genai_request_timestamp=moment, price_context=when)
            yield (name, when, moment), used, book().cost(billed), theirs


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_a_usage_comes_to_the_same(provider: package.Provider) -> None:
    dice = random.Random(provider.id)
    lent = [model for name in provider.fallback_model_providers or () for each in providers if each.id == name for model in each.models]
    for model in (*provider.models, *lent):
        for case, used, ours, theirs in prices(provider, model, dice):
            rates = {key for key, value in vars(theirs.model_price).items() if value is not None}
            if ("input_mtok" not in rates and used.input) or ("output_mtok" not in rates and used.output):
                # They say zero for what they have no rate for; we only for what is known to be free.
                assert ours is None or (ours.total == 0 and not rates), case
                continue
            assert ours is not None, case
            fee = theirs.total_price - theirs.input_price - theirs.output_price
            exact = (theirs.input_price + fee) * PICO, theirs.output_price * PICO
            if (ours.input, ours.output) != exact:
                assert provider.id in INEXACT, (case, used)
                assert abs(ours.input - exact[0]) <= Decimal(used.input or 0) / 2, (case, used)
                assert abs(ours.output - exact[1]) <= Decimal(used.output or 0) / 2, (case, used)


def listed(name: str, provider: str = "openai", **more: object) -> Cost | None:
    used = Usage(input=1_000_000, output=1_000_000)
    billed = Billed(at=ms(NOW), provider=provider, model=name, usage=used, **more)  # type: ignore[arg-type]
    return book().cost(billed)


def dollars(cost: Cost | None) -> tuple[Decimal, Decimal] | None:
    return cost and (Decimal(cost.input) / PICO, Decimal(cost.output) / PICO)


def test_a_batch_and_a_tier_of_service_pay_what_the_price_page_says() -> None:
    # https://developers.openai.com/api/docs/pricing, as of 2026-10-14
    assert dollars(listed("gpt-5-mini")) == (Decimal("0.25"), 2)
    assert dollars(listed("gpt-5-mini", service_tier="default")) == (Decimal("0.25"), 2)
    assert dollars(listed("gpt-5-mini", service_tier="flex")) == (Decimal("0.125"), 1)
    assert dollars(listed("gpt-5-mini", service_tier="priority")) == (Decimal("0.45"), Decimal("3.6"))
    assert dollars(listed("gpt-5-mini", batch=True)) == (Decimal("0.125"), 1)
    # Who borrows a price borrows the standard one.
    assert dollars(listed("gpt-5-mini", provider="azure", batch=True)) == (Decimal("0.25"), 2)


@pytest.mark.parametrize(
    ("provider", "name"),
    [("google", "gemma-4-31b-it"), ("openai", "omni-moderation-latest"), ("openrouter", "deepseek/deepseek-r1:free")],
)
def test_what_is_free_costs_nothing_and_is_known_to(provider: str, name: str) -> None:
    cost = listed(name, provider)
    assert cost is not None
    assert cost.total == 0


def test_what_has_no_rate_is_unknown() -> None:
    assert listed("whisper-1") is None
    assert listed("stealth/crouton-alpha", "openrouter") is None


def test_every_price_has_an_id_of_its_own_and_reads_back() -> None:
    prices = genai.installed()
    assert len({price.price_id for price in prices}) == len(prices) > 3000
    assert msgspec.json.decode(msgspec.json.encode(prices), type=list[Price]) == prices
    assert genai.installed() == prices


def document(**model: object) -> bytes:
    said = {"id": "m", "match": {"or": [{"equals": "M"}, {"and": [{"starts_with": "m-"}, {"ends_with": "x"}]}]}, **model}
    return json.dumps([{"id": "openai", "name": "OpenAI", "api_pattern": "openai", "models": [said]}]).encode()


def test_a_published_document_becomes_a_row_for_each_time_and_condition() -> None:
    off_peak = {"start_time": "22:00:00+00:00", "end_time": "02:30:00+02:00"}
    found = genai.parse(
        document(
            prices=[
                {
                    "prices": {
                        "input_mtok": 0.1,
                        "output_mtok": {"base": 1, "tiers": [{"start": 200000, "price": 2.5}]},
                        "requests_kcount": 5,
                    }
                },
                {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": 0.2, "web_searches_kcount": 10}},
                {"constraint": off_peak, "prices": {"input_mtok": 0.05}},
            ],
            price_variants=[{"when": {"service_tier": "flex"}, "prices": {"input_mtok": 0.01}}],
        )
    )
    said = {
        "provider": "openai",
        "model": "m",
        "match": AnyOf((Equals("m"), AllOf((StartsWith("m-"), EndsWith("x"))))),
        "source": "genai-prices",
    }
    new_year = 1_767_225_600_000
    night = 22 * 3_600_000, 1_800_000  # 02:30 two hours east of Greenwich
    besides = {"output": Rate(1_000_000, (Tier(200_000, 2_500_000),)), "request": Rate(5_000_000_000)}
    cheap = (Hours(*night, {"input": Rate(50_000)}),)
    flex = {"when": {"service_tier": "flex"}}
    searches = {"uncounted": ("web_searches_kcount",)}
    assert found == [
        Price(**said, rates={"input": Rate(100_000), **besides}, hours=cheap, effective_to=new_year),
        Price(**said, rates={"input": Rate(200_000)}, hours=cheap, effective_from=new_year, **searches),
        Price(
            **said,
            **flex,
            rates={"input": Rate(10_000), **besides},
            hours=(Hours(*night, {"input": Rate(10_000)}),),
            effective_to=new_year,
        ),
        Price(**said, **flex, rates={"input": Rate(10_000)}, effective_from=new_year, **searches),
    ]


@pytest.mark.parametrize(
    ("published", "wrong"),
    [
        (b"", "Expecting value"),
        (b"{}", "not a list of providers"),
        (b"[]", "not a list of providers"),
        (b"[1]", "1 validation error"),
        (b"\xff", "invalid start byte"),
        (b"[" * 100_000, "recursion"),
        (document(prices={"input_mtok": -1}), ">= 0"),
        (document(prices={"input_mtok": "NaN"}), "validation error"),
        (document(prices={"input_mtok": 1e300}), "<= 1000000000000000"),
        (document(prices={"input_mtok": {"base": 1, "tiers": [{"start": 5, "price": 2}, {"start": 5, "price": 3}]}}), "tiers ascend"),
        (document(prices=[]), "index out of range"),
        (document(match={"regex": "("}, prices={"input_mtok": 1}), "no regular expression"),
        (document(id="", prices={"input_mtok": 1}), "length >= 1"),
    ],
)
def test_what_is_no_price_list_is_refused_in_words(published: bytes, wrong: str) -> None:
    with pytest.raises(genai.Unreadable, match=wrong):
        genai.parse(published)
