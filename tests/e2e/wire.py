"""A client on a bare socket: it leaves by FIN, RST or half-close at the moment that it is told, reads as slowly as it is told, and keeps
what came, byte for byte. No SDK and no HTTP library lets a test do these things."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Mapping

import httptools
import msgspec

from tests.upstream.faults import Client

SIP = 4096  # bytes that a slow reader takes at once
REST = 0.002  # s between two sips


class Took(msgspec.Struct):
    """What came back."""

    status: int | None = None
    headers: dict[str, str] = {}
    body: bytes = b""
    ended: bool = False  # the body came to its end as HTTP tells it
    left: float | None = None  # wall clock, when the client left


class _Reader:
    def __init__(self, took: Took) -> None:
        self.took = took
        self.pieces: list[bytes] = []
        self.size = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        said = value.decode("latin-1")
        self.took.headers[key] = f"{self.took.headers[key]}, {said}" if key in self.took.headers else said

    def on_headers_complete(self) -> None:
        self.took.status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)
        self.size += len(body)

    def on_message_complete(self) -> None:
        self.took.ended = True


async def ask(
    port: int,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    client: Client,
    midway: int = 0,
    ends: Callable[[bytes], bool] = lambda body: False,
    seconds: float = 30,
    wait: float = 0.4,
) -> Took:
    """One POST. `midway`: bytes of the answer after which a client leaves midway; `ends`: whether the terminal event is there; `wait`:
    seconds after its request that a client leaves which leaves before the head."""
    took = Took()
    wire = socket.socket()
    if client.slow:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SIP)
    wire.setblocking(False)
    loop = asyncio.get_running_loop()
    reader = _Reader(took)
    try:
        async with asyncio.timeout(seconds):
            await loop.sock_connect(wire, ("127.0.0.1", port))
            lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"content-length: {len(body)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            request = "\r\n".join([*lines, "", ""]).encode() + body
            await loop.sock_sendall(wire, request[: -len(body) // 2] if client.when == "request" else request)
            if client.when in ("request", "head"):
                await asyncio.sleep(wait)
                _leave(wire, client, took)
            while not took.ended and (took.left is None or client.leaves == "half"):
                data = await loop.sock_recv(wire, SIP if client.slow else 65536)
                if not data:
                    break
                reader.parser.feed_data(data)
                if client.slow:
                    await asyncio.sleep(REST)
                if took.left is None and (
                    (client.when == "midway" and reader.size >= midway)
                    or (client.when == "end" and (took.ended or ends(b"".join(reader.pieces))))
                ):
                    _leave(wire, client, took)
    except (TimeoutError, ConnectionError, httptools.HttpParserError):
        pass  # what came by then is what came
    finally:
        wire.close()
        took.body = b"".join(reader.pieces)
    return took


def _leave(wire: socket.socket, client: Client, took: Took) -> None:
    took.left = time.time()
    if client.leaves == "half":
        wire.shutdown(socket.SHUT_WR)
        return
    if client.leaves == "rst":
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()
