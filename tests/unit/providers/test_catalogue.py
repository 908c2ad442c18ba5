from importlib import resources

import msgspec
import pytest

from spangate.providers import catalog
from spangate.providers.catalogue import row
from spangate.relay.route import UPSTREAM_FORMAT
from spangate.wire.formats import FORMATS


def test_holds_the_four_providers_by_name() -> None:
    assert list(catalog()) == ["anthropic", "openai", "openai-compatible", "simulated"]


def test_is_read_once() -> None:
    assert catalog() is catalog()


def test_has_no_file_that_is_no_row() -> None:
    files = [file.name for file in (resources.files("spangate.providers") / "catalog").iterdir()]
    assert sorted(files) == sorted(f"{name}.toml" for name in catalog())


@pytest.mark.parametrize("name", list(catalog()))
def test_each_row_holds_together(name: str) -> None:
    provider = catalog()[name]
    assert set(provider.formats) <= set(FORMATS)
    assert set(provider.formats) <= set(UPSTREAM_FORMAT.values()), "a format that nothing can ask for"
    assert all(path.startswith("/") for path in provider.formats.values())
    assert all(header == header.lower() for header in provider.headers)
    assert provider.base_url is None or not provider.base_url.endswith("/")
    assert provider.base_url is not None or any("api_base" in mode.config_fields for mode in provider.auth_modes)
    assert provider.auth_modes
    assert provider.source


def test_refuses_a_row_in_the_wrong_file() -> None:
    text = (resources.files("spangate.providers") / "catalog" / "openai.toml").read_bytes()
    with pytest.raises(ValueError, match="rename one of them"):
        row("opnai", text)


def test_refuses_a_field_that_it_does_not_know() -> None:
    text = (resources.files("spangate.providers") / "catalog" / "openai.toml").read_bytes()
    with pytest.raises(msgspec.ValidationError, match="usage_in_streams"):
        row("openai", text.replace(b"usage_in_stream =", b"usage_in_streams ="))
