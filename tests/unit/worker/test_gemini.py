"""The door's part of Gemini: its paths, its query, its lists of models, its refusals."""

import json
from typing import Any

import pytest

from spangate.worker.operations import about, listed, place, query_up, streams

from .test_ingress import KEY, SHOWN, Door

ROOTS = ["/v1beta", "/v1", "/gateway/gemini/v1beta", "/gateway/gemini/v1"]
METHODS = {
    "generateContent": ("gemini.generate", "gemini-generateContent", False),
    "streamGenerateContent": ("gemini.generate", "gemini-generateContent", True),
    "countTokens": ("gemini.count_tokens", "gemini-countTokens", False),
    "embedContent": ("gemini.embeddings", "gemini-embedContent", False),
    "batchEmbedContents": ("gemini.embeddings", "gemini-batchEmbedContents", False),
}


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("method", METHODS)
def test_a_path_says_the_endpoint_and_what_is_done(root: str, method: str) -> None:
    found = place(f"{root}/models/chat:{method}", b"")
    assert found is not None
    operation = found.operation("POST")
    assert operation is not None
    format, word, stream = METHODS[method]
    assert (operation.format, operation.request_type, operation.suffix) == (format, f"passthrough/model/{word}", f":{method}")
    assert (streams(operation, ""), operation.names_model, found.endpoint, found.allow) == (stream, True, "chat", "POST")


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1beta/models/llama3:8b:generateContent", "llama3:8b"),
        ("/v1/models/openai/gpt-5:countTokens", "openai/gpt-5"),
        ("/v1/models/größe 1:countTokens", "größe 1"),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine"),
    ],
)
def test_a_name_may_hold_anything(path: str, endpoint: str) -> None:
    found = place(path, b"")
    assert found is not None
    assert found.endpoint == endpoint


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/llama3:8b",
        "/v1/models/chat",
        "/v1beta/models/:generateContent",
        "/v1beta/models/chat:predict",
        "/v1beta/models/chat:generateContent/x",
        "/v1beta1/models/chat:generateContent",
        "/v1beta/files/chat:generateContent",
    ],
)
def test_what_is_no_operation_of_gemini(path: str) -> None:
    assert place(path, b"") is None


@pytest.mark.parametrize(
    ("query", "up"),
    [
        (b"", ""),
        (b"alt=sse", "alt=sse"),
        (b"alt=proto", ""),
        (b"key=AIzaSecret&alt=sse&$alt=x&fields=candidates", "alt=sse"),
        (b"key=AIzaSecret", ""),
    ],
)
def test_only_the_framing_goes_up(query: bytes, up: str) -> None:
    for method, expected in (("streamGenerateContent", up), ("countTokens", "")):
        found = place(f"/v1beta/models/chat:{method}", b"")
        assert found is not None
        assert query_up(found.operations["POST"], query) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models", (None, None)),
        ("/v1/models/a", (None, "a")),
        ("/v1beta/models", ("gemini.generate", None)),
        ("/v1beta/models/a", ("gemini.generate", "a")),
        ("/gateway/gemini/v1/models/a/b", ("gemini.generate", "a/b")),
        ("/gateway/mlflow/v1/models", ("mlflow.chat", None)),
        ("/v1beta/modelsx", None),
        ("/v1/tunedModels", None),
    ],
)
def test_lists_of_models(path: str, expected: object) -> None:
    assert listed(path) == expected


@pytest.mark.parametrize(("path", "status"), [("/v1beta/cachedContents", 404), ("/gateway/gemini/v1beta/files", 501)])
def test_what_is_not_served_is_told_in_geminis_words(path: str, status: int) -> None:
    assert about(path) == ("gemini.generate", status)


# ---------------------------------------------------------------- the door

GOOGLE = (b"x-goog-api-key", KEY)


def said(door: Door) -> Any:
    return json.loads(door.body)


async def test_a_call_goes_to_the_relay_with_what_its_path_says(door: Door) -> None:
    await door.request("POST", "/v1beta/models/a:streamGenerateContent", b"{}", [GOOGLE])
    (inbound,) = door.relay.calls
    assert (inbound.format, inbound.endpoint, inbound.suffix, inbound.query) == ("gemini.generate", "a", ":streamGenerateContent", "")
    assert (inbound.stream, inbound.names_model, inbound.body) == (True, True, b"{}")


@pytest.mark.parametrize("path", ["/v1beta/models/a:generateContent", "/v1/models/a:countTokens", "/v1beta/models"])
async def test_without_a_key_it_says_that_none_is_read_from_the_url(door: Door, path: str) -> None:
    await door.request("GET" if path.endswith("models") else "POST", path, b"{}", [])
    assert (door.status, door.relay.calls) == (401, [])
    assert (said(door)["error"]["code"], said(door)["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert "never read from the URL" in said(door)["error"]["message"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1beta/models", [SHOWN]),
        ("/gateway/gemini/v1beta/models", [SHOWN]),
        ("/v1/models", [GOOGLE]),
        ("/v1/models", [SHOWN, (b"x-goog-api-client", b"google-genai-sdk/1")]),
    ],
)
async def test_models_in_geminis_shape_for_its_paths_and_clients(door: Door, path: str, headers: Any) -> None:
    await door.request("GET", path, headers=headers)
    assert (door.status, [model["name"] for model in said(door)["models"]]) == (200, ["models/a", "models/b"])


async def test_one_model_in_geminis_shape(door: Door) -> None:
    await door.request("GET", "/v1beta/models/a")
    assert (door.status, said(door)["name"]) == (200, "models/a")


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("GET", "/v1beta/models/nobody", 404, "NOT_FOUND"),
        ("POST", "/v1beta/models", 405, "UNIMPLEMENTED"),
        ("GET", "/v1beta/models/a:predict", 404, "NOT_FOUND"),
        ("GET", "/v1beta/files", 404, "NOT_FOUND"),
    ],
)
async def test_refusals_are_in_googles_words(door: Door, method: str, path: str, status: int, word: str) -> None:
    await door.request(method, path)
    assert (door.status, said(door)["error"]["status"]) == (status, word)


async def test_a_call_takes_post_only(door: Door) -> None:
    await door.request("GET", "/v1/models/a:generateContent")
    assert (door.status, door.headers[b"allow"], door.relay.refusals[0][1].kind) == (405, b"POST", "method_not_allowed")
