"""How long what is kept, how much that is, and what is to be deleted now, over HTTP."""

import datetime
from typing import Annotated

import msgspec
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from ...record.origin import kept
from ...store import ledger, sizes
from ...store import retention as store
from ...store.deletion import Criteria
from ...store.faults import Invalid, NotFound
from ...store.retention import Kind
from .. import retention
from ..desk import Desk
from ..policy import Policy, allows, unlimited
from .rates import moment
from .status import Progress

Days = Annotated[int | None, Field(ge=1, le=store.LONGEST)]
PATIENCE = 5.0  # s that one request deletes


class Periods(BaseModel):
    """In days; null: for good. Content outlives no trace, and no trace the ledger."""

    model_config = ConfigDict(extra="forbid")

    content_days: Days = Field(default=None, description="Requests and answers, their previews, and providers' words on them.")
    trace_days: Days = Field(default=None, description="The rest of a trace: spans, times, tags, session and user.")
    ledger_days: Days = Field(default=None, description="Calls and attempts, with tokens and cost. Their sums stay for good.")


class OwnPeriods(Periods):
    """Of an endpoint; null: the server's."""

    endpoint: str


class Swept(BaseModel):
    """What this process has deleted since it began."""

    content: int
    traces: int
    calls: int
    at: datetime.datetime | None = Field(description="When it last was done with all that had outlived its period; null: never yet.")
    under_way: bool
    fault: str | None = Field(description="Why the last try failed; null: it did not.")


class State(Periods):
    endpoints: list[OwnPeriods] = Field(description="Those that have periods of their own.")
    swept: Swept


class Wanted(BaseModel):
    """Which traces to delete: all that is said must hold, and something must be said."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    session: str | None = None
    experiment_id: str | None = None
    before_ms: int | None = Field(default=None, ge=0, le=9_000_000_000_000, description="Received before this Unix time.")


class Deleted(BaseModel):
    traces_deleted: int
    done: bool = Field(description="false: it was too much for one request; ask again until it is true.")
    backlog_bytes: int = Field(description="Still in journals of this host: what is in them can be deleted when it is drained.")
    open_calls: int = Field(description="Under way: they become traces when they end.")


class Table(BaseModel):
    """With its indexes."""

    name: str
    rows: int
    bytes: int


class Part(BaseModel):
    """What has a period of its own."""

    kind: Kind
    rows: int
    bytes: int
    oldest: datetime.datetime | None
    newest: datetime.datetime | None
    due_rows: int = Field(description="That have outlived their period, and are not deleted yet.")
    due_bytes: int = Field(description="About so much they take, at the mean size of a row.")


class Size(BaseModel):
    dialect: str
    bytes: int = Field(description="Of the whole database, what is free in it included.")
    free: int | None = Field(description="Bytes that new rows take first; null: the database does not say.")
    journals: int = Field(description="Bytes of the files of this host's journals.")
    rows_estimated: bool = Field(description="By the database; else they were counted.")
    bytes_estimated: bool = Field(description="Those of the tables; else they were measured.")
    tables: list[Table] = Field(description="The largest first.")
    parts: list[Part]
    calls_per_day: float = Field(description="Mean of the last seven whole days; 0: no day is whole yet.")
    bytes_per_day: int = Field(
        description="About so much they grow the database by, at the mean size of a call with all that is kept of it."
    )


def mount(app: FastAPI, desk: Desk, progress: Progress) -> None:
    @app.get("/api/v1/retention", tags=["retention"], response_model=State)
    @allows(Policy.admin)
    def get_retention(request: Request) -> State:  # pyright: ignore[reportUnusedFunction]
        """The periods in force, and what was deleted by them."""
        unlimited(request)
        with desk.read() as connection:
            server, own = store.get(connection), store.own(connection)
        swept = progress.swept()
        return State(
            **msgspec.structs.asdict(server),
            endpoints=[OwnPeriods(endpoint=name, **msgspec.structs.asdict(held)) for _, name, held in own],
            swept=Swept(
                content=swept.content,
                traces=swept.trace,
                calls=swept.ledger,
                at=moment(swept.at),
                under_way=swept.under_way,
                fault=swept.fault,
            ),
        )

    @app.patch("/api/v1/retention", tags=["retention"], response_model=Periods)
    @allows(Policy.admin)
    def change_retention(changes: Periods, request: Request) -> Periods:  # pyright: ignore[reportUnusedFunction]
        """Changes the server's periods that are named and leaves the rest; null is for good. Deleting begins within a minute."""
        unlimited(request)
        with desk.write() as connection:
            changed = store.update(connection, changes.model_dump(exclude_unset=True))
        return Periods.model_validate(msgspec.structs.asdict(changed))

    @app.post("/api/v1/traces/delete", tags=["retention"], response_model=Deleted)
    @allows(Policy.admin)
    def delete_traces(wanted: Wanted, request: Request) -> Deleted:  # pyright: ignore[reportUnusedFunction]
        """Deletes traces for good, with all that was said. The bill stays: it holds nobody's words."""
        caller = unlimited(request)
        criteria = _criteria(wanted)
        if wanted.experiment_id is None and caller.experiments is not None:
            raise Invalid("This key is for some experiments: say `experiment_id`.")
        if wanted.experiment_id is not None and not caller.may_see(wanted.experiment_id):
            raise NotFound(f"No Experiment with id={wanted.experiment_id} exists")
        progress.drained()
        deleted, done = retention.delete(desk.read, desk.write_quietly, criteria, seconds=PATIENCE)
        if done:
            desk.database.forget()
        waiting = progress.backlog().bytes
        with desk.read() as connection:
            return Deleted(traces_deleted=deleted, done=done, backlog_bytes=waiting, open_calls=ledger.open_(connection))

    @app.get("/api/v1/database/size", tags=["retention"], response_model=Size)
    @allows(Policy.admin)
    def database_size(request: Request) -> Size:  # pyright: ignore[reportUnusedFunction]
        """How large the database is, what of it, since when, and how fast it grows."""
        unlimited(request)
        with desk.read() as connection:
            size = sizes.measure(connection, now=desk.now())
        return Size.model_validate(msgspec.to_builtins(size) | {"journals": progress.journals_size()})


def _criteria(wanted: Wanted) -> Criteria:
    if not wanted.model_dump(exclude_none=True):
        raise Invalid("Say which traces: a user, a session, an experiment_id, or before_ms.")
    for field in ("user", "session"):
        said: str | None = getattr(wanted, field)
        if said is not None and kept(said) is None:
            raise Invalid(f"'{field}' is empty.")
    number = wanted.experiment_id
    if number is not None and not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise NotFound(f"No Experiment with id={number[:100]} exists")
    return Criteria(
        # As the traces have them: cut, and masked.
        user_id=kept(wanted.user),
        session_id=kept(wanted.session),
        experiment_ids=None if number is None else (int(number),),
        before_ms=wanted.before_ms,
    )
