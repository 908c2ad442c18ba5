"""Gemini on its way through the engine: where it is sent, in which framing it comes back, and what an error in it stands for."""

import json
from typing import Any

import msgspec
import pytest

from spangate.exchange import Inbound, Reply, Route, Status
from spangate.relay.streaming import CutOff, StreamBody
from spangate.wire.problems import Interrupted
from spangate.wire.usage import Usage

from . import fakes
from .fakes import JSON, NAMES, SSE, TARGET, World, inbound

URL = "https://p/v1beta/models/gem-x"
GONE = Interrupted(502, "upstream_dropped", "Gone.")
OVERLOADED = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}


def chunk(text: str, reason: str | None = None, **counts: int) -> bytes:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}} | ({"finishReason": reason} if reason else {})
    return json.dumps({"candidates": [candidate]} | ({"usageMetadata": counts} if counts else {})).encode()


FIRST, LAST = chunk("Hel"), chunk("lo", "STOP", promptTokenCount=5, candidatesTokenCount=2)


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> None:
    formats = {f"gemini.{name}": URL for name in ("generate", "embeddings", "count_tokens")}
    target = msgspec.structs.replace(TARGET, provider="gemini", model="gem-x", formats=formats, usage_in_stream="ask")
    route = Route(endpoint_id="e-1", name="gem", targets=(target,), experiment_id="7", max_attempts=1)
    monkeypatch.setattr(fakes, "ROUTES", {"gem": route})


def asked(method: str, body: bytes = b'{"contents":[]}', format: str = "gemini.generate", query: str = "") -> Inbound:
    stream = method.startswith("stream")
    call = inbound(body, format, endpoint="gem")
    return msgspec.structs.replace(call, suffix=f":{method}", query=query, stream=stream)


async def streamed(world: World, query: str = "") -> tuple[Reply, bytes, bool]:
    """The reply, all that the client got, and whether it had its end."""
    reply = await world.relay(asked("streamGenerateContent", query=query))
    assert isinstance(reply.body, StreamBody)
    got = b""
    try:
        async for piece in reply.body:
            world.log.append(piece)
            got += piece
    except CutOff:
        return reply, got, False
    return reply, got, True


@pytest.mark.parametrize(
    ("call", "url", "body"),
    [
        (asked("generateContent"), f"{URL}:generateContent", b'{"contents":[]}'),
        (asked("streamGenerateContent", query="alt=sse"), f"{URL}:streamGenerateContent?alt=sse", b'{"contents":[]}'),
        (
            asked("countTokens", b'{"generateContentRequest":{"model":"models/gem"}}', "gemini.count_tokens"),
            f"{URL}:countTokens",
            b'{"generateContentRequest":{"model":"models/gem-x"}}',
        ),
        (
            asked("batchEmbedContents", b'{"requests":[{"model":"models/gem"}]}', "gemini.embeddings"),
            f"{URL}:batchEmbedContents",
            b'{"requests":[{"model":"models/gem-x"}]}',
        ),
    ],
    ids=["generate", "stream", "count", "embed"],
)
async def test_it_is_sent_where_its_path_says_with_the_targets_model(call: Inbound, url: str, body: bytes) -> None:
    world = World(200, JSON, [b"{}"])
    await world.relay(call)
    assert (world.transport.sent[0].url, world.transport.sent[0].body) == (url, body)


@pytest.mark.parametrize(("query", "accept"), [("", "application/json"), ("alt=sse", "text/event-stream")])
async def test_a_stream_is_asked_for_in_its_framing(query: str, accept: str) -> None:
    world = World(200, JSON, [LAST])
    await world.relay(asked("streamGenerateContent", query=query))
    assert world.transport.sent[0].headers["accept"] == accept


async def test_a_plain_answer_passes_and_is_counted() -> None:
    tier = (b"x-gemini-service-tier", b"flex")
    world = World(200, [*JSON, tier], [LAST])
    reply = await world.relay(asked("generateContent"))
    assert reply.body == LAST
    assert tier in reply.headers
    attempt = world.exchange.attempts[0]
    assert (attempt.usage, attempt.stop_reason, attempt.service_tier) == (Usage(input=5, output=2), "STOP", "flex")


async def test_a_count_of_tokens_is_booked_by_nobody() -> None:
    world = World(200, JSON, [b'{"totalTokens":31}'])
    reply = await world.relay(asked("countTokens", format="gemini.count_tokens"))
    assert reply.body == b'{"totalTokens":31}'
    assert (world.exchange.status, world.exchange.attempts[0].usage) == (Status.ok, Usage())


async def test_a_stream_of_events_is_settled_before_its_end_on_the_wire() -> None:
    world = World(200, SSE, [b"data: " + FIRST + b"\r\n\r\n", b"data: " + LAST + b"\r\n\r\n"])
    _, got, whole = await streamed(world, "alt=sse")
    assert (got, whole) == (b"data: " + FIRST + b"\r\n\r\ndata: " + LAST + b"\r\n\r\n", True)
    assert (world.exchange.status, world.exchange.attempts[0].usage) == (Status.ok, Usage(input=5, output=2))
    assert world.log.index("read end") < world.log.index("settle ok")


async def test_an_array_is_a_stream_though_it_is_labelled_as_json_and_settled_before_its_last_byte() -> None:
    world = World(200, JSON, [b"[" + FIRST, b"\n,\r\n" + LAST, b"\n]\n"])
    reply, got, whole = await streamed(world)
    assert (got, whole) == (b"[" + FIRST + b"\n,\r\n" + LAST + b"\n]\n", True)
    assert reply.headers[0] == JSON[0]
    assert (world.exchange.status, world.exchange.stream) == (Status.ok, True)
    assert world.log.index("settle ok") < world.log.index(b"\n]\n")
    assert world.content is not None
    assert json.loads(world.content.response or b"")["candidates"][0]["content"]["parts"] == [{"text": "Hello"}]


async def test_an_object_in_the_arrays_place_is_the_whole_answer() -> None:
    world = World(200, JSON, [LAST])
    _, got, whole = await streamed(world)
    assert (got, whole, world.exchange.status) == (LAST, True, Status.ok)
    assert world.exchange.attempts[0].usage == Usage(input=5, output=2)


@pytest.mark.parametrize("pieces", [[b"[" + FIRST], [b"[" + FIRST + b"\n,\r\n"]])
async def test_what_breaks_an_array_is_told_in_its_last_element(pieces: list[Any]) -> None:
    world = World(200, JSON, [*pieces, GONE])
    _, got, whole = await streamed(world)
    *chunks, last = json.loads(got)
    assert (len(chunks), last["error"]["status"], last["error"]["message"]) == (1, "UNAVAILABLE", "Gone.")
    assert (whole, world.exchange.status) == (False, Status.provider_gone)


async def test_what_breaks_a_stream_of_events_is_told_in_an_event() -> None:
    world = World(200, SSE, [b"data: " + FIRST + b"\r\n\r\n", GONE])
    _, got, whole = await streamed(world, "alt=sse")
    event = got.removeprefix(b"data: " + FIRST + b"\r\n\r\n")
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == 502
    assert (whole, world.exchange.status) == (False, Status.provider_gone)


@pytest.mark.parametrize("piece", [b"[" + FIRST + b"," + FIRST[:9], b"[" + FIRST + b"]"], ids=["amid an element", "after the array"])
async def test_where_no_element_may_follow_the_answer_is_cut(piece: bytes) -> None:
    world = World(200, JSON, [piece, GONE])
    _, got, whole = await streamed(world)
    assert (got, whole, world.exchange.status) == (piece, False, Status.provider_gone)


@pytest.mark.parametrize(("headers", "before", "after"), [(SSE, b"data: ", b"\n\n"), (JSON, b"[", b"]"), (JSON, b"", b"")])
async def test_a_stream_whose_first_word_is_an_error_gets_its_status(headers: Any, before: bytes, after: bytes) -> None:
    world = World(200, headers, [before + json.dumps(OVERLOADED).encode() + after])
    reply = await world.relay(asked("streamGenerateContent"))
    assert isinstance(reply.body, bytes)
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["code"], error["status"], error["message"]) == (503, 503, "UNAVAILABLE", "Overloaded.")


@pytest.mark.parametrize("listed", [False, True])
async def test_googles_own_refusal_passes_in_either_shape(listed: bool) -> None:
    body = json.dumps([OVERLOADED] if listed else OVERLOADED).encode()
    world = World(503, JSON, [body])
    reply = await world.relay(asked("streamGenerateContent"))
    assert (reply.status, reply.body, reply.headers) == (503, body, [*JSON, *NAMES])
    assert world.exchange.attempts[0].fault is not None
    assert world.exchange.attempts[0].fault.kind == "unavailable"


async def test_a_refusal_in_no_shape_of_googles_gets_one() -> None:
    world = World(502, [(b"content-type", b"text/html")], [b"<html>"])
    reply = await world.relay(asked("generateContent"))
    assert isinstance(reply.body, bytes)
    assert (reply.status, json.loads(reply.body)["error"]["status"]) == (502, "UNAVAILABLE")


async def test_a_body_that_names_a_model_twice_is_refused() -> None:
    world = World()
    reply = await world.relay(asked("embedContent", b'{"model":"a","model":"b"}', "gemini.embeddings"))
    assert isinstance(reply.body, bytes)
    assert (reply.status, json.loads(reply.body)["error"]["status"], world.transport.sent) == (400, "INVALID_ARGUMENT", [])
