"""What an answer cost in tokens, by class, and who says so: what we estimated never passes for what a provider reported."""

from enum import StrEnum

import msgspec

# No provider sells a context near this; a count past it is a fault of the sender and is flagged, not booked.
CEILING = 1_000_000_000


class Provenance(StrEnum):
    """Who counted the tokens."""

    reported = "reported"  # the provider, in its answer
    drained = "drained"  # the provider, in the rest of a stream that we read after the client had left
    estimated = "estimated"  # us; never shown as a fact
    unknown = "unknown"  # nobody


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token counts of one attempt. `input` includes cached tokens and cache writes, `output` includes reasoning, whatever the wire says.

    None: not said. Zero: said to be zero. `invalid` names the fields whose value on the wire was no
    plausible count (negative, fractional, not a number, beyond CEILING); such a field is None here.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None  # all cache writes, whatever their lifetime
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    invalid: tuple[str, ...] = ()

    @property
    def total(self) -> int | None:
        """Input and output together; None while either is unknown."""
        if self.input is None or self.output is None:
            return None
        return self.input + self.output

    @property
    def known(self) -> bool:
        return self.input is not None or self.output is not None


def later(before: Usage, after: Usage) -> Usage:
    """Of two reports of one answer the later one counts, and nothing is added up; but one that says nothing takes nothing back."""
    if after.known:
        return after
    return msgspec.structs.replace(before if before.known else after, invalid=tuple(dict.fromkeys((*before.invalid, *after.invalid))))


def count(value: object) -> int | None:
    """The count that a JSON value stands for, or None if it is no plausible count of tokens."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # Beyond a dozen digits it is no count, and Python refuses to read thousands.
    if isinstance(value, str) and len(value) <= 12 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and 0 <= value <= CEILING:
        return value
    return None
