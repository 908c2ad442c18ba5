"""Keys that clients hold. Each is shown once, when it is made; what is kept is a digest, and whom the bill names.

A key that is revoked stays, and keeps its name: the ledger speaks of it for good.
"""

import json
import secrets
import unicodedata
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Connection

from ..envelope import Pepper
from ..exchange import Role, Scope, SealedKey
from . import limits, paging
from .engine import bump
from .faults import AlreadyExists, Invalid, NotFound
from .fingerprints import first
from .periods import LATEST
from .schema import api_key_tags, endpoints, experiments
from .schema import api_keys as table

PREFIX = "sg-"
RANDOM = 32  # bytes; 43 characters
MOST = 10_000  # keys in one list
PLACES = paging.CHUNK  # endpoints, or experiments, of one key: they fit one IN list
TAGS = 100
TAKEN = "admin"  # the name of the key that the gateway itself has


class Key(Struct, frozen=True, kw_only=True):
    """What may be seen of a key. Times in ms."""

    key_id: str
    name: str
    hint: str
    role: str
    scopes: tuple[str, ...]
    endpoints: tuple[str, ...] | None  # ids; None: all
    experiments: tuple[str, ...] | None
    owner: str | None
    team: str | None
    tags: dict[str, str]
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    created_at: int
    updated_at: int
    created_by: str | None
    updated_by: str | None


def create(
    connection: Connection,
    pepper: Pepper,
    *,
    name: str,
    role: str = Role.developer,
    scopes: Sequence[str] = (),
    endpoints: Sequence[str] | None = None,
    experiments: Sequence[str] | None = None,
    owner: str | None = None,
    team: str | None = None,
    tags: Mapping[str, str] | None = None,
    expires_at: int | None = None,
    by: str | None = None,
    now: int,
) -> tuple[Key, str]:
    """The key as it is kept, and the key itself, which nobody can be told again."""
    bump(connection)
    _words(name, "name", limits.NAME)
    if name == TAKEN or connection.execute(sa.select(table.c.key_id).where(table.c.name == name)).first() is not None:
        said = f"A key is, or was, named '{name}'. A name is never given twice: the bill would not tell one from the other."
        raise AlreadyExists(said, field="name")
    key, key_id, person = PREFIX + secrets.token_urlsafe(RANDOM), "k-" + uuid.uuid4().hex, limits.kept(by, limits.NAME)
    said = _said(
        connection,
        {
            "role": role,
            "scopes": scopes,
            "endpoints": endpoints,
            "experiments": experiments,
            "owner": owner,
            "team": team,
            "expires_at": expires_at,
        },
        now,
    )
    connection.execute(
        table.insert().values(
            key_id=key_id,
            name=name,
            digest=pepper.digest(key.encode()).hex(),
            hint=f"{key[:7]}...{key[-4:]}",
            **said,
            created_at=now,
            updated_at=now,
            created_by=person,
            updated_by=person,
        )
    )
    _tag(connection, key_id, tags or {})
    made = get(connection, key_id)
    _consistent(made)
    return made, key


def get(connection: Connection, key_id: str) -> Key:
    found = _keys(connection, sa.select(table).where(table.c.key_id == key_id))
    if not found:
        raise NotFound(f"There is no key with id '{key_id[:100]}'.")
    return found[0]


def list_(
    connection: Connection,
    *,
    name: str | None = None,
    owner: str | None = None,
    team: str | None = None,
    role: str | None = None,
    revoked: bool = False,
    expired: bool = False,
    now: int,
) -> list[Key]:
    """Oldest first, at most MOST. `revoked`, `expired`: those too."""
    query = sa.select(table).order_by(table.c.created_at, table.c.key_id).limit(MOST)
    for column, wanted in ((table.c.name, name), (table.c.owner, owner), (table.c.team, team), (table.c.role, role)):
        if wanted is not None:
            query = query.where(column == wanted)
    if not revoked:
        query = query.where(table.c.revoked_at.is_(None))
    if not expired:
        query = query.where(table.c.expires_at.is_(None) | (table.c.expires_at > now))
    return _keys(connection, query)


def update(
    connection: Connection,
    key_id: str,
    *,
    role: str | UnsetType = UNSET,
    scopes: Sequence[str] | UnsetType = UNSET,
    endpoints: Sequence[str] | UnsetType | None = UNSET,
    experiments: Sequence[str] | UnsetType | None = UNSET,
    owner: str | UnsetType | None = UNSET,
    team: str | UnsetType | None = UNSET,
    tags: Mapping[str, str] | UnsetType = UNSET,
    expires_at: int | UnsetType | None = UNSET,
    by: str | None = None,
    now: int,
) -> Key:
    """Changes what is given. What was called before stays with the owner and team of then; `tags` are those that it has from now on."""
    bump(connection)
    get(connection, key_id)
    given: dict[str, Any] = {
        "role": role,
        "scopes": scopes,
        "endpoints": endpoints,
        "experiments": experiments,
        "owner": owner,
        "team": team,
        "expires_at": expires_at,
    }
    said = _said(connection, {field: value for field, value in given.items() if value is not UNSET}, now)
    changed = {**said, "updated_at": now, "updated_by": limits.kept(by, limits.NAME)}
    connection.execute(table.update().where(table.c.key_id == key_id).values(changed))
    if tags is not UNSET:
        connection.execute(api_key_tags.delete().where(api_key_tags.c.key_id == key_id))
        _tag(connection, key_id, tags)
    after = get(connection, key_id)
    _consistent(after)
    return after


def revoke(connection: Connection, key_id: str, *, by: str | None = None, now: int) -> Key:
    """For good. Of a key that is revoked already the moment stays what it was."""
    bump(connection)
    get(connection, key_id)
    connection.execute(
        table.update()
        .where(table.c.key_id == key_id, table.c.revoked_at.is_(None))
        .values(revoked_at=now, updated_at=now, updated_by=limits.kept(by, limits.NAME))
    )
    return get(connection, key_id)


def used(connection: Connection, uses: Mapping[str, int]) -> None:
    """Moves `last_used_at` of keys, by their ids, to a moment in ms; never back. Nobody needs a new snapshot for that."""
    if uses:
        moved = (
            table.update()
            .where(table.c.key_id == sa.bindparam("id"), sa.func.coalesce(table.c.last_used_at, -1) < sa.bindparam("at"))
            .values(last_used_at=sa.bindparam("at"))
        )
        # In one order: of two who move the same keys at once, one waits for the other.
        connection.execute(moved, [{"id": key_id, "at": uses[key_id]} for key_id in sorted(uses)])


def sealed(connection: Connection) -> list[SealedKey]:
    """Those that are not revoked. Who is asked for something judges whether one has expired."""
    query = sa.select(table).where(table.c.revoked_at.is_(None)).order_by(table.c.key_id)
    return [
        SealedKey(
            key_id=row.key_id,
            digest=bytes.fromhex(row.digest),
            name=row.name,
            role=row.role,
            scopes=tuple(json.loads(row.scopes)),
            endpoints=None if row.endpoints is None else frozenset(json.loads(row.endpoints)),
            experiments=None if row.experiments is None else frozenset(json.loads(row.experiments)),
            owner=row.owner,
            team=row.team,
            expires_at=row.expires_at,
        )
        for row in connection.execute(query)
    ]


def bind(connection: Connection, pepper: Pepper) -> None:
    """Writes down at the first start which pepper digests here, and refuses another one from then on."""
    known = first(connection, "pepper", pepper.fingerprint)
    if known != pepper.fingerprint:
        raise Invalid(
            f"The keys of this database are digested with another pepper: {known}, not {pepper.fingerprint}. Start with the pepper that "
            "was used before: `pepper.key` in the data folder, or SPANGATE_PEPPER."
        )


# ---------------------------------------------------------------- inside


def _said(connection: Connection, given: Mapping[str, Any], now: int) -> dict[str, object]:
    """The columns of what was given, if all of it can be kept."""
    said = dict(given)
    if (role := given.get("role", Role.viewer)) not in list(Role):
        raise Invalid(f"There is no role '{role}'. Roles are {', '.join(Role)}.", field="role")
    if "scopes" in given:
        if unknown := [scope for scope in given["scopes"] if scope not in list(Scope)]:
            raise Invalid(f"There is no scope '{unknown[0]}'. Scopes are {', '.join(Scope)}.", field="scopes")
        said["scopes"] = json.dumps(sorted(set(given["scopes"])))
    for field, known in (("endpoints", _endpoints), ("experiments", _experiments)):
        if given.get(field) is not None:
            wanted = list(dict.fromkeys(given[field]))
            if len(wanted) > PLACES:
                raise Invalid(f"A key has at most {PLACES} {field}, or all of them.", field=field)
            if unknown := [named for named in wanted if named not in known(connection, wanted)]:
                raise Invalid(f"There is no {field.removesuffix('s')} with id '{unknown[0][:100]}'.", field=field)
            said[field] = json.dumps(wanted)
    for field in ("owner", "team"):
        if given.get(field) is not None:
            _words(given[field], field, limits.NAME)
    expires_at = given.get("expires_at")
    if expires_at is not None and expires_at <= now:
        raise Invalid("'expires_at' has passed already. To end a key now, revoke it.", field="expires_at")
    if expires_at is not None and expires_at >= LATEST:
        raise Invalid("'expires_at' must be before 2200. A key that is to have no end has none: leave it out.", field="expires_at")
    return said


def _consistent(key: Key) -> None:
    if key.role == Role.admin and (key.endpoints is not None or key.experiments is not None):
        raise Invalid("A key with the role admin may do all, so it cannot be limited to endpoints or experiments.")


def _endpoints(connection: Connection, wanted: Collection[str]) -> set[str]:
    return set(connection.execute(sa.select(endpoints.c.endpoint_id).where(endpoints.c.endpoint_id.in_(wanted))).scalars())


def _experiments(connection: Connection, wanted: Collection[str]) -> set[str]:
    numbers = [int(text) for text in wanted if text.isascii() and text.isdigit() and len(text) <= 18]
    there = connection.execute(sa.select(experiments.c.experiment_id).where(experiments.c.experiment_id.in_(numbers))).scalars()
    return {str(number) for number in there}


def _tag(connection: Connection, key_id: str, tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS:
        raise Invalid(f"A key has at most {TAGS} tags.", field="tags")
    for key, value in tags.items():
        row = {
            "key": _words(key, "tag", limits.TAG_KEY, field="tags"),
            "value": _words(value, f"tag {key}", limits.NAME, field="tags"),
        }
        connection.execute(api_key_tags.insert().values(key_id=key_id, **row))


def _words(value: str, what: str, longest: int, field: str = "") -> str:
    """What people read in a bill: it looks like what it is. `field`: of the request, where that is not what it is called."""
    field = field or what
    limits.given(value, what, longest, field=field)
    if value != value.strip() or any(unicodedata.category(character) == "Cc" for character in value):
        raise Invalid(f"'{what}' must not begin or end with white space, or hold control characters", field=field)
    return value


def _keys(connection: Connection, query: sa.Select[Any]) -> list[Key]:
    rows = connection.execute(query).all()
    tags: dict[str, dict[str, str]] = {}
    for some in paging.chunks([row.key_id for row in rows]):
        for row in connection.execute(sa.select(api_key_tags).where(api_key_tags.c.key_id.in_(some)).order_by(api_key_tags.c.key)):
            tags.setdefault(row.key_id, {})[row.key] = row.value
    return [_key(row, tags.get(row.key_id, {})) for row in rows]


def _key(row: sa.Row[Any], tags: dict[str, str]) -> Key:
    return Key(
        key_id=row.key_id,
        name=row.name,
        hint=row.hint,
        role=row.role,
        scopes=tuple(json.loads(row.scopes)),
        endpoints=None if row.endpoints is None else tuple(json.loads(row.endpoints)),
        experiments=None if row.experiments is None else tuple(json.loads(row.experiments)),
        owner=row.owner,
        team=row.team,
        tags=tags,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        created_by=row.created_by,
        updated_by=row.updated_by,
    )
