"""HTTP/1.1 as uvicorn reads it, and what an open port needs besides: bounds on the time and size of what is no request yet, nothing that
two servers could read as two requests, and answers that arrive although the client was still sending.

A thin layer on uvicorn's httptools protocol; what it takes from there is listed in tests/unit/worker/test_protocol.py.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Sequence
from typing import Any, cast

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from .asgi import Headers, Message, Receive, Scope, Send

LINES = 256  # headers of a request; the busiest SDK behind two proxies sends some forty
WRITE_HIGH = 16 * 1024  # bytes of a stream that wait for a slow client before the next piece has to
PIPELINED = 8  # requests that wait for the one before them; no client in use sends even two
LINGER = 5.0  # s that a client which was answered while it was sending may go on
# An offer to speak something else. Java's own client makes one with every first request; we decline by not seeing it.
_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:[^\r\n]*", re.IGNORECASE)


class Limits(msgspec.Struct, frozen=True):
    head_bytes: int = 64 * 1024
    head_timeout: float = 30.0  # s until a request's head is whole, from the connection or from its first byte on
    write_timeout: float = 60.0  # s in which a client takes nothing of its answer, then it counts as gone
    connections: int = 10_000


def bounded(limits: Limits) -> type[asyncio.Protocol]:
    """The class of connections within these limits, for uvicorn's `http`."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits})


class Unacceptable(Exception):
    """The head is whole, and no request for us."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    limits = Limits()

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True  # what comes next belongs to a head
        self._counted = 0  # bytes of the head so far; past it, bytes since the last one of the body
        self._deaf = False  # what comes now is nothing that will be answered
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # ------------------------------------------------------------ the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(high=WRITE_HIGH)
        super().connection_made(cast(asyncio.Transport, _Parting(transport, self)))
        open_now = len(self.connections)
        if open_now > 2 * self.limits.connections:
            self.transport.abort()  # there is no room even for words
        elif open_now > self.limits.connections:
            self._refuse(503, "The gateway has as many connections as it serves at once.", b"retry-after: 1\r\n")
        else:
            self._set("head", self.limits.head_timeout, self._no_head)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._in_head and not self._counted:
            data = declined(data)
        self._counted += len(data)
        assert self.parser is not None  # as long as data comes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "This server speaks HTTP/1.1 and nothing else.")
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, Unacceptable):
                self._refuse(cause.status, str(cause))
            else:
                self._refuse(400, "Invalid HTTP request received.")
        else:
            if self._counted > self.limits.head_bytes:
                self._refuse(431, too_long(self.limits.head_bytes))
            elif self._in_head and not self._serving and "head" not in self._timers:
                self._set("head", self.limits.head_timeout, self._no_head)

    def shutdown(self) -> None:
        if not self._serving:
            _under(self.transport).close()
        super().shutdown()

    # ------------------------------------------------------------ the request

    def on_headers_complete(self) -> None:
        self._unset("head")
        assert self.parser is not None
        fault = fault_of(self.url, self.headers, self.parser.get_http_version(), self.limits.head_bytes)
        if fault is None and self.parser.should_upgrade():
            fault = Unacceptable(400, "This server speaks HTTP/1.1 and nothing else.")
        if fault is None and len(self.pipeline) >= PIPELINED:
            fault = Unacceptable(400, "Too many requests at once on one connection.")
        if fault is not None:
            raise fault
        super().on_headers_complete()
        self._in_head, self._counted = False, 0
        self.headers = []  # what comes now are trailers, and nobody's headers

    def on_body(self, body: bytes) -> None:
        self._counted = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._counted = True, 0
        super().on_message_complete()

    # ------------------------------------------------------------ the answer

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, cast(Any, _Answering(cycle, app)))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set("write", self.limits.write_timeout, self._look, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._unset("write")
        super().resume_writing()

    def _look(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._set("write", self.limits.write_timeout, self._look, waiting)
        else:  # The client has left, its connection has not. What we hold for it goes, and its provider's connection.
            self.transport.abort()

    # ------------------------------------------------------------ how it ends

    @property
    def _serving(self) -> bool:
        """A request is being read, or answered."""
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first
        return cycle is not None and not cycle.response_complete

    def _set(self, name: str, delay: float, then: Any, *given: object) -> None:
        self._unset(name)
        self._timers[name] = self.loop.call_later(delay, then, *given)

    def _unset(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _no_head(self) -> None:
        if self._counted:
            self._refuse(408, "The head of the request did not come in time.")
        else:
            self.transport.close()  # who never said a word gets none

    def _refuse(self, status: int, why: str, more: bytes = b"") -> None:
        """Says why in plain text, for nobody knows yet in which format, and parts."""
        self._deaf = True
        if self._serving:
            cycle = self.cycle
            if self._in_head:  # all requests before this one were whole: the last one's answer is the last on this connection
                cycle.keep_alive = False
                return
            if cycle.response_started or self.pipeline:  # in the midst of another answer nothing can be said
                self.transport.abort()
                return
            cycle.disconnected = True  # whoever reads its body hears that there is no more
            cycle.message_event.set()
        body = why.encode() + b"\n"
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + more + b"\r\n" + body)
        self.linger()

    def part(self) -> None:
        """Closes. Not in the face of a client that is still sending: what nobody read makes a reset of a close, and the answer is lost."""
        if not self._in_head or self._counted:
            self.linger()
        else:
            _under(self.transport).close()

    def linger(self) -> None:
        self._deaf = True
        transport = _under(self.transport)
        if "linger" in self._timers or transport.is_closing():
            return
        self._set("linger", LINGER, self.transport.abort)
        self.flow.resume_reading()
        transport.write_eof()


class _Parting:
    """A transport whose `close` is the connection's way of parting; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        self.transport = transport
        self.write = transport.write
        self.close = protocol.part
        self._protocol = protocol

    def abort(self) -> None:
        """With a reset: an orderly end could say that an answer is whole, and what waits in the kernel would go on waiting there."""
        self.write = _nowhere  # an application may write until it hears of this
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def is_closing(self) -> bool:
        return "linger" in self._protocol._timers or self.transport.is_closing()  # pyright: ignore[reportPrivateUsage]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


def _nowhere(data: bytes) -> None:
    pass


def _under(transport: asyncio.Transport) -> asyncio.Transport:
    return cast(_Parting, transport).transport


class _Answering:
    """The application, with what uvicorn leaves out: a request that is not read to its end ends its connection, and a client of HTTP/1.0
    gets an answer of unknown length without chunks, up to the end of the connection."""

    __slots__ = ("_app", "_cycle", "_until_close")

    def __init__(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._cycle = cycle
        self._app = app
        self._until_close = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = self._cycle
        if not cycle.more_body and scope["http_version"] == "1.1":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if not cycle.response_started:
                cycle.keep_alive = cycle.keep_alive and not cycle.more_body
                if scope["http_version"] == "1.0" and all(name != b"content-length" for name, _ in message["headers"]):
                    self._until_close = True
                    cycle.chunked_encoding = False
            elif self._until_close and scope["method"] != "HEAD":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, sending)
        if self._until_close and not cycle.response_complete and not cycle.disconnected:
            cycle.transport.abort()


def declined(data: bytes) -> bytes:
    """The bytes without an `Upgrade` in the head that they begin with."""
    if data.find(b"pgrade", 0, 4096) < 0:
        return data
    end = data.find(b"\r\n\r\n")
    return data if end < 0 else _UPGRADE.sub(b"", data[:end]) + data[end:]


def fault_of(url: bytes, headers: Headers | Sequence[tuple[bytes, bytes]], version: str, limit: int) -> Unacceptable | None:
    """What llhttp lets pass and we do not, because another server might read it otherwise. `headers` have lower-case names."""
    size, hosts = len(url), 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and (version == "1.0" or value.strip().lower() != b"chunked"):
            return Unacceptable(400, "The only Transfer-Encoding that is read here is `chunked`.")
    if size > limit or len(headers) > LINES:
        return Unacceptable(431, too_long(limit))
    if hosts > 1 or (hosts == 0 and version != "1.0"):
        return Unacceptable(400, "A request names its Host once.")
    if not url.startswith(b"/"):
        return Unacceptable(400, "This server is no proxy: the target of a request is a path.")
    return None


def too_long(limit: int) -> str:
    return f"The head of the request is longer than {limit} bytes, or has more than {LINES} lines."
