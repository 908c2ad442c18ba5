import json
from typing import Any

import httpx
import msgspec
import pytest

from spangate.exchange import Snapshot

PATH = "/api/v1/secrets"
KEY, NEW = "sk-0123456789abcdef0123", "sk-9876543210fedcba9876"


def made(http: httpx.Client, **said: Any) -> Any:
    answer = http.post(PATH, json={"name": "openai-1", "provider": "openai", "values": {"api_key": KEY}} | said)
    assert answer.status_code == 200, answer.text
    return answer.json()


def errors(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 400, answer.text
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def opened(gateway: Any) -> list[dict[str, str]]:
    """The credentials that the workers would call with."""
    (route,) = msgspec.msgpack.decode(gateway.settings.snapshot_file.read_bytes(), type=Snapshot).routes
    return [json.loads(gateway.control.keyring.open(target.sealed, row=target.secret_id, field="values")) for target in route.targets]


def endpoint(http: httpx.Client, name: str, secret_id: str, *models: str) -> dict[str, Any]:
    targets = [{"provider": "openai", "model": model, "secret_id": secret_id} for model in models]
    answer = http.post("/api/v1/endpoints", json={"name": name, "primaries": targets})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_secret_is_told_masked_with_all_that_use_it(http: httpx.Client) -> None:
    secret = made(http, auth_config={"api_base": "https://eu.api.openai.com/v1"})
    spare = made(http, name="spare", provider=None, values={"token": KEY})
    chat, talk = endpoint(http, "chat", secret["secret_id"], "gpt-4o", "o3"), endpoint(http, "talk", secret["secret_id"], "gpt-4o")
    both = [{"endpoint_id": one["endpoint_id"], "name": one["name"]} for one in (chat, talk)]
    definitions = [one["model_definition_id"] for one in chat["primaries"]]
    answer = http.get(PATH)
    assert answer.json() == {
        "secrets": [
            secret
            | {
                "model_definitions": [
                    {"model_definition_id": definitions[0], "name": "gpt-4o", "provider": "openai", "model": "gpt-4o", "endpoints": both},
                    {"model_definition_id": definitions[1], "name": "o3", "provider": "openai", "model": "o3", "endpoints": both[:1]},
                ],
                "endpoints": both,
            },
            spare,
        ]
    }
    assert {name: secret[name] for name in ("provider", "auth_mode", "masked_values", "auth_config", "created_by")} == {
        "provider": "openai",
        "auth_mode": "api_key",
        "masked_values": {"api_key": "sk-...0123"},
        "auth_config": {"api_base": "https://eu.api.openai.com/v1"},
        "created_by": "admin",
    }
    assert (spare["auth_mode"], spare["model_definitions"], spare["endpoints"]) == (None, [], [])
    assert KEY not in answer.text


def test_new_values_are_where_the_workers_look_when_that_is_answered(gateway: Any, http: httpx.Client) -> None:
    secret = made(http, auth_config={"organization": "org-1"})
    endpoint(http, "chat", secret["secret_id"], "gpt-4o")
    assert opened(gateway) == [{"api_key": KEY}]
    answer = http.post(f"{PATH}/{secret['secret_id']}/rotate", json={"values": {"api_key": NEW}})
    assert opened(gateway) == [{"api_key": NEW}]
    told = answer.json()
    assert (told["masked_values"], told["auth_config"], told["secret_id"]) == (
        {"api_key": "sk-...9876"},
        {"organization": "org-1"},
        secret["secret_id"],
    )
    assert [one["name"] for one in told["endpoints"]] == ["chat"]
    assert NEW not in answer.text
    assert http.get(PATH).json() == {"secrets": [told]}
    moved = http.post(f"{PATH}/{secret['secret_id']}/rotate", json={"values": {"api_key": KEY}, "auth_config": {}}).json()
    assert (moved["auth_config"], opened(gateway)) == ({}, [{"api_key": KEY}])


def test_a_kind_of_credential_is_told_by_its_fields(http: httpx.Client) -> None:
    config = {"api_base": "https://x.openai.azure.com", "tenant_id": "t", "client_id": "c"}
    assert made(http, provider="azure", values={"client_secret": KEY}, auth_config=config)["auth_mode"] == "service_principal"


AZURE = {"api_base": "https://x.openai.azure.com"}
POOR: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "no key": ({"values": {}}, {"values.api_key": "OpenAI needs it"}),
    "another field": ({"values": {"api_key": KEY, "key": "x"}}, {"values.key": "not a field"}),
    "a mode that is none": (
        {"provider": "azure", "auth_config": AZURE | {"auth_mode": "magic"}},
        {"auth_config.auth_mode": "not one of Azure OpenAI's"},
    ),
    "a private address": ({"auth_config": {"api_base": "https://10.0.0.1"}}, {"auth_config.api_base": "not a public address"}),
    "nobody's": ({"provider": "acme"}, {"provider": "not one that this version can call"}),
    "a name that is taken": ({"name": "taken"}, {"name": "already exists"}),
    "no name": ({"name": ""}, {"name": "Missing value"}),
    "a hidden destination": ({"provider": None, "values": {"api_base": "https://x"}}, {"values.api_base": "auth_config.api_base"}),
}


@pytest.mark.parametrize(("said", "wrong"), POOR.values(), ids=POOR)
def test_what_is_wrong_is_said_field_by_field(http: httpx.Client, said: dict[str, Any], wrong: dict[str, str]) -> None:
    made(http, name="taken")
    found = errors(http.post(PATH, json={"name": "new", "provider": "openai", "values": {"api_key": KEY}} | said))
    assert found.keys() == wrong.keys()
    assert [field for field, words in wrong.items() if words not in found[field]] == []
    assert [one["name"] for one in http.get(PATH).json()["secrets"]] == ["taken"]


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"values": {}}, ["values.api_key"]),
        ({"values": {"api_key": " "}}, ["values.api_key"]),
        ({"values": {"api_key": NEW, "colour": "red"}}, ["values.colour"]),
        ({"values": {"api_key": NEW}, "auth_config": {"api_base": "http://10.0.0.1"}}, ["auth_config.api_base"]),
        ({"values": {"api_key": NEW}, "api_base": "x"}, ["api_base"]),
    ],
)
def test_values_that_could_not_be_used_leave_those_that_are_there(gateway: Any, http: httpx.Client, said: Any, fields: list[str]) -> None:
    secret = made(http)
    endpoint(http, "chat", secret["secret_id"], "gpt-4o")
    assert list(errors(http.post(f"{PATH}/{secret['secret_id']}/rotate", json=said))) == fields
    assert opened(gateway) == [{"api_key": KEY}]


def test_a_secret_that_is_not_there_is_a_404(http: httpx.Client) -> None:
    answer = http.post(f"{PATH}/s-none/rotate", json={"values": {"api_key": NEW}})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
