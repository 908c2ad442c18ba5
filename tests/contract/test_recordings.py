"""What each recorded stream says: its events and its fold, as whole values, read with and without folding."""

import json

import pytest

from spangate.wire.events import Ended, Event, Failed, Progressed, Started, Stopped, Tiered, UsageReported
from spangate.wire.formats import FORMATS
from spangate.wire.usage import Usage
from tests.contract import gemini
from tests.contract.recorded import STREAMS, format_of, recorded

GPT = "gpt-4o-mini-2024-07-18"
GPT5 = "gpt-5-mini-2025-08-07"
INSTRUCT = "gpt-3.5-turbo-instruct:20230824-v2"
SONNET = "claude-sonnet-4-5-20250929"


def said(**usage: int) -> UsageReported:
    return UsageReported(Usage(**usage))  # type: ignore[arg-type]


EVENTS: dict[str, list[Event]] = {
    "openai/text.sse": [
        Started("chatcmpl-AbC1", GPT),
        Tiered("default"),
        Progressed(),
        Stopped("stop"),
        said(input=2006, output=300, cache_read=1920, reasoning=0, audio_input=0, audio_output=0),
        Ended(),
    ],
    "openai/tools.sse": [
        Started("chatcmpl-AbC1", GPT),
        Progressed(),
        Stopped("tool_calls"),
        said(input=81, output=32),
        Ended(),
    ],
    "openai/reasoning.sse": [
        Started("ds-1", "deepseek-reasoner"),
        Progressed(),
        said(input=21, output=15, cache_read=16, reasoning=12),
        Stopped("stop"),
        Ended(),
    ],
    "openai/no_done.sse": [Started("req_0", "tiny-random-llama@main"), Progressed(), said(input=9, output=2), Stopped("length")],
    # xAI's completion_tokens leave reasoning out; total_tokens shows it.
    "openai/comments.sse": [
        Started("gen-1", "x-ai/grok-4"),
        Progressed(),
        Stopped("stop"),
        said(input=12, output=108, cache_read=4, cache_write=2, reasoning=105),
        Ended(),
    ],
    "openai/filters.sse": [Started("chatcmpl-AbC1", GPT), Progressed(), Stopped("stop"), said(input=5, output=1), Ended()],
    "openai/two_choices.sse": [Started("chatcmpl-AbC1", GPT), Progressed(), Stopped("length"), said(input=3, output=4), Ended()],
    "openai/error.sse": [
        Started("chatcmpl-AbC1", GPT),
        Progressed(),
        Failed("server_error", "The server had an error while processing your request. Sorry about that!"),
    ],
    "openai/odd.sse": [Started("o1", "m"), Progressed(), Stopped("stop"), said(input=4, output=3), Ended()],
    "openai/small.sse": [Started("s", None), Progressed(), Stopped("stop"), said(input=1, output=2), Ended()],
    "completions/text.sse": [Started("cmpl-1", INSTRUCT), Progressed(), Stopped("length"), said(input=5, output=7), Ended()],
    "completions/two_choices.sse": [
        Started("cmpl-2", "facebook/opt"),
        Progressed(),
        said(input=2, output=4),
        Stopped("stop"),
        Ended(),
    ],
    "completions/small.sse": [Started("s", None), Progressed(), Stopped("stop"), said(input=1, output=2), Ended()],
    "responses/text.sse": [
        Started("resp_1", GPT5),
        Progressed(),
        Tiered("default"),
        said(input=2006, output=300, cache_read=1920, reasoning=128),
        Stopped("completed"),
        Ended(),
    ],
    "responses/tools.sse": [
        Started("resp_1", GPT5),
        Progressed(),
        said(input=60, output=21, cache_read=0, reasoning=0),
        Stopped("completed"),
        Ended(),
    ],
    "responses/incomplete.sse": [
        Started("resp_1", GPT5),
        Progressed(),
        said(input=9, output=16, cache_read=0, reasoning=16),
        Stopped("max_output_tokens"),
        Ended(),
    ],
    "responses/failed.sse": [
        Started("resp_1", GPT5),
        Progressed(),
        Failed("server_error", "The model failed to generate a response."),
        Ended(),
    ],
    "responses/cut.sse": [Started("resp_1", GPT5), Progressed()],
    "responses/error.sse": [Started("resp_1", GPT5), Progressed(), Failed("rate_limit_exceeded", "Slow down.")],
    "responses/small.sse": [Progressed(), Started("s", None), said(input=1, output=2), Stopped("completed"), Ended()],
    "anthropic/text.sse": [
        Started("msg_01", SONNET),
        Tiered("standard"),
        said(input=25, cache_read=0, cache_write=0, cache_write_5m=0, cache_write_1h=0),
        Progressed(),
        said(input=25, output=15, cache_read=0, cache_write=0, cache_write_5m=0, cache_write_1h=0),
        Stopped("end_turn"),
        Ended(),
    ],
    "anthropic/thinking_tools.sse": [
        Started("msg_01", SONNET),
        Tiered("standard"),
        said(input=4710, cache_read=4000, cache_write=700, cache_write_5m=200, cache_write_1h=500),
        Progressed(),
        said(input=4710, output=89, cache_read=4000, cache_write=700, cache_write_5m=200, cache_write_1h=500, reasoning=40),
        Stopped("tool_use"),
        Ended(),
    ],
    "anthropic/citations.sse": [
        Started("msg_01", SONNET),
        said(input=5),
        Progressed(),
        said(input=2000, output=44),
        Stopped("end_turn"),
        Ended(),
    ],
    "anthropic/error.sse": [Started("msg_01", SONNET), said(input=9), Progressed(), Failed("overloaded_error", "Overloaded")],
    "anthropic/odd.sse": [
        Started("msg_2", "c"),
        said(input=3),
        Progressed(),
        said(input=3, output=6),
        Stopped("max_tokens"),
        Ended(),
    ],
    "anthropic/small.sse": [Started("s", None), said(input=1), said(input=1, output=2), Stopped("é"), Ended()],
}


def choice(message: dict[str, object], reason: str | None, **more: object) -> dict[str, object]:
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason, **more}


def completion(*choices: dict[str, object], usage: object = None, **more: object) -> dict[str, object]:
    head = {"id": "chatcmpl-AbC1", "object": "chat.completion", "created": 1763800000, "model": GPT}
    return {**head, **more, "choices": list(choices), **({"usage": usage} if usage else {})}


def message(content: list[object], reason: str | None, usage: object, **more: object) -> dict[str, object]:
    head = {"id": "msg_01", "type": "message", "role": "assistant", "model": SONNET, "content": content}
    return {**head, "stop_reason": reason, "stop_sequence": None, **more, "usage": usage}


def spoken(text: str, reason: str | None, index: int = 0, **more: object) -> dict[str, object]:
    return {"index": index, "text": text, "finish_reason": reason, **more}


def old_logprobs(*tokens: tuple[str, float]) -> dict[str, object]:
    return {
        "tokens": [token for token, _ in tokens],
        "token_logprobs": [number for _, number in tokens],
        "top_logprobs": [{token: number} for token, number in tokens],
        "text_offset": [0 for _ in tokens],
    }


def text_completion(*choices: dict[str, object], usage: object, **head: object) -> dict[str, object]:
    return {**head, "object": "text_completion", "choices": list(choices), "usage": usage}


def response(status: str, *output: dict[str, object], **more: object) -> dict[str, object]:
    head = {"id": "resp_1", "object": "response", "created_at": 1763800000, "status": status, "model": GPT5}
    return {**head, "error": None, "incomplete_details": None, **more, "output": list(output)}


def spent(given: int, cached: int, made: int, reasoning: int) -> dict[str, object]:
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": given + made,
    }


def output_message(status: str, text: str, *annotations: object) -> dict[str, object]:
    part = {"type": "output_text", "annotations": list(annotations), "logprobs": [], "text": text}
    return {"id": "msg_1", "type": "message", "status": status, "content": [part], "role": "assistant"}


THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hmm."}]}
CITED = {"type": "url_citation", "start_index": 0, "end_index": 5, "url": "https://example.com/", "title": "T"}
TOOLS = [{"type": "function", "name": "get_weather"}]


def logprob(token: str, number: float) -> dict[str, object]:
    return {"token": token, "logprob": number, "bytes": list(token.encode()), "top_logprobs": []}


def logprobs(*tokens: tuple[str, float]) -> dict[str, object]:
    return {"content": [logprob(*token) for token in tokens], "refusal": None}


SAFE = {"hate": {"filtered": False, "severity": "safe"}}

ANSWERS: dict[str, dict[str, object]] = {
    "openai/text.sse": completion(
        choice({"content": "Hello, wörld 🌍", "refusal": None}, "stop", logprobs=None),
        service_tier="default",
        system_fingerprint="fp_1",
        usage={
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    ),
    "openai/tools.sse": completion(
        choice(
            {
                "content": None,
                "tool_calls": [
                    {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Köln"}'}},
                    {"id": "call_b", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
                ],
                "refusal": None,
            },
            "tool_calls",
            logprobs=None,
        ),
        usage={"prompt_tokens": 81, "completion_tokens": 32, "total_tokens": 113},
    ),
    "openai/reasoning.sse": completion(
        choice({"content": "4", "reasoning_content": "Two and two."}, "stop", logprobs=None),
        id="ds-1",
        model="deepseek-reasoner",
        system_fingerprint="fp_ds",
        usage={
            "prompt_tokens": 21,
            "completion_tokens": 15,
            "total_tokens": 36,
            "prompt_cache_hit_tokens": 16,
            "prompt_cache_miss_tokens": 5,
            "completion_tokens_details": {"reasoning_tokens": 12},
        },
    ),
    "openai/no_done.sse": completion(
        choice({"content": "ab cd"}, "length"),
        id="req_0",
        created=1763800001,
        model="tiny-random-llama@main",
        system_fingerprint="",
        usage={"completion_tokens": 2, "prompt_tokens": 9, "total_tokens": 11},
    ),
    "openai/comments.sse": completion(
        choice(
            {
                "content": "Yes",
                "reasoning": "Hmm.",
                "reasoning_details": [{"type": "reasoning.text", "text": "Hmm.", "format": "xai-1", "index": 0}],
            },
            "stop",
            logprobs=None,
        ),
        id="gen-1",
        model="x-ai/grok-4",
        provider="xAI",
        usage={
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 105},
        },
    ),
    "openai/filters.sse": completion(
        choice({"content": "Ok", "refusal": None}, "stop", logprobs=None, content_filter_results=SAFE),
        prompt_filter_results=[{"prompt_index": 0, "content_filter_results": SAFE}],
        usage={"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
    ),
    "openai/two_choices.sse": completion(
        choice({"content": "Aa"}, "stop", logprobs=logprobs(("A", -0.1), ("a", -0.3))),
        {**choice({"content": "Bb"}, "length", logprobs=logprobs(("B", -0.2), ("b", -0.4))), "index": 1},
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    ),
    "openai/error.sse": completion(choice({"content": "Hel"}, None, logprobs=None)),
    "openai/odd.sse": completion(
        choice({"content": "😀😀 \0!"}, "stop", logprobs={"x": None}),
        id="o1",
        created=1,
        model="m",
        usage={"prompt_tokens": 4, "completion_tokens": 3},
    ),
    "openai/small.sse": {
        "id": "s",
        "object": "chat.completion",
        "choices": [choice({"content": "é"}, "stop")],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    },
    "completions/text.sse": text_completion(
        spoken("\n\nThis is wörld 🌍", "length", logprobs=None),
        id="cmpl-1",
        created=1763800000,
        model=INSTRUCT,
        usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    ),
    "completions/two_choices.sse": text_completion(
        spoken("Aa", "stop", logprobs=old_logprobs(("A", -0.5), ("a", -1.5))),
        spoken("Bb", "stop", 1, logprobs=old_logprobs(("B", -0.25), ("b", -2.5)), stop_reason=None),
        id="cmpl-2",
        created=1,
        model="facebook/opt",
        usage={"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
    ),
    "completions/small.sse": text_completion(spoken("é", "stop"), id="s", usage={"prompt_tokens": 1, "completion_tokens": 2}),
    "responses/text.sse": response(
        "completed",
        THOUGHT,
        output_message("completed", "Hello, wörld 🌍", CITED),
        usage=spent(2006, 1920, 300, 128),
        service_tier="default",
    ),
    "responses/tools.sse": response(
        "completed",
        {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "arguments": '{"city":"Köln"}',
            "call_id": "call_a",
            "name": "get_weather",
        },
        usage=spent(60, 0, 21, 0),
        tools=TOOLS,
    ),
    "responses/incomplete.sse": response(
        "incomplete",
        output_message("incomplete", "Hel"),
        incomplete_details={"reason": "max_output_tokens"},
        usage=spent(9, 0, 16, 16),
    ),
    # Its last event repeats nothing of what was said: that stays.
    "responses/failed.sse": response(
        "failed",
        output_message("in_progress", "Hel"),
        error={"code": "server_error", "message": "The model failed to generate a response."},
    ),
    "responses/cut.sse": response("in_progress", THOUGHT, output_message("in_progress", "Hello, wörld 🌍")),
    "responses/error.sse": response("in_progress", output_message("in_progress", "Hel")),
    "responses/small.sse": {
        "id": "s",
        "object": "response",
        "status": "completed",
        "output": [{"content": [{"type": "output_text", "text": "é"}]}],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
    "anthropic/text.sse": message(
        [{"type": "text", "text": "Hello, wörld 🌍"}],
        "end_turn",
        {
            "input_tokens": 25,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 15,
            "service_tier": "standard",
        },
    ),
    "anthropic/thinking_tools.sse": message(
        [
            {"type": "thinking", "thinking": "Let me see.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk"},
            {"type": "text", "text": "Asking."},
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln"}},
            {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        ],
        "tool_use",
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 700,
            "cache_read_input_tokens": 4000,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
            "output_tokens": 89,
            "service_tier": "standard",
            "output_tokens_details": {"thinking_tokens": 40},
        },
        container=None,
    ),
    "anthropic/citations.sse": message(
        [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "grass"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [{"type": "web_search_result", "url": "https://example.com/", "title": "T", "encrypted_content": "Eo8="}],
            },
            {
                "type": "text",
                "text": "Green.",
                "citations": [
                    {
                        "type": "char_location",
                        "cited_text": "The grass is green.",
                        "document_index": 0,
                        "document_title": "D",
                        "start_char_index": 0,
                        "end_char_index": 20,
                    }
                ],
            },
            {"type": "novelty", "colour": "green", "shade": 3},
        ],
        "end_turn",
        {"input_tokens": 2000, "output_tokens": 44, "cache_read_input_tokens": None, "server_tool_use": {"web_search_requests": 1}},
        context_management={"applied_edits": []},
    ),
    "anthropic/error.sse": message([{"type": "text", "text": "Hel"}], None, {"input_tokens": 9}),
    "anthropic/odd.sse": {
        "id": "msg_2",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [{"text": "no start €😀"}],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 3, "output_tokens": 6},
    },
    "anthropic/small.sse": {"id": "s", "content": [], "stop_reason": "é", "usage": {"input_tokens": 1, "output_tokens": 2}},
}


EVENTS |= gemini.EVENTS
ANSWERS |= gemini.ANSWERS


@pytest.mark.parametrize("fold_limit", [0, 1 << 20], ids=["unfolded", "folded"])
@pytest.mark.parametrize("name", STREAMS)
def test_the_recorded_stream_says_these_events(name: str, fold_limit: int) -> None:
    decoder = FORMATS[format_of(name)].decoder(fold_limit)
    events = decoder.feed(recorded(name)) + decoder.close()
    assert events == EVENTS[name]
    assert decoder.finished == (Ended() in events or any(isinstance(event, Stopped) for event in events))


@pytest.mark.parametrize("name", STREAMS)
def test_the_recorded_stream_folds_into_the_plain_answer(name: str) -> None:
    decoder = FORMATS[format_of(name)].decoder(1 << 20)
    decoder.feed(recorded(name))
    decoder.close()
    answer = decoder.answer()
    assert answer is not None
    body, truncated = answer
    assert json.loads(body) == ANSWERS[name]
    assert not truncated


@pytest.mark.parametrize("name", STREAMS)
def test_an_unfolded_stream_has_no_answer(name: str) -> None:
    decoder = FORMATS[format_of(name)].decoder(0)
    decoder.feed(recorded(name))
    assert decoder.answer() is None


def test_a_plain_answer_says_the_same_as_its_stream() -> None:
    assert FORMATS["openai.chat"].parse_answer(recorded("openai/text.json")) == [
        Started("chatcmpl-AbC1", GPT),
        Tiered("default"),
        said(input=2006, output=300, cache_read=1920, reasoning=0, audio_input=0, audio_output=0),
        Stopped("stop"),
    ]
    for name, stream in (("openai.completions", "completions/text.sse"), ("openai.responses", "responses/text.sse")):
        same = [event for event in EVENTS[stream] if not isinstance(event, Progressed | Ended)]
        plain = FORMATS[name].parse_answer(recorded(stream.replace(".sse", ".json")))
        assert sorted(plain, key=repr) == sorted(same, key=repr)
    assert FORMATS["anthropic.messages"].parse_answer(recorded("anthropic/text.json")) == [
        Started("msg_01", SONNET),
        Tiered("standard"),
        said(input=175, output=15, cache_read=50, cache_write=100, cache_write_5m=60, cache_write_1h=40),
        Stopped("end_turn"),
    ]


@pytest.mark.parametrize("name", STREAMS)
def test_the_fold_of_a_stream_reads_like_a_plain_answer(name: str) -> None:
    format_ = FORMATS[format_of(name)]
    decoder = format_.decoder(1 << 20)
    streamed = decoder.feed(recorded(name))
    answer = decoder.answer()
    assert answer is not None
    plain = format_.parse_answer(answer[0])
    reported = [event for event in streamed if isinstance(event, UsageReported)]
    assert [event for event in plain if isinstance(event, UsageReported)] == reported[-1:]
    assert [event for event in plain if isinstance(event, Started)] == [event for event in streamed if isinstance(event, Started)]
