"""How many characters of an answer came, as each decoder counts them: the same with and without folding."""

import json
from typing import Any

import pytest

from spangate.wire.formats import FORMATS


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(**fields: Any) -> bytes:
    return data({"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]})


def call(arguments: str, name: str | None = None) -> dict[str, Any]:
    return {"index": 0, "id": "call_1", "type": "function", "function": {"arguments": arguments, **({"name": name} if name else {})}}


def claude(kind: str, **fields: Any) -> bytes:
    return data({"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}})


def responses(kind: str, **fields: Any) -> bytes:
    return data({"type": f"response.{kind}", "item_id": "m", "output_index": 0, "content_index": 0, **fields})


FIRST = {
    "openai.chat": delta(role="assistant", content="one"),
    "openai.completions": data({"id": "c-1", "model": "m", "choices": [{"index": 0, "text": "one"}]}),
    "anthropic.messages": data({"type": "message_start", "message": {"id": "m", "model": "m"}}) + claude("text_delta", text="one"),
    "openai.responses": responses("created", response={"id": "r", "model": "m"}) + responses("output_text.delta", delta="one"),
}


@pytest.mark.parametrize("fold", [0, 1 << 20], ids=["unfolded", "folded"])
@pytest.mark.parametrize(
    ("format", "frame", "length"),
    [
        ("openai.chat", delta(content="four"), 4),
        ("openai.chat", delta(content=[{"type": "text", "text": "four"}]), 4),
        ("openai.chat", delta(content=None, reasoning_content="four"), 4),
        ("openai.chat", delta(content="", reasoning="four", reasoning_details=[{"type": "reasoning.text", "text": "four"}]), 4),
        ("openai.chat", delta(refusal="four"), 4),
        ("openai.chat", delta(tool_calls=[call("", "find")]), 4),
        ("openai.chat", delta(tool_calls=[call('{"a"')]), 4),
        ("openai.chat", delta(function_call={"arguments": "four"}), 4),
        ("openai.chat", delta(audio={"id": "a", "data": "UklGRg==", "transcript": "four"}), 4),
        ("openai.chat", delta(role="assistant"), 0),
        ("openai.chat", data({"choices": [{"index": 0, "delta": "rubbish"}]}), 0),
        ("openai.chat", data({"choices": [{"index": 0, "delta": {"content": 5, "tool_calls": "rubbish"}}]}), 0),
        ("openai.completions", data({"choices": [{"index": 0, "text": "four"}]}), 4),
        ("anthropic.messages", claude("text_delta", text="four"), 4),
        ("anthropic.messages", claude("thinking_delta", thinking="four"), 4),
        ("anthropic.messages", claude("input_json_delta", partial_json='{"a"'), 4),
        ("anthropic.messages", claude("signature_delta", signature="EqQBCg"), 0),
        ("anthropic.messages", data({"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t", "name": "find"}}), 4),
        ("anthropic.messages", data({"type": "content_block_delta", "delta": "rubbish"}), 0),
        ("anthropic.messages", data({"type": "ping"}), 0),
        ("openai.responses", responses("output_text.delta", delta="four"), 4),
        ("openai.responses", responses("reasoning_summary_text.delta", delta="four"), 4),
        ("openai.responses", responses("function_call_arguments.delta", delta="four"), 4),
        ("openai.responses", responses("output_text.done", text="four"), 0),
        ("openai.responses", responses("audio.delta", delta="UklGRg=="), 0),
        ("openai.responses", responses("output_text.delta", delta={"rubbish": "four"}), 0),
        ("openai.responses", responses("completed", response={"id": "r", "output": [{"content": [{"text": "one"}]}]}), 0),
    ],
)
def test_counts_what_the_model_wrote(format: str, frame: bytes, length: int, fold: int) -> None:
    decoder = FORMATS[format].decoder(fold)
    decoder.feed(FIRST[format])
    assert decoder.produced == 3
    decoder.feed(frame)
    assert decoder.produced == 3 + length


def test_a_response_that_comes_at_once_is_counted_where_it_stands() -> None:
    decoder = FORMATS["openai.responses"].decoder(0)
    decoder.feed(
        responses("completed", response={"id": "r", "output": [{"type": "message", "content": [{"type": "output_text", "text": "four"}]}]})
    )
    assert decoder.produced == 4
