"""A provider's bill held against the ledger."""

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from .calling import OWN, Calls, Known

PATH = f"{OWN}/reconcile"


class Sums(Known, frozen=True, kw_only=True):
    tokens: dict[str, int] = {}  # by class, each token in one
    cost: str | None = None  # USD


class Explained(Known, frozen=True, kw_only=True):
    cause: str
    findings: int
    tokens: int
    cost: str  # USD, theirs minus ours


class Finding(Known, frozen=True, kw_only=True):
    """One cause in one day, model and key. Theirs minus ours: above zero they count more."""

    cause: str
    day: str
    model: str
    key: str = ""
    tokens: dict[str, int] = {}
    cost: str | None = None  # USD
    evidence: tuple[str, ...] = ()


class Alike(Known, frozen=True, kw_only=True):
    """Names that were taken for one model."""

    model: str
    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()


class Reconciliation(Known, frozen=True, kw_only=True):
    provider: str
    format: str
    since: str
    until: str  # the first day that is not compared any more
    tolerance: float
    agrees: bool
    keyed: bool
    theirs: Sums
    ours: Sums
    drift: str | None = None  # USD
    drift_share: float | None = None
    attempts: int = 0
    unpriced_attempts: int = 0
    estimated_attempts: int = 0
    unknown_attempts: int = 0
    causes: tuple[Explained, ...] = ()
    findings: tuple[Finding, ...] = ()
    findings_left_off: int = 0
    alike: tuple[Alike, ...] = ()
    notes: tuple[str, ...] = ()


class Reconcile:
    """`Client.reconcile`."""

    def __init__(self, gateway: Calls) -> None:
        self._gateway = gateway

    def __call__(
        self,
        files: Mapping[str, str],
        *,
        provider: str | None = None,
        format: str | None = None,
        since: str | None = None,
        until: str | None = None,
        tolerance: float | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> Reconciliation:
        """files: name → text, all of one export. Days as 2026-11-01, in UTC, `until` being the day after the last.

        keys: the provider's id or name of an API key → the name of the secret that holds it; without any, keys are not told apart.
        """
        said = {"provider": provider, "format": format, "since": since, "until": until, "tolerance": tolerance}
        query = [(name, str(value)) for name, value in said.items() if value is not None]
        query += [("key", f"{theirs}={ours}") for theirs, ours in (keys or {}).items()]
        message = {"files": [{"name": name, "text": text} for name, text in files.items()]}
        return msgspec.convert(self._gateway.call("POST", f"{PATH}?{urlencode(query)}", message), Reconciliation)
