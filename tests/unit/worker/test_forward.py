"""Forward against a control that listens on a real Unix socket and answers with the bytes it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spangate.wire.problems import Refusal
from spangate.worker.asgi import Message
from spangate.worker.forward import Forward, end_to_end
from spangate.worker.responses import Unanswered

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
EXTRA = [(b"x-spangate-call-id", b"id-1")]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("c")


@asynccontextmanager
async def control(path: Path, script: Script) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield


@asynccontextmanager
async def forwarding(folder: Path) -> AsyncIterator[Forward]:
    it = Forward(folder / "control.sock", folder / "control.addr")
    try:
        yield it
    finally:
        await it.close()


async def ask(
    forward: Forward,
    method: str,
    raw_path: bytes,
    *,
    headers: list[tuple[bytes, bytes]] | None = None,
    body: list[bytes] | None = None,
    query: bytes = b"",
) -> list[Message]:
    pieces = list(body or [b""])
    sent: list[Message] = []

    async def receive() -> Message:
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "method": method,
        "path": raw_path.decode(),
        "raw_path": raw_path,
        "query_string": query,
        "headers": headers or [(b"host", b"gw:4000")],
    }
    await forward(scope, receive, send, EXTRA)
    return sent


async def test_hands_on_what_was_asked_and_what_was_answered(folder: Path) -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head + await reader.readexactly(2))
        writer.write(
            b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nset-cookie: a=b\r\nserver: x\r\ndate: y\r\n"
            b"connection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: 5\r\ncontent-length: 2\r\n\r\nno"
        )

    headers = [(b"host", b"gw:4000"), (b"authorization", b"Bearer k"), (b"content-length", b"2"), (b"te", b"x"), (b"upgrade", b"h2c")]
    headers.append((b"x-spangate-call-id", b"forged"))
    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        sent = await ask(forward, "POST", b"/api/a%2Fb", headers=headers, body=[b"{}"], query=b"x=%20&y=1")
    assert sent == [
        {
            "type": "http.response.start",
            "status": 404,
            "headers": [(b"content-type", b"application/json"), (b"set-cookie", b"a=b"), (b"content-length", b"2"), *EXTRA],
        },
        {"type": "http.response.body", "body": b"no", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]
    lines = seen[0].lower().split(b"\r\n")
    assert lines[0] == b"post /api/a%2fb?x=%20&y=1 http/1.1"
    named = {b"%s: %s" % (name, value) for name, value in EXTRA}
    assert set(lines[1:-2]) == {b"host: gw:4000", b"authorization: bearer k", b"content-length: 2", b"connection: close", *named}
    assert seen[0].endswith(b"{}")


async def test_streams_both_ways(folder: Path) -> None:
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(2):
            size = int(await reader.readline(), 16)
            got.append(await reader.readexactly(size))
            await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"1\r\nb\r\n0\r\n\r\n")

    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        sent = await ask(forward, "POST", b"/x", body=[b"one", b"two"])
    assert got == [b"one", b"two"]
    assert [message.get("body") for message in sent[1:]] == [b"a", b"b", b""]


async def test_head_has_no_body(folder: Path) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")

    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        sent = await ask(forward, "HEAD", b"/x")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


async def test_what_is_asked_for_writes_no_lines_into_the_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with forwarding(folder) as forward:
        await ask(forward, "GET", b"/x%0aFAKE")
    assert "\n" not in caplog.text.strip()
    assert "/x%0aFAKE" in caplog.text


async def test_control_that_is_down_is_a_503_with_words(folder: Path) -> None:
    async with forwarding(folder) as forward:
        sent = await ask(forward, "GET", b"/version")
    assert sent[0]["status"] == 503
    assert b"TEMPORARILY_UNAVAILABLE" in sent[1]["body"]
    assert EXTRA[0] in sent[0]["headers"]


async def test_control_that_dies_midway_leaves_the_reply_without_its_end(folder: Path) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")

    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        sent = await ask(forward, "GET", b"/x")
    assert sent[-1] == {"type": "http.response.body", "body": b"abc", "more_body": True}


async def test_finds_control_where_its_address_file_says(folder: Path) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with forwarding(folder) as forward:
        assert (await ask(forward, "GET", b"/x"))[0]["status"] == 503
        elsewhere = folder / "elsewhere.sock"
        (folder / "control.addr").write_text(f"{elsewhere}")
        async with control(elsewhere, script):
            assert (await ask(forward, "GET", b"/x"))[0]["status"] == 204


async def test_a_client_that_left_asks_nothing(folder: Path) -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async with forwarding(folder) as forward:
        await forward({"method": "GET", "path": "/x", "headers": []}, gone, send, [])
    assert sent == []


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (b"200 OK", b'{"ok":false,"degraded":["The database."],"more":1}', ["The database."]),
        (b"200 OK", b"not what we know", []),
        (b"500 Oops", b"", ["control: answered 500"]),
    ],
    ids=["words", "another version", "fault"],
)
async def test_asks_control_what_is_degraded(folder: Path, status: bytes, body: bytes, expected: list[str]) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        assert await forward.degraded("k") == expected
    assert heads[0].startswith(b"GET /api/v1/status HTTP/1.1\r\n")
    assert b"authorization: Bearer k\r\n" in heads[0]


async def test_control_that_says_nothing_is_degraded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spangate.worker.forward.PROBE", 0.05)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        assert await forward.degraded(None) == ["control: does not answer"]


async def test_asks_control_who_made_a_response(folder: Path) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}")

    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        assert await forward.maker("resp_1/../x?y", "k") == (404, b"{}")
    assert heads[0].startswith(b"GET /api/v1/responses/resp_1%2F..%2Fx%3Fy HTTP/1.1\r\n")
    assert b"authorization: Bearer k\r\n" in heads[0]


async def test_control_that_says_nothing_of_a_response_is_not_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spangate.worker.forward.LOOKUP", 0.05)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with forwarding(folder) as forward:
        with pytest.raises(Unanswered):
            await forward.maker("resp_1", None)
        async with control(folder / "control.sock", script):
            with pytest.raises(Unanswered):
                await forward.maker("resp_1", None)


def test_hop_by_hop_headers_stay_behind() -> None:
    headers = [
        (b"connection", b"keep-alive, X-Custom"),
        (b"x-custom", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"cookie", b"a"),
        (b"accept", b"*"),
    ]
    assert end_to_end(headers) == [(b"cookie", b"a"), (b"accept", b"*")]


@pytest.mark.parametrize("after", [0, 1], ids=["at first", "midway"])
async def test_a_body_out_of_bounds_is_told_as_what_it_is(folder: Path, after: int) -> None:
    """Whoever reads the body for us says so by a Refusal, also from within the upload to control."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    pieces = [b"ab"] * after

    async def receive() -> Message:
        if not pieces:
            raise Refusal(413, "body_too_large", "Too large.")
        return {"type": "http.request", "body": pieces.pop(), "more_body": True}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {"method": "POST", "path": "/api/a", "raw_path": b"/api/a", "query_string": b"", "headers": []}
    async with control(folder / "control.sock", script), forwarding(folder) as forward:
        with pytest.raises(Refusal, match="Too large"):
            await forward(scope, receive, send, EXTRA)
