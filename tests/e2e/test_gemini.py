"""Google's official client against a real gateway: generate, stream, count, embed, in both API versions; and streams without it."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from spangate.client import plain
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, PROVIDER_SECRET, Call, Gateway, until
from .invariant import expected_tokens

VERSIONS = ["v1beta", "v1"]
BASES = ["", "/gateway/gemini"]
TEXT = "Every token is counted once"


def client(gateway: Gateway, call: str, base: str = "", version: str | None = None) -> genai.Client:
    options = types.HttpOptions(base_url=gateway.url + base, api_version=version, headers={CALLER: call}, timeout=30_000)
    return genai.Client(api_key=ADMIN_KEY, http_options=options)


@pytest.fixture
def sdk(gateway: Gateway, call: str) -> Iterator[genai.Client]:
    made = client(gateway, call)
    yield made
    made.close()


def only_call(gateway: Gateway, call: str) -> Call:
    (row,) = until(lambda: [row for row in gateway.calls() if row.agent == call], 10, f"the ledger row of {call}")
    return row


def spans(gateway: Gateway, row: Call) -> list[dict[str, Any]]:
    return [plain(span.get("attributes", [])) for span in gateway.trace("tr-" + row.call_id.replace("-", ""))["spans"]]


def counted(row: Call) -> tuple[int | None, int | None]:
    return row.attempts[0].input_tokens, row.attempts[0].output_tokens


def headers_of(upstream: Upstream, call: str) -> dict[str, str]:
    return {name.lower(): value for name, value in upstream.request(call).headers}


# ---------------------------------------------------------------- generate


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("base", BASES)
def test_an_answer(gateway: Gateway, upstream: Upstream, call: str, base: str, version: str) -> None:
    with client(gateway, call, base, version) as sdk:
        answer = sdk.models.generate_content(model="gem", contents=f"Say. {mark(call, cached=8, reasoning=3)}")
    assert answer.text == TEXT
    expected = expected_tokens(call, cached=8, reasoning=3)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == sum(expected)
    row = only_call(gateway, call)
    assert (row.status, row.format, counted(row), row.attempts[0].cache_read_tokens) == ("ok", "gemini.generate", expected, 8)
    sent = upstream.request(call)
    assert sent.path == "/v1beta/models/gem-replay:generateContent"
    root, child = spans(gateway, row)
    assert root["mlflow.spanOutputs"]["candidates"][0]["content"]["parts"] == [{"text": TEXT}]
    assert root["mlflow.message.format"] == "gemini"
    assert (child["action"], child["gen_ai.operation.name"]) == ("gemini_generate_content", "generate_content")
    assert (child["gen_ai.response.id"], child["spangate.usage.reasoning"]) == (f"gem_{call}", 3)


def test_the_provider_is_shown_our_key_for_it_and_no_other(gateway: Gateway, upstream: Upstream, sdk: genai.Client, call: str) -> None:
    sdk.models.generate_content(model="gem", contents=mark(call))
    sent = headers_of(upstream, call)
    assert sent["x-goog-api-key"] == PROVIDER_SECRET
    assert "authorization" not in sent
    assert ADMIN_KEY not in str(sent)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stream(gateway: Gateway, upstream: Upstream, call: str, version: str) -> None:
    with client(gateway, call, version=version) as sdk:
        chunks = list(sdk.models.generate_content_stream(model="gem", contents=mark(call, n=20)))
    assert len(chunks) == 21
    row = only_call(gateway, call)
    assert (row.status, counted(row), row.attempts[0].provenance) == ("ok", expected_tokens(call), "reported")
    root, child = spans(gateway, row)
    answer = types.GenerateContentResponse.model_validate(root["mlflow.spanOutputs"])
    assert answer.text == "".join(chunk.text or "" for chunk in chunks)
    assert (child["action"], child["gen_ai.response.finish_reasons"]) == ("gemini_stream_generate_content", ["STOP"])


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # of Google's own making
async def test_an_asynchronous_stream(gateway: Gateway, sdk: genai.Client, call: str) -> None:
    stream = await sdk.aio.models.generate_content_stream(model="gem", contents=mark(call, n=9))
    text = "".join([chunk.text or "" async for chunk in stream])
    await sdk.aio.aclose()
    assert text.startswith(TEXT)
    assert only_call(gateway, call).status == "ok"


def test_a_stream_that_calls_a_tool(gateway: Gateway, sdk: genai.Client, call: str) -> None:
    chunks = list(sdk.models.generate_content_stream(model="gem", contents=mark(call, tool=True)))
    (called,) = [made for chunk in chunks for made in chunk.function_calls or []]
    assert (called.name, called.args) == ("weather", {"city": "Bern"})
    assert only_call(gateway, call).status == "ok"


# ---------------------------------------------------------------- count, embed, list


@pytest.mark.parametrize("version", VERSIONS)
def test_a_count_of_tokens_is_an_answer_and_no_usage(gateway: Gateway, call: str, version: str) -> None:
    with client(gateway, call, version=version) as sdk:
        said = sdk.models.count_tokens(model="gem", contents=mark(call))
    assert said.total_tokens == expected_tokens(call)[0]
    row = only_call(gateway, call)
    assert (row.status, row.format, counted(row), row.attempts[0].provenance) == ("ok", "gemini.count_tokens", (None, None), "unknown")


@pytest.mark.parametrize("version", VERSIONS)
def test_embeddings_of_a_batch(gateway: Gateway, upstream: Upstream, call: str, version: str) -> None:
    with client(gateway, call, version=version) as sdk:
        answer = sdk.models.embed_content(model="gem", contents=["one", mark(call, n=2, size=3)])
    assert [embedding.values for embedding in answer.embeddings or []] == [[-0.5, -0.4375, -0.375]] * 2
    sent = upstream.request(call)
    assert sent.path == "/v1beta/models/gem-replay:batchEmbedContents"
    assert [asked["model"] for asked in json.loads(sent.body)["requests"]] == ["models/gem-replay"] * 2
    row = only_call(gateway, call)
    assert (row.status, row.format, row.attempts[0].input_tokens) == ("ok", "gemini.embeddings", expected_tokens(call)[0])
    assert spans(gateway, row)[1]["action"] == "gemini_batch_embed_contents"


def test_one_embedding_with_no_byte_changed_but_the_models_name(gateway: Gateway, upstream: Upstream, call: str) -> None:
    body = f' {{ "content" : {{"parts":[{{"text":"{mark(call, size=3)}"}}]}},\n"model":"models/gem"}}'.encode()
    answer = post(gateway.port, call, "/v1beta/models/gem:embedContent", body)[2]
    assert json.loads(answer)["embedding"] == {"values": [-0.5, -0.4375, -0.375]}
    sent = upstream.request(call)
    assert sent.body == body.replace(b"models/gem", b"models/gem-replay")
    assert only_call(gateway, call).attempts[0].input_tokens == expected_tokens(call)[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_models_are_the_endpoints(gateway: Gateway, call: str, version: str) -> None:
    with client(gateway, call, version=version) as sdk:
        assert "models/gem" in [model.name for model in sdk.models.list()]
        assert sdk.models.get(model="gem").display_name == "gem"
        with pytest.raises(errors.ClientError, match="NOT_FOUND"):
            sdk.models.get(model="nobody")


def test_openais_client_reaches_gemini_too(gateway: Gateway, upstream: Upstream, chat: Any, call: str) -> None:
    answer = chat.chat.completions.create(model="gem", messages=[{"role": "user", "content": mark(call)}])
    assert answer.choices[0].message.content == TEXT
    assert upstream.request(call).path == "/v1beta/openai/chat/completions"
    sent = headers_of(upstream, call)
    assert (sent["x-goog-api-key"], "authorization" in sent) == (PROVIDER_SECRET, False)


# ---------------------------------------------------------------- without the client


def post(port: int, call: str, path: str, body: bytes, key: str | None = ADMIN_KEY) -> tuple[int, str, bytes, bool]:
    """Status, content type, body, and whether the body came to its end."""
    shown = {"content-type": "application/json", CALLER: call} | ({} if key is None else {"x-goog-api-key": key})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("POST", path, body, shown)
        with connection.getresponse() as answer:
            head = answer.status, answer.headers["content-type"]
            try:
                return *head, answer.read(), True
            except http.client.IncompleteRead as cut:
                return *head, cut.partial, False


def contents(call: str, **knobs: object) -> bytes:
    return json.dumps({"contents": [{"parts": [{"text": mark(call, **knobs)}]}]}).encode()


def test_a_stream_as_an_array(gateway: Gateway, upstream: Upstream, call: str) -> None:
    status, kind, answer, whole = post(gateway.port, call, "/v1beta/models/gem:streamGenerateContent", contents(call, n=20))
    assert (status, kind, whole) == (200, "application/json; charset=UTF-8", True)
    assert len(json.loads(answer)) == 21
    row = only_call(gateway, call)
    assert (row.status, counted(row), row.attempts[0].provenance) == ("ok", expected_tokens(call), "reported")
    root = spans(gateway, row)[0]
    said = "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in json.loads(answer))
    assert root["mlflow.spanOutputs"]["candidates"][0]["content"]["parts"] == [{"text": said}]


@pytest.fixture(scope="module")
def reference() -> Iterator[Upstream]:
    """Asked without a gateway between; its books are not looked at."""
    with Upstream() as running:
        yield running


@pytest.mark.parametrize("path", ["generateContent", "streamGenerateContent", "streamGenerateContent?alt=sse"])
@pytest.mark.parametrize("knobs", [{}, {"crlf": True, "n": 7}, {"n": 3, "size": 300_000}, {"pace": True}, {"tool": True}, {"status": 429}])
def test_the_bytes_are_the_providers(
    gateway: Gateway, upstream: Upstream, reference: Upstream, call: str, path: str, knobs: dict[str, object]
) -> None:
    body = contents(call, **knobs)
    ours = post(gateway.port, call, f"/v1beta/models/gem:{path}", body)
    assert ours == post(reference.port, call, f"/v1beta/models/gem-replay:{path}", body)
    assert upstream.request(call).body == body


@pytest.mark.parametrize(("query", "key"), [(f"?key={ADMIN_KEY}", None), ("", "wrong"), ("", None)])
def test_a_key_in_the_url_is_not_read(gateway: Gateway, call: str, query: str, key: str | None) -> None:
    status, _, answer, _ = post(gateway.port, call, f"/v1beta/models/gem:generateContent{query}", contents(call), key)
    assert status == 401
    said = json.loads(answer)["error"]
    assert (said["code"], said["status"]) == (401, "UNAUTHENTICATED")
    assert "x-goog-api-key" in said["message"]
    assert ADMIN_KEY not in gateway.log_text()


def test_what_else_is_in_the_query_does_not_go_up(gateway: Gateway, upstream: Upstream, call: str) -> None:
    path = f"/v1beta/models/gem:generateContent?key={ADMIN_KEY}&fields=candidates"
    assert post(gateway.port, call, path, contents(call))[0] == 200
    assert "?" not in upstream.request(call).path


# ---------------------------------------------------------------- endings


@pytest.mark.parametrize("query", ["", "?alt=sse"])
def test_hanging_up_midway_leaves_the_count_to_be_heard(gateway: Gateway, upstream: Upstream, call: str, query: str) -> None:
    """Google goes on and bills for it; so the gateway hears it to its end."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)) as connection:
        path = f"/v1beta/models/gem:streamGenerateContent{query}"
        connection.request("POST", path, contents(call, n=30, delay=0.05), {"x-goog-api-key": ADMIN_KEY, CALLER: call})
        assert connection.getresponse().read(300)
    row = only_call(gateway, call)
    assert (row.status, counted(row), row.attempts[0].provenance) == ("client_gone", expected_tokens(call), "drained")
    assert next(served for served in upstream.served() if served.id == call).events == 30
    assert "Every token" in str(spans(gateway, row)[0]["mlflow.spanOutputs"])


@pytest.mark.parametrize(("knobs", "status"), [({"drop": 5}, "provider_gone"), ({"err": 5}, "error"), ({"stall": 5}, "timeout")])
def test_a_fault_midway_raises(gateway: Gateway, sdk: genai.Client, call: str, knobs: dict[str, int], status: str) -> None:
    with pytest.raises(errors.ServerError):
        list(sdk.models.generate_content_stream(model="gem", contents=mark(call, n=20, **knobs)))
    assert only_call(gateway, call).status == status


@pytest.mark.parametrize(("knobs", "status"), [({"drop": 5}, "provider_gone"), ({"stall": 5}, "timeout")])
def test_a_fault_amid_an_array_is_its_last_element(gateway: Gateway, call: str, knobs: dict[str, int], status: str) -> None:
    _, _, answer, whole = post(gateway.port, call, "/v1beta/models/gem:streamGenerateContent", contents(call, n=20, **knobs))
    *chunks, last = json.loads(answer)
    row = only_call(gateway, call)
    assert (len(chunks), last["error"]["details"][1]["requestId"]) == (5, row.call_id)
    assert (whole, row.status) == (False, status)


@pytest.mark.parametrize("path", ["streamGenerateContent", "streamGenerateContent?alt=sse"])
def test_an_early_end_is_not_made_whole(gateway: Gateway, call: str, path: str) -> None:
    status, _, _, whole = post(gateway.port, call, f"/v1beta/models/gem:{path}", contents(call, n=20, end=5))
    assert (status, whole) == (200, True)
    row = only_call(gateway, call)
    assert (row.status, row.fault_kind) == ("provider_gone", "incomplete")


CALLS: dict[str, Callable[[genai.Client, str], object]] = {
    "generate": lambda sdk, said: sdk.models.generate_content(model="gem", contents=said),
    "stream": lambda sdk, said: list(sdk.models.generate_content_stream(model="gem", contents=said)),
    "count": lambda sdk, said: sdk.models.count_tokens(model="gem", contents=said),
    "embed": lambda sdk, said: sdk.models.embed_content(model="gem", contents=said),
}


@pytest.mark.parametrize("asked", CALLS)
def test_the_providers_errors_keep_their_status(gateway: Gateway, sdk: genai.Client, call: str, asked: str) -> None:
    with pytest.raises(errors.ClientError, match="replayed fault 400") as raised:
        CALLS[asked](sdk, mark(call, status=400))
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")
    row = only_call(gateway, call)
    assert (row.status, row.http_status) == ("error", 400)


def test_our_own_refusals_are_googles_errors(sdk: genai.Client) -> None:
    with pytest.raises(errors.ClientError, match="no endpoint named 'nobody'") as raised:
        sdk.models.generate_content(model="nobody", contents="hi")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_an_endpoint_that_does_not_speak_gemini_says_so(sdk: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as raised:
        sdk.models.generate_content(model="claude", contents="hi")
    assert raised.value.code == 400


@pytest.mark.parametrize("usage", ["null", "none", "negative", "absurd"])
def test_odd_usage_harms_nobody(gateway: Gateway, sdk: genai.Client, call: str, usage: str) -> None:
    list(sdk.models.generate_content_stream(model="gem", contents=mark(call, usage=usage)))
    row = only_call(gateway, call)
    assert row.status == "ok"
    assert row.attempts[0].provenance != "reported" or counted(row) == (None, None)
