import pytest

from spangate.control.upstreams import fault

PUBLIC = [
    "https://api.openai.com/v1",
    "https://api.openai.com:8443/v1/",
    "https://8.8.8.8/v1",
    "https://[2606:4700::1111]/v1",
    "https://example.com./v1",
]
PRIVATE = [
    "https://localhost/v1",
    "https://LOCALHOST./v1",
    "https://api.localhost/v1",
    "https://127.0.0.1/v1",
    "https://127.1/v1",
    "https://0x7f000001/v1",
    "https://0177.0.0.1/v1",
    "https://2130706433/v1",
    "https://0/v1",
    "https://10.1.2.3/v1",
    "https://169.254.169.254/latest",
    "https://100.64.0.1/v1",
    "https://192.168.0.1/v1",
    "https://224.0.0.1/v1",
    "https://[::1]/v1",
    "https://[::]/v1",
    "https://[fe80::1%25eth0]/v1",
    "https://[fc00::1]/v1",
    "https://[::ffff:127.0.0.1]/v1",
    "https://[64:ff9b::7f00:1]/v1",
    "https://[2002:7f00:1::]/v1",
    "https://ollama/v1",
    "https://metadata.google.internal/v1",
    "https://printer.local/v1",
]
NONSENSE = [
    "",
    "api.openai.com",
    "https://",
    "https:///v1",
    "ftp://example.com",
    "https://user:password@example.com/v1",
    "https://example.com@127.0.0.1/v1",
    "https://example.com:99999/v1",
    "https://[::1/v1",
    "https://example.com/v1?key=1",
    "https://example.com/v1#a",
    "https://exa mple.com/v1",
    "https://example.com\\@127.0.0.1/v1",
    "https://example.com/\nx",
]


@pytest.mark.parametrize("api_base", PUBLIC)
def test_accepts_public_https(api_base: str) -> None:
    assert fault({"api_base": api_base}, allow_private=False) is None


@pytest.mark.parametrize("api_base", PRIVATE)
def test_refuses_private_addresses_in_any_spelling(api_base: str) -> None:
    assert "not a public address" in " ".join(fault({"api_base": api_base}, allow_private=False) or ())


@pytest.mark.parametrize("api_base", PRIVATE + PUBLIC + ["http://127.0.0.1:8000/v1", "http://ollama:11434/v1"])
@pytest.mark.parametrize("by_secret", [True, False])
def test_accepts_private_addresses_where_that_is_permitted(api_base: str, by_secret: bool) -> None:
    auth_config = {"api_base": api_base} | ({"allow_private": "true"} if by_secret else {})
    assert fault(auth_config, allow_private=not by_secret) is None


@pytest.mark.parametrize("api_base", NONSENSE)
@pytest.mark.parametrize("allow_private", [True, False])
def test_refuses_what_is_no_destination(api_base: str, allow_private: bool) -> None:
    assert fault({"api_base": api_base}, allow_private=allow_private) is not None


def test_refuses_plain_http_to_the_public() -> None:
    assert "Allowed schemes are: 'https'" in " ".join(fault({"api_base": "http://api.openai.com/v1"}, allow_private=False) or ())


def test_holds_a_token_authority_to_the_same() -> None:
    assert fault({"authority_host": "https://login.microsoftonline.com"}, allow_private=False) is None
    refused = fault({"api_base": "https://api.example.com", "authority_host": "https://169.254.169.254"}, allow_private=False)
    assert "authority_host host: '169.254.169.254' is not a public address" in " ".join(refused or ())


def test_refuses_other_words_for_a_destination() -> None:
    assert "base_url" in " ".join(fault({"base_url": "https://api.openai.com"}, allow_private=True) or ())


def test_needs_no_destination() -> None:
    assert fault({"auth_mode": "api_key"}, allow_private=False) is None
