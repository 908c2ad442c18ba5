"""What has the shape of a key is not kept, wherever it stands: of each, only what tells its kind is left.

Works on the bytes of JSON as on plain text, and leaves JSON whole: no match reaches over a quote, no mask holds one.
"""

import re
from typing import NamedTuple

MASK = b"***masked***"
_MASKED = rb"\1" + MASK
LOOKAHEAD = 512  # how much more than what is kept must be looked at, so that no key is cut in two and its head left


class _Shape(NamedTuple):
    """`mark`: a literal that is in any match."""

    mark: bytes
    pattern: re.Pattern[bytes]


def _shapes(*marks: bytes, rest: bytes) -> tuple[_Shape, ...]:
    """Keys that start with the mark. The pattern starts with it too, and only then looks back: that lets the search skip ahead."""
    return tuple(_Shape(mark, re.compile(b"(" + (name := re.escape(mark)) + b")" + _starts(name) + rest)) for mark in marks)


def _starts(name: bytes) -> bytes:
    """Before the name ends a word, or an escape of JSON such as \\n or \\u2028, whose letters are no part of a word."""
    return b"(?:(?<![A-Za-z0-9]" + name + rb")|(?<=\\[bfnrt]" + name + rb")|(?<=\\u[0-9A-Fa-f]{4}" + name + b"))"


_WORD = rb"[A-Za-z0-9_-]"
# A digit is asked for where a name in plain words could have the same shape (sk-learn-..., "bearer of ...").
# All of these lie in a run of at least RUN letters, digits and `_-./+`.
_RUNS = (
    # OpenAI, Anthropic, OpenRouter, DeepSeek, LiteLLM
    *_shapes(b"sk-", rest=rb"(?:(?=" + _WORD + rb"*[0-9])" + _WORD + rb"{16,}|[A-Za-z]{20,})"),
    *_shapes(b"sg-", rest=rb"(?=" + _WORD + rb"*[0-9A-Z])" + _WORD + rb"{30,}"),  # ours
    *_shapes(b"sk_live_", b"sk_test_", b"rk_live_", b"rk_test_", rest=rb"[A-Za-z0-9]{16,}"),  # Stripe
    *_shapes(b"AKIA", b"ASIA", rest=rb"[A-Z0-9]{16}(?![A-Z0-9])"),  # AWS key ids
    *_shapes(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_", rest=rb"[A-Za-z0-9_]{20,}"),
    *_shapes(b"glpat-", rest=_WORD + rb"{20,}"),
    *_shapes(b"xoxb-", b"xoxp-", b"xoxa-", b"xoxr-", b"xoxs-", rest=rb"[A-Za-z0-9-]{14,}"),  # Slack
    *_shapes(b"AIza", rest=_WORD + rb"{35}"),  # Google
    *_shapes(b"ya29.", rest=_WORD + rb"{20,}"),  # Google OAuth
    *_shapes(b"hf_", b"gsk_", b"xai-", b"pplx-", b"nvapi-", b"r8_", b"npm_", rest=_WORD + rb"{30,}"),
    *_shapes(b"eyJ", rest=_WORD + rb"{8,}\.eyJ" + _WORD + rb"{8,}(?:\." + _WORD + rb"*)?"),  # JWT
)
_OTHERS = (
    *_shapes(b"Bearer ", b"bearer ", b"BEARER ", rest=rb"[ \t]*(?=[A-Za-z0-9._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{15,}[A-Za-z0-9_~+/=-]"),
    _Shape(
        b"PRIVATE KEY",
        re.compile(rb'(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----)[^"]*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|(?=")|\Z)'),
    ),
)
RUN = 19
_IN_RUN = bytes(0x77 if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "_-./+") else 0x20 for byte in range(256))
_LONG = b"w" * RUN
_MANY = 200  # runs; text with more of them is quicker to look through mark by mark
_MARK = re.compile(b"|".join(re.escape(shape.mark) for shape in _RUNS))
_SIGNED = re.compile(rb"[_.-]")
_UNSIGNED = tuple(shape for shape in _RUNS if not _SIGNED.search(shape.mark) and shape.mark != b"eyJ")  # a JWT has dots


def _suspects(data: bytes) -> list[_Shape]:
    """The shapes of which there may be one. Most text has few long runs, and to find those is quicker than to look for each mark."""
    runs = data.translate(_IN_RUN)
    start, end, count = runs.find(_LONG), 0, 0
    suspicious = False
    while start >= 0 and not suspicious:
        end = runs.find(b" ", start + RUN)
        end = len(data) if end < 0 else end
        if end - start < 4096:
            suspicious = _MARK.search(data, start, end) is not None
        else:  # base64 of a picture, for example, which holds none of the signs that most marks have
            run = data[start:end]
            suspicious = any(shape.mark in run for shape in (_RUNS if _SIGNED.search(run) else _UNSIGNED))
        count += 1
        suspicious = suspicious or count == _MANY
        start = runs.find(_LONG, end)
    return [shape for shape in (*(_RUNS if suspicious else ()), *_OTHERS) if shape.mark in data]


def redact(data: bytes) -> bytes:
    """The same bytes with each key-shaped string masked; the same object if there is none."""
    for shape in _suspects(data):
        data = shape.pattern.sub(_MASKED, data)
    return data


def redact_text(text: str, limit: int | None = None) -> str:
    """The same for text, which is cut to `limit` characters (an ellipsis for the rest)."""
    if limit is not None:
        text = text[: limit + LOOKAHEAD]
    masked = redact(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    if limit is None or len(masked) <= limit:
        return masked
    return masked[: limit - 1] + "…"


def keep(body: bytes, limit: int) -> tuple[bytes, bool]:
    """At most `limit` bytes of the body, masked, ending with a whole character of UTF-8; and whether something is missing."""
    masked = redact(body[: limit + LOOKAHEAD])
    if len(masked) <= limit and len(body) <= limit + LOOKAHEAD:
        return masked, False
    end = min(limit, len(masked))
    while end < len(masked) and end > 0 and masked[end] & 0xC0 == 0x80:
        end -= 1
    return masked[:end], True
