"""The dates and clocks are those of IANA's database; what is expected was read from calendars."""

import datetime

import pytest

from spangate.store import periods
from spangate.store.faults import Invalid
from spangate.store.periods import DAY, HOUR, QUARTER, Step, zone_of

BERLIN, NEW_YORK, KOLKATA, LORD_HOWE, HAVANA, APIA = map(
    zone_of, ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia")
)
UTC = zone_of("UTC")


def utc(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def hours(since: str, until: str, step: Step, zone: object) -> list[float]:
    begun, end = periods.moment(since, zone), periods.moment(until, zone)  # type: ignore[arg-type]
    starts = periods.starts(begun, end, step, zone)  # type: ignore[arg-type]
    return [(after - start) / HOUR for start, after in zip(starts, [*starts[1:], end], strict=True)]


@pytest.mark.parametrize(
    ("said", "zone", "ms"),
    [
        ("2026-11-01", UTC, utc("2026-11-01T00:00")),
        ("2026-11-01", BERLIN, utc("2026-10-31T23:00")),
        ("2026-11", BERLIN, utc("2026-10-31T23:00")),
        ("2026-07-01", BERLIN, utc("2026-06-30T22:00")),
        ("2026-11-01T08:30", KOLKATA, utc("2026-11-01T03:00")),
        ("2026-11-01T08:30:00+02:00", KOLKATA, utc("2026-11-01T06:30")),
        ("2026-11-01T08:30Z", KOLKATA, utc("2026-11-01T08:30")),
        ("1793491200123", KOLKATA, 1_793_491_200_123),
        ("2026-03-08T02:30", NEW_YORK, utc("2026-03-08T07:30")),  # the clocks skip it
    ],
)
def test_a_moment_is_meant_in_the_zone_unless_it_says_another(said: str, zone: object, ms: int) -> None:
    assert periods.moment(said, zone) == ms  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "said",
    ["", "yesterday", "2026-13-01", "2026-02-30", "1793491200", "١٧٩٣٤٩١٢٠٠٠٠٠", "9" * 400, "0001-01-01", "9999-12-31T23:59", "2026"],
)
def test_what_is_no_moment_is_refused(said: str) -> None:
    with pytest.raises(Invalid):
        periods.moment(said, UTC)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "America", "Europe/Berlin\x00", "x" * 5000])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        zone_of(name)


NOW = utc("2026-11-11T10:07")  # a Wednesday


@pytest.mark.parametrize(
    ("said", "zone", "since", "until"),
    [
        ("24h", BERLIN, "2026-11-10T10:07", "2026-11-11T10:07"),
        ("1d", BERLIN, "2026-11-10T23:00", "2026-11-11T10:07"),
        ("7d", UTC, "2026-11-05T00:00", "2026-11-11T10:07"),
        ("30d", BERLIN, "2026-10-12T22:00", "2026-11-11T10:07"),
        ("day", UTC, "2026-11-10T00:00", "2026-11-11T00:00"),
        ("week", UTC, "2026-11-02T00:00", "2026-11-09T00:00"),
        ("month", BERLIN, "2026-09-30T22:00", "2026-10-31T23:00"),
    ],
)
def test_last_is_counted_in_the_zones_own_days(said: str, zone: object, since: str, until: str) -> None:
    assert periods.last(said, zone, NOW) == (utc(since), utc(until))  # type: ignore[arg-type]


@pytest.mark.parametrize("said", ["", "7", "0d", "7w", "d", "year", "hour", "15m", "-1d", "99999d"])
def test_other_lasts_are_refused(said: str) -> None:
    with pytest.raises(Invalid):
        periods.last(said, UTC, NOW)


@pytest.mark.parametrize(
    ("since", "until", "step", "zone", "expected"),
    [
        ("2026-03-28", "2026-03-31", Step.day, BERLIN, [24, 23, 24]),
        ("2026-10-24", "2026-10-27", Step.day, BERLIN, [24, 25, 24]),
        ("2026-03-07", "2026-03-10", Step.day, NEW_YORK, [24, 23, 24]),
        ("2026-04-04", "2026-04-07", Step.day, LORD_HOWE, [24, 24.5, 24]),
        ("2026-10-03", "2026-10-06", Step.day, LORD_HOWE, [24, 23.5, 24]),
        ("2026-03-07", "2026-03-10", Step.day, HAVANA, [24, 23, 24]),  # midnight is skipped
        ("2026-10-31", "2026-11-03", Step.day, HAVANA, [24, 25, 24]),  # and comes twice
        ("2011-12-29", "2012-01-01", Step.day, APIA, [24, 24]),  # a day that never was
        ("2026-11-01", "2026-11-03", Step.day, KOLKATA, [24, 24]),
        ("2026-10-19", "2026-11-02", Step.week, BERLIN, [169, 168]),
        ("2026-10-21", "2026-10-28", Step.week, UTC, [120, 48]),  # the range cuts the first and the last
        ("2026-02-01", "2026-05-01", Step.month, BERLIN, [672, 743, 720]),
        ("2026-01-15", "2026-02-15", Step.month, UTC, [408, 336]),
        ("2026-11-01T00:00", "2026-11-01T03:00", Step.hour, KOLKATA, [1, 1, 1]),
        ("2026-11-01T00:45", "2026-11-01T03:15", Step.hour, KOLKATA, [0.25, 1, 1, 0.25]),
        ("2026-04-05T00:00", "2026-04-05T04:00", Step.hour, LORD_HOWE, [1, 1.5, 1, 1]),  # at 2:00 it is 1:30 again
        ("2026-11-01T00:00", "2026-11-01T01:00", Step.quarter, KOLKATA, [0.25] * 4),
    ],
)
def test_periods_are_as_long_as_the_zones_clocks_make_them(since: str, until: str, step: Step, zone: object, expected: list[float]) -> None:
    assert hours(since, until, step, zone) == expected


def test_a_series_has_an_end() -> None:
    since = utc("2026-01-01T00:00")
    assert len(periods.starts(since, since + periods.MOST * QUARTER, Step.quarter, UTC)) == periods.MOST
    with pytest.raises(Invalid):
        periods.starts(since, since + (periods.MOST + 1) * QUARTER, Step.quarter, UTC)


def test_a_range_is_rounded_out() -> None:
    assert periods.rounded_out(QUARTER + 1, 2 * QUARTER + 1) == (QUARTER, 3 * QUARTER)
    assert periods.rounded_out(QUARTER, 2 * QUARTER) == (QUARTER, 2 * QUARTER)


@pytest.mark.parametrize(
    ("since", "until", "zone", "begins", "ends"),
    [
        ("2026-03-01", "2026-04-01", BERLIN, "2026-02-01", "2026-03-01"),
        ("2026-01-01", "2026-04-01", BERLIN, "2025-10-01", "2026-01-01"),
        ("2026-11-01", "2026-11-22T19:15", UTC, "2026-10-01", "2026-10-22T19:15"),  # a month so far
        ("2026-03-01", "2026-03-30T12:00", BERLIN, "2026-02-01", "2026-03-01"),  # February had no more days
        ("2026-04-01", "2026-04-10T12:00", BERLIN, "2026-03-01", "2026-03-10T12:00"),
        ("2026-03-29", "2026-03-30", BERLIN, "2026-03-28", "2026-03-29"),  # 23 hours, and the 24 before them
        ("2026-11-05", "2026-11-12", UTC, "2026-10-29", "2026-11-05"),
        ("2026-11-01", "2026-11-08", UTC, "2026-10-25", "2026-11-01"),
        ("2026-10-21", "2026-10-27T08:00", BERLIN, "2026-10-14", "2026-10-20T08:00"),  # with today, until now
        ("2026-11-01", "2026-12-03T08:00", UTC, "2026-09-29", "2026-10-31T08:00"),
        ("2026-11-05T06:00", "2026-11-05T08:00", UTC, "2026-11-05T04:00", "2026-11-05T06:00"),
        ("2026-11-05T06:07", "2026-11-05T06:08", UTC, "2026-11-05T05:45", "2026-11-05T06:00"),
    ],
)
def test_a_range_is_compared_with_the_one_before_by_the_calendar(since: str, until: str, zone: object, begins: str, ends: str) -> None:
    asked, expected = ([periods.moment(said, zone) for said in pair] for pair in ((since, until), (begins, ends)))  # type: ignore[arg-type]
    assert list(periods.before(*asked, zone)) == expected  # type: ignore[arg-type]


def test_a_range_has_a_part_for_each_offset_of_the_clocks() -> None:
    since, until = periods.moment("2026-01-01", BERLIN), periods.moment("2027-01-01", BERLIN)
    spring, autumn = utc("2026-03-29T01:00"), utc("2026-10-25T01:00")
    assert list(periods.segments(since, until, BERLIN)) == [
        (since, spring, HOUR),
        (spring, autumn, 2 * HOUR),
        (autumn, until, HOUR),
    ]
    assert list(periods.segments(since, spring, BERLIN)) == [(since, spring, HOUR)]
    assert list(periods.segments(spring, spring + DAY, BERLIN)) == [(spring, spring + DAY, 2 * HOUR)]
