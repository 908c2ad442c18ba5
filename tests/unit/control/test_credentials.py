import datetime

import pytest

from spangate.control.credentials import fault
from spangate.providers import AuthMode, Names, Provider

ROW = Provider(
    names=Names(mlflow="acme", otel="acme"),
    title="Acme",
    checked=datetime.date(2026, 11, 22),
    source="https://acme.example/docs",
    formats={},
    auth="bearer",
    usage_in_stream="always",
    auth_modes=(
        AuthMode(mode="api_key", title="Key", secret_fields=("api_key",), config_fields=("api_base",)),
        AuthMode(mode="oauth", title="OAuth", secret_fields=("client_secret",), config_fields=("api_base", "client_id")),
    ),
)


@pytest.mark.parametrize(
    ("sealed", "open"),
    [
        ((), ()),
        (("api_key",), ("api_base", "auth_mode", "allow_private")),
        (("client_secret",), ("client_id", "api_base")),
    ],
)
def test_accepts_the_fields_of_any_mode_and_what_all_providers_have(sealed: tuple[str, ...], open: tuple[str, ...]) -> None:
    assert fault(ROW, sealed=sealed, open=open) is None


def test_names_what_it_refuses_and_what_there_is_instead() -> None:
    assert fault(ROW, sealed=("api_key", "api-key"), open=()) == (
        "'api-key' is not a field of secret_value for Acme; those are: api_key, client_secret."
    )
    assert fault(ROW, sealed=(), open=("Api_Base",)) == (
        "'Api_Base' is not a field of auth_config for Acme; those are: api_base, client_id, auth_mode, allow_private."
    )
    assert fault(ROW, sealed=("client_id",), open=()) is not None  # it belongs into the open
    assert fault(ROW, sealed=(), open=("api_key",)) is not None  # a credential does not


def test_says_so_where_there_is_nothing_to_be_kept() -> None:
    keyless = Provider(
        names=ROW.names, title="Nobody", checked=ROW.checked, source="", formats={}, auth="none", usage_in_stream="always",
        auth_modes=(AuthMode(mode="none", title="None", secret_fields=(), config_fields=()),),
    )  # fmt: skip
    assert fault(keyless, sealed=("api_key",), open=()) == "'api_key' is not a field of secret_value for Nobody; it has none."


def test_accepts_anything_for_a_provider_without_a_row() -> None:
    assert fault(None, sealed=("api_key", "colour"), open=("anything",)) is None
