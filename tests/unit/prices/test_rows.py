from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.prices.match import AllOf, AnyOf, Contains, EndsWith, Equals, Match, Regex, StartsWith
from spangate.prices.rates import Rate, Tier
from spangate.prices.rows import DAY, Hours, Override, Price

PICOS = st.integers(0, 10**15)
RATES = st.dictionaries(
    st.sampled_from(["input", "output", "cache_read", "request"]),
    st.builds(
        lambda base, tiers: Rate(base, tuple(Tier(above, rate) for above, rate in sorted(tiers.items()))),
        PICOS,
        st.dictionaries(st.integers(0, 10**9), PICOS, max_size=2),
    ),
)
NAMES = st.text(min_size=1, max_size=20)
CLAUSES = (
    st.builds(Equals, NAMES)
    | st.builds(StartsWith, NAMES)
    | st.builds(EndsWith, NAMES)
    | st.builds(Contains, NAMES)
    | st.builds(Regex, st.sampled_from(["^a", r"\d+$"]))
)
MATCHES: st.SearchStrategy[Match] = st.recursive(
    CLAUSES, lambda inner: st.lists(inner, min_size=1, max_size=3).map(tuple).flatmap(lambda of: st.sampled_from([AnyOf(of), AllOf(of)]))
)
TIMES = st.integers(0, DAY - 1)
PRICES = st.builds(
    lambda start, lasts, **said: Price(effective_from=start, effective_to=None if start is None else start + lasts, source="x", **said),
    st.none() | st.integers(-(10**13), 10**13),
    st.integers(1, 10**12),
    provider=NAMES,
    model=NAMES,
    match=MATCHES,
    order=st.integers(0, 1000),
    when=st.dictionaries(NAMES, NAMES, max_size=2),
    rates=RATES,
    hours=st.lists(st.builds(Hours, TIMES, TIMES, RATES), max_size=2).map(tuple),
    of=st.none() | NAMES,
    uncounted=st.lists(NAMES, max_size=2).map(tuple),
)
PRICE = Price(provider="openai", model="gpt", match=Equals("gpt"), rates={"input": Rate(1)}, source="x")


@given(PRICES)
def test_a_price_reads_back_as_it_was_written(price: Price) -> None:
    assert msgspec.json.decode(msgspec.json.encode(price), type=Price) == price


@pytest.mark.parametrize(
    "said",
    [
        {"rates": {"input": Rate(2)}},
        {"rates": {"input": Rate(1, (Tier(5, 2),))}},
        {"rates": {"output": Rate(1)}},
        {"provider": "azure"},
        {"model": "gpt-5"},
        {"when": {"processing": "batch"}},
        {"effective_from": 5},
        {"hours": (Hours(0, 1, {}),)},
    ],
)
def test_a_price_that_says_something_else_has_another_id(said: dict[str, object]) -> None:
    assert msgspec.structs.replace(PRICE, price_id="", **said).price_id != PRICE.price_id


def test_the_same_price_has_the_same_id_whoever_says_it_and_whenever_it_ends() -> None:
    again = Price(
        provider="openai",
        model="gpt",
        match=StartsWith("gpt"),
        order=9,
        rates={"input": Rate(1)},
        effective_to=5,
        source="y",
        uncounted=("web_searches_kcount",),
    )
    # Written down: rows of a database name it.
    assert again.price_id == PRICE.price_id == "p-ba991a74f241b62e"
    both = {"input": Rate(1), "output": Rate(2)}
    turned = {"output": Rate(2), "input": Rate(1)}
    ids = {msgspec.structs.replace(PRICE, price_id="", rates=rates).price_id for rates in (both, turned)}
    assert len(ids) == 1


def test_an_override_reads_back_and_keeps_its_id_when_it_is_renamed_or_ends() -> None:
    one = Override(name="one", model="gpt*", multiplier=Decimal("0.90"))
    assert msgspec.json.decode(msgspec.json.encode(one), type=Override) == one
    assert Override(name="two", model="gpt*", multiplier=Decimal("0.90"), effective_to=9).override_id == one.override_id
    assert Override(name="one", model="gpt*", multiplier=Decimal("0.91")).override_id != one.override_id
    assert one.override_id.startswith("o-")


RATE = {"input": {"base": 1}}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"model": "m"}, "either rates or a multiplier"),
        ({"model": "m", "rates": RATE, "multiplier": "1"}, "either rates or a multiplier"),
        ({"model": "m", "rates": {}}, "at least one class"),
        ({"rates": RATE}, "for an endpoint, a secret, a provider or a model"),
        ({"model": "", "rates": RATE}, "length >= 1"),
        ({"model": "m", "rates": RATE, "effective_from": 5, "effective_to": 5}, "must end after it begins"),
        ({"model": "m", "rates": {"inputs": {"base": 1}}}, "Invalid enum value 'inputs'"),
        ({"model": "m", "rates": {"input": {"base": -1}}}, "`int` >= 0"),
        ({"model": "m", "rates": {"input": {"base": 1.5}}}, "Expected `int`"),
        ({"model": "m", "rates": {"input": {"base": 10**16}}}, "`int` <= 1000000000000000"),
        ({"model": "m", "rates": {"input": {"base": 1, "tiers": [{"above": 5, "rate": 1}, {"above": 5, "rate": 2}]}}}, "tiers ascend"),
        ({"model": "m", "multiplier": "-0.1"}, "between 0 and 1000"),
        ({"model": "m", "multiplier": "1000.1"}, "between 0 and 1000"),
        ({"model": "m", "multiplier": "NaN"}, "between 0 and 1000"),
        ({"model": "m", "multiplier": "1E+999999"}, "between 0 and 1000"),
        ({"model": "m", "multiplier": "1E-999999"}, "between 0 and 1000"),
        ({"model": "m", "rates": RATE, "modle": "m"}, "unknown field `modle`"),
    ],
)
def test_an_override_that_cannot_be_is_refused_in_words(said: dict[str, object], wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=wrong):
        msgspec.convert({"name": "n", **said}, Override)


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="no regular expression"):
        msgspec.convert({"is": "regex", "pattern": "("}, Regex)
