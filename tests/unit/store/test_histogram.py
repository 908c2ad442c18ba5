import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from spangate.store.histogram import BINS, STEPS, Histogram, merged

WIDTH = 2 ** (1 / STEPS)
HOUR = 3_600_000_000_000
durations = st.lists(st.integers(1_000_000, HOUR), max_size=60)


def of(durations: list[int]) -> Histogram:
    histogram = Histogram()
    for ns in durations:
        histogram.add(ns)
    return histogram


@given(durations)
def test_bytes_give_the_histogram_back(durations: list[int]) -> None:
    histogram = of(durations)
    assert Histogram.of(bytes(histogram)) == histogram
    assert histogram.count == len(durations)


@given(durations, durations, durations)
def test_the_sum_of_histograms_is_the_histogram_of_all_in_whatever_order(a: list[int], b: list[int], c: list[int]) -> None:
    parts = [bytes(of(part)) for part in (a, b, c)]
    whole = of(a + b + c)
    assert merged(Counter(parts)) == merged(Counter(reversed(parts))) == whole
    assert merged(Counter([bytes(merged(Counter(parts[:2]))), parts[2]])) == whole
    assert merged(Counter([parts[0], bytes(merged(Counter(parts[1:])))])) == whole


@given(durations.filter(bool), st.floats(0, 1))
def test_a_quantile_is_within_a_bin_of_the_true_one(durations: list[int], p: float) -> None:
    true = sorted(durations)[max(0, math.ceil(p * len(durations)) - 1)] / 1_000_000
    found = of(durations).quantile(p)
    assert found is not None
    assert true / WIDTH * 0.999_999 <= found <= true * WIDTH * 1.000_001  # bins begin on whole nanoseconds


@given(durations.filter(bool))
def test_a_larger_share_takes_no_less_time(durations: list[int]) -> None:
    histogram = of(durations)
    found = [histogram.quantile(p / 20) or 0 for p in range(21)]
    assert found == sorted(found)


def test_what_is_out_of_range_is_in_the_first_bin_or_the_last() -> None:
    assert of([0, 999_999]) == of([1_000_000, 1_000_001])
    assert of([-5]) == of([0])  # a clock that was set back
    last = of([10 * HOUR]).quantile(1)
    assert last == 2 ** (BINS / STEPS) > HOUR / 1_000_000


def test_nothing_has_no_quantile_and_no_bytes() -> None:
    assert Histogram().quantile(0.5) is None
    assert bytes(Histogram()) == b""
    assert bytes(of([1_000_000] * 300)) == b"\x01\xac\x02"
