"""OpenAI's other formats on their way through the engine: where they are sent, what is asked for, and what an answer stands for."""

import json

import msgspec
import pytest

from spangate.exchange import Reply, Route, Status
from spangate.wire.usage import Usage

from . import fakes
from .fakes import JSON, SSE, TARGET, World, inbound

VECTORS = (
    b'{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.10, -2e-3]}], "model": "e-1", "extra": 1,'
    b' "usage": {"prompt_tokens": 5, "total_tokens": 5}}'
)
FAILED = {"id": "resp_1", "object": "response", "status": "failed", "error": {"code": "server_error", "message": "No."}, "output": []}
COMPLETED = (
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[]}}\n\n'
)


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {"completions": "/completions", "embeddings": "/embeddings", "responses": "/responses", "chat": "/chat/completions"}
    target = msgspec.structs.replace(TARGET, formats={f"openai.{name}": f"https://p/v1{path}" for name, path in paths.items()})
    route = Route(endpoint_id="e-1", name="all", targets=(target,), experiment_id="7", max_attempts=1)
    monkeypatch.setattr(fakes, "ROUTES", {"all": route})


def said(reply: Reply) -> object:
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body)


@pytest.mark.parametrize(
    ("format", "sent"),
    [
        ("openai.chat", b'{"stream_options":{"include_usage":true},"model":"gpt-x","stream":true}'),
        ("openai.completions", b'{"stream_options":{"include_usage":true},"model":"gpt-x","stream":true}'),
        ("openai.responses", b'{"model":"gpt-x","stream":true}'),
        ("openai.embeddings", b'{"model":"gpt-x","stream":true}'),
    ],
)
async def test_usage_is_asked_for_only_where_the_option_is_known(format: str, sent: bytes) -> None:
    world = World(200, SSE, [b"data: [DONE]\n\n"])
    await world.call(b'{"model":"all","stream":true}', format)
    assert world.transport.sent[0].body == sent


async def test_embeddings_pass_and_are_counted() -> None:
    world = World(200, JSON, [VECTORS])
    reply = await world.call(b'{"model":"all","input":"x","stream":true}', "openai.embeddings")
    assert reply.body == VECTORS
    assert world.transport.sent[0].headers["accept"] == "application/json"
    assert world.exchange.stream is False
    assert world.exchange.attempts[0].usage == Usage(input=5, output=0)


async def test_unified_embeddings_are_normalised_and_their_numbers_untouched() -> None:
    world = World(200, JSON, [VECTORS])
    reply = await world.call(b'{"input":"x"}', "mlflow.embeddings", endpoint="all")
    assert world.transport.sent[0].url == "https://p/v1/embeddings"
    assert reply.body == (
        b'{"object":"list","data":[{"object":"embedding","embedding":[0.10, -2e-3],"index":0}],"model":"e-1",'
        b'"usage":{"prompt_tokens":5,"total_tokens":5}}'
    )
    assert world.content is not None
    assert world.content.response == reply.body


@pytest.mark.parametrize("headers", [JSON, SSE])
@pytest.mark.parametrize("body", [b"{}", b'{"data": 5}', b'{"data": [{"index": 0}]}'])
async def test_unified_embeddings_that_are_none_are_a_502(headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    world = World(200, headers, [body])
    reply = await world.call(b'{"input":"x"}', "mlflow.embeddings", endpoint="all")
    assert (reply.status, world.exchange.status) == (502, Status.error)


async def test_a_compaction_goes_to_its_own_url_and_refuses_a_stream() -> None:
    asked = msgspec.structs.replace(inbound(b'{"model":"all"}', "openai.responses"), suffix="/compact")
    world = World(200, JSON, [b'{"id":"resp_1","object":"response.compaction","output":[],"usage":{"input_tokens":2,"output_tokens":1}}'])
    assert (await world.relay(asked)).status == 200
    assert world.transport.sent[0].url == "https://p/v1/responses/compact"
    assert (world.exchange.status, world.exchange.attempts[0].usage) == (Status.ok, Usage(input=2, output=1))
    world = World(200, JSON, [b"{}"])
    reply = await world.relay(msgspec.structs.replace(asked, body=b'{"model":"all","stream":true}'))
    assert (reply.status, world.transport.sent, world.exchange.status) == (400, [], Status.refused)


async def test_a_response_that_says_that_it_failed_stays_a_200_and_is_no_happy_end() -> None:
    body = json.dumps(FAILED).encode()
    world = World(200, JSON, [body])
    reply = await world.call(b'{"model":"all"}', "openai.responses")
    assert (reply.status, reply.body) == (200, body)
    exchange = world.exchange
    assert (exchange.status, exchange.http_status, exchange.fault and exchange.fault.kind) == (Status.error, 200, "server_error")


async def test_an_error_without_a_response_gets_a_real_status() -> None:
    world = World(200, JSON, [b'{"error": {"message": "Slow down.", "type": "rate_limit_error", "code": null}}'])
    reply = await world.call(b'{"model":"all"}', "openai.responses")
    assert (reply.status, world.exchange.http_status) == (429, 429)


async def test_a_streamed_response_is_settled_before_its_last_event_leaves() -> None:
    begun = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1","status":"in_progress"}}\n\n'
    world = World(200, SSE, [begun, COMPLETED])
    _, got, whole = await world.stream(b'{"model":"all","stream":true}', "openai.responses")
    assert (got, whole) == ([begun, COMPLETED], True)
    assert world.log.index("settle ok") < world.log.index(COMPLETED)
    assert world.exchange.attempts[0].stop_reason == "completed"


async def test_a_response_without_its_last_event_is_the_providers_fault() -> None:
    world = World(200, SSE, [b'data: {"type":"response.output_text.delta","delta":"a"}\n\n', b"data: [DONE]\n\n"])
    await world.stream(b'{"model":"all","stream":true}', "openai.responses")
    assert world.exchange.status is Status.provider_gone
    assert said(Reply(status=200, headers=[], body=(world.content and world.content.response) or b"")) == {
        "id": None,
        "object": "response",
        "output": [{"content": [{"type": "output_text", "text": "a"}]}],
    }
