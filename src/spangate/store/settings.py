"""What an endpoint says beyond MLflow's words: timeouts, what to do when a client leaves, what the raw proxy may pass on, what is kept and
for how long."""

import math
from collections.abc import Mapping

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from ..exchange import METADATA, EndpointSettings, ProxyRules
from . import limits, retention
from .changed import later
from .engine import bump
from .faults import Invalid, NotFound
from .schema import endpoints as table

LONGEST = 86_400.0  # s; a timeout beyond a day is a slip
TIMEOUTS = ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout")
CLIENT_GONE = ("close", "drain")
CONTENT = ("full", METADATA)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RULES = 100  # each of them is tried in turn, at each call
PATH = 500


def get(connection: Connection, name: str) -> EndpointSettings:
    return _found(connection, name)[1]


def update(connection: Connection, name: str, changes: Mapping[str, object], *, by: str | None = None, now: int) -> EndpointSettings:
    """Changes what is named and leaves the rest; None takes a setting away. `changes`: fields of EndpointSettings, of its types."""
    bump(connection)
    endpoint_id, before, changed_at = _found(connection, name)
    settings = msgspec.structs.replace(before, **changes)
    _valid(settings)
    if settings.retention is not None:
        try:
            retention.check(connection, settings.retention, name)
        except Invalid as fault:
            raise Invalid(fault.message, field="retention") from None
    stored = None if settings == EndpointSettings() else msgspec.json.encode(settings).decode()
    changed: dict[str, object] = {"settings": stored, "updated_at": later(changed_at, now)}
    if by is not None:
        changed["updated_by"] = limits.kept(by, limits.NAME)
    connection.execute(table.update().where(table.c.endpoint_id == endpoint_id).values(changed))
    return settings


def read(stored: str | None) -> EndpointSettings:
    """What a row holds; null: nothing was ever said."""
    return EndpointSettings() if stored is None else msgspec.json.decode(stored, type=EndpointSettings)


def of_all(connection: Connection) -> dict[str, EndpointSettings]:
    """By the endpoint's id, of those that say anything."""
    rows = connection.execute(sa.select(table.c.endpoint_id, table.c.settings).where(table.c.settings.is_not(None)))
    return {row.endpoint_id: read(row.settings) for row in rows}


def _found(connection: Connection, name: str) -> tuple[str, EndpointSettings, int]:
    columns = sa.select(table.c.endpoint_id, table.c.settings, table.c.updated_at)
    row = connection.execute(columns.where(table.c.name == name)).first()
    if row is None:
        raise NotFound(f"GatewayEndpoint not found (name='{name}')")
    return row.endpoint_id, read(row.settings), row.updated_at


def _valid(settings: EndpointSettings) -> None:
    for name in TIMEOUTS:
        seconds: float | None = getattr(settings, name)
        if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= LONGEST):
            raise Invalid(f"Invalid {name} {seconds:g}. It is in seconds, more than 0 and at most {LONGEST:.0f}.", field=name)
    if settings.client_gone not in (None, *CLIENT_GONE):
        raise Invalid(f"Invalid client_gone '{settings.client_gone}'. Use one of {', '.join(CLIENT_GONE)}.", field="client_gone")
    if settings.content not in (None, *CONTENT):
        raise Invalid(f"Invalid content '{settings.content}'. Use one of {', '.join(CONTENT)}.", field="content")
    if settings.proxy is not None:
        _valid_rules(settings.proxy)


def _valid_rules(rules: ProxyRules) -> None:
    if len(rules.methods) > len(METHODS) or len(rules.paths) > RULES:
        raise Invalid(f"Invalid proxy: at most {len(METHODS)} methods and {RULES} paths can be named.", field="proxy")
    for method in rules.methods:
        if method not in METHODS:
            raise Invalid(f"Invalid proxy method '{method}'. Use {', '.join(METHODS)}, in capitals.", field="proxy.methods")
    for place, path in enumerate(rules.paths):
        if fault := _path_fault(path):
            raise Invalid(f"Invalid proxy path '{path[:PATH]}': {fault}.", field=f"proxy.paths.{place}")
    if bool(rules.methods) != bool(rules.paths):
        raise Invalid("Invalid proxy: name methods and paths, or neither; with one of them alone nothing is let through.", field="proxy")


def _path_fault(path: str) -> str | None:
    """A path is compared with what is left of the client's when it is normalised: no escapes, no dots, no doubled slashes."""
    if not path.startswith("/"):
        return "it begins with a slash"
    if len(path) > PATH:
        return f"it is longer than {PATH} characters"
    if not all("!" <= character <= "~" for character in path) or any(character in path for character in "?#%\\"):
        return "it is a plain path: printable ASCII, without spaces, escapes, query and fragment"
    plain = path.removesuffix("/*")
    if "*" in plain:
        return "a * stands only at its end, after a slash"
    if any(segment in (".", "..") for segment in plain.split("/")) or "//" in path:
        return "it has no empty and no dot segments"
    return None
