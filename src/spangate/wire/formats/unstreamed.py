"""For what no provider streams. Should one label its answer as a stream all the same, a frame is read as a plain answer."""

from collections.abc import Callable

from spangate.wire import lenient
from spangate.wire.events import Event, Failed
from spangate.wire.framing.sse import Frame

from .decoding import SseDecoder


class Decoder(SseDecoder):
    """`empty`: what a trace has of an answer that is too long to be kept."""

    def __init__(self, fold_limit: int, parse_answer: Callable[[bytes], list[Event]], *, empty: bytes = b"{}") -> None:
        super().__init__()
        self._limit = fold_limit
        self._parse = parse_answer
        self._empty = empty
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
        said = self._parse(data)
        if said and isinstance(said[0], Failed):
            if said[0].kind == "malformed":
                raise ValueError("not an object")
            events.extend(said)
            return
        self._whole = True
        self._progress(events)
        events.extend(said)
        if self._limit:
            self._answer = (lenient.render(lenient.parse(data)), False) if len(data) <= self._limit else (self._empty, True)

    def _overlong(self, events: list[Event]) -> None:
        self._progress(events)
