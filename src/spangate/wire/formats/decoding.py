"""One streamed answer over server-sent events: the part that all formats share. Subclasses say what a frame means."""

from abc import ABC, abstractmethod

from spangate.wire import lenient
from spangate.wire.events import Event, Failed, Progressed, Started, Tiered
from spangate.wire.framing import Framing
from spangate.wire.framing.sse import LIMIT, Frame, Frames

NO_OBJECT = Failed("malformed", "The provider's answer is not a JSON object")


class SseDecoder(ABC):
    """Bounded, never raising: a frame that is not what the format says is one Failed("malformed"), and the stream goes on."""

    def __init__(self, frame_limit: int = LIMIT) -> None:
        self.frames: Framing = Frames(frame_limit)
        self.usage_frames: list[tuple[int, int]] = []
        self.produced = 0
        self.ended = False
        self._started = False
        self._tier: str | None = None
        self._progressed = False
        self._malformed = False

    def feed(self, chunk: bytes) -> list[Event]:
        self.usage_frames = []
        events: list[Event] = []
        for frame in self.frames.feed(chunk):
            self._take(frame, events)
        return events

    def close(self) -> list[Event]:
        self.usage_frames = []
        events: list[Event] = []
        for frame in self.frames.close():
            self._take(frame, events)
        return events

    def _take(self, frame: Frame, events: list[Event]) -> None:
        if frame.overlong:
            self._overlong(events)
        elif frame.data:
            try:
                self._observe(frame, frame.data, events)
            except (ValueError, RecursionError) as error:
                if frame.whole:  # a cut frame is told by `finished`, it is nobody's malformed frame
                    self._fail_malformed(f"A frame of the provider's stream is not JSON: {type(error).__name__}", events)

    @abstractmethod
    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        """What the frame means. May raise ValueError or RecursionError for a malformed one."""

    @abstractmethod
    def _overlong(self, events: list[Event]) -> None:
        """A frame too long to be read passed by."""

    def _start(self, response_id: object, model: object, events: list[Event]) -> None:
        if self._started:
            return
        response_id, model = lenient.text(response_id), lenient.text(model)
        if response_id or model:
            self._started = True
            events.append(Started(response_id, model))

    def _tiered(self, tier: object, events: list[Event]) -> None:
        said = lenient.text(tier)
        if said is not None and said != self._tier:
            self._tier = said
            events.append(Tiered(said))

    def _progress(self, events: list[Event]) -> None:
        if not self._progressed:
            self._progressed = True
            events.append(Progressed())

    def _fail_malformed(self, message: str, events: list[Event]) -> None:
        if not self._malformed:
            self._malformed = True
            events.append(Failed("malformed", message))
