"""Keys that clients hold: made, listed, changed, revoked."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from .calling import OWN, Calls, Known

PATH = f"{OWN}/keys"
Role = Literal["admin", "developer", "viewer"]


class Key(Known, frozen=True, kw_only=True):
    """Times are RFC 3339. `endpoints`, `experiments`: ids; None: all."""

    key_id: str
    name: str
    hint: str
    role: str
    scopes: tuple[str, ...] = ()
    endpoints: tuple[str, ...] | None = None
    experiments: tuple[str, ...] | None = None
    owner: str | None = None
    team: str | None = None
    tags: dict[str, str] = {}
    expires_at: str | None = None
    revoked_at: str | None = None
    last_used_at: str | None = None
    created_at: str
    updated_at: str
    created_by: str | None = None
    updated_by: str | None = None


class MadeKey(Key, frozen=True, kw_only=True):
    key: str  # nobody can be told it again

    def __repr__(self) -> str:
        return f"MadeKey(name={self.name!r}, hint={self.hint!r})"


class Keys:
    """`Client.keys`."""

    def __init__(self, gateway: Calls) -> None:
        self._gateway = gateway

    def create(
        self,
        name: str,
        *,
        role: Role | None = None,
        scopes: Sequence[str] | None = None,
        endpoints: Sequence[str] | None = None,
        experiments: Sequence[str] | None = None,
        owner: str | None = None,
        team: str | None = None,
        tags: Mapping[str, str] | None = None,
        expires_at: str | None = None,
    ) -> MadeKey:
        """`expires_at`: RFC 3339, with its offset from UTC. What is not said has the server's default: a developer's key for everything."""
        message = {
            "name": name,
            "role": role,
            "scopes": scopes,
            "endpoints": endpoints,
            "experiments": experiments,
            "owner": owner,
            "team": team,
            "tags": tags,
            "expires_at": expires_at,
        }
        return msgspec.convert(self._gateway.call("POST", PATH, message), MadeKey)

    def list(
        self,
        *,
        name: str | None = None,
        owner: str | None = None,
        team: str | None = None,
        role: Role | None = None,
        revoked: bool = False,
        expired: bool = False,
    ) -> "list[Key]":
        """`revoked`, `expired`: those too."""
        message = {"name": name, "owner": owner, "team": team, "role": role, "revoked": revoked, "expired": expired}
        return msgspec.convert(self._gateway.call("GET", PATH, message)["keys"], type=list[Key])

    def get(self, key_id: str) -> Key:
        return msgspec.convert(self._gateway.call("GET", _path(key_id)), Key)

    def update(self, key_id: str, changes: Mapping[str, Any]) -> Key:
        """Changes what is named and leaves the rest; None takes a value away. `changes`: role, scopes, endpoints, experiments, owner, team,
        tags, expires_at."""
        said = {field: msgspec.Raw(b"null") if value is None else value for field, value in changes.items()}  # absent is not null
        return msgspec.convert(self._gateway.call("PATCH", _path(key_id), said), Key)

    def revoke(self, key_id: str) -> Key:
        return msgspec.convert(self._gateway.call("POST", f"{_path(key_id)}/revoke"), Key)


def _path(key_id: str) -> str:
    return f"{PATH}/{quote(key_id, safe='')}"
