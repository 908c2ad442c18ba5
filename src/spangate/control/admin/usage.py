"""Usage over HTTP: calls, tokens and cost by whom, of what and when, as JSON or as CSV for a spreadsheet."""

import csv
import datetime
import io
import operator
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from ...prices.cost import usd
from ...store import periods
from ...store import usage as store
from ...store.faults import Invalid
from ...store.periods import Step
from ..desk import Desk
from ..policy import Policy, allows, caller_of

PATH = "/api/v1/usage"
CSV = "text/csv"
OTHER = "other"


class Times(BaseModel):
    """How long calls took, in ms. The percentiles are right to within 9 %."""

    calls: int = Field(description="That have such a time.")
    mean: float
    p50: float
    p95: float
    p99: float


class Measures(BaseModel):
    """Calls count where their last attempt went, and under their own status; attempts, tokens and cost under the attempt's."""

    calls: int
    errors: int = Field(description="Calls that ended otherwise than ok.")
    attempts: int
    input_tokens: int = Field(description="All of them: cached and newly cached ones included.")
    output_tokens: int = Field(description="All of them: reasoning included.")
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    image_input_tokens: int
    image_output_tokens: int
    cost: str | None = Field(description="US dollars, exactly, of what has a price. null: there were tokens, and nothing has a price.")
    unpriced_attempts: int = Field(description="With tokens, and no price: their cost is unknown, and not in `cost`.")
    unpriced_tokens: int
    unpriced_share: float | None = Field(description="Of input and output tokens, 0 to 1. null: there were none.")
    estimated_attempts: int = Field(description="Whose tokens we counted, as no provider did.")
    estimated_tokens: int
    estimated_share: float | None = Field(description="As with unpriced_share.")
    unknown_attempts: int = Field(description="That reached a provider, and nobody knows their tokens.")
    latency: Times | None = Field(description="null: not asked for, or there are none.")
    first_token: Times | None = Field(description="As with latency.")


class Change(BaseModel):
    """From `previous` to `measures`, as a share of `previous`: 0.25 is a quarter more. null: there was nothing, or its cost is unknown."""

    calls: float | None
    errors: float | None
    attempts: float | None
    input_tokens: float | None
    output_tokens: float | None
    cost: float | None


class Row(BaseModel):
    since: datetime.datetime
    until: datetime.datetime
    group: dict[str, str] = Field(description='By each name of group_by; "" where there is none. Empty if `other`.')
    other: bool = Field(description="All groups together that are not of the top.")
    measures: Measures
    previous: Measures | None = Field(description="In the period before; null: not asked for.")
    change: Change | None


class Period(BaseModel):
    since: datetime.datetime
    until: datetime.datetime


class Usage(BaseModel):
    since: datetime.datetime = Field(description="What was counted: the range that was asked for, rounded out to quarters of an hour.")
    until: datetime.datetime
    zone: str
    step: Step | None
    group_by: list[str]
    previous: Period | None = Field(description="What it is compared with.")
    total: Row
    rows: list[Row] = Field(description="By period; then in the order asked for, of the whole range.")


_DOUBTS = ("unpriced_attempts", "unpriced_tokens", "unpriced_share", "estimated_attempts", "estimated_tokens", "estimated_share")
_TIMES = tuple(Times.model_fields)


def mount(app: FastAPI, desk: Desk) -> None:
    @app.get(PATH, tags=["usage"], response_model=Usage, responses={200: {"content": {CSV: {}}}})
    @allows(Policy.viewer)
    def get_usage(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        since: Annotated[str, Query(description="A date (2026-11-01), a date with a time, or ms. Default: this month's beginning.")] = "",
        until: Annotated[str, Query(description="As with since, and not counted itself. Default: now.")] = "",
        last: Annotated[
            str,
            Query(
                description="Instead of both: `24h` until now; `7d`, days of the calendar, today the last; `day`, `week`, `month`: the "
                "one before this one."
            ),
        ] = "",
        zone: Annotated[str, Query(description="Whose days, weeks and months are meant, such as Europe/Berlin.")] = "UTC",
        step: Annotated[Step | None, Query(description="A row for each so long. Without: one row for the whole range.")] = None,
        group_by: Annotated[
            list[str] | None,
            Query(description=f"Any of {', '.join(store.GROUPS)}, and `tag:NAME` for a tag of keys. Repeatable."),
        ] = None,
        where: Annotated[
            list[str] | None,
            Query(description="`team=search`, `model!=gpt-5`; of one name any value, with != none of them. Repeatable."),
        ] = None,
        order: Annotated[Literal["cost", "tokens", "calls", "errors"], Query(description="Of groups: the most first.")] = "cost",
        top: Annotated[int | None, Query(description="So many groups by name, and the rest as one.", ge=1, le=store.TOP)] = None,
        compare: Annotated[
            bool, Query(description="With as many months or days before it, a month so far with as much of the month before.")
        ] = False,
        percentiles: Annotated[bool, Query(description="With latency and time to the first token; takes longer.")] = False,
        format: Annotated[Literal["json", "csv"] | None, Query(description="Default: what Accept says.")] = None,
    ) -> Response:
        """Calls, tokens, cost and times, by period and group, with what is not known of them."""
        local = periods.zone_of(zone)
        begins, ends = _range(since, until, last, local, desk.now())
        question = store.Question(
            since=begins,
            until=ends,
            zone=local,
            step=step,
            groups=tuple(group_by or ()),
            filters=store.filters(where or ()),
            endpoints=caller_of(request).endpoints,
            order=order,
            top=top,
            compare=compare,
            percentiles=percentiles,
        )
        with desk.read() as connection:
            found = store.usage(connection, question)
        if format == "csv" or (format is None and _prefers_csv(request.headers.get("accept", ""))):
            name = f"usage-{_local(found.since, local):%Y%m%dT%H%M}-{_local(found.until, local):%Y%m%dT%H%M}.csv"
            headers = {"content-disposition": f'attachment; filename="{name}"'}
            return Response(_csv(question, found), media_type=CSV, headers=headers)
        return Response(msgspec.json.encode(_shown(question, found)), media_type="application/json")


def _range(since: str, until: str, last: str, zone: datetime.tzinfo, now: int) -> tuple[int, int]:
    if last:
        if since or until:
            raise Invalid("Say either `last`, or `since` and `until`.")
        return periods.last(last, zone, now)
    begins = periods.moment(since, zone) if since else periods.beginning(now, Step.month, zone)
    ends = periods.moment(until, zone) if until else now
    if begins >= ends:
        raise Invalid(f"Invalid range: since ({_local(begins, zone)}) must be before until ({_local(ends, zone)}).")
    return begins, ends


def _local(ms: int, zone: datetime.tzinfo) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms // 1000, zone)


# ---------------------------------------------------------------- JSON
# There may be thousands of rows, and a pydantic model of each takes longer than to read them: rows are structs of the same fields.

_Row = msgspec.defstruct("_Row", list(Row.model_fields))
_Measures = msgspec.defstruct("_Measures", list(Measures.model_fields), gc=False)
_Times = msgspec.defstruct("_Times", list(_TIMES), gc=False)
_counts = operator.attrgetter(*store.COUNTS)


def _shown(question: store.Question, found: store.Usage) -> dict[str, Any]:
    past, zone = found.previous, question.zone
    moments = _Moments(zone)
    return {
        "since": moments[found.since],
        "until": moments[found.until],
        "zone": str(zone),
        "step": question.step,
        "group_by": question.groups,
        "previous": None if past is None else {"since": moments[past[0]], "until": moments[past[1]]},
        "total": _row((), found.total, moments),
        "rows": [_row(question.groups, row, moments) for row in found.rows],
    }


class _Moments(dict[int, datetime.datetime]):
    """By ms. Groups share their periods' ends."""

    def __init__(self, zone: datetime.tzinfo) -> None:
        self._zone = zone

    def __missing__(self, ms: int) -> datetime.datetime:
        self[ms] = local = _local(ms, self._zone)
        return local


def _row(groups: tuple[str, ...], row: store.Row, moments: _Moments) -> msgspec.Struct:
    before, group = row.previous, row.group
    return _Row(
        moments[row.since],
        moments[row.until],
        {} if group is None else dict(zip(groups, group, strict=True)),
        group is None,
        _measures(row.measures),
        None if before is None else _measures(before),
        None if before is None else _change(before, row.measures),
    )


def _measures(of: store.Measures) -> msgspec.Struct:
    return _Measures(
        *_counts(of),
        None if of.cost_pico is None else usd(of.cost_pico),
        of.unpriced_attempts,
        of.unpriced_tokens,
        of.unpriced_share,
        of.estimated_attempts,
        of.estimated_tokens,
        of.estimated_share,
        of.unknown_attempts,
        _times(of.latency),
        _times(of.first_token),
    )


def _times(of: store.Times | None) -> msgspec.Struct | None:
    return None if of is None else _Times(of.calls, round(of.mean, 1), round(of.p50, 1), round(of.p95, 1), round(of.p99, 1))


def _change(before: store.Measures, after: store.Measures) -> dict[str, float | None]:
    grown = {name: _grown(getattr(before, name), getattr(after, name)) for name in Change.model_fields if name != "cost"}
    return grown | {"cost": _grown(before.cost_pico, after.cost_pico)}


def _grown(before: int | None, after: int | None) -> float | None:
    return None if not before or after is None else round((after - before) / before, 6)


# ---------------------------------------------------------------- CSV


def _prefers_csv(accept: str) -> bool:
    """Whether CSV is named and JSON is not: a browser's `*/*` is JSON's."""
    named = {kind.partition(";")[0].strip().lower() for kind in accept.split(",")}
    return CSV in named and "application/json" not in named


def _csv(question: store.Question, found: store.Usage) -> str:
    """RFC 4180. There is no row of totals: a column adds up to them."""
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    columns = [*store.COUNTS, "cost", *_DOUBTS, "unknown_attempts"]
    if question.percentiles:
        columns += [f"{name}_{part}_ms" for name in ("latency", "first_token") for part in _TIMES if part != "calls"]
    earlier = [f"previous_{name}" for name in columns] if question.compare else []
    writer.writerow(["since", "until", *question.groups, OTHER, *columns, *earlier])
    for row in found.rows:
        group = ("",) * len(question.groups) if row.group is None else row.group
        place = [_local(row.since, question.zone).isoformat(), _local(row.until, question.zone).isoformat()]
        named = [*place, *map(_inert, group), "yes" if row.group is None else "no"]
        measured = [row.measures] if row.previous is None else [row.measures, row.previous]
        writer.writerow([*named, *(cell for of in measured for cell in _cells(of, percentiles=question.percentiles))])
    return sheet.getvalue()


def _cells(of: store.Measures, *, percentiles: bool) -> Iterator[Any]:
    """None is written as an empty cell: unknown is not zero."""
    yield from _counts(of)
    yield None if of.cost_pico is None else usd(of.cost_pico)
    yield from (getattr(of, name) for name in _DOUBTS)
    yield of.unknown_attempts
    if percentiles:
        for times in (_times(of.latency), _times(of.first_token)):
            yield from (None if times is None else getattr(times, part) for part in _TIMES if part != "calls")


def _inert(text: str) -> str:
    """What a spreadsheet would run as a formula is text to it with an apostrophe before it (OWASP, CSV injection)."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and text else text
