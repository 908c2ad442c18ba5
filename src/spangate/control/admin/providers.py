"""The providers that this version can call, as the catalogue has them."""

import datetime
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field

from ...providers import ADDRESSES, AuthMode, Provider, catalog
from ..fields import PRIVATE, WORDS, placeholder
from ..policy import Policy, allows


class ProviderNames(BaseModel):
    mlflow: str = Field(description="In the management API and in span names.")
    otel: str = Field(description="OpenTelemetry's gen_ai.provider.name.")
    prices: str | None = Field(description="The price book's; null: it has no prices, so cost is unknown.")
    also: list[str] = Field(description="What else the management API takes for the first.")


class FieldRow(BaseModel):
    """A field of a form for a secret."""

    name: str
    label: str
    secret: bool = Field(description="It goes into the sealed values, and is never told again; else into auth_config, in the open.")
    kind: Literal["text", "url", "boolean"] = Field(description="boolean: `true`, or left out.")
    required: bool
    default: str | None = Field(description="What it is if it is left out.")
    placeholder: str = Field(description='What it looks like, or what holds if it is left out; "": nothing to show.')
    help: str = Field(description='A few words on it; "": its label says it all.')


class AuthModeRow(BaseModel):
    mode: str
    title: str
    secret_fields: list[str] = Field(description="What secret_value must hold.")
    config_fields: list[str] = Field(description="What auth_config may hold, in the open.")
    required: list[str] = Field(description="Those of both that may not be left out.")
    defaults: dict[str, str] = Field(description="What a field is that was left out.")
    fields: list[FieldRow] = Field(description="The same for a form, in its order: what must be said first.")


class ProviderRow(BaseModel):
    name: str
    names: ProviderNames
    title: str
    formats: list[str] = Field(description="The wire formats that it speaks.")
    base_url: str | None = Field(description="With its version segment; null: the secret's api_base must say.")
    key_optional: bool
    usage_in_stream: Literal["always", "ask", "rejects"]
    client_gone: Literal["close", "drain"] = Field(
        description="What becomes of a stream whose client has left, if the endpoint does not say."
    )
    auth_modes: list[AuthModeRow]
    in_process: bool = Field(description="Answered by the gateway itself; nothing leaves the machine.")
    checked: datetime.date = Field(description="When this row was last held against its source.")
    source: str
    documentation_url: str | None = Field(description="Of the provider's API; null: there is none.")
    keys_url: str | None = Field(description="Where a person gets a credential; null: there is no such place.")


class Providers(BaseModel):
    providers: list[ProviderRow]


def mount(app: FastAPI) -> None:
    @app.get("/api/v1/providers", tags=["providers"], response_model=Providers)
    @allows(Policy.viewer)
    def list_providers() -> Providers:  # pyright: ignore[reportUnusedFunction]
        """The catalogue of providers."""
        return Providers(providers=[_row(provider) for provider in catalog().values()])


def _row(provider: Provider) -> ProviderRow:
    return ProviderRow(
        name=provider.names.mlflow,
        names=ProviderNames(
            mlflow=provider.names.mlflow, otel=provider.names.otel, prices=provider.names.prices, also=list(provider.names.also)
        ),
        title=provider.title,
        formats=list(provider.formats),
        base_url=provider.base_url,
        key_optional=provider.key_optional,
        usage_in_stream=provider.usage_in_stream,
        client_gone=provider.client_gone,
        auth_modes=[
            AuthModeRow(
                mode=mode.mode,
                title=mode.title,
                secret_fields=list(mode.secret_fields),
                config_fields=list(mode.config_fields),
                required=[name for name in (*mode.secret_fields, *mode.config_fields) if name in provider.required(mode)],
                defaults=mode.defaults,
                fields=_fields(provider, mode),
            )
            for mode in provider.auth_modes
        ],
        in_process=provider.in_process,
        checked=provider.checked,
        source=provider.source,
        documentation_url=None if provider.in_process else provider.source,
        keys_url=provider.keys,
    )


def _fields(provider: Provider, mode: AuthMode) -> list[FieldRow]:
    required = provider.required(mode)
    rows = [
        FieldRow(
            name=name,
            label=WORDS[name].label,
            secret=name in mode.secret_fields,
            kind="url" if name in ADDRESSES else "text",
            required=name in required,
            default=mode.defaults.get(name),
            placeholder=placeholder(provider, mode, name),
            help=WORDS[name].help,
        )
        for name in (*mode.config_fields, *mode.secret_fields)
    ]
    if "api_base" in mode.config_fields and not provider.allow_private:
        rows.append(
            FieldRow(
                name="allow_private",
                label=PRIVATE.label,
                secret=False,
                kind="boolean",
                required=False,
                default=None,
                placeholder="",
                help=PRIVATE.help,
            )
        )
    return sorted(rows, key=lambda row: not row.required)
