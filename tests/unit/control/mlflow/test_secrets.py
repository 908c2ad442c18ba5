from typing import Any

import httpx
import pytest
from mlflow.exceptions import RestException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.rest_utils import MlflowHostCreds

GATEWAY = "/api/3.0/mlflow/gateway"
KEY = "sk-fake-openai-1234567890"


@pytest.fixture
def store(gateway: Any) -> RestStore:
    return RestStore(lambda: MlflowHostCreds(gateway.url, username="anyone", password=gateway.key))


def test_a_secret_is_written_masked_and_never_shown(store: RestStore, http: httpx.Client) -> None:
    config = {"api_base": "https://api.openai.com/v1"}
    made = store.create_gateway_secret("key", {"api_key": KEY}, provider="openai", auth_config=config, created_by="alice")
    assert made.masked_values == {"api_key": "sk-...7890"}
    assert (made.provider, made.auth_config, made.created_by) == ("openai", config, "alice")
    assert made == store.get_secret_info(made.secret_id) == store.get_secret_info(secret_name="key")
    assert store.list_secret_infos() == [made] == store.list_secret_infos(provider="openai")
    assert store.list_secret_infos(provider="anthropic") == []
    assert KEY not in http.get(f"{GATEWAY}/secrets/list").text


def test_an_update_changes_what_it_names(store: RestStore) -> None:
    config = {"api_base": "https://api.openai.com/v1"}
    made = store.create_gateway_secret("key", {"api_key": KEY}, provider="openai", auth_config=config, created_by="alice")
    rotated = store.update_gateway_secret(made.secret_id, {"api_key": "sk-fake-openai-9999999"}, updated_by="bob")
    assert rotated.masked_values == {"api_key": "sk-...9999"}
    assert (rotated.auth_config, rotated.created_by, rotated.last_updated_by) == (config, "alice", "bob")
    moved = store.update_gateway_secret(made.secret_id, auth_config={"api_base": "https://eu.api.openai.com/v1"})
    assert moved.masked_values == rotated.masked_values
    assert moved.auth_config == {"api_base": "https://eu.api.openai.com/v1"}


def test_a_name_that_is_taken(store: RestStore) -> None:
    store.create_gateway_secret("key", {"api_key": KEY})
    with pytest.raises(RestException) as taken:
        store.create_gateway_secret("key", {"api_key": KEY})
    assert (taken.value.error_code, taken.value.get_http_status_code()) == ("RESOURCE_ALREADY_EXISTS", 400)


def test_one_in_use_is_not_deleted_and_the_client_is_told_at_once(store: RestStore, http: httpx.Client) -> None:
    secret = store.create_gateway_secret("key", {"api_key": KEY})
    model = store.create_gateway_model_definition("gpt", secret.secret_id, "openai", "gpt-5-mini")
    refused = http.request("DELETE", f"{GATEWAY}/secrets/delete", json={"secret_id": secret.secret_id})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_STATE")
    with pytest.raises(RestException, match="in use"):
        store.delete_gateway_secret(secret.secret_id)
    store.delete_gateway_model_definition(model.model_definition_id)
    store.delete_gateway_secret(secret.secret_id)
    assert store.list_secret_infos() == []


def test_what_is_not_there(store: RestStore) -> None:
    for ask in (
        lambda: store.get_secret_info("s-none"),
        lambda: store.get_secret_info(secret_name="none"),
        lambda: store.update_gateway_secret("s-none", {"api_key": "a"}),
        lambda: store.delete_gateway_secret("s-none"),
    ):
        with pytest.raises(RestException) as missing:
            ask()
        assert (missing.value.error_code, missing.value.get_http_status_code()) == ("RESOURCE_DOES_NOT_EXIST", 404)


def test_an_update_is_held_to_the_fields_of_its_provider_too(store: RestStore) -> None:
    made = store.create_gateway_secret("key", {"api_key": KEY}, provider="openai", auth_config={"auth_mode": "api_key"})
    for wrong in ({"secret_value": {"key": "k"}}, {"auth_config": {"api_key": "k"}}):
        with pytest.raises(RestException, match="is not a field of") as refused:
            store.update_gateway_secret(made.secret_id, **wrong)
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    assert store.get_secret_info(made.secret_id) == made
    free = store.create_gateway_secret("other", {"token": KEY}, provider="somebody-else", auth_config={"colour": "red"})
    assert free.auth_config == {"colour": "red"}


@pytest.mark.parametrize("api_base", ["http://api.openai.com/v1", "https://127.0.0.1/v1", "https://localhost/v1", "gopher://a"])
def test_a_destination_that_is_not_public_is_refused(store: RestStore, api_base: str) -> None:
    with pytest.raises(RestException) as refused:
        store.create_gateway_secret("key", {"api_key": KEY}, auth_config={"api_base": api_base})
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    made = store.create_gateway_secret("key", {"api_key": KEY})
    with pytest.raises(RestException):
        store.update_gateway_secret(made.secret_id, auth_config={"api_base": api_base})
    assert store.get_secret_info(made.secret_id).auth_config == made.auth_config


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"secret_value": {"api_key": "k"}}, "Missing value for required parameter 'secret_name'"),
        ({"secret_name": 5}, "secret_name"),
        ({"secret_name": "a", "secret_value": "k"}, "secret_value"),
        ({"secret_name": "a", "secret_value": {"api_key": 5}}, "secret_value"),
        ({"secret_name": "a", "auth_config": {"base_url": "https://x.example.com"}}, "base_url"),
        ({"secret_name": "a", "auth_config": {"nested": {}}}, "auth_config"),
        ({"secret_name": "a", "provider": "openai", "secret_value": {"api-key": "k"}}, "those are: api_key"),
        ({"secret_name": "a", "provider": "openai", "auth_config": {"api_bse": "https://8.8.8.8/v1"}}, "'api_bse' is not a field"),
    ],
)
def test_a_wrong_message_is_a_clear_400(bare: httpx.Client, body: dict[str, Any], words: str) -> None:
    refused = bare.post(f"{GATEWAY}/secrets/create", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert words in refused.json()["message"]


def test_unknown_fields_are_ignored_and_no_value_is_needed(http: httpx.Client) -> None:
    made = http.post(f"{GATEWAY}/secrets/create", json={"secret_name": "a", "zzz": [1]}).json()["secret"]
    assert made.keys() == {"secret_id", "secret_name", "created_at", "last_updated_at", "created_by", "last_updated_by"}


def test_model_definitions(store: RestStore, http: httpx.Client) -> None:
    secret = store.create_gateway_secret("key", {"api_key": KEY})
    made = store.create_gateway_model_definition("gpt", secret.secret_id, "openai", "gpt-5-mini", created_by="alice")
    assert (made.secret_name, made.provider, made.model_name, made.created_by) == ("key", "openai", "gpt-5-mini", "alice")
    assert made == store.get_gateway_model_definition(made.model_definition_id)
    assert store.list_gateway_model_definitions(secret_id=secret.secret_id) == [made]
    assert store.list_gateway_model_definitions(provider="anthropic") == []
    renamed = store.update_gateway_model_definition(made.model_definition_id, name="mini", updated_by="bob")
    assert (renamed.name, renamed.model_name, renamed.last_updated_by) == ("mini", "gpt-5-mini", "bob")
    with pytest.raises(RestException, match="RESOURCE_ALREADY_EXISTS"):
        store.create_gateway_model_definition("mini", secret.secret_id, "openai", "x")
    with pytest.raises(RestException, match="RESOURCE_DOES_NOT_EXIST"):
        store.create_gateway_model_definition("other", "s-none", "openai", "x")
    with pytest.raises(RestException, match=r"Those are: anthropic, .*openai") as unknown:
        store.create_gateway_model_definition("other", secret.secret_id, "nobody", "x")
    assert unknown.value.error_code == "INVALID_PARAMETER_VALUE"
    keyless = {"name": "demo", "provider": "simulated", "model_name": "demo"}
    assert "secret_id" not in http.post(f"{GATEWAY}/model-definitions/create", json=keyless).json()["model_definition"]
    store.delete_gateway_model_definition(made.model_definition_id)
    with pytest.raises(RestException, match="RESOURCE_DOES_NOT_EXIST"):
        store.get_gateway_model_definition(made.model_definition_id)


def test_one_attached_is_not_deleted(store: RestStore, http: httpx.Client) -> None:
    keyless = {"name": "demo", "provider": "simulated", "model_name": "demo"}
    model = http.post(f"{GATEWAY}/model-definitions/create", json=keyless).json()["model_definition"]["model_definition_id"]
    configs = [{"model_definition_id": model, "linkage_type": "PRIMARY"}]
    http.post(f"{GATEWAY}/endpoints/create", json={"name": "chat", "model_configs": configs}).raise_for_status()
    with pytest.raises(RestException) as refused:
        store.delete_gateway_model_definition(model)
    assert (refused.value.error_code, "in use" in refused.value.message) == ("INVALID_STATE", True)
