"""Endpoints: what a person configures. Each rule of tracking is here, inside the caller's transaction, or in experiments.py.

An endpoint that is tracked has an active experiment, always. Absent is not false: what an update does not name stays.
"""

import math
import re
import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Connection

from . import aliases, experiments, limits, models, paging
from .changed import later, touch
from .engine import bump
from .faults import AlreadyExists, Invalid, NotFound
from .models import ModelDefinition
from .schema import aliases as endpoint_aliases
from .schema import endpoint_bindings, endpoint_models, endpoint_tags, model_definitions
from .schema import endpoints as table

PRIMARY, FALLBACK = "PRIMARY", "FALLBACK"
MOST_ATTEMPTS = 1_000
ROUTING = frozenset({"REQUEST_BASED_TRAFFIC_SPLIT"})
SEQUENTIAL = "SEQUENTIAL"

_NAME = re.compile(r"[a-zA-Z0-9_\-.]+")


class EndpointModel(Struct, frozen=True, kw_only=True):
    """A model definition as it is asked to be attached."""

    model_definition_id: str
    linkage_type: str = PRIMARY
    weight: float = 1.0
    fallback_order: int | None = None


class Fallback(Struct, frozen=True, kw_only=True):
    strategy: str | None = SEQUENTIAL
    max_attempts: int | None = None


class Mapping(Struct, frozen=True, kw_only=True):
    """A model definition as it is attached."""

    mapping_id: str
    endpoint_id: str
    model_definition_id: str
    model_definition: ModelDefinition
    linkage_type: str
    weight: float
    fallback_order: int | None
    created_at: int
    created_by: str | None


class Endpoint(Struct, frozen=True, kw_only=True):
    endpoint_id: str
    name: str
    mappings: tuple[Mapping, ...]
    tags: dict[str, str]
    routing_strategy: str | None
    fallback: Fallback | None
    usage_tracking: bool
    experiment_id: str | None
    created_at: int
    updated_at: int
    created_by: str | None
    updated_by: str | None


class Binding(Struct, frozen=True, kw_only=True):
    """Something that depends on an endpoint, such as a scorer."""

    endpoint_id: str
    resource_type: str
    resource_id: str
    display_name: str | None
    created_at: int
    updated_at: int
    created_by: str | None
    updated_by: str | None


# ---------------------------------------------------------------- endpoints


def create(
    connection: Connection,
    *,
    name: str,
    models: Sequence[EndpointModel],
    routing_strategy: str | None = None,
    fallback: Fallback | None = None,
    usage_tracking: bool | None = None,
    experiment_id: str | None = None,
    by: str | None = None,
    now: int,
) -> Endpoint:
    """`usage_tracking` None: tracked. Tracked without an experiment: one is found or made for it."""
    bump(connection)
    free(connection, name)
    if not models:
        raise Invalid("Endpoint must have at least one model configuration")
    check(connection, models)
    if fallback is None and any(model.linkage_type == FALLBACK for model in models):
        fallback = Fallback()
    endpoint_id = "e-" + uuid.uuid4().hex
    tracked = usage_tracking is not False
    experiment = None if experiment_id is None else given_experiment(connection, experiment_id)
    if tracked and experiment is None:
        experiment = experiments.of_endpoint(connection, endpoint_id, name, now=now)
    connection.execute(
        table.insert().values(
            endpoint_id=endpoint_id,
            name=name,
            **_strategies(routing_strategy, fallback),
            usage_tracking=tracked,
            experiment_id=experiment,
            created_at=now,
            updated_at=now,
            created_by=limits.kept(by, limits.NAME),
            updated_by=limits.kept(by, limits.NAME),
        )
    )
    _attach(connection, endpoint_id, models, start=0, by=by, now=now)
    return get(connection, endpoint_id)


def get(connection: Connection, endpoint_id: str | None = None, *, name: str | None = None) -> Endpoint:
    if (endpoint_id is None) == (name is None):
        raise Invalid("Exactly one of endpoint_id or name must be provided")
    condition = table.c.endpoint_id == endpoint_id if endpoint_id is not None else table.c.name == name
    found = _endpoints(connection, sa.select(table).where(condition))
    if not found:
        asked = f"endpoint_id='{endpoint_id}'" if endpoint_id is not None else f"name='{name}'"
        raise NotFound(f"GatewayEndpoint not found ({asked})")
    return found[0]


def find(connection: Connection, endpoint: str) -> Endpoint:
    """By its id, else by its name."""
    found = _endpoints(connection, sa.select(table).where(table.c.endpoint_id == endpoint))
    return found[0] if found else get(connection, name=endpoint)


def list_(connection: Connection, provider: str | None = None, secret_id: str | None = None) -> list[Endpoint]:
    """All, or those with a model of this provider or of this secret."""
    query = sa.select(table).order_by(table.c.created_at, table.c.endpoint_id)
    if provider is not None or secret_id is not None:
        attached = sa.select(endpoint_models.c.endpoint_id).join(
            model_definitions, model_definitions.c.model_definition_id == endpoint_models.c.model_definition_id
        )
        if provider is not None:
            attached = attached.where(model_definitions.c.provider == provider)
        if secret_id is not None:
            attached = attached.where(model_definitions.c.secret_id == secret_id)
        query = query.where(table.c.endpoint_id.in_(attached))
    return _endpoints(connection, query)


def update(
    connection: Connection,
    endpoint_id: str,
    *,
    name: str | UnsetType = UNSET,
    models: Sequence[EndpointModel] | UnsetType = UNSET,
    routing_strategy: str | UnsetType | None = UNSET,
    fallback: Fallback | UnsetType | None = UNSET,
    usage_tracking: bool | UnsetType = UNSET,
    experiment_id: str | UnsetType = UNSET,
    by: str | None = None,
    now: int,
) -> Endpoint:
    """Changes what is given. New models replace all mappings and leave strategy and fallback alone; none at all: unchanged."""
    bump(connection)
    before = get(connection, endpoint_id)
    changed: dict[str, object] = {"updated_at": later(before.updated_at, now)}
    if by is not None:
        changed["updated_by"] = limits.kept(by, limits.NAME)
    if name is not UNSET and name != before.name:
        free(connection, name)
        changed["name"] = name
    if models is not UNSET and models:
        check(connection, models)
        connection.execute(endpoint_models.delete().where(endpoint_models.c.endpoint_id == endpoint_id))
        _attach(connection, endpoint_id, models, start=0, by=by, now=now)
        if fallback is UNSET and before.fallback is None and any(model.linkage_type == FALLBACK for model in models):
            fallback = Fallback()
    changed |= _strategies(
        before.routing_strategy if routing_strategy is UNSET else routing_strategy, before.fallback if fallback is UNSET else fallback
    )
    tracked = before.usage_tracking if usage_tracking is UNSET else usage_tracking
    changed["usage_tracking"] = tracked
    if experiment_id is not UNSET:
        changed["experiment_id"] = given_experiment(connection, experiment_id)
    elif tracked and (before.experiment_id is None or experiments.active(connection, before.experiment_id) is None):
        # Turned on for the first time, or its experiment was deleted while it was off.
        final = before.name if name is UNSET else name
        changed["experiment_id"] = experiments.of_endpoint(connection, endpoint_id, final, now=now)
    connection.execute(table.update().where(table.c.endpoint_id == endpoint_id).values(changed))
    return get(connection, endpoint_id)


def delete(connection: Connection, endpoint_id: str) -> None:
    """Takes its mappings, tags, bindings and aliases with it. Its experiment and its ledger rows stay."""
    bump(connection)
    get(connection, endpoint_id)
    for part in (endpoint_models, endpoint_tags, endpoint_bindings, endpoint_aliases, table):
        connection.execute(part.delete().where(part.c.endpoint_id == endpoint_id))


# ---------------------------------------------------------------- their models


def attach(connection: Connection, endpoint_id: str, model: EndpointModel, *, by: str | None = None, now: int) -> Mapping:
    bump(connection)
    before = get(connection, endpoint_id)
    check(connection, [model], whole=False)
    if any(
        mapping.model_definition_id == model.model_definition_id and mapping.linkage_type == model.linkage_type
        for mapping in before.mappings
    ):
        raise AlreadyExists(f"Model definition '{model.model_definition_id}' is already attached to endpoint '{endpoint_id}'")
    ordinals = sa.select(sa.func.max(endpoint_models.c.ordinal)).where(endpoint_models.c.endpoint_id == endpoint_id)
    last = connection.execute(ordinals).scalar()
    (mapping_id,) = _attach(connection, endpoint_id, [model], start=0 if last is None else last + 1, by=by, now=now)
    changed: dict[str, object] = {"updated_at": later(before.updated_at, now)}
    if model.linkage_type == FALLBACK and before.fallback is None:
        changed |= _strategies(before.routing_strategy, Fallback())
    connection.execute(table.update().where(table.c.endpoint_id == endpoint_id).values(changed))
    after = get(connection, endpoint_id)
    return next(mapping for mapping in after.mappings if mapping.mapping_id == mapping_id)


def detach(connection: Connection, endpoint_id: str, model_definition_id: str, *, now: int) -> None:
    """Takes off each mapping of the pair."""
    bump(connection)
    get(connection, endpoint_id)
    condition = (endpoint_models.c.endpoint_id == endpoint_id) & (endpoint_models.c.model_definition_id == model_definition_id)
    if connection.execute(endpoint_models.delete().where(condition)).rowcount == 0:
        raise NotFound(f"Model definition '{model_definition_id}' is not attached to endpoint '{endpoint_id}'")
    touch(connection, endpoint_id, now)


# ---------------------------------------------------------------- their tags and bindings


def set_tag(connection: Connection, endpoint_id: str, key: str, value: str, *, now: int) -> None:
    bump(connection)
    get(connection, endpoint_id)
    limits.given(key, "key", limits.TAG_KEY)
    limits.given(value, "value", limits.ENDPOINT_TAG, empty=True)
    experiments.put(connection, endpoint_tags, {"endpoint_id": endpoint_id, "key": key}, value)
    touch(connection, endpoint_id, now)


def delete_tag(connection: Connection, endpoint_id: str, key: str, *, now: int) -> None:
    """A tag that is not there is as good as deleted, as in MLflow."""
    bump(connection)
    get(connection, endpoint_id)
    condition = (endpoint_tags.c.endpoint_id == endpoint_id) & (endpoint_tags.c.key == key)
    connection.execute(endpoint_tags.delete().where(condition))
    touch(connection, endpoint_id, now)


def create_binding(
    connection: Connection,
    endpoint_id: str,
    *,
    resource_type: str,
    resource_id: str,
    display_name: str | None = None,
    by: str | None = None,
    now: int,
) -> Binding:
    bump(connection)
    get(connection, endpoint_id)
    limits.given(resource_type, "resource_type", 50)
    limits.given(resource_id, "resource_id", 255)
    if list_bindings(connection, endpoint_id=endpoint_id, resource_type=resource_type, resource_id=resource_id):
        raise AlreadyExists(f"Endpoint '{endpoint_id}' is already bound to {resource_type} '{resource_id}'")
    binding = Binding(
        endpoint_id=endpoint_id,
        resource_type=resource_type,
        resource_id=resource_id,
        display_name=limits.kept(display_name, limits.NAME),
        created_at=now,
        updated_at=now,
        created_by=limits.kept(by, limits.NAME),
        updated_by=limits.kept(by, limits.NAME),
    )
    connection.execute(endpoint_bindings.insert().values({field: getattr(binding, field) for field in binding.__struct_fields__}))
    return binding


def list_bindings(
    connection: Connection, *, endpoint_id: str | None = None, resource_type: str | None = None, resource_id: str | None = None
) -> list[Binding]:
    columns = endpoint_bindings.c
    query = sa.select(endpoint_bindings).order_by(columns.created_at, columns.endpoint_id, columns.resource_type, columns.resource_id)
    for column, value in ((columns.endpoint_id, endpoint_id), (columns.resource_type, resource_type), (columns.resource_id, resource_id)):
        if value is not None:
            query = query.where(column == value)
    return [Binding(**row) for row in connection.execute(query).mappings()]


def delete_binding(connection: Connection, endpoint_id: str, *, resource_type: str, resource_id: str) -> None:
    bump(connection)
    columns = endpoint_bindings.c
    condition = sa.and_(columns.endpoint_id == endpoint_id, columns.resource_type == resource_type, columns.resource_id == resource_id)
    if connection.execute(endpoint_bindings.delete().where(condition)).rowcount == 0:
        raise NotFound(
            f"GatewayEndpointBinding not found (endpoint_id='{endpoint_id}', resource_type='{resource_type}', resource_id='{resource_id}')"
        )


# ---------------------------------------------------------------- inside


def free(connection: Connection, name: str) -> None:
    """Raises Invalid or AlreadyExists if no new endpoint can have that name."""
    limits.given(name, "name", limits.NAME)
    if not _NAME.fullmatch(name):
        raise Invalid(f"Invalid endpoint name '{name}'. Letters, digits, '_', '-' and '.' are allowed.")
    if connection.execute(sa.select(table.c.endpoint_id).where(table.c.name == name)).first() is not None:
        raise AlreadyExists(f"Endpoint with name '{name}' already exists")
    if aliases.taken(connection, name):
        raise AlreadyExists(f"'{name}' is an alias of another endpoint: delete that first")


def given_experiment(connection: Connection, experiment_id: str) -> int:
    """Its number. Raises Invalid if nothing can be traced there."""
    number = experiments.active(connection, experiment_id)
    if number is None:
        raise Invalid(f"Experiment '{experiment_id}' does not exist or is not active")
    return number


def check(connection: Connection, wanted: Sequence[EndpointModel], *, whole: bool = True) -> None:
    """Raises Invalid or NotFound if an endpoint cannot have these models; `whole`: and no others."""
    pairs: set[tuple[str, str]] = set()
    for model in wanted:
        if model.linkage_type not in (PRIMARY, FALLBACK):
            raise Invalid(f"Invalid linkage_type '{model.linkage_type}'. Use {PRIMARY} or {FALLBACK}.")
        if not math.isfinite(model.weight) or model.weight < 0:
            raise Invalid(f"Invalid weight {model.weight}. A weight is zero or more.")
        pair = (model.model_definition_id, model.linkage_type)
        if pair in pairs:
            raise Invalid(f"Model definition '{pair[0]}' is given twice as {pair[1]}")
        pairs.add(pair)
    if whole and not any(model.linkage_type == PRIMARY for model in wanted):
        raise Invalid("Endpoint must have at least one PRIMARY model configuration")
    ids = {model.model_definition_id for model in wanted}
    missing = ids - models.by_ids(connection, ids).keys()
    if missing:
        raise NotFound(f"Model definitions not found: {', '.join(sorted(missing))}")


def _strategies(routing_strategy: str | None, fallback: Fallback | None) -> dict[str, object]:
    if routing_strategy is not None and routing_strategy not in ROUTING:
        raise Invalid(f"Invalid routing_strategy '{routing_strategy}'. Use one of {', '.join(sorted(ROUTING))}.")
    if fallback is None:
        return {"routing_strategy": routing_strategy, "fallback_strategy": None, "fallback_max_attempts": None}
    strategy = fallback.strategy or SEQUENTIAL
    if strategy != SEQUENTIAL:
        raise Invalid(f"Invalid fallback strategy '{strategy}'. Use {SEQUENTIAL}.")
    if fallback.max_attempts is not None and not 1 <= fallback.max_attempts <= MOST_ATTEMPTS:
        raise Invalid(f"Invalid max_attempts {fallback.max_attempts}. It is at least 1.")
    return {"routing_strategy": routing_strategy, "fallback_strategy": strategy, "fallback_max_attempts": fallback.max_attempts}


def _attach(
    connection: Connection, endpoint_id: str, wanted: Sequence[EndpointModel], *, start: int, by: str | None, now: int
) -> list[str]:
    mapping_ids = ["m-" + uuid.uuid4().hex for _ in wanted]
    for ordinal, (mapping_id, model) in enumerate(zip(mapping_ids, wanted, strict=True), start):
        connection.execute(
            endpoint_models.insert().values(
                mapping_id=mapping_id,
                endpoint_id=endpoint_id,
                model_definition_id=model.model_definition_id,
                ordinal=ordinal,
                weight=model.weight,
                linkage_type=model.linkage_type,
                # A fallback without a place goes last, in the order given.
                fallback_order=(ordinal if model.fallback_order is None else model.fallback_order)
                if model.linkage_type == FALLBACK
                else None,
                created_at=now,
                created_by=limits.kept(by, limits.NAME),
            )
        )
    return mapping_ids


def _endpoints(connection: Connection, query: sa.Select[tuple[object, ...]]) -> list[Endpoint]:
    rows = connection.execute(query).all()
    ids = [row.endpoint_id for row in rows]
    mappings: dict[str, list[Mapping]] = {}
    tags: dict[str, dict[str, str]] = {}
    for some in paging.chunks(ids):
        attached = connection.execute(
            sa.select(endpoint_models)
            .where(endpoint_models.c.endpoint_id.in_(some))
            .order_by(endpoint_models.c.endpoint_id, endpoint_models.c.ordinal)
        ).all()
        definitions = models.by_ids(connection, {row.model_definition_id for row in attached})
        for row in attached:
            mapping = Mapping(
                mapping_id=row.mapping_id,
                endpoint_id=row.endpoint_id,
                model_definition_id=row.model_definition_id,
                model_definition=definitions[row.model_definition_id],
                linkage_type=row.linkage_type,
                weight=row.weight,
                fallback_order=row.fallback_order,
                created_at=row.created_at,
                created_by=row.created_by,
            )
            mappings.setdefault(row.endpoint_id, []).append(mapping)
        for row in connection.execute(sa.select(endpoint_tags).where(endpoint_tags.c.endpoint_id.in_(some)).order_by(endpoint_tags.c.key)):
            tags.setdefault(row.endpoint_id, {})[row.key] = row.value
    return [
        Endpoint(
            endpoint_id=row.endpoint_id,
            name=row.name,
            mappings=tuple(mappings.get(row.endpoint_id, ())),
            tags=tags.get(row.endpoint_id, {}),
            routing_strategy=row.routing_strategy,
            fallback=None
            if row.fallback_strategy is None
            else Fallback(strategy=row.fallback_strategy, max_attempts=row.fallback_max_attempts),
            usage_tracking=bool(row.usage_tracking),
            experiment_id=None if row.experiment_id is None else str(row.experiment_id),
            created_at=row.created_at,
            updated_at=row.updated_at,
            created_by=row.created_by,
            updated_by=row.updated_by,
        )
        for row in rows
    ]
