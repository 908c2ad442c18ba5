"""Anthropic's count of what a request would take. No model runs and nothing is billed: the number is an answer, never usage.

Reference: https://docs.anthropic.com/en/api/messages-count-tokens
"""

from spangate.wire import lenient
from spangate.wire.events import Event, Failed, Progressed
from spangate.wire.framing.sse import Frame

from . import anthropic_messages
from .anthropic_messages import parse_problem, render_model, render_models, render_problem, render_problem_event
from .decoding import SseDecoder

__all__ = [
    "NAME",
    "Decoder",
    "decoder",
    "parse_answer",
    "parse_problem",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "anthropic.count_tokens"


def parse_answer(body: bytes) -> list[Event]:
    try:
        answer = lenient.mapping(lenient.parse(body))
    except (ValueError, RecursionError):
        answer = None
    if answer is None:
        return [Failed("malformed", "The provider's answer is not a JSON object")]
    if answer.get("type") == "error" or answer.get("error"):
        return anthropic_messages.parse_answer(body)
    return [Progressed()]


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(SseDecoder):
    """No provider streams a count. Should one label its answer so all the same, a frame is read as a plain answer."""

    def __init__(self, fold_limit: int) -> None:
        super().__init__()
        self._limit = fold_limit
        self._answer: tuple[bytes, bool] | None = None
        self._whole = False

    @property
    def finished(self) -> bool:
        return self._whole

    def answer(self) -> tuple[bytes, bool] | None:
        return self._answer

    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        if self._whole:
            return
        said = parse_answer(data)
        events.extend(said)
        if any(isinstance(event, Failed) for event in said):
            return
        self._whole = True
        if len(data) <= self._limit:
            self._answer = lenient.render(lenient.parse(data)), False

    def _overlong(self, events: list[Event]) -> None:
        self._progress(events)
