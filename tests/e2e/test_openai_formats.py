"""What else the official openai client says, against a real gateway: completions, embeddings, responses, plain and streamed."""

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from spangate.client import plain
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Call, Gateway, until
from .invariant import expected_tokens

BASES = ["/v1", "/gateway/openai/v1"]
TEXT = "Every token is counted once"


def client(gateway: Gateway, call: str, base: str = "/v1") -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.url + base, api_key=ADMIN_KEY, max_retries=0, timeout=30, default_headers={CALLER: call})


@pytest.fixture
def sdk(gateway: Gateway, call: str) -> Any:
    with client(gateway, call) as made:
        yield made


def only_call(gateway: Gateway, call: str) -> Call:
    rows = until(lambda: [row for row in gateway.calls() if row.agent == call], 10, f"the ledger row of {call}")
    (row,) = rows
    return row


def spans(gateway: Gateway, row: Call) -> list[dict[str, Any]]:
    return [plain(span.get("attributes", [])) for span in gateway.trace("tr-" + row.call_id.replace("-", ""))["spans"]]


def counted(row: Call) -> tuple[int | None, int | None]:
    return row.attempts[0].input_tokens, row.attempts[0].output_tokens


# ---------------------------------------------------------------- completions


@pytest.mark.parametrize("base", BASES)
def test_a_completion(gateway: Gateway, call: str, base: str) -> None:
    with client(gateway, call, base) as sdk:
        answer = sdk.completions.create(model="chat", prompt=f"Say. {mark(call, cached=8)}")
    assert answer.choices[0].text == TEXT
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == expected_tokens(call, cached=8)
    row = only_call(gateway, call)
    assert (row.status, row.format, counted(row), row.attempts[0].cache_read_tokens) == (
        "ok",
        "openai.completions",
        expected_tokens(call, cached=8),
        8,
    )
    root, child = spans(gateway, row)
    assert root["mlflow.spanOutputs"]["choices"][0]["text"] == TEXT
    assert (child["action"], child["gen_ai.operation.name"]) == ("openai_completions", "text_completion")


@pytest.mark.parametrize("ask", [True, False])
def test_a_streamed_completion(gateway: Gateway, sdk: openai.OpenAI, call: str, ask: bool) -> None:
    """It is counted whether or not the client asks, and only who asks sees it."""
    options: Any = {"stream_options": {"include_usage": True}} if ask else {}
    chunks = list(sdk.completions.create(model="chat", prompt=mark(call, n=20), stream=True, **options))
    assert bool([chunk for chunk in chunks if chunk.usage]) is ask
    row = only_call(gateway, call)
    assert (row.status, counted(row), row.attempts[0].provenance) == ("ok", expected_tokens(call), "reported")
    said = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert spans(gateway, row)[0]["mlflow.spanOutputs"]["choices"][0]["text"] == said


# ---------------------------------------------------------------- embeddings


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(gateway: Gateway, call: str, base: str, encoding: Any) -> None:
    asked: dict[str, Any] = {} if encoding == "base64" else {"encoding_format": encoding}  # base64 is the SDK's own wish
    with client(gateway, call, base) as sdk:
        answer = sdk.embeddings.create(model="chat", input=["one", mark(call, n=2, size=6)], **asked)
    assert [one.index for one in answer.data] == [0, 1]
    assert answer.data[1].embedding == [-0.5, -0.4375, -0.375, -0.3125, -0.25, -0.1875]
    assert answer.usage.prompt_tokens == expected_tokens(call)[0]
    row = only_call(gateway, call)
    assert (row.status, row.format, counted(row)) == ("ok", "openai.embeddings", (answer.usage.prompt_tokens, 0))
    _, child = spans(gateway, row)
    assert (child["action"], child["gen_ai.operation.name"]) == ("openai_embeddings", "embeddings")


def test_embeddings_over_mlflows_invocations(gateway: Gateway, call: str) -> None:
    asked = {"input": mark(call, n=1)}
    answer = gateway.rest.call("POST", "/gateway/chat/mlflow/invocations", asked, headers={CALLER: call})
    tokens = expected_tokens(call)[0]
    assert answer == {
        "object": "list",
        "data": [{"object": "embedding", "embedding": [-0.5, -0.4375, -0.375, -0.3125], "index": 0}],
        "model": "gpt-replay-2026-01-01",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    row = only_call(gateway, call)
    assert (row.status, row.format, counted(row)) == ("ok", "mlflow.embeddings", (tokens, 0))
    assert spans(gateway, row)[1]["method"] == "embeddings"


def test_stream_says_nothing_to_embeddings(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    answer = sdk.embeddings.create(model="chat", input=mark(call, n=3), extra_body={"stream": True})
    assert len(answer.data) == 3
    assert only_call(gateway, call).status == "ok"


# ---------------------------------------------------------------- responses


@pytest.mark.parametrize("base", BASES)
def test_a_response(gateway: Gateway, call: str, base: str) -> None:
    with client(gateway, call, base) as sdk:
        answer = sdk.responses.create(model="chat", input=f"Say. {mark(call, cached=8, reasoning=3)}")
    assert (answer.output_text, answer.status) == (TEXT, "completed")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == expected_tokens(call, cached=8, reasoning=3)
    row = only_call(gateway, call)
    assert (row.status, row.format, row.attempts[0].cache_read_tokens) == ("ok", "openai.responses", 8)
    assert counted(row) == expected_tokens(call, cached=8, reasoning=3)
    root, child = spans(gateway, row)
    assert root["mlflow.spanOutputs"]["output"][0]["content"][0]["text"] == TEXT
    assert (child["action"], child["gen_ai.response.id"], child["spangate.usage.reasoning"]) == ("openai_responses", f"resp_{call}", 3)


def test_a_streamed_response(gateway: Gateway, upstream: Upstream, sdk: openai.OpenAI, call: str) -> None:
    with sdk.responses.stream(model="chat", input=mark(call, n=30)) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.usage is not None
    assert (final.usage.input_tokens, final.usage.output_tokens) == expected_tokens(call)
    assert b"stream_options" not in upstream.request(call).body, "OpenAI refuses the option here"
    row = only_call(gateway, call)
    assert (row.status, counted(row), row.attempts[0].provenance) == ("ok", expected_tokens(call), "reported")
    root = spans(gateway, row)[0]
    assert root["mlflow.spanOutputs"]["output"][0]["content"][0]["text"] == final.output_text
    assert root["mlflow.spanOutputs"]["status"] == "completed"


def test_a_streamed_response_that_calls_a_tool(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    events: list[Any] = list(sdk.responses.create(model="chat", input=mark(call, tool=True), stream=True))
    assert events[-1].response.output[0].arguments == '{"city":"Bern"}'
    assert only_call(gateway, call).status == "ok"


def test_a_compaction(gateway: Gateway, sdk: openai.OpenAI, upstream: Upstream, call: str) -> None:
    answer = sdk.responses.compact(model="chat", input=mark(call))
    assert answer.object == "response.compaction"
    assert upstream.request(call).path == "/v1/responses/compact"
    row = only_call(gateway, call)
    assert (row.status, counted(row)) == ("ok", expected_tokens(call))
    assert spans(gateway, row)[1]["action"] == "openai_responses_compact"


def test_a_compaction_does_not_stream(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    with pytest.raises(openai.BadRequestError, match="does not stream"):
        sdk.responses.compact(model="chat", input=mark(call), extra_body={"stream": True})
    row = only_call(gateway, call)
    assert (row.status, row.http_status, row.attempts) == ("refused", 400, [])


# ---------------------------------------------------------------- endings

STREAMS: dict[str, Callable[[openai.OpenAI, str], Any]] = {
    "completions": lambda sdk, said: sdk.completions.create(model="chat", prompt=said, stream=True),
    "responses": lambda sdk, said: sdk.responses.create(model="chat", input=said, stream=True),
}
PLAIN: dict[str, Callable[[openai.OpenAI, str], Any]] = {
    "completions": lambda sdk, said: sdk.completions.create(model="chat", prompt=said),
    "responses": lambda sdk, said: sdk.responses.create(model="chat", input=said),
    "embeddings": lambda sdk, said: sdk.embeddings.create(model="chat", input=said),
}


@pytest.mark.parametrize("format", STREAMS)
def test_hanging_up_midway(gateway: Gateway, upstream: Upstream, sdk: openai.OpenAI, call: str, format: str) -> None:
    stream = STREAMS[format](sdk, mark(call, n=100, delay=0.05))
    for _, _event in zip(range(8), stream, strict=False):
        pass
    stream.close()
    left = time.monotonic()
    until(lambda: next(row for row in upstream.served() if row.id == call).outcome == "client_gone", 20, "the upstream was let go")
    assert time.monotonic() - left < 3
    row = only_call(gateway, call)
    assert (row.status, row.attempts[0].status) == ("client_gone", "client_gone")
    assert "Every token" in str(spans(gateway, row)[0]["mlflow.spanOutputs"]), "what was said until then"


@pytest.mark.parametrize(("knobs", "status"), [({"drop": 5}, "provider_gone"), ({"err": 5}, "error"), ({"stall": 5}, "timeout")])
@pytest.mark.parametrize("format", STREAMS)
def test_a_fault_midway_raises(gateway: Gateway, sdk: openai.OpenAI, call: str, format: str, knobs: dict[str, int], status: str) -> None:
    with pytest.raises(openai.APIError):
        list(STREAMS[format](sdk, mark(call, n=20, **knobs)))
    assert only_call(gateway, call).status == status


@pytest.mark.parametrize("format", STREAMS)
def test_an_early_end_is_not_made_whole(gateway: Gateway, sdk: openai.OpenAI, call: str, format: str) -> None:
    list(STREAMS[format](sdk, mark(call, n=20, end=5)))
    row = only_call(gateway, call)
    assert (row.status, row.fault_kind) == ("provider_gone", "incomplete")


@pytest.mark.parametrize("format", PLAIN)
def test_the_providers_errors_keep_their_status(gateway: Gateway, sdk: openai.OpenAI, call: str, format: str) -> None:
    with pytest.raises(openai.BadRequestError, match="replayed fault 400"):
        PLAIN[format](sdk, mark(call, status=400))
    row = only_call(gateway, call)
    assert (row.status, row.http_status) == ("error", 400)


@pytest.mark.parametrize("usage", ["null", "none", "negative", "absurd"])
@pytest.mark.parametrize("format", PLAIN)
def test_odd_usage_harms_nobody(gateway: Gateway, sdk: openai.OpenAI, call: str, format: str, usage: str) -> None:
    PLAIN[format](sdk, mark(call, usage=usage))
    row = only_call(gateway, call)
    assert (row.status, row.attempts[0].provenance) == ("ok", "estimated")
    given_in, given_out = counted(row)
    assert 0 < (given_in or 0) < 100, "of a short question, whatever the provider says"
    assert (given_out is None) == (format == "embeddings")
