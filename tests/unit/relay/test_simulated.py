import base64
import json
import math
import struct
from typing import Any

import pytest
from google.genai.types import GenerateContentResponse
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.responses import CompactedResponse, Response

from spangate.relay.simulated import SimulatedTransport
from spangate.relay.upstream import Incoming, Outgoing
from spangate.wire.events import Ended, Event, Progressed, Started, Stopped, Tiered, UsageReported
from spangate.wire.formats import FORMATS
from spangate.wire.problems import Interrupted
from spangate.wire.usage import Usage

from .fakes import whole

BASE = "simulated://in-process/v1"
CHAT, MESSAGES = f"{BASE}/chat/completions", f"{BASE}/messages"
COMPLETIONS, EMBEDDINGS, RESPONSES = f"{BASE}/completions", f"{BASE}/embeddings", f"{BASE}/responses"
USAGE = Usage(input=2, output=13, cache_read=0, reasoning=0, audio_input=0, audio_output=0)


async def answer(url: str, **body: Any) -> Incoming:
    return await asked(url, **{"messages": [{"role": "user", "content": "hi there"}], **body})


async def asked(url: str, **body: Any) -> Incoming:
    said = json.dumps({"model": "m", **body}).encode()
    return await SimulatedTransport(now=lambda: 1_700_000_000.5).send(Outgoing(url=url, headers={}, body=said))


def streamed(format: str, stream: bytes) -> tuple[list[Event], dict[str, Any], bool]:
    decoder = FORMATS[format].decoder(1 << 20)
    events = [*decoder.feed(stream), *decoder.close()]
    folded = decoder.answer()
    assert folded is not None
    return events, json.loads(folded[0]), decoder.finished


async def test_openai_plain() -> None:
    incoming = await answer(CHAT)
    body = await whole(incoming)
    said = json.loads(body)
    assert incoming.status == 200
    assert dict(incoming.headers)[b"content-type"] == b"application/json"
    assert said["model"] == "simulated/m"
    assert said["created"] == 1_700_000_000
    assert said["choices"][0]["message"]["content"] == "This is a simulated answer: no model was called. You said: hi there"
    assert FORMATS["openai.chat"].parse_answer(body) == [
        Started(said["id"], "simulated/m"),
        Tiered("default"),
        UsageReported(USAGE),
        Stopped("stop"),
    ]


async def test_openai_stream_folds_to_the_plain_answer() -> None:
    plain = json.loads(await whole(await answer(CHAT)))
    stream = await whole(await answer(CHAT, stream=True, stream_options={"include_usage": True}))
    events, folded, finished = streamed("openai.chat", stream)
    assert finished
    assert [event for event in events if not isinstance(event, Started | Tiered)] == [
        Progressed(),
        Stopped("stop"),
        UsageReported(USAGE),
        Ended(),
    ]
    assert folded["choices"][0]["message"]["content"] == plain["choices"][0]["message"]["content"]
    assert folded["usage"] == plain["usage"]


async def test_openai_stream_says_usage_only_to_who_asks() -> None:
    assert b"usage" not in await whole(await answer(CHAT, stream=True))


async def test_anthropic_plain() -> None:
    body = await whole(
        await answer(MESSAGES, max_tokens=100, system="Be brief.", messages=[{"role": "user", "content": [{"text": "a b"}]}])
    )
    said = json.loads(body)
    assert said["usage"]["input_tokens"] == 4
    assert said["content"][0]["text"].endswith("You said: a b")
    assert (said["model"], said["stop_reason"]) == ("simulated/m", "end_turn")


async def test_anthropic_stream_folds_to_the_plain_answer() -> None:
    plain = json.loads(await whole(await answer(MESSAGES, max_tokens=100)))
    events, folded, finished = streamed("anthropic.messages", await whole(await answer(MESSAGES, max_tokens=100, stream=True)))
    assert finished
    assert Ended() in events
    assert {key: folded[key] for key in ("content", "stop_reason", "model", "role")} == {
        key: plain[key] for key in ("content", "stop_reason", "model", "role")
    }
    assert folded["usage"]["output_tokens"] == plain["usage"]["output_tokens"] == 13


async def test_completion_stream_folds_to_the_plain_answer() -> None:
    body = await whole(await asked(COMPLETIONS, prompt="hi there"))
    plain = json.loads(body)
    assert plain["choices"][0]["text"] == "This is a simulated answer: no model was called. You said: hi there"
    assert FORMATS["openai.completions"].parse_answer(body) == [Started(plain["id"], "simulated/m"), UsageReported(USAGE), Stopped("stop")]
    stream = await whole(await asked(COMPLETIONS, prompt="hi there", stream=True, stream_options={"include_usage": True}))
    events, folded, finished = streamed("openai.completions", stream)
    assert finished
    assert [event for event in events if not isinstance(event, Started)] == [Progressed(), Stopped("stop"), UsageReported(USAGE), Ended()]
    assert {**folded, "id": ""} == {**plain, "id": ""}
    assert b"usage" not in await whole(await asked(COMPLETIONS, prompt="hi there", stream=True))


async def test_embeddings_mean_nothing_and_are_the_same_for_the_same_text() -> None:
    body = await whole(await asked(EMBEDDINGS, input=["a b", "c", "a b"], dimensions=16, stream=True))
    said = json.loads(body)
    first, second, third = [one["embedding"] for one in said["data"]]
    assert (first, len(first), [one["index"] for one in said["data"]]) == (third, 16, [0, 1, 2])
    assert first != second
    assert math.hypot(*first) == pytest.approx(1, abs=1e-5)
    assert FORMATS["openai.embeddings"].parse_answer(body) == [Started(None, "simulated/m"), UsageReported(Usage(input=5, output=0))]


async def test_embeddings_in_base64_as_the_sdk_asks_for_them() -> None:
    plain = json.loads(await whole(await asked(EMBEDDINGS, input="a b")))["data"][0]["embedding"]
    packed = json.loads(await whole(await asked(EMBEDDINGS, input="a b", encoding_format="base64")))["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(packed)) == pytest.approx(plain)


async def test_response_stream_folds_to_the_plain_answer() -> None:
    given = {"instructions": "Be brief.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi there"}]}]}
    body = await whole(await asked(RESPONSES, **given))
    plain = json.loads(body)
    usage = Usage(input=4, output=13, cache_read=0, cache_write=0, reasoning=0)
    text = plain["output"][0]["content"][0]["text"]
    assert text.endswith("You said: hi there")
    assert FORMATS["openai.responses"].parse_answer(body) == [
        Started(plain["id"], "simulated/m"),
        Tiered("default"),
        UsageReported(usage),
        Stopped("completed"),
    ]
    events, folded, finished = streamed("openai.responses", await whole(await asked(RESPONSES, **given, stream=True)))
    assert finished
    assert events[1:] == [Tiered("default"), Progressed(), UsageReported(usage), Stopped("completed"), Ended()]
    assert (folded["output"][0]["content"][0]["text"], folded["usage"]) == (text, plain["usage"])


async def test_a_response_stops_at_the_limit() -> None:
    _, folded, _ = streamed("openai.responses", await whole(await asked(RESPONSES, input="hi", max_output_tokens=3, stream=True)))
    assert (folded["status"], folded["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


async def test_a_compaction_is_one_opaque_item() -> None:
    said = json.loads(await whole(await asked(RESPONSES + "/compact", input="hi there")))
    assert (said["object"], [one["type"] for one in said["output"]]) == ("response.compaction", ["compaction"])
    assert said["usage"]["input_tokens"] == 2


@pytest.mark.parametrize(
    ("kind", "url", "given"),
    [
        (Completion, "/completions", {"prompt": "hi"}),
        (CreateEmbeddingResponse, "/embeddings", {"input": "hi"}),
        (Response, "/responses", {"input": "hi"}),
        (CompactedResponse, "/responses/compact", {"input": "hi"}),
    ],
)
async def test_the_sdks_own_models_miss_nothing(kind: Any, url: str, given: dict[str, Any]) -> None:
    kind.model_validate_json(await whole(await asked(BASE + url, **given)))


@pytest.mark.parametrize(("url", "key", "reason"), [(CHAT, "max_tokens", "length"), (MESSAGES, "max_tokens", "max_tokens")])
async def test_stops_at_the_limit(url: str, key: str, reason: str) -> None:
    text = (await whole(await answer(url, **{key: 3}))).decode()
    assert "This is a" in text
    assert "simulated answer" not in text
    assert f'"{reason}"' in text


async def test_the_same_request_gives_the_same_bytes() -> None:
    assert await whole(await answer(CHAT, stream=True)) == await whole(await answer(CHAT, stream=True))


@pytest.mark.parametrize("url", [CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, MESSAGES])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"messages": []}', b'{"messages": 3}'])
async def test_bad_requests_are_refused_in_the_formats_shape(url: str, body: bytes) -> None:
    incoming = await SimulatedTransport().send(Outgoing(url=url, headers={}, body=body))
    assert incoming.status == 400
    said = json.loads(await whole(incoming))
    assert said["error"]["type"] == "invalid_request_error"
    assert ("type" in said) is (url == MESSAGES)


@pytest.mark.parametrize("content", [None, 3, [], [3], [{"type": "image"}], "\ud800 lone"])
async def test_odd_contents_are_answered(content: object) -> None:
    incoming = await answer(CHAT, messages=[{"role": "user", "content": content}, "odd"])
    assert incoming.status == 200
    assert await whole(incoming)


async def test_a_closed_answer_says_no_more() -> None:
    incoming = await answer(CHAT, stream=True)
    await incoming.piece()
    incoming.close()
    with pytest.raises(Interrupted):
        await incoming.piece()


# ---------------------------------------------------------------- gemini

GEMINI = f"{BASE}/models/flash%208b"
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}, {"text": "there"}]}]
SAID = "This is a simulated answer: no model was called. You said: hi there"


async def test_gemini_plain() -> None:
    body = await whole(await asked(GEMINI + ":generateContent", contents=CONTENTS))
    theirs = GenerateContentResponse.model_validate_json(body)
    assert (theirs.text, theirs.model_version) == (SAID, "simulated/flash 8b")
    assert FORMATS["gemini.generate"].parse_answer(body) == [
        Started(theirs.response_id, "simulated/flash 8b"),
        UsageReported(Usage(input=2, output=13)),
        Stopped("STOP"),
    ]


@pytest.mark.parametrize(
    ("query", "kind", "end"),
    [("?alt=sse", b"text/event-stream; charset=utf-8", []), ("", b"application/json; charset=UTF-8", [Ended()])],
)
async def test_gemini_streams_fold_to_the_plain_answer(query: str, kind: bytes, end: list[Event]) -> None:
    plain = json.loads(await whole(await asked(GEMINI + ":generateContent", contents=CONTENTS)))
    incoming = await asked(f"{GEMINI}:streamGenerateContent{query}", contents=CONTENTS)
    assert dict(incoming.headers)[b"content-type"] == kind
    events, folded, finished = streamed("gemini.generate", await whole(incoming))
    assert finished
    assert events[-1 - len(end) :] == [Stopped("STOP"), *end]
    assert folded == plain


async def test_gemini_stops_at_the_limit() -> None:
    asking = {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 3}}
    body = json.loads(await whole(await asked(GEMINI + ":generateContent", **asking)))
    assert body["candidates"][0] == {
        "content": {"parts": [{"text": "This is a"}], "role": "model"},
        "finishReason": "MAX_TOKENS",
        "index": 0,
    }


@pytest.mark.parametrize("asking", [{"contents": CONTENTS}, {"generateContentRequest": {"model": "models/m", "contents": CONTENTS}}])
async def test_gemini_counts_tokens(asking: Any) -> None:
    body = await whole(await asked(GEMINI + ":countTokens", **asking))
    assert json.loads(body) == {"totalTokens": 2, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}]}
    assert FORMATS["gemini.count_tokens"].parse_answer(body) == []


async def test_gemini_embeds_one_and_many() -> None:
    content = {"parts": [{"text": "hi there"}]}
    one = await whole(await asked(GEMINI + ":embedContent", content=content, outputDimensionality=3))
    requests = [{"model": "models/m", "content": content}] * 2
    many = await whole(await asked(GEMINI + ":batchEmbedContents", requests=requests))
    assert len(json.loads(one)["embedding"]["values"]) == 3
    assert [len(embedding["values"]) for embedding in json.loads(many)["embeddings"]] == [8, 8]
    assert FORMATS["gemini.embeddings"].parse_answer(one) == [UsageReported(Usage(input=2, output=0))]
    assert FORMATS["gemini.embeddings"].parse_answer(many) == [UsageReported(Usage(input=4, output=0))]


async def test_gemini_refuses_in_its_own_shape() -> None:
    incoming = await asked(GEMINI + ":generateContent")
    assert incoming.status == 400
    assert json.loads(await whole(incoming)) == {
        "error": {"code": 400, "message": "contents: it is required.", "status": "INVALID_ARGUMENT"}
    }


async def test_anthropic_counts_tokens() -> None:
    assert json.loads(await whole(await answer(MESSAGES + "/count_tokens"))) == {"input_tokens": 2}


@pytest.mark.parametrize(
    ("method", "url"),
    [("GET", f"{RESPONSES}/resp_1"), ("POST", f"{RESPONSES}/resp_1/cancel"), ("DELETE", RESPONSES), ("POST", f"{BASE}/files")],
)
async def test_what_it_said_is_not_there_to_be_read_again(method: str, url: str) -> None:
    incoming = await SimulatedTransport().send(Outgoing(url=url, headers={}, body=b"", method=method))
    assert incoming.status == 404
    assert "keeps nothing" in json.loads(await whole(incoming))["error"]["message"]
