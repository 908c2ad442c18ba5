"""Calls, tokens and cost: by whom, of what and when; and the months that they are billed in."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

import msgspec

from .calling import OWN, Calls, Known

PATH = f"{OWN}/usage"
MONTHS = f"{OWN}/months"

StepName = Literal["15m", "hour", "day", "week", "month"]
OrderName = Literal["cost", "tokens", "calls", "errors"]


class Times(Known, frozen=True, kw_only=True):
    """In ms."""

    calls: int
    mean: float
    p50: float
    p95: float
    p99: float


class Measures(Known, frozen=True, kw_only=True):
    """`cost`: US dollars as decimal text; None: there were tokens, and nothing has a price. Shares are of all tokens, 0 to 1."""

    calls: int
    errors: int
    attempts: int
    input_tokens: int
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
    cost: str | None
    unpriced_attempts: int
    unpriced_tokens: int
    unpriced_share: float | None
    estimated_attempts: int
    estimated_tokens: int
    estimated_share: float | None
    unknown_attempts: int
    latency: Times | None = None
    first_token: Times | None = None


class Change(Known, frozen=True, kw_only=True):
    """As a share of what was before: 0.25 is a quarter more. None: there was nothing, or its cost is unknown."""

    calls: float | None
    errors: float | None
    attempts: float | None
    input_tokens: float | None
    output_tokens: float | None
    cost: float | None


class UsageRow(Known, frozen=True, kw_only=True):
    """One group in one period. Times are RFC 3339, in the zone that was asked for."""

    since: str
    until: str
    group: dict[str, str]
    other: bool  # all that are not of the top
    measures: Measures
    previous: Measures | None = None
    change: Change | None = None


class Period(Known, frozen=True, kw_only=True):
    since: str
    until: str


class UsageReport(Known, frozen=True, kw_only=True):
    since: str  # what was counted
    until: str
    zone: str
    step: str | None
    group_by: tuple[str, ...]
    total: UsageRow
    rows: tuple[UsageRow, ...]
    previous: Period | None = None


class Line(Known, frozen=True, kw_only=True):
    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost: str | None
    unpriced_attempts: int
    estimated_attempts: int
    unknown_attempts: int
    group: str = ""


class Drift(Known, frozen=True, kw_only=True):
    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost: str


class Event(Known, frozen=True, kw_only=True):
    at: str
    what: str  # closed | reopened
    by: str
    note: str = ""


class Month(Known, frozen=True, kw_only=True):
    month: str  # 2026-11, in UTC
    state: str  # open | closed
    total: Line  # as it is now
    closed_total: Line | None = None  # as it was when it was last closed
    drift: Drift | None = None
    events: tuple[Event, ...] = ()
    by: dict[str, tuple[Line, ...]] = {}  # as it was when it was last closed; left out of lists


class Question(TypedDict, total=False):
    """What may be asked. Without a range: this month so far."""

    since: str | None  # a date (2026-11-01), a date with a time, or ms
    until: str | None
    last: str | None  # instead of both: 24h, 7d, day, week, month
    zone: str | None  # Europe/Berlin; default UTC
    step: StepName | None
    by: Sequence[str]  # endpoint, provider, model, key, owner, team, status, price, tag:NAME
    where: Sequence[str]  # team=search, model!=gpt-5
    order: OrderName | None
    top: int | None
    compare: bool
    percentiles: bool


class Usage:
    """`Client.usage`."""

    def __init__(self, gateway: Calls) -> None:
        self._gateway = gateway

    def ask(self, **asked: Unpack[Question]) -> UsageReport:
        return msgspec.convert(self._gateway.call("GET", PATH, _query(asked)), UsageReport)

    def csv(self, **asked: Unpack[Question]) -> str:
        """The rows of `ask`, for a spreadsheet (RFC 4180)."""
        return self._gateway.text(PATH, {**_query(asked), "format": "csv"})

    def months(self) -> list[Month]:
        """From the first with usage to this one, newest first."""
        return msgspec.convert(self._gateway.call("GET", f"{PATH}/months")["months"], list[Month])

    def month(self, month: str) -> Month:
        return msgspec.convert(self._gateway.call("GET", _month(month)), Month)

    def close(self, month: str, *, note: str = "") -> Month:
        """What it came to is kept, and its calls are not priced anew from now on."""
        return msgspec.convert(self._gateway.call("POST", f"{_month(month)}/close", {"note": note}), Month)

    def reopen(self, month: str, *, note: str = "") -> Month:
        return msgspec.convert(self._gateway.call("POST", f"{_month(month)}/reopen", {"note": note}), Month)


def _query(asked: Question) -> dict[str, Any]:
    names = {"by": "group_by"}
    return {names.get(name, name): value for name, value in asked.items() if value is not None and value is not False and value != ()}


def _month(month: str) -> str:
    return f"{MONTHS}/{quote(month, safe='')}"
