"""OpenAI embeddings: one plain answer, never a stream. The vectors are passed on unread: only what surrounds them is parsed.

Reference: https://platform.openai.com/docs/api-reference/embeddings
"""

import msgspec

from spangate.wire import lenient
from spangate.wire.counting import UNREADABLE, Tally
from spangate.wire.events import Ended, Event, Started, UsageReported
from spangate.wire.framing.sse import Frame
from spangate.wire.usage import Usage, count

from . import unstreamed
from .decoding import NO_OBJECT
from .openai_chat import failure, parse_problem, render_model, render_models, render_problem, render_problem_event

__all__ = [
    "NAME",
    "Decoder",
    "decoder",
    "parse_answer",
    "parse_problem",
    "parse_usage",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "openai.embeddings"


class _Answer(msgspec.Struct):
    """What must be known of an answer; the vectors, which may be a hundred megabytes of numbers, are skipped."""

    id: object = None  # OpenAI gives none, some compatible servers do
    model: object = None
    usage: object = None
    error: object = None


_thin = msgspec.json.Decoder(_Answer)


# ---------------------------------------------------------------- plain answers


def parse_answer(body: bytes) -> list[Event]:
    try:
        answer = _parse(body)
    except (ValueError, RecursionError):
        return [NO_OBJECT]
    if answer.error:
        return [failure({"error": answer.error})]
    events: list[Event] = []
    response_id, model = lenient.text(answer.id), lenient.text(answer.model)
    if response_id or model:
        events.append(Started(response_id, model))
    reported = parse_usage(answer.usage)
    if reported is not None:
        events.append(UsageReported(reported))
    return events


def _parse(body: bytes) -> _Answer:
    try:
        return _thin.decode(body)
    except ValueError:
        answer = lenient.mapping(lenient.parse(body))
        if answer is None:
            raise
        return _Answer(answer.get("id"), answer.get("model"), answer.get("usage"), answer.get("error"))


def parse_usage(value: object) -> Usage | None:
    """None: the provider said nothing of usage (absent or null)."""
    if value is None:
        return None
    wire = lenient.mapping(value)
    if wire is None:
        return UNREADABLE
    tally = Tally()
    tally.read("input", wire.get("prompt_tokens"))
    tally.read("output", wire.get("completion_tokens"))
    given = tally.get("input")
    if given is not None and tally.get("output") is None and count(wire.get("total_tokens")) == given:
        tally.put("output", 0)  # the total says that nothing but the input was counted
    return tally.usage()


# ---------------------------------------------------------------- streams


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(unstreamed.Decoder):
    """As OpenAI's streams end, so may this."""

    def __init__(self, fold_limit: int) -> None:
        super().__init__(fold_limit, parse_answer, empty=b'{"object":"list","data":[]}')

    @property
    def finished(self) -> bool:
        return self.ended or super().finished

    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        if data.strip() != b"[DONE]":
            super()._observe(frame, data, events)
        elif not self.ended:
            self.ended = True
            events.append(Ended())
