"""Experiments with what goes into them."""

from typing import Any

import httpx
import pytest
from tests.unit.control.conftest import Gateway
from tests.unit.control.test_reach import Two
from tests.unit.store.given import T0

from spangate.store import experiments

PATH = "/api/v1/experiments"


@pytest.fixture
def two(gateway: Gateway) -> Two:
    with gateway.control.database.write() as connection:
        gone = experiments.create(connection, name="it's gone", now=T0)
        experiments.delete(connection, gone, now=T0)
    return Two(gateway)


def named(http: httpx.Client, **query: Any) -> list[str]:
    response = http.get(PATH, params=query)
    assert response.status_code == 200, response.text
    return [row["name"] for row in response.json()["experiments"]]


def test_an_experiment_is_told_with_what_goes_into_it(two: Two, http: httpx.Client) -> None:
    mine = two.mine.endpoint
    found = next(row for row in http.get(PATH).json()["experiments"] if row["name"] == "gateway/mine")
    assert found.pop("tags")["mlflow.experiment.sourceId"] == mine.endpoint_id
    assert found == {
        "experiment_id": mine.experiment_id,
        "name": "gateway/mine",
        "lifecycle": "active",
        "created_at": "2023-11-14T22:13:20Z",
        "updated_at": "2023-11-14T22:13:20Z",
        "endpoints": [{"endpoint_id": mine.endpoint_id, "name": "mine"}],
        "traces": 1,
        "more_traces": False,
        "last_trace_at": "2023-11-14T22:13:20.001000Z",
    }


def test_the_list_is_filtered_and_paged(two: Two, http: httpx.Client) -> None:
    assert set(named(http)) == {"Default", "gateway/mine", "gateway/other"}
    assert named(http, q="MINE") == ["gateway/mine"]
    assert named(http, q="'s", lifecycle="deleted") == ["it's gone"]
    assert len(named(http, lifecycle="all")) == 4
    first = http.get(PATH, params={"max_results": 2}).json()
    last = http.get(PATH, params={"max_results": 2, "page_token": first["next_page_token"]}).json()
    assert len({row["name"] for row in (*first["experiments"], *last["experiments"])}) == 3
    assert last["next_page_token"] is None


@pytest.mark.parametrize("limit", ["endpoints", "experiments"])
def test_a_key_for_some_is_told_of_these_alone(two: Two, limit: str) -> None:
    limits = {"endpoints": [two.mine.endpoint.endpoint_id], "experiments": [two.mine.endpoint.experiment_id]}
    with two.reader(**{limit: limits[limit]}) as reader:
        shown = named(reader)
    assert "gateway/mine" in shown
    assert "gateway/other" not in shown
