"""What a unit costs. Whole picodollars: $1.25 a million tokens is 1_250_000 a token."""

from typing import Annotated, Literal

import msgspec

# The token classes of wire.usage.Usage, and `request`: once a call.
Class = Literal[
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "request",
]

Picodollars = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000_000)]  # up to $1,000 a unit


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call with more than `above` input tokens, cached ones included, pays `rate` for each of its units, not only for those above."""

    above: Annotated[int, msgspec.Meta(ge=0)]
    rate: Picodollars


class Rate(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    base: Picodollars
    tiers: tuple[Tier, ...] = ()  # ascending

    def __post_init__(self) -> None:
        if any(lower.above >= upper.above for lower, upper in zip(self.tiers, self.tiers[1:], strict=False)):
            raise ValueError("tiers ascend: each is above more tokens than the one before it")

    def at(self, input_tokens: int) -> int:
        """Picodollars a unit, in a call of so many input tokens."""
        for tier in reversed(self.tiers):
            if input_tokens > tier.above:
                return tier.rate
        return self.base


Rates = dict[Class, Rate]
