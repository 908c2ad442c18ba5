"""An endpoint as one document: told, asked for, sent back, refused field by field."""

from typing import Any

import httpx
import msgspec
import pytest

from spangate.exchange import Snapshot, Target

PATH = "/api/v1/endpoints"
KEY = {"name": "openai-1", "values": {"api_key": "sk-0123456789abcdef0123"}}
SETTINGS = {
    "connect_timeout": None,
    "first_byte_timeout": None,
    "idle_timeout": 9.0,
    "total_timeout": None,
    "client_gone": "drain",
    "proxy": {"methods": ["POST"], "paths": ["/files"]},
    "retention": {"content_days": 7, "trace_days": None, "ledger_days": None},
    "content": "metadata",
}


def made(http: httpx.Client, **document: Any) -> dict[str, Any]:
    answer = http.post(PATH, json={"name": "chat", "primaries": [{"provider": "simulated", "model": "demo"}]} | document)
    assert answer.status_code == 200, answer.text
    return answer.json()


def errors(answer: httpx.Response) -> dict[str, str]:
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def published(gateway: Any) -> Snapshot:
    return msgspec.msgpack.decode(gateway.settings.snapshot_file.read_bytes(), type=Snapshot)


def shown(model: dict[str, Any]) -> tuple[Any, ...]:
    return model["provider"], model["model"], model["model_definition_name"], model["secret_name"], model["health"]


OK = {"state": "ok", "seconds": None}


def test_one_request_makes_an_endpoint_with_its_models_secret_experiment_settings_aliases_and_tags(
    gateway: Any, http: httpx.Client
) -> None:
    document = {
        "name": "chat",
        "primaries": [
            {"provider": "openai", "model": "gpt-4o", "secret": KEY, "weight": 3},
            {"provider": "openai", "model": "gpt-4o-mini", "secret": KEY},
        ],
        "fallbacks": [{"provider": "simulated", "model": "demo"}],
        "max_attempts": 2,
        "experiment": {"name": "trials"},
        "settings": {"idle_timeout": 9, "client_gone": "drain"} | {name: SETTINGS[name] for name in ("proxy", "retention", "content")},
        "aliases": ["gpt-*", "claude"],
        "tags": {"team": "search"},
    }
    answer = http.post(PATH, json=document)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [(*shown(one), one["weight"], one["share"]) for one in told["primaries"]] == [
        ("openai", "gpt-4o", "gpt-4o", "openai-1", OK, 3.0, 75.0),
        ("openai", "gpt-4o-mini", "gpt-4o-mini", "openai-1", OK, 1.0, 25.0),
    ]
    assert [shown(one) for one in told["fallbacks"]] == [("simulated", "demo", "demo", None, OK)]
    assert (told["max_attempts"], told["usage_tracking"], told["experiment"]["name"]) == (2, True, "trials")
    assert (told["settings"], told["aliases"], told["tags"]) == (SETTINGS, ["claude", "gpt-*"], {"team": "search"})
    assert (told["created_by"], told["updated_by"]) == ("admin", "admin")
    assert http.get(PATH).json() == {"endpoints": [told]}
    assert http.get(f"{PATH}/chat").json() == told == http.get(f"{PATH}/{told['endpoint_id']}").json()
    (route,) = published(gateway).routes
    assert [(one.model, one.weight, one.fallback_order, bool(one.sealed)) for one in route.targets] == [
        ("gpt-4o", 3.0, None, True),
        ("gpt-4o-mini", 1.0, None, True),
        ("demo", 1.0, 1, False),
    ]
    assert (route.max_attempts, route.settings.idle_timeout) == (2, 9.0)
    assert [(alias.pattern, alias.endpoint) for alias in published(gateway).aliases] == [("claude", "chat"), ("gpt-*", "chat")]


def test_models_and_secrets_that_are_there_are_used_again(http: httpx.Client) -> None:
    first = made(http, primaries=[{"provider": "openai", "model": "gpt-4o", "secret": KEY}])["primaries"][0]
    second = made(http, name="talk", primaries=[{"provider": "openai", "model": "gpt-4o", "secret_id": first["secret_id"]}])["primaries"][0]
    third = made(http, name="speak", primaries=[{"model_definition_id": first["model_definition_id"]}])["primaries"][0]
    other = made(http, name="sing", primaries=[{"provider": "openai", "model": "gpt-4o", "secret": KEY | {"name": "2"}}])["primaries"][0]
    assert first == second == third
    assert (other["model_definition_name"], other["secret_name"]) == ("gpt-4o-2", "2")


def test_what_was_told_can_be_sent_back_as_it_is(http: httpx.Client) -> None:
    made(http, settings=SETTINGS, aliases=["gpt-*"], tags={"a": "b"}, fallbacks=[{"provider": "simulated", "model": "other"}])
    told = http.get(f"{PATH}/chat").json()
    again = http.put(f"{PATH}/chat", json=told)
    assert again.status_code == 200, again.text
    assert again.json() == told | {"updated_at": again.json()["updated_at"]}


def test_a_document_takes_the_place_of_the_one_before(http: httpx.Client) -> None:
    before = made(http, settings=SETTINGS, aliases=["gpt-*", "talk"], tags={"a": "b", "c": "d"}, max_attempts=3)
    document = {"name": "talk", "primaries": [{"provider": "simulated", "model": "new"}], "aliases": ["chat", "gpt-*"], "tags": {"a": "x"}}
    answer = http.put(f"{PATH}/{before['endpoint_id']}", json=document)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (after["endpoint_id"], after["name"], after["aliases"]) == (before["endpoint_id"], "talk", ["chat", "gpt-*"])
    assert (after["tags"], after["max_attempts"], set(after["settings"].values())) == ({"a": "x"}, None, {None})
    assert [one["model"] for one in after["primaries"]] == ["new"]
    assert after["experiment"] == before["experiment"]  # nobody named another one
    assert after["updated_at"] > before["updated_at"]


def test_an_endpoint_that_is_not_traced_keeps_its_experiment_for_later(http: httpx.Client) -> None:
    before = made(http, experiment={"name": "trials"})
    document = {"name": "chat", "primaries": [{"provider": "simulated", "model": "demo"}]}
    assert http.put(f"{PATH}/chat", json=document | {"usage_tracking": False}).json()["experiment"] == before["experiment"]


CHANGES: dict[str, Any] = {
    "a document": lambda http, told: http.put(f"{PATH}/chat", json=told | {"max_attempts": 5}),
    "settings": lambda http, told: http.patch(f"{PATH}/chat/settings", json={"idle_timeout": 5}),
    "an alias": lambda http, told: http.put("/api/v1/aliases", json={"pattern": "new", "endpoint": "chat"}),
    "no alias": lambda http, told: http.delete("/api/v1/aliases", params={"pattern": "old"}),
    "a tag": lambda http, told: http.post(
        "/api/3.0/mlflow/gateway/endpoints/set-tag", json={"endpoint_id": told["endpoint_id"], "key": "k", "value": "v"}
    ),
    "no tag": lambda http, told: http.request(
        "DELETE", "/api/3.0/mlflow/gateway/endpoints/delete-tag", json={"endpoint_id": told["endpoint_id"], "key": "a"}
    ),
    "mlflow": lambda http, told: http.post(
        "/api/3.0/mlflow/gateway/endpoints/update", json={"endpoint_id": told["endpoint_id"], "usage_tracking": False}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_who_sends_back_what_has_changed_since_is_told_so_and_changes_nothing(http: httpx.Client, change: Any) -> None:
    told = made(http, aliases=["old"], tags={"a": "b"})
    assert change(http, told).status_code == 200
    now = http.get(f"{PATH}/chat").json()
    answer = http.put(f"{PATH}/chat", json=told | {"max_attempts": 9})
    assert (answer.status_code, answer.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
    assert "was changed" in answer.json()["message"]
    assert http.get(f"{PATH}/chat").json() == now
    blind = {name: value for name, value in told.items() if name != "updated_at"}
    assert http.put(f"{PATH}/chat", json=blind | {"max_attempts": 9}).json()["max_attempts"] == 9


SIMULATED = {"provider": "simulated", "model": "demo"}
REFUSED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "no model": ({"primaries": []}, {"primaries": "needs a model"}),
    "everything at once": (
        {
            "name": "a b",
            "primaries": [SIMULATED, {"provider": "acme", "model": "x"}, {"provider": "openai"}, SIMULATED],
            "fallbacks": [{}, {"model_definition_id": "d-none"}, {"provider": "openai", "model": "gpt-4o", "secret_id": "s-none"}],
            "experiment": {"id": "77"},
        },
        {
            "name": "Invalid endpoint name",
            "primaries.1.provider": "not one that this version can call",
            "primaries.2.model": "which model",
            "primaries.3.model": "given twice",
            "fallbacks.0.provider": "whose model",
            "fallbacks.0.model": "which model",
            "fallbacks.1.model_definition_id": "not found",
            "fallbacks.2.secret_id": "not found",
            "experiment.id": "not exist",
        },
    ),
    "no credential": ({"primaries": [{"provider": "openai", "model": "gpt-4o"}]}, {"primaries.0.secret_id": "OpenAI needs a secret"}),
    "a poor credential": (
        {"primaries": [{"provider": "azure", "model": "x", "secret": {"name": "n", "values": {"key": "k"}}}]},
        {
            "primaries.0.secret.values.key": "is not a field",
            "primaries.0.secret.values.api_key": "needs it",
            "primaries.0.secret.auth_config.api_base": "needs it",
        },
    ),
    "a private address": (
        {"primaries": [{"provider": "openai", "model": "x", "secret": KEY | {"auth_config": {"api_base": "https://10.0.0.1"}}}]},
        {"primaries.0.secret.auth_config.api_base": "not a public address"},
    ),
    "two secrets of one name": (
        {
            "primaries": [{"provider": "openai", "model": "x", "secret": KEY}],
            "fallbacks": [{"provider": "openai", "model": "y", "secret": KEY | {"values": {"api_key": "other"}}}],
        },
        {"fallbacks.0.secret.name": "they differ"},
    ),
    "two words for a secret": (
        {"primaries": [{"provider": "openai", "model": "x", "secret": KEY, "secret_id": "s-1"}]},
        {"primaries.0.secret": "not both"},
    ),
    "a timeout": ({"settings": {"idle_timeout": 0}}, {"settings.idle_timeout": "greater than 0"}),
    "a path of the proxy": (
        {"settings": {"proxy": {"methods": ["GET"], "paths": ["/a", "b"]}}},
        {"settings.proxy.paths.1": "begins with a slash"},
    ),
    "periods": ({"settings": {"retention": {"content_days": 9, "trace_days": 3}}}, {"settings.retention": "content"}),
    "aliases and tags": (
        {"aliases": ["fine", " no", "chat"], "tags": {"a": "b", "k" * 251: "v"}},
        {"aliases.1": "white space", "aliases.2": "is named 'chat'", "tags." + "k" * 251: "maximum length"},
    ),
    "attempts": ({"max_attempts": 0}, {"max_attempts": "greater than or equal to 1"}),
    "a weight": ({"primaries": [SIMULATED | {"weight": -1}]}, {"primaries.0.weight": "greater than or equal to 0"}),
    "a field that is none": ({"primaries": [SIMULATED | {"wait": 1}]}, {"primaries.0.wait": "not permitted"}),
    "an experiment without a word": ({"experiment": {}}, {"experiment": "its id, or its name"}),
}


@pytest.mark.parametrize(("document", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said_field_by_field_and_nothing_is_made(
    bare: httpx.Client, document: dict[str, Any], said: dict[str, str]
) -> None:
    answer = bare.post(PATH, json={"name": "chat", "primaries": [SIMULATED]} | document)
    found = errors(answer)
    assert found.keys() == said.keys()
    assert [field for field, words in said.items() if words not in found[field]] == []
    gateway = "/api/3.0/mlflow/gateway"
    assert bare.get(PATH).json() == {"endpoints": []}
    assert bare.get(f"{gateway}/model-definitions/list").json() == {}
    assert bare.get(f"{gateway}/secrets/list").json() == {}


def test_a_definition_is_not_changed_by_what_is_said_beside_it(http: httpx.Client) -> None:
    told = made(http)
    told["primaries"][0]["model"] = "other"
    assert "leave out model_definition_id" in errors(http.put(f"{PATH}/chat", json=told))["primaries.0.model"]
    told["primaries"][0]["model_definition_id"] = None
    assert http.put(f"{PATH}/chat", json=told).json()["primaries"][0]["model_definition_name"] == "other"
    assert [one["name"] for one in http.get("/api/3.0/mlflow/gateway/model-definitions/list").json()["model_definitions"]] == [
        "demo",
        "other",
    ]


def test_an_alias_of_another_endpoint_stays_there(http: httpx.Client) -> None:
    made(http, aliases=["gpt-*"])
    answer = http.post(PATH, json={"name": "talk", "primaries": [SIMULATED], "aliases": ["gpt-*"]})
    assert errors(answer) == {"aliases.0": "'gpt-*' means the endpoint 'chat': take it from there first."}
    assert http.get(f"{PATH}/chat").json()["aliases"] == ["gpt-*"]


def test_a_deleted_experiment_is_not_woken(http: httpx.Client) -> None:
    old = http.post("/api/2.0/mlflow/experiments/create", json={"name": "old"}).json()["experiment_id"]
    http.post("/api/2.0/mlflow/experiments/delete", json={"experiment_id": old})
    answer = http.post(PATH, json={"name": "chat", "primaries": [SIMULATED], "experiment": {"name": "old"}})
    assert "deleted" in errors(answer)["experiment.name"]


def test_a_name_that_is_taken_is_said_at_the_name(http: httpx.Client) -> None:
    made(http)
    assert list(errors(http.post(PATH, json={"name": "chat", "primaries": [SIMULATED]}))) == ["name"]
    made(http, name="talk")
    assert list(errors(http.put(f"{PATH}/talk", json={"name": "chat", "primaries": [SIMULATED]}))) == ["name"]


def test_a_deleted_endpoint_is_gone_with_its_aliases(gateway: Any, http: httpx.Client) -> None:
    made(http, aliases=["gpt-*"])
    assert http.delete(f"{PATH}/chat").json() == {}
    assert (published(gateway).routes, published(gateway).aliases) == ((), ())
    for answer in (
        http.get(f"{PATH}/chat"),
        http.delete(f"{PATH}/chat"),
        http.get(f"{PATH}/chat/uses"),
        http.put(f"{PATH}/chat", json=DEMO),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


DEMO = {"name": "chat", "primaries": [SIMULATED]}


def test_who_would_miss_it_is_told(http: httpx.Client) -> None:
    ours, other = made(http, aliases=["gpt-*"]), made(http, name="talk")
    for name, limited in (("all", None), ("one", [ours]), ("both", [ours, other]), ("other", [other])):
        ids = None if limited is None else [endpoint["endpoint_id"] for endpoint in limited]
        assert http.post("/api/v1/keys", json={"name": name, "endpoints": ids}).status_code == 200
    binding = {"endpoint_id": ours["endpoint_id"], "resource_type": "scorer", "resource_id": "7"}
    assert http.post("/api/3.0/mlflow/gateway/endpoints/bindings/create", json=binding).status_code == 200
    told = http.get(f"{PATH}/chat/uses").json()
    assert sorted((key["name"], key["only"]) for key in told.pop("keys")) == [("both", False), ("one", True)]
    assert told == {
        "aliases": ["gpt-*"],
        "bindings": [{"resource_type": "scorer", "resource_id": "7", "display_name": None}],
        "calls_day": 0,
        "calls_month": 0,
        "cost_month": "0",
    }


def test_a_key_is_told_of_the_endpoints_and_experiments_that_it_may_see(gateway: Any, http: httpx.Client) -> None:
    ours, other = made(http), made(http, name="talk")
    assert other["experiment"] is not None
    said = {"name": "k", "role": "viewer", "endpoints": [ours["endpoint_id"]], "experiments": [other["experiment"]["id"]]}
    key = http.post("/api/v1/keys", json=said).json()["key"]
    with httpx.Client(base_url=gateway.url, headers={"x-api-key": key}, trust_env=False) as theirs:
        assert theirs.get(PATH).json() == {"endpoints": [ours | {"experiment": None}]}
        assert theirs.get(f"{PATH}/chat").json() == ours | {"experiment": None}
        assert theirs.get(f"{PATH}/talk").status_code == 404
        assert theirs.get(f"{PATH}/{other['endpoint_id']}").status_code == 404


def test_models_that_rest_say_so(gateway: Any, http: httpx.Client) -> None:
    told = made(http, fallbacks=[{"provider": "simulated", "model": "other"}])
    definition = told["primaries"][0]["model_definition_id"]
    target = Target(model_definition_id=definition, provider="simulated", model="demo", formats={}, headers={})
    for _ in range(10):
        gateway.control.cooling.failed(target)
    resting, well = http.get(f"{PATH}/chat").json()["primaries"][0]["health"], http.get(f"{PATH}/chat").json()["fallbacks"][0]["health"]
    assert (resting["state"], resting["seconds"] > 0, well) == ("resting", True, OK)
