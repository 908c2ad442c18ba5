"""Traces as the list and the page of one show them."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from tests.unit.control.conftest import Gateway
from tests.unit.control.test_reach import Two

from spangate.exchange import LEFT_OUT, AttemptRecord, Content, Exchange, Fault, ProcessPosition, Settled, Status
from spangate.prices.cost import PICO, Billed, Cost
from spangate.record.spans import trace_row
from spangate.store import experiments
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage

START = 1_800_000_000_123_456_789
PATH = "/api/v1/traces"


def call_id(n: int) -> str:
    return f"01a20321-0000-7000-8000-{n:012x}"


def trace_id(n: int) -> str:
    return "tr-" + call_id(n).replace("-", "")


BROKEN = AttemptRecord(
    no=1,
    provider="openai",
    model="gpt-5-mini",
    model_definition_id="m-1",
    format="openai.chat",
    started=1_000_000,
    headed=40_000_000,
    ended=50_000_000,
    status=Status.error,
    http_status=429,
    upstream_request_id="req_1",
    fault=Fault("rate_limit", "Slow down", 429),
)
OK = AttemptRecord(
    no=2,
    provider="anthropic",
    model="claude-haiku-4-5",
    model_definition_id="m-2",
    format="anthropic.messages",
    started=150_000_000,
    headed=180_000_000,
    first_token=190_500_000,
    ended=350_000_000,
    status=Status.ok,
    http_status=200,
    response_model="claude-haiku-4-5-20251001",
    stop_reason="end_turn",
    usage=Usage(input=11, output=5, cache_read=3, reasoning=2),
    provenance=Provenance.reported,
)


def exchange(n: int, **changes: Any) -> Exchange:
    """Call number n, received n seconds after START."""
    fields: dict[str, Any] = {
        "call_id": call_id(n),
        "format": "openai.chat",
        "request_type": "passthrough/model/openai-chat",
        "path": "/v1/chat/completions",
        "server": "127.0.0.1:4000",
        "received_at": START + n * 1_000_000_000,
        "status": Status.ok,
        "http_status": 200,
        "duration": 360_000_000,
        "first_token": 190_500_000,
        "endpoint_id": "e-1",
        "endpoint": "chat",
        "experiment_id": "0",
        "model": "chat",
        "stream": True,
        "caller_id": "k-1",
        "caller": "ann's laptop",
        "agent": "OpenAI",
        "session_id": "s-1",
        "user_id": "ann",
        "attempts": (BROKEN, OK),
    }
    return Exchange(**(fields | changes))


def said(question: str, answer: str | None) -> Content:
    response = None if answer is None else json.dumps({"choices": [{"message": {"role": "assistant", "content": answer}}]}).encode()
    return Content(request=json.dumps({"model": "chat", "messages": [{"role": "user", "content": question}]}).encode(), response=response)


def price(billed: Billed) -> Cost | None:
    return Cost(price_id="p-1", input=PICO // 4, output=PICO) if billed.provider == "anthropic" else None


def keep(gateway: Gateway, settled: Sequence[tuple[Exchange, Content | None]]) -> None:
    records = [Settled(seq=seq, exchange=exchange, content=content) for seq, (exchange, content) in enumerate(settled, 1)]
    process = f"p-{settled[0][0].call_id}"
    sink = LedgerSink(gateway.control.database, trace_row, cost_of=price)
    assert sink.keep(None, ProcessPosition(process, 1, 1, len(records)), records, gaps=[])


@pytest.fixture
def kept(gateway: Gateway, http: httpx.Client) -> httpx.Client:
    with gateway.control.database.write() as connection:
        assert experiments.create(connection, name="other", now=1) == "1"
    keep(
        gateway,
        [
            (exchange(1), said("Hello?", "Hello!")),
            (exchange(2, status=Status.refused, http_status=403, fault=Fault("forbidden", "No."), attempts=(), duration=None), None),
            (exchange(3, experiment_id="1", endpoint_id="e-2", endpoint="support", caller="bob", caller_id="k-2"), said("Refund!", None)),
        ],
    )
    return http


def listed(http: httpx.Client, **query: Any) -> list[str]:
    response = http.get(PATH, params=query)
    assert response.status_code == 200, response.text
    return [row["trace_id"] for row in response.json()["traces"]]


def test_a_row_tells_what_the_call_came_to(kept: httpx.Client) -> None:
    refused, whole = kept.get(PATH, params={"experiment_id": "0"}).json()["traces"]
    assert whole == {
        "trace_id": trace_id(1),
        "call_id": call_id(1),
        "experiment_id": "0",
        "experiment": "Default",
        "endpoint_id": "e-1",
        "endpoint": "chat",
        "requested_model": "chat",
        "provider": "anthropic",
        "model": "claude-haiku-4-5",
        "format": "openai.chat",
        "request_type": "passthrough/model/openai-chat",
        "status": "ok",
        "http_status": 200,
        "fault": None,
        "streamed": True,
        "attempts": 2,
        "fell_back": True,
        "received_at": "2027-01-15T08:00:01.123457Z",
        "duration_ms": 360.0,
        "first_token_ms": 190.5,
        "tokens": {
            "input": 11,
            "output": 5,
            "total": 16,
            "cache_read": 3,
            "cache_write": None,
            "reasoning": 2,
            "provenance": "reported",
        },
        "cost": "1.25",
        "cost_estimated": False,
        "unpriced_attempts": 0,
        "request_preview": "Hello?",
        "response_preview": "Hello!",
        "metadata_only": False,
        "user": "ann",
        "session": "s-1",
        "key_id": "k-1",
        "key": "ann's laptop",
        "agent": "OpenAI",
        "tags": {},
    }
    assert (refused["status"], refused["fault"]) == ("refused", {"kind": "forbidden", "message": "No.", "http_status": None})
    assert (refused["provider"], refused["attempts"], refused["fell_back"], refused["duration_ms"]) == (None, 0, False, None)
    assert (refused["cost"], refused["tokens"]["total"], refused["tokens"]["provenance"]) == (None, None, "unknown")


def test_what_we_counted_and_what_has_no_price_is_said(gateway: Gateway, http: httpx.Client) -> None:
    guessed = {"usage": Usage(input=7, output=1), "provenance": Provenance.estimated}
    first = AttemptRecord(no=1, provider="openai", model="gpt-5-mini", format="openai.chat", started=0, **guessed)
    keep(gateway, [(exchange(1, attempts=(first, OK)), None)])
    (row,) = http.get(PATH).json()["traces"]
    assert (row["cost"], row["cost_estimated"], row["unpriced_attempts"]) == ("1.25", True, 1)
    assert (row["tokens"]["input"], row["tokens"]["output"], row["tokens"]["provenance"]) == (18, 6, "estimated")


def test_the_list_is_filtered_and_paged(kept: httpx.Client) -> None:
    assert listed(kept) == [trace_id(3), trace_id(2), trace_id(1)]
    assert listed(kept, status=["refused", "timeout"]) == [trace_id(2)]
    assert listed(kept, provider="anthropic", model="claude-haiku-4-5", key="k-1") == [trace_id(1)]
    assert listed(kept, endpoint="support", user="ann", session="s-1") == [trace_id(3)]
    assert listed(kept, q="refund") == [trace_id(3)]
    assert listed(kept, min_ms=360, max_ms=360, since_ms=(START + 2 * 10**9) // 10**6) == [trace_id(3)]
    assert listed(kept, until_ms=(START + 2 * 10**9) // 10**6) == [trace_id(1)]
    first = kept.get(PATH, params={"max_results": 2}).json()
    last = kept.get(PATH, params={"max_results": 2, "page_token": first["next_page_token"]}).json()
    assert [row["trace_id"] for row in (*first["traces"], *last["traces"])] == [trace_id(3), trace_id(2), trace_id(1)]
    assert last["next_page_token"] is None


def test_tags_are_a_filter_and_told(kept: httpx.Client) -> None:
    tag = {"key": "reviewed", "value": "yes: twice"}
    assert kept.patch(f"/api/3.0/mlflow/traces/{trace_id(1)}/tags", json=tag).status_code == 200
    (row,) = kept.get(PATH, params={"tag": "reviewed:yes: twice"}).json()["traces"]
    assert (row["trace_id"], row["tags"]) == (trace_id(1), {"reviewed": "yes: twice"})
    assert listed(kept, tag="reviewed:no") == []


@pytest.mark.parametrize("query", [{"tag": "reviewed"}, {"max_results": 201}, {"status": "well"}, {"page_token": "x"}, {"min_ms": -1}])
def test_what_cannot_be_asked_is_refused(kept: httpx.Client, query: dict[str, Any]) -> None:
    response = kept.get(PATH, params=query)
    assert (response.status_code, response.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(("limit", "seen"), [("endpoints", 1), ("experiments", 1), (None, 2)])
def test_a_key_for_some_is_told_of_these_alone(gateway: Gateway, limit: str | None, seen: int) -> None:
    two = Two(gateway)
    mine = two.mine.endpoint
    limits = {"endpoints": [mine.endpoint_id], "experiments": [mine.experiment_id]}
    with two.reader(**({limit: limits[limit]} if limit else {})) as reader:
        assert sorted(listed(reader)) == [call.trace_id for call in two.calls][:seen]


# ---------------------------------------------------------------- one


def test_one_is_told_with_its_attempts_marks_and_spans(kept: httpx.Client) -> None:
    row = next(row for row in kept.get(PATH).json()["traces"] if row["trace_id"] == trace_id(1))
    whole = kept.get(f"{PATH}/{trace_id(1)}").json()
    assert {name: whole[name] for name in row} == row
    broken, ok = whole["tried"]
    assert broken["fault"] == {"kind": "rate_limit", "message": "Slow down", "http_status": 429}
    assert (broken["wait_ms"], broken["cost"], broken["tokens"]["input"], broken["tokens"]["provenance"]) == (None, None, None, "unknown")
    assert ok == {
        "no": 2,
        "provider": "anthropic",
        "model": "claude-haiku-4-5",
        "response_model": "claude-haiku-4-5-20251001",
        "model_definition_id": "m-2",
        "format": "anthropic.messages",
        "status": "ok",
        "http_status": 200,
        "fault": None,
        "upstream_request_id": None,
        "response_id": None,
        "service_tier": None,
        "stop_reason": "end_turn",
        "wait_ms": 100.0,
        "started_ms": 150.0,
        "headed_ms": 180.0,
        "first_token_ms": 190.5,
        "ended_ms": 350.0,
        "tokens": {
            "input": 11,
            "output": 5,
            "cache_read": 3,
            "cache_write": None,
            "cache_write_5m": None,
            "cache_write_1h": None,
            "reasoning": 2,
            "audio_input": None,
            "audio_output": None,
            "image_input": None,
            "image_output": None,
            "invalid": [],
            "provenance": "reported",
        },
        "price_id": "p-1",
        "input_cost": "0.25",
        "output_cost": "1",
        "cost": "1.25",
    }
    assert [(mark["kind"], mark["at_ms"], mark["attempt"]) for mark in whole["marks"]] == [
        ("received", 0.0, None),
        ("attempt", 1.0, 1),
        ("headers", 40.0, 1),
        ("attempt_ended", 50.0, 1),
        ("attempt", 150.0, 2),
        ("headers", 180.0, 2),
        ("first_token", 190.5, 2),
        ("attempt_ended", 350.0, 2),
        ("finished", 360.0, None),
    ]
    root, first, last = whole["spans"]
    assert (root["kind"], root["parent_id"], root["start_ns"], root["end_ns"], root["status"]) == ("call", None, 0, 360_000_000, "OK")
    assert {first["parent_id"], last["parent_id"]} == {root["span_id"]}
    assert (first["kind"], first["status"], first["description"]) == ("attempt", "ERROR", "rate_limit: Slow down")
    assert first["events"][0]["attributes"] == {"exception.type": '"rate_limit"', "exception.message": '"Slow down"'}
    assert last["attributes"]["spangate.time_to_first_token_ms"] == "40.5"
    assert "Hello" not in json.dumps(whole["spans"])


def test_one_is_told_with_what_was_said(kept: httpx.Client) -> None:
    whole = kept.get(f"{PATH}/{trace_id(1)}").json()
    request = said("Hello?", None).request
    assert request is not None
    expected = {"text": request.decode(), "bytes": len(request), "truncated": False, "content_type": "application/json"}
    assert (whole["content"], whole["request"]) == ("kept", expected)
    assert whole["conversation"] == {
        "messages": [{"role": "user", "name": None, "parts": [{"type": "text", "text": "Hello?"}], "finish_reason": None}],
        "answers": [{"role": "assistant", "name": None, "parts": [{"type": "text", "text": "Hello!"}], "finish_reason": None}],
        "tools": [],
        "parameters": {},
        "error": None,
        "missing": [],
    }
    assert whole["conversation_missing"] is None


PARTS: list[dict[str, Any]] = [
    {"type": "text", "text": "half \ud800 of a pair"},
    {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    {"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}},
    {"type": "refusal", "refusal": "No."},
    {"type": "thinking", "thinking": "Hmm."},
    {"type": "new", "x": 2**70},
]


def test_each_part_of_what_was_said_has_its_place(gateway: Gateway, http: httpx.Client) -> None:
    messages = [
        {"role": "user", "content": PARTS},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "42"},
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    body = json.dumps({"model": "chat", "messages": messages, "tools": tools, "seed": 2**70}).encode()
    keep(gateway, [(exchange(1), Content(request=body))])
    answered = http.get(f"{PATH}/{trace_id(1)}")
    assert answered.status_code == 200, answered.text
    found = answered.json()["conversation"]
    assert found["messages"][0]["parts"] == [
        {"type": "text", "text": "half \ufffd of a pair"},
        {"type": "image", "url": "https://example.com/cat.png", "media_type": None},
        {"type": "audio", "url": "data:audio/mpeg;base64,AAAA", "transcript": None},
        {"type": "file", "url": "file-1", "name": "a.pdf", "media_type": None},
        {"type": "refusal", "text": "No."},
        {"type": "thinking", "text": "Hmm."},
        {"type": "other", "kind": "new", "value": '{"type":"new","x":1180591620717411303424}'},
    ]
    assert [message["parts"] for message in found["messages"][1:]] == [
        [{"type": "tool_call", "call_id": "c", "name": "f", "arguments": "{}"}],
        [{"type": "tool_result", "call_id": "c", "name": None, "failed": False, "parts": [{"type": "text", "text": "42"}]}],
    ]
    assert found["tools"] == [{"name": "f", "kind": "function", "description": None, "parameters": '{"type":"object"}'}]
    assert found["parameters"] == {"seed": "1180591620717411303424"}


@pytest.mark.parametrize(
    ("content", "state", "missing"),
    [
        (None, "not_kept", "Nothing of what was said is here."),
        (Content(), "not_kept", "Nothing of what was said is here."),  # its process died with it
        (LEFT_OUT, "no_room", "Nothing of what was said is here."),
        (Content(request=b'{"messages": [{"content": "He', request_truncated=True), "truncated", None),
        (Content(request=b"{" * 300, response=b"\xff"), "kept", "The request is not shown"),
    ],
)
def test_what_is_not_here_is_said(gateway: Gateway, http: httpx.Client, content: Content | None, state: str, missing: str | None) -> None:
    keep(gateway, [(exchange(1), content)])
    found = http.get(f"{PATH}/{trace_id(1)}").json()
    assert found["content"] == state
    if missing is None:
        assert found["conversation"]["missing"] == ["The end of the request is not here."]
        assert (found["request"]["truncated"], found["request"]["content_type"]) == (True, "text/plain")
    else:
        assert found["conversation"] is None
        assert found["conversation_missing"].startswith(missing)


def test_one_that_is_not_there_is_not_found(kept: httpx.Client) -> None:
    response = kept.get(f"{PATH}/tr-none")
    assert (response.status_code, response.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("limit", ["endpoints", "experiments"])
def test_one_of_others_is_as_if_it_were_not_there(gateway: Gateway, limit: str) -> None:
    two = Two(gateway)
    mine, other = (call.trace_id for call in two.calls)
    limits = {"endpoints": [two.mine.endpoint.endpoint_id], "experiments": [two.mine.endpoint.experiment_id]}
    with two.reader(**{limit: limits[limit]}) as reader:
        assert reader.get(f"{PATH}/{mine}").status_code == 200
        assert reader.get(f"{PATH}/{other}").json() == {
            **reader.get(f"{PATH}/tr-x").json(),
            "message": f"Trace with ID '{other}' not found.",
        }


# ---------------------------------------------------------------- as they come


def test_what_comes_after_a_list_is_told_by_its_head(gateway: Gateway, kept: httpx.Client) -> None:
    first = kept.get(PATH, params={"max_results": 1}).json()
    assert first["more_newer"] is False
    nothing = kept.get(PATH, params={"newer_than": first["head"]}).json()
    assert (nothing["traces"], nothing["next_page_token"], nothing["more_newer"]) == ([], None, False)
    keep(gateway, [(exchange(9), None), (exchange(5, status=Status.error), None), (exchange(0), None)])
    newer = kept.get(PATH, params={"newer_than": first["head"], "max_results": 2}).json()
    assert ([row["trace_id"] for row in newer["traces"]], newer["more_newer"]) == ([trace_id(9), trace_id(5)], True)
    assert listed(kept, newer_than=newer["head"]) == [trace_id(0)]
    assert listed(kept, newer_than=nothing["head"], status="error") == [trace_id(5)]


def test_a_head_is_refused_where_it_cannot_be_used(kept: httpx.Client) -> None:
    answer = kept.get(PATH, params={"max_results": 1}).json()
    both = kept.get(PATH, params={"newer_than": answer["head"], "page_token": answer["next_page_token"]})
    assert (both.status_code, both.json()["message"]) == (400, "Say either `newer_than` or `page_token`.")
    assert kept.get(PATH, params={"newer_than": "x"}).status_code == 400
