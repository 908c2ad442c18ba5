import itertools
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from tests.unit.control.mlflow.test_traces import exchange

from spangate.exchange import Content, ProcessPosition, Settled
from spangate.store.retention import DAY

PATH = "/api/v1/retention"
FOREVER = {"content_days": None, "trace_days": None, "ledger_days": None}
NOTHING = {"content": 0, "traces": 0, "calls": 0, "at": None, "under_way": False, "fault": None}
DELETE = "/api/v1/traces/delete"
NUMBERS = itertools.count()


def keep(gateway: Any, *ages: float, experiment_id: str = "0", user: str = "ann", session: str = "s-1") -> list[str]:
    """Calls of so many days ago."""
    calls: list[str] = []
    records: list[Settled] = []
    for seq, age in enumerate(ages, 1):
        ms = int(time.time() * 1000 - age * DAY)
        call_id = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{next(NUMBERS):012x}"
        one = exchange(0, experiment_id, call_id=call_id, received_at=ms * 1_000_000)
        content = Content(request=msgspec.json.encode({"user": user, "metadata": {"session_id": session}}))
        records.append(Settled(seq=seq, exchange=one, content=content))
        calls.append(call_id)
    process = f"p-{next(NUMBERS)}"
    assert gateway.control.sink.keep(None, ProcessPosition(process, 1, 1, len(records)), records, gaps=[])
    return calls


def until(true: Callable[[], Any]) -> Any:
    for _ in range(1500):
        if value := true():
            return value
        time.sleep(0.01)
    raise AssertionError("not within 15 s")


def rows(http: httpx.Client, kind: str) -> int:
    return next(part["rows"] for part in http.get("/api/v1/database/size").json()["parts"] if part["kind"] == kind)


def test_everything_is_kept_for_good_at_first(http: httpx.Client) -> None:
    assert http.get(PATH).json() == FOREVER | {"endpoints": [], "swept": NOTHING}


def test_absent_is_not_null(http: httpx.Client) -> None:
    assert http.patch(PATH, json={"content_days": 7, "trace_days": 30}).json() == FOREVER | {"content_days": 7, "trace_days": 30}
    assert http.patch(PATH, json={"trace_days": None}).json() == FOREVER | {"content_days": 7}
    assert http.get(PATH).json().items() >= (FOREVER | {"content_days": 7}).items()


def test_an_endpoint_has_periods_of_its_own(http: httpx.Client) -> None:
    gateway = "/api/3.0/mlflow/gateway"
    model = http.post(f"{gateway}/model-definitions/create", json={"name": "demo", "provider": "simulated", "model_name": "demo"}).json()
    configs = [{"model_definition_id": model["model_definition"]["model_definition_id"], "linkage_type": "PRIMARY"}]
    http.post(f"{gateway}/endpoints/create", json={"name": "chat", "model_configs": configs})
    own = http.patch("/api/v1/endpoints/chat/settings", json={"retention": {"content_days": 3}})
    assert (own.status_code, own.json()["retention"]) == (200, FOREVER | {"content_days": 3})
    assert http.get(PATH).json()["endpoints"] == [{"endpoint": "chat", **FOREVER, "content_days": 3}]
    refused = http.patch(PATH, json={"content_days": 1, "trace_days": 2})
    assert refused.status_code == 400
    assert "endpoint 'chat'" in refused.json()["message"]
    refused = http.patch("/api/v1/endpoints/chat/settings", json={"retention": {"trace_days": 3}})
    assert refused.status_code == 400
    assert http.patch("/api/v1/endpoints/chat/settings", json={"retention": None}).json()["retention"] is None
    assert http.get(PATH).json()["endpoints"] == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"content_days": 0}, "content_days"),
        ({"content_days": 1.5}, "content_days"),
        ({"content_days": 40_000}, "content_days"),
        ({"days": 4}, "days"),
        ({"ledger_days": 4}, "no trace outlives its ledger"),
    ],
)
def test_what_cannot_be_meant_is_a_clear_400(bare: httpx.Client, body: Any, word: str) -> None:
    refused = bare.patch(PATH, json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert word in refused.json()["message"]
    assert bare.get(PATH).json().items() >= FOREVER.items()


def test_what_has_outlived_its_period_goes_by_itself(gateway: Any, http: httpx.Client) -> None:
    keep(gateway, 0, 5, 20, 200)
    http.patch(PATH, json={"content_days": 3, "trace_days": 10, "ledger_days": 100})
    swept = until(lambda: (found := http.get(PATH).json()["swept"])["at"] and found)
    assert swept == {"content": 3, "traces": 2, "calls": 1, "at": swept["at"], "under_way": False, "fault": None}
    assert [rows(http, kind) for kind in ("content", "trace", "ledger")] == [1, 2, 3]


def test_traces_are_deleted_on_request(gateway: Any, http: httpx.Client) -> None:
    experiment = http.post("/api/2.0/mlflow/experiments/create", json={"name": "team"}).json()["experiment_id"]
    keep(gateway, 0, 5)
    keep(gateway, 1, 6, user="bob", session="s-2", experiment_id=experiment)
    keep(gateway, 2, session="s-2")
    done = {"done": True, "backlog_bytes": 0, "open_calls": 0}
    assert http.post(DELETE, json={"user": "bob", "session": "s-1"}).json() == {"traces_deleted": 0, **done}
    before = int((time.time() - 4 * 86_400) * 1000)
    assert http.post(DELETE, json={"experiment_id": experiment, "before_ms": before}).json() == {"traces_deleted": 1, **done}
    assert http.post(DELETE, json={"session": " s-2 "}).json() == {"traces_deleted": 2, **done}
    assert http.post(DELETE, json={"user": "ann"}).json() == {"traces_deleted": 2, **done}
    assert [rows(http, kind) for kind in ("content", "trace", "ledger")] == [0, 0, 5]


def test_a_name_is_looked_for_as_it_was_kept(gateway: Any, http: httpx.Client) -> None:
    long, key = "u" * 400, "sk-ant-api03-" + "a1B2" * 10
    keep(gateway, 0, user=long)
    keep(gateway, 0, user=key)
    assert http.post(DELETE, json={"user": long}).json()["traces_deleted"] == 1
    assert http.post(DELETE, json={"user": key}).json()["traces_deleted"] == 1


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 400, "Say which traces"),
        ({"user": None}, 400, "Say which traces"),
        ({"user": " "}, 400, "'user' is empty"),
        ({"session": ""}, 400, "'session' is empty"),
        ({"before_ms": -1}, 400, "before_ms"),
        ({"owner": "ann"}, 400, "owner"),
        ({"experiment_id": "team"}, 404, "team"),
    ],
)
def test_what_is_not_said_deletes_nothing(gateway: Any, http: httpx.Client, body: Any, status: int, word: str) -> None:
    keep(gateway, 1)
    refused = http.post(DELETE, json=body)
    assert refused.status_code == status
    assert word in refused.json()["message"]
    assert rows(http, "trace") == 1


def test_the_size_of_what_is_there(gateway: Any, http: httpx.Client) -> None:
    keep(gateway, 1, 1, 2)
    size = http.get("/api/v1/database/size").json()
    assert (size["dialect"], size["rows_estimated"], size["bytes_estimated"], size["journals"]) == ("sqlite", False, False, 0)
    assert {table["name"] for table in size["tables"]} >= {"calls", "contents", "usage_rollups"}
    assert size["parts"][2]["oldest"] < size["parts"][2]["newest"]
    assert size["calls_per_day"] == 1.5
