import json
from typing import Any

import httpx
import pytest
from mlflow.store.tracking.rest_store import RestStore

from spangate.exchange import AttemptRecord, Exchange, ProcessPosition, Settled, Status
from spangate.store import schema
from spangate.wire.usage import Provenance, Usage

PATH = "/api/v1/reprice"
DAY = 86_400_000_000_000
OCTOBER = 1_790_812_800_000_000_000  # 2026-10-01, ns


def call(number: int, *models: str) -> Exchange:
    """Received on the n-th day from 1 October 2026 on; a million tokens in for each model that was tried."""
    attempts = tuple(
        AttemptRecord(
            no=no,
            provider="openai",
            model=model,
            format="openai.chat",
            started=5,
            ended=10,
            status=Status.ok,
            usage=Usage(input=1_000_000, output=0),
            provenance=Provenance.reported,
        )
        for no, model in enumerate(models, 1)
    )
    return Exchange(
        call_id=f"01a20321-0000-7000-8000-{number:012x}",
        format="openai.chat",
        request_type="passthrough/model/openai-chat",
        path="/v1/chat/completions",
        server="127.0.0.1:4000",
        received_at=OCTOBER + number * DAY,
        status=Status.ok,
        http_status=200,
        duration=20,
        endpoint="chat",
        experiment_id="0",
        attempts=attempts,
    )


@pytest.fixture
def kept(gateway: Any) -> Any:
    exchanges = [call(0, "gpt-4o-mini"), call(1, "gpt-4o-mini", "in-house"), call(31, "in-house"), call(32, "gpt-4o")]
    records = [Settled(seq=no, exchange=one) for no, one in enumerate(exchanges, 1)]
    gateway.control.pricing.open()
    assert gateway.control.sink.keep(None, ProcessPosition("p-1", 1, 100, len(records)), records, gaps=[])
    return gateway


def override(http: httpx.Client, name: str, model: str, **price: Any) -> None:
    answer = http.post("/api/v1/prices/overrides", json={"name": name, "model": model, **price})
    assert answer.status_code == 200, answer.text


def repriced(http: httpx.Client, **asked: Any) -> Any:
    answer = http.post(PATH, json={"since": "2026-10", "until": "2027-01", **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()


def costs(http: httpx.Client) -> list[str | None]:
    return [one["cost"] for one in reversed(http.get("/api/v1/calls").json()["calls"])]


def test_a_correction_reaches_calls_traces_and_usage_at_once(kept: Any, http: httpx.Client, store: RestStore) -> None:
    assert costs(http) == ["0.15", "0.15", None, "2.5"]
    assert repriced(http)["changed_calls"] == 0
    override(http, "half", "gpt-4o-mini", multiplier="0.5")
    override(http, "ours", "in-house", rates={"input": {"usd": "1"}, "output": {"usd": "2"}})
    told = repriced(http, dry_run=True)
    assert costs(http) == ["0.15", "0.15", None, "2.5"]
    done = repriced(http)
    assert done == told | {"dry_run": False}
    changes = [{**change, "price_before": change["price_before"] is not None, "price_after": None} for change in done.pop("changes")]
    assert done == {
        "dry_run": False,
        "calls": 4,
        "changed_calls": 3,
        "changed_attempts": 4,
        "newly_priced_attempts": 2,
        "unpriced_attempts": 0,
        "cost_before": "0.3",
        "cost_after": "2.15",
        "difference": "1.85",
        "closed_months": [],
        "cursor": None,
    }
    shared = {"provider": "openai", "price_after": None, "attempts": 2}
    assert sorted(changes, key=str) == sorted(
        [
            shared | {"model": "gpt-4o-mini", "price_before": True, "cost_before": "0.3", "cost_after": "0.15", "difference": "-0.15"},
            shared | {"model": "in-house", "price_before": False, "cost_before": "0", "cost_after": "2", "difference": "2"},
        ],
        key=str,
    )
    assert costs(http) == ["0.075", "1.075", "1", "2.5"]
    assert http.get("/api/v1/usage", params={"since": "2026-10", "until": "2027-01"}).json()["total"]["measures"]["cost"] == "4.65"
    info = store.get_trace_info("tr-01a20321000070008000000000000001")
    assert json.loads(info.trace_metadata["mlflow.trace.cost"]) == {"input_cost": 1.075, "output_cost": 0.0, "total_cost": 1.075}


def test_some_calls_a_request_come_to_all_of_them(kept: Any, http: httpx.Client) -> None:
    override(http, "half", "*", multiplier="0.5")
    parts = [repriced(http, limit=1)]
    while parts[-1]["cursor"] is not None:
        parts.append(repriced(http, limit=1, cursor=parts[-1]["cursor"]))
    assert [part["calls"] for part in parts] == [1, 1, 1, 1, 0]
    assert [part["changed_attempts"] for part in parts] == [1, 1, 0, 1, 0]
    assert [part["unpriced_attempts"] for part in parts] == [0, 1, 1, 0, 0]
    assert costs(http) == ["0.075", "0.075", None, "1.25"]


def test_a_closed_month_stays_and_is_named_until_it_is_opened_again(kept: Any, http: httpx.Client) -> None:
    with kept.control.database.write() as connection:
        closed = {"closed_at": 0, "document": "{}"}
        connection.execute(schema.closed_months.insert().values(month="2026-10", **closed))
        connection.execute(schema.closed_months.insert().values(month="2026-12", **closed))
        connection.execute(schema.closed_months.insert().values(month="2027-02", **closed))  # of another range
    override(http, "double", "*", multiplier="2")
    done = repriced(http)
    assert (done["closed_months"], done["calls"], costs(http)) == (["2026-10", "2026-12"], 2, ["0.15", "0.15", None, "5"])
    with kept.control.database.write() as connection:
        connection.execute(schema.closed_months.update().values(reopened_at=1))
    assert (repriced(http)["closed_months"], costs(http)) == ([], ["0.3", "0.3", None, "5"])


def test_only_the_range_is_priced_anew_in_the_time_zone_that_is_said(kept: Any, http: httpx.Client) -> None:
    override(http, "double", "*", multiplier="2")
    assert repriced(http, since="2026-10-02", until="2026-10-03")["calls"] == 1
    assert costs(http) == ["0.15", "0.3", None, "2.5"]
    # Midnight in UTC is still the day before in New York.
    assert repriced(http, since="2026-09-30", until="2026-10-01", zone="America/New_York")["calls"] == 1
    assert costs(http) == ["0.3", "0.3", None, "2.5"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"since": "yesterday"}, "Invalid time"),
        ({"since": "2026-10", "until": "2026-09"}, "after"),
        ({"since": "2026-10", "zone": "Mars/Base"}, "time zone"),
        ({"since": "2026-10", "cursor": "5"}, "cursor"),
        ({"since": "2026-10", "cursor": f"{2**63}:x"}, "cursor"),
        ({"since": "2026-10", "limit": 0}, "limit"),
        ({"since": "2026-10", "dryrun": True}, "dryrun"),
        ({}, "since"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(bare: httpx.Client, asked: dict[str, Any], words: str) -> None:
    answer = bare.post(PATH, json=asked)
    assert (answer.status_code, words in answer.json()["message"]) == (400, True), answer.text
