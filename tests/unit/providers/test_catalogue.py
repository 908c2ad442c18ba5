import datetime
import re
from collections import Counter
from importlib import resources

import msgspec
import pytest

from spangate.providers import canonical, catalog
from spangate.providers.catalogue import row
from spangate.providers.rows import AuthMode, Provider
from spangate.relay.route import UPSTREAM_FORMAT
from spangate.wire.formats import FORMATS

FIELD = re.compile(r"\{(\w+)\}")


def test_holds_the_providers_by_name() -> None:
    assert list(catalog()) == sorted(catalog())
    assert set(catalog()) >= {
        *("anthropic", "openai", "openai-compatible", "simulated"),
        *("azure", "mistral", "togetherai", "groq", "deepseek", "xai", "openrouter"),
        *("ollama", "databricks", "vllm", "portkey", "huggingface"),
    }


def test_is_read_once() -> None:
    assert catalog() is catalog()


def test_has_no_file_that_is_no_row() -> None:
    files = [file.name for file in (resources.files("spangate.providers") / "catalog").iterdir()]
    assert sorted(files) == sorted(f"{name}.toml" for name in catalog())


def test_gives_no_name_to_two_providers() -> None:
    names = Counter(name for provider in catalog().values() for name in (provider.names.mlflow, *provider.names.also))
    assert names.most_common(1)[0][1] == 1
    assert Counter(provider.names.otel for provider in catalog().values()).most_common(1)[0][1] == 1
    assert Counter(provider.title for provider in catalog().values()).most_common(1)[0][1] == 1


def test_knows_a_provider_by_mlflows_other_words_too() -> None:
    assert (canonical("together_ai"), canonical("togetherai"), canonical("nobody")) == ("togetherai", "togetherai", "nobody")


@pytest.mark.parametrize("provider", catalog().values(), ids=list(catalog()))
def test_each_row_holds_together(provider: Provider) -> None:
    assert provider.checked <= datetime.datetime.now(datetime.UTC).date(), "nobody has held it against its source yet"
    assert provider.in_process or provider.source.startswith("https://")
    formats = [provider.formats, *(variant.formats for variant in provider.variants)]
    for paths in formats:
        assert set(paths) <= set(FORMATS)
        assert set(paths) <= set(UPSTREAM_FORMAT.values()), "a format that nothing can ask for"
        assert all(path.startswith("/") for path in paths.values())
    assert all(header == header.lower() for header in provider.headers)
    assert provider.base_url is None or not provider.base_url.endswith("/")
    assert (provider.base_url is None) == (provider.example_base is not None)
    assert all(end.startswith("/") and not end.endswith("/") for end in provider.trims)
    # A row that only this machine can reach says so, and no other does.
    local = provider.base_url is not None and provider.base_url.startswith("http://127.0.0.1")
    assert provider.allow_private == local
    assert local or provider.base_url is None or provider.in_process or provider.base_url.startswith("https://")


@pytest.mark.parametrize("provider", catalog().values(), ids=list(catalog()))
def test_each_row_asks_for_no_field_that_its_secrets_have_not(provider: Provider) -> None:
    assert len({mode.mode for mode in provider.auth_modes}) == len(provider.auth_modes) > 0
    open_ = [set(mode.config_fields) for mode in provider.auth_modes]
    assert provider.base_url is not None or all("api_base" in fields for fields in open_)
    for variant in provider.variants:
        assert all(variant.when in fields for fields in open_)
        in_paths = {field for path in variant.formats.values() for field in FIELD.findall(path)}
        assert in_paths <= {"model", variant.when}, "a path with a field that may be missing"
    assert {field for path in provider.formats.values() for field in FIELD.findall(path)} <= {"model"}
    known = {field for mode in provider.auth_modes for field in (*mode.secret_fields, *mode.config_fields)}
    assert {field for header in provider.headers.values() for field in FIELD.findall(header)} <= known


MODES = [(provider, mode) for provider in catalog().values() for mode in provider.auth_modes]


@pytest.mark.parametrize(("provider", "mode"), MODES, ids=[f"{provider.names.mlflow}-{mode.mode}" for provider, mode in MODES])
def test_each_auth_mode_holds_together(provider: Provider, mode: AuthMode) -> None:
    fields = [*mode.secret_fields, *mode.config_fields]
    assert len(set(fields)) == len(fields), "a field is sealed or open, not both"
    assert {*mode.optional, *mode.defaults} <= set(fields)
    assert not set(mode.defaults) & set(mode.secret_fields)
    required = provider.required(mode)
    if mode.token is not None:
        assert {"client_id", "client_secret"} <= required
        sure = {"base", *required, *mode.defaults}
        assert {*FIELD.findall(mode.token.url), *FIELD.findall(mode.token.scope)} <= sure
    elif (mode.auth or provider.auth) != "none":
        assert mode.key in mode.secret_fields


def test_refuses_a_row_in_the_wrong_file() -> None:
    text = (resources.files("spangate.providers") / "catalog" / "openai.toml").read_bytes()
    with pytest.raises(ValueError, match="rename one of them"):
        row("opnai", text)


def test_refuses_a_field_that_it_does_not_know() -> None:
    text = (resources.files("spangate.providers") / "catalog" / "openai.toml").read_bytes()
    with pytest.raises(msgspec.ValidationError, match="usage_in_streams"):
        row("openai", text.replace(b"usage_in_stream =", b"usage_in_streams ="))
