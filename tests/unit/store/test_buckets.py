import operator
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spangate.store import buckets, periods
from spangate.store.buckets import pieces
from spangate.store.periods import DAY, HOUR, QUARTER, Step, starts, zone_of

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
    "America/Havana", "Pacific/Apia", "America/St_Johns", "Africa/Monrovia",
]  # fmt: skip
# About when clocks are changed: March, April, October and November of 2026; the day that Apia left out; Monrovia's odd minutes.
DATES = [1_772_900_000_000, 1_774_750_000_000, 1_775_300_000_000, 1_792_900_000_000, 1_793_500_000_000, 1_325_200_000_000, 63_000_000_000]

moments = st.builds(operator.add, st.sampled_from(DATES), st.integers(-6 * 96, 6 * 96).map(lambda quarters: quarters * QUARTER)).map(
    lambda ms: ms - ms % QUARTER
)
lengths = st.one_of(st.integers(1, 12), st.integers(1, 20 * 96)).map(lambda quarters: quarters * QUARTER)


def miscounted(name: str, since: int, length: int, step: Step | None) -> dict[tuple[int, int], int]:
    """Quarters of an hour that are not counted once in their own period and nowhere else, and how often they are too much."""
    zone, until = zone_of(name), since + length
    begun = [since] if step is None else starts(since, until, step, zone)
    read: Counter[tuple[int, int]] = Counter()
    for piece in pieces(since, until, begun, step, zone):
        for bucket in range(piece.since - piece.since % piece.width, piece.until, piece.width):
            if all(piece.conditions(bucket)):
                for period, sign in piece.places(begun, piece.key(bucket)):
                    for quarter in range(bucket, bucket + piece.width, QUARTER):
                        read[quarter, period] += sign
    for quarter in range(since, until, QUARTER):
        read[quarter, bisect_right(begun, quarter) - 1] -= 1
    return {place: times for place, times in read.items() if times}


@settings(max_examples=600, deadline=None)
@given(name=st.sampled_from(ZONES), since=moments, length=lengths, step=st.sampled_from([None, *Step]))
@example(name="Asia/Kolkata", since=1_793_500_200_000, length=3 * DAY, step=Step.day)
def test_each_quarter_of_an_hour_is_counted_once_and_in_its_period(name: str, since: int, length: int, step: Step | None) -> None:
    assert miscounted(name, since, length, step) == {}


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("places", lambda piece, starts, key: [(bisect_right(starts, key) - 1, 1)] if key is not None else [(0, 1)]),
        ("conditions", lambda piece, bucket: [piece.since <= bucket < piece.until]),
    ],
)
def test_a_fault_in_the_plan_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable[..., object]) -> None:
    monkeypatch.setattr(buckets.Piece, name, mutant)
    assert miscounted("Europe/Berlin", 1_793_487_600_000, 3 * DAY, Step.day)


def widths(name: str, step: Step | None, since: int, until: int) -> list[tuple[int, int, int]]:
    zone = zone_of(name)
    begun = [since] if step is None else starts(since, until, step, zone)
    return [(piece.width, piece.since, piece.until) for piece in pieces(since, until, begun, step, zone)]


MIDNIGHT = 1_793_491_200_000  # 2026-11-01, UTC


def test_whole_days_are_read_as_days_and_the_edges_from_narrower_buckets() -> None:
    since, until = MIDNIGHT - HOUR - QUARTER, MIDNIGHT + 3 * DAY + 2 * QUARTER
    assert sorted(widths("UTC", None, since, until), key=lambda piece: piece[1]) == [
        (QUARTER, since, MIDNIGHT - HOUR),
        (HOUR, MIDNIGHT - HOUR, MIDNIGHT),
        (DAY, MIDNIGHT, MIDNIGHT + 3 * DAY),
        (QUARTER, MIDNIGHT + 3 * DAY, until),
    ]


@pytest.mark.parametrize(
    ("name", "step", "days", "hours", "quarters"),
    [
        ("UTC", Step.day, 30, 0, 0),
        ("Europe/Berlin", Step.day, 29, 24 + 29, 0),  # the range's own edges, and an hour of each day
        ("America/New_York", Step.day, 29, 24 + 29 * 5, 0),
        ("Asia/Tokyo", Step.day, 29, 24 + 29 * 9, 0),
        ("Asia/Kolkata", Step.day, 29, 23 + 29 * 5, 2 + 2 + 29 * 2),
        ("Europe/Berlin", Step.week, 29, 24 + 4, 0),  # a day in seven lies in two weeks
        ("Europe/Berlin", Step.hour, 0, 720, 0),
        ("Asia/Kolkata", Step.hour, 0, 719, 4 + 719 * 2),
        ("Europe/Berlin", None, 29, 24, 0),
        ("Asia/Kolkata", Step.quarter, 0, 0, 2880),
    ],
)
def test_it_takes_few_buckets(name: str, step: Step | None, days: int, hours: int, quarters: int) -> None:
    zone = zone_of(name)
    since = periods.moment("2026-11-09", zone)
    begun = [since] if step is None else starts(since, since + 30 * DAY, step, zone)
    read: Counter[int] = Counter()
    for piece in pieces(since, since + 30 * DAY, begun, step, zone):
        read[piece.width] += sum(all(piece.conditions(bucket)) for bucket in range(piece.since, piece.until, piece.width))
    assert (read[DAY], read[HOUR], read[QUARTER]) == (days, hours, quarters)


@settings(deadline=None)
@given(st.sampled_from(ZONES), moments, lengths, st.sampled_from([Step.day, Step.week, Step.hour]))
@example("Asia/Kathmandu", MIDNIGHT, 30 * DAY, Step.day)
@example("Asia/Kathmandu", MIDNIGHT, 30 * DAY, Step.week)
def test_buckets_that_lie_apart_are_those_for_which_the_conditions_hold(name: str, since: int, length: int, step: Step) -> None:
    zone, until = zone_of(name), since + length
    for piece in pieces(since, until, starts(since, until, step, zone), step, zone):
        held = [bucket for bucket in range(piece.since, piece.until, piece.width) if all(piece.conditions(bucket))]
        assert piece.listed() == (None if piece.moved is None or len(held) > buckets.LISTED else held)
