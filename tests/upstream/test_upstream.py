"""The replay upstream, seen by the providers' own clients without any gateway."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from tests.upstream.faults import FAULTS
from tests.upstream.knobs import Knobs, knobs, mark
from tests.upstream.plays import Scene, answer
from tests.upstream.process import Upstream
from tests.upstream.server import Served


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def chat(upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=upstream.base, api_key="k", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def messages(upstream: Upstream) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=upstream.url, api_key="k", max_retries=0, timeout=20) as client:
        yield client


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def row(upstream: Upstream, call: str):
    (found,) = (r for r in upstream.served() if r.id == call)
    return found


def test_a_mark_says_what_happens_and_the_newest_wins() -> None:
    body = json.dumps({"messages": say(mark("old", n=1)) + say(mark("new", n=9, delay=0.5, done=False))}).encode()
    assert knobs(body, "gpt-replay;status=429") == Knobs(id="new", n=9, delay=0.5, done=False, status=429)


def test_no_two_marks_count_alike() -> None:
    assert len({Knobs(id=str(i)).tokens for i in range(500)}) > 490


def test_openai_plain_is_counted(upstream: Upstream, chat: openai.OpenAI) -> None:
    answer = chat.chat.completions.create(model="gpt-replay", messages=say(mark("op", cached=7, reasoning=2)))  # type: ignore[arg-type]
    served = row(upstream, "op")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (served.input, served.output)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 7
    assert (served.outcome, served.reported, answer.choices[0].finish_reason) == ("whole", True, "stop")


@pytest.mark.parametrize("ask", [True, False])
def test_openai_stream_sends_usage_when_asked(upstream: Upstream, chat: openai.OpenAI, ask: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if ask else {}
    chunks = list(chat.chat.completions.create(model="m", messages=say(mark(f"os{ask}", n=6)), stream=True, **options))  # type: ignore[call-overload]
    usages = [c.usage for c in chunks if c.usage]
    assert [bool(c.choices) for c in chunks].count(False) == len(usages) == int(ask)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Every token is counted once,"
    if ask:
        served = row(upstream, f"os{ask}")
        assert (usages[0].prompt_tokens, usages[0].completion_tokens) == (served.input, served.output)


def test_openai_tool_calls(chat: openai.OpenAI) -> None:
    answer = chat.chat.completions.create(model="m", messages=say(mark("ot", tool=True)))  # type: ignore[arg-type]
    assert answer.choices[0].message.tool_calls is not None
    assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {"city": "Bern"}  # type: ignore[union-attr]


@pytest.mark.parametrize("crlf", [True, False])
def test_anthropic_stream_folds_to_the_plain_answer(upstream: Upstream, messages: anthropic.Anthropic, crlf: bool) -> None:
    call = f"as{crlf}"
    text = mark(call, n=4, cached=5, written=3, crlf=crlf, comments=True)
    with messages.messages.stream(model="claude", max_tokens=99, messages=say(text)) as stream:  # type: ignore[arg-type]
        final = stream.get_final_message()
    plain = messages.messages.create(model="claude", max_tokens=99, messages=say(text))  # type: ignore[arg-type]
    assert final.content[0].text == plain.content[0].text == "Every token is counted"  # type: ignore[union-attr]
    served = upstream.served()[-1]
    assert final.usage.output_tokens == plain.usage.output_tokens == served.output
    assert final.usage.input_tokens == served.input - 8


@pytest.fixture
def gemini(upstream: Upstream) -> Iterator[genai.Client]:
    with genai.Client(api_key="k", http_options=types.HttpOptions(base_url=upstream.url, timeout=20_000)) as client:
        yield client


def test_gemini_stream_says_what_the_plain_answer_says(upstream: Upstream, gemini: genai.Client) -> None:
    text = mark("gs", n=4, cached=5, reasoning=3)
    chunks = list(gemini.models.generate_content_stream(model="gemini-replay", contents=text))
    plain = gemini.models.generate_content(model="gemini-replay", contents=text)
    assert "".join(chunk.text or "" for chunk in chunks) == plain.text == "Every token is counted"
    served = row_of(upstream, -1)
    for usage in (chunks[-1].usage_metadata, plain.usage_metadata):
        assert usage is not None
        counted = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count, usage.cached_content_token_count)
        assert counted == (served.input, served.output - 3, 3, 5)


def test_gemini_without_sse_is_an_array(upstream: Upstream) -> None:
    body = json.dumps({"contents": [{"parts": [{"text": mark("ga", n=3)}]}]}).encode()
    chunks = json.loads(post(upstream, body, "/v1beta/models/gemini-replay:streamGenerateContent"))
    assert [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks] == ["Every", " token", " is", ""]
    assert row(upstream, "ga").model == "gemini-replay"


def test_gemini_counts_and_embeds(upstream: Upstream, gemini: genai.Client) -> None:
    said = gemini.models.count_tokens(model="gemini-replay", contents=mark("gc"))
    assert (said.total_tokens, row(upstream, "gc").reported) == (row(upstream, "gc").input, False)
    embedded = gemini.models.embed_content(model="gemini-replay", contents=mark("ge", size=7))
    assert embedded.embeddings is not None
    assert [len(each.values or ()) for each in embedded.embeddings] == [7] * len(embedded.embeddings)


@pytest.mark.parametrize("stream", [True, False])
def test_errors_have_their_status(chat: openai.OpenAI, messages: anthropic.Anthropic, stream: bool) -> None:
    with pytest.raises(openai.RateLimitError) as slow:
        chat.chat.completions.create(model="m;status=429;retry_after=7", messages=say("x"), stream=stream)  # type: ignore[call-overload]
    assert slow.value.response.headers["retry-after"] == "7"
    with pytest.raises(anthropic.APIStatusError) as busy:
        messages.messages.create(model="m", max_tokens=9, messages=say(mark("a529", status=529)), stream=stream)  # type: ignore[call-overload]
    assert busy.value.status_code == 529


def row_of(upstream: Upstream, place: int) -> Served:
    return upstream.served()[place]


def raw(upstream: Upstream, text: str) -> bytes:
    body = json.dumps({"model": "m", "stream": True, "messages": say(text)}).encode()
    return post(upstream, body)


def post(upstream: Upstream, body: bytes, path: str = "/v1/chat/completions", **headers: str) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=5)) as connection:
        connection.request("POST", path, body, {"content-type": "application/json", **headers})
        with connection.getresponse() as answer:
            return answer.read()


def test_a_drop_is_seen_as_a_broken_wire(upstream: Upstream) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        raw(upstream, mark("d", n=9, drop=3))
    assert (row(upstream, "d").outcome, row(upstream, "d").events) == ("cut", 3)


def test_an_early_end_looks_like_an_end(upstream: Upstream) -> None:
    body = raw(upstream, mark("e", n=9, end=3))
    assert b"[DONE]" not in body
    assert b'"finish_reason":"stop"' not in body
    assert row(upstream, "e").outcome == "cut"


def test_no_done_but_whole(upstream: Upstream) -> None:
    body = raw(upstream, mark("nd", done=False, usage="choices"))
    assert b"[DONE]" not in body
    assert b'"finish_reason":"stop"}],"usage":{"prompt' in body
    assert row(upstream, "nd").reported


def test_an_error_midway(upstream: Upstream) -> None:
    body = raw(upstream, mark("em", n=9, err=2))
    assert body.endswith(b'data: {"error":{"message":"replayed fault midway","type":"server_error","param":null,"code":null}}\n\n')


def test_a_client_that_leaves_is_noticed(upstream: Upstream) -> None:
    body = json.dumps({"model": "m", "stream": True, "messages": say(mark("g", n=9, stall=2))}).encode()
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=5) as wire:
        wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        seen = b""
        while seen.count(b'"content":"') < 3:
            seen += wire.recv(65536)
    until = time.monotonic() + 5
    while row(upstream, "g").outcome == "open" and time.monotonic() < until:
        time.sleep(0.01)
    assert (row(upstream, "g").outcome, row(upstream, "g").events) == ("client_gone", 2)


def test_requests_are_kept_byte_for_byte(upstream: Upstream) -> None:
    body = b'{"model" :  "m","messages":[{"role":"user","content":"[[id=kept]]"}] , "extra":1.50}'
    post(upstream, body, **{"x-probe": "yes"})
    kept = upstream.request("kept")
    assert (kept.path, kept.header("x-probe"), kept.body) == ("/v1/chat/completions", "yes", body)


def test_a_fault_is_played_as_its_table_says(upstream: Upstream) -> None:
    """A test knows byte for byte what was sent, without asking."""
    body = json.dumps({"model": "gpt-replay", "stream": True, "messages": say(mark("pf", fault="junk-event"))}).encode()
    scene = Scene("openai.chat", True, "gpt-replay", Knobs(id="pf", fault="junk-event"), ask=False)
    assert post(upstream, body) == FAULTS["junk-event"].edit(answer(scene)).body
    assert b"[oops" in post(upstream, body)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_played_in_every_format(name: str) -> None:
    for format in ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate", "openai.embeddings"):
        for stream in (False, True):
            if FAULTS[name].expected(format, stream) is not None and not (stream and format == "openai.embeddings"):
                played = FAULTS[name].edit(answer(Scene(format, stream, "m", Knobs(id="x", fault=name))))
                assert played.steps(b"req_1") or played.headless
                assert played.outcome in ("whole", "cut", "refused")
