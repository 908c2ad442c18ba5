from typing import Any

import httpx
import msgspec
import pytest

from spangate.exchange import EndpointSettings, ProxyRules, Snapshot

NONE = dict.fromkeys(
    ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "client_gone", "proxy", "retention", "content")
)
PATH = "/api/v1/endpoints/chat/settings"


@pytest.fixture
def endpoint(http: httpx.Client) -> str:
    """The id of the endpoint `chat`."""
    gateway = "/api/3.0/mlflow/gateway"
    model = http.post(f"{gateway}/model-definitions/create", json={"name": "demo", "provider": "simulated", "model_name": "demo"}).json()
    configs = [{"model_definition_id": model["model_definition"]["model_definition_id"], "linkage_type": "PRIMARY"}]
    return http.post(f"{gateway}/endpoints/create", json={"name": "chat", "model_configs": configs}).json()["endpoint"]["endpoint_id"]


def published(gateway: Any) -> EndpointSettings:
    """What the workers know."""
    (route,) = msgspec.msgpack.decode(gateway.settings.snapshot_file.read_bytes(), type=Snapshot).routes
    return route.settings


@pytest.mark.usefixtures("endpoint")
def test_a_change_is_where_the_workers_look_when_it_is_answered(gateway: Any, http: httpx.Client) -> None:
    assert http.get(PATH).json() == NONE
    said = {"connect_timeout": 2, "client_gone": "drain", "content": "metadata", "proxy": {"methods": ["POST"], "paths": ["/files/*"]}}
    changed = http.patch(PATH, json=said)
    assert (changed.status_code, changed.json()) == (200, NONE | said)
    assert published(gateway) == EndpointSettings(
        connect_timeout=2.0, client_gone="drain", content="metadata", proxy=ProxyRules(methods=("POST",), paths=("/files/*",))
    )


@pytest.mark.usefixtures("endpoint")
def test_absent_is_not_null(gateway: Any, http: httpx.Client) -> None:
    http.patch(PATH, json={"connect_timeout": 2, "idle_timeout": 9.5, "proxy": {}})
    assert http.patch(PATH, json={"connect_timeout": None}).json() == NONE | {"idle_timeout": 9.5, "proxy": {"methods": [], "paths": []}}
    assert http.patch(PATH, json={"proxy": None}).json() == NONE | {"idle_timeout": 9.5} == http.get(PATH).json()
    assert published(gateway) == EndpointSettings(idle_timeout=9.5)


def test_mlflow_sees_who_changed_the_endpoint_and_nothing_else(http: httpx.Client, endpoint: str) -> None:
    asked = {"endpoint_id": endpoint}
    before = http.get("/api/3.0/mlflow/gateway/endpoints/get", params=asked).json()["endpoint"]
    http.patch(PATH, json={"idle_timeout": 5})
    after = http.get("/api/3.0/mlflow/gateway/endpoints/get", params=asked).json()["endpoint"]
    assert after == before | {"last_updated_by": "admin", "last_updated_at": after["last_updated_at"]}


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"idle_timeout": 0}, "idle_timeout"),
        ({"idle_timeout": "soon"}, "idle_timeout"),
        ({"total_timeout": 86_401}, "total_timeout"),
        ({"client_gone": "wait"}, "client_gone"),
        ({"content": "some"}, "content"),
        ({"idle_time": 5}, "idle_time"),
        ({"proxy": {"methods": ["post"], "paths": ["/a"]}}, "proxy.methods"),
        ({"proxy": {"methods": ["POST"], "paths": ["/a/../b"]}}, "proxy path"),
        ({"proxy": {"methods": ["POST"]}}, "proxy"),
        ({"proxy": {"path": ["/a"]}}, "proxy.path"),
        ([], "dictionary"),
    ],
)
def test_what_cannot_be_meant_is_a_clear_400_and_changes_nothing(http: httpx.Client, body: Any, word: str) -> None:
    refused = http.patch(PATH, json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert word in refused.json()["message"]
    assert http.get(PATH).json() == NONE


@pytest.mark.parametrize("content", [b"", b"{", b'{"idle_timeout": NaN}', b'{"idle_timeout": 1e999}'])
@pytest.mark.usefixtures("endpoint")
def test_a_body_that_is_no_json_is_a_400(http: httpx.Client, content: bytes) -> None:
    refused = http.patch(PATH, content=content, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert http.get(PATH).json() == NONE


def test_an_endpoint_that_is_not_there_is_a_404(http: httpx.Client) -> None:
    for answer in (http.get(PATH), http.patch(PATH, json={"idle_timeout": 5})):
        assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert "name='chat'" in answer.json()["message"]


@pytest.mark.usefixtures("endpoint")
def test_a_body_beyond_the_limit_is_a_413(gateway: Any, http: httpx.Client) -> None:
    limit = int(gateway.settings.body_limit)
    assert http.patch(PATH, json={"proxy": {"methods": ["GET"], "paths": ["/" + "a" * limit]}}).status_code == 413
