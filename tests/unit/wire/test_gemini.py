"""Gemini's answers where they are odd; what is usual stands in tests/contract."""

import json
from typing import Any

import pytest
from tests.contract.recorded import recorded

from spangate.wire.events import Ended, Event, Failed, Progressed, Started, Stopped, UsageReported
from spangate.wire.formats import FORMATS, gemini_count_tokens, gemini_embeddings, gemini_generate
from spangate.wire.problems import Refusal, UpstreamProblem
from spangate.wire.usage import Usage


def frame(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def chunk(*parts: object, reason: str | None = None, usage: object = None, index: int | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    candidate |= {"finishReason": reason} if reason else {}
    candidate |= {} if index is None else {"index": index}
    return {"candidates": [candidate]} | ({} if usage is None else {"usageMetadata": usage})


def read(*chunks: object, fold: int = 1 << 20) -> tuple[list[Event], gemini_generate.Decoder]:
    decoder = gemini_generate.decoder(fold)
    events = [event for one in chunks for event in decoder.feed(one if isinstance(one, bytes) else frame(one))]
    return [*events, *decoder.close()], decoder


def folded(decoder: gemini_generate.Decoder) -> Any:
    answer = decoder.answer()
    assert answer is not None
    return json.loads(answer[0])


# ---------------------------------------------------------------- usage


def details(**counts: object) -> list[dict[str, object]]:
    return [{"modality": kind.upper(), "tokenCount": count} for kind, count in counts.items()]


USAGE: list[tuple[object, Usage | None]] = [
    (None, None),
    ({}, None),
    ({"trafficType": "ON_DEMAND"}, None),
    (5, Usage(invalid=("usage",))),
    ({"promptTokenCount": 0, "candidatesTokenCount": 0}, Usage(input=0, output=0)),
    ({"promptTokenCount": "7", "candidatesTokenCount": 2.0}, Usage(input=7, output=2)),
    # Thoughts are output; the total tells when they were counted already.
    (
        {"promptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 10},
        Usage(input=5, output=5, reasoning=2),
    ),
    ({"promptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}, Usage(input=5, output=5, reasoning=2)),
    (
        {"promptTokenCount": 5, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 10},
        Usage(input=5, output=5, reasoning=2),
    ),
    # A count that is left out is zero, if the total leaves no room for it.
    ({"promptTokenCount": 5, "totalTokenCount": 5}, Usage(input=5, output=0)),
    ({"promptTokenCount": 5, "thoughtsTokenCount": 9, "totalTokenCount": 14}, Usage(input=5, output=9, reasoning=9)),
    ({"promptTokenCount": 5, "totalTokenCount": 8}, Usage(input=5)),
    ({"promptTokenCount": 5}, Usage(input=5)),
    # What tools gave back is input beside the prompt.
    ({"promptTokenCount": 5, "toolUsePromptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 9}, Usage(input=8, output=1)),
    ({"promptTokenCount": 5, "toolUsePromptTokenCount": -3}, Usage(invalid=("input",))),
    ({"promptTokenCount": -5, "toolUsePromptTokenCount": 3}, Usage(invalid=("input",))),
    ({"promptTokenCount": 5, "cachedContentTokenCount": 6, "candidatesTokenCount": 1}, Usage(input=5, output=1, invalid=("cache_read",))),
    ({"promptTokenCount": 1e18, "candidatesTokenCount": -1}, Usage(invalid=("input", "output"))),
    ({"promptTokenCount": 1, "candidatesTokenCount": 4, "thoughtsTokenCount": "x"}, Usage(input=1, invalid=("reasoning", "output"))),
    (
        {"promptTokenCount": 9, "promptTokensDetails": details(audio=4, image=2, video=3), "toolUsePromptTokensDetails": details(audio=1)},
        Usage(input=9, audio_input=5, image_input=2),
    ),
    (
        {"candidatesTokenCount": 9, "candidatesTokensDetails": [*details(audio=20, image=None), {"modality": "IMAGE"}, 7]},
        Usage(output=9, invalid=("audio_output", "image_output")),
    ),
    ({"promptTokenCount": 9, "promptTokensDetails": [{"modality": "IMAGE"}]}, Usage(input=9, image_input=0)),
    ({"promptTokenCount": 9, "promptTokensDetails": "IMAGE"}, Usage(input=9)),
]


@pytest.mark.parametrize(("wire", "expected"), USAGE)
def test_usage_counts_what_google_means(wire: object, expected: Usage | None) -> None:
    assert gemini_generate.parse_usage(wire) == expected


def test_a_count_that_is_left_out_midway_may_be_yet_to_come() -> None:
    counting = {"promptTokenCount": 5, "totalTokenCount": 5}
    events, _ = read(chunk({"text": "a"}, usage=counting), chunk({"text": ""}, reason="STOP"))
    assert events == [Progressed(), UsageReported(Usage(input=5)), UsageReported(Usage(input=5, output=0)), Stopped("STOP")]


def test_usage_may_come_after_the_end() -> None:
    events, _ = read(chunk({"text": "a"}, reason="STOP"), {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}})
    assert events == [Progressed(), Stopped("STOP"), UsageReported(Usage(input=1, output=1))]


def test_null_takes_no_count_back() -> None:
    events, _ = read(chunk(usage={"promptTokenCount": 5}), chunk(usage={"promptTokenCount": None}), chunk(usage=[]))
    assert events == [UsageReported(Usage(input=5)), UsageReported(Usage(invalid=("usage",)))]


# ---------------------------------------------------------------- endings


def test_each_candidate_has_an_end_of_its_own() -> None:
    events, decoder = read(chunk({"text": "a"}), chunk({"text": "b"}, index=1, reason="SAFETY"))
    assert (events, decoder.finished) == ([Progressed()], False)


def test_the_last_of_several_reasons_counts() -> None:
    events, decoder = read(chunk({"text": "a"}, reason="STOP"), chunk({"text": "b"}, reason="STOP"), chunk(reason="RECITATION"))
    assert events == [Progressed(), Stopped("STOP"), Stopped("RECITATION")]
    assert decoder.finished


def test_an_array_that_ends_without_a_reason_is_not_finished() -> None:
    events, decoder = read(b"[" + json.dumps(chunk({"text": "a"})).encode() + b"]")
    assert (events, decoder.finished) == ([Progressed(), Ended()], False)


def test_feedback_that_blocks_nothing_is_no_end() -> None:
    _, decoder = read({"promptFeedback": {"safetyRatings": []}})
    assert not decoder.finished


# ---------------------------------------------------------------- framing


@pytest.mark.parametrize("start", [b"", b"\r\n \t", b" " * 100])
@pytest.mark.parametrize("form", ["sse", "array", "object"])
def test_the_first_byte_tells_the_framing(start: bytes, form: str) -> None:
    said = chunk({"text": "a"}, reason="STOP")
    text = {"sse": frame(said), "array": json.dumps([said]).encode(), "object": json.dumps(said).encode()}[form]
    if form == "sse":
        start = start.replace(b" ", b"\n").replace(b"\t", b"\n")
    for place in range(len(start) + 2):
        body = start + text
        decoder = gemini_generate.decoder(0)
        events = [*decoder.feed(body[:place]), *decoder.feed(body[place:]), *decoder.close()]
        assert events == [Progressed(), Stopped("STOP"), *([] if form == "sse" else [Ended()])], place
        assert decoder.frames.total == len(body)


@pytest.mark.parametrize("said", [b"data: [\r\n\r\n", b"data: 5\n\n", b'data: ["a"]\n\n', b"[5]", b"[}]", b'[{"a" 1}]'])
def test_what_is_no_chunk_is_malformed(said: bytes) -> None:
    events, decoder = read(said)
    assert [event.kind for event in events if isinstance(event, Failed)] == ["malformed"]
    assert not decoder.finished


def test_done_says_nothing() -> None:
    events, _ = read(chunk({"text": "a"}, reason="STOP"), b"data: [DONE]\n\n")
    assert events == [Progressed(), Stopped("STOP")]


def test_a_chunk_too_long_to_be_read_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_generate, "LIMIT", 200)
    events, decoder = read(chunk({"text": "x" * 200}), chunk({"text": "end"}, reason="STOP"))
    assert events == [Progressed(), Stopped("STOP")]
    answer = decoder.answer()
    assert answer is not None
    assert answer[1]


# ---------------------------------------------------------------- content


def test_produced_counts_characters_and_no_pictures() -> None:
    parts = [
        {"text": "häh", "thought": True},
        {"functionCall": {"name": "f", "args": {"a": 1}}},
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        "odd",
    ]
    _, decoder = read(chunk(*parts), fold=0)
    assert decoder.produced == 3 + len('{"a":1}') + 3


@pytest.mark.parametrize(
    "part", [{"functionCall": {"name": "f"}}, {"inlineData": {"data": "AA"}}, {"text": "a"}, {"text": "a", "thought": True}]
)
def test_content_of_any_kind_is_progress(part: object) -> None:
    assert read(chunk(part))[0] == [Progressed()]


def test_a_signature_alone_is_no_progress() -> None:
    assert read(chunk({"text": "", "thoughtSignature": "AA=="}))[0] == []


def test_nothing_is_added_to_a_part_that_was_sealed() -> None:
    _, decoder = read(chunk({"text": "a"}, {"text": "b", "thoughtSignature": "S1"}, {"text": "c"}, {"text": "d", "partMetadata": {}}))
    assert folded(decoder)["candidates"][0]["content"]["parts"] == [
        {"text": "ab", "thoughtSignature": "S1"},
        {"text": "c"},
        {"text": "d", "partMetadata": {}},
    ]


def test_the_fold_is_bounded() -> None:
    _, decoder = read(*(chunk({"text": "0123456789"}) for _ in range(100)), chunk(reason="STOP"), fold=200)
    answer = decoder.answer()
    assert answer is not None
    assert answer[1]
    assert len(answer[0]) < 400
    assert decoder.finished


def test_candidates_are_bounded() -> None:
    _, decoder = read(*(chunk({"text": "a"}, index=index) for index in range(1000)))
    assert len(folded(decoder)["candidates"]) == gemini_generate.CANDIDATES


# ---------------------------------------------------------------- problems


@pytest.mark.parametrize("listed", [False, True])
def test_a_refusal_is_read_in_both_its_shapes(listed: bool) -> None:
    said: object = json.loads(recorded("gemini/error.json"))
    body = json.dumps(said if listed else said[0]).encode()  # type: ignore[index]
    problem = gemini_generate.parse_problem(429, body)
    assert (problem.status, problem.kind, problem.message) == (429, "resource_exhausted", "You exceeded your current quota.")


def test_a_problem_is_said_in_googles_words() -> None:
    problem = UpstreamProblem(429, "upstream_error", "Too much.", retry_after="7")
    assert json.loads(gemini_generate.render_problem(problem, "c-1")) == {
        "error": {
            "code": 429,
            "message": "Too much.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "UPSTREAM_ERROR", "domain": "spangate"},
                {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "c-1"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"},
            ],
        }
    }


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (413, "INVALID_ARGUMENT"), (502, "UNAVAILABLE"), (500, "INTERNAL")],
)
def test_each_status_has_its_word(status: int, word: str) -> None:
    said = json.loads(gemini_generate.render_problem(Refusal(status, "k", "m"), "c"))
    assert (said["error"]["code"], said["error"]["status"]) == (status, word)


def test_our_event_amid_a_stream_is_one_that_is_read_as_an_error() -> None:
    event = gemini_generate.render_problem_event(Refusal(504, "upstream_idle_timeout", "Late."), "c")
    assert read(event)[0] == [Failed("deadline_exceeded", "Late.")]


# ---------------------------------------------------------------- plain answers


def test_a_plain_answer_says_the_same_as_its_stream() -> None:
    streamed, _ = read(recorded("gemini/text.sse"))
    plain = gemini_generate.parse_answer(recorded("gemini/text.json"))
    assert [event for event in plain if event not in streamed] == []
    assert plain[-1] == Stopped("STOP")


@pytest.mark.parametrize("format", ["gemini.generate", "gemini.embeddings", "gemini.count_tokens"])
def test_errors_and_junk_with_200_are_told(format: str) -> None:
    error = b'{"error":{"code":503,"message":"Overloaded.","status":"UNAVAILABLE"}}'
    assert FORMATS[format].parse_answer(error) == [Failed("unavailable", "Overloaded.")]
    assert [event.kind for event in FORMATS[format].parse_answer(b"[]") if isinstance(event, Failed)] == ["malformed"]


def test_embeddings_are_counted_and_their_vectors_are_not_read() -> None:
    counted = [UsageReported(Usage(input=7, output=0, image_input=4))]
    assert gemini_embeddings.parse_answer(recorded("gemini/embeddings.json")) == counted
    assert gemini_embeddings.parse_answer(b'{"embedding":{"values":[NaN]},"usageMetadata":{"promptTokenCount":3}}') == [
        UsageReported(Usage(input=3, output=0))
    ]
    assert gemini_embeddings.parse_answer(b'{"usageMetadata":{"promptTokenCount":-3}}') == [UsageReported(Usage(invalid=("input",)))]
    assert gemini_embeddings.parse_answer(b'{"embedding":{"values":[1]}}') == []


def test_a_count_of_tokens_is_no_usage() -> None:
    assert gemini_count_tokens.parse_answer(recorded("gemini/tokens.json")) == []


@pytest.mark.parametrize("format", ["gemini.embeddings", "gemini.count_tokens"])
def test_what_is_labelled_as_a_stream_is_read_as_a_plain_answer(format: str) -> None:
    decoder = FORMATS[format].decoder(100)
    said = {"totalTokens": 3, "usageMetadata": {"promptTokenCount": 3}}
    events = [*decoder.feed(frame(said)), *decoder.feed(frame(said)), *decoder.close()]
    assert events == [Progressed(), *([UsageReported(Usage(input=3, output=0))] if format == "gemini.embeddings" else [])]
    assert decoder.finished
    assert decoder.answer() == (json.dumps(said, separators=(",", ":")).encode(), False)
    assert FORMATS[format].decoder(100).feed(frame({"error": {"message": "No."}})) == [Failed("error", "No.")]
    assert FORMATS[format].decoder(100).feed(frame([])) == [Failed("malformed", "A frame of the provider's stream is not JSON: ValueError")]


# ---------------------------------------------------------------- models


def test_models_are_listed_as_google_does() -> None:
    one = {"name": "models/chat", "displayName": "chat", "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"]}
    assert json.loads(gemini_generate.render_models([("chat", 0)])) == {"models": [one]}
    assert json.loads(gemini_generate.render_model("chat", 0)) == one


def test_the_answers_id_and_model_are_told() -> None:
    assert read({"responseId": "r", "modelVersion": "m"})[0] == [Started("r", "m")]
