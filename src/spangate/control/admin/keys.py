"""Keys over HTTP. A key is told in the answer that makes it, and never again. In a change, absent is not null."""

import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ...exchange import Role, Scope
from ...store import keys as store
from ..desk import Desk
from ..policy import Policy, allows, caller_of

PATH = "/api/v1/keys"


class Said(BaseModel):
    """What may be said of a key when it is made, and later."""

    model_config = ConfigDict(extra="forbid")

    role: Role = Field(
        default=Role.developer,
        description="viewer: reads, and calls nothing. developer: calls endpoints, makes experiments, tags. admin: all.",
    )
    scopes: list[Scope] = Field(default=[], description="What it may do beyond calling endpoints. The admin role needs none.")
    endpoints: list[str] | None = Field(
        default=None, description="Ids of the endpoints that it may call, and whose calls, cost and traces it may read. null: all."
    )
    experiments: list[str] | None = Field(default=None, description="Ids of the experiments that it may see, with their traces. null: all.")
    owner: str | None = Field(default=None, description="Whose it is; each call that it makes has this on the bill.")
    team: str | None = Field(default=None, description="As with owner.")
    tags: dict[str, str] = Field(default={}, description="Usage can be summed by these. In a change they take the place of those before.")
    expires_at: AwareDatetime | None = Field(
        default=None, description="From this moment on it is refused. RFC 3339, with its offset from UTC. null: never."
    )


class KeyAsked(Said):
    name: str = Field(description="What the bill calls it. A name is never given twice, also not after its key was revoked.")


class Key(BaseModel):
    """What is known of a key. The key itself is not."""

    key_id: str
    name: str
    hint: str = Field(description="How it begins and ends.")
    role: Role
    scopes: list[Scope]
    endpoints: list[str] | None
    experiments: list[str] | None
    owner: str | None
    team: str | None
    tags: dict[str, str]
    expires_at: datetime.datetime | None
    revoked_at: datetime.datetime | None
    last_used_at: datetime.datetime | None = Field(description="Some seconds late for calls of endpoints, up to a minute for this API.")
    created_at: datetime.datetime
    updated_at: datetime.datetime
    created_by: str | None
    updated_by: str | None


class Made(Key):
    key: str = Field(description="The key. Nobody can be told it again.")


class Keys(BaseModel):
    keys: list[Key]


def mount(app: FastAPI, desk: Desk) -> None:
    @app.post(PATH, tags=["keys"], response_model=Made)
    @allows(Policy.admin)
    def create_key(wanted: KeyAsked, request: Request) -> Made:  # pyright: ignore[reportUnusedFunction]
        """Makes a key, in force in every worker within a second."""
        said = {field: _stored(getattr(wanted, field)) for field in KeyAsked.model_fields}
        with desk.write() as connection:
            made, key = store.create(connection, desk.pepper, **said, by=caller_of(request).name, now=desk.now())
        return Made(**_told(made), key=key)

    @app.get(PATH, tags=["keys"], response_model=Keys)
    @allows(Policy.admin)
    def list_keys(  # pyright: ignore[reportUnusedFunction]
        name: str | None = None,
        owner: str | None = None,
        team: str | None = None,
        role: Role | None = None,
        revoked: Annotated[bool, Query(description="Also those that are revoked.")] = False,
        expired: Annotated[bool, Query(description="Also those that have expired.")] = False,
    ) -> Keys:
        """Keys, oldest first, at most 10,000."""
        with desk.read() as connection:
            found = store.list_(connection, name=name, owner=owner, team=team, role=role, revoked=revoked, expired=expired, now=desk.now())
        return Keys(keys=[Key(**_told(key)) for key in found])

    @app.get(PATH + "/{key_id}", tags=["keys"], response_model=Key)
    @allows(Policy.admin)
    def get_key(key_id: str) -> Key:  # pyright: ignore[reportUnusedFunction]
        """One key, also one that is revoked or has expired."""
        with desk.read() as connection:
            return Key(**_told(store.get(connection, key_id)))

    @app.patch(PATH + "/{key_id}", tags=["keys"], response_model=Key)
    @allows(Policy.admin)
    def change_key(key_id: str, changes: Said, request: Request) -> Key:  # pyright: ignore[reportUnusedFunction]
        """Changes what is named and leaves the rest; in force in every worker within a second. Calls keep the owner and team of then."""
        said = {field: _stored(getattr(changes, field)) for field in changes.model_fields_set}
        with desk.write() as connection:
            changed = store.update(connection, key_id, **said, by=caller_of(request).name, now=desk.now())
        return Key(**_told(changed))

    @app.post(PATH + "/{key_id}/revoke", tags=["keys"], response_model=Key)
    @allows(Policy.admin)
    def revoke_key(key_id: str, request: Request) -> Key:  # pyright: ignore[reportUnusedFunction]
        """Ends a key for good, in every worker within a second. Its name stays on the bill, and is not free again."""
        with desk.write() as connection:
            revoked = store.revoke(connection, key_id, by=caller_of(request).name, now=desk.now())
        return Key(**_told(revoked))


def _stored(value: Any) -> Any:
    return round(value.timestamp() * 1000) if isinstance(value, datetime.datetime) else value


def _told(key: store.Key) -> dict[str, Any]:
    fields = {field: getattr(key, field) for field in Key.model_fields}
    for field, value in fields.items():
        if field.endswith("_at") and value is not None:
            fields[field] = datetime.datetime.fromtimestamp(value / 1000, datetime.UTC)
    return fields
