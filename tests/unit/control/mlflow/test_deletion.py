"""MLflow's own way to delete traces, by its own client."""

from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.rest_store import RestStore
from tests.unit.control.mlflow.test_traces import START, exchange, keep

from spangate.exchange import trace_id

FIRST = START // 1_000_000
PATHS = [f"{prefix}/{version}/mlflow/traces/delete-traces" for prefix in ("/api", "/ajax-api") for version in ("2.0", "3.0")]


@pytest.fixture
def client(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", gateway.key)
    return MlflowClient(tracking_uri=gateway.url)


@pytest.fixture
def experiment(gateway: Any, store: RestStore) -> str:
    """Five traces a second apart, beside one in the experiment 0."""
    made = store.create_experiment("team/search")
    keep(gateway, *(exchange(number, made) for number in range(5)), exchange(9, "0"))
    return made


def there(client: MlflowClient, *experiments: str) -> list[int]:
    traces = client.search_traces(locations=list(experiments), include_spans=False)
    return sorted(int(trace.info.trace_id[-12:], 16) for trace in traces)


def test_by_time_the_oldest_first(client: MlflowClient, experiment: str) -> None:
    assert client.delete_traces(experiment, max_timestamp_millis=FIRST + 3000, max_traces=2) == 2
    assert there(client, experiment) == [2, 3, 4]
    assert client.delete_traces(experiment, max_timestamp_millis=FIRST + 3000) == 2  # the moment itself too
    assert there(client, experiment, "0") == [4, 9]
    assert client.delete_traces(experiment, max_timestamp_millis=2**62) == 1


def test_by_id_within_the_experiment(client: MlflowClient, experiment: str) -> None:
    ids = [trace_id(exchange(number, experiment).call_id) for number in (1, 3, 9)]
    assert client.delete_traces(experiment, trace_ids=[*ids, "tr-nobody"]) == 2
    assert there(client, experiment, "0") == [0, 2, 4, 9]
    assert client.delete_traces(experiment, trace_ids=ids) == 0


@pytest.mark.parametrize("path", PATHS)
def test_at_each_of_its_paths(http: httpx.Client, client: MlflowClient, experiment: str, path: str) -> None:
    reply = http.post(path, json={"experiment_id": experiment, "max_timestamp_millis": str(FIRST)})
    assert (reply.status_code, reply.json()) == (200, {"traces_deleted": 1})
    assert there(client, experiment) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "experiment_id"),
        ({"experiment_id": "1"}, "either"),
        ({"experiment_id": "1", "request_ids": []}, "either"),
        ({"experiment_id": "1", "request_ids": ["tr-1"], "max_timestamp_millis": 1}, "not both"),
        ({"experiment_id": "1", "request_ids": ["tr-1"], "max_traces": 1}, "max_traces"),
        ({"experiment_id": "1", "max_timestamp_millis": 1, "max_traces": 0}, "max_traces"),
        ({"experiment_id": "1", "max_timestamp_millis": "soon"}, "max_timestamp_millis"),
        ({"experiment_id": "1", "request_ids": ["tr-1"] * 501}, "request_ids"),
    ],
)
def test_what_cannot_be_meant_is_a_clear_400(bare: httpx.Client, body: dict[str, Any], word: str) -> None:
    refused = bare.post(PATHS[0], json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert word in refused.json()["message"]


def test_an_experiment_that_is_none_has_no_traces(http: httpx.Client) -> None:
    for name in ("team", "9" * 30, "٣"):
        reply = http.post(PATHS[0], json={"experiment_id": name, "max_timestamp_millis": 1})
        assert (reply.status_code, reply.json()) == (200, {"traces_deleted": 0})
