import json
from typing import Any

import httpx
import pytest

from spangate.client import (
    Client,
    Endpoint,
    EndpointSettings,
    Fallback,
    Health,
    ModelConfig,
    ModelDefinition,
    ModelMapping,
    ProxyRules,
    Refused,
    Secret,
    Span,
    Tag,
    Unreachable,
    plain,
)


class Wire:
    """Answers as told, and keeps what was asked."""

    def __init__(self, status: int = 200, body: Any = None, headers: dict[str, str] | None = None) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.requests: list[httpx.Request] = []
        self.answer = (status, body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode(), headers or {})

    def client(self, key: str | None = "sg-key") -> Client:
        return Client("http://gateway/", key, transport=httpx.MockTransport(self._handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        said = dict(request.url.params) if request.method == "GET" else json.loads(request.content)
        self.asked.append((request.method, request.url.path, said))
        self.requests.append(request)
        status, body, headers = self.answer
        return httpx.Response(status, content=body, headers=headers)


def test_a_secret_is_sent_in_the_body_and_comes_back_typed() -> None:
    wire = Wire(body={"secret": {"secret_id": "s-1", "secret_name": "a", "masked_values": {"api_key": "***"}, "created_at": 1, "new": "?"}})
    with wire.client() as client:
        made = client.create_secret("a", provider="openai", values={"api_key": "sk"})
    assert made == Secret(secret_id="s-1", secret_name="a", masked_values={"api_key": "***"}, created_at=1)
    assert wire.asked == [
        (
            "POST",
            "/api/3.0/mlflow/gateway/secrets/create",
            {"secret_name": "a", "provider": "openai", "secret_value": {"api_key": "sk"}},
        )
    ]
    assert wire.requests[0].headers["authorization"] == "Bearer sg-key"


def test_an_endpoint_says_what_was_given_and_nothing_else() -> None:
    wire = Wire(body={"endpoint": {"endpoint_id": "e-1", "name": "chat", "usage_tracking": False}})
    with wire.client() as client:
        client.create_endpoint("chat", [ModelConfig("d-1"), ModelConfig("d-2", "FALLBACK", 0.5, 1)], fallback=Fallback(max_attempts=2))
        client.update_endpoint("e-1", usage_tracking=False)
        client.update_endpoint("e-1", name="talk")
    assert [said for _, _, said in wire.asked] == [
        {
            "name": "chat",
            "model_configs": [
                {"model_definition_id": "d-1", "linkage_type": "PRIMARY", "weight": 1.0},
                {"model_definition_id": "d-2", "linkage_type": "FALLBACK", "weight": 0.5, "fallback_order": 1},
            ],
            "fallback_config": {"max_attempts": 2},
        },
        {"endpoint_id": "e-1", "usage_tracking": False},
        {"endpoint_id": "e-1", "name": "talk"},
    ]


def test_an_endpoint_comes_back_whole() -> None:
    model = {"model_definition_id": "d-1", "name": "m", "provider": "openai", "model_name": "gpt", "created_at": 1, "last_updated_at": 2}
    mapping = {"mapping_id": "m-1", "endpoint_id": "e-1", "model_definition_id": "d-1", "model_definition": model, "weight": 0.5}
    said = {"endpoint_id": "e-1", "name": "chat", "model_mappings": [mapping], "tags": [{"key": "k"}], "usage_tracking": True}
    with Wire(body={"endpoints": [said]}).client() as client:
        (endpoint,) = client.endpoints()
    definition = ModelDefinition(model_definition_id="d-1", name="m", provider="openai", model_name="gpt", created_at=1, last_updated_at=2)
    assert endpoint == Endpoint(
        endpoint_id="e-1",
        name="chat",
        model_mappings=(ModelMapping(mapping_id="m-1", model_definition_id="d-1", weight=0.5, model_definition=definition),),
        tags=(Tag("k"),),
        usage_tracking=True,
    )


def test_a_setting_that_is_taken_away_is_a_null_and_one_that_is_not_named_is_not_sent() -> None:
    wire = Wire(body={"idle_timeout": 5, "proxy": {"methods": ["GET"], "paths": ["/files"]}, "client_gone": None, "new": 1})
    with wire.client() as client:
        held = client.change_endpoint_settings("a b", {"idle_timeout": 5.0, "client_gone": None})
    assert held == EndpointSettings(idle_timeout=5.0, proxy=ProxyRules(methods=("GET",), paths=("/files",)))
    assert wire.asked == [("PATCH", "/api/v1/endpoints/a b/settings", {"idle_timeout": 5.0, "client_gone": None})]


def test_an_alias_of_any_letters_is_named_in_the_query() -> None:
    wire = Wire(body={})
    with wire.client() as client:
        client.delete_alias("a/b*?&c=d é")
    assert wire.requests[0].method == "DELETE"
    assert wire.requests[0].url.params.multi_items() == [("pattern", "a/b*?&c=d é")]


def test_an_empty_list_may_be_left_out_of_the_answer() -> None:
    with Wire(body={}).client() as client:
        assert (client.secrets(), client.models(), client.endpoints(), list(client.experiments())) == ([], [], [], [])


def test_several_trace_ids_are_several_query_parameters() -> None:
    wire = Wire(body={"traces": []})
    with wire.client() as client:
        client.traces(["tr-1", "tr-2"])
    assert wire.requests[0].url.params.get_list("trace_ids") == ["tr-1", "tr-2"]


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No such."}, (404, "RESOURCE_DOES_NOT_EXIST", "No such.")),
        (401, {"error_code": "UNAUTHENTICATED", "message": "No key."}, (401, "UNAUTHENTICATED", "No key.")),
        (502, b"<html>bad</html>", (502, "502", "<html>bad</html>")),
        (503, b"", (503, "503", "Service Unavailable")),
        (400, [1], (400, "400", "[1]")),
    ],
)
def test_a_no_is_told_in_the_servers_words(status: int, body: Any, refused: tuple[int, str, str]) -> None:
    with Wire(status, body).client() as client, pytest.raises(Refused) as caught:
        client.secrets()
    assert (caught.value.status, caught.value.code, caught.value.message) == refused


def test_nobody_there_and_nonsense_are_unreachable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with Client("http://gateway", transport=httpx.MockTransport(refuse)) as client:
        for call in (client.secrets, client.health, client.version):
            with pytest.raises(Unreachable, match="No gateway answers at http://gateway: connection refused"):
                call()
    with Wire(200, b"<html>").client() as client, pytest.raises(Unreachable, match="not JSON"):
        client.secrets()


def test_health_tells_the_servers_clock_and_words() -> None:
    date = {"date": "Tue, 14 Nov 2023 22:13:20 GMT"}
    with Wire(503, {"degraded": ["x"]}, date).client() as client:
        assert client.ready() == Health(ok=False, detail={"degraded": ["x"]}, at=1_700_000_000.0)
    with Wire(200, b"OK").client() as client:
        assert client.health() == Health(ok=True, detail={"text": "OK"})


def test_no_key_is_no_header() -> None:
    wire = Wire(body={})
    with wire.client(None) as client:
        client.secrets()
    assert "authorization" not in wire.requests[0].headers


def test_attributes_become_plain_values() -> None:
    attributes = [
        {"key": "text", "value": {"string_value": "a"}},
        {"key": "json", "value": {"string_value": '{"a": [1]}'}},
        {"key": "no json", "value": {"string_value": "{a"}},
        {"key": "int", "value": {"int_value": 1}},
        {"key": "no", "value": {"bool_value": False}},
        {"key": "list", "value": {"array_value": {"values": [{"double_value": 0.5}]}}},
        {"key": "map", "value": {"kvlist_value": {"values": [{"key": "k", "value": {"string_value": "v"}}]}}},
        {"key": "none", "value": {}},
    ]
    assert plain(attributes) == {
        "text": "a", "json": {"a": [1]}, "no json": "{a", "int": 1, "no": False, "list": [0.5], "map": {"k": "v"}, "none": None,
    }  # fmt: skip
    span = Span(trace_id="AQ==", span_id="Av8=", name="s", attributes=tuple(attributes[:1]))
    assert span.values == {"text": "a"}
