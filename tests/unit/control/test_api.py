"""The surface as a whole: what is served, what is refused clearly, and what our own API says."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from mlflow.protos.databricks_pb2 import rpc
from mlflow.protos.mlflow_artifacts_pb2 import MlflowArtifactsService
from mlflow.protos.model_registry_pb2 import ModelRegistryService
from mlflow.protos.service_pb2 import MlflowService
from mlflow.protos.webhooks_pb2 import WebhookService
from packaging.version import Version

from spangate.control.policy import Policy, check
from spangate.exchange import AttemptRecord, Begun, Exchange, Fault, ProcessPosition, Settled, Status
from spangate.record.journal import FileJournal
from spangate.wire.usage import Provenance, Usage

START = 1_800_000_000_000_000_000


def mlflow_surface() -> Iterator[tuple[str, str]]:
    """Every method and path that MLflow's own server declares."""
    for service in (MlflowService, ModelRegistryService, WebhookService, MlflowArtifactsService):
        for method in service.DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[rpc].endpoints:
                path = re.sub(r"{[^}]*}|<[^>]*>", "x", endpoint.path)
                for prefix in ("/api", "/ajax-api"):
                    yield endpoint.method, f"{prefix}/{endpoint.since.major}.0{path}"


def test_each_route_of_mlflow_is_served_or_refused_clearly(http: httpx.Client) -> None:
    served, unserved = set(), set()
    for method, path in sorted(set(mlflow_surface())):
        answer = http.request(method, path, json=None if method == "GET" else {})
        body = answer.json()
        if answer.status_code == 501:
            assert body["error_code"] == "NOT_IMPLEMENTED"
            unserved.add(path)
        else:
            assert answer.status_code in (200, 400, 404), (method, path, answer.text)
            assert answer.status_code == 200 or body["error_code"] in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"), (path, body)
            served.add(path)
    assert "/api/3.0/mlflow/gateway/endpoints/create" in served
    assert "/api/2.0/mlflow/runs/create" in unserved
    assert {path.replace("/ajax-api/", "/api/") for path in served} == {
        *(f"/api/2.0/mlflow/experiments/{word}" for word in ("create", "delete", "get", "get-by-name", "restore", "search", "update")),
        *(f"/api/2.0/mlflow/experiments/{word}" for word in ("set-experiment-tag", "delete-experiment-tag")),
        *(f"/api/3.0/mlflow/gateway/secrets/{word}" for word in ("create", "get", "list", "update", "delete")),
        *(f"/api/3.0/mlflow/gateway/model-definitions/{word}" for word in ("create", "get", "list", "update", "delete")),
        *(f"/api/3.0/mlflow/gateway/endpoints/{word}" for word in ("create", "get", "list", "update", "delete", "set-tag", "delete-tag")),
        *(f"/api/3.0/mlflow/gateway/endpoints/bindings/{word}" for word in ("create", "list", "delete")),
        *(f"/api/3.0/mlflow/gateway/endpoints/models/{word}" for word in ("attach", "detach")),
        *(f"/api/3.0/mlflow/traces/{word}" for word in ("search", "get", "batchGet", "batchGetInfos", "delete-traces", "x", "x/tags")),
        *(f"/api/2.0/mlflow/traces/{word}" for word in ("delete-traces", "x/tags")),
    }


@pytest.mark.parametrize("path", ["/nothing", "/api/3.0/mlflow/nothing", "/api/v1/nothing", "/api/2.0/mlflow/experiments/", "/docs"])
def test_unknown_paths_are_a_404_in_json(bare: httpx.Client, path: str) -> None:
    answer = bare.get(path)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_only_liveness_version_pages_and_signing_in_are_open(gateway: Any) -> None:
    open_routes = {(method, route.path) for route in check(gateway.control.app) for method in route.methods if route.policy is Policy.open}
    assert open_routes == {
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/assets/{path:path}"),
        ("HEAD", "/assets/{path:path}"),
        ("GET", "/health"),
        ("GET", "/version"),
        ("POST", "/api/v1/session"),
        ("DELETE", "/api/v1/session"),
        ("POST", "/api/v1/session/link"),
    }
    with httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        assert nobody.get("/health").text == "OK"
        assert Version(nobody.get("/version").text) >= Version("3.4")
        for route in check(gateway.control.app):
            if route.policy is Policy.open:
                continue
            method = next(iter(route.methods))
            refused = nobody.request(method, re.sub(r"{[^}]*}", "x", route.path))
            assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED"), route.path


def test_the_openapi_description_covers_our_own_nouns_and_mlflows(gateway: Any, http: httpx.Client) -> None:
    described = http.get("/api/v1/openapi.json").json()
    served = {
        route.path_format
        for route in check(gateway.control.app)
        if route.path.startswith("/api/") and route.endpoint.__module__ != "spangate.control.mlflow.unserved"
    }
    assert described["paths"].keys() == served - {"/api/v1/openapi.json"}
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert sorted(set(names)) == sorted(names)
    assert {"signed_in", "mlflow_endpoints_create"} < set(names)
    assert all(len(operation["tags"]) == 1 for operation in operations)
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert all(operation["responses"]["default"]["content"] == problem for operation in operations)
    assert not any("422" in operation["responses"] for operation in operations), "what is wrong in a request is a 400 here"
    named = set(re.findall(r'"#/components/schemas/([^"]*)"', json.dumps(described)))
    assert named == described["components"]["schemas"].keys(), "what is named is there, and nothing else"


def test_the_page_of_the_http_api_tells_of_our_own_nouns(gateway: Any) -> None:
    page = (Path(__file__).parents[3] / "docs/reference/http-api.md").read_text()
    routes = [route for route in check(gateway.control.app) if route.path.startswith("/api/v1/")]
    served = {(method, route.path_format) for route in routes for method in route.methods}
    assert set(re.findall(r"`([A-Z]+) (/api/v1/[^`]*)`", page)) == served


def test_providers(http: httpx.Client) -> None:
    providers = {row["name"]: row for row in http.get("/api/v1/providers").json()["providers"]}
    assert {"openai", "anthropic", "openai-compatible", "simulated"} <= providers.keys()
    assert "openai.chat" in providers["openai"]["formats"]
    assert providers["openai"]["auth_modes"][0]["secret_fields"] == ["api_key"]
    assert [providers[name]["auth_modes"][0]["required"] for name in ("openai", "openai-compatible", "simulated")] == [
        ["api_key"],
        ["api_base"],
        [],
    ]
    assert providers["simulated"]["in_process"] is True


# ---------------------------------------------------------------- the ledger


def exchange(number: int, **changes: Any) -> Exchange:
    attempt = AttemptRecord(
        no=1,
        provider="openai",
        model="gpt-5-mini",
        format="openai.chat",
        started=5,
        ended=10,
        status=Status.ok,
        http_status=200,
        usage=Usage(input=11, output=0, invalid=("reasoning",)),
        provenance=Provenance.reported,
    )
    fields: dict[str, Any] = {
        "call_id": f"01a20321-0000-7000-8000-{number:012x}",
        "format": "openai.chat",
        "request_type": "passthrough/model/openai-chat",
        "path": "/v1/chat/completions",
        "server": "127.0.0.1:4000",
        "received_at": START + number * 1_000_000_000,
        "status": Status.ok,
        "http_status": 200,
        "duration": 20,
        "endpoint": "chat" if number % 2 else "other",
        "attempts": (attempt,),
    }
    return Exchange(**(fields | changes))


def keep(gateway: Any, *exchanges: Exchange) -> None:
    records = [Settled(seq=no, exchange=one) for no, one in enumerate(exchanges, 1)]
    assert gateway.control.sink.keep(None, ProcessPosition("p-1", 1, 100, len(records)), records, gaps=[])


def test_calls_newest_first_with_their_attempts(gateway: Any, http: httpx.Client) -> None:
    refused = exchange(3, status=Status.refused, http_status=404, attempts=(), fault=Fault("unknown_model", "There is no such model."))
    keep(gateway, exchange(1, experiment_id="0"), exchange(2), refused)
    page = http.get("/api/v1/calls").json()
    assert page["next_page_token"] is None
    newest, second, first = page["calls"]
    assert (newest["status"], newest["fault_kind"], newest["attempts"], newest["trace_id"]) == ("refused", "unknown_model", [], None)
    assert second["trace_id"] is None
    assert first["trace_id"] == "tr-" + first["call_id"].replace("-", "")
    assert (first["received_at"], first["duration_ns"]) == ("2027-01-15T08:00:01Z", 20)
    (attempt,) = first["attempts"]
    assert (attempt["input_tokens"], attempt["output_tokens"], attempt["cache_read_tokens"]) == (11, 0, None)
    assert (attempt["provenance"], attempt["usage_invalid"]) == ("reported", ["reasoning"])
    assert http.get(f"/api/v1/calls/{first['call_id']}").json() == first


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"endpoint": "chat"}, [3, 1]),
        ({"status": "error"}, [2]),
        ({"since_ms": START // 10**6 + 2000}, [4, 3, 2]),
        ({"until_ms": START // 10**6 + 2000}, [1]),
        ({"endpoint": "none"}, []),
    ],
)
def test_calls_by_what_is_asked(gateway: Any, http: httpx.Client, query: dict[str, Any], numbers: list[int]) -> None:
    keep(gateway, exchange(1), exchange(2, status=Status.error), exchange(3), exchange(4))
    calls = http.get("/api/v1/calls", params=query).json()["calls"]
    assert [int(call["call_id"][-4:], 16) for call in calls] == numbers


def test_calls_page_by_page(gateway: Any, http: httpx.Client) -> None:
    keep(gateway, *(exchange(number) for number in range(5)))
    numbers: list[int] = []
    token = None
    while True:
        page = http.get("/api/v1/calls", params={"max_results": 2} | ({"page_token": token} if token else {})).json()
        numbers += [int(call["call_id"][-4:], 16) for call in page["calls"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert numbers == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("query", ["max_results=0", "max_results=x", "status=bogus", "since_ms=-1", f"since_ms={10**30}", "page_token=!"])
def test_a_wrong_query_is_a_clear_400(bare: httpx.Client, query: str) -> None:
    refused = bare.get(f"/api/v1/calls?{query}")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert query.partition("=")[0].removesuffix("s") in refused.json()["message"].replace("page token", "page_token")


def test_a_call_that_is_not_there(http: httpx.Client) -> None:
    missing = http.get("/api/v1/calls/none")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_call_that_is_waited_for_is_told_when_it_comes(gateway: Any, http: httpx.Client) -> None:
    call_id = exchange(1).call_id
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(http.get, f"/api/v1/calls/{call_id}", params={"wait_ms": 10_000})
        with pytest.raises(TimeoutError):
            asked.result(0.3)
        keep(gateway, exchange(1))
        assert asked.result(5).json()["call_id"] == call_id
    assert http.get("/api/v1/calls/none", params={"wait_ms": 1}).status_code == 404
    assert http.get("/api/v1/calls/none", params={"wait_ms": 60_000}).status_code == 400


def test_completeness_says_what_is_missing(gateway: Any, http: httpx.Client) -> None:
    assert http.get("/api/v1/completeness").json() == {
        "complete": True,
        "missing": 0,
        "duplicates": 0,
        "open_calls": 0,
        "backlog_bytes": 0,
        "aside": [],
        "processes": [],
    }
    records = [Begun(seq=1, exchange=exchange(1)), Settled(seq=4, exchange=exchange(2))]
    assert gateway.control.sink.keep(None, ProcessPosition("p-1", 1, 100, 4), records, gaps=[(2, 3)])
    told = http.get("/api/v1/completeness").json()
    assert (told["complete"], told["missing"], told["open_calls"]) == (False, 2, 1)
    (process,) = told["processes"]
    assert process["gaps"] == [{"first_seq": 2, "last_seq": 3}]
    assert (process["records"], process["last_seq"]) == (2, 4)


def test_status_of_a_gateway_that_is_well(gateway: Any, http: httpx.Client) -> None:
    told = http.get("/api/v1/status").json()
    assert (told["ok"], told["degraded"]) == (True, [])
    assert told["database"] == {"reachable": True, "dialect": "sqlite", "fault": None}
    assert told["drain"] == {"backlog_bytes": 0, "backlog_age": 0, "live": 0, "orphans": 0, "aside": [], "fault": None}
    assert told["snapshot"]["published"] == told["snapshot"]["current"]


def test_status_does_not_wait_for_a_database_that_hangs(gateway: Any, http: httpx.Client) -> None:
    gateway.control.looking.stop(10)
    gateway.control.looking.health.last_done -= 60
    told = http.get("/api/v1/status").json()["database"]
    assert told["reachable"] is False
    assert re.fullmatch(r"It has not answered for \d+ s\.", told["fault"])


def test_status_when_the_database_is_gone(gateway: Any, http: httpx.Client) -> None:
    control = gateway.control
    for chore in (control.draining, control.publishing, control.looking):
        chore.stop(10)
    control.database.close()
    path = gateway.settings.data_dir / "spangate.db"
    for file in path.parent.glob("spangate.db*"):
        file.unlink()
    path.mkdir()
    journal = FileJournal(gateway.settings.journals_dir)
    journal.begin(exchange(1))
    journal.settle(exchange(1), None)
    control.draining.once()
    control.looking.once()
    told = http.get("/api/v1/status").json()
    assert told["ok"] is False
    assert told["database"]["reachable"] is False
    assert told["drain"]["backlog_bytes"] > 0
    assert told["drain"]["live"] == 1
    assert "cannot be reached" in told["degraded"][0]
    assert "not drained" in told["degraded"][1]
    refused = http.get("/api/3.0/mlflow/gateway/endpoints/list")
    assert (refused.status_code, refused.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "sqlite" not in refused.text.lower()
    journal.close()


def test_status_tells_of_every_chore_that_fails(gateway: Any, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    control = gateway.control
    for name, chore in {"account": control.accounting, "calibrate": control.calibrating, "note": control.noting}.items():
        monkeypatch.setattr(chore.health, "fault", f"No {name}.")
    told = http.get("/api/v1/status").json()
    assert told["ok"] is False
    assert [words.rpartition(": ")[2] for words in told["degraded"]] == ["No account.", "No calibrate.", "No note."]


def test_the_journal_is_drained_by_itself(gateway: Any, http: httpx.Client) -> None:
    journal = FileJournal(gateway.settings.journals_dir)
    for number in range(3):
        journal.begin(exchange(number))
        journal.settle(exchange(number), None)
    while http.get("/api/v1/completeness").json()["backlog_bytes"] or len(http.get("/api/v1/calls").json()["calls"]) < 3:
        pass
    told = http.get("/api/v1/completeness").json()
    assert told["complete"] is True
    assert [process["state"] for process in told["processes"]] == ["open"]
    assert http.get("/api/v1/status").json()["drain"]["live"] == 1
    journal.close()


def test_the_snapshot_holds_the_digest_of_the_key_and_not_the_key(gateway: Any) -> None:
    content = gateway.settings.snapshot_file.read_bytes()
    assert gateway.key.encode() not in content
    assert msgspec.msgpack.decode(content)["keys"][0]["name"] == "admin"
