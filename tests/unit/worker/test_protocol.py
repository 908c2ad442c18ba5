"""Connections over a real socket on uvloop, to an application that does as the path says.

The layer relies on these of uvicorn's: `HttpToolsProtocol.connection_made/lost`, `on_headers_complete`, `on_body`, `on_message_complete`,
`pause_writing`, `resume_writing`, `shutdown`, `_start_asgi_task`, `_unset_keepalive_if_required`, `headers`, `url`, `parser`, `pipeline`,
`flow`, `cycle` and `transport`; of its cycle's: `more_body`, `keep_alive`, `response_started`, `response_complete`, `disconnected`,
`message_event`, `chunked_encoding`, `expected_content_length`. A change there turns one of these tests red.
"""

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from spangate.worker import protocol
from spangate.worker.asgi import Message, Receive, Scope, Send, respond
from spangate.worker.protocol import PIPELINED, BoundedProtocol, Limits, bounded, declined

GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """As in production: asyncio's own transports behave otherwise at the edges that matter here."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        uvloop.run(test(*args, **kwargs))

    return run


class App:
    """/echo answers with the body, /stream with three pieces, /cut breaks off after one, /refuse reads nothing, /flood never ends."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.bodies: list[bytes] = []
        self.gone = 0
        self.pieces = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["path"] == "/refuse":
            await respond(send, 413, [], b"no")
            return
        body, more = b"", True
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        await self.go_on.wait()
        if scope["path"] == "/echo":
            await respond(send, 200, [], body)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/flood":
            waiting = asyncio.ensure_future(receive())
            while not waiting.done():
                await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
                self.pieces += 1
            self.gone += 1
            return
        for piece in (b"ab", b"cde") if scope["path"] == "/stream" else (b"ab",):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(self.socket, piece)
            await asyncio.sleep(0.005)

    async def read(self, end: bytes | None = None) -> bytes:
        """All up to `end`, or to the end of the connection. A reset is an error."""
        said = b""
        async with asyncio.timeout(10):
            while end is None or end not in said:
                piece = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
                if not piece:
                    return said
                said += piece
        return said

    async def ask(self, *pieces: bytes) -> bytes:
        await self.send(*pieces)
        return await self.read()


class Server:
    def __init__(self, app: App, state: ServerState, port: int) -> None:
        self.app = app
        self.state = state
        self.port = port
        self.clients: list[Client] = []

    def client(self) -> Client:
        self.clients.append(Client(self.port))
        return self.clients[-1]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def served(**limits: object) -> AsyncIterator[Server]:
    app, state = App(), ServerState()
    config = uvicorn.Config(app, ws="none", lifespan="off", access_log=False, log_config=None)  # type: ignore[arg-type]
    config.load()
    kind = bounded(Limits(**limits))  # type: ignore[arg-type]
    listener = await asyncio.get_running_loop().create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)  # type: ignore[call-arg]
    server = Server(app, state, listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        for client in server.clients:
            client.socket.close()
        listener.close()
        await server.until(lambda: not state.connections)
        if state.tasks:
            await asyncio.wait(state.tasks)


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said else 0


@on_uvloop
async def test_keeps_a_connection_for_the_next_request() -> None:
    async with served(head_timeout=0.2) as server:
        client = server.client()
        for _ in range(3):
            await client.send(GET)
            assert status(await client.read(b"\r\n\r\n")) == 200
            await asyncio.sleep(0.25)
        assert len(server.app.scopes) == 3


@on_uvloop
async def test_serves_what_comes_byte_by_byte() -> None:
    async with served() as server:
        client = server.client()
        request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        said = await client.ask(*(request[at : at + 1] for at in range(len(request))))
        assert said.endswith(b"\r\n\r\nabc")


@on_uvloop
async def test_answers_pipelined_requests_in_their_order() -> None:
    async with served() as server:
        said = await server.client().ask(GET + b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert said.count(b"HTTP/1.1 200 OK") == 2
        assert [scope["path"] for scope in server.app.scopes] == ["/echo", "/stream"]


@on_uvloop
async def test_of_a_crowd_of_pipelined_requests_only_the_first_are_served() -> None:
    async with served() as server:
        server.app.go_on.clear()
        client = server.client()
        await client.send(GET * 100)
        server.app.go_on.set()
        said = await client.read()
        assert said.count(b"HTTP/1.1 200 ") == len(server.app.scopes) == 1 + PIPELINED


@on_uvloop
async def test_a_broken_body_behind_requests_that_wait_ends_them_all() -> None:
    async with served() as server:
        server.app.go_on.clear()
        client = server.client()
        await client.send(GET * 2, H + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n")
        server.app.go_on.set()
        with pytest.raises(ConnectionResetError):
            await client.read()
        assert len(server.app.scopes) == 1


H = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
AMBIGUOUS = {
    "length and chunks": H + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": H + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": H + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": H + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": H + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": H + b"Content-Length: -3\r\n\r\nabc",
    "a length past all bounds": H + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "a space after the name": H + b"Content-Length : 3\r\n\r\nabc",
    "a folded line": H + b"X: a\r\n b\r\n\r\n",
    "a bare line feed": b"POST /echo HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "a bare carriage return": b"POST /echo HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "NUL": b"POST /echo HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "other codings of the transfer": H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": H + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a line feed ends a chunk's size": H + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "a negative chunk": H + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk past all bounds": H + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a length in the trailers": H + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
    "two hosts": b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET /echo HTTP/1.1\r\n\r\n",
    "a target that is no path": b"GET http://b/echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tunnel": b"CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("request_", AMBIGUOUS.values(), ids=AMBIGUOUS)
@on_uvloop
async def test_refuses_what_two_servers_could_read_differently(request_: bytes) -> None:
    async with served() as server:
        said = await server.client().ask(request_ + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (status(said), said.count(b"HTTP/1.1 "), b"\r\nconnection: close\r\n" in said) == (400, 1, True)
        assert server.app.bodies == []
        assert "/smuggled" not in [scope["path"] for scope in server.app.scopes]


@on_uvloop
async def test_a_fault_behind_a_whole_request_leaves_that_ones_answer_alone() -> None:
    async with served() as server:
        server.app.go_on.clear()
        client = server.client()
        await client.send(GET + b"nonsense\r\n\r\n", GET)
        server.app.go_on.set()
        said = await client.read()
        assert (status(said), said.count(b"HTTP/1.1"), len(server.app.scopes)) == (200, 1, 1)


@on_uvloop
async def test_trailers_are_no_headers() -> None:
    async with served() as server:
        said = await server.client().ask(
            H + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nAuthorization: Bearer z\r\n\r\n"
        )
        assert said.endswith(b"abc")
        assert b"authorization" not in dict(server.app.scopes[0]["headers"])


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade"])
@on_uvloop
async def test_an_offer_to_speak_http2_is_declined_and_the_body_read(name: bytes) -> None:
    async with served() as server:
        client = server.client()
        head = H + b"Connection: Upgrade, HTTP2-Settings\r\n" + name + b": h2c\r\nHTTP2-Settings: AAM\r\nContent-Length: 3\r\n\r\n"
        await client.send(head, b"abc")
        assert (await client.read(b"abc")).endswith(b"\r\n\r\nabc")
        assert server.app.bodies == [b"abc"]


@on_uvloop
async def test_an_offer_that_is_seen_too_late_is_refused_with_its_body() -> None:
    async with served() as server:
        said = await server.client().ask(H, b"Connection: upgrade\r\nUPGRADE: h2c\r\nContent-Length: 40\r\n\r\n", GET)
        assert (status(said), server.app.scopes) == (400, [])


def test_only_the_head_is_rid_of_an_upgrade() -> None:
    assert declined(b"A\r\nUpgrade : x\r\nB: 1\r\n\r\nx\r\nupgrade: y\r\n") == b"A\r\nB: 1\r\n\r\nx\r\nupgrade: y\r\n"
    assert declined(b"A\r\nx-upgrade: x\r\n\r\n") == b"A\r\nx-upgrade: x\r\n\r\n"
    assert declined(b"A\r\nupgrade: x\r\n") == b"A\r\nupgrade: x\r\n", "a head that is not whole is left alone"


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    "head",
    [b"X: " + b"a" * 3000, b"\r\n".join(b"X%d: a" % n for n in range(protocol.LINES))],
    ids=["long", "many"],
)
@pytest.mark.parametrize("end", [b"\r\n\r\n", b""], ids=["whole", "going on"])
@on_uvloop
async def test_a_head_that_is_too_long_is_refused(head: bytes, end: bytes) -> None:
    async with served(head_bytes=2000) as server:
        said = await server.client().ask(b"GET /echo HTTP/1.1\r\nHost: a\r\n" + head + end)
        assert (status(said), server.app.scopes) == (431, [])


@on_uvloop
async def test_a_head_at_the_limit_is_taken() -> None:
    async with served(head_bytes=200) as server:
        rest = 200 - len(b"/echo") - len(b"Host: a\r\n") - len(b"Connection: close\r\n") - len(b"X: \r\n")
        said = await server.client().ask(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"a" * rest + b"\r\n\r\n")
        assert status(said) == 200


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [([b"GET /echo HT"], 408), ([b"GET /ec", b"ho HTTP/1.1\r\n", b"Host"], 408), ([], 0)],
    ids=["part", "drops", "nothing"],
)
@on_uvloop
async def test_a_head_must_come_in_time(pieces: list[bytes], answer: int) -> None:
    async with served(head_timeout=0.1) as server:
        assert status(await server.client().ask(*pieces)) == answer


@on_uvloop
async def test_the_next_head_must_come_in_time_too() -> None:
    async with served(head_timeout=0.1) as server:
        client = server.client()
        await client.send(GET)
        await client.read(b"\r\n\r\n")
        assert status(await client.ask(b"GET /")) == 408


@on_uvloop
async def test_who_serves_one_at_a_time_is_not_timed_by_the_head() -> None:
    async with served(head_timeout=0.05) as server:
        server.app.go_on.clear()
        client = server.client()
        await client.send(GET, b"GET /echo HT")
        await asyncio.sleep(0.2)
        server.app.go_on.set()
        assert status(await client.read(b"\r\n\r\n")) == 200


@pytest.mark.parametrize("rest", [b"0\r\nX: " + b"a" * 5000, b"3;" + b"a" * 5000], ids=["trailers", "a chunk's extension"])
@on_uvloop
async def test_what_is_no_body_has_its_bounds_behind_the_head_as_well(rest: bytes) -> None:
    async with served(head_bytes=2000) as server:
        said = await server.client().ask(H + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", rest)
        assert (status(said), server.app.bodies, server.app.gone) == (431, [], 1)


@on_uvloop
async def test_more_connections_than_it_serves_are_told_to_come_back() -> None:
    async with served(connections=2) as server:
        first = [server.client() for _ in range(2)]
        for client in first:
            await client.send(GET)
            await client.read(b"\r\n\r\n")
        refused = server.client()
        said = await refused.ask(GET)
        assert (status(said), b"\r\nretry-after: 1\r\n" in said) == (503, True)
        refused.socket.close()
        first[0].socket.close()
        await server.until(lambda: len(server.state.connections) == 1)
        client = server.client()
        await client.send(GET)
        assert status(await client.read(b"\r\n\r\n")) == 200


# ---------------------------------------------------------------- answers that arrive


@on_uvloop
async def test_a_refusal_arrives_at_a_client_that_is_still_sending() -> None:
    async with served() as server:
        client = server.client()
        await client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        while sent < 64:
            await client.send((b"%x\r\n" % 262144) + bytes(262144) + b"\r\n")
            sent += 1
        said = await client.read()
        assert (status(said), b"\r\nconnection: close\r\n" in said, said.endswith(b"no")) == (413, True, True)


@on_uvloop
async def test_a_client_that_goes_on_sending_for_ever_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER", 0.1)
    async with served() as server:
        client = server.client()
        assert status(await client.ask(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n")) == 413
        await server.until(lambda: not server.state.connections)


@on_uvloop
async def test_who_asks_first_is_refused_without_being_told_to_go_on() -> None:
    async with served() as server:
        said = await server.client().ask(b"POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 413 ")


@on_uvloop
async def test_who_asks_first_is_told_to_go_on() -> None:
    async with served() as server:
        client = server.client()
        await client.send(H + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert await client.read(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"abc")
        assert (await client.read(b"abc")).startswith(b"HTTP/1.1 200 ")


@on_uvloop
async def test_http_1_0_gets_a_stream_up_to_the_end_of_the_connection() -> None:
    async with served() as server:
        said = await server.client().ask(b"GET /stream HTTP/1.0\r\n\r\n")
        assert (status(said), b"chunked" in said, said.endswith(b"\r\n\r\nabcde")) == (200, False, True)


@on_uvloop
async def test_http_1_0_gets_an_answer_of_known_length_as_it_is() -> None:
    async with served() as server:
        said = await server.client().ask(b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
        assert (b"\r\ncontent-length: 2\r\n" in said, said.endswith(b"\r\n\r\nhi")) == (True, True)


@on_uvloop
async def test_http_1_0_sees_that_a_stream_was_cut() -> None:
    async with served() as server:
        with pytest.raises(ConnectionResetError):
            await server.client().ask(b"GET /cut HTTP/1.0\r\n\r\n")


@on_uvloop
async def test_a_client_that_takes_nothing_of_its_answer_is_gone() -> None:
    async with served(write_timeout=0.1) as server:
        client = server.client()
        await client.send(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        await server.until(lambda: server.app.gone)
        with pytest.raises(ConnectionResetError):
            await client.read()


@on_uvloop
async def test_a_client_that_takes_little_at_a_time_is_not() -> None:
    async with served(write_timeout=0.2) as server:
        client = server.client()
        await client.send(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0.03)
            for _ in range(16):
                await asyncio.get_running_loop().sock_recv(client.socket, 65536)
        assert server.app.gone == 0


@on_uvloop
async def test_a_connection_that_is_idle_at_shutdown_is_closed_at_once() -> None:
    async with served() as server:
        client = server.client()
        await client.send(b"GET /ec")
        await server.until(lambda: server.state.connections)
        for connection in list(server.state.connections):
            assert isinstance(connection, BoundedProtocol)
            connection.shutdown()
        assert await client.read() == b""
