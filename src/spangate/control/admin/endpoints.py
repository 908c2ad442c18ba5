"""Endpoints over HTTP, each in one document with its models, settings, aliases and tags, and written in one transaction."""

import datetime
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from sqlalchemy import Connection

from ...exchange import Caller, EndpointSettings
from ...prices.cost import usd
from ...store import aliases, endpoints, experiments, keys, settings, usage
from ...store.endpoints import FALLBACK
from ...store.faults import NotFound
from ..desk import Desk
from ..moments import moment
from ..policy import Policy, allows, caller_of
from ..problems import Problem
from . import composing
from .aliases import Gone
from .documents import (
    BindingRef,
    Endpoint,
    EndpointAsked,
    EndpointReplaced,
    Endpoints,
    ExperimentRef,
    Health,
    KeyRef,
    Primary,
    Target,
    Uses,
)
from .settings import shown
from .status import Progress, Resting

PATH = "/api/v1/endpoints"
DAY = 86_400_000  # ms


def mount(app: FastAPI, desk: Desk, progress: Progress) -> None:
    @app.get(PATH, tags=["endpoints"], response_model=Endpoints)
    @allows(Policy.viewer)
    def list_endpoints(request: Request) -> Endpoints:  # pyright: ignore[reportUnusedFunction]
        """All endpoints, oldest first, with all that is set of them and how their models are."""
        with desk.read() as connection:
            found = [endpoint for endpoint in endpoints.list_(connection) if caller_of(request).may_read(endpoint.endpoint_id)]
            return Endpoints(endpoints=_told(connection, found, progress.resting(), caller_of(request)))

    @app.get(PATH + "/{endpoint}", tags=["endpoints"], response_model=Endpoint)
    @allows(Policy.viewer)
    def get_endpoint(endpoint: str, request: Request) -> Endpoint:  # pyright: ignore[reportUnusedFunction]
        """One endpoint, by its id or its name."""
        with desk.read() as connection:
            return _one(connection, endpoint, progress, caller_of(request))

    @app.post(PATH, tags=["endpoints"], response_model=Endpoint, responses={400: {"model": Problem}})
    @allows(Policy.admin)
    def create_endpoint(wanted: EndpointAsked, request: Request) -> Endpoint:  # pyright: ignore[reportUnusedFunction]
        """Makes an endpoint with the models and secrets that it needs: all of it, or nothing. In force in every worker within a second."""
        with desk.write() as connection:
            made = composing.create(connection, desk, wanted, by=caller_of(request).name)
            return _one(connection, made, progress, caller_of(request))

    @app.put(
        PATH + "/{endpoint}", tags=["endpoints"], response_model=Endpoint, responses={400: {"model": Problem}, 409: {"model": Problem}}
    )
    @allows(Policy.admin)
    def replace_endpoint(  # pyright: ignore[reportUnusedFunction]
        endpoint: str, wanted: EndpointReplaced, request: Request
    ) -> Endpoint:
        """Makes an endpoint, by its id or its name, what the document says. With `updated_at` only if nobody has changed it since."""
        with desk.write() as connection:
            replaced = composing.replace(connection, desk, endpoint, wanted, by=caller_of(request).name)
            return _one(connection, replaced, progress, caller_of(request))

    @app.delete(PATH + "/{endpoint}", tags=["endpoints"], response_model=Gone)
    @allows(Policy.admin)
    def delete_endpoint(endpoint: str) -> Gone:  # pyright: ignore[reportUnusedFunction]
        """Removes an endpoint, by its id or its name, with its aliases and tags. Its experiment, traces and ledger rows stay, for the
        server's periods of retention: its own go with it."""
        with desk.write() as connection:
            endpoints.delete(connection, endpoints.find(connection, endpoint).endpoint_id)
        return Gone()

    @app.get(PATH + "/{endpoint}/uses", tags=["endpoints"], response_model=Uses)
    @allows(Policy.admin)
    def get_endpoint_uses(endpoint: str) -> Uses:  # pyright: ignore[reportUnusedFunction]
        """Who would miss an endpoint, by its id or its name: to be looked at before it is renamed or deleted."""
        now = desk.now()
        with desk.read() as connection:
            found = endpoints.find(connection, endpoint)
            limited = [key for key in keys.list_(connection, now=now) if key.endpoints is not None and found.endpoint_id in key.endpoints]
            month = _used(connection, found.endpoint_id, 30 * DAY, now)
            return Uses(
                aliases=[alias.pattern for alias in aliases.list_(connection, endpoint=found.name)],
                keys=[KeyRef(key_id=key.key_id, name=key.name, only=len(key.endpoints or ()) == 1) for key in limited],
                bindings=[
                    BindingRef(resource_type=binding.resource_type, resource_id=binding.resource_id, display_name=binding.display_name)
                    for binding in endpoints.list_bindings(connection, endpoint_id=found.endpoint_id)
                ],
                calls_day=_used(connection, found.endpoint_id, DAY, now).calls,
                calls_month=month.calls,
                cost_month=None if month.cost_pico is None else usd(month.cost_pico),
            )


def _one(connection: Connection, endpoint: str, progress: Progress, caller: Caller) -> Endpoint:
    found = endpoints.find(connection, endpoint)
    if not caller.may_read(found.endpoint_id):
        raise NotFound(f"GatewayEndpoint not found (name='{endpoint}')")
    return _told(connection, [found], progress.resting(), caller)[0]


def _used(connection: Connection, endpoint_id: str, ms: int, now: int) -> usage.Measures:
    asked = usage.Question(since=now - ms, until=now, zone=datetime.UTC, endpoints=(endpoint_id,))
    return usage.usage(connection, asked).total.measures


# ---------------------------------------------------------------- as it is told


def _told(connection: Connection, found: Sequence[endpoints.Endpoint], resting: Sequence[Resting], caller: Caller) -> list[Endpoint]:
    said = settings.of_all(connection)
    patterns: dict[str, list[str]] = {}
    for alias in aliases.list_(connection):
        patterns.setdefault(alias.endpoint_id, []).append(alias.pattern)
    ids = {endpoint.experiment_id for endpoint in found if endpoint.experiment_id is not None and caller.may_see(endpoint.experiment_id)}
    names = experiments.names(connection, ids)
    rests = {rest.model_definition_id: rest.seconds for rest in resting}
    return [
        _endpoint(endpoint, said.get(endpoint.endpoint_id, EndpointSettings()), patterns.get(endpoint.endpoint_id, []), names, rests)
        for endpoint in found
    ]


def _endpoint(
    endpoint: endpoints.Endpoint,
    said: EndpointSettings,
    patterns: list[str],
    names: Mapping[str, str],
    rests: Mapping[str, float],
) -> Endpoint:
    primaries = [mapping for mapping in endpoint.mappings if mapping.linkage_type != FALLBACK]
    fallbacks = [mapping for mapping in endpoint.mappings if mapping.linkage_type == FALLBACK]
    whole = sum(mapping.weight for mapping in primaries)
    held = endpoint.experiment_id
    return Endpoint(
        endpoint_id=endpoint.endpoint_id,
        name=endpoint.name,
        primaries=[
            Primary(
                **_target(mapping, rests).model_dump(),
                weight=mapping.weight,
                share=round(100 * mapping.weight / whole if whole else 100 / len(primaries), 4),
            )
            for mapping in primaries
        ],
        fallbacks=[_target(mapping, rests) for mapping in sorted(fallbacks, key=lambda mapping: mapping.fallback_order or 0)],
        max_attempts=None if endpoint.fallback is None else endpoint.fallback.max_attempts,
        usage_tracking=endpoint.usage_tracking,
        experiment=ExperimentRef(id=held, name=names[held]) if held is not None and held in names else None,
        settings=shown(said),
        aliases=patterns,
        tags=endpoint.tags,
        created_at=moment(endpoint.created_at),
        updated_at=moment(endpoint.updated_at),
        created_by=endpoint.created_by,
        updated_by=endpoint.updated_by,
    )


def _target(mapping: endpoints.Mapping, rests: Mapping[str, float]) -> Target:
    model = mapping.model_definition
    seconds = rests.get(model.model_definition_id)
    return Target(
        model_definition_id=model.model_definition_id,
        model_definition_name=model.name,
        provider=model.provider,
        model=model.model_name,
        secret_id=model.secret_id,
        secret_name=model.secret_name,
        health=Health(state="ok" if seconds is None else "resting", seconds=seconds),
    )
