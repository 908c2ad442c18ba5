from typing import Any

import httpx
import pytest

PATH = "/api/v1/catalog/models"


def asked(http: httpx.Client, **query: Any) -> Any:
    answer = http.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found: Any) -> list[tuple[str, str]]:
    return [(model["provider"], model["model"]) for model in found["models"]]


def endpoint(http: httpx.Client, provider: str, model: str, **more: Any) -> dict[str, Any]:
    said = {"name": model.replace(":", "-"), "primaries": [{"provider": provider, "model": model} | more]}
    answer = http.post("/api/v1/endpoints", json=said)
    assert answer.status_code == 200, answer.text
    return answer.json()


SECRET = {"secret": {"name": "openai-1", "values": {"api_key": "sk-0123456789abcdef0123"}}}


def test_a_model_is_told_with_its_limits_its_price_and_who_knows(http: httpx.Client) -> None:
    found = {model["model"]: model for model in asked(http, provider="openai", q="gpt-4o")["models"]}
    price = found["gpt-4o"].pop("price")
    assert found["gpt-4o"] == {
        "provider": "openai",
        "model": "gpt-4o",
        "title": "GPT-4o",
        "context_window": 128_000,
        "max_output": 16_384,
        "input": ["text", "image", "pdf"],
        "output": ["text"],
        "tools": True,
        "reasoning": False,
        "structured_output": True,
        "released": "2024-05-13",
        "status": None,
        "model_definitions": [],
        "source": "models-dev",
    }
    assert (price["input"], price["output"], price["cache_read"], price["overridden"]) == ("2.5", "10", "1.25", False)
    assert http.get(f"/api/v1/prices/{price['price_id']}").json()["model"] == "gpt-4o"


def test_an_admins_word_is_the_price(http: httpx.Client) -> None:
    http.post("/api/v1/prices/overrides", json={"name": "ours", "provider": "openai", "model": "gpt-4o", "multiplier": "0.33"})
    http.post("/api/v1/prices/overrides", json={"name": "other", "provider": "openai", "model": "o3", "rates": {"input": "7"}})
    both = asked(http, provider="openai", q="o3")["models"] + asked(http, provider="openai", q="gpt-4o")["models"]
    found = {model["model"]: model["price"] for model in both}
    assert [found["gpt-4o"][name] for name in ("input", "output", "overridden")] == ["0.825", "3.3", True]
    assert [found["o3"][name] for name in ("input", "output", "overridden")] == ["7", None, True]


def test_words_are_looked_for_in_names_and_titles(http: httpx.Client) -> None:
    found = asked(http, q="sonnet CLAUDE")
    assert 1 < found["total"] == len(found["models"]) or found["next_page_token"]
    assert {provider for provider, _ in names(found)} > {"anthropic", "openrouter"}
    assert all("sonnet" in f"{model['model']} {model['title']}".lower() for model in found["models"])
    assert asked(http, q="no such model") == {"models": [], "total": 0, "next_page_token": None}


def test_pages_follow_one_another(http: httpx.Client) -> None:
    whole, token = [], ""
    while token is not None:
        page = asked(http, provider="openai", page_token=token)
        assert len(page["models"]) <= 50
        whole += names(page)
        token = page["next_page_token"]
    assert len(whole) == len(set(whole)) == page["total"] > 50


def test_newer_models_come_first_and_deprecated_ones_last(http: httpx.Client) -> None:
    found: list[Any] = []
    token: str | None = ""
    while token is not None:
        page = asked(http, provider="anthropic", page_token=token)
        found, token = found + page["models"], page["next_page_token"]
    order = [(model["status"] == "deprecated", model["released"]) for model in found]
    assert order == sorted(sorted(order, key=lambda one: one[1], reverse=True), key=lambda one: one[0])


def test_models_that_have_definitions_come_first_also_unknown_ones(http: httpx.Client) -> None:
    told = endpoint(http, "openai", "gpt-4o", **SECRET)["primaries"][0]
    endpoint(http, "openai", "ft:our-own", secret_id=told["secret_id"])
    endpoint(http, "simulated", "demo")
    found = asked(http, provider="openai")["models"]
    assert [model["model"] for model in found[:2]] == ["gpt-4o", "ft:our-own"]
    assert found[0]["model_definitions"] == [
        {"model_definition_id": told["model_definition_id"], "name": "gpt-4o", "secret_id": told["secret_id"], "secret_name": "openai-1"}
    ]
    assert (found[1]["title"], found[1]["source"], found[1]["context_window"], found[1]["tools"]) == ("ft:our-own", None, None, None)
    assert [model["model"] for model in asked(http, provider="simulated")["models"]] == ["demo"]
    assert [model["model"] for model in asked(http)["models"][:3]] == ["gpt-4o", "ft:our-own", "demo"]


def test_a_key_is_told_of_the_definitions_behind_its_endpoints(gateway: Any, http: httpx.Client) -> None:
    ours = endpoint(http, "simulated", "ours")
    endpoint(http, "simulated", "theirs")
    key = http.post("/api/v1/keys", json={"name": "k", "role": "viewer", "endpoints": [ours["endpoint_id"]]}).json()["key"]
    found = httpx.get(f"{gateway.url}{PATH}", params={"provider": "simulated"}, headers={"x-api-key": key}).json()
    assert names(found) == [("simulated", "ours")]


@pytest.mark.parametrize(("query", "word"), [({"provider": "acme"}, "acme"), ({"page_token": "x"}, "token"), ({"max_results": 51}, "50")])
def test_what_cannot_be_meant_is_a_400(http: httpx.Client, query: dict[str, Any], word: str) -> None:
    refused = http.get(PATH, params=query)
    assert (refused.status_code, word in refused.json()["message"]) == (400, True)
