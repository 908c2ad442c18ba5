"""What was used, by whom and at what cost: read from the rollups alone, whatever the range, the groups and the time zone.

Calls are counted where their last attempt went and under the call's status; attempts, with tokens and cost, under their own. So every
sum is exact whatever it is grouped by, and filtering by status, model or price counts the calls and the attempts that are so themselves.
"""

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from ..exchange import Status
from . import limits, money, schema
from .accounts import JOINED
from .buckets import Piece, pieces
from .faults import Invalid
from .histogram import Histogram, merged
from .periods import Step, before, rounded_out, starts
from .schema import usage_dimensions as dimensions
from .schema import usage_rollups as rollups

GROUPS = ("endpoint", "provider", "model", "key", "owner", "team", "status", "price")
OF_ALL_KEYS = frozenset({"endpoint", "provider", "model", "status", "price"})
TAG = "tag:"  # and its name: a tag of keys
DEEPEST = 6  # groups of one question
VALUES = 500  # of all filters of one question; SQL Server takes 2,100 parameters
TOP = 100  # groups told by name; as parameters they count too
ROWS = 50_000  # that the database may bring for one question; they take a second
ROOM = 64  # MB that PostgreSQL may take to add up; a month's hours by model take 26
POINTS = 10_000  # rows of one answer: of groups alone, or of each of them in each period
HISTOGRAMS = 150_000  # that may be added up for one question; they take two seconds

ADDED = tuple(column.name for column in rollups.columns if isinstance(column.type, sa.BigInteger) and column.name != "bucket")

_FILTER = re.compile(r"(?P<noun>tag:[^=!]+|[a-z]+)(?P<sign>!?=)(?P<value>.*)", re.DOTALL)

Group = tuple[str, ...] | None  # a value for each of the question's groups, "" where there is none; None: what is not of the top


class Filter(Struct, frozen=True):
    noun: str  # one of GROUPS, or TAG and a tag's name
    values: tuple[str, ...]  # any of them
    none_of: bool = False  # or, with this, none


class Question(Struct, frozen=True, kw_only=True):
    """`since` and `until` in ms; counted are the quarters of an hour that they touch."""

    since: int
    until: int
    zone: tzinfo
    step: Step | None = None
    groups: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    endpoints: Collection[str] | None = None  # ids: what the asker may see; None: everything
    order: str = "cost"  # of groups, falling: a key of ORDERS
    top: int | None = None  # groups that are told by name; the others are one more
    compare: bool = False
    percentiles: bool = False
    whole: bool = False  # more rows than anyone reads: they are kept


class Times(Struct, frozen=True, kw_only=True, gc=False):
    """How long calls took, in ms."""

    calls: int  # that have such a time
    mean: float
    p50: float
    p95: float
    p99: float


class Measures(Struct, frozen=True, gc=False):
    """What is but counted comes first, as COUNTS: there may be thousands of these, and one slice fills it."""

    calls: int
    errors: int  # calls that ended otherwise than ok
    attempts: int
    input_tokens: int  # with all that is more closely told of
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    image_input_tokens: int
    image_output_tokens: int
    cost_pico: int | None  # of what has a price; None: there were tokens, and nothing had one
    unpriced_attempts: int  # with tokens, and no price
    unpriced_tokens: int
    estimated_attempts: int
    estimated_tokens: int
    unknown_attempts: int  # that reached a provider, and nobody knows their tokens
    latency: Times | None  # None: not asked for, or no call has it
    first_token: Times | None

    @property
    def all_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def unpriced_share(self) -> float | None:
        """Of all tokens; None: there are none."""
        return self.unpriced_tokens / self.all_tokens if self.all_tokens else None

    @property
    def estimated_share(self) -> float | None:
        return self.estimated_tokens / self.all_tokens if self.all_tokens else None


COUNTS = Measures.__struct_fields__[: Measures.__struct_fields__.index("cost_pico")]

ORDERS: Mapping[str, Callable[[Measures], int]] = {
    "cost": lambda measures: measures.cost_pico or 0,
    "tokens": lambda measures: measures.all_tokens,
    "calls": lambda measures: measures.calls,
    "errors": lambda measures: measures.errors,
}


class Row(Struct, frozen=True, kw_only=True, gc=False):
    """What one group used in one period."""

    since: int
    until: int
    group: Group
    measures: Measures
    previous: Measures | None = None  # in the period before, if that was asked


class Usage(Struct, frozen=True, kw_only=True):
    since: int  # what was counted, in ms
    until: int
    previous: tuple[int, int] | None  # what it is compared with, since and until
    total: Row
    rows: tuple[Row, ...]  # by period, then in the question's order


def filters(said: Iterable[str]) -> tuple[Filter, ...]:
    """`team=a`, `model!=gpt-5`: of one noun, `=` means any of its values and `!=` none of them."""
    found: dict[tuple[str, bool], list[str]] = {}
    for text in said:
        if (parts := _FILTER.fullmatch(text)) is None:
            raise Invalid(f"Invalid filter '{text[:200]}'. It is a name, = or !=, and a value: team=search, model!=gpt-5, tag:env=prod.")
        found.setdefault((parts["noun"], parts["sign"] == "!="), []).append(parts["value"])
    return tuple(Filter(noun, tuple(values), none_of) for (noun, none_of), values in found.items())


def usage(connection: Connection, question: Question) -> Usage:
    """Raises Invalid for what cannot be asked, or would bring more than anyone could read."""
    _check(question)
    if connection.dialect.name == "postgresql":
        # Its 4 MB would have it sort hundreds of thousands of wide rows on the disk to add them up: twice the time.
        connection.exec_driver_sql(f"SET LOCAL work_mem = '{ROOM}MB'")
    since, until = rounded_out(question.since, question.until)
    past = rounded_out(*before(question.since, question.until, question.zone)) if question.compare else None

    def read(question: Question, top: Sequence[Group] | None = None) -> tuple[_Found, _Found]:
        found = _read(connection, question, _Window(since, until, question.step, question.zone), top)
        return found, {} if past is None else _read(connection, question, _Window(*past, question.step, question.zone), top)

    # A series adds up to what its groups are as a whole, but for the top of them: that has to be known before.
    twice = question.step is not None and question.top is not None
    now, then = read(replace(question, step=None, percentiles=False) if twice else question)
    whole, whole_then = _whole(now), _whole(then)
    groups = _ranked(question.order, whole, whole_then)
    named = groups if question.top is None else groups[: question.top]
    if twice:
        now, then = read(question, None if len(named) == len(groups) else named)
        whole, whole_then = _whole(now), _whole(then)
    elif len(named) < len(groups):
        now, then = _folded(now, named), _folded(then, named)
    total, total_then = _sum(whole.values()), _sum(whole_then.values())
    window = _Window(since, until, question.step, question.zone)

    def row(index: int, end: int, group: Group, sums: "_Sums | None", sums_then: "_Sums | None") -> Row:
        previous = (sums_then or _Sums()).measures() if question.compare else None
        return Row(since=window.starts[index], until=end, group=group, measures=(sums or _Sums()).measures(), previous=previous)

    # A series of everything has no gaps; of groups, each has the periods in which it was there.
    places = {place for place in (*now, *then) if place[0] < len(window.starts)}
    if not question.groups:
        places |= {(index, ()) for index in range(len(window.starts))}
    if len(places) > POINTS and not question.whole:
        raise Invalid(
            f"That is {len(places)} points, and more than {POINTS}: ask for the top, a shorter range or a longer step, or filter."
        )
    rank: dict[Group, int] = {group: number for number, group in enumerate(named)}
    ends = (*window.starts[1:], until)
    return Usage(
        since=since,
        until=until,
        previous=past,
        total=row(0, until, (), total, total_then),
        rows=tuple(
            row(index, ends[index], group, now.get((index, group)), then.get((index, group)))
            for index, group in sorted(places, key=lambda place: (place[0], rank.get(place[1], len(rank))))
        ),
    )


def _check(question: Question) -> None:
    if question.since >= question.until:
        raise Invalid("Invalid range: since must be before until.")
    for noun in (*question.groups, *(filter.noun for filter in question.filters)):
        if noun not in GROUPS and not (noun.startswith(TAG) and len(noun) > len(TAG)):
            raise Invalid(f"Unknown group '{noun[:200]}'. There are {', '.join(GROUPS)}, and tag:NAME for a tag of keys.")
        limits.given(noun, "group", limits.TAG_KEY)
    if len(question.groups) != len(set(question.groups)):
        raise Invalid("Each group can be asked for once.")
    if len(question.groups) > DEEPEST:
        raise Invalid(f"That is more than {DEEPEST} groups.")
    if sum(len(filter.values) for filter in question.filters) > VALUES:
        raise Invalid(f"That is more than {VALUES} values to filter by.")
    for filter in question.filters:
        for value in filter.values:
            limits.given(value, "filter", limits.MODEL, empty=True)
    if question.order not in ORDERS:
        raise Invalid(f"Unknown order '{question.order[:200]}'. There are {', '.join(ORDERS)}.")
    if question.top is not None and not 1 <= question.top <= TOP:
        raise Invalid(f"Invalid value for top: {question.top}. It must be at least 1 and at most {TOP}.")


# ---------------------------------------------------------------- sums


class _Sums:
    """What adds up to measures: columns, and histograms if they were asked for."""

    __slots__ = ("durations", "first_tokens", "numbers")

    def __init__(self) -> None:
        self.numbers: Sequence[int] = _NOTHING
        self.durations: Histogram | None = None
        self.first_tokens: Histogram | None = None

    def add(self, numbers: Sequence[int], sign: int = 1) -> None:
        if self.numbers is _NOTHING and sign > 0:
            self.numbers = numbers
        else:
            self.numbers = list(map(operator.add if sign > 0 else operator.sub, self.numbers, numbers))

    def time(self, durations: Histogram | None, first_tokens: Histogram | None) -> None:
        if durations is not None:
            self.durations = self.durations or Histogram()
            self.durations.merge(durations)
        if first_tokens is not None:
            self.first_tokens = self.first_tokens or Histogram()
            self.first_tokens.merge(first_tokens)

    def merge(self, other: "_Sums") -> None:
        self.add(other.numbers)
        self.time(other.durations, other.first_tokens)

    @property
    def cost_pico(self) -> int | None:
        if self.numbers[_PRICED] or not self.numbers[_UNPRICED]:
            return money.whole(self.numbers[_MICRO], self.numbers[_REST])
        return None

    def measures(self) -> Measures:
        unpriced, unpriced_in, unpriced_out, estimated, estimated_in, estimated_out, unknown, ms, first_ms = _told(self.numbers)
        told: tuple[Any, ...] = (
            *self.numbers[: len(COUNTS)],
            self.cost_pico,
            unpriced,
            unpriced_in + unpriced_out,
            estimated,
            estimated_in + estimated_out,
            unknown,
            _times(self.durations, ms),
            _times(self.first_tokens, first_ms),
        )
        return Measures(*told)


_NUMBERS = (*COUNTS, *(name for name in ADDED if name not in COUNTS), "priced")
_NOTHING = (0,) * len(_NUMBERS)
_PRICED, _UNPRICED, _MICRO, _REST = map(_NUMBERS.index, ("priced", "unpriced_attempts", "cost_micro", "cost_rest"))
_told = operator.itemgetter(
    *map(
        _NUMBERS.index,
        ("unpriced_attempts", "unpriced_input_tokens", "unpriced_output_tokens", "estimated_attempts", "estimated_input_tokens",
         "estimated_output_tokens", "unknown_attempts", "duration_ms", "first_token_ms"),
    )
)  # fmt: skip
_Found = dict[tuple[int, Group], _Sums]  # by number of the period, and group
_Histograms = defaultdict[tuple[int, Group], dict[bytes, int]]  # so; as they are stored, and how often they were met


def _times(histogram: Histogram | None, ms: int) -> Times | None:
    if histogram is None or not (calls := histogram.count):
        return None
    p50, p95, p99 = (histogram.quantile(p) or 0.0 for p in (0.5, 0.95, 0.99))
    return Times(calls=calls, mean=ms / calls, p50=p50, p95=p95, p99=p99)


def _whole(found: _Found) -> _Found:
    """Each group's sums over all periods."""
    parts: defaultdict[Group, list[_Sums]] = defaultdict(list)
    for (_, group), sums in found.items():
        parts[group].append(sums)
    return {(0, group): _sum(some) for group, some in parts.items()}


def _sum(parts: Collection[_Sums]) -> _Sums:
    whole = _Sums()
    whole.numbers = list(map(sum, zip(*(part.numbers for part in parts), strict=True))) or _NOTHING
    for part in parts:
        whole.time(part.durations, part.first_tokens)
    return whole


def _ranked(order: str, now: _Found, then: _Found) -> list[Group]:
    def rank(group: Group) -> tuple[object, ...]:
        measures = [(found.get((0, group)) or _Sums()).measures() for found in (now, then)]
        return (*(-ORDERS[name](one) for one in measures for name in (order, "tokens", "calls")), group)

    return sorted({group for _, group in (*now, *then)}, key=rank)


def _folded(found: _Found, named: Collection[Group]) -> _Found:
    folded: _Found = {}
    kept = set(named)
    for (index, group), sums in found.items():
        folded.setdefault((index, group if group in kept else None), _Sums()).merge(sums)
    return folded


# ---------------------------------------------------------------- reading


class _Window:
    """A range, its periods, and what it is read from."""

    def __init__(self, since: int, until: int, step: Step | None, zone: tzinfo) -> None:
        self.starts = [since] if step is None else starts(since, until, step, zone)
        self.pieces = list(pieces(since, until, self.starts, step, zone))


def _read(connection: Connection, question: Question, window: _Window, top: Sequence[Group] | None = None) -> _Found:
    found: defaultdict[tuple[int, Group], _Sums] = defaultdict(_Sums)
    durations: _Histograms = defaultdict(dict)
    first_tokens: _Histograms = defaultdict(dict)
    depth = 1 + len(question.groups)
    brought = opened = 0
    for piece in window.pieces:
        places = _Places(piece, window.starts)
        rows = connection.execute(added(connection.dialect.name, question, piece, top).limit(ROWS + 1 - brought)).all()
        if (brought := brought + len(rows)) > ROWS:
            raise Invalid(f"That is more than {ROWS} rows: ask for a shorter range, a longer step or fewer groups, or filter.")
        for row in rows:
            group, numbers = _named(row[1:depth]), row[depth:]
            for index, sign in places[row[0]]:
                found[index, group].add(numbers, sign)
        if not question.percentiles:
            continue
        rows = connection.execute(timed(question, piece, top).limit(HISTOGRAMS + 1 - opened)).all()
        if (opened := opened + len(rows)) > HISTOGRAMS:
            raise Invalid("That is too much to tell percentiles of: ask for a shorter range or a longer step, or filter.")
        for row in rows:
            group = _named(row[1:depth])
            for index, sign in places[row[0]]:
                for into, data in ((durations, row[depth]), (first_tokens, row[depth + 1])):
                    if data:
                        met = into[index, group]
                        met[data] = met.get(data, 0) + sign
    for place in durations.keys() | first_tokens.keys():
        found[place].time(merged(durations.get(place, {})), merged(first_tokens.get(place, {})))
    # A group that was there in the part of a wide bucket alone that was taken out is not there.
    return {place: sums for place, sums in found.items() if any(sums.numbers)}


class _Places(dict[int | None, list[tuple[int, int]]]):
    """By the key of a piece, where its rows are counted: worked out once for all groups."""

    def __init__(self, piece: Piece, starts: Sequence[int]) -> None:
        self._piece, self._starts = piece, starts

    def __missing__(self, key: int | None) -> list[tuple[int, int]]:
        self[key] = places = list(self._piece.places(self._starts, key))
        return places


def _named(group: tuple[Any, ...]) -> Group:
    return None if None in group else group


def added(dialect: str, question: Question, piece: Piece, top: Sequence[Group] | None) -> sa.Select[Any]:
    """The piece's key (null: it is in one period), the groups, and the sums in the order of _NUMBERS."""
    errors = sa.case((_told_apart(question, rollups.c.calls, dimensions.c.status != Status.ok.value), rollups.c.calls), else_=0)
    priced = sa.case((_told_apart(question, rollups.c.attempts, dimensions.c.price_id != ""), rollups.c.attempts), else_=0)
    columns = [*(rollups.c[name] for name in ADDED), errors.label("errors"), priced.label("priced")]
    rows, place = _rows(question, piece, top, columns)
    # PostgreSQL adds integers up to a decimal, and a decimal takes Python ten times as long to read.
    return sa.select(*place, *(sa.cast(_sum_of(dialect, rows.c[name]), sa.BigInteger) for name in _NUMBERS)).group_by(*place)


def _told_apart(question: Question, count: sa.ColumnElement[int], condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Where there is something to count, and its dimension is so. Of those that nothing else is asked of, a list is quicker than a join."""
    if not _dimensional(question):
        condition = rollups.c.dimension_id.in_(sa.select(dimensions.c.dimension_id).where(condition))
    return sa.and_(count != 0, condition)


def _dimensional(question: Question) -> bool:
    return bool(question.groups or question.filters or question.endpoints is not None)


def _sum_of(dialect: str, column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Most columns of most rows are zero, and SQLite looks at a number in half of the time that it adds one in."""
    if dialect != "sqlite":
        return sa.func.sum(column)
    return sa.func.coalesce(sa.func.sum(column).filter(column != 0), 0)


def timed(question: Question, piece: Piece, top: Sequence[Group] | None) -> sa.Select[Any]:
    """The piece's key, the groups, and both histograms of each row that has calls."""
    rows, place = _rows(question, piece, top, [rollups.c.calls, rollups.c.durations, rollups.c.first_tokens])
    # As the driver gives them: there are many, and bytes are bytes with each.
    histograms = (sa.type_coerce(column, sa.types.NullType()) for column in (rows.c.durations, rows.c.first_tokens))
    return sa.select(*place, *histograms).where(rows.c.calls > 0)


def _rows(
    question: Question, piece: Piece, top: Sequence[Group] | None, columns: Iterable[sa.ColumnElement[Any]]
) -> tuple[sa.Subquery, list[sa.ColumnElement[Any]]]:
    """The rollups of a piece, and the columns of them that they are grouped by.

    A query of its own, since what has parameters cannot be grouped by: PostgreSQL takes it to differ from the same words elsewhere.
    And joined outwardly, with the filters in a CASE that no planner looks through: one that expects few rows would else begin with the
    dimensions, and go through all rollups of the range for each.
    """
    nouns = _Nouns()
    groups = [nouns[noun] for noun in question.groups]
    wanted = [
        nouns[filter.noun].not_in(filter.values) if filter.none_of else nouns[filter.noun].in_(filter.values) for filter in question.filters
    ]
    if question.endpoints is not None:
        wanted.append(dimensions.c.endpoint_id.in_(question.endpoints))
    if top is not None:
        known = [group for group in top if group is not None]
        if len(groups) == 1:
            among = groups[0].in_([group[0] for group in known])
        else:
            among = sa.or_(*(sa.and_(*(column == value for column, value in zip(groups, group, strict=True))) for group in known))
        groups = [sa.case((among, group)) for group in groups]
    bucket = rollups.c.bucket
    key = piece.key(bucket)
    place = [(sa.cast(sa.null(), sa.BigInteger) if key is None else key).label("key")]
    place += [group.label(f"group_{number}") for number, group in enumerate(groups)]
    query = sa.select(*place, *columns).select_from(nouns.tables if _dimensional(question) else rollups)
    listed = piece.listed()
    # In the text, not as parameters: SQL Server takes 2,100 of these.
    within = piece.conditions(bucket) if listed is None else [bucket.in_(sa.bindparam(None, listed, expanding=True, literal_execute=True))]
    query = query.where(rollups.c.width == _width(question, piece), *within)
    if wanted:
        query = query.where(sa.case((sa.and_(*wanted), 1), else_=0) == 1)
    rows = query.subquery("wanted")
    return rows, [rows.c[column.name] for column in place]


def _width(question: Question, piece: Piece) -> int:
    """Of all keys together where that is enough: there are fewer rows of it."""
    nouns = {*question.groups, *(filter.noun for filter in question.filters)}
    width = piece.width // 1000
    return -width if width in JOINED and nouns <= OF_ALL_KEYS else width


class _Nouns(dict[str, sa.ColumnElement[str]]):
    """What groups and filters mean, and the tables that it takes. Endpoints and keys have the name that they have today."""

    def __init__(self) -> None:
        super().__init__({noun: dimensions.c[noun] for noun in ("provider", "model", "owner", "team", "status")})
        self["price"] = dimensions.c.price_id
        self.tables: sa.FromClause = rollups.outerjoin(dimensions, dimensions.c.dimension_id == rollups.c.dimension_id)

    def __missing__(self, noun: str) -> sa.ColumnElement[str]:
        table, name, where = self._told(noun)
        self.tables = self.tables.outerjoin(table, where)
        self[noun] = name
        return name

    def _told(self, noun: str) -> tuple[sa.FromClause, sa.ColumnElement[str], sa.ColumnElement[bool]]:
        if noun == "endpoint":
            table = schema.endpoints
            return table, sa.func.coalesce(table.c.name, dimensions.c.endpoint), table.c.endpoint_id == dimensions.c.endpoint_id
        if noun == "key":
            table = schema.api_keys
            return table, sa.func.coalesce(table.c.name, dimensions.c.key_name), table.c.key_id == dimensions.c.key_id
        tags = schema.api_key_tags.alias()
        where = sa.and_(tags.c.key_id == dimensions.c.key_id, tags.c.key == noun.removeprefix(TAG))
        return tags, sa.func.coalesce(tags.c.value, ""), where
