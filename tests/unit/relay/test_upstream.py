"""HttpTransport against a real socket that answers with the bytes it is told to."""

import asyncio
import math
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest

from spangate.exchange import EndpointSettings
from spangate.relay.upstream import HttpTransport, Outgoing, Timeouts, public, public_socket, unreached
from spangate.wire.problems import Interrupted, Problem, Refusal, UpstreamProblem

from .fakes import whole

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class Provider:
    """Counts connections and keeps each request's bytes; each connection follows the script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.closed = asyncio.Event()  # the last connection's other side has hung up
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(reader, writer)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            self.closed.set()
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/x"


@asynccontextmanager
async def provider(script: Script) -> AsyncIterator[Provider]:
    it = Provider(script)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    async with server:
        yield it


@asynccontextmanager
async def transport(timeouts: Timeouts | None = None) -> AsyncIterator[HttpTransport]:
    it = HttpTransport(timeouts or Timeouts(), user_agent="spangate/test")
    try:
        yield it
    finally:
        await it.close()


async def request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One request's head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


def answering(*writes: bytes, close: bool = False, reset: bool = False) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        for data in writes:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0.02)  # each a packet of its own
        if reset:
            writer.transport.abort()
        elif close:
            writer.close()

    return script


def outgoing(it: Provider, body: bytes = b"{}", *, private: bool = True) -> Outgoing:
    return Outgoing(url=it.url, headers={"content-type": "application/json", "x-api-key": "k"}, body=body, allow_private=private)


async def problem(sent: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as raised:
        await sent
    return raised.value


async def test_sends_what_it_is_told_and_gives_the_bytes_as_they_come() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request(reader))
        # Says gzip and is not: nothing may try to read it.
        writer.write(OK + b"Content-Encoding: gzip\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 6\r\n\r\n\x1f\x8b\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"ab")

    async with provider(script) as it, transport() as http:
        answer = await http.send(outgoing(it, b'{"a": "\xc3\xa9"}'))
        assert answer.status == 200
        assert list(answer.headers) == [
            (b"content-type", b"application/json"),
            (b"content-encoding", b"gzip"),
            (b"x-a", b"1"),
            (b"x-a", b"2"),
            (b"content-length", b"6"),
        ]
        assert await answer.piece() == b"\x1f\x8b\r\n"
        assert await whole(answer) == b"ab"
        assert await whole(answer) == b""
    ((head, body),) = seen
    assert body == b'{"a": "\xc3\xa9"}'
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/x HTTP/1.1"
    assert sorted(line.lower() for line in lines[1:] if line) == [
        "accept-encoding: identity",
        "content-length: 11",
        "content-type: application/json",
        f"host: 127.0.0.1:{it.port}",
        "user-agent: spangate/test",
        "x-api-key: k",
    ]


async def test_a_large_body_goes_out_whole_and_without_a_warning() -> None:
    size = 3 << 20
    got: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(len((await request(reader))[1]))
        writer.write(OK + b"content-length: 0\r\n\r\n")

    async with provider(script) as it, transport() as http:
        assert await whole(await http.send(outgoing(it, b"x" * size))) == b""
    assert got == [size]


async def test_a_connection_read_to_its_end_is_used_again() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            writer.write(OK + b"content-length: 2\r\n\r\nok")

    async with provider(script) as it, transport() as http:
        for _ in range(3):
            answer = await http.send(outgoing(it))
            assert await whole(answer) == b"ok"
            answer.close()
        assert it.connections == 1


async def test_a_connection_on_which_more_came_than_the_answer_is_not_used_again() -> None:
    """Else the next call, somebody else's, would be given it as its own answer."""
    said = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK + b"content-length: 5\r\n\r\nright")
        await said.wait()
        writer.write(OK + b"content-length: 5\r\n\r\nwrong")

    async with provider(script) as it, transport() as client:
        assert await whole(await client.send(outgoing(it))) == b"right"
        said.set()
        await asyncio.sleep(0.05)  # until it has come
        assert await whole(await client.send(outgoing(it))) == b"right"
        assert it.connections == 2


async def test_closing_midway_hangs_up_at_once() -> None:
    async with provider(answering(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n")) as it, transport() as http:
        answer = await http.send(outgoing(it))
        assert await answer.piece() == b"ab"
        answer.close()
        answer.close()
        await asyncio.wait_for(it.closed.wait(), 5)


async def test_a_cancelled_wait_for_the_head_hangs_up_at_once() -> None:
    async with provider(answering()) as it, transport() as http:
        task = asyncio.create_task(http.send(outgoing(it)))
        while not it.connections:
            await asyncio.sleep(0.01)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert raised.value.args == ("why",), "the reason of a cancellation must come through: the engine reads it"
        await asyncio.wait_for(it.closed.wait(), 5)


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "reused"])
async def test_a_connection_that_dies_before_its_answer_is_never_tried_again(fresh: bool, reset: bool) -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        if not fresh:
            await request(reader)
            writer.write(OK + b"content-length: 2\r\n\r\nok")
        await request(reader)
        requests += 1
        writer.transport.abort() if reset else writer.close()

    async with provider(script) as it, transport() as http:
        if not fresh:
            assert await whole(await http.send(outgoing(it))) == b"ok"
        found = await problem(http.send(outgoing(it)))
        assert (type(found), found.status, found.kind) == (UpstreamProblem, 502, "upstream_dropped")
        await asyncio.sleep(0.1)
    assert requests == 1


@pytest.mark.parametrize(
    "script",
    [
        answering(OK + b"content-length: 9\r\n\r\nabc", close=True),
        answering(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", close=True),
        answering(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n"),
    ],
    ids=["short of its length", "without the last chunk", "bad chunk"],
)
async def test_an_answer_that_breaks_off_is_told_from_one_that_ends(script: Script) -> None:
    async with provider(script) as it, transport() as http:
        answer = await http.send(outgoing(it))
        found = await problem(whole(answer))
        assert (type(found), found.status, found.kind) == (Interrupted, 502, "upstream_dropped")


async def test_a_reset_midway_is_a_drop() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        # Closed with a request's bytes unread and no linger: a reset on the wire.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with provider(script) as it, transport() as http:
        answer = await http.send(outgoing(it))
        assert await answer.piece() == b"abc"
        found = await problem(answer.piece())
        assert (type(found), found.kind) == (Interrupted, "upstream_dropped")


async def test_what_came_before_a_drop_is_not_lost() -> None:
    script = answering(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", b"3\r\ndef\r\n", close=True)
    async with provider(script) as it, transport() as http:
        answer = await http.send(outgoing(it))
        await asyncio.wait_for(it.closed.wait(), 5)
        await asyncio.sleep(0.1)  # a slow client: all of it is here, and so is the break
        assert await answer.piece() == b"abcdef"
        for _ in range(2):
            assert (await problem(answer.piece())).kind == "upstream_dropped"


async def test_an_http_1_0_answer_ends_with_its_connection() -> None:
    async with provider(answering(b"HTTP/1.0 200 OK\r\n\r\nabc", close=True)) as it, transport() as http:
        assert await whole(await http.send(outgoing(it))) == b"abc"


async def test_early_hints_are_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    async with provider(answering(early + OK + b"content-length: 2\r\n\r\nok")) as it, transport() as http:
        answer = await http.send(outgoing(it))
        assert (answer.status, await whole(answer)) == (200, b"ok")


async def test_a_redirect_is_handed_over_and_not_followed() -> None:
    head = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with provider(answering(head)) as it, transport() as http:
        assert (await http.send(outgoing(it))).status == 307
        assert it.connections == 1


async def test_what_is_not_http_is_the_providers_fault() -> None:
    async with provider(answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as it, transport() as http:
        found = await problem(http.send(outgoing(it)))
        assert (type(found), found.status, found.kind) == (UpstreamProblem, 502, "upstream_malformed")


# ---------------------------------------------------------------- clocks


async def test_silence_before_the_head() -> None:
    async with provider(answering()) as it, transport(Timeouts(first_byte=0.05)) as http:
        found = await problem(http.send(outgoing(it)))
        assert (type(found), found.status, found.kind) == (UpstreamProblem, 504, "upstream_first_byte_timeout")
        await asyncio.wait_for(it.closed.wait(), 5)


async def test_silence_midway() -> None:
    begun = answering(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    async with provider(begun) as it, transport(Timeouts(idle=0.05)) as http:
        answer = await http.send(outgoing(it))
        assert await answer.piece() == b"abc"
        found = await problem(answer.piece())
        assert (type(found), found.status, found.kind) == (Interrupted, 504, "upstream_idle_timeout")
        await asyncio.wait_for(it.closed.wait(), 5)


async def test_less_patience_than_the_setting() -> None:
    begun = answering(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    async with provider(begun) as it, transport() as http:
        answer = await http.send(outgoing(it))
        assert await answer.piece() == b"abc"
        assert (await problem(answer.piece(0.05))).kind == "upstream_idle_timeout"


async def test_an_answer_that_never_ends_has_an_end_in_time() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b"1\r\na\r\n")
            await asyncio.sleep(0.02)

    async with provider(script) as it, transport(Timeouts(total=0.3)) as http:
        found = await problem(whole(await http.send(outgoing(it))))
        assert (type(found), found.status, found.kind) == (Interrupted, 504, "upstream_total_timeout")


# ---------------------------------------------------------------- where it may go


async def test_plain_http_is_for_those_who_may() -> None:
    async with provider(answering()) as it, transport() as http:
        found = await problem(http.send(outgoing(it, private=False)))
        assert (type(found), found.status, found.kind) == (Refusal, 502, "upstream_insecure")
        assert it.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_not_called_by_name_or_number(host: str) -> None:
    async with provider(answering()) as it, transport(Timeouts(connect=5)) as http:
        url = f"https://{host}:{it.port}/v1"
        found = await problem(http.send(Outgoing(url=url, headers={}, body=b"{}")))
        assert (type(found), found.status, found.kind) == (Refusal, 502, "upstream_private_address")
        assert it.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
async def test_numbers_in_disguise_are_not_called(host: str) -> None:
    async with provider(answering()) as it, transport(Timeouts(connect=5)) as http:
        found = await problem(http.send(Outgoing(url=f"https://{host}:{it.port}/v1", headers={}, body=b"{}")))
        assert found.status == 502
        assert it.connections == 0


async def test_a_connection_that_was_allowed_is_not_lent_to_one_that_is_not() -> None:
    async with provider(answering(OK + b"content-length: 0\r\n\r\n")) as it, transport() as http:
        await whole(await http.send(outgoing(it)))
        assert (await problem(http.send(outgoing(it, private=False)))).kind == "upstream_insecure"
        url = f"https://127.0.0.1:{it.port}/v1"
        assert (await problem(http.send(Outgoing(url=url, headers={}, body=b"{}")))).kind == "upstream_private_address"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fd00:ec2::254", False),
    ],
)
def test_which_addresses_are_public(address: str, expected: bool) -> None:
    assert public(address) is expected


def test_makes_the_socket_of_a_public_address() -> None:
    made = public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443)))
    assert made.type == socket.SOCK_STREAM
    made.close()


# ---------------------------------------------------------------- not reached


async def test_nobody_listens() -> None:
    async with provider(answering()) as it:
        pass
    async with transport() as http:
        found = await problem(http.send(outgoing(it)))
        assert (type(found), found.status, found.kind) == (UpstreamProblem, 502, "upstream_connect")
        assert "127.0.0.1" in found.message


async def test_no_such_name() -> None:
    async with transport() as http:
        sent = http.send(Outgoing(url="https://nobody.invalid/v1", headers={}, body=b"{}", allow_private=True))
        found = await problem(sent)
        assert (type(found), found.status, found.kind) == (UpstreamProblem, 502, "upstream_dns")
        assert found.message == "The name nobody.invalid could not be resolved."


async def test_no_tls_there() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with provider(script) as it, transport() as http:
        sent = http.send(Outgoing(url=f"https://127.0.0.1:{it.port}/", headers={}, body=b"{}", allow_private=True))
        found = await problem(sent)
        assert (type(found), found.status, found.kind) == (UpstreamProblem, 502, "upstream_tls")


def test_an_untrusted_certificate_says_why() -> None:
    cause = ssl.SSLCertVerificationError(1, "x")
    cause.verify_message = "self-signed certificate"
    error = aiohttp.ClientConnectorCertificateError(_key(), cause)
    found = unreached(error, "h", Timeouts())
    assert (found.kind, found.message) == ("upstream_tls", "No trusted TLS connection to h: self-signed certificate.")


def test_no_connection_in_time() -> None:
    found = unreached(aiohttp.ConnectionTimeoutError(), "h", Timeouts(connect=3))
    assert (found.status, found.kind, found.message) == (504, "upstream_connect_timeout", "No connection to h within 3 seconds.")


def test_a_url_that_cannot_be_called() -> None:
    assert (unreached(aiohttp.InvalidURL("x"), "", Timeouts()).kind, type(unreached(ValueError(), "", Timeouts()))) == (
        "upstream_url",
        Refusal,
    )


def _key() -> aiohttp.client_reqrep.ConnectionKey:
    return aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)


# ---------------------------------------------------------------- a call's own times


def limited(it: Provider, *, deadline: float = math.inf, **timeouts: float) -> Outgoing:
    return msgspec.structs.replace(outgoing(it), timeouts=Timeouts(**timeouts), deadline=deadline)


async def test_a_calls_own_timeouts_come_before_the_transports() -> None:
    async with provider(answering()) as it, transport(Timeouts(first_byte=60)) as http:
        found = await problem(http.send(limited(it, first_byte=0.05)))
        assert (found.kind, found.message) == ("upstream_first_byte_timeout", "127.0.0.1 did not begin to answer within 0.05 seconds.")
    begun = answering(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    async with provider(begun) as it, transport(Timeouts(idle=60)) as http:
        found = await problem(whole(await http.send(limited(it, idle=0.05))))
        assert found.kind == "upstream_idle_timeout"


async def test_what_cuts_a_silent_answer_is_told_from_what_cuts_the_call() -> None:
    async with provider(answering()) as it, transport() as http:
        found = await problem(http.send(limited(it, deadline=time.monotonic() + 0.05, total=7.0)))
        assert (type(found), found.status, found.kind) == (UpstreamProblem, 504, "upstream_total_timeout")
        assert "7 seconds" in found.message
        await asyncio.wait_for(it.closed.wait(), 5)


async def test_what_is_left_of_the_call_is_all_that_an_attempt_has() -> None:
    begun = answering(OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    async with provider(begun) as it, transport() as http:
        answer = await http.send(limited(it, deadline=time.monotonic() + 0.3, total=60.0))
        assert await answer.piece() == b"abc"
        found = await problem(answer.piece())
        assert (type(found), found.kind) == (Interrupted, "upstream_total_timeout")


async def test_a_call_whose_time_is_over_sends_nothing_more() -> None:
    async with provider(answering(OK + b"content-length: 2\r\n\r\n{}")) as it, transport() as http:
        found = await problem(http.send(limited(it, deadline=time.monotonic() - 1, total=60.0)))
        assert found.kind == "upstream_total_timeout"


@pytest.mark.parametrize(
    ("said", "in_force"),
    [
        (EndpointSettings(), Timeouts(connect=1, first_byte=2, idle=3, total=4)),
        (EndpointSettings(connect_timeout=9), Timeouts(connect=9, first_byte=2, idle=3, total=4)),
        (EndpointSettings(first_byte_timeout=9), Timeouts(connect=1, first_byte=9, idle=3, total=4)),
        (EndpointSettings(idle_timeout=9), Timeouts(connect=1, first_byte=2, idle=9, total=4)),
        (EndpointSettings(total_timeout=9), Timeouts(connect=1, first_byte=2, idle=3, total=9)),
    ],
)
def test_an_endpoint_says_only_what_differs(said: EndpointSettings, in_force: Timeouts) -> None:
    assert Timeouts(connect=1, first_byte=2, idle=3, total=4).within(said) == in_force


# ---------------------------------------------------------------- an answer that does not wait for the request's end


REFUSED = b"HTTP/1.1 413 Payload Too Large\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"


@pytest.mark.parametrize("then", ["reads on", "closes", "resets", "waits"])
async def test_an_answer_before_the_whole_request_was_read_is_the_answer(then: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REFUSED + b"connection: close\r\n\r\n{}")
        await writer.drain()
        if then == "closes":
            writer.close()
        elif then == "resets":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.close()
        elif then == "waits":
            await asyncio.sleep(0.3)

    async with provider(script) as it, transport() as http:
        answer = await http.send(outgoing(it, bytes(16 << 20)))
        assert (answer.status, await whole(answer)) == (413, b"{}")


async def test_a_connection_whose_request_was_not_read_to_its_end_carries_no_other() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REFUSED + b"\r\n{}" if it.connections == 1 else OK + b"content-length: 2\r\n\r\n[]")
        await writer.drain()
        await asyncio.sleep(0.3)

    async with provider(script) as it, transport() as http:
        assert await whole(await http.send(outgoing(it, bytes(16 << 20)))) == b"{}"
        assert await whole(await http.send(outgoing(it))) == b"[]"
        assert it.connections == 2
