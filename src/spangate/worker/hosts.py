"""Under which names this server answers: a page in somebody's browser that rebinds its own name to our address is not let in."""

import ipaddress
import re
from collections.abc import Sequence

from spangate.wire.problems import Refusal

KNOWN = 1024  # names whose verdict is kept
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{0,5})?")


class Hosts:
    """`allowed`: names without ports; `*.example.com` for all below one, `*` for any."""

    def __init__(self, allowed: Sequence[str]) -> None:
        names = [name.strip().lower().rstrip(".") for name in allowed if name.strip()]
        self._any = "*" in names
        self._names = frozenset(name.strip("[]") for name in names)
        self._below = tuple(name[1:] for name in names if name.startswith("*."))
        self._verdicts: dict[bytes, Refusal | None] = {}

    def refusal(self, host: bytes, *, known: bool = True) -> Refusal | None:
        """What is to be said to a request with this `Host`. Without `known` any name will do, as long as it is one."""
        try:
            verdict = self._verdicts[host]
        except KeyError:
            if len(self._verdicts) >= KNOWN:
                self._verdicts.clear()
            verdict = self._verdicts[host] = self._judge(host.decode("latin-1"))
        return None if verdict is None or (not known and verdict.status == 421) else verdict

    def _judge(self, host: str) -> Refusal | None:
        found = _HOST.fullmatch(host)
        if found is None:
            return Refusal(400, "invalid_host", "The request's Host is no name of a server.")
        name = found[1].strip("[]").lower().rstrip(".")
        if self._any or name in self._names or name.endswith(self._below):
            return None
        return Refusal(
            421, "unknown_host", f"This gateway does not answer to the name '{name[:200]}'. Its admin can add it to `allowed_hosts`."
        )


def allowed_by_default(listening: str) -> Sequence[str]:
    """On loopback the names of loopback, which no page on the web can have; elsewhere any, for each call shows a key."""
    name = listening.strip("[]").lower()
    try:
        loopback = ipaddress.ip_address(name).is_loopback
    except ValueError:
        loopback = name == "localhost" or name.endswith(".localhost")
    return ("localhost", "*.localhost", "127.0.0.1", "::1", name) if loopback else ("*",)
