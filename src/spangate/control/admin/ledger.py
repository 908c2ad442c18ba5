"""The bill over HTTP: calls with their attempts, and whether anything of them is missing."""

import asyncio
import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from ...exchange import Status, trace_id
from ...prices.cost import usd
from ...store import ledger as store
from ...store.faults import NotFound
from ...wire.usage import Provenance
from ..desk import Desk
from ..policy import Policy, allows, caller_of, unlimited
from .status import Progress

FUTURE = 9_000_000_000_000  # ms; what is later overflows a database's nanoseconds
WAIT = 10_000  # ms that somebody may wait for a call to be in the ledger
LOOK = 0.1  # s between two looks for it


class Attempt(BaseModel):
    """One try at one target. Times are nanoseconds after the call was received; a count that is null was not said."""

    attempt_no: int
    provider: str
    model: str
    format: str
    model_definition_id: str | None
    secret_id: str | None
    started_ns: int
    headed_ns: int | None = Field(description="When the provider's status and headers were here.")
    first_token_ns: int | None
    ended_ns: int | None
    status: Status
    http_status: int | None
    upstream_request_id: str | None
    response_id: str | None
    response_model: str | None
    service_tier: str | None = Field(description="The provider's own word; what it asks for a token may depend on it.")
    stop_reason: str | None
    input_tokens: int | None = Field(description="All of them: cached and newly cached ones included.")
    output_tokens: int | None = Field(description="All of them: reasoning included.")
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    image_input_tokens: int | None
    image_output_tokens: int | None
    usage_invalid: list[str] = Field(description="Counts that the provider sent and that cannot be right; they are null here.")
    provenance: Provenance = Field(description="Who counted the tokens.")
    price_id: str | None = Field(description="What it was priced by; null: no price is known.")
    input_cost: str | None = Field(description="US dollars, exactly. Fees for a request are a part of it.")
    output_cost: str | None
    cost: str | None = Field(description="The two together. null: not known, which is not zero.")
    fault_kind: str | None
    fault_message: str | None


class Call(BaseModel):
    """One client request, also a refused one."""

    call_id: str
    trace_id: str | None = Field(description="null: the endpoint was not tracked.")
    received_at: datetime.datetime
    duration_ns: int | None
    first_token_ns: int | None
    format: str
    request_type: str
    endpoint_id: str | None
    endpoint: str | None
    experiment_id: str | None
    model: str | None = Field(description="The name that the client sent.")
    stream: bool
    caller_id: str | None
    caller: str | None
    agent: str | None
    request_bytes: int
    status: Status
    http_status: int | None = Field(description="What the client got.")
    fault_kind: str | None
    fault_message: str | None
    owner: str | None = Field(description="Of the key, as it was when it was shown.")
    team: str | None
    input_tokens: int | None = Field(description="Over all attempts that say so; null: none does.")
    output_tokens: int | None
    cost: str | None = Field(description="US dollars, exactly, over the attempts that have a price; null: none has.")
    unpriced_attempts: int | None = Field(
        description="With tokens and no price. null: an older version wrote the call; it is counted soon."
    )
    estimated_attempts: int | None = Field(description="Whose tokens we counted, as no provider did. null: as above.")
    attempts: list[Attempt]


class Calls(BaseModel):
    calls: list[Call]
    next_page_token: str | None = Field(description="null: this is the last page.")


class Gap(BaseModel):
    first_seq: int
    last_seq: int


class Process(BaseModel):
    """How far the database is with the journal of one worker."""

    process_id: str
    state: str = Field(description="open, or closed: the process is gone and all of its journal was taken.")
    records: int = Field(description="Journal records that the database has.")
    last_seq: int = Field(description="Number of the newest of them. Without gaps the two are equal.")
    gaps: list[Gap]
    duplicates: int = Field(description="Calls that came twice; they are kept once.")
    open_calls: int
    updated_at: datetime.datetime


class Completeness(BaseModel):
    complete: bool = Field(description="Nothing is missing, nothing came twice, nothing waits in a journal, no call is open.")
    missing: int = Field(description="Records that were lost. Expected: 0.")
    duplicates: int = Field(description="Expected: 0.")
    open_calls: int
    backlog_bytes: int = Field(description="In journals of this host, not in the database yet.")
    aside: list[str] = Field(description="Damaged journal files that were set aside for a person to look at.")
    processes: list[Process]


def mount(app: FastAPI, desk: Desk, progress: Progress) -> None:
    @app.get("/api/v1/calls", tags=["ledger"], response_model=Calls)
    @allows(Policy.viewer)
    def list_calls(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        endpoint: str | None = None,
        status: Status | None = None,
        since_ms: Annotated[int | None, Query(ge=0, le=FUTURE, description="Received at or after this Unix time.")] = None,
        until_ms: Annotated[int | None, Query(ge=0, le=FUTURE, description="Received before this Unix time.")] = None,
        max_results: Annotated[int, Query(ge=1, le=store.PAGE_LIMIT)] = store.PAGE,
        page_token: str | None = None,
    ) -> Calls:
        """Calls, newest first, each with its attempts."""
        with desk.read() as connection:
            rows, token = store.calls(
                connection,
                endpoint=endpoint or None,
                status=status,
                since_ms=since_ms,
                until_ms=until_ms,
                max_results=max_results,
                page_token=page_token or None,
                endpoint_ids=caller_of(request).endpoints,
            )
        return Calls(calls=[_call(row) for row in rows], next_page_token=token)

    @app.get("/api/v1/calls/{call_id}", tags=["ledger"], response_model=Call)
    @allows(Policy.viewer)
    async def get_call(  # pyright: ignore[reportUnusedFunction]
        call_id: str,
        request: Request,
        wait_ms: Annotated[int, Query(ge=0, le=WAIT, description="For how long to wait for a call that is not in the ledger yet.")] = 0,
    ) -> Call:
        """One call with its attempts. It is in the ledger a moment after its end."""

        def look() -> Call:
            with desk.read() as connection:
                row = store.call(connection, call_id)
            if not caller_of(request).may_read(row.endpoint_id):
                raise NotFound(f"Call '{call_id}' not found")
            return _call(row)

        end = asyncio.get_running_loop().time() + wait_ms / 1000
        while True:
            try:
                return await run_in_threadpool(look)
            except NotFound:
                if asyncio.get_running_loop().time() >= end or await request.is_disconnected():
                    raise
            await asyncio.sleep(LOOK)

    @app.get("/api/v1/completeness", tags=["ledger"], response_model=Completeness)
    @allows(Policy.viewer)
    def completeness(request: Request) -> Completeness:  # pyright: ignore[reportUnusedFunction]
        """Whether each record of each worker's journal is in the database, once."""
        unlimited(request)
        # The journals first: what is drained between the two looks is then counted in both, not in none.
        waiting = progress.backlog()
        with desk.read() as connection:
            processes = store.completeness(connection)
        missing, duplicates = sum(row.missing for row in processes), sum(row.duplicates for row in processes)
        open_calls = sum(row.open_calls for row in processes)
        return Completeness(
            complete=all(row.complete for row in processes) and waiting.bytes == 0 and open_calls == 0 and not waiting.aside,
            missing=missing,
            duplicates=duplicates,
            open_calls=open_calls,
            backlog_bytes=waiting.bytes,
            aside=list(waiting.aside),
            processes=[_process(row) for row in processes],
        )


def _call(row: store.CallRow) -> Call:
    fields: dict[str, Any] = {name: getattr(row, name) for name in Call.model_fields if hasattr(row, name) and name != "attempts"}
    return Call(
        **fields,
        trace_id=None if row.experiment_id is None else trace_id(row.call_id),
        cost=_usd(row.cost_pico),
        unpriced_attempts=row.unpriced,
        estimated_attempts=row.estimated,
        received_at=datetime.datetime.fromtimestamp(row.received_ns / 1e9, datetime.UTC),
        attempts=[_attempt(attempt) for attempt in row.attempts],
    )


def _attempt(row: store.AttemptRow) -> Attempt:
    fields: dict[str, Any] = {name: getattr(row, name) for name in Attempt.model_fields if hasattr(row, name) and name != "usage_invalid"}
    return Attempt(
        **fields,
        usage_invalid=row.usage_invalid.split(",") if row.usage_invalid else [],
        input_cost=_usd(row.input_cost_pico),
        output_cost=_usd(row.output_cost_pico),
        cost=_usd(row.cost_pico),
    )


def _usd(pico: int | None) -> str | None:
    return None if pico is None else usd(pico)


def _process(row: store.Process) -> Process:
    return Process(
        process_id=row.process_id,
        state=row.state,
        records=row.records,
        last_seq=row.last_seq,
        gaps=[Gap(first_seq=first, last_seq=last) for first, last in row.gaps],
        duplicates=row.duplicates,
        open_calls=row.open_calls,
        updated_at=datetime.datetime.fromtimestamp(row.updated_at / 1000, datetime.UTC),
    )
