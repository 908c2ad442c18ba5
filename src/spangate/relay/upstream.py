"""One attempt is one request on the wire: nothing here follows a redirect, decompresses, or touches a byte of the answer.

A POST is never sent twice. Of GET, HEAD, OPTIONS, PUT and DELETE, which by HTTP may be repeated, aiohttp sends one once more by itself if
the idle connection that it took turns out to be dead before any answer.

`Transport` is the door for faster clients. What goes wrong before the head of the answer is an UpstreamProblem (a Refusal where we
would not even try), after it an Interrupted.
"""

import asyncio
import errno
import ipaddress
import math
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp import payload
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from spangate.exchange import EndpointSettings
from spangate.wire.problems import Interrupted, Problem, Refusal, UpstreamProblem

# Idle connections are dropped before the other side drops them: uvicorn and Node close at 5 s, and a POST sent into a closing
# connection is lost without knowing whether it was served.
KEEP_IDLE = 4.0
# Back-pressure: what we hold of an answer for a client that is slow. READ_BUFFER at once is read, aiohttp stops reading from the
# provider at twice that, and PIECE by piece it goes on, so that what waits for the client is never more than two.
READ_BUFFER = 16 * 1024
PIECE = 32 * 1024
DESTINATIONS = 4096  # parsed URLs kept; there are as many as model definitions
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
NOT_PUBLIC = "not a public address"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds."""

    connect: float = 10.0
    first_byte: float = 120.0  # from the send until the head of the answer, connecting included
    idle: float = 60.0  # between two pieces
    total: float = 900.0  # of the whole call: all attempts, their pauses and the answer

    def within(self, said: EndpointSettings) -> "Timeouts":
        """These, but for what an endpoint says itself."""
        own = (said.connect_timeout, said.first_byte_timeout, said.idle_timeout, said.total_timeout)
        if own == _UNSAID:
            return self
        connect, first_byte, idle, total = own
        return Timeouts(
            connect=self.connect if connect is None else connect,
            first_byte=self.first_byte if first_byte is None else first_byte,
            idle=self.idle if idle is None else idle,
            total=self.total if total is None else total,
        )


_UNSAID = (None, None, None, None)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    headers: Mapping[str, str]
    body: bytes  # b"" with a method that has none
    method: str = "POST"
    allow_private: bool = False
    timeouts: Timeouts | None = None  # None: the transport's own
    deadline: float = math.inf  # when the call's time is over, on the monotonic clock


class Incoming(Protocol):
    """A provider's answer whose head is here."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]  # lower-case names

    async def piece(self, patience: float | None = None) -> bytes:
        """The next bytes as they came, or b"" at the clean end. Raises Interrupted. `patience` shortens the idle timeout."""
        ...

    def close(self) -> None:
        """Drops the connection at once unless the answer was read to its end. May be called at any time, any number of times."""
        ...


class Transport(Protocol):
    async def send(self, outgoing: Outgoing) -> Incoming: ...

    async def close(self) -> None: ...


async def held(incoming: Incoming, limit: int) -> tuple[bytes, bool]:
    """The body, and whether it is all of it: past the limit the rest is left to be read."""
    first = await incoming.piece()
    if not first:
        return b"", True
    pieces, size = [first], len(first)
    while size <= limit:
        piece = await incoming.piece()
        if not piece:
            return (first if len(pieces) == 1 else b"".join(pieces)), True
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces), False


def public(address: str) -> bool:
    """Whether an IP address is on the open internet, also if it is an IPv4 address dressed up as IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """Makes the socket that is about to connect, if it may. Checking here pins the address: no second look-up comes between.

    Literal addresses come through here as well as resolved ones.
    """
    family, kind, protocol, _, place = address
    if not public(place[0]):
        raise OSError(errno.EACCES, NOT_PUBLIC)
    return socket.socket(family, kind, protocol)


class Sip(asyncio.BufferedProtocol):
    """Reads READ_BUFFER bytes at most at once: event loops take 256 KiB, which would then be held for a client that does not read.

    One buffer does for all connections of a loop, as what is read into it is copied before anything else is read.
    """

    def __init__(self, protocol: ResponseHandler, buffer: memoryview) -> None:
        self._protocol = protocol
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class Connector(aiohttp.TCPConnector):
    """Its connections read in sips. Never takes one again on which the provider said something after its answer: whoever came next would
    be given that."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)  # pyright: ignore[reportUnknownMemberType]
        self._sip = memoryview(bytearray(READ_BUFFER))
        self._taken: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()

    async def connect(self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:  # noqa: ASYNC109
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            # On a new one it is the provider's own way to greet: this call's answer, for better or worse.
            if protocol is None or protocol not in self._taken or not protocol.should_close:
                if protocol is not None and protocol not in self._taken:
                    self._taken.add(protocol)
                    if protocol.transport is not None:
                        protocol.transport.set_protocol(Sip(protocol, self._sip))
                return connection
            connection.close()


class HttpTransport:
    """aiohttp behind Transport. Lives on the event loop that made it.

    Connections to public addresses and those that may also go to private ones are two pools, so that no call inherits a
    connection that it could not have made.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        user_agent: str = "spangate",
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeouts = timeouts
        self._clock = clock
        self._user_agent = user_agent
        self._tls = tls
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._destinations: dict[str, URL] = {}
        self._phases: dict[float, aiohttp.ClientTimeout] = {}

    async def send(self, outgoing: Outgoing) -> Incoming:
        url = self._destination(outgoing.url)
        if url.scheme != "https" and not outgoing.allow_private:
            raise Refusal(
                502,
                "upstream_insecure",
                f"The provider's base URL is {url.scheme}://{url.host}, and only https is allowed. "
                "For a server of your own set SPANGATE_ALLOW_PRIVATE_UPSTREAMS=true.",
            )
        timeouts = outgoing.timeouts or self._timeouts
        now = self._clock()
        deadline = min(outgoing.deadline, now + timeouts.total)
        left = deadline - now
        try:
            async with asyncio.timeout(max(0.0, min(timeouts.first_byte, left))):
                # aiohttp sends again by itself on a connection that died, but idempotent methods only, and never a POST.
                response = await self._session(outgoing.allow_private).request(
                    outgoing.method,
                    url,
                    data=_Body(outgoing.body) if outgoing.body or outgoing.method == "POST" else None,
                    headers=outgoing.headers,
                    allow_redirects=False,
                    timeout=self._phase(timeouts.connect),
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            if left < timeouts.first_byte and isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
                raise UpstreamProblem(504, *_late(timeouts.total)) from error
            raise unreached(error, url.host or "", timeouts) from error
        return HttpIncoming(response, timeouts, deadline, self._clock)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    def _phase(self, connect: float) -> aiohttp.ClientTimeout:
        """Only connecting is left to aiohttp's clock; the pool has no limit, so `connect` is look-up, TCP and TLS."""
        phase = self._phases.get(connect)
        if phase is None:
            if len(self._phases) >= DESTINATIONS:
                self._phases.clear()
            phase = self._phases[connect] = aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=None)
        return phase

    def _session(self, allow_private: bool) -> aiohttp.ClientSession:
        session = self._sessions.get(allow_private)
        if session is None:
            session = self._sessions[allow_private] = aiohttp.ClientSession(
                connector=Connector(
                    limit=0,  # admission is what bounds calls, not a queue that nobody sees
                    keepalive_timeout=KEEP_IDLE,
                    resolver=aiohttp.ThreadedResolver(),
                    socket_factory=None if allow_private else public_socket,
                    ssl=self._tls or True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                headers={"accept-encoding": "identity", "user-agent": self._user_agent},
                read_bufsize=READ_BUFFER,
                trust_env=False,
            )
        return session

    def _destination(self, url: str) -> URL:
        found = self._destinations.get(url)
        if found is None:
            if len(self._destinations) >= DESTINATIONS:
                self._destinations.clear()
            found = self._destinations[url] = URL(url)
        return found


class HttpIncoming:
    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts, deadline: float, clock: Callable[[], float]) -> None:
        self.status = response.status
        self.headers: Sequence[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in response.raw_headers]
        self._response = response
        self._idle = timeouts.idle
        self._total = timeouts.total
        self._deadline = deadline
        self._clock = clock
        self._broken: Interrupted | None = None
        if response.connection is not None and response.connection.protocol is not None:
            closed = response.connection.protocol.closed
            if closed is not None:
                closed.add_done_callback(self._lost)

    def _lost(self, closed: asyncio.Future[None]) -> None:
        if not closed.cancelled():
            closed.exception()  # looked at, so that nobody logs it
        # aiohttp 3.14 closes the connection on bytes that are not HTTP, and lets whoever reads the body wait for ever.
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection was lost"))

    async def piece(self, patience: float | None = None) -> bytes:
        if self._broken is not None:
            raise self._broken
        idle = self._idle if patience is None else min(patience, self._idle)
        left = self._deadline - self._clock()
        try:
            # A piece that is here already is handed over without waiting, whatever the clocks say.
            async with asyncio.timeout(max(0.0, min(idle, left))):
                return await self._response.content.read(PIECE)
        except TimeoutError:
            self.close()
            if left < idle:
                raise Interrupted(504, *_late(self._total)) from None
            raise Interrupted(504, "upstream_idle_timeout", f"The provider sent nothing for {idle:g} seconds amid its answer.") from None
        except (aiohttp.ClientError, OSError) as error:
            # What came before the break is the client's; aiohttp would let it lie.
            rest = self._response.content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage]
            self.close()
            self._broken = Interrupted(502, "upstream_dropped", "The provider closed the connection in the midst of its answer.")
            self._broken.__cause__ = error
            if rest:
                return rest
            raise self._broken from error

    def close(self) -> None:
        self._response.close()  # a connection that was read to its end is back in the pool already, and stays there


class _Body(payload.BytesPayload):
    """Bytes as they are. The parent's constructor warns of large ones; a gateway that copies them to a file first is no better."""

    def __init__(self, value: bytes) -> None:
        payload.Payload.__init__(self, value, content_type="application/json")
        self._size = len(value)


def _late(total: float) -> tuple[str, str]:
    return "upstream_total_timeout", f"The provider had not finished its answer when the call's {total:g} seconds were over."


def unreached(error: Exception, host: str, timeouts: Timeouts) -> Problem:
    """Why there is no answer, in words that hold nothing but the host's name."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return UpstreamProblem(504, "upstream_connect_timeout", f"No connection to {host} within {timeouts.connect:g} seconds.")
    if isinstance(error, TimeoutError):
        return UpstreamProblem(
            504,
            "upstream_first_byte_timeout",
            f"{host} did not begin to answer within {timeouts.first_byte:g} seconds.",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return UpstreamProblem(502, "upstream_dns", f"The name {host} could not be resolved.")
    if isinstance(error, aiohttp.ClientSSLError):
        return UpstreamProblem(502, "upstream_tls", f"No trusted TLS connection to {host}: {_reason(error)}.")
    if isinstance(error, aiohttp.ClientConnectorError):
        if NOT_PUBLIC in str(error.os_error):
            return Refusal(
                502,
                "upstream_private_address",
                f"{host} is {NOT_PUBLIC}. For a server of your own set SPANGATE_ALLOW_PRIVATE_UPSTREAMS=true.",
            )
        return UpstreamProblem(502, "upstream_connect", f"No connection to {host}: {error.os_error.strerror or 'refused'}.")
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return Refusal(502, "upstream_url", "The provider's base URL is not one that can be called.")
    if isinstance(error, aiohttp.ClientResponseError):
        return UpstreamProblem(502, "upstream_malformed", f"What {host} answered is not HTTP.")
    return UpstreamProblem(502, "upstream_dropped", f"{host} closed the connection before it answered.")


def _reason(error: aiohttp.ClientSSLError) -> str:
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else None
    return cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "the handshake failed"
