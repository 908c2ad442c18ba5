"""The official SDKs as second opinion: what they make of a recorded stream is what our fold says."""

import json
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types
from openai._streaming import SSEDecoder

from spangate.wire.events import UsageReported
from spangate.wire.formats import FORMATS
from spangate.wire.framing.sse import Frames
from tests.contract.recorded import EVENTS, format_of, recorded


def replay(name: str, library: Any) -> Any:
    """An HTTP client whose every answer is the recording. OpenAI's SDK is built on httpx, Anthropic's on httpx2."""
    answer = library.Response(200, headers={"content-type": "text/event-stream"}, content=recorded(name))
    return library.Client(transport=library.MockTransport(lambda _: answer))


def folded(name: str) -> tuple[dict[str, Any], list[UsageReported]]:
    decoder = FORMATS[format_of(name)].decoder(1 << 20)
    events = decoder.feed(recorded(name))
    answer = decoder.answer()
    assert answer is not None
    return json.loads(answer[0]), [event for event in events if isinstance(event, UsageReported)]


@pytest.mark.parametrize("name", EVENTS)
def test_openais_reader_sees_the_same_data(name: str) -> None:
    body = recorded(name).removeprefix(b"\xef\xbb\xbf")
    theirs = [event.data for event in SSEDecoder().iter_bytes(iter([body])) if event.data]
    assert [frame.data.decode() for frame in Frames().feed(body) if frame.data] == theirs


@pytest.mark.parametrize("name", ["openai/text.sse", "openai/tools.sse", "openai/two_choices.sse"])
def test_openais_sdk_folds_alike(name: str) -> None:
    with (
        replay(name, httpx) as http,
        openai.OpenAI(api_key="k", base_url="https://example.com", http_client=http) as client,
        client.chat.completions.stream(model="m", messages=[]) as stream,
    ):
        for _ in stream:
            theirs = stream.current_completion_snapshot.model_dump()
    ours, reported = folded(name)
    assert len(ours["choices"]) == len(theirs["choices"])
    for mine, other in zip(ours["choices"], theirs["choices"], strict=True):
        assert mine["finish_reason"] == other["finish_reason"]
        assert mine["message"].get("content") == other["message"].get("content")
        assert [
            (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in mine["message"].get("tool_calls") or []
        ] == [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in other["message"].get("tool_calls") or []]
    assert reported[-1].usage.input == theirs["usage"]["prompt_tokens"]
    assert reported[-1].usage.output == theirs["usage"]["completion_tokens"]


def test_openais_sdk_reads_completions_alike() -> None:
    name = "completions/text.sse"
    with (
        replay(name, httpx) as http,
        openai.OpenAI(api_key="k", base_url="https://example.com", http_client=http) as client,
    ):
        chunks = list(client.completions.create(model="m", prompt="x", stream=True))
    ours, reported = folded(name)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == ours["choices"][0]["text"]
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (reported[-1].usage.input, reported[-1].usage.output)


@pytest.mark.parametrize("name", ["responses/text.sse", "responses/tools.sse"])
def test_openais_sdk_reads_responses_alike(name: str) -> None:
    with (
        replay(name, httpx) as http,
        openai.OpenAI(api_key="k", base_url="https://example.com", http_client=http) as client,
    ):
        events: list[Any] = list(client.responses.create(model="m", input="x", stream=True))
    ours, reported = folded(name)
    theirs = events[-1].response
    assert json.loads(theirs.model_dump_json(exclude_unset=True)) == ours
    assert (theirs.usage.input_tokens, theirs.usage.output_tokens) == (reported[-1].usage.input, reported[-1].usage.output)


@pytest.mark.parametrize("name", ["anthropic/text.sse", "anthropic/thinking_tools.sse"])
def test_anthropics_sdk_folds_alike(name: str) -> None:
    with (
        replay(name, httpx2) as http,
        anthropic.Anthropic(api_key="k", base_url="https://example.com", http_client=http) as client,
        client.messages.stream(model="m", max_tokens=1, messages=[]) as stream,
    ):
        theirs = stream.get_final_message().model_dump()
    ours, reported = folded(name)
    assert len(ours["content"]) == len(theirs["content"])
    for mine, other in zip(ours["content"], theirs["content"], strict=True):
        assert mine == {key: other[key] for key in mine}
    assert ours["stop_reason"] == theirs["stop_reason"]
    usage = theirs["usage"]
    assert reported[-1].usage.output == usage["output_tokens"]
    assert reported[-1].usage.input == usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]


@pytest.mark.parametrize("name", [name for name in EVENTS if name.startswith("gemini/") and name != "gemini/error.sse"])
def test_googles_sdk_says_the_same(name: str) -> None:
    """It does not fold streams, so its chunks' words are held against the fold, which it must be able to read as an answer."""
    with replay(name, httpx) as http:
        options = genai_types.HttpOptions(httpx_client=http, base_url="https://example.com")
        chunks = list(genai.Client(api_key="k", http_options=options).models.generate_content_stream(model="m", contents="hi"))
    ours, reported = folded(name)
    ours["usageMetadata"].pop("serviceTier", None)  # newer than this SDK
    answer = genai_types.GenerateContentResponse.model_validate(ours)
    assert (answer.text or "") == "".join(chunk.text or "" for chunk in chunks)
    assert answer.function_calls == ([call for chunk in chunks for call in chunk.function_calls or []] or None)
    theirs = chunks[-1].usage_metadata
    assert theirs is not None
    assert reported[-1].usage.total == theirs.total_token_count or theirs.total_token_count is None


def test_googles_sdk_raises_on_an_error_amid_a_stream() -> None:
    with replay("gemini/error.sse", httpx) as http:
        options = genai_types.HttpOptions(httpx_client=http, base_url="https://example.com")
        stream = genai.Client(api_key="k", http_options=options).models.generate_content_stream(model="m", contents="hi")
        assert next(stream).text == "Hello, w"
        with pytest.raises(genai_errors.ServerError, match="UNAVAILABLE"):
            next(stream)
