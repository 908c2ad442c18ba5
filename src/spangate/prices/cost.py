"""What a usage comes to, in picodollars (10⁻¹² USD): whole numbers, so that sums of them are exact."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import msgspec

from ..wire.usage import Usage
from .rates import Class, Rates

PICO = 1_000_000_000_000  # picodollars a dollar
LARGEST = 2**63 - 1  # what a database's integer holds: nine million dollars. No attempt costs that; such a price is a mistake

# What a class is a part of. It is paid there where a price has no rate for it, as genai-prices does it: providers that sell no cheaper
# reading from a cache charge it as input, and reasoning is output (OpenAI's output_tokens_details, Anthropic's extended thinking).
# Anthropic's writes cost 1.25 times the input's rate for 5 minutes, twice for an hour: the book has the former as cache_write, and the
# latter as a rate of its own (platform.claude.com/docs/en/build-with-claude/prompt-caching).
PART_OF: dict[Class, Class] = {
    "cache_write_1h": "cache_write",
    "cache_write_5m": "cache_write",
    "cache_write": "input",
    "cache_read": "input",
    "image_input": "input",
    "audio_input": "input",
    "reasoning": "output",
    "image_output": "output",
    "audio_output": "output",
}


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


def cost(price_id: str, rates: Rates, usage: Usage, multiplier: Fraction | None = None) -> Cost | None:
    """What the tokens come to. None: nobody counted any, or some were used that have no rate and are part of nothing that has one."""
    if not usage.known:
        return None
    tokens = usage.input or 0
    spent = _sum(rates, tokens, input_leaves(usage))
    made = _sum(rates, tokens, output_leaves(usage))
    if spent is None or made is None:
        return None
    if (fee := rates.get("request")) is not None:
        spent += fee.at(tokens)
    if multiplier is not None:
        spent, made = round(spent * multiplier), round(made * multiplier)  # half to even
    return Cost(price_id=price_id, input=spent, output=made) if spent + made <= LARGEST else None


def input_leaves(usage: Usage) -> Iterator[tuple[Class, int]]:
    """The input, each token in one class only; together they are `input`.

    A token can be of two classes (sound read from a cache), and no usage says how many are. Where the classes exceed the whole, some
    must be: those are paid as what the cache did with them.
    """
    brief, long = usage.cache_write_5m or 0, usage.cache_write_1h or 0
    parts: tuple[tuple[Class, int], ...] = (
        ("cache_write_1h", long),
        ("cache_write_5m", brief),
        ("cache_write", (usage.cache_write or 0) - brief - long),
        ("cache_read", usage.cache_read or 0),
        ("image_input", usage.image_input or 0),
        ("audio_input", usage.audio_input or 0),
    )
    return _leaves(usage.input or 0, parts, "input")


def output_leaves(usage: Usage) -> Iterator[tuple[Class, int]]:
    """The output, each token in one class only; together they are `output`."""
    parts: tuple[tuple[Class, int], ...] = (
        ("image_output", usage.image_output or 0),
        ("audio_output", usage.audio_output or 0),
        ("reasoning", usage.reasoning or 0),
    )
    return _leaves(usage.output or 0, parts, "output")


def usd(pico: int) -> str:
    """Dollars, exactly: a decimal without exponent or spare zeros. 1_250_000 → "0.00000125"."""
    whole, rest = divmod(abs(pico), PICO)
    decimals = f".{rest:012d}".rstrip("0").rstrip(".")
    return f"{'-' if pico < 0 else ''}{whole}{decimals}"


def _leaves(left: int, parts: Iterable[tuple[Class, int]], rest: Class) -> Iterator[tuple[Class, int]]:
    for name, tokens in parts:
        if tokens > 0 and left:
            share = min(tokens, left)
            left -= share
            yield name, share
    if left:
        yield rest, left


def _sum(rates: Rates, input_tokens: int, leaves: Iterable[tuple[Class, int]]) -> int | None:
    pico = 0
    for name, tokens in leaves:
        rate = rates.get(name)
        while rate is None:
            parent = PART_OF.get(name)
            if parent is None:
                return None
            name = parent
            rate = rates.get(name)
        pico += tokens * rate.at(input_tokens)
    return pico
