"""What relaying must know of a request body, and where it stands in the bytes; then the body with only that replaced.

Nothing is re-encoded. A body that two parsers could read as two requests (a key twice at the top) is refused.
"""

import json
import re
from collections.abc import Iterable

import msgspec

from spangate.wire.problems import Refusal

from .depth import refuse_deep, too_deep

_BLANK = b" \t\n\r"
_KEY = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)

Span = tuple[int, int]


class Peek(msgspec.Struct, frozen=True):
    """`model` None: absent or null. `include_usage` None: the client did not say. Spans are byte offsets of values in the body."""

    model: str | None
    stream: bool
    include_usage: bool | None
    inside: int  # just past the opening brace
    empty: bool  # {}
    model_at: Span | None = None
    options_at: Span | None = None  # stream_options, whatever its value
    options_inside: int | None = None  # just past the brace of stream_options, if it is an object
    options_empty: bool = False
    include_usage_at: Span | None = None
    resources_at: tuple[Span, ...] = ()  # where a body whose model the path says repeats it
    previous: str | None = None  # the response that is to be continued (`previous_response_id`)


def peek(body: bytes) -> Peek:
    """Raises Refusal(400) for what nests too deeply, is no JSON object, says a key twice, or has `model` or `stream` of the wrong type."""
    found, inside = scan(body, 0, len(body), "The request body")
    model_at, stream_at, options_at = found.get("model"), found.get("stream"), found.get("stream_options")
    include_usage: bool | None = None
    include_usage_at: Span | None = None
    options_inside: int | None = None
    options_empty = False
    if options_at is not None and body[options_at[0]] == ord("{"):
        options, options_inside = scan(body, *options_at, "`stream_options`")
        include_usage_at = options.get("include_usage")
        include_usage = _LITERALS.get(body[slice(*include_usage_at)]) if include_usage_at else None
        options_empty = not options
    return Peek(
        model=_model(body, model_at),
        stream=_stream(body, stream_at),
        include_usage=include_usage,
        inside=inside,
        empty=not found,
        model_at=model_at,
        options_at=options_at,
        options_inside=options_inside,
        options_empty=options_empty,
        include_usage_at=include_usage_at,
        previous=_previous(body, found["previous_response_id"]) if "previous_response_id" in found else None,
    )


def patch(body: bytes, peek: Peek, *, model: str, ask_usage: bool) -> bytes:
    """The body with the target's model name and, if asked, `stream_options.include_usage`; every other byte as it was."""
    edits: list[tuple[int, int, bytes]] = []
    fresh: list[bytes] = []
    name = msgspec.json.encode(model)
    if peek.model_at is not None:
        edits.append((*peek.model_at, name))
    else:
        fresh.append(b'"model":' + name)
    if ask_usage and peek.include_usage is not True:
        if peek.include_usage_at is not None:
            edits.append((*peek.include_usage_at, b"true"))
        elif peek.options_inside is not None:
            comma = b"" if peek.options_empty else b","
            edits.append((peek.options_inside, peek.options_inside, b'"include_usage":true' + comma))
        elif peek.options_at is None:
            fresh.append(b'"stream_options":{"include_usage":true}')
        elif body[slice(*peek.options_at)] == b"null":
            edits.append((*peek.options_at, b'{"include_usage":true}'))
        # else: options of a wrong type are the provider's to refuse
    if fresh:
        edits.append((peek.inside, peek.inside, b",".join(fresh) + (b"" if peek.empty else b",")))
    return spliced(body, edits)


def without(body: bytes, name: str) -> bytes:
    """The body without that member of its object, and without the comma that came with it; every other byte as it was."""
    found, inside = scan(body, 0, len(body), "The request body")
    if name not in found:
        return body
    value, end = found[name]
    key = body.rfind(b'"', inside, body.rfind(b'"', inside, value))  # escaped or not, the name has no quote in it
    end = past_blanks(body, end)
    if body[end] == ord(","):
        return body[:key] + body[past_blanks(body, end + 1) :]
    comma = body.rfind(b",", inside, key)
    return body[: comma if comma >= 0 else key] + body[end:]


def spliced(body: bytes, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The body with new bytes at these spans; every other byte as it was."""
    out: list[bytes] = []
    at = 0
    for start, end, new in sorted(edits):
        out += (body[at:start], new)
        at = end
    return b"".join((*out, body[at:]))


_LITERALS = {b"true": True, b"false": False}


def _model(body: bytes, at: Span | None) -> str | None:
    value = body[slice(*at)] if at else b"null"
    if value == b"null":
        return None
    try:
        return _string.decode(value)
    except ValueError:
        raise Refusal(400, "invalid_model", "`model` must be a string.", param="model") from None


def _previous(body: bytes, at: Span) -> str | None:
    try:
        return _string.decode(body[slice(*at)])
    except ValueError:
        return None  # the provider's to refuse


def _stream(body: bytes, at: Span | None) -> bool:
    value = body[slice(*at)] if at else b"null"
    if value == b"null":
        return False
    stream = _LITERALS.get(value)
    if stream is None:
        raise Refusal(400, "invalid_stream", "`stream` must be true, false or null.", param="stream")
    return stream


def scan(body: bytes, start: int, end: int, what: str) -> tuple[dict[str, Span], int]:
    """Where the values of the object's keys stand, and the offset just past its brace.

    msgspec validates and gives each key's last value; then the keys are walked in order. As long as each key is new
    and its value is the very bytes that stand there, nothing was said twice.
    """
    if start == 0:  # the whole body
        refuse_deep(body)
    try:
        values = _object.decode(body[start:end])
    except msgspec.ValidationError:
        raise Refusal(400, "invalid_json", f"{what} must be a JSON object.") from None
    except ValueError as error:
        raise Refusal(400, "invalid_json", f"{what} is not valid JSON: {_reason(body, error)}") from None
    except RecursionError:
        raise too_deep() from None  # not JSON either, or it would have been told before
    found: dict[str, Span] = {}
    inside = body.index(b"{", start) + 1
    at = past_blanks(body, inside)
    while body[at] != ord("}"):
        key = _KEY.match(body, at)
        assert key is not None  # the bytes are valid JSON, and a key stands here
        name = _string.decode(key.group())
        raw = bytes(values[name])
        at = past_blanks(body, past_blanks(body, key.end()) + 1)  # past the colon
        if name in found or not body.startswith(raw, at):
            raise _twice(what, name)
        found[name] = (at, at + len(raw))
        at = past_blanks(body, at + len(raw))
        if body[at] == ord(","):
            at = past_blanks(body, at + 1)
        elif body[at] != ord("}"):
            raise _twice(what, name)  # 12 where the last value is 1
    return found, inside


def past_blanks(body: bytes, at: int) -> int:
    while body[at] in _BLANK:
        at += 1
    return at


def _twice(what: str, name: str) -> Refusal:
    return Refusal(400, "duplicate_key", f"{what} says {json.dumps(name[:100])} twice.", param=name[:100])


def _reason(body: bytes, error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8."
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return str(error)
    # Python's own parser is more lenient; what it lets pass is one of these.
    return "it holds NaN, Infinity or half of a surrogate pair."
