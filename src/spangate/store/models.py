"""Model definitions: a provider, its own name of a model, and the secret to call it with. Reusable by many endpoints."""

import uuid
from collections.abc import Collection

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import limits, paging
from .engine import bump
from .faults import AlreadyExists, InUse, Invalid, NotFound
from .schema import endpoint_models, endpoints, secrets
from .schema import model_definitions as table


class ModelDefinition(Struct, frozen=True, kw_only=True):
    model_definition_id: str
    name: str
    secret_id: str | None
    secret_name: str | None
    provider: str
    model_name: str
    created_at: int
    updated_at: int
    created_by: str | None
    updated_by: str | None


def create(
    connection: Connection,
    *,
    name: str,
    secret_id: str | None,
    provider: str,
    model_name: str,
    by: str | None = None,
    now: int,
) -> ModelDefinition:
    bump(connection)
    _name_is_free(connection, name)
    check_secret(connection, secret_id, provider)
    model_definition_id = "d-" + uuid.uuid4().hex
    connection.execute(
        table.insert().values(
            model_definition_id=model_definition_id,
            name=name,
            secret_id=secret_id,
            provider=limits.given(provider, "provider", 64),
            model_name=limits.given(model_name, "model_name", limits.MODEL),
            created_at=now,
            updated_at=now,
            created_by=limits.kept(by, limits.NAME),
            updated_by=limits.kept(by, limits.NAME),
        )
    )
    return get(connection, model_definition_id)


def of(
    connection: Connection, *, provider: str, model_name: str, secret_id: str | None, by: str | None = None, now: int
) -> ModelDefinition:
    """The oldest definition of that model with that secret, else a new one, named after the model."""
    same = (table.c.provider == provider) & (table.c.model_name == model_name)
    with_secret = table.c.secret_id.is_(None) if secret_id is None else table.c.secret_id == secret_id
    there = _SHOWN.where(same, with_secret).order_by(table.c.created_at, table.c.model_definition_id).limit(1)
    row = connection.execute(there).mappings().first()
    if row is not None:
        return ModelDefinition(**row)
    limits.given(model_name, "model_name", limits.MODEL)
    return create(
        connection,
        name=_free_name(connection, model_name),
        secret_id=secret_id,
        provider=provider,
        model_name=model_name,
        by=by,
        now=now,
    )


def get(connection: Connection, model_definition_id: str | None = None, *, name: str | None = None) -> ModelDefinition:
    if (model_definition_id is None) == (name is None):
        raise Invalid("Exactly one of model_definition_id or name must be provided")
    condition = table.c.model_definition_id == model_definition_id if model_definition_id is not None else table.c.name == name
    row = connection.execute(_SHOWN.where(condition)).mappings().first()
    if row is None:
        asked = f"model_definition_id='{model_definition_id}'" if model_definition_id is not None else f"name='{name}'"
        raise NotFound(f"GatewayModelDefinition not found ({asked})")
    return ModelDefinition(**row)


def by_ids(connection: Connection, ids: set[str]) -> dict[str, ModelDefinition]:
    """Those of `ids` that there are."""
    rows = connection.execute(_SHOWN.where(table.c.model_definition_id.in_(ids))).mappings()
    return {row["model_definition_id"]: ModelDefinition(**row) for row in rows}


def behind(connection: Connection, endpoint_ids: Collection[str]) -> set[str]:
    """The ids of those that these endpoints use."""
    found: set[str] = set()
    for some in paging.chunks(sorted(endpoint_ids)):
        query = sa.select(endpoint_models.c.model_definition_id).where(endpoint_models.c.endpoint_id.in_(some))
        found.update(connection.execute(query).scalars())
    return found


class User(Struct, frozen=True):
    """An endpoint that uses a definition."""

    endpoint_id: str
    name: str


def users(connection: Connection) -> dict[str, list[User]]:
    """By the id of the definition, each once, in the order of the names."""
    query = (
        sa.select(endpoint_models.c.model_definition_id, endpoints.c.endpoint_id, endpoints.c.name)
        .join(endpoints, endpoints.c.endpoint_id == endpoint_models.c.endpoint_id)
        .distinct()
    )
    found: dict[str, list[User]] = {}
    for row in sorted(connection.execute(query), key=lambda row: row.name):
        found.setdefault(row.model_definition_id, []).append(User(row.endpoint_id, row.name))
    return found


def list_(connection: Connection, provider: str | None = None, secret_id: str | None = None) -> list[ModelDefinition]:
    query = _SHOWN.order_by(table.c.created_at, table.c.model_definition_id)
    if provider is not None:
        query = query.where(table.c.provider == provider)
    if secret_id is not None:
        query = query.where(table.c.secret_id == secret_id)
    return [ModelDefinition(**row) for row in connection.execute(query).mappings()]


def update(
    connection: Connection,
    model_definition_id: str,
    *,
    name: str | None = None,
    secret_id: str | None = None,
    model_name: str | None = None,
    provider: str | None = None,
    by: str | None = None,
    now: int,
) -> ModelDefinition:
    """Changes what is given; None leaves it as it is."""
    bump(connection)
    before = get(connection, model_definition_id)
    changed: dict[str, object] = {"updated_at": now}
    if by is not None:
        changed["updated_by"] = limits.kept(by, limits.NAME)
    if name is not None and name != before.name:
        _name_is_free(connection, name)
        changed["name"] = name
    if secret_id is not None or provider is not None:
        check_secret(connection, secret_id or before.secret_id, provider or before.provider)
    if secret_id is not None:
        changed["secret_id"] = secret_id
    if model_name is not None:
        changed["model_name"] = limits.given(model_name, "model_name", limits.MODEL)
    if provider is not None:
        changed["provider"] = limits.given(provider, "provider", 64)
    connection.execute(table.update().where(table.c.model_definition_id == model_definition_id).values(changed))
    return get(connection, model_definition_id)


def delete(connection: Connection, model_definition_id: str) -> None:
    bump(connection)
    get(connection, model_definition_id)
    user = connection.execute(
        sa.select(endpoints.c.name)
        .join(endpoint_models, endpoint_models.c.endpoint_id == endpoints.c.endpoint_id)
        .where(endpoint_models.c.model_definition_id == model_definition_id)
        .order_by(endpoints.c.name)
        .limit(1)
    ).scalar()
    if user is not None:
        raise InUse(
            f"Cannot delete model definition that is currently in use by endpoints, such as '{user}'. Detach it from all endpoints first."
        )
    connection.execute(table.delete().where(table.c.model_definition_id == model_definition_id))


_SHOWN = sa.select(
    table.c.model_definition_id,
    table.c.name,
    table.c.secret_id,
    secrets.c.name.label("secret_name"),
    table.c.provider,
    table.c.model_name,
    table.c.created_at,
    table.c.updated_at,
    table.c.created_by,
    table.c.updated_by,
).select_from(table.outerjoin(secrets, table.c.secret_id == secrets.c.secret_id))


def _name_is_free(connection: Connection, name: str) -> None:
    limits.given(name, "name", limits.NAME)
    if connection.execute(sa.select(table.c.model_definition_id).where(table.c.name == name)).first() is not None:
        raise AlreadyExists(f"Model definition with name '{name}' already exists")


def _free_name(connection: Connection, model_name: str) -> str:
    """`gpt-4o`, else `gpt-4o-2`, and so on."""
    stem, number = model_name[: limits.NAME - 10], 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        if connection.execute(sa.select(table.c.model_definition_id).where(table.c.name == name)).first() is None:
            return name
        number += 1


def check_secret(connection: Connection, secret_id: str | None, provider: str) -> None:
    """A credential goes to the provider that it is of, and to no other. One that says no provider goes where its user says."""
    if secret_id is None:  # a provider without credentials: the simulated one, or a local server
        return
    secret = connection.execute(sa.select(secrets.c.name, secrets.c.provider).where(secrets.c.secret_id == secret_id)).first()
    if secret is None:
        raise NotFound(f"GatewaySecret not found (secret_id='{secret_id}')")
    if secret.provider and secret.provider != provider:
        raise Invalid(f"Secret '{secret.name}' is a credential of provider '{secret.provider}', and is not sent to '{provider}'.")
