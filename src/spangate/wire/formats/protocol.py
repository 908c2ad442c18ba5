"""What a format owes the rest of the house. The format modules are the implementations: two side by side read like two verses."""

from collections.abc import Sequence
from typing import Protocol

from spangate.wire.events import Event
from spangate.wire.framing import Framing
from spangate.wire.problems import Problem, UpstreamProblem


class Decoder(Protocol):
    """Reads one streamed answer. Never raises for what the provider sent."""

    usage_frames: list[tuple[int, int]]  # where in the stream the frames lie, completed by the last feed, that hold usage and nothing else

    produced: int  # characters of content that came so far: text, reasoning, arguments of tools; for an estimate where nobody counts

    @property
    def frames(self) -> Framing: ...

    @property
    def finished(self) -> bool:
        """The answer is whole: the model gave its reason to stop for all that it began, or the terminal event came."""
        ...

    def feed(self, chunk: bytes) -> list[Event]: ...

    def close(self) -> list[Event]: ...

    def answer(self) -> tuple[bytes, bool] | None:
        """The format's own plain answer, folded so far, and whether it was truncated. None: nothing came, or folding is off."""
        ...


class Format(Protocol):
    """A wire shape that clients or providers speak."""

    NAME: str

    def parse_problem(self, status: int, body: bytes) -> UpstreamProblem:
        """What the provider said."""
        ...

    def render_problem(self, problem: Problem, call_id: str) -> bytes:
        """The JSON body in the format's own error shape."""
        ...

    def render_problem_event(self, problem: Problem, call_id: str) -> bytes:
        """The event for a fault midway."""
        ...

    def parse_answer(self, body: bytes) -> list[Event]:
        """Of a plain answer: Started, UsageReported, Stopped; or Failed, never an exception."""
        ...

    def decoder(self, fold_limit: int) -> Decoder:
        """`fold_limit`: bytes of content folded at most; 0: none, which is the cheap way."""
        ...

    def render_models(self, models: Sequence[tuple[str, int]]) -> bytes:
        """The list of models: (name, created in ms)."""
        ...

    def render_model(self, name: str, created_ms: int) -> bytes: ...
