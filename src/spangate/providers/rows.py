"""What a catalogue row may say. A field that is not here is refused when the row is read, so a typo cannot pass for a setting.

Paths, headers and token URLs may hold `{field}`: a field of the secret, open or sealed, or in a path `{model}`.
"""

import datetime
from typing import Literal

import msgspec

# How a key is shown. All but the first and the last are the name of a header that holds the key and nothing else.
Proof = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "x-portkey-api-key", "none"]


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider, four books."""

    mlflow: str  # in the management API and in span names
    otel: str  # gen_ai.provider.name: OpenTelemetry's own word where it has one
    prices: str | None = None  # the price book's id; None: it has no prices, so cost is unknown
    models: str | None = None  # models.dev's id; None: it has no list of its models
    also: tuple[str, ...] = ()  # what else MLflow calls it: its list of providers has LiteLLM's words


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OAuth 2.0 client credentials grant (RFC 6749, 4.4): the secret's client_id and client_secret become a token that expires."""

    url: str
    scope: str
    client: Literal["body", "basic"]  # where the client's credential stands in the request (RFC 6749, 2.3.1)


class AuthMode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to prove who we are: what a secret must hold, and what may be set beside it in the open."""

    mode: str
    title: str
    secret_fields: tuple[str, ...]
    config_fields: tuple[str, ...]
    optional: tuple[str, ...] = ()  # of both; api_base is too where the row has a base URL, and api_key where it says key_optional
    defaults: dict[str, str] = {}  # of fields that are left out
    key: str = "api_key"  # the secret field that is shown
    auth: Proof | None = None  # None: as the row says
    token: TokenRequest | None = None  # what is fetched with the secret and shown in the key's place


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other paths, for secrets that have set a field."""

    when: str  # a config field
    formats: dict[str, str]


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    names: Names
    title: str
    checked: datetime.date  # when a person last held this row against `source`
    source: str
    keys: str | None = None  # where a person gets a credential
    formats: dict[str, str]  # wire format -> path under the base URL, with the query that is always there
    auth: Proof
    usage_in_stream: Literal["always", "ask", "rejects"]
    auth_modes: tuple[AuthMode, ...]  # the first is the one that a secret means which names none
    base_url: str | None = None  # with its version segment; None: the secret's api_base must say
    example_base: str | None = None  # what an api_base looks like, where there is no base_url to show it
    trims: tuple[str, ...] = ()  # ends of an api_base that the paths say already; the first that fits is cut off
    variants: tuple[Variant, ...] = ()  # the first whose field is set takes the place of `formats`
    headers: dict[str, str] = {}  # a client's own value of the same name wins; one whose field is not set is left out
    key_optional: bool = False
    allow_private: bool = False  # its own base URL is on this machine
    client_gone: Literal["close", "drain"] = "close"  # drain: hanging up stops neither the model nor the bill
    in_process: bool = False

    def required(self, mode: AuthMode) -> frozenset[str]:
        """The fields without which a secret of this mode cannot be used."""
        spare = {*mode.optional, *mode.defaults}
        if self.base_url is not None:
            spare.add("api_base")
        if self.key_optional:
            spare.add(mode.key)
        return frozenset({*mode.secret_fields, *mode.config_fields} - spare)
