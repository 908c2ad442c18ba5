"""How long what is kept, how much that is, and what is to be deleted now."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .calling import OWN, Calls, Known


class Periods(Known, frozen=True, kw_only=True):
    """In days; None: for good, or for an endpoint the server's."""

    content_days: int | None = None
    trace_days: int | None = None
    ledger_days: int | None = None


class EndpointPeriods(Periods, frozen=True, kw_only=True):
    endpoint: str


class Swept(Known, frozen=True, kw_only=True):
    """What the gateway has deleted since it began. Times are RFC 3339."""

    content: int
    traces: int
    calls: int
    at: str | None = None
    under_way: bool = False
    fault: str | None = None


class Retention(Periods, frozen=True, kw_only=True):
    endpoints: tuple[EndpointPeriods, ...] = ()
    swept: Swept


class Deleted(Known, frozen=True, kw_only=True):
    traces_deleted: int
    done: bool
    backlog_bytes: int
    open_calls: int


class Table(Known, frozen=True, kw_only=True):
    name: str
    rows: int
    bytes: int


class Part(Known, frozen=True, kw_only=True):
    kind: str
    rows: int
    bytes: int
    oldest: str | None = None
    newest: str | None = None
    due_rows: int
    due_bytes: int


class Size(Known, frozen=True, kw_only=True):
    dialect: str
    bytes: int
    free: int | None = None
    journals: int
    rows_estimated: bool
    bytes_estimated: bool
    tables: tuple[Table, ...]
    parts: tuple[Part, ...]
    calls_per_day: float
    bytes_per_day: int


class Keeping:
    """`Client.retention`."""

    def __init__(self, gateway: Calls) -> None:
        self._gateway = gateway

    def get(self) -> Retention:
        return msgspec.convert(self._gateway.call("GET", f"{OWN}/retention"), Retention)

    def change(self, changes: Mapping[str, int | None]) -> Periods:
        """Changes what is named and leaves the rest; None: for good. `changes`: fields of Periods."""
        said: dict[str, Any] = {field: msgspec.Raw(b"null") if days is None else days for field, days in changes.items()}
        return msgspec.convert(self._gateway.call("PATCH", f"{OWN}/retention", said), Periods)

    def size(self) -> Size:
        return msgspec.convert(self._gateway.call("GET", f"{OWN}/database/size"), Size)

    def delete_traces(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        experiment_id: str | None = None,
        before_ms: int | None = None,
        said: Callable[[int], None] = lambda deleted: None,
    ) -> Deleted:
        """All that meet what is given, in as many requests as it takes; `said` is told after each how many there were until then."""
        message = {"user": user, "session": session, "experiment_id": experiment_id, "before_ms": before_ms}
        deleted = 0
        while True:
            part = msgspec.convert(self._gateway.call("POST", f"{OWN}/traces/delete", message), Deleted)
            deleted += part.traces_deleted
            said(deleted)
            if part.done:
                return msgspec.structs.replace(part, traces_deleted=deleted)
