"""The price book: what is in it, what a usage costs, and what is said against it. Money is USD as exact decimals in text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from .calling import OWN, Calls, Known

PATH = f"{OWN}/prices"
PAGE = 1000  # the most that the server gives at once


class Tier(Known, frozen=True, kw_only=True):
    above: int  # input tokens
    usd: str


class Rate(Known, frozen=True, kw_only=True):
    """USD for a million tokens; of the class `request`, for each call."""

    usd: str
    tiers: tuple[Tier, ...] = ()


class Hours(Known, frozen=True, kw_only=True):
    """Other rates at a time of day, in UTC."""

    start: str
    end: str
    rates: dict[str, Rate] = {}


class Price(Known, frozen=True, kw_only=True):
    price_id: str
    provider: str  # the price book's id of it
    model: str
    when: dict[str, str] = {}
    rates: dict[str, Rate] = {}
    hours: tuple[Hours, ...] = ()
    effective_from: str | None = None  # RFC 3339; None: since ever
    effective_to: str | None = None  # None: it is in force
    source: str = ""
    of: str | None = None
    uncounted: tuple[str, ...] = ()


class Override(Known, frozen=True, kw_only=True):
    override_id: str
    name: str
    endpoint_id: str | None = None
    endpoint: str | None = None
    secret_id: str | None = None
    secret: str | None = None
    provider: str | None = None
    model: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None
    rates: dict[str, Rate] | None = None
    multiplier: str | None = None
    created_at: str = ""
    updated_at: str = ""
    created_by: str | None = None
    updated_by: str | None = None


class Refreshed(Known, frozen=True, kw_only=True):
    edition: str | None = None
    added: tuple[Price, ...] = ()
    ended: tuple[Price, ...] = ()
    kept: int = 0


class Disagreement(Known, frozen=True, kw_only=True):
    provider: str
    model: str
    token_class: str
    usd: str
    other_usd: str
    other_model: str = ""
    above: int = 0
    price_id: str = ""
    effective_from: str | None = None
    in_use: bool = False


class Check(Known, frozen=True, kw_only=True):
    source: str
    other_source: str
    disagreements: tuple[Disagreement, ...] = ()
    agreed: int = 0
    only_here: int = 0
    only_there: int = 0


class Part(Known, frozen=True, kw_only=True):
    token_class: str
    tokens: int
    paid_as: str
    usd: str
    cost: str


class Quote(Known, frozen=True, kw_only=True):
    """None: unknown, which is not zero."""

    provider: str
    model: str
    price_id: str | None = None
    override: str | None = None
    multiplier: str | None = None
    rates: dict[str, Rate] = {}
    parts: tuple[Part, ...] = ()
    input_cost: str | None = None
    output_cost: str | None = None
    cost: str | None = None


class Prices:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self, *, provider: str | None = None, model: str | None = None, at: str | None = None, history: bool = False
    ) -> Iterator[Price]:
        """Those in force now, at a moment (RFC 3339), or all that there ever were."""
        message: dict[str, Any] = {"provider": provider, "model": model, "at": at, "max_results": PAGE, "page_token": None}
        if history:
            message["history"] = "true"
        while True:
            page = self._calls.call("GET", PATH, message)
            yield from msgspec.convert(page["prices"], tuple[Price, ...])
            message["page_token"] = page.get("next_page_token")
            if not message["page_token"]:
                return

    def get(self, price_id: str) -> Price:
        return msgspec.convert(self._calls.call("GET", f"{PATH}/{price_id}"), Price)

    def refresh(
        self, *, url: str | None = None, document: Sequence[Any] | None = None, correct: bool = False, force: bool = False
    ) -> Refreshed:
        """From the gateway's installed package, from a URL (`default`: the one of its settings), or from a list in genai-prices' form."""
        message = {"url": url, "document": document, "correct": correct, "force": force}
        return msgspec.convert(self._calls.call("POST", f"{PATH}/refresh", message), Refreshed)

    def check(self, *, in_use: bool = False) -> Check:
        return msgspec.convert(self._calls.call("GET", f"{PATH}/check", {"in_use": "true" if in_use else None}), Check)

    def quote(
        self,
        usage: Mapping[str, int],
        *,
        endpoint: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        secret_id: str | None = None,
        service_tier: str | None = None,
        batch: bool = False,
        at: str | None = None,
    ) -> tuple[Quote, ...]:
        """What the usage costs at an endpoint, one quote for each of its models, or with a provider's model."""
        message = {
            "endpoint": endpoint,
            "provider": provider,
            "model": model,
            "secret_id": secret_id,
            "service_tier": service_tier,
            "batch": batch,
            "at": at,
            "usage": usage,
        }
        return msgspec.convert(self._calls.call("POST", f"{PATH}/quote", message)["quotes"], tuple[Quote, ...])

    def overrides(self) -> tuple[Override, ...]:
        return msgspec.convert(self._calls.call("GET", f"{PATH}/overrides")["overrides"], tuple[Override, ...])

    def create_override(
        self,
        name: str,
        *,
        endpoint_id: str | None = None,
        secret_id: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        rates: Mapping[str, Rate | str] | None = None,
        multiplier: str | None = None,
        effective_from: str | None = None,
        effective_to: str | None = None,
    ) -> Override:
        message = {
            "name": name,
            "endpoint_id": endpoint_id,
            "secret_id": secret_id,
            "provider": provider,
            "model": model,
            "rates": rates,
            "multiplier": multiplier,
            "effective_from": effective_from,
            "effective_to": effective_to,
        }
        return msgspec.convert(self._calls.call("POST", f"{PATH}/overrides", message), Override)

    def change_override(self, override_id: str, changes: Mapping[str, str | None]) -> Override:
        """`changes`: name, effective_from, effective_to; None takes a date away."""
        said = {field: msgspec.Raw(b"null") if value is None else value for field, value in changes.items()}  # absent is not null
        return msgspec.convert(self._calls.call("PATCH", f"{PATH}/overrides/{override_id}", said), Override)

    def delete_override(self, override_id: str) -> None:
        self._calls.call("DELETE", f"{PATH}/overrides/{override_id}")
