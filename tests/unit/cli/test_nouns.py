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
        (("--provider", "openai"), "credential is missing: --value api_key=..."),
        (("--provider", "azure", "--config", "tenant_id=t"), "credential is missing: --value client_secret=..."),
        (("--provider", "azure", "--config", "auth_mode=ad_token"), "credential is missing: --value azure_ad_token=..."),
        (("--provider", "togetherai"), "credential is missing"),
        (("--provider", "ollama"), None),
        (("--provider", "openai-compatible"), "OpenAI-compatible server needs --config api_base=... too"),
        (("--provider", "openai-compatible", "--config", "api_base=https://1.1.1.1/v1"), None),
        (("--provider", "azure", "--value", "api_key=k-1"), "Azure OpenAI needs --config api_base=... too"),
        (
            ("--provider", "databricks", "--value", "client_secret=s-1"),
            "Databricks needs --config api_base=... --config client_id=... too",
        ),
        (("--provider", "simulated"), None),
    ],
)
def test_a_secret_without_what_its_provider_needs_is_not_made(arguments: tuple[str, ...], words: str | None, gateway: Gateway) -> None:
    made = gateway.run("secrets", "create", "s", *arguments)
    assert (made.exit_code, len(gateway.json("secrets", "list"))) == ((0, 1) if words is None else (2, 0))
    assert words is None or words in " ".join(made.output.replace("│", "").split())


def test_a_secret_of_several_fields_goes_by_mlflows_name_of_its_provider(gateway: Gateway) -> None:
    config = ("--config", "tenant_id=t-1", "--config", "client_id=c-1", "--config", "api_base=https://1.1.1.1")
    made = gateway.json(
        "secrets", "create", "entra", "--provider", "azure", "--value", "client_secret=-", *config, input="s-123456789012\n"
    )
    assert made["masked_values"] == {"client_secret": "s-1...9012"}
    assert made["auth_config"] == {"tenant_id": "t-1", "client_id": "c-1", "api_base": "https://1.1.1.1"}
    assert gateway.json("secrets", "create", "t", "--provider", "together_ai", "--value", "api_key=k")["provider"] == "togetherai"


def test_at_a_terminal_the_fields_of_the_mode_that_is_meant_are_asked_for(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    typed = "s-123456789012\n"
    config = ("--config", "tenant_id=t-1", "--config", "client_id=c-1", "--config", "api_base=https://1.1.1.1")
    made = gateway.run("secrets", "create", "entra", "--provider", "azure", *config, input=typed)
    assert (made.exit_code, "client_secret of Azure OpenAI: " in made.output, "s-123456789012" in made.output) == (0, True, False)
    made = gateway.run("secrets", "create", "near", "--provider", "ollama", input="\n")
    assert (made.exit_code, "api_key of Ollama (Enter for none): " in made.output) == (0, True)
    listed = {secret["secret_name"]: secret.get("masked_values", {}) for secret in gateway.json("secrets", "list")}
    assert listed == {"entra": {"client_secret": "s-1...9012"}, "near": {}}


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


@pytest.mark.parametrize("command", [("list",), ("show", "chat")])
def test_an_endpoint_is_shown_with_the_name_of_its_experiment(gateway: Gateway, command: tuple[str, ...]) -> None:
    furnish(gateway)
    held = gateway.json("endpoints", "create", "chat", "--model", "mini")["experiment_id"]
    assert f"gateway/chat ({held})" in gateway.run("endpoints", *command).stdout


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


# ---------------------------------------------------------------- settings, aliases, providers


def test_settings_are_set_shown_and_unset(gateway: Gateway) -> None:
    furnish(gateway)
    made = gateway.json("endpoints", "create", "chat", "--model", "mini")
    nothing = dict.fromkeys(
        ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "client_gone", "proxy", "retention", "content")
    )
    assert gateway.json("endpoints", "show", "chat")["settings"] == nothing
    first = gateway.json(
        "endpoints", "set", made["endpoint_id"], "--connect-timeout", "2.5", "--client-gone", "drain", "--allow-proxy", "get,POST /a /b/*"
    )
    rules = {"methods": ["GET", "POST"], "paths": ["/a", "/b/*"]}
    assert first["settings"] == nothing | {"connect_timeout": 2.5, "client_gone": "drain", "proxy": rules}
    shown = gateway.run("endpoints", "show", "chat").stdout
    assert "connect timeout 2.5 s, client gone: drain, proxy: GET,POST /a /b/*" in shown
    second = gateway.json("endpoints", "set", "chat", "--unset", "proxy", "--unset", "connect-timeout", "--idle-timeout", "60")
    assert (
        second["settings"]
        == nothing | {"idle_timeout": 60.0, "client_gone": "drain"}
        == gateway.json("endpoints", "show", "chat")["settings"]
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "nothing to change"),
        (("--unset", "colour"), 2, "idle-timeout"),
        (("--idle-timeout", "5", "--unset", "idle-timeout"), 2, "both set and unset"),
        (("--client-gone", "wait"), 2, "drain"),
        (("--allow-proxy", "GET"), 2, "is not methods and paths"),
        (("--allow-proxy", "/files"), 2, "is not methods and paths"),
        (("--allow-proxy", ""), 2, "is not methods and paths"),
    ],
)
def test_a_slip_in_a_setting_is_told_and_changes_nothing(arguments: tuple[str, ...], code: int, words: str, gateway: Gateway) -> None:
    furnish(gateway)
    before = gateway.json("endpoints", "create", "chat", "--model", "mini")
    slipped = gateway.run("endpoints", "set", "chat", *arguments)
    assert (slipped.exit_code, words in slipped.output) == (code, True)
    assert gateway.json("endpoints", "show", "chat")["last_updated_at"] == before["last_updated_at"]


def test_an_alias_is_set_moved_listed_and_deleted(gateway: Gateway) -> None:
    furnish(gateway)
    for name in ("chat", "talk"):
        gateway.json("endpoints", "create", name, "--model", "mini")
    assert "spangate aliases set" in gateway.run("aliases", "list").stdout
    made = gateway.json("aliases", "set", "openai/gpt-*", "chat")
    assert (made["pattern"], made["endpoint"], made["updated_by"]) == ("openai/gpt-*", "chat", "admin")
    gateway.json("aliases", "set", "*", "talk")
    assert [alias["pattern"] for alias in gateway.json("aliases", "list")] == ["*", "openai/gpt-*"]
    assert [alias["pattern"] for alias in gateway.json("aliases", "list", "--endpoint", made["endpoint_id"])] == ["openai/gpt-*"]
    assert "openai/gpt-*" in gateway.run("endpoints", "show", "chat").stdout
    assert gateway.json("aliases", "set", "openai/gpt-*", "talk")["endpoint"] == "talk"
    assert gateway.run("aliases", "delete", "openai/gpt-*").stdout == "Alias openai/gpt-* is gone.\n"
    assert [alias["pattern"] for alias in gateway.json("aliases", "list")] == ["*"]
    assert gateway.run("aliases", "delete", "openai/gpt-*").exit_code == 1


def test_providers_are_listed_with_what_their_secrets_hold(gateway: Gateway) -> None:
    rows = {row["name"]: row for row in gateway.json("providers", "list")}
    assert rows["openai"]["auth_modes"][0]["secret_fields"] == ["api_key"]
    lines = {line.split()[0]: line for line in gateway.run("providers", "list").stdout.splitlines()}
    assert "anthropic.messages" in lines["anthropic"]
    assert "  api_key  " in lines["anthropic"]
    assert "[api_base]" in lines["anthropic"]
    assert "[api_key]" in lines["openai-compatible"]
    assert "  api_base  " in lines["openai-compatible"]
    assert "none" in lines["simulated"]
