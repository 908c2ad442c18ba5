import pytest

from spangate.providers import Access, access, catalog


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
        urls={"anthropic.messages": "https://api.anthropic.com/v1/messages"},
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
    assert set(found.urls) == {*openais(""), "anthropic.messages"}


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
