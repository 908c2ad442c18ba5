"""What follows an attempt that failed, as the engine carries it out. Whom to try is asked of test_attempts."""

import asyncio
import errno
import json
from typing import Any

import msgspec
import pytest

from spangate.exchange import AttemptRecord, Content, Exchange, Fault, Reply, Status
from spangate.relay.streaming import GONE, StreamBody
from spangate.wire.problems import Interrupted, Refusal, UpstreamProblem
from spangate.wire.usage import Provenance, Usage

from .fakes import HANG, JSON, NAMES, SSE, World
from .spoken import DONE, PLAIN, REPORTED, ROLE, STOP, USAGE, WORD, attempt, exchange

RETRY = b'{"model": "retry", "messages": []}'
FALL = b'{"model": "fall", "messages": []}'
FALL_STREAM = b'{"model": "fall", "stream": true, "stream_options": {"include_usage": true}, "messages": []}'
BUSY = b'{"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}}'
BAD = b'{"error": {"message": "what?", "type": "invalid_request_error", "code": "bad"}}'
NOTHING: dict[str, Any] = {
    "response_id": None,
    "response_model": None,
    "stop_reason": None,
    "usage": Usage(),
    "provenance": Provenance.unknown,
}
FULL = OSError(errno.ENOSPC, "No space left on device")


def at(no: int, **changes: Any) -> AttemptRecord:
    """An attempt that took its quarters of a second one after the other: started, headed, ended, for each number. After one that failed the
    clock is looked at once more, for the call's time, and its end is that much later."""
    start = 250_000_000 + (no - 1) * 1_000_000_000
    return attempt(**({"no": no, "started": start, "headed": start + 250_000_000, "ended": start + 500_000_000} | changes))


def second(**changes: Any) -> AttemptRecord:
    return at(2, provider="groq", model="llama-x", model_definition_id="d-3", secret_id="s-3", **changes)


def opened(record: AttemptRecord) -> AttemptRecord:
    return msgspec.structs.replace(record, headed=None, ended=None, status=Status.unknown, http_status=None, **NOTHING)


LIMITED = at(1, ended=1_000_000_000, status=Status.error, http_status=429, fault=Fault("rate_limit_exceeded", "slow down", 429), **NOTHING)


def called(name: str, number: int, body: bytes, *attempts: AttemptRecord, **changes: Any) -> Exchange:
    return exchange(*attempts, **({"endpoint_id": f"e-{number}", "endpoint": name, "model": name, "request_bytes": len(body)} | changes))


def problem(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body)["error"]


async def test_a_retry_is_sent_after_its_pause_and_its_record_and_both_attempts_are_kept() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(429, [*JSON, (b"retry-after", b"1")], BUSY)]
    assert await world.call(RETRY) == Reply(status=200, headers=[*JSON, *NAMES], body=PLAIN)
    assert world.log == ["begin", "send", "read end", "sleep 1.25", "resume", "send", "read end", "settle ok"]
    assert world.exchange == called("retry", 4, RETRY, LIMITED, at(2), duration=1_750_000_000)
    assert world.journal.resumed == [
        called("retry", 4, RETRY, LIMITED, opened(at(2)), status=Status.unknown, http_status=None, duration=None)
    ]
    assert world.content == Content(request=RETRY, response=PLAIN)


async def test_a_fallback_gets_its_own_model_url_and_proof_at_once() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(429, JSON, BUSY)]
    assert await world.call(FALL) == Reply(status=200, headers=[*JSON, *NAMES], body=PLAIN)
    assert world.log == ["begin", "send", "read end", "resume", "send", "read end", "settle ok"]
    assert [(sent.url, sent.body, sent.headers["authorization"]) for sent in world.transport.sent] == [
        ("https://p/v1/chat/completions", b'{"model": "gpt-x", "messages": []}', "Bearer sk"),
        ("https://q/v1/chat/completions", b'{"model": "llama-x", "messages": []}', "Bearer second-secret"),
    ]
    assert world.exchange == called("fall", 5, FALL, LIMITED, second(), duration=1_750_000_000)


@pytest.mark.parametrize(
    ("fault", "status", "http_status"),
    [
        (UpstreamProblem(502, "upstream_connect", "No."), Status.provider_gone, 502),
        (UpstreamProblem(502, "upstream_dns", "No."), Status.provider_gone, 502),
        (UpstreamProblem(502, "upstream_tls", "No."), Status.provider_gone, 502),
        (UpstreamProblem(504, "upstream_first_byte_timeout", "No."), Status.timeout, 504),
        (Refusal(502, "upstream_private_address", "No."), Status.refused, None),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
async def test_who_cannot_be_reached_is_passed_over_and_the_record_says_why(
    fault: UpstreamProblem, status: Status, http_status: int | None
) -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [fault]
    assert (await world.call(FALL)).status == 200
    first, then = world.exchange.attempts
    assert first == at(
        1, headed=None, ended=750_000_000, status=status, http_status=None, fault=Fault(fault.kind, "No.", http_status), **NOTHING
    )
    assert (then.no, then.provider, then.status, then.fault) == (2, "groq", Status.ok, None)
    assert (world.exchange.status, world.exchange.fault) == (Status.ok, None)


async def test_when_all_fail_the_client_gets_the_last_answer_as_it_came() -> None:
    said = b'{"error": {"message": "full",  "code": "overloaded"} }'
    headers = [*JSON, (b"retry-after", b"9"), (b"x-request-id", b"r-2")]
    world = World(503, headers, [said])
    world.answers = [world.says(429, [*JSON, (b"retry-after", b"7")], BUSY)]
    assert await world.call(FALL) == Reply(status=503, headers=[*headers, *NAMES], body=said)
    fault = Fault("overloaded", "full", 503)
    last = second(status=Status.error, http_status=503, upstream_request_id="r-2", fault=fault, **NOTHING)
    assert world.exchange == called(
        "fall", 5, FALL, LIMITED, last, status=Status.error, http_status=503, fault=fault, duration=1_750_000_000
    )


async def test_when_the_last_cannot_be_reached_the_client_hears_that() -> None:
    world = World()
    world.answers = [world.says(429, JSON, BUSY), UpstreamProblem(502, "upstream_dns", "No such name.")]
    reply = await world.call(FALL)
    assert (reply.status, problem(reply)["code"]) == (502, "upstream_dns")
    assert (world.exchange.status, world.exchange.http_status) == (Status.provider_gone, 502)
    assert [tried.status for tried in world.exchange.attempts] == [Status.error, Status.provider_gone]


async def test_the_clients_own_fault_is_said_by_the_first() -> None:
    world = World(400, JSON, [BAD])
    assert await world.call(FALL) == Reply(status=400, headers=[*JSON, *NAMES], body=BAD)
    assert world.log == ["begin", "send", "read end", "settle error"]


async def test_an_answer_that_broke_before_the_client_saw_it_is_asked_for_again() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(200, JSON, PLAIN[:50], Interrupted(502, "upstream_dropped", "Gone."))]
    assert (await world.call(RETRY)).body == PLAIN
    assert world.log == ["begin", "send", "close", "sleep 0.25", "resume", "send", "read end", "settle ok"]
    assert [tried.status for tried in world.exchange.attempts] == [Status.provider_gone, Status.ok]


async def test_a_200_that_holds_an_error_is_no_answer_and_none_of_the_calls() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(200, JSON, b'{"error": {"message": "no money", "code": "insufficient_quota"}}')]
    assert (await world.call(FALL)).body == PLAIN
    first = world.exchange.attempts[0]
    assert (first.status, first.http_status, first.fault) == (Status.error, 200, Fault("insufficient_quota", "no money"))
    assert world.content == Content(request=FALL, response=PLAIN)


async def test_the_second_stream_is_relayed_whole_with_nothing_of_the_first() -> None:
    world = World(200, SSE, [ROLE, WORD, STOP, USAGE, DONE])
    world.answers = [world.says(200, SSE, b'data: {"error": {"message": "full", "code": "server_error"}}\n\n')]
    _, got, whole = await world.stream(FALL_STREAM)
    assert (got, whole) == ([ROLE, WORD, STOP, USAGE, DONE], True)
    assert world.log[:5] == ["begin", "send", "close", "resume", "send"]
    assert [(tried.status, tried.usage) for tried in world.exchange.attempts] == [(Status.error, Usage()), (Status.ok, REPORTED)]
    assert world.exchange.first_token == world.exchange.attempts[1].first_token


async def test_what_an_attempt_began_is_not_taken_for_the_beginning_of_the_next() -> None:
    world = World(200, SSE, [b'data: {"error": {"message": "full", "code": "server_error"}}\n\n'])
    world.answers = [world.says(200, JSON, b'{"id": "c-1"}')]
    reply = await world.call(FALL_STREAM, "mlflow.chat")
    assert (reply.status, problem(reply)["code"]) == (500, "server_error")
    assert [tried.fault and tried.fault.kind for tried in world.exchange.attempts] == ["malformed_answer", "server_error"]


async def test_nothing_is_tried_again_once_the_client_has_a_piece() -> None:
    world = World()
    world.answers = [world.says(200, SSE, ROLE, Interrupted(502, "upstream_dropped", "Gone.")), ZeroDivisionError("a second attempt")]
    _, got, whole = await world.stream(FALL_STREAM)
    assert (got[0], whole, len(world.transport.sent)) == (ROLE, False, 1)
    assert len(world.exchange.attempts) == 1


async def test_who_leaves_during_the_pause_ends_it() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(429, JSON, BUSY)]

    async def for_ever(seconds: float) -> None:
        world.log.append("sleep")
        await asyncio.Event().wait()

    world.relay._sleep = for_ever  # pyright: ignore[reportPrivateUsage]
    task = asyncio.create_task(world.call(RETRY))
    while "sleep" not in world.log:
        await asyncio.sleep(0)
    task.cancel(GONE)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.log == ["begin", "send", "read end", "sleep", "settle client_gone"]
    gone = Fault("client_gone", "The client closed the connection before the answer's end.")
    assert world.exchange == called(
        "retry", 4, RETRY, LIMITED, status=Status.client_gone, http_status=499, fault=gone, duration=1_250_000_000
    )


async def test_who_leaves_during_the_second_attempt_leaves_the_first_as_it_was() -> None:
    world = World()
    world.answers = [world.says(429, JSON, BUSY), HANG]
    task = asyncio.create_task(world.call(FALL))
    while world.log.count("send") < 2:
        await asyncio.sleep(0)
    task.cancel(GONE)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [tried.status for tried in world.exchange.attempts] == [Status.error, Status.client_gone]
    assert world.exchange.status is Status.client_gone


async def test_an_attempt_that_cannot_be_recorded_is_not_sent() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(429, JSON, BUSY)]
    world.journal.resume_fault = FULL
    reply = await world.call(FALL)
    assert (reply.status, problem(reply)["code"]) == (503, "journal_unwritable")
    assert world.log == ["begin", "send", "read end", "settle refused"]
    assert [tried.status for tried in world.exchange.attempts] == [Status.error, Status.refused]


async def test_the_workers_budget_is_one_for_all_its_calls() -> None:
    world = World()
    tries: list[int] = []
    for _ in range(8):
        world.answers = [world.says(429, JSON, BUSY) for _ in range(3)]
        before = len(world.transport.sent)
        await world.call(RETRY)
        tries.append(len(world.transport.sent) - before)
    assert tries == [3, 3, 3, 3, 3, 2, 1, 1]


async def test_a_body_that_was_handed_on_is_not_tried_again() -> None:
    world = World()
    world.answers = [world.says(200, JSON, *([b"x" * 600] * 2), Interrupted(502, "upstream_dropped", "Gone."))]
    reply = await world.call(FALL)
    assert isinstance(reply.body, StreamBody)
    reply.body.leave()
    assert len(world.transport.sent) == 1


# ---------------------------------------------------------------- what the provider says of trying again


async def test_a_pause_in_milliseconds_is_kept() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(429, [*JSON, (b"retry-after-ms", b"500"), (b"retry-after", b"1")], BUSY)]
    assert (await world.call(RETRY)).status == 200
    assert world.log[3] == "sleep 0.75"


async def test_milliseconds_that_are_none_leave_the_seconds() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(429, [*JSON, (b"retry-after-ms", b"soon"), (b"retry-after", b"1")], BUSY)]
    assert (await world.call(RETRY)).status == 200
    assert world.log[3] == "sleep 1.25"


@pytest.mark.parametrize("said", [(b"x-should-retry", b"false"), (b"x-should-retry", b" False")])
async def test_who_says_not_to_ask_again_is_not_asked_again_and_the_client_hears_it(said: tuple[bytes, bytes]) -> None:
    world = World(429, [*JSON, said], [BUSY])
    assert await world.call(RETRY) == Reply(status=429, headers=[*JSON, said, *NAMES], body=BUSY)
    assert len(world.transport.sent) == 1


async def test_who_says_not_to_ask_again_does_not_speak_for_the_others() -> None:
    world = World(200, JSON, [PLAIN])
    world.answers = [world.says(429, [*JSON, (b"x-should-retry", b"false")], BUSY)]
    assert (await world.call(FALL)).status == 200


@pytest.mark.parametrize(("said", "heard"), [(b"1500", b"2"), (b"3000", b"3"), (b"-1", b"0"), (b"1e999", None)])
async def test_the_client_of_a_stream_that_never_began_hears_whole_seconds(said: bytes, heard: bytes | None) -> None:
    world = World(200, [*SSE, (b"retry-after-ms", said)], [b'data: {"error": {"message": "full", "type": "overloaded_error"}}\n\n'])
    reply = await world.call(b'{"model": "chat", "stream": true, "messages": []}')
    assert (reply.status, dict(reply.headers).get(b"retry-after")) == (529, heard)
