"""A browser shows a key once and then a cookie, which says whose key that was and until when.

The cookie is authenticated with the pepper and nothing is kept of it: whoever knows the keys in force can tell it, also while the database
is down, and it ends in every process at once with its key. A browser sends it along with whatever any page asks of us, so it counts only
for what a page of ours asks.

    value = base64url(version (1) | end, ms (7) | digest of the key (32) | tag (32))
"""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping

import msgspec

from .envelope import Pepper

SECONDS = 12 * 3600  # a day's work; whoever copies a cookie has it no longer than that
ENDED = "The session has ended: sign in again."
ELSEWHERE = (
    "A session counts only for what the gateway's own pages ask for; a program shows a key instead. A proxy in front must keep `Host` and "
    "say `X-Forwarded-Proto`."
)

Headers = Mapping[str, str]  # by lower-case names

_PLAIN = "spangate_session"
_SECURE = "__Host-spangate_session"  # browsers take this name over https alone, and from this very host: no neighbour can set it
_VERSION = 1
_TAG = 32
_SIZE = 1 + 7 + 32 + _TAG  # a multiple of three: base64 without padding
_LENGTH = _SIZE // 3 * 4


class Session(msgspec.Struct, frozen=True):
    digest: bytes  # of the key, under the pepper
    ends: int  # ms


def sealed(session: Session, pepper: Pepper) -> str:
    said = bytes([_VERSION]) + session.ends.to_bytes(7) + session.digest
    return base64.urlsafe_b64encode(said + pepper.tag(said)).decode()


def shown(headers: Headers) -> bool:
    """Whether there is a session to look at, good or not."""
    return next(_values(headers), None) is not None


def opened(headers: Headers, pepper: Pepper, now: int) -> Session | None:
    """The session of the cookie, if it is one of ours and not over yet. `now`: wall clock, ms."""
    for value in _values(headers):
        session = _opened(value, pepper)
        if session is not None and now < session.ends:
            return session
    return None


def _opened(value: str, pepper: Pepper) -> Session | None:
    if len(value) != _LENGTH:
        return None
    try:
        whole = base64.b64decode(value, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    said, tag = whole[:-_TAG], whole[-_TAG:]
    if said[0] != _VERSION or not hmac.compare_digest(tag, pepper.tag(said)):
        return None
    return Session(digest=said[8:], ends=int.from_bytes(said[1:8]))


def _values(headers: Headers) -> Iterator[str]:
    wanted = name(headers)
    for pair in headers.get("cookie", "").split(";"):
        said, equals, value = pair.strip().partition("=")
        if equals and said == wanted:
            yield value


# ---------------------------------------------------------------- what the browser says of where a request comes from


def secure(headers: Headers) -> bool:
    """Whether the browser spoke https, as the proxy that ends it says."""
    return headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower() == "https"


def name(headers: Headers) -> str:
    """Of the cookie."""
    return _SECURE if secure(headers) else _PLAIN


def ours(headers: Headers, *, safe: bool) -> bool:
    """Whether a page of ours asked, as far as that is told. `safe`: it changes nothing, so no page of somebody else's is enough."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin" or (safe and site == "none")  # none: a person has typed the address
    origin = headers.get("origin")  # browsers say the other one over https and loopback alone, and this one with what is not a plain GET
    if origin is None:
        return safe
    scheme = "https" if secure(headers) else "http"
    return origin.lower() == f"{scheme}://{headers.get('host', '').lower()}"


def fetched(headers: Headers) -> bool:
    """Whether a script of ours asked. What a provider answers must not be shown as a page, a frame or a script under our name."""
    return headers.get("sec-fetch-dest", "empty") == "empty" and ours(headers, safe=False)
