import json
from typing import Any

import pytest

from spangate.wire import estimate as module
from spangate.wire.estimate import (
    AROUND_MESSAGE,
    BEFORE_ANSWER,
    COUNTED,
    PARTS,
    Gauge,
    characters,
    estimate,
    read_characters,
    tokens,
    written_characters,
)
from spangate.wire.formats import FORMATS
from spangate.wire.usage import Usage

PICTURE = "iVBORw0KGgo" * 1000


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_every_format_that_is_estimated_is_one() -> None:
    assert PARTS.keys() <= FORMATS.keys()


@pytest.mark.parametrize(("length", "count"), [(0, 0), (1, 1), (4, 1), (5, 2), (400, 100)])
def test_four_characters_are_a_token(length: int, count: int) -> None:
    assert tokens(length) == count


@pytest.mark.parametrize(
    ("format", "request_", "given"),
    [
        ("openai.chat", body(model="a long name", messages=[{"role": "user", "content": "x" * 40}]), 10),
        ("openai.chat", body(messages=[{"role": "user", "content": [{"type": "text", "text": "x" * 40}]}], user="somebody"), 10),
        ("openai.chat", body(messages=[{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + PICTURE}}]}]), 0),
        ("openai.chat", body(messages=[{"content": [{"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}}]}]), 0),
        ("openai.chat", body(tools=[{"type": "function", "function": {"name": "find", "description": "x" * 36}}]), 10),
        ("openai.completions", body(prompt=["x" * 20, "y" * 20]), 10),
        (
            "openai.responses",
            body(instructions="x" * 20, input=[{"role": "user", "content": [{"type": "input_text", "text": "y" * 20}]}]),
            10,
        ),
        ("openai.responses", body(input=[{"type": "input_image", "image_url": "https://example.org/" + PICTURE}]), 0),
        ("openai.embeddings", body(input=["x" * 40], dimensions=3), 10),
        (
            "anthropic.messages",
            body(
                system="x" * 20,
                messages=[
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "base64", "data": PICTURE}}, {"type": "text", "text": "y" * 20}],
                    }
                ],
            ),
            10,
        ),
        ("gemini.generate", body(contents=[{"role": "user", "parts": [{"text": "x" * 40}, {"inlineData": {"data": PICTURE}}]}]), 10),
    ],
)
def test_the_text_of_a_request_is_counted_and_no_media(format: str, request_: bytes, given: int) -> None:
    assert estimate(format, request_).input == given


@pytest.mark.parametrize(
    ("format", "answer"),
    [
        ("openai.chat", body(id="c-1", choices=[{"message": {"role": "assistant", "content": "x" * 40}, "finish_reason": "stop"}])),
        (
            "openai.chat",
            body(
                choices=[
                    {"message": {"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "x" * 36}}]}}
                ]
            ),
        ),
        ("openai.completions", body(choices=[{"text": "x" * 40}])),
        (
            "openai.responses",
            body(output=[{"id": "m", "type": "message", "status": "completed", "content": [{"type": "output_text", "text": "x" * 40}]}]),
        ),
        (
            "anthropic.messages",
            body(content=[{"type": "thinking", "thinking": "x" * 20, "signature": PICTURE}, {"type": "text", "text": "y" * 20}]),
        ),
        ("gemini.generate", body(candidates=[{"content": {"role": "model", "parts": [{"text": "x" * 40}]}, "finishReason": "STOP"}])),
    ],
)
def test_the_text_of_an_answer_is_counted(format: str, answer: bytes) -> None:
    assert estimate(format, b"{}", answer=answer) == Usage(input=0, output=10)


def test_of_a_stream_the_characters_that_came_are_known() -> None:
    assert estimate("openai.chat", b'{"messages": "four"}', produced=9) == Usage(input=1, output=3)


def test_embeddings_have_no_output() -> None:
    assert estimate("openai.embeddings", b'{"input": "four"}', answer=b'{"data": ["x"]}') == Usage(input=1)


@pytest.mark.parametrize("format", ["raw", "anthropic.count_tokens", "openai.responses.stored", "mlflow.chat"])
def test_what_no_model_reads_is_not_counted(format: str) -> None:
    assert estimate(format, b'{"messages": "four"}', produced=9) == Usage()


@pytest.mark.parametrize("rubbish", [b"", b"[]", b'"text"', b"{", b"\xff", b'{"messages": ' + b"[" * 100_000])
def test_what_cannot_be_read_is_not_counted_and_nothing_raises(rubbish: bytes) -> None:
    assert estimate("openai.chat", rubbish, answer=rubbish) == Usage()


def test_what_takes_long_to_read_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 20)
    assert estimate("openai.chat", b'{"messages": "' + b"x" * 40 + b'"}', produced=4) == Usage(output=1)


def test_numbers_are_no_text() -> None:
    assert characters([1, 2.5, None, True, {"temperature": 1}]) == 0


# ---------------------------------------------------------------- by the model's own measure

WORDS = Gauge(count=lambda text: len(text.split()))  # a tokenizer whose tokens can be counted by eye


def test_lengths_are_weighed_as_the_models_calls_had_them() -> None:
    asked = body(messages=[{"role": "user", "content": "x" * 30}])
    assert estimate("openai.chat", asked, Gauge(3.0, 5.0), produced=50) == Usage(input=10, output=10)


def test_a_tokenizer_counts_what_was_said_and_what_stands_around_it() -> None:
    asked = body(messages=[{"role": "system", "content": "be brief"}, {"role": "user", "content": "who are you"}])
    answer = body(choices=[{"message": {"role": "assistant", "content": "a gateway of few words"}}])
    around = 2 * AROUND_MESSAGE + BEFORE_ANSWER
    assert estimate("openai.chat", asked, WORDS, answer=answer) == Usage(input=5 + around, output=5)
    assert estimate("openai.completions", body(prompt="one two three"), WORDS, answer=b"{}") == Usage(input=3, output=0)


def test_of_a_long_text_the_head_stands_for_the_rest() -> None:
    given: list[int] = []

    def count(text: str) -> int:
        given.append(len(text))
        return len(text) // 2

    texts = ["y" * 1000, "x" * (3 * COUNTED), "z" * 1000]
    assert estimate("openai.embeddings", body(input=texts), Gauge(count=count)).input == (3 * COUNTED + 2000) // 2
    assert sum(given) == COUNTED


def test_what_is_not_only_text_calibrates_nothing() -> None:
    text = {"role": "user", "content": [{"type": "text", "text": "x" * 40}]}
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]}
    assert read_characters("openai.chat", body(messages=[text], tools=[])) == 40
    assert read_characters("openai.chat", body(messages=[text, picture])) is None
    assert read_characters("raw", b"{}") is None
    assert read_characters("openai.chat", b"no json") is None
    assert written_characters("openai.chat", body(choices=[{"message": {"content": "y" * 7}}])) == 7
    assert written_characters("openai.embeddings", body(data=[])) is None
