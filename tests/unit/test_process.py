"""How a process takes connections off a shared socket, and how it retires without shutting a door on anybody."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn

from spangate.process import READY, Doorway, Server, tell_ready, when_orphaned

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class House:
    """A server whose answers wait until they may go."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.go = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        config = uvicorn.Config(
            self.answer, interface="asgi3", http="httptools", lifespan="off", log_config=None, access_log=False, timeout_keep_alive=60
        )
        self.server = Server(config, shared=True)
        self.others = self.listener.dup()  # the supervisor's: keeps the port open
        self.served = asyncio.create_task(self.server.serve(sockets=[self.listener]))

    async def answer(self, scope: dict[str, object], receive: object, send: Callable[..., object]) -> None:
        streams = scope["path"] == "/stream"
        headers = [] if streams else [(b"content-length", b"2")]
        self.asked.release()
        if streams:
            await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[misc]
            await send({"type": "http.response.body", "body": b"o", "more_body": True})  # type: ignore[misc]
            await self.go.wait()
        else:
            await self.go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[misc]
            await send({"type": "http.response.body", "body": b"o", "more_body": True})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": b"k", "more_body": False})  # type: ignore[misc]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.others.getsockname())
        return reader, writer


@pytest.fixture
async def house() -> AsyncIterator[House]:
    there = House()
    while not there.server.started:
        await asyncio.sleep(0.01)
    yield there
    there.go.set()
    there.server.should_exit = True
    await asyncio.wait_for(there.served, 20)
    there.others.close()


async def head(reader: asyncio.StreamReader) -> bytes:
    return (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).lower()


async def test_an_idle_connection_is_answered_once_more_and_told_that_it_ends(house: House) -> None:
    house.go.set()
    reader, writer = await house.connect()
    writer.write(REQUEST)
    assert b"connection: close" not in await head(reader)
    assert await reader.readexactly(2) == b"ok"
    house.server.retire()
    writer.write(REQUEST)  # crosses the retirement, as a request may
    assert b"connection: close" in await head(reader)
    assert await reader.read() == b"ok"
    await asyncio.wait_for(house.served, 20)
    writer.close()


async def test_a_reply_under_way_ends_and_its_connection_serves_once_more(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(REQUEST.replace(b"/ ", b"/stream "))
    assert b"connection: close" not in await head(reader)
    house.server.retire()
    house.go.set()
    assert await reader.readuntil(b"0\r\n\r\n") == b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
    assert not house.served.done()
    writer.write(REQUEST)
    assert b"connection: close" in await head(reader)
    assert await reader.read() == b"ok"
    await asyncio.wait_for(house.served, 20)
    writer.close()


async def test_a_call_without_a_reply_yet_is_told_in_its_reply(house: House) -> None:
    reader, writer = await house.connect()
    writer.write(REQUEST)
    await house.asked.acquire()
    house.server.retire()
    house.server.retire()  # twice is once
    house.go.set()
    told = await head(reader)
    assert told.count(b"connection: close") == 1
    assert await reader.read() == b"ok"
    await asyncio.wait_for(house.served, 20)
    writer.close()


async def test_a_connection_that_has_said_nothing_yet_is_served(house: House) -> None:
    house.go.set()
    reader, writer = await house.connect()
    while not house.server.server_state.connections:
        await asyncio.sleep(0.01)
    house.server.retire()
    writer.write(REQUEST)
    assert b"connection: close" in await head(reader)
    assert await reader.read() == b"ok"
    await asyncio.wait_for(house.served, 20)
    writer.close()


async def test_new_connections_are_left_to_the_others(house: House) -> None:
    house.server.retire()
    await asyncio.wait_for(house.served, 20)
    reader, writer = await house.connect()  # waits in the backlog
    house.others.setblocking(False)
    connection, _ = await asyncio.get_running_loop().sock_accept(house.others)
    connection.close()
    assert await reader.read() == b""
    writer.close()


class Counted(asyncio.Protocol):
    """Notes for which doorway it came in."""

    def __init__(self, came: list[str], name: str) -> None:
        self.came, self.name = came, name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.came.append(self.name)
        transport.close()


async def test_a_burst_is_shared_out() -> None:
    """Two doorways of one loop stand for two processes: one a turn each."""
    came: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    sockets = [socket.socket() for _ in range(40)]
    for client in sockets:
        client.connect(address)
    doorways = [
        Doorway(each, lambda name=name: Counted(came, name), shared=True) for name, each in (("a", listener), ("b", listener.dup()))
    ]
    while len(came) < 40:
        await asyncio.sleep(0.01)
    assert {came.count("a"), came.count("b")} == {20}
    for doorway in doorways:
        doorway.close()
        await doorway.wait_closed()
    for client in sockets:
        client.close()


async def test_who_waits_at_a_door_of_our_own_is_let_in_before_it_closes() -> None:
    came: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as first, socket.socket() as second:
        first.connect(listener.getsockname())
        second.connect(listener.getsockname())
        doorway = Doorway(listener, lambda: Counted(came, "x"), shared=False)
        doorway.close()
        assert doorway.entering
        await doorway.wait_closed()
        await asyncio.sleep(0)
        assert came == ["x", "x"]


async def test_without_descriptors_it_takes_a_breath_and_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("spangate.process.BREATH", 0.05)
    came: list[str] = []

    class Short(socket.socket):
        tries = 0

        def accept(self) -> tuple[socket.socket, object]:
            Short.tries += 1
            if Short.tries == 1:
                raise OSError(24, "Too many open files")
            return super().accept()

    listener = Short()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    with socket.create_connection(listener.getsockname()):
        doorway = Doorway(listener, lambda: Counted(came, "x"), shared=True)
        while not came:
            await asyncio.sleep(0.01)
        assert [record.message for record in caplog.records] == ["No more connections can be taken now: Too many open files"]
        doorway.close()
        await doorway.wait_closed()


def test_the_supervisor_is_told_once() -> None:
    read, write = os.pipe()
    tell_ready(write)
    assert os.read(read, 10) == READY
    assert os.read(read, 10) == b""  # the pipe is closed
    os.close(read)
    tell_ready(None)


def test_a_supervisor_that_is_gone_is_not_missed() -> None:
    read, write = os.pipe()
    os.close(read)
    tell_ready(write)


async def test_the_end_of_stdin_is_the_end_of_the_supervisor(caplog: pytest.LogCaptureFixture) -> None:
    read, write = os.pipe()
    before = os.dup(0)
    os.dup2(read, 0)
    try:
        over = asyncio.Event()
        when_orphaned(asyncio.get_running_loop(), over.set)
        os.write(write, b"what it says is of no interest\n")
        await asyncio.sleep(0.05)
        assert not over.is_set()
        os.close(write)
        await asyncio.wait_for(over.wait(), 20)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(read)
    assert [record.message for record in caplog.records] == ["The supervisor is gone; stopping"]
