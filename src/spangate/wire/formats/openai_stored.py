"""A response that was made by an earlier call, read again: how it ended is no fault of who reads it, and it may go on after this answer.

Also what comes of deleting it, and the list of what it was asked. In a stream its events are those of `openai.responses`.
Reference: https://platform.openai.com/docs/api-reference/responses/get
"""

from spangate.wire.events import Event, Failed, Stopped
from spangate.wire.framing.sse import Frame

from . import openai_responses
from .openai_responses import parse_problem, render_model, render_models, render_problem, render_problem_event

__all__ = [
    "MADE_AS",
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

NAME: str = "openai.responses.stored"
MADE_AS = openai_responses.NAME


def parse_answer(body: bytes) -> list[Event]:
    events = openai_responses.parse_answer(body)
    # An error without a response is this call's own; `failed`, with its id, is the state of what was asked about.
    return _told(events) if len(events) > 1 else events


def _told(events: list[Event]) -> list[Event]:
    return [Stopped("failed") if isinstance(event, Failed) and event.kind != "malformed" else event for event in events]


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(openai_responses.Decoder):
    """The end on the wire is an end: a response that is still at work is told as far as it is."""

    @property
    def finished(self) -> bool:
        return True

    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        ended = self.ended
        found: list[Event] = []
        super()._observe(frame, data, found)
        events += _told(found) if self.ended and not ended else found
