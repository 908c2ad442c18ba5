"""Small pieces that all of the readers take apart in the same way."""

from collections.abc import Collection
from typing import cast

from spangate.wire import lenient

from .words import Message, Other, Part, Text


def items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, object]]:
    """The JSON objects of a list; of anything else none."""
    return [found for found in map(lenient.mapping, items(value)) if found is not None]


def mapping(value: object) -> dict[str, object]:
    return lenient.mapping(value) or {}


def json(value: object) -> str:
    return lenient.render(value).decode()


def data_url(media_type: object, data: object) -> str | None:
    """Of base64 that came by itself."""
    text = lenient.text(data)
    return None if text is None else f"data:{lenient.text(media_type) or 'application/octet-stream'};base64,{text}"


def other(value: object, kind: object = None) -> Other:
    return Other(lenient.text(kind) or "unknown", json(value))


def texts(value: object) -> tuple[Part, ...]:
    """A text, or a list of which some are texts."""
    said = [value] if isinstance(value, str) else items(value)
    return tuple(Text(one) if isinstance(one, str) else other(one) for one in said)


def prompt(value: object) -> tuple[Message, ...]:
    """What was asked where there are no roles."""
    parts = texts(value)
    return (Message(role="user", parts=parts),) if parts else ()


def rest(body: dict[str, object], known: Collection[str]) -> dict[str, str]:
    """Fields that are not of the conversation itself."""
    return {name: json(value) for name, value in body.items() if name not in known and value is not None}


def schema(value: object) -> str | None:
    return None if value is None else json(value)
