"""The issue's table of endpoints and tracing, through MLflow's own client."""

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from mlflow.entities import (
    FallbackConfig,
    FallbackStrategy,
    GatewayEndpoint,
    GatewayEndpointModelConfig,
    GatewayEndpointTag,
    GatewayModelLinkageType,
    GatewayResourceType,
    RoutingStrategy,
)
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.tracking.rest_store import RestStore

from spangate.exchange import Snapshot

Model = Callable[..., str]
GATEWAY = "/api/3.0/mlflow/gateway"
PRIMARY, FALLBACK = GatewayModelLinkageType.PRIMARY, GatewayModelLinkageType.FALLBACK


@pytest.fixture
def model(store: RestStore) -> Model:
    """Makes a model definition and returns its id."""
    secret = store.create_gateway_secret("key", {"api_key": "sk-0123456789abcdef"}, provider="openai")

    def make(name: str = "gpt") -> str:
        return store.create_gateway_model_definition(name, secret.secret_id, "openai", f"{name}-5-mini").model_definition_id

    return make


@pytest.fixture
def chat(store: RestStore, model: Model) -> GatewayEndpoint:
    return store.create_gateway_endpoint("chat", [primary(model())])


def primary(model_definition_id: str, weight: float = 1.0) -> GatewayEndpointModelConfig:
    return GatewayEndpointModelConfig(model_definition_id, PRIMARY, weight=weight)


def fallback(model_definition_id: str, order: int = 1) -> GatewayEndpointModelConfig:
    return GatewayEndpointModelConfig(model_definition_id, FALLBACK, fallback_order=order)


# ---------------------------------------------------------------- the table


def test_usage_tracking_absent_is_on(http: httpx.Client, model: Model) -> None:
    body = {"name": "chat", "model_configs": [{"model_definition_id": model(), "linkage_type": "PRIMARY"}]}
    endpoint = http.post(f"{GATEWAY}/endpoints/create", json=body).json()["endpoint"]
    assert endpoint["usage_tracking"] is True
    assert endpoint["experiment_id"] == "1"


def test_usage_tracking_null_is_absent(http: httpx.Client, model: Model) -> None:
    configs = [{"model_definition_id": model(), "linkage_type": "PRIMARY", "fallback_order": None}]
    body = {"name": "chat", "model_configs": configs, "usage_tracking": None, "experiment_id": None}
    assert http.post(f"{GATEWAY}/endpoints/create", json=body).json()["endpoint"]["usage_tracking"] is True


def test_tracking_makes_an_experiment_that_says_whose_it_is(store: RestStore, chat: GatewayEndpoint) -> None:
    experiment = store.get_experiment(chat.experiment_id)
    assert experiment.name == "gateway/chat"
    assert experiment.lifecycle_stage == "active"
    assert experiment.tags == {
        "mlflow.experiment.sourceType": "GATEWAY",
        "mlflow.experiment.sourceId": chat.endpoint_id,
        "mlflow.experiment.isGateway": "true",
    }


def test_tracking_reuses_an_active_namesake(store: RestStore, model: Model) -> None:
    there = store.create_experiment("gateway/chat")
    assert store.create_gateway_endpoint("chat", [primary(model())]).experiment_id == there


def test_a_failed_create_leaves_no_experiment(store: RestStore, model: Model) -> None:
    with pytest.raises(RestException, match="d-none"):
        store.create_gateway_endpoint("chat", [primary(model()), primary("d-none")])
    assert store.get_experiment_by_name("gateway/chat") is None


def test_a_deleted_namesake_is_left_alone(store: RestStore, model: Model) -> None:
    deleted = store.create_experiment("gateway/chat")
    store.delete_experiment(deleted)
    endpoint = store.create_gateway_endpoint("chat", [primary(model())])
    assert store.get_experiment(endpoint.experiment_id).name == "gateway/chat-2"
    assert store.get_experiment(deleted).lifecycle_stage == "deleted"


def test_a_given_experiment_is_used(store: RestStore, model: Model) -> None:
    mine = store.create_experiment("mine")
    assert store.create_gateway_endpoint("chat", [primary(model())], experiment_id=mine).experiment_id == mine


@pytest.mark.parametrize("experiment_id", ["999", "deleted", "not a number", "9" * 30])
def test_a_given_experiment_must_be_there_and_active(store: RestStore, model: Model, experiment_id: str) -> None:
    if experiment_id == "deleted":
        experiment_id = store.create_experiment("gone")
        store.delete_experiment(experiment_id)
    definition = model()
    with pytest.raises(RestException) as refused:
        store.create_gateway_endpoint("chat", [primary(definition)], experiment_id=experiment_id)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert refused.value.get_http_status_code() == 400
    endpoint = store.create_gateway_endpoint("chat", [primary(definition)])
    with pytest.raises(RestException, match="INVALID_PARAMETER_VALUE"):
        store.update_gateway_endpoint(endpoint.endpoint_id, experiment_id=experiment_id)
    assert store.get_gateway_endpoint(endpoint.endpoint_id).experiment_id == endpoint.experiment_id


@pytest.mark.parametrize("tracked", [True, False])
def test_an_update_without_the_field_changes_nothing(store: RestStore, model: Model, tracked: bool) -> None:
    endpoint = store.create_gateway_endpoint("chat", [primary(model())], usage_tracking=tracked)
    after = store.update_gateway_endpoint(endpoint.endpoint_id, updated_by="bob")
    assert (after.usage_tracking, after.experiment_id) == (tracked, endpoint.experiment_id)
    assert after.model_mappings == endpoint.model_mappings
    assert (after.last_updated_by, after.created_by) == ("bob", "admin")


def test_turned_off_keeps_the_experiment(store: RestStore, chat: GatewayEndpoint) -> None:
    off = store.update_gateway_endpoint(chat.endpoint_id, usage_tracking=False)
    assert (off.usage_tracking, off.experiment_id) == (False, chat.experiment_id)
    on = store.update_gateway_endpoint(chat.endpoint_id, usage_tracking=True)
    assert (on.usage_tracking, on.experiment_id) == (True, chat.experiment_id)


def test_turned_on_makes_the_experiment(store: RestStore, model: Model) -> None:
    endpoint = store.create_gateway_endpoint("chat", [primary(model())], usage_tracking=False)
    assert endpoint.experiment_id is None
    on = store.update_gateway_endpoint(endpoint.endpoint_id, name="talk", usage_tracking=True)
    assert store.get_experiment(on.experiment_id).name == "gateway/talk"


def test_a_rename_leaves_the_experiment_as_it_is(store: RestStore, chat: GatewayEndpoint) -> None:
    renamed = store.update_gateway_endpoint(chat.endpoint_id, name="talk")
    assert (renamed.name, renamed.experiment_id) == ("talk", chat.experiment_id)
    assert store.get_experiment(chat.experiment_id).name == "gateway/chat"


def test_an_experiment_deleted_later_is_replaced_and_the_endpoint_says_so(store: RestStore, chat: GatewayEndpoint) -> None:
    store.delete_experiment(chat.experiment_id)
    after = store.get_gateway_endpoint(chat.endpoint_id)
    assert after.usage_tracking
    assert store.get_experiment(after.experiment_id).name == "gateway/chat-2"
    (said,) = [tag.value for tag in after.tags if tag.key == "spangate.experiment.replaced"]
    assert said.startswith(f"{chat.experiment_id} deleted at ")


def test_every_write_is_published_before_it_is_answered(gateway: Any, store: RestStore, chat: GatewayEndpoint) -> None:
    before = gateway.versions
    store.update_gateway_endpoint(chat.endpoint_id, usage_tracking=False)
    published, current = gateway.versions
    assert published == current > before[1]
    route = msgspec.msgpack.decode(gateway.settings.snapshot_file.read_bytes(), type=Snapshot).routes[0]
    assert (route.name, route.experiment_id) == ("chat", None)
    store.update_gateway_endpoint(chat.endpoint_id, usage_tracking=True)
    route = msgspec.msgpack.decode(gateway.settings.snapshot_file.read_bytes(), type=Snapshot).routes[0]
    assert (route.name, route.experiment_id) == ("chat", chat.experiment_id)


# ---------------------------------------------------------------- the rest of the noun


def test_create_get_list_delete(store: RestStore, model: Model) -> None:
    gpt, other, spare = model(), model("other"), model("spare")
    created = store.create_gateway_endpoint(
        "split",
        [primary(gpt, 0.7), primary(other, 0.3), fallback(spare)],
        created_by="alice",
        routing_strategy=RoutingStrategy.REQUEST_BASED_TRAFFIC_SPLIT,
        fallback_config=FallbackConfig(FallbackStrategy.SEQUENTIAL, max_attempts=2),
    )
    assert created.created_by == created.last_updated_by == "alice"
    assert created.routing_strategy == RoutingStrategy.REQUEST_BASED_TRAFFIC_SPLIT
    assert created.fallback_config == FallbackConfig(FallbackStrategy.SEQUENTIAL, max_attempts=2)
    assert [mapping.model_definition.model_name for mapping in created.model_mappings] == ["gpt-5-mini", "other-5-mini", "spare-5-mini"]
    assert [mapping.linkage_type for mapping in created.model_mappings] == [PRIMARY, PRIMARY, FALLBACK]
    assert created == store.get_gateway_endpoint(created.endpoint_id) == store.get_gateway_endpoint(name="split")
    assert store.list_gateway_endpoints() == [created] == store.list_gateway_endpoints(provider="openai")
    assert store.list_gateway_endpoints(provider="anthropic") == []
    store.delete_gateway_endpoint(created.endpoint_id)
    assert store.list_gateway_endpoints() == []
    assert store.get_experiment(created.experiment_id).lifecycle_stage == "active"


def test_the_wire_has_no_nulls_no_empty_lists_and_weights_as_sent(http: httpx.Client, model: Model) -> None:
    body = {"name": "chat", "model_configs": [{"model_definition_id": model(), "linkage_type": "PRIMARY", "weight": 0.7}]}
    http.post(f"{GATEWAY}/endpoints/create", json=body).raise_for_status()
    answer = http.get(f"{GATEWAY}/endpoints/get", params={"name": "chat"})
    assert answer.headers["content-type"] == "application/json"
    endpoint = answer.json()["endpoint"]
    (mapping,) = endpoint.pop("model_mappings")
    assert mapping.pop("weight") == 0.7
    assert mapping.keys() == {
        "mapping_id",
        "endpoint_id",
        "model_definition_id",
        "model_definition",
        "created_at",
        "created_by",
        "linkage_type",
    }
    assert isinstance(endpoint["created_at"], int)
    assert endpoint.keys() == {
        "endpoint_id",
        "name",
        "created_at",
        "last_updated_at",
        "created_by",
        "last_updated_by",
        "experiment_id",
        "usage_tracking",
    }
    assert http.get(f"{GATEWAY}/endpoints/list", params={"provider": "none"}).json() == {}


def test_both_prefixes_are_the_same(http: httpx.Client, chat: GatewayEndpoint) -> None:
    path = "/3.0/mlflow/gateway/endpoints/list"
    assert http.get("/api" + path).json() == http.get("/ajax-api" + path).json()


def test_new_models_replace_the_old_and_an_empty_list_does_not(
    store: RestStore, http: httpx.Client, chat: GatewayEndpoint, model: Model
) -> None:
    body = {"endpoint_id": chat.endpoint_id, "model_configs": []}
    same = http.post(f"{GATEWAY}/endpoints/update", json=body).json()["endpoint"]
    assert [mapping["mapping_id"] for mapping in same["model_mappings"]] == [chat.model_mappings[0].mapping_id]
    other = model("other")
    after = store.update_gateway_endpoint(chat.endpoint_id, model_configs=[primary(other)])
    assert [mapping.model_definition_id for mapping in after.model_mappings] == [other]


def test_attach_and_detach(store: RestStore, chat: GatewayEndpoint, model: Model) -> None:
    other = model("other")
    mapping = store.attach_model_to_endpoint(chat.endpoint_id, fallback(other, order=2), created_by="bob")
    assert (mapping.model_definition.name, mapping.fallback_order, mapping.created_by) == ("other", 2, "bob")
    with pytest.raises(RestException) as again:
        store.attach_model_to_endpoint(chat.endpoint_id, fallback(other, order=2))
    assert again.value.error_code == "RESOURCE_ALREADY_EXISTS"
    store.detach_model_from_endpoint(chat.endpoint_id, other)
    with pytest.raises(RestException) as gone:
        store.detach_model_from_endpoint(chat.endpoint_id, other)
    assert gone.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert len(store.get_gateway_endpoint(chat.endpoint_id).model_mappings) == 1


def test_tags(store: RestStore, chat: GatewayEndpoint) -> None:
    store.set_gateway_endpoint_tag(chat.endpoint_id, GatewayEndpointTag("team", "core"))
    store.set_gateway_endpoint_tag(chat.endpoint_id, GatewayEndpointTag("team", "edge"))
    assert store.get_gateway_endpoint(chat.endpoint_id).tags == [GatewayEndpointTag("team", "edge")]
    store.delete_gateway_endpoint_tag(chat.endpoint_id, "team")
    assert store.get_gateway_endpoint(chat.endpoint_id).tags == []


def test_bindings(store: RestStore, chat: GatewayEndpoint) -> None:
    bound = store.create_endpoint_binding(chat.endpoint_id, GatewayResourceType.SCORER, "scorer-1", created_by="bob")
    assert (bound.resource_type, bound.resource_id, bound.created_by) == (GatewayResourceType.SCORER, "scorer-1", "bob")
    assert store.list_endpoint_bindings(endpoint_id=chat.endpoint_id) == [bound]
    with pytest.raises(RestException) as again:
        store.create_endpoint_binding(chat.endpoint_id, GatewayResourceType.SCORER, "scorer-1")
    assert again.value.error_code == "RESOURCE_ALREADY_EXISTS"
    store.delete_endpoint_binding(chat.endpoint_id, GatewayResourceType.SCORER, "scorer-1")
    assert store.list_endpoint_bindings(endpoint_id=chat.endpoint_id) == []


def test_a_name_that_is_taken(store: RestStore, chat: GatewayEndpoint, model: Model) -> None:
    other = model("other")
    with pytest.raises(RestException) as taken:
        store.create_gateway_endpoint("chat", [primary(other)])
    assert taken.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert "SQL" not in taken.value.message
    store.create_gateway_endpoint("talk", [primary(other)])
    with pytest.raises(RestException) as taken:
        store.update_gateway_endpoint(chat.endpoint_id, name="talk")
    assert taken.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_what_is_not_there(store: RestStore) -> None:
    for ask in (
        lambda: store.get_gateway_endpoint("e-none"),
        lambda: store.get_gateway_endpoint(name="none"),
        lambda: store.update_gateway_endpoint("e-none", name="a"),
        lambda: store.delete_gateway_endpoint("e-none"),
        lambda: store.set_gateway_endpoint_tag("e-none", GatewayEndpointTag("a", "b")),
    ):
        with pytest.raises(MlflowException, match="RESOURCE_DOES_NOT_EXIST"):
            ask()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "bad name"}, "bad name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "'name': Expected `str`, got `int`"),
        ({"name": "\x00"}, "null character"),
        ({"name": "x" * 300}, "name"),
        ({"model_configs": []}, "model_configs"),
        ({"model_configs": None}, "model_configs"),
        ({"model_configs": [{"model_definition_id": "x"}]}, "'model_configs[0].linkage_type'"),
        ({"model_configs": [{"model_definition_id": "x", "linkage_type": "BOGUS"}]}, "Must be one of: PRIMARY, FALLBACK"),
        ({"model_configs": [{"model_definition_id": "x", "linkage_type": "PRIMARY", "weight": -1}]}, "weight"),
        ({"model_configs": [{"model_definition_id": "x", "linkage_type": "PRIMARY", "fallback_order": 2**40}]}, "fallback_order"),
        ({"routing_strategy": "ROUND_ROBIN"}, "REQUEST_BASED_TRAFFIC_SPLIT"),
        ({"fallback_config": {"strategy": "NONE"}}, "SEQUENTIAL"),
        ({"fallback_config": {"max_attempts": "two"}}, "max_attempts"),
        ({"usage_tracking": "yes"}, "usage_tracking"),
        ({"usage_tracking": 1}, "usage_tracking"),
        ({"experiment_id": 5}, "experiment_id"),
    ],
)
def test_a_wrong_message_is_a_clear_400(http: httpx.Client, model: Model, change: dict[str, Any], words: str) -> None:
    body = {"name": "chat", "model_configs": [{"model_definition_id": model(), "linkage_type": "PRIMARY"}]} | change
    refused = http.post(f"{GATEWAY}/endpoints/create", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert words in refused.json()["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"a"', b"\xff\xfe", b'{"name": "a"} x', b"[" * 100_000])
def test_a_body_that_is_no_message_is_a_400(bare: httpx.Client, body: bytes) -> None:
    refused = bare.post(f"{GATEWAY}/endpoints/create", content=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_body_that_is_too_large_is_a_413(bare: httpx.Client) -> None:
    assert bare.post(f"{GATEWAY}/endpoints/create", content=b" " * ((1 << 20) + 1)).status_code == 413


def test_exactly_one_of_id_and_name(http: httpx.Client) -> None:
    for query in ({}, {"name": "a", "endpoint_id": "b"}):
        refused = http.get(f"{GATEWAY}/endpoints/get", params=query)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
