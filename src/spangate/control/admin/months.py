"""Months of the bill over HTTP: what each came to, and closing one, so that it stays as it is."""

import datetime
import time
from typing import Annotated

from fastapi import Body, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from ...store import months as store
from ...store.faults import Unavailable
from ..desk import Desk
from ..policy import Policy, allows, caller_of, unlimited
from .status import Progress

PATH = "/api/v1/months"


class Line(BaseModel):
    group: str = Field(description='"" for the whole, and for what has no such name.')
    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost: str | None = Field(description="US dollars, exactly, of what has a price. null: there were tokens, and nothing has a price.")
    unpriced_attempts: int
    estimated_attempts: int
    unknown_attempts: int


class Drift(BaseModel):
    """What came after the month was closed, such as from a host that was away."""

    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost: str = Field(description="US dollars.")


class Event(BaseModel):
    at: datetime.datetime
    what: str = Field(description="closed, or reopened.")
    by: str
    note: str


class Month(BaseModel):
    month: str = Field(description="2026-11, in UTC.")
    state: str = Field(description="open, or closed.")
    total: Line = Field(description="As it is now.")
    closed_total: Line | None = Field(description="As it was when it was last closed.")
    drift: Drift | None = Field(description="By how much a closed month differs from that. null: not at all.")
    events: list[Event] = Field(description="Closed and reopened by whom, oldest first.")


class Whole(Month):
    by: dict[str, list[Line]] = Field(description="When it was last closed: by endpoint, provider, model, key, owner and team.")


class Months(BaseModel):
    months: list[Month]


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: str = Field(default="", description="Why; kept with the month.")


def mount(app: FastAPI, desk: Desk, progress: Progress) -> None:
    @app.get("/api/v1/usage/months", tags=["usage"], response_model=Months)
    @allows(Policy.viewer)
    def list_months(request: Request) -> Months:  # pyright: ignore[reportUnusedFunction]
        """Each month from the first with usage on, newest first. A key for some endpoints sees what these came to, and no more."""
        with desk.read() as connection:
            found = store.months(connection, now=desk.now(), endpoints=caller_of(request).endpoints)
        return Months(months=[_month(month) for month in found])

    @app.get(PATH + "/{month}", tags=["usage"], response_model=Whole)
    @allows(Policy.viewer)
    def get_month(month: str, request: Request) -> Whole:  # pyright: ignore[reportUnusedFunction]
        """One month, with what was kept of it."""
        unlimited(request)
        return _whole(month)

    @app.post(PATH + "/{month}/close", tags=["usage"], response_model=Whole)
    @allows(Policy.admin)
    def close_month(  # pyright: ignore[reportUnusedFunction]
        month: str, request: Request, said: Annotated[Note | None, Body()] = None
    ) -> Whole:
        """Keeps what a month that is over came to; its calls are not priced anew from then on. Drains this host's journals first."""
        by = unlimited(request).name
        store.bounds(month)
        _drain()
        with desk.write_quietly() as connection:
            store.close(connection, month, now=desk.now(), by=by, note=said.note if said else "")
        return _whole(month)

    @app.post(PATH + "/{month}/reopen", tags=["usage"], response_model=Whole)
    @allows(Policy.admin)
    def reopen_month(  # pyright: ignore[reportUnusedFunction]
        month: str, request: Request, said: Annotated[Note | None, Body()] = None
    ) -> Whole:
        """Lets a closed month's calls be priced anew. What was kept of it stays, until it is closed again."""
        by = unlimited(request).name
        with desk.write_quietly() as connection:
            store.reopen(connection, month, now=desk.now(), by=by, note=said.note if said else "")
        return _whole(month)

    def _whole(month: str) -> Whole:
        with desk.read() as connection:
            found = store.month(connection, month)
        by = {} if found.statement is None else found.statement.by
        return Whole(**dict(_month(found)), by={noun: [_line(line) for line in lines] for noun, lines in by.items()})

    def _drain() -> None:
        """A call of the month may still be in a journal."""
        began = time.monotonic()
        fault = progress.drained()
        if fault is None and progress.backlog_age() > time.monotonic() - began:
            fault = "there is more than can be taken at once"
        if fault is not None:
            raise Unavailable(f"The journals are not drained: {fault}. Try again in a while.")


def _month(found: store.Month) -> Month:
    return Month(
        month=found.month,
        state="closed" if found.closed else "open",
        total=_line(found.total),
        closed_total=None if found.statement is None else _line(found.statement.total),
        drift=None if found.drift is None else Drift.model_validate(found.drift, from_attributes=True),
        events=[] if found.statement is None else [_event(event) for event in found.statement.events],
    )


def _line(line: store.Line) -> Line:
    return Line.model_validate(line, from_attributes=True)


def _event(event: store.Event) -> Event:
    return Event(at=datetime.datetime.fromtimestamp(event.at / 1000, datetime.UTC), what=event.what, by=event.by, note=event.note)
