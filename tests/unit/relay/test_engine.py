import errno
import gzip
import json
import zlib
from typing import Any

import msgspec
import pytest

from spangate.exchange import Content, Fault, Reply, Status
from spangate.relay import engine
from spangate.relay.streaming import StreamBody
from spangate.wire.problems import Interrupted, UpstreamProblem
from spangate.wire.usage import Provenance, Usage

from .fakes import JSON, NAMES, PLAIN_LIMIT, ROUTES, SSE, TARGET, World
from .spoken import (
    ASK,
    ASK_DARK,
    ASK_STREAM,
    ASK_STREAM_USAGE,
    DONE,
    FULL,
    PLAIN,
    REPORTED,
    ROLE,
    STOP,
    USAGE,
    WORD,
    attempt,
    exchange,
    problem,
)

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
