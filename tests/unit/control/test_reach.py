"""What a key for some endpoints or experiments is shown: what is not its own is as if it were not there."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.unit.store.given import T0, exchange, house

from spangate.exchange import ProcessPosition, Settled
from spangate.store import aliases, endpoints

GATEWAY = "/api/3.0/mlflow/gateway"
EXPERIMENTS = "/api/2.0/mlflow/experiments"
TRACES = "/api/3.0/mlflow/traces"


class Two:
    """Two endpoints, `mine` and `other`, each with a call and a trace in an experiment of its own, and who reads of them."""

    def __init__(self, gateway: Any) -> None:
        self.gateway = gateway
        with gateway.control.database.write() as connection:
            self.mine, self.other = house(connection, "mine"), house(connection, "other")
            for house_ in (self.mine, self.other):
                aliases.put(connection, f"to-{house_.endpoint.name}", endpoint=house_.endpoint.name, now=T0)
        self.calls = [
            exchange(no, experiment_id=home.endpoint.experiment_id, endpoint_id=home.endpoint.endpoint_id, endpoint=home.endpoint.name)
            for no, home in enumerate((self.mine, self.other), 1)
        ]
        lost = exchange(3, experiment_id=None, endpoint_id=None, endpoint=None)
        records = [Settled(seq=no, exchange=one) for no, one in enumerate([*self.calls, lost], 1)]
        assert gateway.control.sink.keep(None, ProcessPosition("p-1", 1, 100, 3), records, gaps=[])

    def reader(self, **said: Any) -> httpx.Client:
        headers = {"x-api-key": self.gateway.key}
        made = httpx.post(f"{self.gateway.url}/api/v1/keys", json={"name": "k", **said}, headers=headers, trust_env=False)
        assert made.status_code == 200, made.text
        return httpx.Client(base_url=self.gateway.url, headers={"x-api-key": made.json()["key"]}, trust_env=False)


@pytest.fixture
def two(gateway: Any) -> Two:
    return Two(gateway)


def missing(answered: httpx.Response) -> bool:
    return (answered.status_code, answered.json().get("error_code")) == (404, "RESOURCE_DOES_NOT_EXIST")


def search(reader: httpx.Client, two: Two) -> list[str]:
    where = [
        {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": home.endpoint.experiment_id}} for home in (two.mine, two.other)
    ]
    found = reader.post(f"{TRACES}/search", json={"locations": where}).json().get("traces", [])
    return sorted(trace["trace_id"] for trace in found)


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        (lambda two: {}, 2),
        (lambda two: {"endpoints": [two.mine.endpoint.endpoint_id]}, 1),
        (lambda two: {"experiments": [two.mine.endpoint.experiment_id]}, 1),
        (lambda two: {"endpoints": [], "experiments": [two.mine.endpoint.experiment_id]}, 0),
        (lambda two: {"experiments": []}, 0),
    ],
    ids=["nothing", "endpoints", "experiments", "both", "no experiment"],
)
def test_traces(two: Two, limit: Callable[[Two], dict[str, Any]], shown: int) -> None:
    ids = [call.trace_id for call in two.calls]
    with two.reader(**limit(two)) as reader:
        assert search(reader, two) == ids[:shown]
        for no, trace_id in enumerate(ids):
            gone = no >= shown
            assert missing(reader.get(f"{TRACES}/get", params={"trace_id": trace_id})) is gone
            assert missing(reader.get(f"{TRACES}/{trace_id}")) is gone
            assert missing(reader.patch(f"{TRACES}/{trace_id}/tags", json={"key": "a", "value": "b"})) is gone
            assert missing(reader.request("DELETE", f"{TRACES}/{trace_id}/tags", json={"key": "a"})) is gone
        told = reader.get(f"{TRACES}/batchGet", params={"trace_ids": ids}).json().get("traces", [])
        assert [trace["trace_info"]["trace_id"] for trace in told] == ids[:shown]
        told = reader.post(f"{TRACES}/batchGetInfos", json={"trace_ids": ids}).json().get("trace_infos", [])
        assert [info["trace_id"] for info in told] == ids[:shown]


def test_experiments(two: Two) -> None:
    mine, other = two.mine.endpoint.experiment_id, two.other.endpoint.experiment_id
    with two.reader(experiments=[mine]) as reader:
        found = reader.post(f"{EXPERIMENTS}/search", json={"max_results": 10, "view_type": "ALL"}).json()["experiments"]
        assert [experiment["experiment_id"] for experiment in found] == [mine]
        assert reader.get(f"{EXPERIMENTS}/get", params={"experiment_id": mine}).status_code == 200
        assert reader.get(f"{EXPERIMENTS}/get-by-name", params={"experiment_name": "gateway/mine"}).status_code == 200
        assert reader.post(f"{EXPERIMENTS}/set-experiment-tag", json={"experiment_id": mine, "key": "a", "value": "b"}).status_code == 200
        assert missing(reader.get(f"{EXPERIMENTS}/get", params={"experiment_id": other}))
        assert missing(reader.get(f"{EXPERIMENTS}/get", params={"experiment_id": "77"}))
        unseen, unknown = (
            reader.get(f"{EXPERIMENTS}/get-by-name", params={"experiment_name": name}) for name in ("gateway/other", "gateway/none")
        )
        assert missing(unseen)
        assert unseen.json()["message"] == unknown.json()["message"].replace("gateway/none", "gateway/other"), (
            "one cannot be told from the other"
        )
        assert missing(reader.post(f"{EXPERIMENTS}/set-experiment-tag", json={"experiment_id": other, "key": "a", "value": "b"}))
        assert missing(reader.post(f"{EXPERIMENTS}/delete-experiment-tag", json={"experiment_id": other, "key": "mlflow.note"}))
        refused = reader.post(f"{EXPERIMENTS}/create", json={"name": "new"})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_experiments_of_other_endpoints(two: Two) -> None:
    mine, other = two.mine.endpoint, two.other.endpoint
    with two.reader(endpoints=[mine.endpoint_id]) as reader:
        made = reader.post(f"{EXPERIMENTS}/create", json={"name": "own"}).json()["experiment_id"]
        found = reader.post(f"{EXPERIMENTS}/search", json={"max_results": 10, "view_type": "ALL"}).json()["experiments"]
        assert {each["experiment_id"] for each in found} == {"0", mine.experiment_id, made}
        for experiment_id, gone in ((mine.experiment_id, False), (made, False), (other.experiment_id, True)):
            assert missing(reader.get(f"{EXPERIMENTS}/get", params={"experiment_id": experiment_id})) is gone
            tag = {"experiment_id": experiment_id, "key": "a", "value": "b"}
            assert missing(reader.post(f"{EXPERIMENTS}/set-experiment-tag", json=tag)) is gone
            assert missing(reader.post(f"{EXPERIMENTS}/delete-experiment-tag", json={"experiment_id": experiment_id, "key": "a"})) is gone
        assert missing(reader.get(f"{EXPERIMENTS}/get-by-name", params={"experiment_name": "gateway/other"}))
    with two.gateway.control.database.write() as connection:
        endpoints.update(connection, mine.endpoint_id, experiment_id=other.experiment_id, now=T0)
    with two.reader(name="k2", endpoints=[mine.endpoint_id]) as reader:
        assert reader.get(f"{EXPERIMENTS}/get", params={"experiment_id": other.experiment_id}).status_code == 200, "both trace there now"


def test_a_developer_makes_experiments(two: Two) -> None:
    with two.reader() as reader:
        assert reader.post(f"{EXPERIMENTS}/create", json={"name": "new"}).status_code == 200


def test_endpoints_and_what_belongs_to_them(two: Two) -> None:
    mine, other = two.mine.endpoint, two.other.endpoint
    with two.reader(role="viewer", endpoints=[mine.endpoint_id]) as reader:
        assert [each["name"] for each in reader.get(f"{GATEWAY}/endpoints/list").json()["endpoints"]] == ["mine"]
        models = reader.get(f"{GATEWAY}/model-definitions/list").json()["model_definitions"]
        assert [each["name"] for each in models] == ["mine-model"]
        assert [each["pattern"] for each in reader.get("/api/v1/aliases").json()["aliases"]] == ["to-mine"]
        for endpoint, gone in ((mine, False), (other, True)):
            model_id = endpoint.mappings[0].model_definition_id
            assert missing(reader.get(f"{GATEWAY}/endpoints/get", params={"name": endpoint.name})) is gone
            assert missing(reader.get(f"{GATEWAY}/endpoints/get", params={"endpoint_id": endpoint.endpoint_id})) is gone
            assert missing(reader.get(f"{GATEWAY}/model-definitions/get", params={"model_definition_id": model_id})) is gone
            assert missing(reader.get(f"/api/v1/endpoints/{endpoint.name}/settings")) is gone


def test_bindings(two: Two, http: httpx.Client) -> None:
    for endpoint in (two.mine.endpoint, two.other.endpoint):
        said = {"endpoint_id": endpoint.endpoint_id, "resource_type": "scorer", "resource_id": endpoint.name}
        assert http.post(f"{GATEWAY}/endpoints/bindings/create", json=said).status_code == 200
    with two.reader(endpoints=[two.mine.endpoint.endpoint_id]) as reader:
        told = reader.get(f"{GATEWAY}/endpoints/bindings/list").json()["bindings"]
    assert [binding["resource_id"] for binding in told] == ["mine"]


def test_the_ledger(two: Two, http: httpx.Client) -> None:
    assert len(http.get("/api/v1/calls").json()["calls"]) == 3
    with two.reader(role="viewer", endpoints=[two.mine.endpoint.endpoint_id]) as reader:
        assert [call["endpoint"] for call in reader.get("/api/v1/calls").json()["calls"]] == ["mine"]
        assert reader.get("/api/v1/calls", params={"endpoint": "other"}).json()["calls"] == []
        mine, other = two.calls
        assert reader.get(f"/api/v1/calls/{mine.call_id}").status_code == 200
        assert missing(reader.get(f"/api/v1/calls/{other.call_id}"))
        assert missing(reader.get("/api/v1/calls/01890000-0000-7000-8000-000000000003"))


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/status", "/api/v1/completeness"])
def test_what_tells_of_all_endpoints_together(two: Two, path: str) -> None:
    with two.reader(role="viewer", endpoints=[two.mine.endpoint.endpoint_id]) as reader:
        refused = reader.get(path)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/status", "/api/v1/completeness"])
def test_a_viewer_of_all_is_told(two: Two, path: str) -> None:
    with two.reader(role="viewer") as reader:
        assert reader.get(path).status_code == 200
