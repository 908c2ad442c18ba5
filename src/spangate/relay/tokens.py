"""Credentials that are fetched: an OAuth client's own become a token, held in memory until it expires, and never written anywhere.

However many calls want a token, one request fetches it. It is renewed beside the calls before it expires, so that none waits for it;
what goes wrong is told without a word that could hold a secret.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from spangate.exchange import Target
from spangate.providers import ClientCredentials
from spangate.wire.problems import Problem, UpstreamProblem

from .upstream import Outgoing, Timeouts, Transport, held

logger = logging.getLogger(__name__)

CREDENTIAL = "upstream_credential"
REFUSED = "upstream_token_refused"

RENEW = 0.75  # of its life; a token of an hour has a quarter of it left for attempts at a new one
LAST = 0.95  # of its life; the rest is for clocks that differ and for the call itself
LIFE = 300.0  # s, of a token that does not say (RFC 6749, 5.1: expires_in is recommended)
LONGEST = 86_400.0  # s; Entra's longest is a day
PAUSE = 5.0  # s after a failure in which nobody asks again: providers lock out who insists on a wrong secret
DOUBT = 60.0  # s after a refused token was dropped in which the next one is kept, refused or not
PATIENCE = Timeouts(connect=10.0, first_byte=20.0, idle=10.0, total=30.0)
ANSWER = 64 << 10  # bytes; Entra's tokens with many roles are a few KB

# RFC 6749, 5.2; anything else in `error` could be anything.
ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_resource",
        "access_denied",
        "temporarily_unavailable",
        "server_error",
    }
)


class TokenSource(Protocol):
    async def authorised(self, target: Target) -> Target:
        """The target with its token. Raises UpstreamProblem if there is none to be had."""
        ...

    def refused(self, target: Target) -> bool:
        """The provider did not take the token. True: it is dropped, and another one may be taken."""
        ...


class _Entry:
    """What is known of one credential's token. Clock times in s."""

    __slots__ = ("dropped_at", "expires", "failure", "fetching", "renew_at", "retry_at", "token")

    def __init__(self) -> None:
        self.token = ""
        self.expires = self.renew_at = self.retry_at = self.dropped_at = float("-inf")
        self.failure = ""
        self.fetching: asyncio.Task[None] | None = None


class Tokens:
    """Lives on the event loop that calls it. Two secrets that hold the same credential share a token; a changed one has none yet."""

    def __init__(self, transport: Transport, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self._entries: dict[ClientCredentials, _Entry] = {}

    async def authorised(self, target: Target) -> Target:
        grant = target.grant
        if grant is None:
            return target
        entry = self._entries.get(grant) or self._new(grant)
        now = self._clock()
        if now < entry.expires:
            if now >= entry.renew_at and now >= entry.retry_at:
                self._fetch(entry, target, grant)
            return _shown(target, entry.token)
        if now >= entry.retry_at:
            self._fetch(entry, target, grant)
        if entry.fetching is not None:
            await asyncio.shield(entry.fetching)  # a client that leaves does not take it from the others
        if entry.failure:
            raise UpstreamProblem(502, CREDENTIAL, entry.failure)
        return _shown(target, entry.token)

    def refused(self, target: Target) -> bool:
        entry = self._entries.get(target.grant) if target.grant is not None else None
        if entry is None:
            return False
        if target.headers.get("authorization") != f"Bearer {entry.token}":
            return True  # another call dropped it already
        now = self._clock()
        if now < entry.dropped_at + DOUBT:
            return False  # a new one was refused too: it is not the token that is wrong
        entry.token, entry.expires, entry.dropped_at = "", float("-inf"), now
        return True

    def _new(self, grant: ClientCredentials) -> _Entry:
        now = self._clock()
        for known, one in list(self._entries.items()):
            if one.expires <= now and one.retry_at <= now and one.fetching is None:  # a secret that was changed since
                del self._entries[known]
        entry = self._entries[grant] = _Entry()
        return entry

    def _fetch(self, entry: _Entry, target: Target, grant: ClientCredentials) -> None:
        if entry.fetching is None:
            entry.fetching = asyncio.create_task(self._fetched(entry, target, grant))

    async def _fetched(self, entry: _Entry, target: Target, grant: ClientCredentials) -> None:
        began = self._clock()
        try:
            token, life = await self._asked(grant, allow_private=target.allow_private)
        except Exception as error:
            if not isinstance(error, Problem):
                logger.exception("A token could not be fetched")
            why = error.message if isinstance(error, Problem) else "The gateway failed."
            entry.failure = f"There is no token for {target.provider}. {why}"
            entry.retry_at = self._clock() + PAUSE
            logger.warning("%s (secret %s)", entry.failure, target.secret_id)
        else:
            entry.token, entry.failure = token, ""
            entry.expires, entry.renew_at = began + life * LAST, began + life * RENEW
        finally:
            entry.fetching = None

    async def _asked(self, grant: ClientCredentials, *, allow_private: bool) -> tuple[str, float]:
        """The token, and for how many seconds it is good."""
        host = urlsplit(grant.url).hostname or ""
        incoming = await self._transport.send(_request(grant, allow_private=allow_private))
        try:
            if 300 <= incoming.status < 400:
                raise UpstreamProblem(502, CREDENTIAL, f"{host} answered {incoming.status}; a redirect is never followed.")
            body, whole = await held(incoming, ANSWER)
        finally:
            incoming.close()
        said = _read(body) if whole else {}
        if not 200 <= incoming.status < 300:
            raise UpstreamProblem(502, CREDENTIAL, f"{host} answered {incoming.status}{_reasons(said)}.")
        token = said.get("access_token")
        if not isinstance(token, str) or not token or not all("!" <= char <= "~" for char in token):
            raise UpstreamProblem(502, CREDENTIAL, f"What {host} answered holds no token.")
        return token, _life(said.get("expires_in"))


def _shown(target: Target, token: str) -> Target:
    return msgspec.structs.replace(target, headers={**target.headers, "authorization": f"Bearer {token}"})


def _request(grant: ClientCredentials, *, allow_private: bool) -> Outgoing:
    fields = {"grant_type": "client_credentials", "scope": grant.scope}
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    if grant.client == "basic":
        pair = f"{quote_plus(grant.client_id)}:{quote_plus(grant.client_secret)}"
        headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        fields |= {"client_id": grant.client_id, "client_secret": grant.client_secret}
    return Outgoing(url=grant.url, headers=headers, body=urlencode(fields).encode(), allow_private=allow_private, timeouts=PATIENCE)


def _read(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return {}


def _life(said: object) -> float:
    """Entra's older endpoints say the number as a string."""
    try:
        life = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else LIFE
    except ValueError:
        life = LIFE
    return min(life, LONGEST) if life > 0 else LIFE  # also of NaN


def _reasons(said: dict[str, Any]) -> str:
    """The codes, which are known words and numbers. Descriptions quote what was sent."""
    reasons = [error] if (error := said.get("error")) in ERRORS else []
    codes = said.get("error_codes")  # Entra's: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    if isinstance(codes, list):
        reasons += [f"AADSTS{code}" for code in codes[:3] if isinstance(code, int)]  # pyright: ignore[reportUnknownVariableType]
    return f" ({', '.join(reasons)})" if reasons else ""
