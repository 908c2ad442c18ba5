import operator
from bisect import bisect_right

from hypothesis import example, given, settings
from hypothesis import strategies as st

from spangate.store.buckets import Piece, pieces
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


@settings(max_examples=600, deadline=None)
@given(name=st.sampled_from(ZONES), since=moments, length=lengths, step=st.sampled_from([None, *Step]))
@example(name="Asia/Kolkata", since=1_793_500_200_000, length=3 * DAY, step=Step.day)
def test_each_quarter_of_an_hour_is_read_once_and_into_its_period(name: str, since: int, length: int, step: Step | None) -> None:
    zone, until = zone_of(name), since + length
    begun = [since] if step is None else starts(since, until, step, zone)
    read: list[tuple[int, int]] = []
    for piece in pieces(since, until, begun, step, zone):
        for bucket in range(piece.since - piece.since % piece.width, piece.until, piece.width):
            if all(piece.conditions(bucket)):
                period = piece.index(begun, piece.period(bucket))
                read += [(quarter, period) for quarter in range(bucket, bucket + piece.width, QUARTER)]
    assert sorted(read) == [(quarter, bisect_right(begun, quarter) - 1) for quarter in range(since, until, QUARTER)]


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


def test_days_of_a_zone_are_read_from_the_widest_buckets_that_fit() -> None:
    assert widths("UTC", Step.day, MIDNIGHT, MIDNIGHT + 30 * DAY) == [(DAY, MIDNIGHT, MIDNIGHT + 30 * DAY)]
    berlin = MIDNIGHT - HOUR, MIDNIGHT - HOUR + 30 * DAY
    assert widths("Europe/Berlin", Step.day, *berlin) == [(HOUR, *berlin)]
    # What lies between two days of Kolkata's is read from quarters: an hour of each day, not all of it.
    since, until = MIDNIGHT - 5 * HOUR - 2 * QUARTER, MIDNIGHT - 5 * HOUR - 2 * QUARTER + 30 * DAY
    found = list(pieces(since, until, [*range(since, until, DAY)], Step.day, zone_of("Asia/Kolkata")))
    quarters = [piece for piece in found if piece.width == QUARTER]
    assert sum(all(piece.conditions(bucket)) for piece in quarters for bucket in range(since, until, QUARTER)) == 30 * 4


def test_a_piece_of_one_period_knows_no_phase() -> None:
    assert Piece(width=DAY, since=MIDNIGHT, until=MIDNIGHT + DAY).period(MIDNIGHT) is None
