"""Problems in each format's own shape, and out of what providers send."""

import json

import pytest
from tests.contract.recorded import recorded

from spangate.wire.formats import FORMATS, problem_text
from spangate.wire.problems import Interrupted, Refusal, UpstreamProblem

OPENAI, ANTHROPIC, MLFLOW = FORMATS["openai.chat"], FORMATS["anthropic.messages"], FORMATS["mlflow.chat"]
LIMITED = Refusal(429, "rate_limited", "Too many.", param="model")


@pytest.mark.parametrize("format_", [OPENAI, MLFLOW], ids=["openai", "mlflow"])
@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (502, "server_error"),
    ],
)
def test_openais_shape(format_: object, status: int, type_: str) -> None:
    body = format_.render_problem(Refusal(status, "a_kind", "Words.", param="p"), "c-1")  # type: ignore[attr-defined]
    assert json.loads(body) == {"error": {"message": "Words.", "type": type_, "param": "p", "code": "a_kind", "call_id": "c-1"}}


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (400, "invalid_request_error"),
        (422, "invalid_request_error"),
        (401, "authentication_error"),
        (502, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropics_shape(status: int, type_: str) -> None:
    body = ANTHROPIC.render_problem(Refusal(status, "a_kind", "Words."), "c-1")
    assert json.loads(body) == {"type": "error", "error": {"type": type_, "message": "Words.", "code": "a_kind"}, "request_id": "c-1"}


def test_a_fault_midway_is_one_frame() -> None:
    problem = Interrupted(502, "upstream_cut", "The provider stopped.")
    assert OPENAI.render_problem_event(problem, "c") == b"data: " + OPENAI.render_problem(problem, "c") + b"\n\n"
    assert MLFLOW.render_problem_event(problem, "c") == b"data: " + OPENAI.render_problem(problem, "c") + b"\n\n"
    assert ANTHROPIC.render_problem_event(problem, "c") == b"event: error\ndata: " + ANTHROPIC.render_problem(problem, "c") + b"\n\n"


def test_a_fault_midway_of_a_response_is_openais_event_and_what_the_sdk_raises_by() -> None:
    event = FORMATS["openai.responses"].render_problem_event(Interrupted(502, "upstream_cut", "The provider stopped."), "c")
    assert event.startswith(b"event: error\ndata: ")
    assert json.loads(event.partition(b"data: ")[2]) == {
        "type": "error",
        "code": "upstream_cut",
        "message": "The provider stopped.",
        "param": None,
        "sequence_number": 0,
        "error": {"message": "The provider stopped.", "type": "server_error", "param": None, "code": "upstream_cut", "call_id": "c"},
    }


def test_a_problem_with_half_a_surrogate_pair_is_rendered() -> None:
    assert json.loads(OPENAI.render_problem(Refusal(400, "k", "\ud800"), "c"))["error"]["message"] == "\ufffd"


def said(problem: UpstreamProblem) -> tuple[int, str, str, str | None]:
    assert type(problem) is UpstreamProblem
    return problem.status, problem.kind, problem.message, problem.param


NONE = "The provider answered with HTTP status 500 and no readable error."


@pytest.mark.parametrize(
    ("body", "kind", "message", "param"),
    [
        (
            b'{"error":{"message":"No.","type":"invalid_request_error","param":"model","code":"model_not_found"}}',
            "model_not_found",
            "No.",
            "model",
        ),
        (b'{"error":{"message":"No.","type":"requests","code":null}}', "requests", "No.", None),
        (b'{"error":{"message":"No.","code":400}}', "upstream_error", "No.", None),
        (b'{"error":"No."}', "upstream_error", "No.", None),
        (b'{"object":"error","message":"No.","type":"BadRequestError","code":400}', "badrequesterror", "No.", None),
        (b'{"detail":"No."}', "upstream_error", "No.", None),
        (b'[{"error":{"message":"No.","status":"X"}}]', "upstream_error", "No.", None),
        (b'{"error":{"code":"!!!"}}', "upstream_error", NONE, None),
        (b"[]", "upstream_error", NONE, None),
        (b"[1]", "upstream_error", NONE, None),
        (b"5", "upstream_error", "5", None),
        (b"{}", "upstream_error", NONE, None),
        (b"", "upstream_error", NONE, None),
        (b"Internal Server Error\n", "upstream_error", "Internal Server Error", None),
        (b"<html><body>sk-abc</body></html>", "upstream_error", NONE, None),
        (b"key sk-0123456789abcdefghijklmnop is bad", "upstream_error", NONE, None),
        (b"x " * 200, "upstream_error", NONE, None),
        (b"[" * 100_000, "upstream_error", NONE, None),
        (b"\xff\xfe", "upstream_error", NONE, None),
    ],
)
def test_what_an_openai_speaker_said(body: bytes, kind: str, message: str, param: str | None) -> None:
    assert said(OPENAI.parse_problem(500, body)) == (500, kind, message, param)
    assert said(MLFLOW.parse_problem(500, body)) == (500, kind, message, param)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"r"}', "not_found_error", "model: x"),
        (b'{"message":"No."}', "upstream_error", "No."),
        (b'{"error":"No."}', "upstream_error", NONE),
        (b"bad gateway", "upstream_error", "bad gateway"),
    ],
)
def test_what_an_anthropic_speaker_said(body: bytes, kind: str, message: str) -> None:
    assert said(ANTHROPIC.parse_problem(500, body)) == (500, kind, message, None)


def test_the_recorded_errors() -> None:
    limited = OPENAI.parse_problem(429, recorded("openai/error.json"))
    assert (limited.kind, limited.message[:18]) == ("rate_limit_exceeded", "Rate limit reached")
    assert said(ANTHROPIC.parse_problem(529, recorded("anthropic/error.json"))) == (529, "overloaded_error", "Overloaded", None)


def test_a_long_message_is_cut() -> None:
    problem = OPENAI.parse_problem(500, json.dumps({"error": {"message": "x" * 5000}}).encode())
    assert len(problem.message) == problem_text.LONGEST
    assert problem.message.endswith("x…")


def test_a_problem_shows_its_words_to_us() -> None:
    assert repr(LIMITED) == "Refusal(429, 'rate_limited', 'Too many.')"
    assert str(LIMITED) == "Too many."
