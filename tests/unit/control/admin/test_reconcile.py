"""A bill over HTTP: who may ask, what is refused in which words, and that the ledger is what it is held against."""

import json
from typing import Any

import httpx
import pytest

from spangate.exchange import AttemptRecord, Exchange, ProcessPosition, Settled, Status
from spangate.wire.usage import Provenance, Usage

from .test_keys import made

PATH = "/api/v1/reconcile"
T0 = 1_790_812_800_000  # ms; 2026-10-01
BILL = "date,model,input_tokens,output_tokens,cost_usd\n2026-10-01,gpt-5-mini,1000,100,0.000450\n"


def keep(gateway: Any, *usages: Usage, **changes: Any) -> None:
    """A settled call each, of gpt-5-mini: $0.25 a million tokens in, $2 out."""
    facts = {"no": 1, "provider": "openai", "model": "gpt-5-mini", "format": "openai.chat", "started": 0, "ended": 9, "status": Status.ok}
    records = [
        Settled(
            seq=number,
            exchange=Exchange(
                call_id=f"01890000-0000-7000-8000-{number:012x}",
                format="openai.chat",
                request_type="chat",
                path="/v1/chat/completions",
                server="here",
                received_at=T0 * 1_000_000 + number,
                status=Status.ok,
                attempts=(AttemptRecord(**(facts | {"usage": usage, "provenance": Provenance.reported} | changes)),),
            ),
        )
        for number, usage in enumerate(usages, 1)
    ]
    gateway.control.pricing.open()
    assert gateway.control.sink.keep(None, ProcessPosition("p", 1, 1, len(records)), records, gaps=[])


def asked(http: httpx.Client, body: str | bytes = BILL, **query: Any) -> Any:
    answer = http.post(PATH, params={"provider": "openai", **query}, content=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(http: httpx.Client, body: str | bytes = BILL, **query: Any) -> str:
    answer = http.post(PATH, params={"provider": "openai"} | query, content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text
    return answer.json()["message"]


def test_a_bill_that_agrees(gateway: Any, http: httpx.Client) -> None:
    keep(gateway, Usage(input=1_000, output=100))
    assert asked(http) == {
        "provider": "openai",
        "format": "csv",
        "since": "2026-10-01",
        "until": "2026-10-02",
        "tolerance": 0.001,
        "agrees": True,
        "keyed": False,
        "theirs": {"tokens": {"input": 1_000, "output": 100}, "cost": "0.00045"},
        "ours": {"tokens": {"input": 1_000, "output": 100}, "cost": "0.00045"},
        "drift": "0",
        "drift_share": 0.0,
        "attempts": 1,
        "unpriced_attempts": 0,
        "estimated_attempts": 0,
        "unknown_attempts": 0,
        "causes": [],
        "findings": [],
        "findings_left_off": 0,
        "alike": [],
        "notes": [],
    }


def test_a_bill_that_does_not(gateway: Any, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(gateway, Usage(input=1_000, output=100), Usage(input=10, output=1))
    told = asked(http, BILL.replace("0.000450", "0.000900"), tolerance=0)
    assert (told["agrees"], told["drift"]) == (False, "0.0004455")
    assert told["causes"] == [
        {"cause": "price", "findings": 1, "tokens": 0, "cost": "0.00045"},
        {"cause": "missing_there", "findings": 1, "tokens": 11, "cost": "-0.0000045"},
    ]
    price, missing = told["findings"]
    assert (missing["day"], missing["model"], missing["tokens"]) == ("2026-10-01", "gpt-5-mini", {"input": -10, "output": -1})
    assert "times our price (p-" in price["evidence"][0]
    monkeypatch.setattr("spangate.control.admin.reconcile.MOST", 1)
    cut = asked(http, BILL.replace("0.000450", "0.000900"), tolerance=0)
    assert (len(cut["findings"]), cut["findings_left_off"], len(cut["causes"])) == (1, 1, 2)


def test_several_files_are_one_bill(gateway: Any, http: httpx.Client) -> None:
    keep(gateway, Usage(input=1_000, output=100))
    usage = "date,model,input_tokens,output_tokens\n2026-10-01,gpt-5-mini,1000,100\n"
    costs = "date,model,cost_usd\n2026-10-01,gpt-5-mini,0.000450\n"
    body = json.dumps({"files": [{"name": "usage.csv", "text": usage}, {"name": "costs.csv", "text": costs}]})
    assert asked(http, body)["agrees"]
    broken = json.dumps({"files": [{"name": "usage.csv", "text": usage.replace("1000", "x")}]})
    assert refused(http, broken) == "usage.csv, line 2: input_tokens is no number: 'x'"


def test_keys_are_told_apart_if_they_are_named(gateway: Any, http: httpx.Client) -> None:
    made = http.post(
        "/api/3.0/mlflow/gateway/secrets/create", json={"secret_name": "acme", "provider": "openai", "secret_value": {"api_key": "sk-1"}}
    )
    keep(gateway, Usage(input=1_000, output=100), secret_id=made.json()["secret"]["secret_id"])
    bill = BILL.replace("date,", "key,date,").replace("2026", "key_1,2026", 1)
    assert asked(http, bill, key="key_1=acme")["keyed"] is True
    assert asked(http, bill, key="key_1=acme")["agrees"] is True
    assert [(one["cause"], one["key"]) for one in asked(http, bill, key="key_2=acme")["findings"]] == [
        ("missing_there", "acme"),
        ("missing_here", "key_1"),
    ]
    assert refused(http, bill, key="key_1=none") == "There is no secret named 'none'."
    assert "THEIRS=SECRET is expected" in refused(http, bill, key="key_1")


def test_generations_are_looked_for(gateway: Any, http: httpx.Client) -> None:
    keep(gateway, Usage(input=10, output=1), provider="openrouter", response_id="gen-1")
    rows = "".join(f"gen-{n},2026-10-01 01:00:00.0,0.001,{10 * n},{n},gpt-5-mini\n" for n in (1, 2))
    told = asked(http, "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug\n" + rows, provider="")
    assert told["provider"] == "openrouter"
    assert "1 of their 2 generations are not in the ledger: gen-2" in told["findings"][0]["evidence"]


def test_what_is_refused(http: httpx.Client) -> None:
    assert "no known export" in refused(http, "hello")
    assert refused(http, b"\xff\xfe\x00") == "The file is not UTF-8 text."
    assert "There is no provider 'acme'" in refused(http, provider="acme")
    assert "say whose bill it is" in refused(http, provider="")
    assert "no format" in refused(http, format="xlsx")
    assert "since" in refused(http, since="yesterday")
    assert "tolerance" in refused(http, tolerance="2")
    assert "that is none" in refused(http, since="2026-10-02")
    assert "at most 92" in refused(http, since="2026-01-01")
    empty = "date,model,cost_usd\n"
    assert "say since and until" in refused(http, empty)
    assert asked(http, empty, since="2026-10-01", until="2026-10-02")["agrees"]


def test_a_bill_is_not_read_beyond_the_limit(http: httpx.Client) -> None:
    answer = http.post(PATH, content=b" " * (1 << 20) + b"x")
    assert (answer.status_code, answer.json()["error_code"]) == (413, "BAD_REQUEST")


def test_viewers_may_ask_and_keys_for_some_endpoints_may_not(gateway: Any, http: httpx.Client) -> None:
    viewer = made(http, "looker", role="viewer")["key"]
    some = made(http, "scoped", role="viewer", endpoints=[])["key"]
    answers = [
        httpx.post(gateway.url + PATH, params={"provider": "openai"}, content=BILL, headers={"x-api-key": key}, trust_env=False)
        for key in (viewer, some, "sg-none")
    ]
    assert [answer.status_code for answer in answers] == [200, 403, 401]
    assert answers[1].json()["message"] == "This tells of all endpoints together, and the key `scoped` is for some of them."
