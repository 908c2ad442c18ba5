"""Credentials: sealed when they come in, never readable back. What is shown of them was masked when they were written."""

import json
import uuid
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..envelope import Keyring
from . import limits
from .engine import bump
from .faults import AlreadyExists, InUse, Invalid, NotFound
from .fingerprints import first
from .schema import model_definitions
from .schema import secrets as table

FIELD = "values"  # what the envelope is bound to, with the secret's id

# Who may say where a request goes: `auth_config.api_base` alone, which the management API checks. These are the other
# words for it that LiteLLM-minded clients know.
DESTINATIONS = frozenset({"base_url", "model_list", "fallbacks", "custom_llm_provider"})


class Secret(Struct, frozen=True, kw_only=True):
    """What may be seen of a secret."""

    secret_id: str
    name: str
    masked_values: dict[str, str]
    provider: str | None
    auth_config: dict[str, str]
    created_at: int
    updated_at: int
    created_by: str | None
    updated_by: str | None


def create(
    connection: Connection,
    keyring: Keyring,
    *,
    name: str,
    values: dict[str, str],
    provider: str | None = None,
    auth_config: dict[str, str] | None = None,
    by: str | None = None,
    now: int,
) -> Secret:
    bump(connection)
    free(connection, name)
    secret_id = "s-" + uuid.uuid4().hex
    connection.execute(
        table.insert().values(
            secret_id=secret_id,
            name=name,
            provider=None if provider is None else limits.given(provider, "provider", 64),
            **_values(keyring, secret_id, values),
            auth_config=_auth_config(auth_config or {}),
            created_at=now,
            updated_at=now,
            created_by=_person(by),
            updated_by=_person(by),
        )
    )
    return get(connection, secret_id=secret_id)


def free(connection: Connection, name: str) -> None:
    """Raises Invalid or AlreadyExists if no new secret can have that name."""
    limits.given(name, "secret_name", limits.NAME)
    if connection.execute(sa.select(table.c.secret_id).where(table.c.name == name)).first() is not None:
        raise AlreadyExists(f"Secret with name '{name}' already exists")


def get(connection: Connection, *, secret_id: str | None = None, name: str | None = None) -> Secret:
    if (secret_id is None) == (name is None):
        raise Invalid("Exactly one of secret_id or secret_name must be provided")
    condition = table.c.secret_id == secret_id if secret_id is not None else table.c.name == name
    row = connection.execute(_SHOWN.where(condition)).first()
    if row is None:
        asked = f"secret_id='{secret_id}'" if secret_id is not None else f"secret_name='{name}'"
        raise NotFound(f"GatewaySecret not found ({asked})")
    return _secret(row)


def list_(connection: Connection, provider: str | None = None) -> list[Secret]:
    query = _SHOWN.order_by(table.c.created_at, table.c.secret_id)
    if provider is not None:
        query = query.where(table.c.provider == provider)
    return [_secret(row) for row in connection.execute(query)]


def update(
    connection: Connection,
    keyring: Keyring,
    secret_id: str,
    *,
    values: dict[str, str] | None = None,
    auth_config: dict[str, str] | None = None,
    by: str | None = None,
    now: int,
) -> Secret:
    """Replaces the values, the settings, or both; None leaves them as they are."""
    bump(connection)
    get(connection, secret_id=secret_id)
    changed: dict[str, object] = {"updated_at": now}
    if by is not None:
        changed["updated_by"] = _person(by)
    if values is not None:
        changed |= _values(keyring, secret_id, values)
    if auth_config is not None:
        changed["auth_config"] = _auth_config(auth_config)
    connection.execute(table.update().where(table.c.secret_id == secret_id).values(changed))
    return get(connection, secret_id=secret_id)


def delete(connection: Connection, secret_id: str) -> None:
    bump(connection)
    get(connection, secret_id=secret_id)
    user = connection.execute(
        sa.select(model_definitions.c.name).where(model_definitions.c.secret_id == secret_id).order_by(model_definitions.c.name).limit(1)
    ).scalar()
    if user is not None:
        raise InUse(f"Cannot delete secret that is currently in use by model definitions, such as '{user}'. Delete or change them first.")
    connection.execute(table.delete().where(table.c.secret_id == secret_id))


def bind(connection: Connection, keyring: Keyring) -> None:
    """Writes down at the first start which key-encryption key seals here, and refuses another one from then on."""
    known = first(connection, "kek", keyring.fingerprint)
    if known != keyring.fingerprint:
        raise Invalid(
            f"The secrets of this database are sealed with another key-encryption key: {known}, not {keyring.fingerprint}. "
            "Start with the key that was used before."
        )


def masked(value: str) -> str:
    """Enough to tell two keys apart, too little to use one."""
    return f"{value[:3]}...{value[-4:]}" if len(value) > 11 else "***"  # at least four characters stay hidden


_SHOWN = sa.select(
    table.c.secret_id,
    table.c.name,
    table.c.masked_values,
    table.c.provider,
    table.c.auth_config,
    table.c.created_at,
    table.c.updated_at,
    table.c.created_by,
    table.c.updated_by,
)


def _secret(row: sa.Row[*tuple[Any, ...]]) -> Secret:
    return Secret(
        secret_id=row.secret_id,
        name=row.name,
        masked_values=json.loads(row.masked_values),
        provider=row.provider,
        auth_config=json.loads(row.auth_config),
        created_at=row.created_at,
        updated_at=row.updated_at,
        created_by=row.created_by,
        updated_by=row.updated_by,
    )


def _values(keyring: Keyring, secret_id: str, values: dict[str, str]) -> dict[str, object]:
    _no_destination(values, DESTINATIONS | {"api_base"}, "secret_value")
    plain = json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")
    return {
        "sealed": keyring.seal(plain, row=secret_id, field=FIELD),
        # ASCII escapes: a mask may end in half of a pair, or in NUL, which PostgreSQL's text cannot hold.
        "masked_values": json.dumps({key: masked(value) for key, value in values.items()}),
    }


def _auth_config(settings: dict[str, str]) -> str:
    _no_destination(settings, DESTINATIONS, "auth_config")
    return json.dumps(settings)


def _no_destination(given: dict[str, str], reserved: frozenset[str], what: str) -> None:
    for key in given:
        if key.strip().lower() in reserved:
            place = "values" if what == "secret_value" else what
            raise Invalid(f"'{key}' is not allowed in {what}: set the destination with auth_config.api_base", field=f"{place}.{key}")


def _person(by: str | None) -> str | None:
    return limits.kept(by, limits.NAME)
