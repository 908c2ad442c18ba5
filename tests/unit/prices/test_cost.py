from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.prices.cost import LARGEST, PART_OF, PICO, Cost, cost, input_leaves, output_leaves, usd
from spangate.prices.rates import Class, Rate, Rates, Tier
from spangate.wire.usage import CEILING, Usage

COUNTS = st.none() | st.integers(0, 2000) | st.integers(0, CEILING)
USAGES = st.builds(
    Usage,
    input=COUNTS,
    output=COUNTS,
    cache_read=COUNTS,
    cache_write=COUNTS,
    cache_write_5m=COUNTS,
    cache_write_1h=COUNTS,
    reasoning=COUNTS,
    audio_input=COUNTS,
    audio_output=COUNTS,
    image_input=COUNTS,
    image_output=COUNTS,
)
CLASSES: list[Class] = ["input", "output", *PART_OF]
PICOS = st.integers(0, 10**9)
FLAT = st.builds(Rate, PICOS)
TIERED = st.builds(
    lambda base, tiers: Rate(base, tuple(Tier(above, rate) for above, rate in sorted(tiers.items()))),
    PICOS,
    st.dictionaries(st.integers(0, 3000), PICOS, max_size=3),
)


def books(rate: st.SearchStrategy[Rate]) -> st.SearchStrategy[Rates]:
    return st.fixed_dictionaries({"input": rate, "output": rate}, optional=dict.fromkeys(PART_OF, rate) | {"request": rate})


def rates(**picos: int) -> Rates:
    return {name: Rate(pico) for name, pico in picos.items()}  # type: ignore[misc]


@given(USAGES)
def test_leaves_are_the_input_and_the_output_and_nothing_twice(usage: Usage) -> None:
    for leaves, whole in ((list(input_leaves(usage)), usage.input), (list(output_leaves(usage)), usage.output)):
        assert sum(tokens for _, tokens in leaves) == (whole or 0)
        assert all(tokens > 0 for _, tokens in leaves)
        assert len({name for name, _ in leaves}) == len(leaves)


@given(USAGES, books(TIERED))
def test_a_cost_is_the_sum_of_its_tokens(usage: Usage, priced: Rates) -> None:
    found = cost("p", priced, usage)
    if not usage.known:
        assert found is None
        return
    assert found is not None
    whole = usage.input or 0

    def rate(name: Class) -> int:
        while name not in priced:
            name = PART_OF[name]
        return priced[name].at(whole)

    fee = priced["request"].at(whole) if "request" in priced else 0
    assert found.input == fee + sum(tokens * rate(name) for name, tokens in input_leaves(usage))
    assert found.output == sum(tokens * rate(name) for name, tokens in output_leaves(usage))
    assert found.total == found.input + found.output <= LARGEST
    assert found.input >= 0 <= found.output


@given(USAGES, books(FLAT), st.sampled_from(CLASSES), st.integers(1, 10_000))
def test_more_tokens_never_cost_less(usage: Usage, priced: Rates, name: Class, more: int) -> None:
    """Of a class and of the whole that it is in; within a tier."""
    grown = {each: getattr(usage, each) for each in Usage.__struct_fields__}
    if name in ("cache_write_5m", "cache_write_1h"):
        grown["cache_write"] = max(usage.cache_write or 0, (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)) + more
    parent = PART_OF.get(name, name)
    for each in {name, PART_OF.get(parent, parent)}:
        grown[each] = (grown[each] or 0) + more
    before, after = cost("p", priced, usage), cost("p", priced, Usage(**grown))
    assert after is not None
    assert before is None or (after.input >= before.input and after.output >= before.output)


@given(st.lists(st.tuples(st.integers(0, CEILING), st.integers(0, CEILING)), min_size=1, max_size=5), books(FLAT))
def test_of_plain_calls_the_cost_of_the_sum_is_the_sum_of_the_costs(calls: list[tuple[int, int]], priced: Rates) -> None:
    priced.pop("request", None)
    single = [cost("p", priced, Usage(input=spent, output=made)) for spent, made in calls]
    spent, made = (sum(side) for side in zip(*calls, strict=True))
    together = cost("p", priced, Usage(input=spent, output=made))
    assert together is None or together.total == sum(each.total for each in single if each is not None)
    assert None not in single


CACHED = Usage(input=100, output=10, cache_read=60, cache_write=30, cache_write_5m=10, cache_write_1h=15)


@pytest.mark.parametrize(
    ("priced", "spent"),
    [
        (rates(input=10, output=0, cache_read=1, cache_write=12, cache_write_5m=13, cache_write_1h=20), 10 * 10 + 60 + 5 * 12 + 130 + 300),
        (rates(input=10, output=0, cache_read=1, cache_write=12, cache_write_1h=20), 10 * 10 + 60 + 15 * 12 + 15 * 20),
        (rates(input=10, output=0, cache_read=1, cache_write=12), 10 * 10 + 60 + 30 * 12),
        (rates(input=10, output=0, cache_read=1), 10 * 10 + 60 + 30 * 10),
        (rates(input=10, output=0), 100 * 10),
        (rates(input=10, output=0, request=7), 100 * 10 + 7),
        (rates(input=0, output=0), 0),
    ],
)
def test_a_class_without_a_rate_is_paid_as_what_it_is_a_part_of(priced: Rates, spent: int) -> None:
    assert cost("p", priced, CACHED) == Cost(price_id="p", input=spent, output=0)


def test_tokens_of_two_classes_are_paid_as_what_the_cache_did() -> None:
    usage = Usage(input=100, output=0, cache_read=80, audio_input=100)
    assert list(input_leaves(usage)) == [("cache_read", 80), ("audio_input", 20)]


@pytest.mark.parametrize(
    ("usage", "priced"),
    [
        (Usage(), rates(input=1, output=1)),
        (Usage(cache_read=5), rates(input=1, output=1)),  # a part of nothing
        (Usage(input=1, output=1), rates(input=1)),
        (Usage(input=1, output=1), rates(output=1)),
        (Usage(input=2, output=0, cache_read=1), rates(cache_read=1, output=1)),
        (Usage(input=1, output=1), rates(request=1)),
        (Usage(input=1, output=1), {}),
        (Usage(input=CEILING, output=CEILING), rates(input=10**10, output=10**10)),  # no database could keep it
    ],
)
def test_what_nobody_counted_or_priced_is_unknown_and_not_free(usage: Usage, priced: Rates) -> None:
    assert cost("p", priced, usage) is None


def test_a_side_that_was_not_used_needs_no_rate() -> None:
    assert cost("p", rates(input=3), Usage(input=2)) == Cost(price_id="p", input=6)
    assert cost("p", rates(input=3), Usage(input=2, output=0)) == Cost(price_id="p", input=6)


def test_a_tier_is_of_the_whole_call_and_judged_by_the_whole_input() -> None:
    tier = (Tier(100, 20),)
    priced: Rates = {"input": Rate(10, tier), "cache_read": Rate(1, (Tier(100, 2),)), "output": Rate(30, (Tier(100, 60), Tier(200, 90)))}
    at = {
        whole: cost("p", priced, Usage(input=whole, output=1, cache_read=90)) for whole in (100, 101, 200, 201)
    }  # of which 10, 11, 110, 111 are new
    assert at == {
        100: Cost(price_id="p", input=10 * 10 + 90 * 1, output=30),
        101: Cost(price_id="p", input=11 * 20 + 90 * 2, output=60),
        200: Cost(price_id="p", input=110 * 20 + 90 * 2, output=60),
        201: Cost(price_id="p", input=111 * 20 + 90 * 2, output=90),
    }


@pytest.mark.parametrize(
    ("spent", "multiplier", "comes_to"),
    [(5, "0.5", 2), (7, "0.5", 4), (3, "0.1", 0), (10**12, "0.333333333333", 333333333333), (4, "0", 0)],
)
def test_a_multiplier_is_rounded_once_half_to_even(spent: int, multiplier: str, comes_to: int) -> None:
    found = cost("p", rates(input=1, output=1), Usage(input=spent, output=spent), Fraction(Decimal(multiplier)))
    assert found == Cost(price_id="p", input=comes_to, output=comes_to)


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0"),
        (1, "0.000000000001"),
        (1_250_000, "0.00000125"),
        (PICO, "1"),
        (-PICO // 2, "-0.5"),
        (12_345 * PICO + 10, "12345.00000000001"),
    ],
)
def test_dollars_are_exact_and_plain(pico: int, text: str) -> None:
    assert usd(pico) == text


@given(st.integers(-(10**30), 10**30))
def test_dollars_read_back(pico: int) -> None:
    whole, _, rest = usd(pico).lstrip("-").partition(".")
    assert (int(whole) * PICO + int(rest.ljust(12, "0"))) * (-1 if pico < 0 else 1) == pico
    assert not rest.endswith("0")
