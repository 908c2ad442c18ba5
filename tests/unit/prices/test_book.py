from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest

from spangate.prices import book as module
from spangate.prices.book import Book, Hours, Override, Price, Rate, Rates, Terms
from spangate.prices.cost import Billed, Cost
from spangate.prices.match import AllOf, AnyOf, Contains, EndsWith, Equals, Match, Regex, StartsWith
from spangate.wire.usage import Usage

HOUR, DAY = 3_600_000, 86_400_000
USED = Usage(input=10, output=1)
NAMES = {"openai": "openai", "gemini": "google"}


def rates(spent: int, made: int = 0) -> Rates:
    return {"input": Rate(spent), "output": Rate(made)}


def price(model: str, spent: int, *, match: Match | None = None, provider: str = "openai", **more: object) -> Price:
    return Price(provider=provider, model=model, match=match or Equals(model), rates=rates(spent), source="test", **more)  # type: ignore[arg-type]


def override(name: str, spent: int | None = None, **more: object) -> Override:
    return Override(name=name, rates=None if spent is None else rates(spent), **more)  # type: ignore[arg-type]


def call(model: str = "gpt", *, at: int = 100, provider: str = "openai", **more: object) -> Billed:
    return Billed(at=at, provider=provider, model=model, usage=USED, **more)  # type: ignore[arg-type]


@dataclass
class Ask:
    book: Book

    def rate(self, model: str = "gpt", **more: object) -> int | None:
        """Of an input token, in picodollars."""
        cost = self.book.cost(call(model, **more))  # type: ignore[arg-type]
        return None if cost is None else cost.input // 10


def ask(*prices: Price, overrides: tuple[Override, ...] = ()) -> Ask:
    return Ask(Book(prices, overrides, NAMES))


def test_a_price_is_found_by_the_catalogues_name_of_the_provider() -> None:
    found = ask(price("gpt", 3), price("gpt", 5, provider="google"))
    assert found.rate() == 3
    assert found.rate(provider="gemini") == 5
    assert found.rate(provider="google") is None
    assert found.rate(provider="vllm") is None


def test_the_cost_names_its_price() -> None:
    one = price("gpt", 3)
    assert Book([one], names=NAMES).cost(call()) == Cost(price_id=one.price_id, input=30, output=0)
    assert Book([one], names=NAMES).find(call()) == Terms(price_id=one.price_id, rates=one.rates, price=one)


def test_tokens_that_nobody_counted_cost_nobody_knows_what() -> None:
    assert Book([price("gpt", 3)], names=NAMES).cost(msgspec.structs.replace(call(), usage=Usage())) is None


@pytest.mark.parametrize(
    ("match", "names", "not_names"),
    [
        (Equals("gpt-5"), ["gpt-5", "GPT-5"], ["gpt-5-mini", ""]),
        (StartsWith("gpt-5"), ["gpt-5", "gpt-5-mini"], ["x-gpt-5"]),
        (EndsWith("mini"), ["gpt-5-mini"], ["mini-5"]),
        (Contains("claude"), ["us.claude-4"], ["clade"]),
        (Regex(r"^gpt-\d$"), ["gpt-5", "gpt-6"], ["gpt-five"]),
        (AnyOf((Equals("a"), AnyOf((Equals("b"), StartsWith("c"))))), ["a", "b", "c1"], ["d"]),
        (AllOf((StartsWith("a"), EndsWith("z"))), ["abz"], ["ab", "bz"]),
        (
            Equals("gpt-5.2-2025-12-11"),
            ["gpt-5.2-20251211", "gpt-5.2-2025-12-11"],
            ["gpt-5.2-20251311", "gpt-5.2-20250230", "gpt-5.2-20251212"],
        ),
    ],
)
def test_names_match(match: Match, names: list[str], not_names: list[str]) -> None:
    found = ask(price("m", 3, match=match))
    assert {name: found.rate(name) for name in names} == dict.fromkeys(names, 3)
    assert {name: found.rate(name) for name in not_names} == dict.fromkeys(not_names)
    assert [name for name in names if match.matches(name.lower())] == [name for name in names if "20251211" not in name]


def test_of_two_models_that_match_the_first_in_order_is_meant() -> None:
    wide, narrow = price("wide", 1, match=StartsWith("gpt"), order=1), price("narrow", 2, match=Equals("gpt-5"), order=0)
    assert ask(wide, narrow).rate("gpt-5") == 2
    assert ask(wide, msgspec.structs.replace(narrow, order=2)).rate("gpt-5") == 1


def test_the_model_that_answered_goes_before_the_one_that_was_asked_for() -> None:
    found = ask(price("gpt-4", 4), price("gpt-5", 5))
    assert found.rate("gpt-4", response_model="gpt-5") == 5
    assert found.rate("gpt-4", response_model="unheard-of") == 4
    assert found.rate("deployment", response_model="gpt-5") == 5
    assert found.rate("deployment") is None


def test_a_price_holds_from_its_first_moment_to_before_its_end() -> None:
    found = ask(
        price("gpt", 1, effective_to=100), price("gpt", 2, effective_from=100, effective_to=200), price("gpt", 3, effective_from=300)
    )
    assert {at: found.rate(at=at) for at in (-5, 99, 100, 199, 200, 299, 300)} == {
        -5: 1,
        99: 1,
        100: 2,
        199: 2,
        200: None,
        299: None,
        300: 3,
    }


def test_of_prices_for_one_time_the_later_start_is_believed_then_the_later_word() -> None:
    assert ask(price("gpt", 2, effective_from=50), price("gpt", 1)).rate() == 2
    assert ask(price("gpt", 1), price("gpt", 2)).rate() == 2


def test_a_model_that_is_no_more_leaves_its_names_to_the_next() -> None:
    gone, heir = price("gone", 1, match=StartsWith("gpt"), order=0, effective_to=100), price("heir", 2, match=Equals("gpt"), order=1)
    assert [ask(gone, heir).rate(at=at) for at in (99, 100)] == [1, 2]


def test_a_time_of_day_has_rates_of_its_own() -> None:
    night = Hours(23 * HOUR, HOUR, rates(1))
    noon = Hours(12 * HOUR, 13 * HOUR, rates(5))
    found = ask(price("gpt", 3, hours=(night, noon)))
    hours = {hour: found.rate(at=20_000 * DAY + int(hour * HOUR)) for hour in (0, 0.99, 1, 11.99, 12, 12.99, 13, 22.99, 23)}
    assert hours == {0: 1, 0.99: 1, 1: 3, 11.99: 3, 12: 5, 12.99: 5, 13: 3, 22.99: 3, 23: 1}


def test_a_tier_of_service_and_a_batch_have_prices_of_their_own() -> None:
    found = ask(
        price("gpt", 10),
        price("gpt", 5, when={"service_tier": "flex"}, effective_from=50),
        price("gpt", 4, when={"processing": "batch"}),
        price("gpt", 1, when={"speed": "fast"}),
    )
    assert found.rate() == 10
    assert {tier: found.rate(service_tier=tier) for tier in ("flex", "FLEX", "ON_DEMAND_FLEX", "default", "batch", "")} == {
        "flex": 5,
        "FLEX": 5,
        "ON_DEMAND_FLEX": 5,
        "default": 10,
        "batch": 4,
        "": 10,
    }
    assert found.rate(service_tier="flex", at=49) == 10
    assert found.rate(batch=True) == found.rate(batch=True, service_tier="flex") == 4


def test_rates_of_an_override_stand_in_place_of_the_books() -> None:
    mine = override("mine", 7, model="gpt*", effective_from=100, effective_to=200)
    found = ask(price("gpt", 3), overrides=(mine,))
    assert {at: found.rate(at=at) for at in (99, 100, 199, 200)} == {99: 3, 100: 7, 199: 7, 200: 3}
    assert found.book.find(call()) == Terms(price_id=mine.override_id, rates=mine.rates or {}, override=mine)
    assert found.rate("gpt-of-our-own", provider="vllm") == 7
    assert found.rate("other", provider="vllm") is None


def test_a_multiplier_scales_the_books_price_and_names_both() -> None:
    one, discount = price("gpt", 30, hours=(Hours(0, HOUR, rates(10)),)), override("tenth off", multiplier=Decimal("0.9"), secret_id="s")
    book = Book([one], [discount], NAMES)
    assert book.cost(call(secret_id="s", at=2 * HOUR)) == Cost(price_id=f"{discount.override_id}.{one.price_id}", input=270)
    assert book.cost(call(secret_id="s", at=0)) == Cost(price_id=f"{discount.override_id}.{one.price_id}", input=90)
    assert book.cost(call(secret_id="t", at=2 * HOUR)) == Cost(price_id=one.price_id, input=300)


def test_a_multiplier_without_a_price_leaves_the_word_to_the_next() -> None:
    discount = override("discount", multiplier=Decimal("0.5"), endpoint_id="e")
    assert ask(overrides=(discount,)).rate(endpoint_id="e") is None
    assert ask(overrides=(discount, override("own", 7, model="gpt"))).rate(endpoint_id="e") == 7


# Each goes before those that stand after it.
PRECEDENCE = [
    override("all", 1, endpoint_id="e", secret_id="s", model="gpt", provider="openai"),
    override("endpoint, secret", 2, endpoint_id="e", secret_id="s"),
    override("endpoint, model", 3, endpoint_id="e", model="gpt"),
    override("endpoint, pattern", 4, endpoint_id="e", model="*"),
    override("endpoint, provider", 5, endpoint_id="e", provider="openai"),
    override("endpoint", 6, endpoint_id="e"),
    override("secret, model", 7, secret_id="s", model="gpt"),
    override("secret", 8, secret_id="s"),
    override("model, provider", 9, model="gpt", provider="openai"),
    override("model, later", 10, model="gpt", effective_from=60),
    override("model, earlier", 11, model="gpt", effective_from=50),
    override("model", 12, model="gpt"),
    override("pattern", 13, model="g*"),
    override("provider", 14, provider="openai"),
]


@pytest.mark.parametrize("first", range(len(PRECEDENCE)), ids=[each.name for each in PRECEDENCE])
def test_the_most_specific_override_goes_first(first: int) -> None:
    found = ask(price("gpt", 99), overrides=tuple(reversed(PRECEDENCE[first:])))
    assert found.rate(endpoint_id="e", secret_id="s") == first + 1
    assert found.rate("other", provider="vllm", endpoint_id="x", secret_id="y") is None


@pytest.mark.parametrize(
    ("pattern", "names", "not_names"),
    [
        ("gpt-*", ["gpt-5", "GPT-5", "gpt-"], ["gpt", "my-gpt-5"]),
        ("*", ["anything", ""], []),
        ("GPT", ["gpt"], ["gpt-5"]),
        ("a?[b]", ["a?[b]"], ["axb", "a?b"]),
        ("*-mini-*", ["gpt-mini-2025", "x\n-mini-"], ["gpt-mini"]),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_does(pattern: str, names: list[str], not_names: list[str]) -> None:
    one = override("one", 7, model=pattern)
    assert all(one.covers(call(name)) and one.covers(call("\0", response_model=name)) for name in names)
    assert not any(one.covers(call(name)) for name in not_names)


def test_what_was_found_is_remembered_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    found = ask(price("m", 3, match=StartsWith("m")))
    assert [found.rate(f"m{number}") for number in range(10)] == [3] * 10
    assert found.book.find(call("m9")) is found.book.find(call("m9", at=5))
