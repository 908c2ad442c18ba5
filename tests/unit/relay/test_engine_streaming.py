import errno
import json

import pytest

from spangate.exchange import Fault, Status
from spangate.wire.problems import Interrupted

from .fakes import JSON, NAMES, SSE, World
from .spoken import (
    ASK,
    ASK_STREAM,
    ASK_STREAM_USAGE,
    BOTH,
    CLAUDE_ASK,
    CLAUDE_FRAMES,
    DONE,
    FOLDED,
    FULL,
    REPORTED,
    ROLE,
    SENT_STREAM,
    STOP,
    USAGE,
    WORD,
    attempt,
    exchange,
    problem,
)


async def test_stream_settles_before_the_frame_that_ends_it_leaves() -> None:
    world = World(200, SSE, [ROLE, WORD, STOP, USAGE, DONE])
    reply, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert reply.headers == [*SSE, (b"cache-control", b"no-cache"), *NAMES]
    assert whole
    assert world.log == ["begin", "send", ROLE, WORD, STOP, USAGE, "settle ok", DONE, "read end within 1 s", "end"]
    assert got == [ROLE, WORD, STOP, USAGE, DONE]
    assert world.exchange == exchange(
        attempt(first_token=750_000_000, ended=1_000_000_000),
        stream=True,
        first_token=750_000_000,
        duration=1_000_000_000,
        request_bytes=len(ASK_STREAM_USAGE),
    )
    assert world.content is not None
    assert json.loads(world.content.response or b"") == FOLDED


async def test_usage_is_asked_for_and_the_frame_withheld_from_who_did_not_ask() -> None:
    world = World(200, SSE, [ROLE, WORD, STOP + USAGE[:30], USAGE[30:], DONE])
    _, got, whole = await world.stream(ASK_STREAM)
    assert world.transport.sent[0].body == SENT_STREAM
    assert b"".join(got) == ROLE + WORD + STOP + DONE
    assert whole
    assert world.exchange.attempts[0].usage == REPORTED


async def test_usage_beside_choices_stays() -> None:
    world = World(200, SSE, [ROLE, WORD, BOTH])
    _, got, _ = await world.stream(ASK_STREAM)
    assert b"".join(got) == ROLE + WORD + BOTH
    assert (world.exchange.status, world.exchange.attempts[0].usage) == (Status.ok, REPORTED)


@pytest.mark.parametrize("asked", [b"", b', "stream_options": {"include_usage": true}'], ids=["not asked", "asked"])
async def test_unified_streams_carry_usage_unless_it_was_refused(asked: bytes) -> None:
    body = b'{"model": "chat", "stream": true' + asked + b"}"
    world = World(200, SSE, [ROLE, WORD, STOP, USAGE, DONE])
    _, got, _ = await world.stream(body, "mlflow.chat")
    assert b'"prompt_tokens":3' in b"".join(got)
    assert b'"provider":"openai"' in got[0]


async def test_unified_stream_without_usage_where_it_was_refused() -> None:
    world = World(200, SSE, [ROLE, WORD, STOP, USAGE, DONE])
    _, got, _ = await world.stream(b'{"model": "chat", "stream": true, "stream_options": {"include_usage": false}}', "mlflow.chat")
    assert b"prompt_tokens" not in b"".join(got)
    assert world.exchange.attempts[0].usage == REPORTED


async def test_stream_without_a_terminal_event_is_settled_at_its_end() -> None:
    world = World(200, SSE, [ROLE, WORD, BOTH])
    _, _, whole = await world.stream(ASK_STREAM)
    assert whole
    assert world.log == ["begin", "send", ROLE, WORD, BOTH, "read end", "settle ok", "end"]


async def test_anthropic_is_settled_before_message_stop() -> None:
    world = World(200, SSE, CLAUDE_FRAMES)
    _, got, _ = await world.stream(CLAUDE_ASK, "anthropic.messages")
    assert got == CLAUDE_FRAMES
    assert world.log[-4:] == ["settle ok", CLAUDE_FRAMES[-1], "read end within 1 s", "end"]
    assert (world.exchange.attempts[0].usage, world.exchange.attempts[0].stop_reason) == (REPORTED, "end_turn")


async def test_a_terminal_frame_in_pieces_is_held_to_no_one_but_settled_before_its_last_byte() -> None:
    world = World(200, SSE, [ROLE, WORD, STOP, USAGE, DONE[:-1], DONE[-1:]])
    await world.stream(ASK_STREAM_USAGE)
    assert world.log[6:9] == [DONE[:-1], "settle ok", DONE[-1:]]


async def test_a_stream_that_ends_without_finishing_is_the_providers_fault_and_nothing_is_made_up() -> None:
    world = World(200, SSE, [ROLE, WORD])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got, whole) == ([ROLE, WORD], True)
    assert (world.exchange.status, world.exchange.fault) == (
        Status.provider_gone,
        Fault("incomplete", "The provider ended its answer without a reason to stop."),
    )
    assert world.content is not None
    assert json.loads(world.content.response or b"")["choices"][0]["message"]["content"] == "hi"


async def test_a_stream_that_ends_before_it_began_is_a_502() -> None:
    world = World(200, SSE, [])
    reply = await world.call(ASK_STREAM)
    assert (reply.status, problem(reply)["code"]) == (502, "upstream_empty")
    assert world.log == ["begin", "send", "read end", "close", "settle provider_gone"]


async def test_a_stream_that_breaks_before_its_first_byte_is_a_502() -> None:
    world = World(200, SSE, [Interrupted(502, "upstream_dropped", "Gone.")])
    reply = await world.call(ASK_STREAM)
    assert (reply.status, problem(reply)["code"]) == (502, "upstream_dropped")
    assert world.exchange.status is Status.provider_gone


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [("upstream_dropped", 502, Status.provider_gone), ("upstream_idle_timeout", 504, Status.timeout)],
)
async def test_a_stream_that_breaks_midway_says_so_and_is_cut(kind: str, code: int, status: Status) -> None:
    world = World(200, SSE, [ROLE, WORD, Interrupted(code, kind, "Broken.")])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert not whole
    assert got[:2] == [ROLE, WORD]
    assert json.loads(got[2].removeprefix(b"data: "))["error"]["code"] == kind
    assert world.log == ["begin", "send", ROLE, WORD, "close", f"settle {status}", got[2], "cut"]
    assert (world.exchange.status, world.exchange.http_status, world.exchange.fault) == (status, 200, Fault(kind, "Broken."))


async def test_in_the_midst_of_a_frame_a_break_is_only_a_cut() -> None:
    world = World(200, SSE, [ROLE, WORD[:20], Interrupted(502, "upstream_dropped", "Gone.")])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got, whole) == ([ROLE, WORD[:20]], False)
    assert world.exchange.status is Status.provider_gone


async def test_a_break_after_the_terminal_event_is_no_fault() -> None:
    world = World(200, SSE, [ROLE, STOP, DONE, Interrupted(502, "upstream_dropped", "Gone.")])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got, whole) == ([ROLE, STOP, DONE], True)
    assert world.exchange.status is Status.ok


async def test_an_error_event_of_the_provider_is_relayed_and_settled_first() -> None:
    error = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    world = World(200, SSE, [ROLE, error])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got, whole) == ([ROLE, error], True)
    assert world.log[3:5] == ["settle error", error]
    assert world.exchange.fault == Fault("server_error", "overloaded")


async def test_a_break_after_the_providers_error_event_is_a_cut_without_a_second_error() -> None:
    error = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    world = World(200, SSE, [ROLE, error, Interrupted(502, "upstream_dropped", "Gone.")])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got, whole) == ([ROLE, error], False)
    assert world.exchange.fault == Fault("server_error", "overloaded")


async def test_malformed_frames_pass_and_harm_nobody() -> None:
    odd = b"data: {not json}\n\n"
    world = World(200, SSE, [ROLE, odd, WORD, STOP, DONE])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got, whole) == ([ROLE, odd, WORD, STOP, DONE], True)
    assert world.exchange.status is Status.ok


async def test_a_stream_of_rubbish_is_the_providers_fault() -> None:
    world = World(200, SSE, [b"data: {not json}\n\n"])
    await world.stream(ASK_STREAM_USAGE)
    assert (world.exchange.status, world.exchange.fault and world.exchange.fault.kind) == (Status.provider_gone, "malformed")


async def test_a_stream_whose_record_cannot_be_written_is_cut_before_its_end() -> None:
    world = World(200, SSE, [ROLE, STOP, DONE])
    world.journal.settle_fault = FULL
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert got[:2] == [ROLE, STOP]
    assert b"journal_unwritable" in got[2]
    assert DONE not in got
    assert not whole


async def test_strict_a_stream_whose_record_may_not_be_on_the_disk_is_cut_before_its_end() -> None:
    world = World(200, SSE, [ROLE, STOP, DONE])
    world.journal.durable_fault = OSError(errno.EIO, "Input/output error")
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert b"journal_unwritable" in got[2]
    assert (DONE in got, whole) == (False, False)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (b'data: {"error":{"message":"wait","type":"rate_limit_exceeded"}}\n\n', 429, "rate_limit_exceeded"),
        (b'data: {"error":{"message":"wait","type":"server_error"}}\n\n', 500, "server_error"),
        (b'data: {"error":{"message":"wait","type":"something_new"}}\n\n', 502, "something_new"),
    ],
)
async def test_a_stream_whose_first_word_is_an_error_gets_a_real_status(error: bytes, status: int, code: str) -> None:
    world = World(200, [*SSE, (b"retry-after", b"3")], [error])
    reply = await world.call(ASK_STREAM)
    assert (reply.status, problem(reply)["code"], problem(reply)["message"]) == (status, code, "wait")
    assert (b"retry-after", b"3") in reply.headers
    assert world.log == ["begin", "send", "close", "settle error"]
    assert world.exchange.attempts[0].fault == Fault(code, "wait", status)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (b'{"error":{"message":"wait","type":"rate_limit_exceeded"}}', 429),
        (b'{"error":{"message":"the key sk-secret-of-ours-0123456789 is odd","type":"something_new"}}', 502),
    ],
)
async def test_a_plain_200_that_holds_an_error_gets_a_real_status_and_keeps_its_bytes(error: bytes, status: int) -> None:
    world = World(200, [*JSON, (b"retry-after", b"3")], [error])
    reply = await world.call(ASK)
    assert (reply.status, reply.body) == (status, error)
    assert (b"retry-after", b"3") in reply.headers
    assert (world.exchange.status, world.exchange.http_status, world.exchange.attempts[0].http_status) == (Status.error, status, 200)


async def test_anthropics_overload_before_the_first_word_is_a_529() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    reply = await World(200, SSE, [error]).call(CLAUDE_ASK, "anthropic.messages")
    assert (reply.status, problem(reply)["type"]) == (529, "overloaded_error")
