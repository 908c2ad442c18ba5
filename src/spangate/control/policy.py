"""Every route says who may call it; a route that doesn't say stops the start."""

import base64
import binascii
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive

from .. import session
from ..envelope import Pepper
from ..exchange import EXPIRED, SHOW_A_KEY, Caller, Role, SealedKey

DECLARED = "__spangate_policy__"
READING = ("GET", "HEAD")
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Policy(StrEnum):
    """The least role that may call a route."""

    open = "open"  # anyone: liveness and version, which clients ask before they show a key
    viewer = "viewer"  # what only reads
    developer = "developer"  # what adds to experiments and traces
    admin = "admin"  # what changes the gateway, tells of credentials or deletes

    def allows(self, role: str) -> bool:
        return role in _ALLOWED[self]


_ALLOWED: Mapping[str, frozenset[str]] = {
    Policy.open: frozenset(Role),
    Policy.viewer: frozenset(Role),
    Policy.developer: frozenset({Role.developer, Role.admin}),
    Policy.admin: frozenset({Role.admin}),
}


class Undeclared(RuntimeError):
    """A route without a policy. Found when the application is composed, never when it is called."""


class Unidentified(Exception):
    """The caller showed no key, or none that we know. Never says which key was shown."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Forbidden(Unidentified):
    """The key is known, and may not do that."""


def allows(policy: Policy) -> Callable[[Endpoint], Endpoint]:
    """Declares who may call the decorated endpoint."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, DECLARED, policy)
        return endpoint

    return declare


def shown(headers: Mapping[str, str]) -> str | None:
    """The key that a client shows, wherever its SDK puts it. Never in the query string: that ends up in logs."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    if scheme.lower() == "basic":  # mlflow sends MLFLOW_TRACKING_USERNAME and _PASSWORD
        try:
            _, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return password or None
    for name in ("x-api-key", "x-goog-api-key", "api-key"):
        if key := headers.get(name, "").strip():
            return key
    return None


@dataclass(frozen=True)
class Proof:
    """By which key somebody is known, and until when that proof is good."""

    key: SealedKey
    ends: int | None  # ms; None: as long as the key is in force


class Identity:
    """Who a key belongs to. `keys` gives those in force by their digests, which nobody can aim at: the look-up's time tells nothing."""

    def __init__(
        self, keys: Callable[[], Mapping[bytes, SealedKey]], pepper: Pepper, *, now: Callable[[], int], used: Callable[[str, int], None]
    ) -> None:
        self._keys = keys
        self._pepper = pepper
        self._now = now  # wall clock, ms
        self._used = used  # is told the id of each key that came in, and when

    def proof(self, headers: Mapping[str, str], *, safe: bool) -> Proof:
        """By the key that is shown, else by the session of a page of ours. `safe`: what is asked for changes nothing."""
        key = shown(headers)
        if key is not None:
            return self.of_key(key)
        if not session.shown(headers):
            raise Unidentified(f"No key was shown. {SHOW_A_KEY}")
        if not session.ours(headers, safe=safe):
            raise Forbidden(session.ELSEWHERE)
        found = session.opened(headers, self._pepper, self._now())
        if found is None:
            raise Unidentified(session.ENDED)
        return self.of_digest(found.digest, ends=found.ends, unknown=session.ENDED)

    def of_key(self, key: str) -> Proof:
        digest = self._pepper.digest(key.encode("utf-8", "surrogatepass"))
        return self.of_digest(digest, unknown=f"The key that was shown is not known here. {SHOW_A_KEY}")

    def of_digest(self, digest: bytes, *, unknown: str, ends: int | None = None) -> Proof:
        """`unknown`: what is said where no key in force has this digest."""
        found = self._keys().get(digest)
        if found is None:
            raise Unidentified(unknown)
        now = self._now()
        if found.expired(now):
            raise Unidentified(EXPIRED)
        self._used(found.key_id, now)
        return Proof(found, min((end for end in (ends, found.expires_at) if end is not None), default=None))

    def begun(self, proof: Proof) -> tuple[Proof, str]:
        """A session by this proof, and the value of its cookie."""
        ends = self._now() + session.SECONDS * 1000
        ends = ends if proof.ends is None else min(ends, proof.ends)
        return Proof(proof.key, ends), session.sealed(session.Session(proof.key.digest, ends), self._pepper)


class _Asked(Request):
    async def json(self) -> Any:
        """Python reads half of a surrogate pair as text, which then no database, answer or log can write."""
        said = await super().json()
        try:
            json.dumps(said, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise HTTPException(400, "A text in the request body is not Unicode: it has half of a surrogate pair.") from None
        return said


class Guarded(APIRoute):
    """A route that knows its policy, asks for the key before it reads a byte of the body, and reads no more than the limit."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        policy = getattr(endpoint, DECLARED, None)
        if not isinstance(policy, Policy):
            raise Undeclared(f"the route {path} declares no policy: put @allows(Policy....) on {endpoint.__qualname__}")
        self.policy = policy
        if not options.get("include_in_schema", True):
            options["responses"] = None  # said for the schema alone, and half of all the fields that routes make
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer, policy = super().get_route_handler(), self.policy

        async def guarded(request: Request) -> Response:
            if policy is not Policy.open:
                identity: Identity = request.app.state.identity
                proof = identity.proof(request.headers, safe=request.method in READING)
                caller = proof.key.caller(agent=request.headers.get("user-agent", "").partition(" ")[0])
                if not policy.allows(caller.role):
                    raise Forbidden(f"This needs the role `{policy.value}`, the key `{caller.name}` has `{caller.role}`.")
                request.state.caller, request.state.proof = caller, proof
            return await answer(_Asked(request.scope, _capped(request.receive, request.app.state.body_limit)))

        return guarded


def caller_of(request: Request) -> Caller:
    """Who called a guarded route. What the key may not read or see (`Caller.may_read`, `may_see`) is answered as if it were not there;
    lists take `caller.endpoints` and `caller.experiments` as a condition: None is no condition."""
    return request.state.caller


def proof_of(request: Request) -> Proof:
    return request.state.proof


def unlimited(request: Request) -> Caller:
    """The same, where the answer tells of all endpoints together. Raises Forbidden for a key that may read of some alone."""
    caller = caller_of(request)
    if caller.endpoints is not None:
        raise Forbidden(f"This tells of all endpoints together, and the key `{caller.name}` is for some of them.")
    return caller


def _capped(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def capped() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, f"The request body is larger than {limit} bytes.")
        return message

    return capped


def check(app: FastAPI) -> Sequence[Guarded]:
    """Every route of the application, each with a policy; raises Undeclared if one came in by another door."""
    guarded: list[Guarded] = []
    for route in app.routes:
        if not isinstance(route, Guarded):
            raise Undeclared(f"the route {getattr(route, 'path', route)!r} was added without a policy")
        guarded.append(route)
    return guarded
