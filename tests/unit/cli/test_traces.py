import itertools
import json

import pytest

from spangate.cli.traces import Line, follow
from spangate.client import Unreachable
from spangate.exchange import AttemptRecord, Status
from spangate.wire.usage import Provenance, Usage

from .conftest import Gateway

FIRST = "01a20326-4e61-77b6-9456-28ed818b56a6"
SECOND = "01a20326-4e61-77b6-9456-28ed818b56a7"
THIRD = "01a20326-4e61-77b6-9456-28ed818b56a8"


def trace(call_id: str) -> str:
    return "tr-" + call_id.replace("-", "")


def test_list_tells_endpoint_model_tokens_and_times(gateway: Gateway) -> None:
    gateway.keep("0", FIRST)
    assert gateway.json("traces", "list") == [
        {
            "trace_id": trace(FIRST),
            "time": "2023-11-14T22:13:20.000Z",
            "endpoint": "chat",
            "model": "gpt-x",
            "state": "OK",
            "input_tokens": 11,
            "output_tokens": 7,
            "provenance": "reported",
            "cost": None,
            "cost_estimated": False,
            "unpriced": 1,
            "first_token_ms": 250.0,
            "duration_ms": 1500.0,
        }
    ]
    row = gateway.run("traces", "list", "--endpoint", "chat").stdout.splitlines()[1]
    assert row.split()[1:] == ["chat", "gpt-x", "OK", "11", "7", "-", "250", "ms", "1.50", "s", trace(FIRST)]
    assert gateway.json("traces", "list", "--endpoint", "other") == []
    assert gateway.json("traces", "list", "--filter", "status = 'ERROR'") == []


def test_an_estimate_is_never_shown_as_a_fact(gateway: Gateway) -> None:
    guessed = AttemptRecord(
        no=1, provider="openai", model="gpt-x", format="openai.chat", started=0, ended=1, status=Status.client_gone,
        usage=Usage(input=11, output=7), provenance=Provenance.estimated,
    )  # fmt: skip
    gateway.keep("0", FIRST, status=Status.client_gone, attempts=(guessed,))
    assert gateway.json("traces", "list")[0]["provenance"] == "estimated"
    assert gateway.run("traces", "list").stdout.splitlines()[1].split()[4:6] == ["~11", "~7"]
    assert "(estimated)" in gateway.run("traces", "show", FIRST).stdout


def test_costs_are_told_with_what_is_doubtful_of_them(gateway: Gateway) -> None:
    def tried(no: int, model: str, provenance: Provenance) -> AttemptRecord:
        return AttemptRecord(
            no=no, provider="openai", model=model, format="openai.chat", started=0, ended=1, status=Status.ok,
            usage=Usage(input=1_000_000, output=1_000), provenance=provenance,
        )  # fmt: skip

    known, guessed, unpriced = (
        tried(1, "gpt-4o-mini", Provenance.reported),
        tried(2, "gpt-4o-mini", Provenance.estimated),
        tried(3, "gpt-x", Provenance.reported),
    )
    gateway.control.pricing.open()
    gateway.keep("0", FIRST, attempts=(known,))
    gateway.keep("0", SECOND, attempts=(known, guessed))
    gateway.keep("0", THIRD, attempts=(known, guessed, unpriced))
    told = [gateway.json("traces", "list")[number] for number in (2, 1, 0)]
    # https://openai.com/api/pricing: 0.15 and 0.60 for a million
    assert [(line["cost"], line["cost_estimated"], line["unpriced"]) for line in told] == [
        ("0.1506", False, 0),
        ("0.3012", True, 0),
        ("0.3012", True, 1),
    ]
    rows = gateway.run("traces", "list").stdout.splitlines()[1:]
    assert [row.split()[6] for row in rows] == ["$0.15", "~$0.30", "~$0.30+"]
    assert "cost: USD 0.1506\n" in gateway.run("traces", "show", FIRST).stdout
    doubtful = gateway.run("traces", "show", THIRD).stdout
    assert "cost: USD 0.3012 (of tokens that are partly estimated; 1 attempt without a price)\n" in doubtful


def test_an_empty_list_says_whether_anything_was_asked_for(gateway: Gateway) -> None:
    assert gateway.run("traces", "list").stdout.startswith("No traces yet")
    assert gateway.run("traces", "list", "--endpoint", "chta").stdout == "No trace matches.\n"


def test_list_pages_until_it_has_enough(gateway: Gateway) -> None:
    for number in range(25):
        gateway.keep("0", f"01a20326-4e61-77b6-9456-{number:012x}", 1_700_000_000_000 + number)
    assert len(gateway.json("traces", "list")) == 20
    assert len(gateway.json("traces", "list", "-n", "25")) == 25


def test_show_takes_a_call_id_and_tells_it_all(gateway: Gateway) -> None:
    gateway.keep("0", FIRST)
    shown = gateway.run("traces", "show", FIRST).stdout
    for words in (
        "gateway/chat",
        "provider/openai/gpt-x",
        "first token 250 ms, whole 1.50 s",
        "input 11",
        "output 7",
        "(reported)",
        "cost: unknown (1 attempt without a price)",
        "Ping?",
        "answer",
    ):
        assert words in shown
    assert gateway.json("traces", "show", trace(FIRST))["trace_info"]["trace_id"] == trace(FIRST)


def test_show_says_that_there_is_no_such_trace(gateway: Gateway) -> None:
    result = gateway.run("traces", "show", trace(SECOND))
    assert result.exit_code == 1


def test_tail_begins_with_the_past_and_brings_each_new_trace_once(gateway: Gateway) -> None:
    gateway.keep("0", FIRST)

    def later(_: float) -> None:
        if gateway.seq == 2:
            # A long stream: it began before the one that was shown, and ended after it.
            gateway.keep("0", SECOND, 1_699_999_999_000, duration=100_000_000_000)
        elif gateway.seq == 4:
            gateway.keep("0", THIRD, 1_700_000_099_500)

    with gateway.client() as client:
        seen = list(itertools.islice(follow(client, lambda: ["0"], None, 10, print, sleep=later), 3))
    assert [line.trace_id for line in seen] == [trace(FIRST), trace(SECOND), trace(THIRD)]


def test_tail_without_a_past_shows_the_new_only(gateway: Gateway) -> None:
    gateway.keep("0", FIRST)
    with gateway.client() as client:
        lines = follow(client, lambda: ["0"], None, 0, print, sleep=lambda _: gateway.keep("0", SECOND, 1_700_000_002_000))
        assert next(lines).trace_id == trace(SECOND)


def test_tail_outlives_a_restart(gateway: Gateway) -> None:
    said: list[str] = []
    answers = iter([Unreachable("No gateway answers"), ["0"]])

    def experiments() -> list[str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    gateway.keep("0", FIRST)
    with gateway.client() as client:
        first: Line = next(follow(client, experiments, None, 5, said.append, sleep=lambda _: None))
    assert (first.trace_id, said) == (trace(FIRST), ["No gateway answers; trying on"])


def test_tail_writes_an_object_a_line_for_scripts(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.keep("0", FIRST)
    endless = follow
    monkeypatch.setattr("spangate.cli.traces.follow", lambda *arguments: itertools.islice(endless(*arguments), 1))
    result = gateway.run("traces", "tail", "--json")
    assert [json.loads(line)["trace_id"] for line in result.stdout.splitlines()] == [trace(FIRST)]
