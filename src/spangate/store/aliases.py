"""Names that clients already send, and patterns of them: each means an endpoint. An endpoint and an alias never have the same name."""

import unicodedata

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import limits
from .changed import touch
from .engine import bump
from .faults import AlreadyExists, Invalid, NotFound
from .schema import aliases as table
from .schema import endpoints


class Alias(Struct, frozen=True, kw_only=True):
    pattern: str
    endpoint_id: str
    endpoint: str  # its name
    created_at: int
    updated_at: int
    created_by: str | None
    updated_by: str | None


def put(connection: Connection, pattern: str, *, endpoint: str, by: str | None = None, now: int) -> Alias:
    """From now on `pattern` means the endpoint of that name, whatever it meant before."""
    bump(connection)
    _valid(pattern)
    if connection.execute(sa.select(endpoints.c.endpoint_id).where(endpoints.c.name == pattern)).first() is not None:
        raise AlreadyExists(f"An endpoint is named '{pattern}': it answers to that name, and an alias could not change that.")
    endpoint_id = connection.execute(sa.select(endpoints.c.endpoint_id).where(endpoints.c.name == endpoint)).scalar()
    if endpoint_id is None:
        raise NotFound(f"GatewayEndpoint not found (name='{endpoint}')")
    person = limits.kept(by, limits.NAME)
    changed: dict[str, object] = {"endpoint_id": endpoint_id, "updated_at": now, "updated_by": person}
    had = connection.execute(sa.select(table.c.endpoint_id).where(table.c.pattern == pattern)).scalar()
    for changing in {endpoint_id, had or endpoint_id}:
        touch(connection, changing, now)
    if connection.execute(table.update().where(table.c.pattern == pattern).values(changed)).rowcount == 0:
        connection.execute(table.insert().values(pattern=pattern, created_at=now, created_by=person, **changed))
    return _all(connection, table.c.pattern == pattern)[0]


def list_(connection: Connection, *, endpoint: str | None = None) -> list[Alias]:
    """All, or those of the endpoint of that name, in the order of the patterns."""
    return _all(connection, sa.true() if endpoint is None else endpoints.c.name == endpoint)


def delete(connection: Connection, pattern: str, *, now: int) -> None:
    bump(connection)
    endpoint_id = connection.execute(sa.select(table.c.endpoint_id).where(table.c.pattern == pattern)).scalar()
    if endpoint_id is None:
        raise NotFound(f"There is no alias '{pattern}'.")
    touch(connection, endpoint_id, now)
    connection.execute(table.delete().where(table.c.pattern == pattern))


def taken(connection: Connection, name: str) -> bool:
    """Whether an alias is written exactly so. One that merely matches leaves the name to endpoints."""
    return connection.execute(sa.select(table.c.pattern).where(table.c.pattern == name)).first() is not None


def _all(connection: Connection, condition: sa.ColumnElement[bool]) -> list[Alias]:
    query = (
        sa.select(
            table.c.pattern,
            table.c.endpoint_id,
            endpoints.c.name.label("endpoint"),
            table.c.created_at,
            table.c.updated_at,
            table.c.created_by,
            table.c.updated_by,
        )
        .join(endpoints, endpoints.c.endpoint_id == table.c.endpoint_id)
        .where(condition)
    )
    # Sorted here: by code point, whatever the database's collation.
    return sorted((Alias(**row) for row in connection.execute(query).mappings()), key=lambda alias: alias.pattern)


def _valid(pattern: str) -> None:
    limits.given(pattern, "pattern", limits.ALIAS)
    if pattern != pattern.strip() or any(unicodedata.category(character) == "Cc" for character in pattern):
        raise Invalid("'pattern' must not begin or end with white space, or hold control characters")
