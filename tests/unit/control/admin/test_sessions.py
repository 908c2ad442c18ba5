"""Conversations as the list and the page of one show them."""

from typing import Any

import httpx
import pytest
from tests.unit.control.admin.test_traces import exchange, keep, said, trace_id
from tests.unit.control.conftest import Gateway
from tests.unit.control.test_reach import Two

from spangate.exchange import Status

PATH = "/api/v1/sessions"


@pytest.fixture
def kept(gateway: Gateway, http: httpx.Client) -> httpx.Client:
    keep(
        gateway,
        [
            (exchange(1, session_id="a/1"), said("Hello?", "Hello!")),
            (exchange(2, session_id="b", user_id=None, attempts=()), None),
            (exchange(3, session_id="a/1", user_id="bob", status=Status.error), said("Refund!", None)),
        ],
    )
    return http


def test_a_conversation_is_told_with_what_it_came_to(kept: httpx.Client) -> None:
    first, second = kept.get(PATH).json()["sessions"]
    last = first.pop("last")
    assert first == {
        "session_id": "a/1",
        "first_at": "2027-01-15T08:00:01.123000Z",
        "last_at": "2027-01-15T08:00:03.123000Z",
        "traces": 2,
        "more": False,
        "errors": 1,
        "users": ["bob", "ann"],
        "endpoints": ["chat"],
        "experiments": ["Default"],
        "input_tokens": 22,
        "output_tokens": 10,
        "cost": "2.5",
        "unpriced_attempts": 0,
        "estimated_attempts": 0,
    }
    assert (last["trace_id"], last["request_preview"]) == (trace_id(3), "Refund!")
    assert (second["session_id"], second["cost"], second["input_tokens"], second["users"]) == ("b", None, None, [])


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"user": "ann"}, ["a/1"]),
        ({"user": "eve"}, []),
        ({"q": "/"}, ["a/1"]),
        ({"session_id": "a/1"}, ["a/1"]),
        ({"session_id": "a"}, []),
        ({"experiment_id": "7"}, []),
        ({"since_ms": 1_800_000_002_123, "until_ms": 1_800_000_003_000}, ["b"]),
    ],
)
def test_the_list_is_filtered(kept: httpx.Client, query: dict[str, Any], ids: list[str]) -> None:
    assert [session["session_id"] for session in kept.get(PATH, params=query).json()["sessions"]] == ids


def test_pages_lead_to_the_end(kept: httpx.Client) -> None:
    first = kept.get(PATH, params={"max_results": 1}).json()
    last = kept.get(PATH, params={"max_results": 1, "page_token": first["next_page_token"]}).json()
    assert [session["session_id"] for session in (*first["sessions"], *last["sessions"])] == ["a/1", "b"]
    assert last["next_page_token"] is None


def test_what_was_said_in_one_comes_in_the_order_of_time(kept: httpx.Client) -> None:
    found = kept.get(f"{PATH}/a%2F1").json()
    assert (found["session_id"], found["next_page_token"]) == ("a/1", None)
    assert [turn["trace_id"] for turn in found["turns"]] == [trace_id(1), trace_id(3)]
    answered, broken = found["turns"]
    assert [message["parts"][0]["text"] for side in ("messages", "answers") for message in answered["conversation"][side]] == [
        "Hello?",
        "Hello!",
    ]
    assert (answered["content"], answered["cost"], answered["conversation_missing"]) == ("kept", "1.25", None)
    assert (broken["status"], broken["conversation"]["answers"]) == ("error", [])
    (silent,) = kept.get(f"{PATH}/b").json()["turns"]
    assert (silent["content"], silent["conversation"]) == ("not_kept", None)
    assert silent["conversation_missing"] == "Nothing of what was said is here."
    first = kept.get(f"{PATH}/a/1", params={"max_results": 1}).json()
    assert [turn["trace_id"] for turn in first["turns"]] == [trace_id(1)]
    last = kept.get(f"{PATH}/a/1", params={"max_results": 1, "page_token": first["next_page_token"]}).json()
    assert [turn["trace_id"] for turn in last["turns"]] == [trace_id(3)]


def test_one_that_is_not_there_is_not_found(kept: httpx.Client) -> None:
    response = kept.get(f"{PATH}/none")
    assert (response.status_code, response.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("limit", ["endpoints", "experiments"])
def test_a_key_for_some_is_told_of_these_alone(gateway: Gateway, limit: str) -> None:
    two = Two(gateway)
    for n, home in enumerate((two.mine.endpoint, two.other.endpoint), 11):
        keep(gateway, [(exchange(n, session_id="s", endpoint_id=home.endpoint_id, experiment_id=home.experiment_id), None)])
    limits = {"endpoints": [two.mine.endpoint.endpoint_id], "experiments": [two.mine.endpoint.experiment_id]}
    with two.reader(**{limit: limits[limit]}) as reader:
        (session,) = reader.get(PATH).json()["sessions"]
        assert (session["traces"], session["last"]["trace_id"]) == (1, trace_id(11))
        assert [turn["trace_id"] for turn in reader.get(f"{PATH}/s").json()["turns"]] == [trace_id(11)]
