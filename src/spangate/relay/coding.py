"""Answers that came compressed although we ask for `identity`: read as what they are, so that they can be relayed, counted and kept."""

import zlib
from collections.abc import Mapping, Sequence

from spangate.wire.problems import Interrupted, UpstreamProblem

from .upstream import Incoming

PIECE = 1 << 20  # bytes unpacked at once: a bomb costs no more memory than any other answer
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, by the head
_MAGIC = 0x1F  # the first byte of a gzip member
_PACKED = frozenset({b"gzip", b"x-gzip", b"deflate"})


def unpacked(incoming: Incoming, headers: Mapping[bytes, bytes]) -> Incoming:
    """The answer without its compression; itself if it has none. What is packed in a way that we cannot read is no answer."""
    coding = headers.get(b"content-encoding", b"").strip().lower()
    if coding in (b"", b"identity"):
        return incoming
    if coding in _PACKED:
        return Unpacked(incoming)
    if incoming.status >= 300:
        return incoming  # its status says enough
    raise UpstreamProblem(502, "upstream_malformed", "The provider compressed its answer in a way that it was not asked for.")


class Unpacked:
    def __init__(self, incoming: Incoming) -> None:
        self.status = incoming.status
        self.headers: Sequence[tuple[bytes, bytes]] = incoming.headers
        self._incoming = incoming
        self._zip = zlib.decompressobj(_EITHER)
        self._rest = b""  # what came behind a member's end
        self._begun = False

    async def piece(self, patience: float | None = None) -> bytes:
        while True:
            packed = self._zip.unconsumed_tail or self._rest or await self._incoming.piece(patience)
            self._rest = b""
            if not packed:
                if self._begun and not self._zip.eof:  # without a byte, as to a HEAD, there was nothing to pack
                    raise Interrupted(502, "upstream_dropped", "The provider ended its compressed answer before its end.")
                return b""
            self._begun = True
            if self._zip.eof:
                if packed[0] != _MAGIC:
                    continue  # nothing that follows is the answer's
                self._zip = zlib.decompressobj(_EITHER)  # gzip's answers may have many members (RFC 1952 2.2)
            try:
                out = self._zip.decompress(packed, PIECE)
            except zlib.error:
                raise Interrupted(502, "upstream_malformed", "The provider's answer is not compressed as it says.") from None
            self._rest = self._zip.unused_data
            if out:
                return out

    def close(self) -> None:
        self._incoming.close()
