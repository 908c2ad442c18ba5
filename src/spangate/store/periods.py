"""Ranges of time as people name them, in a time zone: days there have 23 or 25 hours when the clocks change, and months what they have.

Everything is in ms since 1970 and rounded to 15 minutes, of which rollups are made.
"""

import datetime
import re
from collections.abc import Iterator
from datetime import tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

from .faults import Invalid

QUARTER, HOUR, DAY, WEEK = 900_000, 3_600_000, 86_400_000, 604_800_000
EARLIEST, LATEST = 0, 7_258_118_400_000  # 1970 and 2200: what is outside was meant otherwise
MOST = 5_000  # periods of one series; a month of quarters of an hour has 2,976
SECONDS = 100_000_000_000  # below it a number of ms is before 1973: somebody gave seconds

_LAST = re.compile(r"([1-9][0-9]{0,3})([hd])")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


class Step(StrEnum):
    """How long each period of a series is."""

    quarter = "15m"
    hour = "hour"
    day = "day"
    week = "week"  # begins on Monday
    month = "month"


def zone_of(name: str) -> tzinfo:
    if name == "UTC":
        return datetime.UTC  # is there also where no database of zones is
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name, or a folder of names
        raise Invalid(f"Unknown time zone '{name[:100]}'. It is a name of IANA's database, such as Europe/Berlin, or UTC.") from None


def moment(said: str, zone: tzinfo) -> int:
    """`2026-11`, `2026-11-01` or `2026-11-01T08:30`, in the zone unless it has an offset of its own; or ms."""
    try:
        if said.isdecimal() and said.isascii():
            ms = int(said[:20])
            if ms < SECONDS:
                raise Invalid(f"Invalid time '{said}': a number is milliseconds since 1970.")
        else:
            at = datetime.datetime.fromisoformat(f"{said}-01" if _MONTH.fullmatch(said) else said)
            ms = _ms(at if at.tzinfo else at.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Invalid(f"Invalid time '{said[:100]}'. Give a date (2026-11-01), a date with a time (2026-11-01T08:30) or ms.") from None
    if not EARLIEST <= ms <= LATEST:
        raise Invalid(f"Invalid time '{said[:100]}': it must be between 1970 and 2200.")
    return ms


def last(said: str, zone: tzinfo, now: int) -> tuple[int, int]:
    """`24h`: until now; `7d`: so many days of the calendar, today the last; `day`, `week`, `month`: the one before this one, whole."""
    if counted := _LAST.fullmatch(said):
        count = int(counted[1])
        if counted[2] == "h":
            return now - count * HOUR, now
        return _ms(_at(_local(now, zone).date() - datetime.timedelta(days=count - 1), zone)), now
    if said not in ("day", "week", "month"):
        raise Invalid(f"Invalid value for last: '{said[:100]}'. It is a number of hours (24h) or days (7d), or day, week or month.")
    step = Step(said)
    until = beginning(now, step, zone)
    return beginning(until - 1, step, zone), until


def rounded_out(since: int, until: int) -> tuple[int, int]:
    return since - since % QUARTER, until + -until % QUARTER


def beginning(ms: int, step: Step, zone: tzinfo) -> int:
    """When the local day, week or month began that a moment is in."""
    return _ms(_at(_first(_local(ms, zone).date(), step), zone))


def starts(since: int, until: int, step: Step, zone: tzinfo) -> list[int]:
    """When each period of a range begins; the first and the last may be cut by the range."""
    found: list[int] = []
    for start in _boundaries(since, until, step, zone):
        start -= start % QUARTER
        if start <= since:
            found = [since]
        elif start >= until:
            break
        elif start > found[-1]:  # not the day that a zone left out when it crossed the date line
            found.append(start)
            if len(found) > MOST:
                raise Invalid(f"That is more than {MOST} points; ask for a shorter range or a longer step.")
    return found


def before(since: int, until: int, zone: tzinfo) -> tuple[int, int]:
    """The range that a range is compared with, by the zone's calendar.

    Whole months: as many before them. A month until some time of a day: as much of the month before. What begins with a day: as many
    days before, to the same time of the day. Else: as long a time, in whole quarters of an hour.
    """
    first, end = (_local(ms, zone).replace(tzinfo=None) for ms in (since, until))
    month = beginning(since, Step.month, zone) == since
    if month and (months := (end.year - first.year) * 12 + end.month - first.month) and beginning(until, Step.month, zone) == until:
        return _ms(_at(_months_on(first.date(), -months), zone)), since
    if month and beginning(until, Step.day, zone) != until < _ms(_at(_months_on(first.date(), 1), zone)):
        earlier = _months_on(first.date(), -1)
        ends = datetime.datetime.combine(earlier, datetime.time()) + (end - first)
        return _ms(_at(earlier, zone)), min(since, _ms(ends.replace(tzinfo=zone)))
    if beginning(since, Step.day, zone) == since:
        days = datetime.timedelta(days=-((first - end) // datetime.timedelta(days=1)))
        return _ms(_at(first.date() - days, zone)), min(since, _ms((end - days).replace(tzinfo=zone)))
    since, until = rounded_out(since, until)
    return max(EARLIEST, since - (until - since)), since


def segments(since: int, until: int, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """(since, until, ms ahead of UTC) of each part of a range in which the clocks are not changed."""
    at, offset = since, _offset(since, zone)
    look = since
    while look < until:
        look = min(look + DAY, until)
        if _offset(look, zone) == offset:
            continue
        same, other = max(at, look - DAY), look
        while other - same > QUARTER:
            middle = same + (other - same) // (2 * QUARTER) * QUARTER
            same, other = (middle, other) if _offset(middle, zone) == offset else (same, middle)
        if other >= until:
            break
        yield at, other, offset
        at, offset, look = other, _offset(other, zone), other
    yield at, until, offset


def _boundaries(since: int, until: int, step: Step, zone: tzinfo) -> Iterator[int]:
    if step is Step.quarter or step is Step.hour:
        size = QUARTER if step is Step.quarter else HOUR
        for start, end, offset in segments(since, until, zone):
            yield from range(start - (start + offset) % size if start == since else start + -(start + offset) % size, end, size)
        return
    date = _first(_local(since, zone).date(), step)
    while (start := _ms(_at(date, zone))) < until:
        yield start
        date = _months_on(date, 1) if step is Step.month else date + datetime.timedelta(days=7 if step is Step.week else 1)


def _first(date: datetime.date, step: Step) -> datetime.date:
    match step:
        case Step.month:
            return date.replace(day=1)
        case Step.week:
            return date - datetime.timedelta(days=date.weekday())
        case _:
            return date


def _months_on(first: datetime.date, months: int) -> datetime.date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return datetime.date(year, month + 1, 1)


def _at(date: datetime.date, zone: tzinfo) -> datetime.datetime:
    """Its midnight; where the clocks skip that, the moment at which they do."""
    return datetime.datetime.combine(date, datetime.time(), zone)


def _local(ms: int, zone: tzinfo) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms // 1000, zone)


def _offset(ms: int, zone: tzinfo) -> int:
    return round((_local(ms, zone).utcoffset() or datetime.timedelta()).total_seconds()) * 1000


def _ms(at: datetime.datetime) -> int:
    return round(at.timestamp() * 1000)
