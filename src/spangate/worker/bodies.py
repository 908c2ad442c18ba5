"""A request's body within bounds: of size, packed and unpacked, and of the time that it may take. What is out of bounds is a Refusal."""

import asyncio
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

import msgspec
import zstandard

from spangate.wire.problems import Refusal

from .asgi import Disconnected, Headers, Message, Receive

PIECE = 64 * 1024  # bytes unpacked at once
TURN = 256 * 1024  # bytes unpacked, ~1 ms, until others get their turn
ZLIB_SLICE = 16 * 1024  # packed bytes looked at at once: what is behind a member's end is copied for the next
ZSTD_SLICE = 256  # a block of four bytes may stand for 128 KiB, and zstandard gives back all that a slice holds: 8 MiB at the most
ZSTD_WINDOW = 8 << 20  # RFC 9659: more must not be asked for by a content coding
MEMBERS = 4096  # of one body. gzip files in blocks, such as bgzip's, have one each 64 KiB
CODINGS = 3  # one on top of the other
SLOWEST = 1024  # bytes/s on average that a body must come with, past its first `idle` seconds

Unpack = Callable[[Iterable[bytes]], Iterator[bytes]]


class BodyLimits(msgspec.Struct, frozen=True):
    size: int
    idle: float = 30.0  # s between two pieces


class Bounded:
    """An ASGI `receive` that raises Refusal when the body is too large or too slow. Waiting for the client to leave is not bounded."""

    def __init__(self, receive: Receive, limits: BodyLimits) -> None:
        self._receive = receive
        self._limits = limits
        self._size = 0
        self._whole = False
        self._start = asyncio.get_running_loop().time()

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        idle = self._limits.idle
        soonest = asyncio.get_running_loop().time() + idle
        try:
            async with asyncio.timeout_at(min(soonest, self._start + idle + self._size / SLOWEST)):
                message = await self._receive()
        except TimeoutError:
            raise Refusal(408, "body_timeout", "The request body did not come in time.") from None
        self._size += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._size > self._limits.size:
            raise too_large(self._limits.size)
        return message


async def whole_body(receive: Receive, headers: Headers, limits: BodyLimits) -> tuple[bytes, Headers]:
    """The body without its content codings, and the headers as they are true of that. Raises Refusal; Disconnected if the client left
    before it had said all."""
    packings = unreadable(headers, limits.size)
    bounded = Bounded(receive, limits)
    pieces: list[bytes] = []
    more = True
    while more:
        message = await bounded()
        if message["type"] == "http.disconnect":
            raise Disconnected
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if not packings:
        return body, headers
    plain = [(name, value) for name, value in headers if name not in (b"content-encoding", b"content-length")]
    return (await unpacked(body, packings, limits.size) if body else body), plain


async def unpacked(body: bytes, packings: Sequence[str], limit: int) -> bytes:
    """`packings` in the order in which they were applied. Holds the body once packed and once unpacked, up to the limit."""
    pieces: list[bytes] = []
    size = turn = 0
    for piece in unpack(body, packings):
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        if piece:
            pieces.append(piece)
        turn += max(len(piece), ZSTD_SLICE)
        if turn >= TURN:
            turn = 0
            await asyncio.sleep(0)
    return b"".join(pieces)


def unreadable(headers: Headers, limit: int, *, packed: bool = False) -> list[str]:
    """The codings of the body. Raises Refusal for what the head says already against reading it; `packed`: somebody else unpacks it."""
    packings: list[str] = []
    for name, value in headers:
        if name == b"content-length" and value.strip().isdigit() and int(value) > limit:
            raise too_large(limit)
        if name == b"content-encoding":
            packings += [coding for word in value.split(b",") if (coding := word.strip().lower().decode("latin-1")) not in ("", "identity")]
    if not packed and (len(packings) > CODINGS or any(coding not in UNPACK for coding in packings)):
        raise Refusal(415, "unsupported_encoding", "A request body may come as it is, or packed with gzip, deflate or zstd.")
    return packings


def too_large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"The request body is larger than the limit of {limit} bytes.")


# ---------------------------------------------------------------- unpacking


def unpack(body: bytes, packings: Sequence[str]) -> Iterator[bytes]:
    """Pieces of the body, some of them empty. Raises Refusal where it is not what its coding says, the last byte included."""
    pieces: Iterable[bytes] = (body,)
    for coding in reversed(packings):
        pieces = _told(coding, UNPACK[coding](pieces))
    return iter(pieces)


def _told(coding: str, pieces: Iterator[bytes]) -> Generator[bytes]:
    try:
        yield from pieces
    except (zlib.error, zstandard.ZstdError, _Malformed):
        raise Refusal(400, "invalid_encoding", f"The request body is not whole and clean {coding}, as its Content-Encoding says.") from None


class _Malformed(Exception):
    pass


def _gzip(pieces: Iterable[bytes]) -> Generator[bytes]:
    box = zlib.decompressobj(zlib.MAX_WBITS | 16)
    members = 1
    for piece in _sliced(pieces, ZLIB_SLICE):
        packed = piece
        while packed:
            if box.eof:
                members += 1
                if members > MEMBERS:
                    raise _Malformed
                box = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflated(box, packed)
            packed = box.unused_data
    if not box.eof:
        raise _Malformed


def _deflate(pieces: Iterable[bytes]) -> Generator[bytes]:
    """zlib's format, as the name means (RFC 9110 8.4.1.2), or the bare stream that some clients send."""
    box = None
    head = b""
    for piece in _sliced(pieces, ZLIB_SLICE):
        head += piece
        if box is None:
            if len(head) < 2:
                continue
            wrapped = head[0] & 0x0F == 8 and int.from_bytes(head[:2]) % 31 == 0
            box = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        if box.eof:
            raise _Malformed
        yield from _inflated(box, head)
        if box.unused_data:
            raise _Malformed
        head = b""
    if box is None or not box.eof:
        raise _Malformed


def _inflated(box: "zlib._Decompress", packed: bytes) -> Generator[bytes]:  # pyright: ignore[reportPrivateUsage]
    while True:
        out = box.decompress(packed, PIECE)
        yield out
        packed = box.unconsumed_tail
        if box.eof or (not packed and len(out) < PIECE):
            return


def _zstd(pieces: Iterable[bytes]) -> Generator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    box = None
    frames = 0
    for piece in _sliced(pieces, ZSTD_SLICE):
        packed = piece
        while packed:
            if box is None:
                frames += 1
                if frames > MEMBERS:
                    raise _Malformed
                box = unpacker.decompressobj()
            yield box.decompress(packed)
            packed = b""
            if box.eof:
                packed, box = box.unused_data, None
    if box is not None or not frames:
        raise _Malformed


def _sliced(pieces: Iterable[bytes], size: int) -> Generator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), size):
            yield piece[at : at + size]


UNPACK: dict[str, Unpack] = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "zstd": _zstd}
ACCEPTED = b"gzip, deflate, zstd"
