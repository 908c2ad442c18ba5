import json

import pytest

from spangate.prices import genai, modelsdev
from spangate.prices.check import Comparison, Disagreement, compare
from spangate.prices.match import Equals, StartsWith
from spangate.prices.rates import Rate, Rates, Tier
from spangate.prices.rows import Price
from spangate.providers import catalog

NOW = 1_795_370_000_000  # 2026-11-22


def price(source: str, model: str, provider: str = "openai", **more: object) -> Price:
    said: dict[str, object] = {"match": Equals(model), "source": source, "provider": provider, "model": model, **more}
    return Price(**said)  # type: ignore[arg-type]


def first(model: str, rates: Rates, **more: object) -> Price:
    return price("first", model, rates=rates, **more)


def second(model: str, rates: Rates, **more: object) -> Price:
    return price("second", model, rates=rates, **more)


def test_a_rate_that_both_have_and_that_differs_is_told_with_both_and_their_ratio() -> None:
    ours = first("gpt", {"input": Rate(100), "output": Rate(7), "cache_read": Rate(0)}, match=StartsWith("gpt"), effective_from=5)
    theirs = second("gpt-5", {"input": Rate(150), "output": Rate(7), "cache_read": Rate(1)})
    found = compare([ours], [theirs], NOW)
    said = {"provider": "openai", "model": "gpt", "second_model": "gpt-5", "first_source": "first", "second_source": "second"}
    since = {"price_id": ours.price_id, "effective_from": 5}
    assert found == Comparison(
        disagreements=(
            Disagreement(**said, **since, token_class="cache_read", first=0, second=1),
            Disagreement(**said, **since, token_class="input", first=100, second=150),
        ),
        agreed=1,
        first_only=0,
        second_only=0,
    )
    assert [each.ratio for each in found.disagreements] == [None, 1.5]


def test_what_only_one_has_is_counted_and_no_disagreement() -> None:
    known = [
        first("both", {"input": Rate(1), "audio_input": Rate(2)}),
        first("mine", {"input": Rate(1), "output": Rate(1)}),
        first("lent", {"input": Rate(1)}, of="azure"),
        first("elsewhere", {"input": Rate(1)}, provider="groq"),
        first("both", {"input": Rate(9)}, when={"processing": "batch"}),
        first("both", {"input": Rate(9)}, effective_to=NOW),
    ]
    other = [
        second("both", {"input": Rate(1), "reasoning": Rate(3)}),
        second("theirs", {"input": Rate(1), "output": Rate(1), "cache_read": Rate(1)}),
        second("far", {"input": Rate(1)}, provider="xai"),
    ]
    assert compare(known, other, NOW) == Comparison(disagreements=(), agreed=1, first_only=3, second_only=5)


@pytest.mark.parametrize(
    ("ours", "theirs", "differ"),
    [
        (Rate(1, (Tier(200_000, 2),)), Rate(1), [(200_000, 2, 1)]),
        (Rate(1), Rate(1, (Tier(200_000, 2),)), [(200_000, 1, 2)]),
        (Rate(1, (Tier(199_999, 2),)), Rate(1, (Tier(200_000, 2),)), []),
        (Rate(1, (Tier(5, 2),)), Rate(3, (Tier(5, 4),)), [(0, 1, 3), (5, 2, 4)]),
        (Rate(1, (Tier(5, 1),)), Rate(3), [(0, 1, 3)]),
    ],
)
def test_tiers_are_compared_each(ours: Rate, theirs: Rate, differ: list[tuple[int, int, int]]) -> None:
    found = compare([first("gpt", {"input": ours})], [second("gpt", {"input": theirs})], NOW)
    assert [(each.above, each.first, each.second) for each in found.disagreements] == differ
    assert found.agreed == (not differ)


def test_models_dev_has_prices_for_every_provider_of_the_catalogue_that_has_some() -> None:
    wanted = {row.names.prices for row in catalog().values() if row.names.prices and not row.in_process}
    assert {each.provider for each in modelsdev.installed()} == set(modelsdev.PROVIDERS.values()) >= wanted


def test_the_two_sources_mostly_agree() -> None:
    found = compare(genai.installed(), modelsdev.installed(), NOW)
    assert found.agreed > 2 * len(found.disagreements) > 0
    assert found.agreed > 500


def test_models_devs_dollars_are_picodollars_a_token() -> None:
    cost = {
        "input": 1.25,
        "output": 10,
        "cache_read": 0.125,
        "input_audio": 0.7,
        "context_over_200k": {"input": 2.5},
        "tiers": [
            {"input": 5, "tier": {"type": "context", "size": 272_000}},
            {"input": 2.5, "output": 15, "tier": {"type": "context", "size": 200_000}},
            {"input": 99, "tier": {"type": "moon", "size": 1}},
        ],
    }
    models = {"Gemini-X": {"cost": cost}, "unpriced": {"cost": None}, "silent": {}, "free": {"cost": {"input": 0, "output": 0}}}
    document = json.dumps({"google": {"id": "google", "models": models}, "elsewhere": {"models": {"m": {"cost": {"input": 1}}}}})
    said = {"provider": "google", "source": "models-dev"}
    assert modelsdev.parse(document.encode()) == [
        Price(
            **said,
            model="Gemini-X",
            match=Equals("gemini-x"),
            rates={
                "input": Rate(1_250_000, (Tier(200_000, 2_500_000), Tier(272_000, 5_000_000))),
                "output": Rate(10_000_000, (Tier(200_000, 15_000_000),)),
                "cache_read": Rate(125_000),
                "audio_input": Rate(700_000),
            },
        ),
        Price(**said, model="free", match=Equals("free"), order=3, rates={"input": Rate(0), "output": Rate(0)}),
    ]


@pytest.mark.parametrize(
    ("published", "wrong"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"openai": {"models": {"m": {"cost": {"input": -1}}}}}', ">= 0"),
        (b'{"openai": {"models": {"m": {"cost": {"input": 1e99}}}}}', "<= 1000000000000000"),
        (b'{"openai": {"models": {"m": {"cost": {"input": 1e999999}}}}}', "no price list"),
        (b'{"openai": {"models": {"m": {"cost": {"input": "NaN"}}}}}', "NaN"),
    ],
)
def test_what_is_no_price_list_is_refused_in_words(published: bytes, wrong: str) -> None:
    with pytest.raises(modelsdev.Unreadable, match=wrong):
        modelsdev.parse(published)
