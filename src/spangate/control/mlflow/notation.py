"""How MLflow's messages are written as JSON and read back.

An absent field and a null one are the same in a request (protobuf's JSON rule) and stand for "not said"; a reply leaves
the field out. Integers are JSON numbers, also the 64-bit ones; weights come back as they were sent, not rounded to
32 bits; bytes are base64; enums are their names. Unknown fields are ignored, wrong types are refused.
"""

import base64
import datetime
import math
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec

from ...wire import lenient
from .messages import Ask, FallbackStrategy, Int64, KeyValue, LinkageType, LocationType, RoutingStrategy, ViewType

INT64 = range(-(2**63), 2**63)
# protobuf's JSON parser in the client refuses messages nested more than 100 deep; an object costs three levels a step.
NESTED = 28

REPEATED = frozenset({"trace_ids", "order_by"})  # fields that a query string may give more than once

ENUMS: Mapping[str, type[StrEnum]] = {
    "linkage_type": LinkageType,
    "routing_strategy": RoutingStrategy,
    "strategy": FallbackStrategy,
    "view_type": ViewType,
    "type": LocationType,
}


class Malformed(Exception):
    """A request that is not the message it should be; `message` says which field and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# ---------------------------------------------------------------- parse

A = TypeVar("A", bound=Ask)

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`(?: - at `\$?\.?(?P<at>[^`]*)`)?$", re.S)
_WRONG = re.compile(r"(?P<why>.*) - at `\$?\.?(?P<at>[^`]*)`$", re.S)


def parse_body(message: type[A], body: bytes, path: Mapping[str, str]) -> A:
    """The message that a JSON body holds, no body standing for `{}`. A parameter in the path wins over one in the body."""
    try:
        if path:
            fields = msgspec.json.decode(body.strip() or b"{}", type=dict[str, msgspec.Raw])
            fields |= {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in path.items()}
            body = msgspec.json.encode(fields)
        ask = msgspec.json.decode(body.strip() or b"{}", type=message)
    except msgspec.ValidationError as error:
        raise Malformed(_sentence(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed("The request body is not valid JSON.") from None
    except RecursionError:
        raise Malformed("The request body is nested too deep.") from None
    return _storable(ask)


def parse_query(message: type[A], query: Sequence[tuple[str, str]], path: Mapping[str, str]) -> A:
    """The message that a query string and the path's parameters hold."""
    fields: dict[str, Any] = {}
    for name, value in query:
        if name in REPEATED:
            fields.setdefault(name, []).append(value)
        else:
            fields[name] = value
    try:
        ask = msgspec.convert(fields | dict(path), type=message, strict=False)
    except msgspec.ValidationError as error:
        raise Malformed(_sentence(str(error))) from None
    return _storable(ask)


def integer(value: Int64 | None, default: int) -> int:
    return default if value is None else int(value)


def _storable(ask: A) -> A:
    """PostgreSQL cannot keep U+0000 in text, and no driver can send half of a surrogate pair."""
    for text in _texts(msgspec.to_builtins(ask)):
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise Malformed("The request holds a text with a null character or half a surrogate pair.")
    return ask


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in cast("dict[str, object]", value).items() for part in pair for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in cast("Sequence[object]", value) for text in _texts(part)]
    return []


def _sentence(why: str) -> str:
    """msgspec's words as a sentence that names the parameter."""
    if found := _MISSING.match(why):
        prefix = f"{found['at']}." if found["at"] else ""
        return f"Missing value for required parameter '{prefix}{found['field']}'. See the API docs for more information."
    if found := _WRONG.match(why):
        allowed = ENUMS.get(found["at"].rpartition(".")[2]) if "enum" in found["why"] else None
        hint = f" Must be one of: {', '.join(allowed)}." if allowed else ""
        return f"Invalid value for parameter '{found['at']}': {found['why']}.{hint}"
    return f"Invalid request: {why}."


# ---------------------------------------------------------------- render


def render(reply: msgspec.Struct) -> bytes:
    return msgspec.json.encode(reply)


def render_error(code: str, message: str, **more: object) -> bytes:
    return msgspec.json.encode({"error_code": code, "message": message, **more})


def instant(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, as google.protobuf.Timestamp is written."""
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(ms: int) -> str:
    """google.protobuf.Duration."""
    return f"{ms // 1000}.{ms % 1000:03d}s"


def base64_of(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def attributes(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def any_value(value: object, depth: int = 0) -> dict[str, Any]:
    """OpenTelemetry's AnyValue. What its types or the client's parser cannot hold is written as JSON text, never dropped."""
    match value:
        case None:
            return {}
        case bool():
            return {"bool_value": value}
        case int():
            return {"int_value": value} if value in INT64 else {"string_value": str(value)}
        case float():
            return {"double_value": value if math.isfinite(value) else _INFINITE.get(value, "NaN")}
        case str():
            return {"string_value": _text(value)}
        case bytes():
            return {"bytes_value": base64.b64encode(value).decode()}
        case Mapping() | list() | tuple() if depth >= NESTED:
            return {"string_value": _as_text(cast("object", value))}
        case Mapping():
            pairs = cast("Mapping[object, object]", value)
            values = [{"key": _text(str(key)), "value": any_value(part, depth + 1)} for key, part in pairs.items()]
            return {"kvlist_value": {"values": values} if values else {}}
        case list() | tuple():
            parts = cast("Sequence[object]", value)
            values = [any_value(part, depth + 1) for part in parts]
            return {"array_value": {"values": values} if values else {}}
        case _:
            return {"string_value": _text(str(value))}


_INFINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}  # as protobuf's JSON writes them


def _text(value: str) -> str:
    return value if value.isascii() else lenient.mend(value)


def _as_text(value: object) -> str:
    try:
        return lenient.render(value).decode()
    except RecursionError:
        return "(nested too deep to show)"
