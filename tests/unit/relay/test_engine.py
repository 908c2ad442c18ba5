import asyncio
import errno
import gzip
import json
import zlib
from typing import Any

import msgspec
import pytest

from spangate.exchange import AttemptRecord, Content, Exchange, Fault, Reply, Status
from spangate.relay import engine
from spangate.relay.streaming import GONE, StreamBody
from spangate.wire.problems import Interrupted, UpstreamProblem
from spangate.wire.usage import Provenance, Usage

from .fakes import CALL_ID, HANG, JSON, NAMES, PLAIN_LIMIT, ROUTES, SSE, TARGET, World

FULL = OSError(errno.ENOSPC, "No space left on device")
ASK = b'{"model": "chat", "messages": []}'
ASK_DARK = b'{"model": "dark", "messages": []}'
ASK_STREAM = b'{"model": "chat", "stream": true, "messages": []}'
ASK_STREAM_USAGE = b'{"model": "chat", "stream": true, "stream_options": {"include_usage": true}, "messages": []}'
SENT_STREAM = b'{"stream_options":{"include_usage":true},"model": "gpt-x", "stream": true, "messages": []}'

PLAIN = (
    b'{"id": "c-1", "model": "gpt-x-1",'
    b' "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],'
    b' "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}'
)


def frame(choices: str, usage: str = "") -> bytes:
    return f'data: {{"id":"c-1","model":"gpt-x-1","choices":{choices}{usage}}}\n\n'.encode()


ROLE = frame('[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]')
WORD = frame('[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]')
STOP = frame('[{"index":0,"delta":{},"finish_reason":"stop"}]')
USAGE = frame("[]", ',"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}')
BOTH = frame('[{"index":0,"delta":{},"finish_reason":"stop"}]', ',"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}')
DONE = b"data: [DONE]\n\n"
FOLDED = {
    "id": "c-1",
    "object": "chat.completion",
    "model": "gpt-x-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
CLAUDE_ASK = b'{"model": "claude", "max_tokens": 9, "stream": true, "messages": []}'
CLAUDE_FRAMES = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m-1","type":"message","role":"assistant","model":"claude-x-1",'
    b'"content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
]
REPORTED = Usage(input=3, output=2)


def attempt(**changes: Any) -> AttemptRecord:
    """The attempt of a call that went well, with what is different. The clock is 0.25 s at the attempt, 0.5 s at the head."""
    plain: dict[str, Any] = {
        "no": 1,
        "provider": "openai",
        "model": "gpt-x",
        "format": "openai.chat",
        "started": 250_000_000,
        "model_definition_id": "d-1",
        "secret_id": "s-1",
        "headed": 500_000_000,
        "ended": 750_000_000,
        "status": Status.ok,
        "http_status": 200,
        "response_id": "c-1",
        "response_model": "gpt-x-1",
        "stop_reason": "stop",
        "usage": REPORTED,
        "provenance": Provenance.reported,
    }
    return AttemptRecord(**(plain | changes))


def exchange(*attempts: AttemptRecord, **changes: Any) -> Exchange:
    plain: dict[str, Any] = {
        "call_id": CALL_ID,
        "format": "openai.chat",
        "request_type": "passthrough/model/openai-chat",
        "path": "/v1/x",
        "server": "gw",
        "received_at": 1_700_000_000_000_000_000,
        "status": Status.ok,
        "http_status": 200,
        "duration": 750_000_000,
        "endpoint_id": "e-1",
        "endpoint": "chat",
        "experiment_id": "7",
        "model": "chat",
        "caller_id": "k-1",
        "caller": "admin",
        "agent": "tests",
        "request_bytes": len(ASK),
        "attempts": attempts,
    }
    return Exchange(**(plain | changes))


def problem(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body)["error"]


# ---------------------------------------------------------------- plain


async def test_plain_relays_the_bytes_and_settles_before_they_leave() -> None:
    world = World(200, [*JSON, (b"x-request-id", b"r-1"), (b"set-cookie", b"a")], [PLAIN[:50], PLAIN[50:]])
    reply = await world.call(ASK)
    assert reply == Reply(status=200, headers=[*JSON, (b"x-request-id", b"r-1"), *NAMES], body=PLAIN)
    assert world.log == ["begin", "send", "read end", "settle ok"]
    assert world.exchange == exchange(attempt(upstream_request_id="r-1"))
    assert world.content == Content(request=ASK, response=PLAIN)


async def test_begin_is_written_with_the_open_attempt_before_anything_is_sent() -> None:
    world = World(200, JSON, [PLAIN])
    await world.call(ASK)
    begun = attempt(
        headed=None,
        ended=None,
        status=Status.unknown,
        http_status=None,
        response_id=None,
        response_model=None,
        stop_reason=None,
        usage=Usage(),
        provenance=Provenance.unknown,
    )
    assert world.journal.begun == [exchange(begun, status=Status.unknown, http_status=None, duration=None)]


async def test_sends_the_clients_bytes_with_the_targets_model_url_and_proof() -> None:
    world = World(200, JSON, [PLAIN])
    await world.call(b' {"messages" : [ 1.0 ],\n "model":"chat"}')
    (sent,) = world.transport.sent
    assert sent.body == b' {"messages" : [ 1.0 ],\n "model":"gpt-x"}'
    assert sent.url == "https://p/v1/chat/completions"
    assert sent.headers == {"content-type": "application/json", "accept": "application/json", "authorization": "Bearer sk"}


async def test_untracked_leaves_a_record_without_content_and_without_trace_id() -> None:
    world = World(200, JSON, [PLAIN])
    reply = await world.call(ASK_DARK)
    assert reply.headers == [*JSON, NAMES[0]]
    assert world.content is None
    assert world.exchange == exchange(attempt(), endpoint_id="e-2", endpoint="dark", model="dark", experiment_id=None)


async def test_unified_chat_is_normalised_and_says_its_provider() -> None:
    world = World(200, JSON, [PLAIN])
    reply = await world.call(b'{"messages": []}', "mlflow.chat", endpoint="chat")
    assert isinstance(reply.body, bytes)
    answer = json.loads(reply.body)
    assert answer["provider"] == "openai"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "hi", "tool_calls": None, "refusal": None}
    assert world.transport.sent[0].body == b'{"model":"gpt-x","messages": []}'
    assert world.content is not None
    assert world.content.response == reply.body
    assert world.exchange.attempts == (attempt(),)


async def test_unified_answer_that_is_no_chat_is_a_502() -> None:
    world = World(200, JSON, [b'{"id": "c-1"}'])
    reply = await world.call(b'{"messages": []}', "mlflow.chat", endpoint="chat")
    assert (reply.status, problem(reply)["code"]) == (502, "malformed_answer")
    assert (world.exchange.status, world.exchange.http_status, world.exchange.attempts[0].http_status) == (Status.error, 502, 200)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail": "No such model."}', "No such model."),
        (b"<html>Bad gateway</html>", "400"),
        (b'{"error": "text alone"}', "text alone"),
        (b"", "400"),
        (b"[" * 100_000, "400"),
    ],
)
async def test_refusal_in_a_foreign_shape_is_put_into_the_clients_own(body: bytes, words: str) -> None:
    world = World(400, [(b"content-type", b"text/html"), (b"retry-after", b"7")], [body] if body else [])
    reply = await world.call(ASK)
    assert (reply.status, dict(reply.headers)[b"content-type"], dict(reply.headers)[b"retry-after"]) == (400, b"application/json", b"7")
    assert words in problem(reply)["message"]
    assert (world.exchange.status, world.exchange.http_status, world.exchange.attempts[0].http_status) == (Status.error, 400, 400)


@pytest.mark.parametrize("ask", [ASK, ASK_STREAM])
async def test_web_page_with_200_is_no_answer(ask: bytes) -> None:
    world = World(200, [(b"content-type", b"text/html; charset=utf-8")], [b"<html>"])
    reply = await world.call(ask)
    assert (reply.status, problem(reply)["code"]) == (502, "upstream_malformed")
    assert world.exchange.status is Status.error


async def test_rubbish_with_200_is_relayed_and_not_taken_for_an_answer() -> None:
    world = World(200, JSON, [b"<html>"])
    reply = await world.call(ASK)
    assert (reply.status, reply.body) == (200, b"<html>")
    assert (world.exchange.status, world.exchange.fault and world.exchange.fault.kind) == (Status.error, "malformed")


async def test_plain_answer_that_breaks_off_is_a_502() -> None:
    world = World(200, JSON, [PLAIN[:50], Interrupted(502, "upstream_dropped", "Gone.")])
    reply = await world.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (502, "upstream_dropped")
    assert world.log == ["begin", "send", "close", "settle provider_gone"]


async def test_stream_asked_for_and_plain_answer_given_is_relayed_as_plain() -> None:
    world = World(200, JSON, [PLAIN])
    reply = await world.call(ASK_STREAM)
    assert reply.body == PLAIN
    assert world.exchange.status is Status.ok


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"[]", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b'{"model": "chat", "stream": 1}', 400, "invalid_stream"),
        (b'{"model": "chat", "model": "chat"}', 400, "duplicate_key"),
        (b'{"messages": []}', 400, "missing_model"),
        (b'{"model": "nope"}', 404, "unknown_model"),
        (b'{"model": "claude"}', 400, "unsupported_format"),
    ],
)
async def test_refusals_are_settled_once_and_nothing_is_sent(body: bytes, status: int, kind: str) -> None:
    world = World()
    reply = await world.call(body)
    assert (reply.status, problem(reply)["code"]) == (status, kind)
    assert world.log == ["settle refused"]
    assert world.exchange.attempts == ()
    assert world.exchange.fault is not None
    assert (world.exchange.http_status, world.exchange.fault.kind) == (status, kind)


@pytest.mark.parametrize("format", ["openai.chat", "anthropic.messages"])
async def test_a_name_that_is_no_endpoint_is_kept_as_what_was_asked_for(format: str) -> None:
    world = World()
    await world.call(b'{"model": "nope", "stream": true}', format)
    assert (world.exchange.model, world.exchange.endpoint, world.exchange.stream) == ("nope", None, True)


async def test_a_refusal_speaks_the_clients_format() -> None:
    reply = await World().call(b'{"model": "nope"}', "anthropic.messages")
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body)["type"] == "error"
    assert json.loads(reply.body)["error"]["type"] == "not_found_error"


async def test_what_cannot_be_recorded_is_not_sent() -> None:
    world = World(200, JSON, [PLAIN])
    world.journal.begin_fault = FULL
    reply = await world.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (503, "journal_unwritable")
    assert world.log == []


async def test_an_answer_that_cannot_be_recorded_is_not_given() -> None:
    world = World(200, JSON, [PLAIN])
    world.journal.settle_fault = FULL
    reply = await world.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (503, "journal_unwritable")


async def test_strict_an_answer_whose_record_may_not_be_on_the_disk_is_not_given() -> None:
    world = World(200, JSON, [PLAIN])
    world.journal.durable_fault = OSError(errno.EIO, "Input/output error")
    reply = await world.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (503, "journal_unwritable")


async def test_a_refusal_is_given_even_if_it_cannot_be_recorded() -> None:
    world = World()
    world.journal.settle_fault = FULL
    assert (await world.call(b"[]")).status == 400


# ---------------------------------------------------------------- the provider says no, or nothing


@pytest.mark.parametrize("body", [ASK, ASK_STREAM], ids=["plain", "stream"])
async def test_the_providers_refusal_is_relayed_with_its_status_bytes_and_headers(body: bytes) -> None:
    said = b'{"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"} }'
    headers = [*JSON, (b"retry-after", b"7"), (b"x-ratelimit-remaining-requests", b"0"), (b"x-request-id", b"r-9")]
    world = World(429, headers, [said])
    assert await world.call(body) == Reply(status=429, headers=[*headers, *NAMES], body=said)
    fault = Fault("rate_limit_exceeded", "slow down", 429)
    failed = attempt(
        status=Status.error,
        http_status=429,
        upstream_request_id="r-9",
        response_id=None,
        response_model=None,
        stop_reason=None,
        usage=Usage(),
        provenance=Provenance.unknown,
        fault=fault,
    )
    stream = body == ASK_STREAM
    assert world.exchange == exchange(failed, status=Status.error, http_status=429, fault=fault, stream=stream, request_bytes=len(body))
    assert world.log == ["begin", "send", "read end", "settle error"]


async def test_unified_says_the_providers_refusal_in_its_own_shape() -> None:
    world = World(429, [*JSON, (b"retry-after", b"7")], [b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'])
    reply = await world.call(ASK, "mlflow.chat")
    assert (reply.status, problem(reply)["message"], problem(reply)["code"]) == (429, "slow down", "rate_limit_exceeded")
    assert (b"retry-after", b"7") in reply.headers
    assert [value for name, value in reply.headers if name == b"content-type"] == [b"application/json"]


async def test_a_redirect_is_a_502_and_not_followed() -> None:
    world = World(307, [(b"location", b"http://169.254.169.254/")], [])
    reply = await world.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (502, "upstream_redirect")
    assert world.log == ["begin", "send", "close", "settle error"]
    assert len(world.transport.sent) == 1
    assert all(name != b"location" for name, _ in reply.headers)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (UpstreamProblem(502, "upstream_connect", "No connection."), Status.provider_gone),
        (UpstreamProblem(502, "upstream_dns", "No such name."), Status.provider_gone),
        (UpstreamProblem(504, "upstream_connect_timeout", "Nobody."), Status.timeout),
        (UpstreamProblem(504, "upstream_first_byte_timeout", "Silence."), Status.timeout),
    ],
)
@pytest.mark.parametrize("body", [ASK, ASK_STREAM], ids=["plain", "stream"])
async def test_a_provider_that_cannot_be_reached(fault: UpstreamProblem, status: Status, body: bytes) -> None:
    world = World()
    world.answer = fault
    reply = await world.call(body)
    assert (reply.status, problem(reply)["code"], problem(reply)["message"]) == (fault.status, fault.kind, fault.message)
    assert world.log == ["begin", "send", f"settle {status}"]
    (tried,) = world.exchange.attempts
    assert (tried.status, tried.fault, world.exchange.status) == (status, Fault(fault.kind, fault.message, fault.status), status)


async def test_a_fault_of_our_own_is_a_500_and_is_settled() -> None:
    world = World()
    world.answer = ZeroDivisionError("a bug")
    reply = await world.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (500, "internal")
    assert world.log == ["begin", "send", "settle error"]


# ---------------------------------------------------------------- streams


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


# ---------------------------------------------------------------- too large to be read

LARGE = [PLAIN, b" " * PLAIN_LIMIT, b" "]


async def test_a_plain_answer_past_the_limit_is_passed_on_unread() -> None:
    world = World(200, JSON, LARGE)
    reply = await world.call(ASK)
    assert isinstance(reply.body, StreamBody)
    assert world.log == ["begin", "send"]
    assert b"".join([piece async for piece in reply.body]) == b"".join(LARGE)
    assert world.log == ["begin", "send", "read end", "settle ok"]


async def test_a_large_answer_that_breaks_off_is_cut_and_nothing_is_written_into_it() -> None:
    world = World(200, JSON, [*LARGE, Interrupted(502, "upstream_dropped", "Gone.")])
    _, got, whole = await world.stream(ASK)
    assert (b"".join(got), whole) == (b"".join(LARGE), False)
    assert world.exchange.status is Status.provider_gone


async def test_a_large_answer_in_another_shape_is_a_502() -> None:
    reply = await World(200, JSON, LARGE).call(ASK, "mlflow.chat")
    assert (reply.status, problem(reply)["code"]) == (502, "malformed_answer")


async def test_a_refusal_that_never_ends_is_a_502(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ERROR_LIMIT", 100)
    world = World(500, JSON, [b"x" * 60, b"x" * 60])
    reply = await world.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (502, "upstream_malformed")
    assert world.exchange.status is Status.error


# ---------------------------------------------------------------- nobody listens any more


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


# ---------------------------------------------------------------- answers that nobody asked for


GZIP = (b"content-encoding", b"gzip")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_a_compressed_answer_is_unpacked_for_all(pack: Any) -> None:
    packed = pack(PLAIN)
    world = World(200, [*JSON, (b"content-encoding", b"deflate")], [packed[:10], packed[10:]])
    reply = await world.call(ASK)
    assert reply.body == PLAIN
    assert b"content-encoding" not in dict(reply.headers)
    assert world.exchange.attempts == (attempt(),)


async def test_a_compressed_stream_is_unpacked_as_it_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in (ROLE, WORD, STOP, USAGE, DONE)]
    world = World(200, [*SSE, GZIP], [*pieces, packer.flush()])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got, whole) == ([ROLE, WORD, STOP, USAGE, DONE], True)
    assert world.exchange.status is Status.ok
    assert world.exchange.attempts[0].usage == REPORTED


async def test_a_bomb_is_unpacked_no_further_than_any_answer_is_held() -> None:
    world = World(200, [*JSON, GZIP], [gzip.compress(bytes(50 << 20))])
    reply = await world.call(ASK)
    assert isinstance(reply.body, StreamBody)
    assert [len(piece) async for piece in reply.body] == [1 << 20] * 50


@pytest.mark.parametrize("pieces", [[gzip.compress(PLAIN)[:-20]], [b"no gzip"]])
async def test_a_compressed_answer_that_breaks_is_no_answer(pieces: list[bytes]) -> None:
    world = World(200, [*JSON, GZIP], pieces)
    reply = await world.call(ASK)
    assert reply.status == 502
    assert world.exchange.status in (Status.error, Status.provider_gone)
    assert world.log[-1] != "begin"


async def test_what_is_packed_in_another_way_is_no_answer_but_a_refusal_is_one() -> None:
    world = World(200, [*JSON, (b"content-encoding", b"br")], [b"\x0b"])
    assert (await world.call(ASK)).status == 502
    world = World(401, [*JSON, (b"content-encoding", b"br")], [b"\x0b"])
    reply = await world.call(ASK)
    assert reply.status == 401
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body)["error"]["code"] == "upstream_error"


async def test_a_status_that_http_does_not_have_is_a_502() -> None:
    world = World(999, JSON, [b"{}"])
    assert (await world.call(ASK)).status == 502
    assert (world.exchange.http_status, world.exchange.attempts[0].http_status) == (502, 999)


SAID_KEY = b'{"error": {"message": "%s is no key of ours", "type": "authentication_error"}}'


async def test_a_client_is_not_told_our_key_by_a_provider_that_echoes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    target = msgspec.structs.replace(TARGET, headers={"authorization": "Bearer no-known-shape-1"})
    monkeypatch.setitem(ROUTES, "chat", msgspec.structs.replace(ROUTES["chat"], targets=(target,)))  # type: ignore[arg-type]
    world = World(401, JSON, [SAID_KEY % b"no-known-shape-1"])
    assert (await world.call(ASK)).body == SAID_KEY % b"***masked***"
    world = World(200, SSE, [b"data: " + SAID_KEY % b"no-known-shape-1" + b"\n\n"])
    reply = await world.call(ASK_STREAM)
    assert (reply.status, b"no-known-shape-1" in bytes(reply.body)) == (401, False)  # type: ignore[arg-type]
