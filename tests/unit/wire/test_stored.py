"""What needs little reading: stored responses, counts of tokens, and what nobody reads."""

import json

import pytest

from spangate.wire.events import Ended, Event, Failed, Progressed, Started, Stopped, UsageReported
from spangate.wire.formats import anthropic_count_tokens, openai_responses, openai_stored, raw
from spangate.wire.usage import Usage

REPORTED = {"input_tokens": 5, "output_tokens": 7}
COUNTED = UsageReported(Usage(input=5, output=7))


def response(status: str, **fields: object) -> dict[str, object]:
    return {"id": "resp_1", "object": "response", "model": "gpt", "status": status, "output": [], **fields}


# ---------------------------------------------------------------- stored responses


@pytest.mark.parametrize(
    ("said", "events"),
    [
        (response("queued", usage=None), [Started("resp_1", "gpt")]),
        (response("in_progress"), [Started("resp_1", "gpt")]),
        (response("completed", usage=REPORTED), [Started("resp_1", "gpt"), COUNTED, Stopped("completed")]),
        (response("cancelled"), [Started("resp_1", "gpt"), Stopped("cancelled")]),
        (response("failed", error={"code": "server_error", "message": "No."}), [Started("resp_1", "gpt"), Stopped("failed")]),
        ({"id": "resp_1", "object": "response", "deleted": True}, [Started("resp_1", None)]),
        ({"object": "list", "data": [{"id": "msg_1"}], "first_id": "msg_1", "has_more": False}, []),
        ({"error": {"code": "server_error", "message": "No."}}, [Failed("server_error", "No.")]),
        ([], [Failed("malformed", "The provider's answer is not a JSON object")]),
    ],
)
def test_how_a_response_stands_is_an_answer(said: object, events: list[Event]) -> None:
    assert openai_stored.parse_answer(json.dumps(said).encode()) == events


def frame(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


BEGUN = frame("response.in_progress", response=response("in_progress"))
FAILED = frame("response.failed", response=response("failed", error={"code": "server_error", "message": "No."}, usage=REPORTED))


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (BEGUN, [Started("resp_1", "gpt")]),
        (BEGUN + FAILED, [Started("resp_1", "gpt"), COUNTED, Stopped("failed"), Ended()]),
        (BEGUN + frame("error", code="x", message="No."), [Started("resp_1", "gpt"), Failed("x", "No.")]),
        (b"data: {\n\n", [Failed("malformed", "A frame of the provider's stream is not JSON: JSONDecodeError")]),
    ],
)
def test_only_its_own_error_is_an_error_of_its_stream(stream: bytes, events: list[Event]) -> None:
    decoder = openai_stored.decoder(1 << 20)
    assert [*decoder.feed(stream), *decoder.close()] == events
    assert decoder.finished


def test_its_stream_folds_as_any_responses() -> None:
    stored, made = openai_stored.decoder(1 << 20), openai_responses.decoder(1 << 20)
    for decoder in (stored, made):
        decoder.feed(BEGUN + FAILED)
    assert stored.answer() == made.answer() != (None, False)
    assert made.finished, "it ended"


# ---------------------------------------------------------------- counts of tokens


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b'{"input_tokens": 2095}', []),
        (b'{"input_tokens": "many"}', []),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}', [Failed("overloaded_error", "Busy.")]),
        (b"[]", [Failed("malformed", "The provider's answer is not a JSON object")]),
        (b"<html>", [Failed("malformed", "The provider's answer is not a JSON object")]),
    ],
)
def test_a_count_is_no_usage(body: bytes, events: list[Event]) -> None:
    assert anthropic_count_tokens.parse_answer(body) == events


def test_a_count_that_comes_as_a_stream_is_read_too() -> None:
    decoder = anthropic_count_tokens.decoder(1 << 20)
    assert (decoder.finished, decoder.answer()) == (False, None)
    assert decoder.feed(b'data: {"input_tokens": 3}\n\n') == [Progressed()]
    assert decoder.feed(b'data: {"input_tokens": 4}\n\n') == []
    assert (decoder.finished, decoder.answer()) == (True, (b'{"input_tokens":3}', False))


def test_a_streamed_error_is_no_count() -> None:
    decoder = anthropic_count_tokens.decoder(0)
    assert decoder.feed(b'data: {"type":"error","error":{"type":"api_error","message":"No."}}\n\n') == [Failed("api_error", "No.")]
    assert not decoder.finished


def test_a_flood_is_no_count() -> None:
    decoder = anthropic_count_tokens.decoder(1 << 20)
    assert decoder.feed(b"data: " + b"x" * (2 << 20) + b"\n\n") == [Progressed()]
    assert (decoder.finished, decoder.answer()) == (False, None)


# ---------------------------------------------------------------- raw


@pytest.mark.parametrize(("limit", "kept"), [(0, None), (4, (b"abcd", True)), (5, (b"abcde", False)), (9, (b"abcde", False))])
def test_the_head_of_what_passes_is_kept(limit: int, kept: tuple[bytes, bool] | None) -> None:
    decoder = raw.decoder(limit)
    for piece in (b"ab", b"", b"cde"):
        assert decoder.feed(piece) == []
    assert decoder.close() == []
    assert (decoder.answer(), decoder.finished, decoder.frames.at_boundary) == (kept, True, False)


def test_bytes_say_nothing() -> None:
    assert raw.parse_answer(b'{"usage":{"prompt_tokens":1}}') == []


@pytest.mark.parametrize(
    ("content_type", "readable"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=utf-8", True),
        (b"application/problem+json", True),
        (b"application/x-ndjson", True),
        (b"text/event-stream", True),
        (b" text/plain;x=y", True),
        (b"application/octet-stream", False),
        (b"application/jsonx", False),
        (b"multipart/form-data; boundary=application/json", False),
        (b"image/png", False),
        (b"", False),
    ],
)
def test_json_and_text_are_for_people(content_type: bytes, readable: bool) -> None:
    assert raw.readable(content_type) is readable
