"""What nobody here can read: bytes that pass as they are. The end on the wire is all that is known of their end, and nothing counts tokens.

Our own words about such a call are in OpenAI's shape, which most clients can read.
"""

import re

from spangate.wire.events import Event
from spangate.wire.framing.sse import Frames

from .openai_chat import parse_problem, render_model, render_models, render_problem, render_problem_event

__all__ = [
    "NAME",
    "Decoder",
    "decoder",
    "parse_answer",
    "parse_problem",
    "readable",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "raw"

_READABLE = re.compile(rb"\s*(text/[\w.+-]+|application/([\w.-]+\+)?(json|x-ndjson|jsonl|json-seq))\s*(;|$)", re.IGNORECASE | re.ASCII)


def readable(content_type: bytes) -> bool:
    """Whether it is JSON or text, so that it may be kept for people to read."""
    return _READABLE.match(content_type) is not None


def parse_answer(body: bytes) -> list[Event]:
    return []


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class _Unframed(Frames):
    """Nobody knows where a piece of it ends, so no frame of ours may follow."""

    @property
    def at_boundary(self) -> bool:
        return False


class Decoder:
    """Keeps the head of what passes. `fold_limit` 0: nothing of it."""

    finished = True

    def __init__(self, fold_limit: int) -> None:
        self.frames: Frames = _Unframed()
        self.usage_frames: list[tuple[int, int]] = []
        self.produced = 0
        self._room = fold_limit
        self._kept: list[bytes] = []
        self._truncated = False

    def feed(self, chunk: bytes) -> list[Event]:
        if chunk and self._room < len(chunk):
            self._truncated = True
        if self._room:
            kept = chunk[: self._room]
            self._kept.append(kept)
            self._room -= len(kept)
        return []

    def close(self) -> list[Event]:
        return []

    def answer(self) -> tuple[bytes, bool] | None:
        return (b"".join(self._kept), self._truncated) if self._kept else None
