"""Words out of a provider's error body. One in no known shape is not echoed, unless it is a plain short line: dumps may hold keys."""

import re
from typing import cast

from spangate.wire import lenient

KIND = "upstream_error"
LONGEST = 2000  # characters of a provider's message that we hand on


def parse(body: bytes) -> dict[str, object] | None:
    """The body, if it is a JSON object. Gemini and some proxies wrap it in a list of one."""
    try:
        said = lenient.parse(body)
    except (ValueError, RecursionError):
        return None
    items = cast("list[object]", said) if isinstance(said, list) else [said]
    return lenient.mapping(items[0]) if items else None


def plain(status: int, body: bytes, said: object) -> str:
    """What to say of a body without an error message."""
    line = body[:201].decode("utf-8", "replace").strip()
    # No word of 25 letters: a key has no blanks.
    if said is None and 0 < len(line) <= 200 and re.fullmatch(r"[\w .,:;'()/-]+", line) and max(map(len, line.split())) < 25:
        return line
    return f"The provider answered with HTTP status {status} and no readable error."


def word(kind: str) -> str:
    """A stable snake_case word of what may be anything."""
    return re.sub(r"[^a-z0-9]+", "_", kind[:80].lower()).strip("_") or KIND


IN_STREAM = "The provider reported an error in its stream."


def short(message: str) -> str:
    return message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
