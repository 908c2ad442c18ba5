"""JSON as providers write it: what a lenient client would still read is read here, and nothing is written that a strict one refuses.

Seen on real wires: halves of a surrogate pair, one in each of two deltas; NaN; broken UTF-8; numbers beyond a double.
`parse` raises ValueError or RecursionError and nothing else; `document` raises nothing; `render` raises RecursionError and nothing else.
"""

import json
from collections.abc import Callable, Sequence
from typing import cast

import msgspec

_decoder = msgspec.json.Decoder()


def parse(data: bytes) -> object:
    try:
        return _decoder.decode(data)
    except ValueError:
        return json.loads(data.decode("utf-8", "replace"))


def document(data: bytes) -> dict[str, object] | None:
    """The JSON object that the bytes are, or None."""
    try:
        return mapping(parse(data))
    except (ValueError, RecursionError):
        return None


def render(value: object, hook: Callable[[object], object] | None = None) -> bytes:
    """`hook` turns what JSON does not know into what it does."""
    try:
        return msgspec.json.encode(value, enc_hook=hook)
    except ValueError:  # UnicodeEncodeError: lone surrogates
        return msgspec.json.encode(_mended(value, hook))


def mapping(value: object) -> dict[str, object] | None:
    """The value, if it is a JSON object."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def text(value: object) -> str | None:
    """The value, if it is a string that says something."""
    return value if isinstance(value, str) and value else None


def mend(value: str) -> str:
    """Surrogate pairs are joined; a half that stayed alone becomes U+FFFD."""
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _mended(value: object, hook: Callable[[object], object] | None) -> object:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        return {mend(name): _mended(item, hook) for name, item in cast("dict[str, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_mended(item, hook) for item in cast("Sequence[object]", value)]
    if value is None or isinstance(value, (bool, int, float)) or hook is None:
        return value
    return _mended(hook(value), hook)
