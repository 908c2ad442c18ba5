from typing import Any

import httpx
import pytest
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.providers import get_provider_config_response
from mlflow.utils.rest_utils import MlflowHostCreds

from spangate.control.fields import WORDS
from spangate.providers import catalog

GATEWAY = "/ajax-api/3.0/mlflow/gateway"


def config(http: httpx.Client, provider: str) -> Any:
    answer = http.get(f"{GATEWAY}/provider-config", params={"provider": provider})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_provider_of_the_catalogue_is_offered(http: httpx.Client) -> None:
    assert http.get(f"{GATEWAY}/supported-providers").json() == {"providers": list(catalog())}


def test_a_form_for_a_service_principal_says_what_is_wanted_and_what_is_taken_without_it(http: httpx.Client) -> None:
    found = config(http, "azure")
    assert found["default_mode"] == "api_key"
    assert found["auth_modes"][1] == {
        "mode": "service_principal",
        "display_name": "Service principal (Microsoft Entra ID)",
        "description": "Azure OpenAI: Service principal (Microsoft Entra ID)",
        "secret_fields": [
            {"name": "client_secret", "type": "string", "description": "Client secret (of the service principal)", "required": True}
        ],
        "config_fields": [
            {"name": "api_base", "type": "string", "description": "Base URL (with its version segment)", "required": True},
            {"name": "tenant_id", "type": "string", "description": "Tenant ID (of Microsoft Entra ID)", "required": True},
            {"name": "client_id", "type": "string", "description": "Client ID (of the service principal)", "required": True},
            {
                "name": "api_version",
                "type": "string",
                "description": "Dated API version (without one the v1 API is called)",
                "required": False,
            },
            {
                "name": "authority_host",
                "type": "string",
                "description": "Microsoft Entra ID's address (sovereign clouds have others)",
                "required": False,
                "default": "https://login.microsoftonline.com",
            },
            {
                "name": "scope",
                "type": "string",
                "description": "Scope of the token (sovereign clouds have others)",
                "required": False,
                "default": "https://cognitiveservices.azure.com/.default",
            },
        ],
    }


@pytest.mark.parametrize("provider", ["openai", "anthropic", "mistral", "groq", "databricks", "portkey", "azure", "togetherai"])
def test_what_mlflow_asks_for_is_asked_for_here_by_the_same_words(bare: httpx.Client, provider: str) -> None:
    def fields(config: Any) -> dict[str, set[str]]:
        return {mode["mode"]: {f"{part} {field['name']}" for part in PARTS for field in mode[part]} for mode in config["auth_modes"]}

    ours, theirs = config(bare, provider), get_provider_config_response(provider)
    assert ours["default_mode"] == theirs["default_mode"]
    for mode, wanted in fields(theirs).items():
        assert wanted <= fields(ours)[mode]


PARTS = ("secret_fields", "config_fields")


def test_a_provider_goes_by_mlflows_other_name_too(http: httpx.Client, gateway: Any) -> None:
    assert config(http, "together_ai") == config(http, "togetherai")
    store = RestStore(lambda: MlflowHostCreds(gateway.url, username="anyone", password=gateway.key))
    secret = store.create_gateway_secret("key", {"api_key": "k-123456789"}, provider="together_ai")
    assert secret.provider == "togetherai"
    assert store.list_secret_infos(provider="together_ai") == [secret]
    assert store.create_gateway_model_definition("llama", secret.secret_id, "together_ai", "meta/llama").provider == "togetherai"


def test_a_provider_that_nobody_knows(http: httpx.Client) -> None:
    answer = http.get(f"{GATEWAY}/provider-config", params={"provider": "nobody"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"].startswith("Provider 'nobody' is not one that this version can call.")
    assert http.get(f"{GATEWAY}/provider-config").status_code == 400


def test_every_field_has_words() -> None:
    modes = [mode for provider in catalog().values() for mode in provider.auth_modes]
    assert {field for mode in modes for field in (*mode.secret_fields, *mode.config_fields)} == set(WORDS)


def test_our_own_list_says_the_same(http: httpx.Client) -> None:
    rows = {row["name"]: row for row in http.get("/api/v1/providers").json()["providers"]}
    assert list(rows) == list(catalog())
    assert (rows["togetherai"]["names"]["also"], rows["mistral"]["client_gone"]) == (["together_ai"], "drain")
    mode = rows["databricks"]["auth_modes"][1]
    fields = [(field["name"], field["secret"], field["required"]) for field in mode.pop("fields")]
    assert fields == [("api_base", False, True), ("client_id", False, True), ("client_secret", True, True), ("allow_private", False, False)]
    assert mode == {
        "mode": "oauth_m2m",
        "title": "OAuth M2M (service principal)",
        "secret_fields": ["client_secret"],
        "config_fields": ["api_base", "client_id"],
        "required": ["client_secret", "api_base", "client_id"],
        "defaults": {},
    }


def test_a_form_is_told_all_that_it_shows(http: httpx.Client) -> None:
    rows = {row["name"]: row for row in http.get("/api/v1/providers").json()["providers"]}
    assert [mode["mode"] for mode in rows["azure"]["auth_modes"]] == ["api_key", "service_principal", "ad_token"]
    fields = {field["name"]: field for field in rows["azure"]["auth_modes"][1]["fields"]}
    assert list(fields)[:4] == ["api_base", "tenant_id", "client_id", "client_secret"]  # what must be said comes first
    assert fields["authority_host"] == {
        "name": "authority_host",
        "label": "Microsoft Entra ID's address",
        "secret": False,
        "kind": "url",
        "required": False,
        "default": "https://login.microsoftonline.com",
        "placeholder": "https://login.microsoftonline.com",
        "help": "sovereign clouds have others",
    }
    assert (fields["api_base"]["placeholder"], fields["allow_private"]["kind"]) == ("https://RESOURCE.openai.azure.com", "boolean")
    openai = {field["name"]: field for field in rows["openai"]["auth_modes"][0]["fields"]}
    assert (openai["api_key"]["secret"], openai["api_key"]["required"]) == (True, True)
    assert (openai["api_base"]["placeholder"], openai["api_base"]["required"]) == ("https://api.openai.com/v1", False)
    assert (rows["openai"]["keys_url"], rows["simulated"]["keys_url"], rows["simulated"]["documentation_url"]) == (
        "https://platform.openai.com/api-keys",
        None,
        None,
    )
    assert "allow_private" not in {field["name"] for field in rows["ollama"]["auth_modes"][0]["fields"]}  # it is known to be private
