from typing import Any

import httpx
import msgspec
import pytest

from spangate.exchange import Alias, Snapshot

GATEWAY = "/api/3.0/mlflow/gateway"
PATH = "/api/v1/aliases"


@pytest.fixture
def endpoints(http: httpx.Client) -> dict[str, str]:
    """The ids of the endpoints `chat` and `talk`."""
    keyless = {"name": "demo", "provider": "simulated", "model_name": "demo"}
    model = http.post(f"{GATEWAY}/model-definitions/create", json=keyless).json()["model_definition"]["model_definition_id"]
    configs = [{"model_definition_id": model, "linkage_type": "PRIMARY"}]
    return {
        name: http.post(f"{GATEWAY}/endpoints/create", json={"name": name, "model_configs": configs}).json()["endpoint"]["endpoint_id"]
        for name in ("chat", "talk")
    }


def published(gateway: Any) -> tuple[Alias, ...]:
    """What the workers know."""
    return msgspec.msgpack.decode(gateway.settings.snapshot_file.read_bytes(), type=Snapshot).aliases


def listed(http: httpx.Client, **query: str) -> list[tuple[str, str]]:
    return [(alias["pattern"], alias["endpoint"]) for alias in http.get(PATH, params=query).json()["aliases"]]


def test_an_alias_is_where_the_workers_look_when_it_is_answered(gateway: Any, http: httpx.Client, endpoints: dict[str, str]) -> None:
    made = http.put(PATH, json={"pattern": "openai/gpt-*", "endpoint": "chat"})
    shown = made.json()
    assert (made.status_code, shown["pattern"], shown["endpoint"], shown["created_by"]) == (200, "openai/gpt-*", "chat", "admin")
    assert shown["endpoint_id"] == endpoints["chat"]
    assert http.get(PATH).json() == {"aliases": [shown]}
    assert published(gateway) == (Alias(pattern="openai/gpt-*", endpoint="chat"),)
    moved = http.put(PATH, json={"pattern": "openai/gpt-*", "endpoint": "talk"}).json()
    assert (moved["endpoint"], moved["created_at"]) == ("talk", shown["created_at"])
    assert published(gateway) == (Alias(pattern="openai/gpt-*", endpoint="talk"),)


def test_aliases_of_one_endpoint(http: httpx.Client, endpoints: dict[str, str]) -> None:
    for pattern, endpoint in (("b", "chat"), ("*", "talk"), ("a", "chat")):
        http.put(PATH, json={"pattern": pattern, "endpoint": endpoint})
    assert listed(http) == [("*", "talk"), ("a", "chat"), ("b", "chat")]
    assert listed(http, endpoint="talk") == [("*", "talk")]
    http.post(f"{GATEWAY}/endpoints/update", json={"endpoint_id": endpoints["talk"], "name": "renamed"}).raise_for_status()
    assert listed(http, endpoint="renamed") == [("*", "renamed")]


def test_a_deleted_alias_is_gone_and_so_are_those_of_a_deleted_endpoint(
    gateway: Any, http: httpx.Client, endpoints: dict[str, str]
) -> None:
    for pattern in ("a/b*", "c?&d"):
        http.put(PATH, json={"pattern": pattern, "endpoint": "chat"})
    deleted = http.delete(PATH, params={"pattern": "c?&d"})
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert listed(http) == [("a/b*", "chat")]
    missing = http.delete(PATH, params={"pattern": "c?&d"})
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    http.request("DELETE", f"{GATEWAY}/endpoints/delete", json={"endpoint_id": endpoints["chat"]}).raise_for_status()
    assert (listed(http), published(gateway)) == ([], ())


@pytest.mark.usefixtures("endpoints")
@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({"pattern": "", "endpoint": "chat"}, 400, "INVALID_PARAMETER_VALUE", "pattern"),
        ({"pattern": "a\nb", "endpoint": "chat"}, 400, "INVALID_PARAMETER_VALUE", "control characters"),
        ({"pattern": "m" * 257, "endpoint": "chat"}, 400, "INVALID_PARAMETER_VALUE", "256"),
        ({"pattern": "gpt"}, 400, "INVALID_PARAMETER_VALUE", "endpoint"),
        ({"pattern": 5, "endpoint": "chat"}, 400, "INVALID_PARAMETER_VALUE", "pattern"),
        ({"pattern": "gpt", "endpoint": "chat", "to": "x"}, 400, "INVALID_PARAMETER_VALUE", "to"),
        ({"pattern": "talk", "endpoint": "chat"}, 400, "RESOURCE_ALREADY_EXISTS", "'talk'"),
        ({"pattern": "gpt", "endpoint": "none"}, 404, "RESOURCE_DOES_NOT_EXIST", "name='none'"),
    ],
)
def test_a_wrong_alias_is_refused_in_words(http: httpx.Client, body: Any, status: int, code: str, word: str) -> None:
    refused = http.put(PATH, json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (status, code)
    assert word in refused.json()["message"]
    assert listed(http) == []


def test_an_endpoint_does_not_take_the_name_of_an_alias(http: httpx.Client, endpoints: dict[str, str]) -> None:
    http.put(PATH, json={"pattern": "gpt-5", "endpoint": "chat"})
    refused = http.post(f"{GATEWAY}/endpoints/update", json={"endpoint_id": endpoints["talk"], "name": "gpt-5"})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "alias" in refused.json()["message"]
