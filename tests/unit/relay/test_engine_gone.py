"""Nobody listens any more."""

import asyncio
import json

import pytest

from spangate.exchange import Status
from spangate.relay.streaming import GONE, StreamBody
from spangate.wire.usage import Provenance

from .fakes import HANG, JSON, SSE, World
from .spoken import (
    ASK,
    ASK_STREAM,
    ASK_STREAM_USAGE,
    DONE,
    FULL,
    ROLE,
    STOP,
    WORD,
)


async def cancelled(world: World, message: str | None = GONE, body: bytes = ASK) -> None:
    """Starts the call, and cancels it as soon as nothing moves any more."""
    task = asyncio.create_task(world.call(body))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel(message) if message else task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_client_gone_before_the_head() -> None:
    world = World()
    world.answer = HANG
    await cancelled(world)
    assert world.log == ["begin", "send", "settle client_gone"]
    assert (world.exchange.http_status, world.exchange.attempts[0].status) == (499, Status.client_gone)
    assert world.exchange.attempts[0].provenance is Provenance.unknown


@pytest.mark.parametrize("body", [ASK, ASK_STREAM], ids=["plain", "stream"])
async def test_client_gone_before_the_first_byte_closes_the_provider(body: bytes) -> None:
    world = World(200, JSON if body == ASK else SSE, [HANG])
    await cancelled(world, body=body)
    assert world.log == ["begin", "send", "close", "settle client_gone"]


async def test_stopped_by_us_is_not_the_clients_doing() -> None:
    world = World(200, SSE, [HANG])
    await cancelled(world, None, ASK_STREAM)
    assert (world.exchange.status, world.exchange.fault and world.exchange.fault.kind) == (Status.unknown, "shutdown")


async def test_client_gone_midway_keeps_what_was_said() -> None:
    world = World(200, SSE, [ROLE, WORD, HANG])
    reply = await world.call(ASK_STREAM_USAGE)
    body = reply.body
    assert isinstance(body, StreamBody)
    assert [await anext(body), await anext(body)] == [ROLE, WORD]
    task = asyncio.ensure_future(anext(body))
    await asyncio.sleep(0)
    task.cancel(GONE)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.log[-2:] == ["settle client_gone", "close"]
    assert (world.exchange.status, world.exchange.http_status) == (Status.client_gone, 200)
    assert world.content is not None
    assert json.loads(world.content.response or b"")["choices"][0]["message"]["content"] == "hi"
    with pytest.raises(StopAsyncIteration):
        await anext(body)


async def test_client_gone_before_the_stream_was_ever_read() -> None:
    world = World(200, SSE, [ROLE, WORD])
    reply = await world.call(ASK_STREAM_USAGE)
    assert isinstance(reply.body, StreamBody)
    reply.body.leave()
    assert world.log == ["begin", "send", "settle client_gone", "close"]


async def test_a_connection_on_which_nothing_can_be_sent_is_a_client_that_left() -> None:
    world = World(200, SSE, [ROLE, WORD])
    reply = await world.call(ASK_STREAM_USAGE)
    assert isinstance(reply.body, StreamBody)
    reply.body.leave(RuntimeError("the handler is closed"))
    assert world.exchange.status is Status.client_gone


async def test_client_gone_after_the_terminal_event_is_not_client_gone() -> None:
    world = World(200, SSE, [ROLE, STOP, DONE, HANG])
    reply = await world.call(ASK_STREAM_USAGE)
    assert isinstance(reply.body, StreamBody)
    assert [await anext(reply.body) for _ in range(3)] == [ROLE, STOP, DONE]
    reply.body.leave()
    assert world.exchange.status is Status.ok
    assert world.log[-1] == "close"


async def test_a_record_that_cannot_be_written_when_the_client_left_harms_nobody() -> None:
    world = World()
    world.answer = HANG
    world.journal.settle_fault = FULL
    await cancelled(world)
    assert world.log == ["begin", "send"]


async def test_a_fault_of_our_own_midway_is_settled_and_cuts() -> None:
    world = World(200, SSE, [ROLE, ZeroDivisionError("a bug")])
    reply = await world.call(ASK_STREAM_USAGE)
    assert isinstance(reply.body, StreamBody)
    await anext(reply.body)
    with pytest.raises(ZeroDivisionError):
        await anext(reply.body)
    assert world.log[-2:] == ["settle error", "close"]
