"""What is degraded, in words for a person and numbers for a program. Never asks the database: it answers at once when that hangs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from spangate.exchange import SealedRoute, SealedTarget
from spangate.relay.cooling import Cooling

from ... import __version__
from ..chores import Health
from ..desk import Desk
from ..drain import Backlog
from ..policy import Policy, allows, unlimited
from ..pricing import Pricing
from ..retention import Swept

# Chores without which something else is not so any more, and what.
NEEDED = {
    "account": "Calls of an older version are not added up",
    "calibrate": "Estimates of tokens are not corrected by what providers report",
    "note": "When keys were last used is not noted",
    "sweep": "What has outlived its period is not deleted",
}
SILENT = 5.0  # s; it is asked each second
STALE = 30.0  # s that journals may wait before that is worth a word


class DatabaseState(BaseModel):
    reachable: bool
    dialect: str
    fault: str | None


class DrainState(BaseModel):
    backlog_bytes: int = Field(description="In journals of this host, not in the database yet.")
    backlog_age: float = Field(description="Seconds since the journals were last empty; 0: they are.")
    live: int = Field(description="Journals of processes that run.")
    orphans: int = Field(description="Journals of processes that are gone, not all taken yet.")
    aside: list[str] = Field(description="Damaged files that were set aside for a person to look at.")
    fault: str | None


class SnapshotState(BaseModel):
    published: int | None = Field(description="Version of the snapshot file; null: none was written since this process began.")
    current: int | None = Field(description="Version of the database when it was last asked; null: it never answered.")
    fault: str | None


class Resting(BaseModel):
    """A model that calls pass over for a while, as it failed time and again."""

    endpoints: list[str] = Field(description="Names of those that use it.")
    provider: str
    model: str
    model_definition_id: str
    seconds: float = Field(description="Until a call is let through to see how it is; 0: one is under way.")
    cooled: int = Field(description="Times in a row that it rested, this one included.")


class Model(BaseModel):
    provider: str
    model: str


class PricesState(BaseModel):
    edition: str | None = Field(description="The price list that was read last.")
    models: int = Field(description="That endpoints use.")
    unpriced: list[Model] = Field(description="Those of them that have no price now: what they cost is unknown, which is not zero.")
    fault: str | None = Field(description="Why the newest list is not here.")


class Gateway(BaseModel):
    version: str
    ok: bool = Field(description="Nothing is degraded.")
    degraded: list[str] = Field(description="What is, in words.")
    database: DatabaseState
    drain: DrainState
    snapshot: SnapshotState
    resting: list[Resting] = Field(description="Models that calls pass over for a while; the gateway itself is well with that.")
    prices: PricesState


class Progress(Protocol):
    """What the process knows of its own chores."""

    def backlog(self) -> Backlog: ...

    def backlog_age(self) -> float:
        """Seconds since the drain last had nothing left to take."""
        ...

    def drained(self) -> str | None:
        """Returns when all that was in the journals at the call is in the database; or why that cannot be had now."""
        ...

    def current(self) -> int | None:
        """Version of the database, when it last answered."""
        ...

    def published(self) -> int | None:
        """Version of the snapshot file that this process wrote last."""
        ...

    def resting(self) -> list[Resting]:
        """Models that the workers of this host pass over now."""
        ...

    def prices(self) -> PricesState: ...

    def swept(self) -> Swept:
        """What retention has deleted."""
        ...

    def journals_size(self) -> int:
        """Bytes that the files of this host's journals take, those set aside included."""
        ...

    def chores(self) -> Mapping[str, Health]:
        """By name: `database`, `drain`, `publish`, and those of NEEDED."""
        ...


def mount(app: FastAPI, desk: Desk, progress: Progress) -> None:
    @app.get("/api/v1/status", tags=["status"], response_model=Gateway)
    @allows(Policy.viewer)
    async def status(request: Request) -> Gateway:  # pyright: ignore[reportUnusedFunction]
        """What is degraded: calls are served on with any of it, from the snapshot and into the journals."""
        unlimited(request)
        return state(desk, progress)


def state(desk: Desk, progress: Progress) -> Gateway:
    chores = progress.chores()
    database = _database(desk.database.dialect, chores["database"])
    waiting = progress.backlog()
    drain = DrainState(
        backlog_bytes=waiting.bytes,
        backlog_age=progress.backlog_age() if waiting.bytes else 0.0,
        live=sum(process.live for process in waiting.processes),
        orphans=sum(not process.live for process in waiting.processes),
        aside=list(waiting.aside),
        fault=chores["drain"].fault,
    )
    snapshots = SnapshotState(published=progress.published(), current=progress.current(), fault=chores["publish"].fault)
    prices = progress.prices()
    degraded = list(_words(database, drain, snapshots, prices))
    degraded += [f"{what}: {fault}" for name, what in NEEDED.items() if (fault := chores[name].fault) is not None]
    return Gateway(
        version=__version__,
        ok=not degraded,
        degraded=degraded,
        database=database,
        drain=drain,
        snapshot=snapshots,
        resting=progress.resting(),
        prices=prices,
    )


def resting(routes: Iterable[SealedRoute], cooling: Cooling) -> list[Resting]:
    """Who rests of all models that endpoints use, each once."""
    used: dict[tuple[str, str | None], tuple[SealedTarget, list[str]]] = {}
    for route in routes:
        for target in route.targets:
            endpoints = used.setdefault((target.model_definition_id, target.secret_id), (target, []))[1]
            if route.name not in endpoints:
                endpoints.append(route.name)
    found: list[Resting] = []
    for rest in cooling.resting(used):
        target, endpoints = used[rest.model_definition_id, rest.secret_id]
        found.append(
            Resting(
                endpoints=endpoints,
                provider=target.provider,
                model=target.model,
                model_definition_id=target.model_definition_id,
                seconds=rest.seconds,
                cooled=rest.cooled,
            )
        )
    return found


def prices(routes: Iterable[SealedRoute], pricing: Pricing, fault: str | None) -> PricesState:
    """Whether the models of these endpoints have prices, where all of a model's endpoints and credentials count."""
    used = {(target.provider, target.model) for route in routes for target in route.targets}
    unpriced = {
        (target.provider, target.model)
        for route in routes
        for target in route.targets
        if not pricing.knows(target.provider, target.model, endpoint_id=route.endpoint_id, secret_id=target.secret_id)
    }
    return PricesState(
        edition=pricing.state.edition,
        models=len(used),
        unpriced=[Model(provider=provider, model=model) for provider, model in sorted(unpriced)],
        fault=fault,
    )


def _database(dialect: str, asked: Health) -> DatabaseState:
    fault = asked.fault
    if fault is None and asked.silent > SILENT:
        fault = f"It has not answered for {asked.silent:.0f} s."
    return DatabaseState(reachable=fault is None, dialect=dialect, fault=fault)


def _words(database: DatabaseState, drain: DrainState, snapshots: SnapshotState, prices: PricesState) -> Iterator[str]:
    if not database.reachable:
        yield f"The database cannot be reached: {database.fault} Calls are served on and kept in the journals."
    if drain.fault is not None:
        yield f"The journals are not drained: {drain.fault}"
    elif drain.backlog_age > STALE:
        yield f"The journals have waited {drain.backlog_age:.0f} s to be drained ({drain.backlog_bytes} bytes)."
    if drain.aside:
        yield f"Damaged journal files were set aside: {', '.join(drain.aside)}"
    if snapshots.fault is not None:
        yield f"Changes do not reach the workers: {snapshots.fault}"
    if prices.fault is not None:
        yield f"The prices are not refreshed: {prices.fault}"
