"""Gemini's embeddings, of one content or of a batch. The vectors are passed on unread: only what surrounds them is parsed.

Reference: https://ai.google.dev/api/embeddings. Older models count no tokens here.
"""

import msgspec

from spangate.wire import lenient
from spangate.wire.events import Event, UsageReported

from . import gemini_generate, unstreamed
from .decoding import NO_OBJECT
from .gemini_generate import parse_problem, parse_usage, render_model, render_models, render_problem, render_problem_event

__all__ = [
    "NAME",
    "decoder",
    "parse_answer",
    "parse_problem",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "gemini.embeddings"


class _Answer(msgspec.Struct, rename="camel"):
    """What must be known of an answer; the vectors are skipped."""

    usage_metadata: object = None
    error: object = None


_thin = msgspec.json.Decoder(_Answer)


def parse_answer(body: bytes) -> list[Event]:
    try:
        answer = _parse(body)
    except (ValueError, RecursionError):
        return [NO_OBJECT]
    if answer.error:
        return [gemini_generate.failure({"error": answer.error})]
    reported = parse_usage(answer.usage_metadata)
    if reported is None:
        return []
    # There is no field for an output here, as a vector is no token.
    return [UsageReported(reported if reported.input is None else msgspec.structs.replace(reported, output=0))]


def _parse(body: bytes) -> _Answer:
    try:
        return _thin.decode(body)
    except ValueError:
        answer = lenient.mapping(lenient.parse(body))
        if answer is None:
            raise
        return _Answer(answer.get("usageMetadata"), answer.get("error"))


def decoder(fold_limit: int) -> unstreamed.Decoder:
    return unstreamed.Decoder(fold_limit, parse_answer)
