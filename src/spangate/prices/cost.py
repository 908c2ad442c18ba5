"""What a usage comes to, in picodollars (10⁻¹² USD): whole numbers, so that sums of them are exact."""

import msgspec

from ..wire.usage import Usage

PICO = 1_000_000_000_000  # picodollars a dollar


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as far as its price depends on it. The ledger keeps all of this, so that it can be priced anew."""

    at: int  # ms; when the call was received
    provider: str  # the catalogue row's MLflow name
    model: str  # that was asked for
    response_model: str | None = None  # that answered, in the provider's words
    service_tier: str | None = None  # the provider's own word
    batch: bool = False
    endpoint_id: str | None = None
    secret_id: str | None = None
    usage: Usage = Usage()


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one attempt, under one price."""

    price_id: str
    input: int = 0  # picodollars; fees a request are a part of it
    output: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output


def usd(pico: int) -> str:
    """Dollars, exactly: a decimal without exponent or spare zeros. 1_250_000 → "0.00000125"."""
    whole, rest = divmod(abs(pico), PICO)
    decimals = f".{rest:012d}".rstrip("0").rstrip(".")
    return f"{'-' if pico < 0 else ''}{whole}{decimals}"
