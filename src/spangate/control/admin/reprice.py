"""Pricing calls of the past anew, over HTTP: some thousands of them a request, and a cursor to go on with."""

from typing import Annotated

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from ...prices.cost import usd
from ...store import periods
from ...store import repricing as store
from ..desk import Desk
from ..policy import Policy, allows, unlimited
from ..pricing import Pricing


class Reprice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: str = Field(description="Calls received from here on: a date (2026-11-01), a month, a date with a time, or ms.")
    until: str | None = Field(default=None, description="And before this. Default: now.")
    zone: str = Field(default="UTC", description="Whose dates are meant, such as Europe/Berlin. Closed months are always UTC's.")
    dry_run: bool = Field(default=False, description="Changes nothing, and says what would be changed.")
    cursor: str | None = Field(default=None, description="What the request before gave back, with the same range.")
    limit: Annotated[int, Field(ge=1, le=store.LIMIT, description="Calls that are looked at, at most.")] = 2_000


class Change(BaseModel):
    """Attempts of one model that have another price now, or come to something else under the same."""

    provider: str
    model: str
    price_before: str | None = Field(description="null: it was unknown.")
    price_after: str | None = Field(description="null: it is unknown now.")
    attempts: int
    cost_before: str = Field(description="US dollars; 0 where the price was unknown.")
    cost_after: str
    difference: str


class Repriced(BaseModel):
    """What this request did, or in a dry run, would have done."""

    dry_run: bool
    calls: int = Field(description="That were looked at.")
    changed_calls: int
    changed_attempts: int
    newly_priced_attempts: int = Field(description="Whose price was unknown, and is known now.")
    unpriced_attempts: int = Field(description="That have tokens, and still no price.")
    cost_before: str = Field(description="US dollars, of the attempts that changed.")
    cost_after: str
    difference: str
    changes: list[Change]
    closed_months: list[str] = Field(description="Of the range; they are closed (2026-11, UTC), and stay as they are.")
    cursor: str | None = Field(description="Go on with this. null: all of the range is done.")


def mount(app: FastAPI, desk: Desk, pricing: Pricing) -> None:
    @app.post("/api/v1/reprice", tags=["prices"], response_model=Repriced)
    @allows(Policy.admin)
    def reprice(ask: Reprice, request: Request) -> Repriced:  # pyright: ignore[reportUnusedFunction]
        """Gives calls of the past the cost that the price book says today, in attempts, calls and usage at once. Closed months stay.

        May be repeated and broken off at any time: what has its cost already is not changed again.
        """
        unlimited(request)
        desk.ready()
        pricing.open()
        pricing.look()  # with what was changed a moment ago, also by another host
        zone = periods.zone_of(ask.zone)
        report = store.reprice(
            desk.database,
            pricing,
            since_ms=periods.moment(ask.since, zone),
            until_ms=desk.now() if ask.until is None else periods.moment(ask.until, zone),
            dry_run=ask.dry_run,
            cursor=ask.cursor,
            limit=ask.limit,
        )
        before = sum(change.before_pico for change in report.changes)
        after = sum(change.after_pico for change in report.changes)
        return Repriced(
            dry_run=ask.dry_run,
            calls=report.calls,
            changed_calls=report.changed_calls,
            changed_attempts=sum(change.attempts for change in report.changes),
            newly_priced_attempts=sum(change.attempts for change in report.changes if change.before is None),
            unpriced_attempts=report.unpriced,
            cost_before=usd(before),
            cost_after=usd(after),
            difference=usd(after - before),
            changes=[_change(change) for change in report.changes],
            closed_months=list(report.closed),
            cursor=report.cursor,
        )


def _change(change: store.Change) -> Change:
    return Change(
        provider=change.provider,
        model=change.model,
        price_before=change.before,
        price_after=change.after,
        attempts=change.attempts,
        cost_before=usd(change.before_pico),
        cost_after=usd(change.after_pico),
        difference=usd(change.after_pico - change.before_pico),
    )
