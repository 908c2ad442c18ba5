import pytest

from spangate.providers import Access, ClientCredentials, access, catalog


def openais(base: str) -> dict[str, str]:
    """The formats of a server that speaks as OpenAI does."""
    return {
        "openai.chat": f"{base}/chat/completions",
        "openai.completions": f"{base}/completions",
        "openai.embeddings": f"{base}/embeddings",
        "openai.responses": f"{base}/responses",
    }


def test_openai_by_its_default_base() -> None:
    assert access(catalog(), "openai", {}, {"api_key": "sk-1"}) == Access(
        urls=openais("https://api.openai.com/v1"),
        base_url="https://api.openai.com/v1",
        headers={"authorization": "Bearer sk-1"},
        usage_in_stream="ask",
    )


def test_anthropic_shows_its_key_and_version() -> None:
    assert access(catalog(), "anthropic", {}, {"api_key": "sk-ant"}) == Access(
        urls={
            "anthropic.messages": "https://api.anthropic.com/v1/messages",
            "anthropic.count_tokens": "https://api.anthropic.com/v1/messages/count_tokens",
        },
        base_url="https://api.anthropic.com/v1",
        headers={"anthropic-version": "2023-06-01", "x-api-key": "sk-ant"},
        usage_in_stream="always",
    )


@pytest.mark.parametrize("base", ["https://llm.example/v1", "https://llm.example/v1/", " https://llm.example/v1// "])
def test_api_base_replaces_the_base_with_its_version_segment(base: str) -> None:
    found = access(catalog(), "openai-compatible", {"api_base": base}, {"api_key": "k"})
    assert found.urls == openais("https://llm.example/v1")


def test_a_server_of_ones_own_needs_no_key() -> None:
    found = access(catalog(), "openai-compatible", {"api_base": "http://127.0.0.1:11434/v1", "allow_private": "True"}, {})
    base = "http://127.0.0.1:11434/v1"
    assert found == Access(urls=openais(base), base_url=base, headers={}, usage_in_stream="ask", allow_private=True)


def test_simulated_is_called_in_this_process_whatever_the_secret_says() -> None:
    found = access(catalog(), "simulated", {}, {"api_key": "ignored"})
    assert (found.in_process, found.problem, found.headers) == (True, None, {"anthropic-version": "2023-06-01"})
    assert {*openais(""), "anthropic.messages"} <= set(found.urls)
    assert all(url.startswith("simulated://in-process/v1/") for url in found.urls.values())


@pytest.mark.parametrize(
    ("name", "auth_config", "secret", "words"),
    [
        ("nobody", {}, {}, "'nobody' is not one that this version can call"),
        ("openai", {}, {}, "no api_key for OpenAI"),
        ("openai", {}, {"api_key": "  "}, "no api_key for OpenAI"),
        ("openai", {}, {"api_key": "sk-1\nx: y"}, "a character|another character"),
        ("openai", {}, {"api_key": "sk-é"}, "another character"),
        ("openai-compatible", {}, {"api_key": "k"}, "set api_base"),
        ("openai-compatible", {"api_base": "llm.example/v1"}, {"api_key": "k"}, "not a base URL"),
        ("openai-compatible", {"api_base": "ftp://llm.example/v1"}, {"api_key": "k"}, "not a base URL"),
        ("openai-compatible", {"api_base": "https://user:pw@llm.example/v1"}, {"api_key": "k"}, "not a base URL"),
        ("openai-compatible", {"api_base": "https://llm.example/v1?x=1"}, {"api_key": "k"}, "not a base URL"),
        ("openai-compatible", {"api_base": "https://[::1/v1"}, {"api_key": "k"}, "not a base URL"),
    ],
)
def test_what_is_missing_is_a_problem_and_shows_no_credential(
    name: str, auth_config: dict[str, str], secret: dict[str, str], words: str
) -> None:
    found = access(catalog(), name, auth_config, secret)
    assert found.problem is not None
    assert any(word in found.problem for word in words.split("|"))
    assert found.headers == {}
    assert "pw" not in found.problem


def urls(base: str, *formats: str) -> dict[str, str]:
    return {format: url for format, url in openais(base).items() if format in formats}


def keyed(base: str, *formats: str, usage: str = "ask", gone: str = "close") -> Access:
    """A provider that differs from OpenAI by its URL and by what it speaks."""
    return Access(
        urls=urls(base, *formats), base_url=base, headers={"authorization": "Bearer k-1"}, usage_in_stream=usage, client_gone=gone
    )


CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES = openais("")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mistral", keyed("https://api.mistral.ai/v1", CHAT, EMBEDDINGS, usage="rejects", gone="drain")),
        ("togetherai", keyed("https://api.together.xyz/v1", CHAT, COMPLETIONS, EMBEDDINGS)),
        ("groq", keyed("https://api.groq.com/openai/v1", CHAT, EMBEDDINGS, RESPONSES, usage="always", gone="drain")),
        ("xai", keyed("https://api.x.ai/v1", CHAT, RESPONSES)),
        ("huggingface", keyed("https://router.huggingface.co/v1", CHAT, RESPONSES, gone="drain")),
    ],
)
def test_a_provider_like_openai_at_an_address_of_its_own(name: str, found: Access) -> None:
    assert access(catalog(), name, {}, {"api_key": "k-1"}) == found


@pytest.mark.parametrize("base", ["https://api.deepseek.com", "https://api.deepseek.com/v1", "https://api.deepseek.com/anthropic/"])
def test_deepseek_speaks_two_languages_at_one_address(base: str) -> None:
    assert access(catalog(), "deepseek", {"api_base": base}, {"api_key": "k-1"}) == Access(
        urls={
            "openai.chat": "https://api.deepseek.com/chat/completions",
            "openai.completions": "https://api.deepseek.com/beta/completions",
            "anthropic.messages": "https://api.deepseek.com/anthropic/v1/messages",
        },
        base_url="https://api.deepseek.com",
        headers={"authorization": "Bearer k-1"},
        usage_in_stream="ask",
    )


def test_openrouter_is_told_who_calls_if_the_secret_says_it() -> None:
    said = {"http_referer": "https://app.example", "x_title": "My app"}
    base = "https://openrouter.ai/api/v1"
    assert access(catalog(), "openrouter", said, {"api_key": "k-1"}) == Access(
        urls={**openais(base), "anthropic.messages": f"{base}/messages"},
        base_url=base,
        headers={"http-referer": "https://app.example", "x-title": "My app", "authorization": "Bearer k-1"},
        usage_in_stream="always",
    )
    assert access(catalog(), "openrouter", {}, {"api_key": "k-1"}).headers == {"authorization": "Bearer k-1"}


def test_openai_is_told_whose_account_it_is_if_the_secret_says_it() -> None:
    found = access(catalog(), "openai", {"organization": "org-1", "project": "proj-1"}, {"api_key": "k-1"})
    assert found.headers == {"openai-organization": "org-1", "openai-project": "proj-1", "authorization": "Bearer k-1"}


def test_gemini_has_its_model_in_the_path() -> None:
    base = "https://generativelanguage.googleapis.com/v1beta"
    model = f"{base}/models/gemini-2.5-flash"
    assert access(catalog(), "gemini", {}, {"api_key": "k-1"}, model="gemini-2.5-flash") == Access(
        urls={
            **dict.fromkeys(("gemini.generate", "gemini.embeddings", "gemini.count_tokens"), model),
            "openai.chat": f"{base}/openai/chat/completions",
            "openai.embeddings": f"{base}/openai/embeddings",
        },
        base_url=base,
        headers={"x-goog-api-key": "k-1"},
        usage_in_stream="ask",
        client_gone="drain",
    )


LOCAL = "http://127.0.0.1:11434/v1"


def test_ollama_is_called_on_this_machine_without_a_key() -> None:
    assert access(catalog(), "ollama", {}, {}) == Access(
        urls={**openais(LOCAL), "anthropic.messages": f"{LOCAL}/messages"},
        base_url=LOCAL,
        usage_in_stream="ask",
        allow_private=True,
    )


@pytest.mark.parametrize(
    ("auth_config", "allowed"),
    [
        ({"api_base": "http://127.0.0.1:9/v1"}, False),
        ({"api_base": "http://10.0.0.1:11434/v1"}, False),
        ({"api_base": "http://10.0.0.1:11434/v1", "allow_private": "true"}, True),
        ({"api_base": LOCAL + "/"}, True),
    ],
)
def test_only_the_rows_own_address_may_be_private_without_the_secrets_word(auth_config: dict[str, str], allowed: bool) -> None:
    assert access(catalog(), "ollama", auth_config, {}).allow_private is allowed


def test_vllm_where_the_secret_says() -> None:
    base = "http://127.0.0.1:8000/v1"
    assert access(catalog(), "vllm", {"api_base": base, "allow_private": "true"}, {}) == Access(
        urls={**openais(base), "anthropic.messages": f"{base}/messages", "anthropic.count_tokens": f"{base}/messages/count_tokens"},
        base_url=base,
        usage_in_stream="ask",
        allow_private=True,
    )


def portkey(headers: dict[str, str]) -> Access:
    base = "https://api.portkey.ai/v1"
    return Access(
        urls={**openais(base), "anthropic.messages": f"{base}/messages", "anthropic.count_tokens": f"{base}/messages/count_tokens"},
        base_url=base,
        headers={**headers, "x-portkey-api-key": "pk-1"},
        usage_in_stream="ask",
    )


@pytest.mark.parametrize(
    ("auth_config", "secret", "headers"),
    [
        ({}, {}, {}),
        ({"portkey_provider": "@openai-prod"}, {}, {"x-portkey-provider": "@openai-prod"}),
        (
            {"portkey_provider": "openai"},
            {"provider_api_key": "sk-1"},
            {"x-portkey-provider": "openai", "authorization": "Bearer sk-1"},
        ),
        ({}, {"portkey_config": '{"retry": {"attempts": 3}}'}, {"x-portkey-config": '{"retry": {"attempts": 3}}'}),
        ({}, {"portkey_virtual_key": "vk-1"}, {"x-portkey-virtual-key": "vk-1"}),
        # What belongs into the sealed part is not taken from the open one, nor the other way.
        ({"provider_api_key": "sk-1"}, {"portkey_provider": "openai"}, {}),
    ],
)
def test_portkey_is_told_where_to_route(auth_config: dict[str, str], secret: dict[str, str], headers: dict[str, str]) -> None:
    assert access(catalog(), "portkey", auth_config, {"api_key": "pk-1", **secret}) == portkey(headers)


# ---------------------------------------------------------------- azure

AZURE = "https://r.openai.azure.com"


def azure(*, headers: dict[str, str], grant: ClientCredentials | None = None) -> Access:
    return Access(urls=openais(f"{AZURE}/openai/v1"), base_url=AZURE, headers=headers, grant=grant, usage_in_stream="ask")


@pytest.mark.parametrize("base", [AZURE, f"{AZURE}/", f"{AZURE}/openai", f"{AZURE}/openai/v1/"])
def test_azure_by_its_v1_api(base: str) -> None:
    found = access(catalog(), "azure", {"api_base": base}, {"api_key": "k-1"}, model="gpt")
    assert found == azure(headers={"api-key": "k-1"})


def test_azure_by_a_dated_api_has_its_deployment_in_the_path() -> None:
    found = access(catalog(), "azure", {"api_base": AZURE, "api_version": "2024-10-21"}, {"api_key": "k-1"}, model="my gpt/4:x")
    deployment = f"{AZURE}/openai/deployments/my%20gpt%2F4%3Ax"
    assert found == Access(
        urls={
            "openai.chat": f"{deployment}/chat/completions?api-version=2024-10-21",
            "openai.completions": f"{deployment}/completions?api-version=2024-10-21",
            "openai.embeddings": f"{deployment}/embeddings?api-version=2024-10-21",
            "openai.responses": f"{AZURE}/openai/responses?api-version=2024-10-21",
        },
        base_url=AZURE,
        headers={"api-key": "k-1"},
        usage_in_stream="ask",
    )


def test_a_field_in_a_path_cannot_add_to_the_query() -> None:
    found = access(catalog(), "azure", {"api_base": AZURE, "api_version": "1&x=/../2"}, {"api_key": "k-1"}, model="m")
    assert found.urls["openai.responses"] == f"{AZURE}/openai/responses?api-version=1%26x%3D%2F..%2F2"


ENTRA = ClientCredentials(
    url="https://login.microsoftonline.com/t-1/oauth2/v2.0/token",
    client_id="c-1",
    client_secret="s-1",
    scope="https://cognitiveservices.azure.com/.default",
    client="body",
)


@pytest.mark.parametrize("named", [{}, {"auth_mode": "service_principal"}])
def test_azure_by_a_service_principal(named: dict[str, str]) -> None:
    auth_config = {"api_base": AZURE, "tenant_id": "t-1", "client_id": "c-1", **named}
    assert access(catalog(), "azure", auth_config, {"client_secret": "s-1"}) == azure(headers={}, grant=ENTRA)


def test_azure_in_a_cloud_of_its_own() -> None:
    auth_config = {
        "api_base": AZURE,
        "tenant_id": "t/1",
        "client_id": "c-1",
        "authority_host": "https://login.microsoftonline.us/",
        "scope": "https://cognitiveservices.azure.us/.default",
    }
    found = access(catalog(), "azure", auth_config, {"client_secret": "s-1"}).grant
    assert found == ClientCredentials(
        url="https://login.microsoftonline.us/t%2F1/oauth2/v2.0/token",
        client_id="c-1",
        client_secret="s-1",
        scope="https://cognitiveservices.azure.us/.default",
        client="body",
    )


def test_azure_by_a_token_that_somebody_else_fetched() -> None:
    found = access(catalog(), "azure", {"api_base": AZURE}, {"azure_ad_token": "ey-1"})
    assert found == azure(headers={"authorization": "Bearer ey-1"})


def test_the_auth_mode_that_the_secret_names_is_taken_whatever_else_it_holds() -> None:
    both = {"api_key": "k-1", "azure_ad_token": "ey-1"}
    found = access(catalog(), "azure", {"api_base": AZURE, "auth_mode": "ad_token"}, both)
    assert found == azure(headers={"authorization": "Bearer ey-1"})
    assert access(catalog(), "azure", {"api_base": AZURE}, both) == azure(headers={"api-key": "k-1"})


# ---------------------------------------------------------------- databricks

DATABRICKS = "https://w.cloud.databricks.com"


def databricks(*, headers: dict[str, str], grant: ClientCredentials | None = None) -> Access:
    base = f"{DATABRICKS}/serving-endpoints"
    return Access(
        urls={
            **openais(base),
            "anthropic.messages": f"{base}/anthropic/v1/messages",
            "gemini.generate": f"{base}/gemini/v1beta/models/dbx",
        },
        base_url=DATABRICKS,
        headers=headers,
        grant=grant,
        usage_in_stream="ask",
    )


@pytest.mark.parametrize("base", [DATABRICKS, f"{DATABRICKS}/serving-endpoints"])
def test_databricks_by_a_personal_token(base: str) -> None:
    found = access(catalog(), "databricks", {"api_base": base, "auth_mode": "pat_token"}, {"api_key": "dapi-1"}, model="dbx")
    assert found == databricks(headers={"authorization": "Bearer dapi-1"})


def test_databricks_by_a_service_principal() -> None:
    auth_config = {"api_base": f"{DATABRICKS}/serving-endpoints", "auth_mode": "oauth_m2m", "client_id": "c-1"}
    grant = ClientCredentials(url=f"{DATABRICKS}/oidc/v1/token", client_id="c-1", client_secret="s-1", scope="all-apis", client="basic")
    assert access(catalog(), "databricks", auth_config, {"client_secret": "s-1"}, model="dbx") == databricks(headers={}, grant=grant)


@pytest.mark.parametrize(
    ("name", "auth_config", "secret", "problem"),
    [
        (
            "azure",
            {"api_base": AZURE, "auth_mode": "magic"},
            {"api_key": "k"},
            "The auth_mode 'magic' is not one of Azure OpenAI's, which are api_key, service_principal, ad_token.",
        ),
        (
            "azure",
            {"api_base": AZURE, "auth_mode": "service_principal", "client_id": "c-1"},
            {"client_secret": "s-1"},
            "There is no tenant_id for Azure OpenAI: set it in auth_config.",
        ),
        (
            "azure",
            {"api_base": AZURE, "tenant_id": "t-1", "client_id": "c-1", "auth_mode": "service_principal"},
            {"api_key": "k"},
            "There is no client_secret for Azure OpenAI: the model definition has no secret, or the secret is empty.",
        ),
        (
            "azure",
            {"api_base": AZURE, "tenant_id": "t-1", "client_id": "c-1", "authority_host": "login.example"},
            {"client_secret": "s-1"},
            "The authority_host for Azure OpenAI is not a base URL: it must be https://host/path, without user, query and fragment.",
        ),
        (
            "databricks",
            {},
            {"api_key": "dapi-1"},
            "Databricks has no base URL of its own: set api_base in the secret's auth_config.",
        ),
        (
            "portkey",
            {},
            {"api_key": "pk-1", "portkey_config": "{\n}"},
            "The portkey_config for Portkey holds a space, a line end or another character that no header may carry.",
        ),
    ],
)
def test_what_is_missing_for_an_auth_mode_is_said(name: str, auth_config: dict[str, str], secret: dict[str, str], problem: str) -> None:
    found = access(catalog(), name, auth_config, secret)
    assert (found.problem, found.headers, found.grant) == (problem, {}, None)
