"""A JSON array that grows: bytes in at any cut, whole elements out, the same elements whatever the cut.

So Google streams unless it is asked for server-sent events. Nothing is validated here: strings and brackets are followed, and what stands
between two commas of the array is an element, for whoever reads it to find fault with. What is kept of an element is bounded: past the
limit its bytes are only counted. An object in the array's place is its one element. (https://www.rfc-editor.org/rfc/rfc8259)
"""

import re

from . import sse
from .sse import Frame

LIMIT = 1 << 20

_BETWEEN = re.compile(rb"[ \t\r\n,]*")
_STRUCTURE = re.compile(rb'["{}\[\],]')
_IN_STRING = re.compile(rb'["\\]')
_QUOTE, _BACKSLASH, _COMMA = ord('"'), ord("\\"), ord(",")
_OPENING, _CLOSING = frozenset(b"{["), frozenset(b"}]")


class Frames:
    """The incremental reader. `boundary` is the offset just past the last whole element, its comma and blanks; `total` counts all bytes."""

    def __init__(self, limit: int = LIMIT, *, start: int = 0) -> None:
        self.total = self.boundary = start  # > 0: so many blanks were taken for the beginning of something else
        self.closed = False  # the array had its end; what follows is nobody's
        self._limit = limit
        self._base: int | None = None  # depth at which elements stand: 1 in an array, 0 for a lone object; None: nothing has come
        self._depth = 0
        self._quoted = False  # within a string
        self._escaped = False  # just past a backslash
        self._open = False  # within an element
        self._bracketed = False  # the open element is an object or a list, and so says itself where it ends
        self._kept = bytearray()  # of the open element
        self._skipped = 0  # bytes of it that are not kept: it is too long
        self._separated = True  # no comma is wanting before a next element

    @property
    def overlong(self) -> bool:
        return self._skipped > 0

    @property
    def at_boundary(self) -> bool:
        return not self._open and not self.closed

    def inserted(self, event: bytes) -> bytes:
        """What an event of ours says, as the array's last element. Only at a boundary."""
        head = b"[" if self._base is None else b"" if self._separated else b","
        return head + b"".join(frame.data or b"" for frame in sse.Frames().feed(event)) + b"]"

    def feed(self, chunk: bytes) -> list[Frame]:
        start, self.total = self.total, self.total + len(chunk)
        frames: list[Frame] = []
        at = 0
        while at < len(chunk) and not self.closed:
            if not self._open:
                at = self._between(chunk, at)
                self.boundary = start + at
                continue
            end, whole = self._within(chunk, at)
            self._keep(chunk, at, end)
            at = end
            if whole:
                frames.append(self._taken(start + at))
        return frames

    def close(self) -> list[Frame]:
        if not self._open:
            return []
        frame = self._taken(self.total)
        return [Frame(frame.start, frame.end, frame.data, whole=False, overlong=frame.overlong)]

    def _between(self, chunk: bytes, at: int) -> int:
        """Past what stands between two elements, into the next one if it begins here."""
        gap = _BETWEEN.match(chunk, at)
        end = at if gap is None else gap.end()
        if _COMMA in chunk[at:end]:
            self._separated = True
        if end == len(chunk):
            return end
        first = chunk[end]
        if self._base is None:
            self._base = self._depth = 1 if first == ord("[") else 0
            if self._base:
                return end + 1
        if first == ord("]") and self._base:
            self.closed = True
            return end + 1
        self._open, self._bracketed = True, first in _OPENING
        return end

    def _within(self, chunk: bytes, at: int) -> tuple[int, bool]:
        """Where the open element ends, or the chunk does first; and which of the two it is."""
        while at < len(chunk):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_IN_STRING if self._quoted else _STRUCTURE).search(chunk, at)
            if found is None:
                break
            byte, at = chunk[found.start()], found.end()
            if self._quoted:
                self._quoted = byte == _BACKSLASH
                self._escaped = byte == _BACKSLASH
            elif byte == _QUOTE:
                self._quoted = True
            elif byte in _OPENING:
                self._depth += 1
            elif self._depth == self._base:  # of a number, a word or a string; or a bracket that closes nothing
                if self._base and byte != ord("}"):
                    return at - 1, True
            elif byte in _CLOSING:
                self._depth -= 1
                if self._depth == self._base and self._bracketed:
                    return at, True
        return len(chunk), False

    def _keep(self, chunk: bytes, at: int, end: int) -> None:
        if self._skipped or len(self._kept) + end - at > self._limit:
            self._skipped += len(self._kept) + end - at
            self._kept.clear()
        else:
            self._kept += chunk[at:end]

    def _taken(self, end: int) -> Frame:
        """The open element, which ends here."""
        frame = Frame(end - len(self._kept) - self._skipped, end, None if self._skipped else bytes(self._kept), overlong=self._skipped > 0)
        self._kept.clear()
        self._skipped = 0
        self._open = self._quoted = self._escaped = self._separated = False
        self.boundary = end
        self.closed = not self._base
        return frame
