"""What a catalogue row may say. A field that is not here is refused when the row is read, so a typo cannot pass for a setting."""

import datetime
from typing import Literal

import msgspec


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider, three books."""

    mlflow: str  # in the management API and in span names
    otel: str  # gen_ai.provider.name
    prices: str | None = None  # the price book's id; None: it has no prices, so cost is unknown


class AuthMode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to prove who we are: what a secret must hold, and what may be set beside it in the open."""

    mode: str
    title: str
    secret_fields: tuple[str, ...]
    config_fields: tuple[str, ...]


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    names: Names
    title: str
    checked: datetime.date  # when a person last held this row against `source`
    source: str
    formats: dict[str, str]  # wire format -> path under the base URL
    auth: Literal["bearer", "x-api-key", "none"]
    usage_in_stream: Literal["always", "ask", "rejects"]
    auth_modes: tuple[AuthMode, ...]
    base_url: str | None = None  # with its version segment; None: the secret's api_base must say
    headers: dict[str, str] = {}  # fixed ones; a client's own value of the same name wins
    key_optional: bool = False
    in_process: bool = False
