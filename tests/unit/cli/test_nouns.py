import pytest

from .conftest import Gateway


def furnish(gateway: Gateway) -> None:
    gateway.json("secrets", "create", "acme", "--provider", "openai", "--value", "api_key=sk-1234567890abcdef")
    gateway.json("models", "create", "mini", "--provider", "openai", "--model", "gpt-5-mini", "--secret", "acme")


def test_a_secret_goes_in_and_comes_back_masked(gateway: Gateway) -> None:
    made = gateway.json(
        "secrets",
        "create",
        "acme",
        "--provider",
        "openai",
        "--value",
        "api_key=-",
        "--config",
        "api_base=https://1.1.1.1/v1",
        input="sk-123456789\n",
    )
    assert (made["secret_name"], made["provider"], made["auth_config"]) == ("acme", "openai", {"api_base": "https://1.1.1.1/v1"})
    shown = gateway.run("secrets", "show", "acme")
    assert shown.exit_code == 0
    assert "sk-...6789" in shown.stdout
    assert "sk-123456789" not in shown.stdout + gateway.run("secrets", "list").stdout
    gateway.json("secrets", "update", "acme", "--value", "api_key=sk-other-98765")
    assert "sk-...8765" in gateway.run("secrets", "list").stdout
    assert gateway.run("secrets", "delete", "acme").stdout == "Secret acme is gone.\n"
    assert gateway.json("secrets", "list") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--provider", "openia"), "no provider 'openia'"),
        (("--provider", "openai"), "credential is missing"),
        (("--provider", "openai-compatible"), None),
        (("--provider", "simulated"), None),
    ],
)
def test_a_secret_without_a_credential_is_made_only_where_none_is_needed(
    arguments: tuple[str, ...], words: str | None, gateway: Gateway
) -> None:
    made = gateway.run("secrets", "create", "s", *arguments)
    assert (made.exit_code, len(gateway.json("secrets", "list"))) == ((0, 1) if words is None else (2, 0))
    assert words is None or words in made.output


@pytest.mark.parametrize("noun", ["secrets", "models", "endpoints"])
def test_an_update_of_nothing_is_a_slip(noun: str, gateway: Gateway) -> None:
    updated = gateway.run(noun, "update", "any")
    assert (updated.exit_code, "nothing to change" in updated.output) == (2, True)


def test_a_model_definition_is_named_changed_and_forgotten(gateway: Gateway) -> None:
    furnish(gateway)
    (listed,) = gateway.json("models", "list")
    assert (listed["name"], listed["model_name"], listed["secret_name"]) == ("mini", "gpt-5-mini", "acme")
    assert gateway.json("models", "update", "mini", "--rename", "small", "--model", "gpt-6-mini")["model_name"] == "gpt-6-mini"
    assert gateway.json("models", "show", listed["model_definition_id"])["name"] == "small"
    assert gateway.run("models", "delete", "small").stdout == "Model small is gone.\n"


def test_an_endpoint_is_traced_unless_told_otherwise(gateway: Gateway) -> None:
    furnish(gateway)
    made = gateway.json("endpoints", "create", "chat", "--model", "mini")
    assert made["usage_tracking"] is True
    assert gateway.json("experiments", "show", "gateway/chat")["experiment_id"] == made["experiment_id"]
    renamed = gateway.json("endpoints", "update", "chat", "--rename", "talk")
    assert (renamed["usage_tracking"], renamed["experiment_id"]) == (True, made["experiment_id"])
    assert gateway.json("endpoints", "update", "talk", "--no-usage-tracking").get("usage_tracking", False) is False
    assert "talk" in gateway.run("endpoints", "list").stdout
    assert gateway.run("endpoints", "delete", "talk").exit_code == 0
    assert gateway.json("endpoints", "list") == []


def test_an_endpoint_takes_weights_fallbacks_and_tags(gateway: Gateway) -> None:
    furnish(gateway)
    gateway.json("models", "create", "llama:8b", "--provider", "openai", "--model", "llama:8b", "--secret", "acme")
    gateway.json("endpoints", "create", "chat", "--model", "mini:0.25", "--fallback", "llama:8b")
    assert "mini (0.25), llama:8b (fallback)" in gateway.run("endpoints", "show", "chat").stdout
    gateway.json("endpoints", "detach", "chat", "--model", "llama:8b")
    attached = gateway.json("endpoints", "attach", "chat", "--model", "llama:8b")
    assert [(one["linkage_type"], one["weight"]) for one in attached["model_mappings"]] == [("PRIMARY", 0.25), ("PRIMARY", 1.0)]
    assert gateway.json("endpoints", "tag", "chat", "team", "search")["tags"] == [{"key": "team", "value": "search"}]
    assert not gateway.json("endpoints", "tag", "chat", "team").get("tags")


def test_the_list_of_experiments_leaves_mlflows_tags_to_show(gateway: Gateway) -> None:
    furnish(gateway)
    gateway.json("endpoints", "create", "chat", "--model", "mini")
    assert "mlflow." not in gateway.run("experiments", "list").stdout
    assert "mlflow.experiment.isGateway=true" in gateway.run("experiments", "show", "gateway/chat").stdout


def test_an_experiment_is_made_renamed_deleted_and_restored(gateway: Gateway) -> None:
    made = gateway.json("experiments", "create", "mine")
    assert gateway.json("experiments", "rename", "mine", "ours")["experiment_id"] == made["experiment_id"]
    gateway.run("experiments", "delete", "ours")
    assert [one["name"] for one in gateway.json("experiments", "list")] == ["Default"]
    assert {one["name"] for one in gateway.json("experiments", "list", "--all")} == {"Default", "ours"}
    assert gateway.json("experiments", "restore", made["experiment_id"])["lifecycle_stage"] == "active"


def test_an_empty_list_says_what_to_do_next(gateway: Gateway) -> None:
    assert "spangate secrets create" in gateway.run("secrets", "list").stdout
    assert "spangate models create" in gateway.run("models", "list").stdout
    assert "spangate endpoints create" in gateway.run("endpoints", "list").stdout
