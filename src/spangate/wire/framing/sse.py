"""Server-sent events: bytes in at any cut, whole frames out, the same frames whatever the cut.

Lines end by LF, CRLF or CR; a blank line ends a frame. Only `data` and `event` matter here; comments,
`id`, `retry` and unknown fields are frames or parts of frames without data. A frame knows its place in the
stream, so that who relays the bytes can leave one out without touching the others. What is kept of a frame
is bounded: past the limit its bytes are only counted. (https://html.spec.whatwg.org/multipage/server-sent-events.html)
"""

import re

import msgspec

LIMIT = 1 << 20  # a frame this long holds a picture or a flood, not a step of an answer

# One line end, then at least one more. Possessive, or CRLF would count as two.
_FRAME_END = re.compile(rb"(?>\r\n|\n|\r)[\r\n]+")
_LF = ord("\n")
_BOM = b"\xef\xbb\xbf"


class Frame(msgspec.Struct, frozen=True):
    """What stood between two blank lines. `start` and `end` are offsets in the stream; `end` is past the blank lines."""

    start: int
    end: int
    data: bytes | None = None  # None: no data field, or it was too long to keep
    event: bytes | None = None
    whole: bool = True  # False: the stream ended before the blank line
    overlong: bool = False


class Frames:
    """The incremental reader. `boundary` is the offset just past the last whole frame; `total` counts all bytes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.total = 0
        self.boundary = 0
        self._limit = limit
        self._tail = bytearray()  # from `boundary` on; once overlong, only its last two bytes
        self._skipped = 0  # bytes of the open frame that are no longer in the tail
        self._scan = 0  # where in the tail a frame's end may begin
        self._first = True

    @property
    def overlong(self) -> bool:
        """The open frame is past the limit: it will never be read."""
        return self._skipped > 0

    @property
    def at_boundary(self) -> bool:
        """All bytes so far belong to whole frames."""
        return self.boundary == self.total

    def feed(self, chunk: bytes) -> list[Frame]:
        if not self._tail and chunk.find(b"\n\n") == len(chunk) - 2 >= 1 and b"\r" not in chunk and chunk[0] != _LF:
            # The usual chunk is one frame, its lines ended by LF.
            at = self.boundary
            self.boundary = self.total = at + len(chunk)
            return [self._frame(chunk[:-2], at, self.total)]
        frames: list[Frame] = []
        buffer: bytes | bytearray = chunk
        start = self.boundary + self._skipped  # offset of buffer[0]
        scan = 0
        if self._tail:
            self._tail += chunk
            buffer = self._tail
            scan = self._scan
        else:
            # Blank lines after a frame are its own end, cut off by the chunk: CRLF CR | LF.
            blank = len(chunk) - len(chunk.lstrip(b"\r\n"))
            self.boundary += blank
            if blank == len(chunk):
                self.total += blank
                return frames
            buffer = chunk[blank:] if blank else chunk
            start += blank
        self.total += len(chunk)
        at = 0
        while (end := _FRAME_END.search(buffer, scan)) is not None:
            frames.append(self._frame(bytes(buffer[at : end.start()]), start + at, start + end.end()))
            at = scan = end.end()
            self.boundary = start + at
            self._skipped = 0
        self._keep(buffer, at)
        return frames

    def close(self) -> list[Frame]:
        """The unfinished last frame, if there is one. A stream may end without its last blank line."""
        if self.at_boundary:
            return []
        frame = self._frame(bytes(self._tail).rstrip(b"\r\n"), self.boundary + self._skipped, self.total)
        self._tail = bytearray()
        self.boundary, self._skipped, self._scan = self.total, 0, 0
        return [msgspec.structs.replace(frame, whole=False)]

    def inserted(self, event: bytes) -> bytes:
        """An event of ours, as it may follow what came so far."""
        return event

    def _keep(self, buffer: bytes | bytearray, at: int) -> None:
        if buffer is self._tail:
            if at:
                del self._tail[:at]
        elif at < len(buffer):
            self._tail = bytearray(buffer[at:])
        # The longest half of a frame's end is two bytes (CRLF).
        if len(self._tail) + self._skipped > self._limit + 2 and len(self._tail) > 2:
            self._skipped += len(self._tail) - 2
            del self._tail[:-2]
        self._scan = max(0, len(self._tail) - 2)

    def _frame(self, block: bytes, start: int, end: int) -> Frame:
        first, self._first = self._first, False
        if self._skipped or len(block) > self._limit:
            return Frame(start - self._skipped, end, overlong=True)
        if first and block.startswith(_BOM):
            block = block[3:]
        if block.startswith(b"data:") and b"\n" not in block and b"\r" not in block:
            return Frame(start, end, block[6:] if block[5:6] == b" " else block[5:])
        data: list[bytes] = []
        event: bytes | None = None
        for line in block.splitlines():
            name, _, value = line.partition(b":")
            value = value[1:] if value[:1] == b" " else value
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value
        return Frame(start, end, b"\n".join(data) if data else None, event)


def encode(data: bytes, event: str | None = None) -> bytes:
    """One frame. `data` is JSON on one line."""
    head = b"event: " + event.encode() + b"\n" if event else b""
    return head + b"data: " + data + b"\n\n"
