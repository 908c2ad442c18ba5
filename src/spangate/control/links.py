"""Links that sign somebody in, once: a program that has a key can open a browser without the key ever standing in an address.

They are kept in memory alone: a control that starts anew knows none of those made before.
"""

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .policy import Proof

SECONDS = 600
MOST = 1000  # open ones; the oldest gives way


@dataclass(frozen=True)
class Link:
    token: str
    ends: int  # ms


@dataclass(frozen=True)
class Kept:
    digest: bytes  # of the key
    until: int | None  # ms; no session goes on in another one by a link
    ends: int  # of the link


class Links:
    """Any thread may make and use them."""

    def __init__(self, *, now: Callable[[], int]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[bytes, Kept] = {}  # by the token's digest, the oldest first

    def make(self, proof: Proof) -> Link:
        link = Link(token=secrets.token_urlsafe(32), ends=self._now() + SECONDS * 1000)
        with self._lock:
            if len(self._open) >= MOST:
                del self._open[next(iter(self._open))]
            self._open[_digest(link.token)] = Kept(proof.key.digest, proof.ends, link.ends)
        return link

    def use(self, token: str) -> Kept | None:
        """What it was made with; None the second time, after its end, and if there never was one."""
        with self._lock:
            kept = self._open.pop(_digest(token), None)
        return kept if kept is not None and self._now() < kept.ends else None


def _digest(token: str) -> bytes:
    # Looked up by this, so that the time it takes tells nothing of the tokens that are open.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
