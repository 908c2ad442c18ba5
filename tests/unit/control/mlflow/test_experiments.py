from typing import Any

import httpx
import pytest
from mlflow.entities import ExperimentTag, ViewType
from mlflow.exceptions import RestException
from mlflow.store.tracking.rest_store import RestStore

EXPERIMENTS = "/api/2.0/mlflow/experiments"


def test_default_is_there_from_the_start(store: RestStore) -> None:
    default = store.get_experiment("0")
    assert (default.name, default.lifecycle_stage) == ("Default", "active")


def test_create_get_and_by_name(store: RestStore) -> None:
    made = store.create_experiment("mine", tags=[ExperimentTag("a", "b")])
    experiment = store.get_experiment(made)
    assert (experiment.experiment_id, experiment.name, experiment.tags) == (made, "mine", {"a": "b"})
    assert experiment.creation_time == experiment.last_update_time
    by_name = store.get_experiment_by_name("mine")
    assert by_name is not None
    assert dict(by_name) == dict(experiment)
    assert store.get_experiment_by_name("none") is None


def test_ids_are_never_used_again(store: RestStore) -> None:
    first = store.create_experiment("one")
    store.delete_experiment(first)
    assert int(store.create_experiment("two")) == int(first) + 1


def test_rename_delete_restore(store: RestStore) -> None:
    made = store.create_experiment("mine")
    store.rename_experiment(made, "yours")
    assert store.get_experiment(made).name == "yours"
    store.delete_experiment(made)
    assert store.get_experiment(made).lifecycle_stage == "deleted"
    with pytest.raises(RestException, match="RESOURCE_ALREADY_EXISTS"):
        store.create_experiment("yours")
    store.restore_experiment(made)
    assert store.get_experiment(made).lifecycle_stage == "active"


def test_tags(store: RestStore) -> None:
    made = store.create_experiment("mine")
    store.set_experiment_tag(made, ExperimentTag("k", "v"))
    assert store.get_experiment(made).tags == {"k": "v"}
    store.delete_experiment_tag(made, "k")
    assert store.get_experiment(made).tags == {}


def test_search(store: RestStore) -> None:
    ids = [store.create_experiment(name) for name in ("exp-a", "exp-b", "other")]
    store.delete_experiment(ids[1])
    assert [e.name for e in store.search_experiments()] == ["other", "exp-a", "Default"]
    assert [e.name for e in store.search_experiments(ViewType.DELETED_ONLY)] == ["exp-b"]
    found = store.search_experiments(ViewType.ALL, filter_string="name LIKE 'exp%'", order_by=["name ASC"])
    assert [e.name for e in found] == ["exp-a", "exp-b"]
    names: list[str] = []
    token = None
    while True:
        page = store.search_experiments(ViewType.ALL, max_results=2, page_token=token)
        names += [experiment.name for experiment in page]
        token = page.token
        if not token:
            break
    assert names == ["other", "exp-b", "exp-a", "Default"]


def test_search_by_query_string_and_with_int64_as_text(http: httpx.Client) -> None:
    asked = http.get(f"{EXPERIMENTS}/search", params={"max_results": "5", "view_type": "ALL"}).json()
    assert asked == http.post(f"{EXPERIMENTS}/search", json={"max_results": "5", "view_type": "ALL"}).json()
    assert [experiment["name"] for experiment in asked["experiments"]] == ["Default"]


@pytest.mark.parametrize(
    "body",
    [
        {"max_results": 0},
        {"max_results": 10**6},
        {"max_results": 10**30},
        {"max_results": "many"},
        {"max_results": 1.5},
        {"view_type": "SOME"},
        {"filter": "bogus ="},
        {"filter": "bogus = 1"},
        {"filter": 5},
        {"order_by": "name"},
        {"order_by": ["bogus"]},
        {"page_token": "bogus"},
    ],
)
def test_a_wrong_search_is_a_clear_400(bare: httpx.Client, body: dict[str, Any]) -> None:
    refused = bare.post(f"{EXPERIMENTS}/search", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert refused.json()["message"]


@pytest.mark.parametrize("experiment_id", ["999", "abc", "-1", "9" * 40])
def test_what_is_not_there(bare: httpx.Client, experiment_id: str) -> None:
    missing = bare.get(f"{EXPERIMENTS}/get", params={"experiment_id": experiment_id})
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    for operation in ("delete", "restore", "update", "set-experiment-tag"):
        body = {"experiment_id": experiment_id, "new_name": "a", "key": "k", "value": "v"}
        assert bare.post(f"{EXPERIMENTS}/{operation}", json=body).status_code == 404
