import datetime

import pytest

from spangate.control.credentials import faults, unknown
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


def said(row: Provider | None, *, sealed: tuple[str, ...], open: tuple[str, ...]) -> list[tuple[str, str]]:
    return [tuple(fault) for fault in unknown(row, sealed=sealed, open=open)]


@pytest.mark.parametrize(
    ("sealed", "open"),
    [
        ((), ()),
        (("api_key",), ("api_base", "auth_mode", "allow_private")),
        (("client_secret",), ("client_id", "api_base")),
    ],
)
def test_accepts_the_fields_of_any_mode_and_what_all_providers_have(sealed: tuple[str, ...], open: tuple[str, ...]) -> None:
    assert said(ROW, sealed=sealed, open=open) == []


def test_names_what_it_refuses_and_what_there_is_instead() -> None:
    assert said(ROW, sealed=("api_key", "api-key"), open=()) == [
        ("values.api-key", "'api-key' is not a field of secret_value for Acme; those are: api_key, client_secret.")
    ]
    what = "'Api_Base' is not a field of auth_config for Acme; those are: api_base, client_id, auth_mode, allow_private."
    assert said(ROW, sealed=(), open=("Api_Base",)) == [("auth_config.Api_Base", what)]
    assert said(ROW, sealed=("client_id",), open=()) != []  # it belongs into the open
    assert said(ROW, sealed=(), open=("api_key",)) != []  # a credential does not


def test_says_so_where_there_is_nothing_to_be_kept() -> None:
    keyless = Provider(
        names=ROW.names, title="Nobody", checked=ROW.checked, source="", formats={}, auth="none", usage_in_stream="always",
        auth_modes=(AuthMode(mode="none", title="None", secret_fields=(), config_fields=()),),
    )  # fmt: skip
    assert said(keyless, sealed=("api_key",), open=()) == [
        ("values.api_key", "'api_key' is not a field of secret_value for Nobody; it has none.")
    ]


def test_accepts_anything_for_a_provider_without_a_row() -> None:
    assert said(None, sealed=("api_key", "colour"), open=("anything",)) == []


@pytest.mark.parametrize(
    ("sealed", "open", "lacking"),
    [
        ({}, {}, ["values.api_key", "auth_config.api_base"]),
        ({"api_key": " "}, {"api_base": "https://acme.example"}, ["values.api_key"]),
        ({"api_key": "k"}, {"api_base": "https://acme.example"}, []),
        ({"client_secret": "k"}, {"auth_mode": "oauth", "api_base": "https://acme.example"}, ["auth_config.client_id"]),
        ({"api_key": "k"}, {"auth_mode": "magic", "api_base": "https://acme.example"}, ["auth_config.auth_mode"]),
        ({"api_key": "k"}, {"api_base": "http://10.0.0.1"}, ["auth_config.api_base"]),
    ],
)
def test_says_what_a_whole_one_lacks_and_where(sealed: dict[str, str], open: dict[str, str], lacking: list[str]) -> None:
    assert [fault.field for fault in faults(ROW, sealed=sealed, open=open, allow_private=False, whole=True)] == lacking
