"""Who calls. The key is looked for where each client's SDK puts it, and never in the query string, which ends up in logs.

Where none is shown, a browser's session counts: the playground calls models with it.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from spangate import session
from spangate.envelope import Pepper
from spangate.exchange import Caller, SealedKey

Headers = Sequence[tuple[bytes, bytes]]

AGENT = 200  # characters kept of what a client calls itself
_PLAIN = frozenset({b"x-api-key", b"x-goog-api-key", b"api-key"})


class Nobody(Enum):
    """Why a caller is none."""

    unknown = "no key was shown, or none that is known"
    expired = "the key that was shown has expired"
    signed_out = "the session that was shown is over"
    elsewhere = "a session was shown, and not by a page of ours"


def caller(headers: Headers, keys: Mapping[bytes, SealedKey], pepper: Pepper, now: int, *, reads: bool = False) -> Caller | Nobody:
    """`keys` is by digests under the pepper, which nobody can aim at: the look-up's time says nothing of a key. `now`: wall clock, ms.
    `reads`: nothing is done and nothing relayed, so a browser need say less of who asks."""
    nobody: Nobody | None = None
    for shown in keys_shown(headers):
        key = keys.get(pepper.digest(shown))
        if key is None:
            nobody = nobody or Nobody.unknown
        elif key.expired(now):
            nobody = Nobody.expired
        else:
            return key.caller(agent(headers))
    return nobody or _signed_in(headers, keys, pepper, now, reads=reads)


def _signed_in(headers: Headers, keys: Mapping[bytes, SealedKey], pepper: Pepper, now: int, *, reads: bool) -> Caller | Nobody:
    said = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    if not session.shown(said):
        return Nobody.unknown
    if not (session.ours(said, safe=True) if reads else session.fetched(said)):
        return Nobody.elsewhere
    found = session.opened(said, pepper, now)
    key = None if found is None else keys.get(found.digest)
    if key is None:
        return Nobody.signed_out
    return Nobody.expired if key.expired(now) else key.caller(agent(headers))


def keys_shown(headers: Headers) -> Iterator[bytes]:
    """A client may show several, such as a coding agent with a login of its own; one that is known is enough."""
    for name, value in headers:
        if name in _PLAIN:
            yield value.strip()
        elif name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            scheme = scheme.lower()
            if scheme == b"bearer":
                yield rest.strip()
            elif scheme == b"basic":  # mlflow: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD
                password = _password(rest.strip())
                if password is not None:
                    yield password


def _password(encoded: bytes) -> bytes | None:
    try:
        _, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return None
    return password if colon else None


def agent(headers: Headers) -> str:
    """What MLflow's header says, else the product part of the User-Agent: `OpenAI/Python`, not its version."""
    product = b""
    for name, value in headers:
        if name == b"x-mlflow-gateway-caller" and value.strip():
            return value.strip().decode("utf-8", "replace")[:AGENT]
        if name == b"user-agent":
            product = value
    return product.partition(b"/")[0].strip().decode("utf-8", "replace")[:AGENT]
