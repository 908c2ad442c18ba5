"""How the pieces of an answer travel. A framing finds them in the bytes whatever the cuts, and says what part of the stream each is."""

from typing import Protocol

from .sse import Frame


class Framing(Protocol):
    """An incremental reader of frames. It holds a bounded part of what it was fed, and raises for nothing that a provider sends."""

    @property
    def total(self) -> int:
        """All bytes so far."""
        ...

    @property
    def boundary(self) -> int:
        """Offset just past the last whole frame."""
        ...

    @property
    def overlong(self) -> bool:
        """The open frame is past the limit: it will never be read."""
        ...

    @property
    def at_boundary(self) -> bool:
        """All bytes so far belong to whole frames, and another frame may follow."""
        ...

    def feed(self, chunk: bytes) -> list[Frame]: ...

    def close(self) -> list[Frame]:
        """The unfinished last frame, if there is one."""
        ...

    def inserted(self, event: bytes) -> bytes:
        """An event of ours, written as a format renders it, as it may follow what came so far. Only at a boundary, and nothing follows."""
        ...
