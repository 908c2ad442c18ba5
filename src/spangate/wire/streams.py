"""The only two stream shapes: Passthrough hands on the provider's bytes, Translate writes its own. Both tell `observe` before they return.

Whoever feeds them sends what they return: an event is known before the bytes that tell the client of it have left.
"""

from collections.abc import Callable

from .events import Event
from .formats.mlflow_chat import Decoder as UnifiedDecoder
from .formats.protocol import Decoder


class Passthrough:
    """Same format on both sides: what comes out is what came in, at once.

    With `withhold_usage` (we asked for usage, the client did not) the frames that hold usage and nothing else are
    left out; so an open frame waits for its end, unless it is too long to be one of those.
    """

    def __init__(self, decoder: Decoder, observe: Callable[[Event], None], *, withhold_usage: bool = False) -> None:
        self._decoder = decoder
        self._observe = observe
        self._withhold = withhold_usage
        self._held = b""  # with withhold_usage: what is not sent yet
        self._sent = 0  # offset in the stream of the first byte held
        self._torn = False  # the provider ended within a frame, and the client has its beginning
        self._dropping = False  # the frame before was left out, and its blank lines may go on

    @property
    def decoder(self) -> Decoder:
        return self._decoder

    @property
    def at_boundary(self) -> bool:
        """The client has whole frames only, so a frame of ours may follow."""
        frames = self._decoder.frames
        return not self._torn and (frames.at_boundary or (self._withhold and not frames.overlong))

    def inserted(self, event: bytes) -> bytes:
        """An event of ours, in the framing of what came so far."""
        return self._decoder.frames.inserted(event)

    def feed(self, chunk: bytes) -> bytes:
        for event in self._decoder.feed(chunk):
            self._observe(event)
        if not self._withhold:
            return chunk
        frames = self._decoder.frames
        return self._release(chunk, frames.total if frames.overlong else frames.boundary)

    def close(self) -> bytes:
        """The provider is done, or gone."""
        frames = self._decoder.frames
        open_frame, begun = not frames.at_boundary, frames.overlong or not self._withhold
        for event in self._decoder.close():
            self._observe(event)
        tail = self._release(b"", frames.total) if self._withhold else b""
        self._torn = open_frame and (begun or bool(tail))
        return tail

    def _release(self, chunk: bytes, until: int) -> bytes:
        """What may be sent, up to the offset, less the frames to leave out."""
        held = self._held + chunk if self._held else chunk
        out: list[bytes] = []
        base = at = self._sent
        for start, end in self._decoder.usage_frames:
            out.append(self._kept(held, at - base, start - base))
            self._dropping = True
            at = end
        out.append(self._kept(held, at - base, until - base))
        self._held, self._sent = held[until - base :], until
        return b"".join(out)

    def _kept(self, held: bytes, start: int, end: int) -> bytes:
        kept = held[start:end]
        if self._dropping and kept:
            kept = kept.lstrip(b"\r\n")
            self._dropping = not kept
        return kept


class Translate:
    """The unified route: the provider's openai.chat chunks become MLflow's. `[DONE]` comes only if the provider sent it."""

    at_boundary = True  # only whole frames are ever written

    def __init__(self, decoder: UnifiedDecoder, observe: Callable[[Event], None], *, provider: str, withhold_usage: bool = False) -> None:
        decoder.provider = provider
        self._decoder = decoder
        self._observe = observe
        self._withhold = withhold_usage

    @property
    def decoder(self) -> Decoder:
        return self._decoder

    def inserted(self, event: bytes) -> bytes:
        return event

    def feed(self, chunk: bytes) -> bytes:
        for event in self._decoder.feed(chunk):
            self._observe(event)
        return self._written()

    def close(self) -> bytes:
        for event in self._decoder.close():
            self._observe(event)
        return self._written()

    def _written(self) -> bytes:
        return b"".join(frame for frame, usage_only in self._decoder.translated if not (usage_only and self._withhold))
