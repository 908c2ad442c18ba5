"""Experiments over HTTP, with what goes into them. They are made, renamed and deleted over MLflow's own routes."""

import datetime
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field

from ...store import experiments as store
from ...store import tracing
from ..desk import Desk
from ..moments import moment
from ..policy import Policy, allows, caller_of

PAGE, PAGE_LIMIT = 100, 200
_VIEWS = {"active": "ACTIVE_ONLY", "deleted": "DELETED_ONLY", "all": "ALL"}


class TracingEndpoint(BaseModel):
    endpoint_id: str
    name: str


class Experiment(BaseModel):
    experiment_id: str
    name: str
    lifecycle: Literal["active", "deleted"]
    created_at: datetime.datetime
    updated_at: datetime.datetime
    endpoints: list[TracingEndpoint] = Field(description="That trace into it today.")
    traces: int = Field(description="Counted up to 1000.")
    more_traces: bool = Field(description="There may be more of them than that.")
    last_trace_at: datetime.datetime | None = Field(description="null: there is none.")
    tags: dict[str, str]


class Experiments(BaseModel):
    experiments: list[Experiment]
    next_page_token: str | None = Field(description="null: this is the last page.")


def mount(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/v1/experiments", tags=["experiments"], response_model=Experiments)
    @allows(Policy.viewer)
    def list_experiments(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        q: Annotated[str, Query(max_length=500, description="A part of the name, in any case.")] = "",
        lifecycle: Annotated[Literal["active", "deleted", "all"], Query(description="A deleted one can be restored.")] = "active",
        max_results: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE,
        page_token: str | None = None,
    ) -> Experiments:
        """Experiments, the newest first."""
        caller = caller_of(request)
        with desk.read() as connection:
            found, token = store.search(
                connection,
                filter=f"name ILIKE '%{_quoted(q)}%'" if q else None,
                view=_VIEWS[lifecycle],
                max_results=max_results,
                page_token=page_token or None,
                among=caller.experiments,
                endpoint_ids=caller.endpoints,
            )
            into = tracing.tracing(connection, [row.experiment_id for row in found], caller.endpoints)
        return Experiments(experiments=[_experiment(row, into[row.experiment_id]) for row in found], next_page_token=token)


def _quoted(text: str) -> str:
    """For a filter. Nothing shields a wildcard there: the two of them stand for any one character instead."""
    return text.replace("'", "''").replace("%", "_")


def _experiment(row: store.Experiment, into: tracing.Tracing) -> Experiment:
    return Experiment(
        experiment_id=row.experiment_id,
        name=row.name,
        lifecycle="active" if row.lifecycle_stage == store.ACTIVE else "deleted",
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        endpoints=[TracingEndpoint(endpoint_id=endpoint_id, name=name) for endpoint_id, name in into.endpoints],
        traces=into.traces,
        more_traces=into.traces == tracing.COUNTED,
        last_trace_at=None if into.last_ms is None else moment(into.last_ms),
        tags=row.tags,
    )
