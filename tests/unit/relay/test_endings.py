"""Answers that nobody counted, that nobody waited for, or that took too long."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from spangate.exchange import EndpointSettings, Route, Status, Target
from spangate.relay import streaming
from spangate.relay.health import FAILURES
from spangate.relay.route import Routes
from spangate.relay.streaming import GONE, CutOff, StreamBody
from spangate.relay.upstream import Timeouts
from spangate.wire.problems import Interrupted, UpstreamProblem
from spangate.wire.usage import Provenance, Usage

from .fakes import CLAUDE, HANG, JSON, PLAIN_LIMIT, SECOND, SSE, TARGET, World
from .spoken import BOTH, CLAUDE_FRAMES, DONE, PLAIN, REPORTED, ROLE, STOP, USAGE, WORD, frame, problem

ASK = b'{"model": "chat", "messages": [{"role": "user", "content": "Hello there, how are you?"}]}'  # 25 characters
ASK_STREAM = ASK[:-1] + b', "stream": true, "stream_options": {"include_usage": true}}'
HEARD = 7  # tokens that we guess for it
SAID = b'data: {"id":"c-1","model":"gpt-x-1","choices":[{"index":0,"delta":{"content":"twelve chars"}}]}\n\n'


def world(
    *pieces: bytes | Exception | str,
    headers: Sequence[tuple[bytes, bytes]] = SSE,
    gone: str | None = None,
    targets: tuple[Target, ...] = (TARGET,),
    **settings: Any,
) -> World:
    """One whose endpoint `chat` has these settings and targets."""
    made = World(200, headers, list(pieces))
    said = EndpointSettings(client_gone=gone, **settings)
    route = Route(endpoint_id="e-1", name="chat", targets=targets, experiment_id="7", settings=said)
    made.routes = Routes({"chat": route, "claude": msgspec.structs.replace(route, name="claude", targets=(CLAUDE,))})
    return made


def counted(of: World) -> tuple[Usage, Provenance]:
    last = of.exchange.attempts[-1]
    return last.usage, last.provenance


# ---------------------------------------------------------------- nobody reports


@pytest.mark.parametrize("usage", ["", ',"usage":null', ',"usage":"many"', ',"usage":{"prompt_tokens":-5,"completion_tokens":1e30}'])
@pytest.mark.parametrize("traced", [True, False], ids=["traced", "untracked"])
async def test_a_plain_answer_without_a_count_is_estimated(usage: str, traced: bool) -> None:
    body = (
        b'{"id":"c-1","choices":[{"index":0,"message":{"role":"assistant","content":"twelve chars"},"finish_reason":"stop"}]'
        + usage.encode()
    )
    it = world(body + b"}", headers=JSON)
    if not traced:
        it.routes = Routes({"chat": msgspec.structs.replace(it.routes["chat"], experiment_id=None)})
    assert (await it.call(ASK)).body == body + b"}"
    found, provenance = counted(it)
    assert (found.input, found.output, provenance) == (HEARD, 3, Provenance.estimated)
    assert found.invalid == {"": (), ',"usage":null': (), ',"usage":"many"': ("usage",)}.get(usage, ("input", "output"))
    assert it.exchange.status is Status.ok


async def test_a_stream_without_a_count_is_estimated() -> None:
    it = world(ROLE, SAID, SAID, STOP, DONE)
    await it.stream(ASK_STREAM)
    assert counted(it) == (Usage(input=HEARD, output=6), Provenance.estimated)


@pytest.mark.parametrize("fault", [Interrupted(502, "upstream_dropped", "Gone."), Interrupted(504, "upstream_idle_timeout", "Silence.")])
async def test_a_stream_that_broke_off_is_estimated_as_far_as_it_came(fault: Interrupted) -> None:
    it = world(ROLE, SAID, fault)
    await it.stream(ASK_STREAM)
    assert counted(it) == (Usage(input=HEARD, output=3), Provenance.estimated)


async def test_what_was_reported_of_a_stream_that_broke_off_stays_and_the_rest_is_estimated() -> None:
    it = world(*CLAUDE_FRAMES[:3], Interrupted(502, "upstream_dropped", "Gone."))
    await it.stream(b'{"model": "claude", "stream": true, "messages": []}', "anthropic.messages")
    assert counted(it) == (Usage(input=3, output=1), Provenance.estimated)


async def test_a_client_that_left_has_the_tokens_that_came_estimated() -> None:
    it = world(ROLE, SAID, HANG)
    await gone_midway(it, 2)
    assert counted(it) == (Usage(input=HEARD, output=3), Provenance.estimated)


@pytest.mark.parametrize(
    ("pieces", "headers", "status"),
    [
        ([Interrupted(502, "upstream_dropped", "Gone.")], JSON, Status.provider_gone),
        ([b": keep-alive\n\n", Interrupted(502, "upstream_dropped", "Gone.")], SSE, Status.provider_gone),
        ([b'{"error": {"message": "No.", "type": "invalid_request_error"}}'], JSON, Status.error),
        ([b'data: {"error": {"message": "No.", "type": "invalid_request_error"}}\n\n'], SSE, Status.error),
    ],
    ids=["broke before it began", "only a comment came", "an error in a 200", "an error in a stream"],
)
async def test_what_never_began_is_not_estimated(
    pieces: list[bytes | Exception | str], headers: list[tuple[bytes, bytes]], status: Status
) -> None:
    it = world(*pieces, headers=headers)
    it.routes = Routes({"chat": msgspec.structs.replace(it.routes["chat"], max_attempts=1)})
    reply = await it.call(ASK_STREAM)
    if isinstance(reply.body, StreamBody):
        with pytest.raises(CutOff):
            [piece async for piece in reply.body]
    assert (it.exchange.status, *counted(it)) == (status, Usage(), Provenance.unknown)


async def test_an_answer_too_large_to_be_read_has_its_input_estimated() -> None:
    it = world(PLAIN, b" " * PLAIN_LIMIT, headers=JSON)
    await it.stream(ASK)
    assert counted(it) == (Usage(input=HEARD), Provenance.estimated)


async def test_embeddings_have_their_input_estimated() -> None:
    target = msgspec.structs.replace(TARGET, formats={"openai.embeddings": "https://p/v1/embeddings"})
    it = world(b'{"object": "list", "data": [], "model": "e"}', headers=JSON, targets=(target,))
    await it.call(b'{"model": "chat", "input": ["four", "five5"]}', "openai.embeddings")
    assert counted(it) == (Usage(input=3), Provenance.estimated)


async def test_what_costs_no_tokens_is_not_estimated() -> None:
    target = msgspec.structs.replace(TARGET, formats={"anthropic.count_tokens": "https://p/v1/messages"})
    it = world(b'{"input_tokens": 9}', headers=JSON, targets=(target,))
    await it.call(ASK, "anthropic.count_tokens")
    assert counted(it)[1] is Provenance.unknown


# ---------------------------------------------------------------- odd reports


def used(given: int, made: int) -> bytes:
    return frame("[]", f',"usage":{{"prompt_tokens":{given},"completion_tokens":{made}}}')


@pytest.mark.parametrize(
    "pieces",
    [
        [ROLE, WORD, STOP, USAGE, DONE],
        [ROLE, WORD, BOTH, DONE],
        [used(3, 2), ROLE, WORD, STOP, DONE],
        [ROLE, used(3, 1), WORD, STOP, used(3, 2), DONE],
        [ROLE, WORD, STOP, used(3, 2), used(3, 2), DONE],
        [ROLE, WORD, STOP, used(3, 2), frame("[]", ',"usage":{}'), DONE],
        [ROLE, WORD, STOP, used(3, 2), frame("[]", ',"usage":null'), DONE],
        [ROLE, WORD, STOP, DONE, used(3, 2)],
        [ROLE, WORD, STOP, DONE + used(3, 2)],
        [ROLE, WORD, STOP, DONE, used(3, 2)[:30], used(3, 2)[30:]],
        [ROLE, WORD, STOP, frame("[]", ',"usage":{"prompt_tokens":"3","completion_tokens":2.0}'), DONE],
    ],
    ids=[
        "before the end",
        "with the reason to stop",
        "first of all",
        "twice, the second one larger",
        "twice the same",
        "then one that says nothing",
        "then null",
        "after the end",
        "after the end at once",
        "after the end, in pieces",
        "in strings and floats",
    ],
)
async def test_a_count_is_booked_once_wherever_it_stands(pieces: list[bytes | Exception | str]) -> None:
    it = world(*pieces)
    _, got, whole = await it.stream(ASK_STREAM)
    assert (b"".join(got), whole) == (b"".join(piece for piece in pieces if isinstance(piece, bytes)), True)
    assert (it.exchange.status, *counted(it)) == (Status.ok, REPORTED, Provenance.reported)


async def test_a_later_report_that_is_rubbish_takes_nothing_back_and_is_flagged() -> None:
    it = world(ROLE, WORD, STOP, used(3, 2), frame("[]", ',"usage":"many"'), DONE)
    await it.stream(ASK_STREAM)
    assert counted(it) == (msgspec.structs.replace(REPORTED, invalid=("usage",)), Provenance.reported)


async def test_an_end_without_a_count_is_held_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LATE", 0.001)
    it = world(ROLE, SAID, STOP, DONE, HANG)
    reply = await it.call(ASK_STREAM)
    assert isinstance(reply.body, StreamBody)
    assert [await anext(reply.body) for _ in range(4)] == [ROLE, SAID, STOP, DONE]
    assert (it.exchange.status, *counted(it)) == (Status.ok, Usage(input=HEARD, output=3), Provenance.estimated)
    assert "close" not in it.log


async def test_an_end_whose_connection_breaks_while_it_is_held_is_whole() -> None:
    it = world(ROLE, SAID, STOP, DONE, Interrupted(502, "upstream_dropped", "Gone."))
    _, got, whole = await it.stream(ASK_STREAM)
    assert (got, whole, it.exchange.status) == ([ROLE, SAID, STOP, DONE], True, Status.ok)


async def test_an_end_is_not_held_where_no_count_was_asked_for() -> None:
    it = world(ROLE, SAID, STOP, DONE, HANG, targets=(msgspec.structs.replace(TARGET, usage_in_stream="rejects"),))
    reply = await it.call(ASK_STREAM)
    assert isinstance(reply.body, StreamBody)
    assert [await anext(reply.body) for _ in range(4)] == [ROLE, SAID, STOP, DONE]
    assert it.exchange.status is Status.ok


# ---------------------------------------------------------------- nobody waits


async def gone_midway(it: World, after: int, ask: bytes = ASK_STREAM, format: str = "openai.chat") -> None:
    """The client takes that many pieces, waits for one more, and leaves."""
    reply = await it.call(ask, format)
    assert isinstance(reply.body, StreamBody)
    for _ in range(after):
        await anext(reply.body)
    task = asyncio.ensure_future(anext(reply.body))
    await asyncio.sleep(0)
    task.cancel(GONE)
    with pytest.raises(asyncio.CancelledError):
        await task


async def gone_before(it: World, ask: bytes) -> None:
    """The client leaves before there is a reply."""
    task = asyncio.create_task(it.call(ask))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel(GONE)
    with pytest.raises(asyncio.CancelledError):
        await task


class Later:
    """A piece that comes when the test says so."""

    def __init__(self, it: World) -> None:
        self._come = asyncio.Event()
        incoming = it.answer
        assert not isinstance(incoming, Exception | str)
        waiting, plain = incoming.piece, incoming.pieces

        async def piece(patience: float | None = None) -> bytes:
            if plain and plain[0] == HANG:
                await self._come.wait()
                plain.pop(0)
            return await waiting(patience)

        incoming.piece = piece

    def come(self) -> None:
        self._come.set()


async def settled(it: World) -> None:
    while len(it.drains):
        await asyncio.sleep(0)


@pytest.mark.parametrize("policy", ["endpoint", "provider"])
async def test_a_stream_is_read_on_to_its_count_when_the_client_has_left(policy: str) -> None:
    target = TARGET if policy == "endpoint" else msgspec.structs.replace(TARGET, client_gone="drain")
    it = world(ROLE, WORD, HANG, SAID, STOP, USAGE, DONE, gone="drain" if policy == "endpoint" else None, targets=(target,))
    later = Later(it)
    await gone_midway(it, 2)
    assert (it.journal.settled, len(it.drains)) == ([], 1)
    later.come()
    await settled(it)
    assert (it.exchange.status, it.exchange.http_status, *counted(it)) == (Status.client_gone, 200, REPORTED, Provenance.drained)
    assert it.exchange.attempts[0].status is Status.client_gone
    assert it.content is not None
    assert json.loads(it.content.response or b"")["choices"][0]["message"]["content"] == "hitwelve chars"
    assert it.log[-2:] == ["settle client_gone", "close"]


async def test_the_endpoints_policy_comes_before_the_providers() -> None:
    it = world(ROLE, WORD, HANG, USAGE, DONE, gone="close", targets=(msgspec.structs.replace(TARGET, client_gone="drain"),))
    await gone_midway(it, 2)
    assert it.log[-2:] == ["settle client_gone", "close"]


@pytest.mark.parametrize("ask", [ASK, ASK_STREAM], ids=["plain", "stream"])
@pytest.mark.parametrize("hang", ["head", "body"])
async def test_an_answer_is_read_on_when_the_client_left_before_it_began(ask: bytes, hang: str) -> None:
    stream = ask is ASK_STREAM
    pieces: list[bytes | Exception | str] = [ROLE, WORD, STOP, USAGE, DONE] if stream else [PLAIN]
    it = world(*pieces, headers=SSE if stream else JSON, gone="drain")
    come = asyncio.Event()
    if hang == "head":
        send = it.transport.send

        async def sent(outgoing: Any) -> Any:
            incoming = await send(outgoing)
            await come.wait()
            return incoming

        it.transport.send = sent
    else:
        incoming = it.answer
        assert not isinstance(incoming, Exception | str)
        incoming.pieces.insert(0, HANG)
        later = Later(it)
    await gone_before(it, ask)
    assert (it.journal.settled, len(it.drains)) == ([], 1)
    come.set() if hang == "head" else later.come()
    await settled(it)
    assert (it.exchange.status, it.exchange.http_status, *counted(it)) == (Status.client_gone, 499, REPORTED, Provenance.drained)


async def test_an_attempt_that_fails_after_the_client_left_is_the_last() -> None:
    it = world(headers=JSON, gone="drain", targets=(TARGET, SECOND))
    come = asyncio.Event()

    async def sent(outgoing: Any) -> Any:
        it.log.append("send")
        await come.wait()
        raise UpstreamProblem(502, "upstream_dropped", "Gone.")

    it.transport.send = sent
    await gone_before(it, ASK)
    come.set()
    await settled(it)
    assert it.log == ["begin", "send", "settle client_gone"]
    assert (it.exchange.status, *counted(it)) == (Status.client_gone, Usage(), Provenance.unknown)


async def test_what_breaks_while_it_is_read_on_is_estimated() -> None:
    it = world(ROLE, SAID, HANG, SAID, Interrupted(502, "upstream_dropped", "Gone."), gone="drain")
    later = Later(it)
    await gone_midway(it, 2)
    later.come()
    await settled(it)
    assert (it.exchange.status, *counted(it)) == (Status.client_gone, Usage(input=HEARD, output=6), Provenance.estimated)


async def test_no_more_is_read_than_so_many_tokens() -> None:
    it = world(ROLE, SAID, HANG, *([SAID] * 100), gone="drain")
    later = Later(it)
    await gone_midway(it, 2)
    later.come()
    await settled(it)
    assert counted(it) == (Usage(input=HEARD, output=105), Provenance.estimated)  # 3 before, and 34 times 3 until there are 100 more
    assert it.log[-2:] == ["settle client_gone", "close"]


@pytest.mark.parametrize("when", ["stream", "head"])
async def test_no_longer_is_read_than_so_many_seconds(when: str) -> None:
    it = world(ROLE, SAID, HANG, gone="drain")
    it.drains._seconds = 0.001  # pyright: ignore[reportPrivateUsage]
    if when == "head":
        it.answer = HANG
        await gone_before(it, ASK)
    else:
        await gone_midway(it, 2)
    while len(it.drains):
        await asyncio.sleep(0.001)
    assert it.exchange.status is Status.client_gone
    assert counted(it) == ((Usage(input=HEARD, output=3), Provenance.estimated) if when == "stream" else (Usage(), Provenance.unknown))


@pytest.mark.parametrize("when", ["begun", "not begun", "head"])
async def test_what_is_still_read_when_the_gateway_stops_is_settled(when: str) -> None:
    it = world(ROLE, SAID, HANG, gone="drain")
    if when == "head":
        it.answer = HANG
        await gone_before(it, ASK)
    else:
        await gone_midway(it, 2)
    if when == "begun":
        await asyncio.sleep(0)
    await it.relay.close()
    assert (it.exchange.status, len(it.drains)) == (Status.client_gone, 0)
    if when != "head":
        assert it.log[-2:] == ["settle client_gone", "close"]


async def test_no_more_are_read_on_at_once_than_there_is_room_for() -> None:
    it = world(ROLE, SAID, HANG, gone="drain")
    it.drains._most = 0  # pyright: ignore[reportPrivateUsage]
    await gone_midway(it, 2)
    assert it.log[-2:] == ["settle client_gone", "close"]


@pytest.mark.parametrize("room", [0, 1])
@pytest.mark.parametrize("steps", range(12))
async def test_at_whatever_step_the_client_leaves_the_call_is_settled_and_the_provider_hung_up_on(room: int, steps: int) -> None:
    it = world(HANG, ROLE, WORD, STOP, USAGE, DONE, gone="drain")
    it.drains._most = room  # pyright: ignore[reportPrivateUsage]
    later = Later(it)
    task = asyncio.create_task(it.call(ASK_STREAM))
    for _ in range(10):
        await asyncio.sleep(0)
    later.come()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel(GONE)
    try:
        reply = await task
    except asyncio.CancelledError:
        pass
    else:
        assert isinstance(reply.body, StreamBody)
        reply.body.leave()
    await settled(it)
    assert (it.exchange.status, "close" in it.log) == (Status.client_gone, True)


async def test_a_gateway_that_stops_reads_nothing_on() -> None:
    it = world(gone="drain")
    it.answer = HANG
    task = asyncio.create_task(it.call(ASK))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (it.exchange.status, len(it.drains)) == (Status.unknown, 0)


async def test_a_call_that_is_drained_is_answered_like_any_other_while_its_client_stays() -> None:
    it = world(ROLE, WORD, STOP, USAGE, DONE, gone="drain")
    _, got, whole = await it.stream(ASK_STREAM)
    assert (got, whole, it.exchange.status, *counted(it)) == (
        [ROLE, WORD, STOP, USAGE, DONE],
        True,
        Status.ok,
        REPORTED,
        Provenance.reported,
    )


async def test_a_client_that_hangs_up_after_the_end_has_finished() -> None:
    it = world(ROLE, WORD, STOP, USAGE, DONE, HANG, gone="drain")
    reply = await it.call(ASK_STREAM)
    assert isinstance(reply.body, StreamBody)
    assert [await anext(reply.body) for _ in range(5)] == [ROLE, WORD, STOP, USAGE, DONE]
    reply.body.leave()
    assert (it.exchange.status, *counted(it)) == (Status.ok, REPORTED, Provenance.reported)
    assert (it.log[-1], len(it.drains)) == ("close", 0)


# ---------------------------------------------------------------- who fails


async def test_a_target_that_fails_time_and_again_is_passed_over_and_tried_again_later() -> None:
    it = world(headers=JSON, targets=(TARGET, SECOND))
    down = UpstreamProblem(502, "upstream_dns", "No such name.")
    for _ in range(FAILURES):
        it.answers = [down, it.says(200, JSON, PLAIN)]
        await it.call(ASK)
    assert [sent.url for sent in it.transport.sent] == ["https://p/v1/chat/completions", "https://q/v1/chat/completions"] * FAILURES
    it.transport.sent.clear()
    it.answers = [it.says(200, JSON, PLAIN)]
    await it.call(ASK)
    assert [sent.url for sent in it.transport.sent] == ["https://q/v1/chat/completions"]
    it.clock.now += 5
    it.answers = [it.says(200, JSON, PLAIN), it.says(200, JSON, PLAIN)]
    await it.call(ASK)
    await it.call(ASK)
    assert [sent.url for sent in it.transport.sent[1:]] == ["https://p/v1/chat/completions"] * 2


@pytest.mark.parametrize(
    ("pieces", "failed"),
    [
        ([ROLE, WORD, Interrupted(502, "upstream_dropped", "Gone.")], True),
        ([ROLE, WORD, Interrupted(504, "upstream_idle_timeout", "Silence.")], True),
        ([ROLE, WORD, Interrupted(504, "upstream_total_timeout", "Too long.")], False),
        ([ROLE, WORD], True),
        ([ROLE, b'data: {"error": {"message": "full", "type": "overloaded_error"}}\n\n'], True),
        ([ROLE, b'data: {"error": {"message": "no", "type": "invalid_request_error"}}\n\n'], False),
        ([ROLE, WORD, STOP, USAGE, DONE], False),
    ],
    ids=["dropped", "silent", "too long", "incomplete", "overloaded", "refused", "whole"],
)
async def test_an_answer_that_breaks_off_by_the_targets_fault_counts_against_it(
    pieces: list[bytes | Exception | str], failed: bool
) -> None:
    it = world()
    for _ in range(FAILURES):
        it.answers = [it.says(200, SSE, *pieces)]
        await it.stream(ASK_STREAM)
    assert it.health.rests(TARGET) is failed


async def test_a_client_that_leaves_is_not_the_targets_fault() -> None:
    it = world()
    for _ in range(FAILURES):
        it.answers = [it.says(200, SSE, ROLE, HANG)]
        await gone_midway(it, 1)
    assert not it.health.rests(TARGET)


async def test_what_the_gateway_does_wrong_is_not_the_targets_fault() -> None:
    it = world()
    it.journal.durable_fault = OSError(5, "Input/output error")
    for _ in range(FAILURES):
        it.answers = [it.says(200, SSE, ROLE, WORD, STOP, USAGE, DONE)]
        await it.stream(ASK_STREAM)
    assert not it.health.rests(TARGET)


# ---------------------------------------------------------------- the call's time


async def test_an_endpoint_has_timeouts_of_its_own_and_the_servers_for_the_rest() -> None:
    it = world(PLAIN, headers=JSON, first_byte_timeout=7.5, total_timeout=30.0)
    await it.call(ASK)
    (sent,) = it.transport.sent
    assert sent.timeouts == Timeouts(connect=10.0, first_byte=7.5, idle=60.0, total=30.0)
    assert sent.deadline == 130.0  # the call was received at 100


async def test_all_attempts_share_the_time_of_the_call() -> None:
    it = world(headers=JSON, targets=(TARGET, SECOND), total_timeout=20.0)
    it.answers = [UpstreamProblem(502, "upstream_dns", "No."), it.says(200, JSON, PLAIN)]
    await it.call(ASK)
    assert [sent.deadline for sent in it.transport.sent] == [120.0, 120.0]


@pytest.mark.parametrize("left", [0.0, 0.5], ids=["over", "over in the pause"])
async def test_no_attempt_begins_when_the_calls_time_is_over(left: float) -> None:
    busy = b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
    it = world(headers=JSON, total_timeout=1.0 + left)
    it.answers = [it.says(429, [*JSON, (b"retry-after", b"1")], busy)]
    reply = await it.call(ASK)
    assert (reply.status, reply.body, len(it.transport.sent)) == (429, busy, 1)
    assert it.exchange.status is Status.error


async def test_an_answer_that_outlasts_the_call_is_a_504_and_nobody_else_is_asked() -> None:
    it = world(headers=JSON, targets=(TARGET, SECOND))
    it.answers = [UpstreamProblem(504, "upstream_total_timeout", "Too long.")]
    reply = await it.call(ASK)
    assert (reply.status, problem(reply)["code"], it.exchange.status, len(it.transport.sent)) == (
        504,
        "upstream_total_timeout",
        Status.timeout,
        1,
    )
