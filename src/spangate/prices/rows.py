"""What the book is made of: a price, and an admin's word against it."""

import hashlib
import re
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated

import msgspec

from .cost import Billed
from .match import Match
from .rates import Rates

DAY = 86_400_000  # ms

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Moment = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]  # ms since 1970, UTC


class Misfit(ValueError):
    """What a row says does not fit together, and the `field` that is at fault for it; none: all of them are."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A time of day with rates of its own, each day anew. May reach over midnight; the end is no part of it."""

    start: Annotated[int, msgspec.Meta(ge=0, lt=DAY)]  # ms after midnight UTC
    end: Annotated[int, msgspec.Meta(ge=0, lt=DAY)]
    rates: Rates

    def cover(self, at: int) -> bool:
        time = at % DAY
        if self.end < self.start:
            return time >= self.start or time < self.end
        return self.start <= time < self.end


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """All rates that a call pays which is made in this time, under this condition: nothing is added from elsewhere.

    A class without a rate is paid at that of the class it is a part of (`cost.PART_OF`). A price without any rate is known to be
    for sale, but not for how much.
    """

    price_id: str = ""  # a digest of what it says: the same price has the same id, whoever read it and whenever it ended
    provider: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]  # the price book's own id of it: names.prices of a catalogue row
    model: Name  # the book's name, one of its own in each provider
    match: Match  # the provider's names
    order: int = 0  # among the provider's models: the first that matches is meant. Not of the digest, as `match`, for it may change
    when: dict[str, str] = {}  # {"service_tier": "flex"}, {"processing": "batch"}: what must be true of a call; {}: the standard price
    rates: Rates
    hours: tuple[Hours, ...] = ()  # the first that covers the time has its rates in place of `rates`
    effective_from: Moment | None = None  # None: since ever
    effective_to: Moment | None = None  # the first moment that it is not in force any more
    source: str  # who says so: "genai-prices"
    of: str | None = None  # the provider whose price this is, where the book has none of this provider's own
    uncounted: tuple[str, ...] = ()  # what is paid besides that no usage tells: web searches, hours of sound

    def __post_init__(self) -> None:
        _ordered(self.effective_from, self.effective_to)
        if not self.price_id:
            said = (self.provider, self.model, self.when, self.effective_from, self.rates, self.hours)
            msgspec.structs.force_setattr(self, "price_id", f"p-{_digest(said)}")

    def in_force(self, at: int) -> bool:
        return _within(self.effective_from, at, self.effective_to)


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An admin's word against the book's, for all calls that fit every one of its scopes that is set.

    `rates` stand in place of all of the book's; `multiplier` scales what the book's price comes to, and needs one.
    """

    override_id: str = ""  # a digest of what it says, but for its name and its end
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    endpoint_id: Name | None = None
    secret_id: Name | None = None  # the contract: a provider's credential
    provider: Name | None = None  # the catalogue's name
    model: Name | None = None  # asked for or answered, in any case; * stands for any characters
    effective_from: Moment | None = None
    effective_to: Moment | None = None
    rates: Rates | None = None
    multiplier: Decimal | None = None

    def __post_init__(self) -> None:
        _ordered(self.effective_from, self.effective_to)
        if (self.rates is None) == (self.multiplier is None):
            raise Misfit("an override has either rates or a multiplier", field="multiplier" if self.rates is None else "rates")
        if self.rates is not None and not self.rates:
            raise Misfit("rates name at least one class", field="rates")
        if self.multiplier is not None:
            _plain(self.multiplier)
        scope = (self.endpoint_id, self.secret_id, self.provider, self.model)
        if not any(scope):
            raise Misfit("an override is for an endpoint, a secret, a provider or a model")
        if not self.override_id:
            said = (*scope, self.effective_from, self.rates, self.multiplier)
            msgspec.structs.force_setattr(self, "override_id", f"o-{_digest(said)}")

    def covers(self, billed: Billed) -> bool:
        """Whether it is for such calls, whenever they are made."""
        return (
            self.endpoint_id in (None, billed.endpoint_id)
            and self.secret_id in (None, billed.secret_id)
            and self.provider in (None, billed.provider)
            and (self.model is None or _fits(self.model, billed.model) or _fits(self.model, billed.response_model or ""))
        )

    def in_force(self, at: int) -> bool:
        return _within(self.effective_from, at, self.effective_to)


def _ordered(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and end <= start:
        raise Misfit("it must end after it begins", field="effective_to")


def _plain(multiplier: Decimal) -> None:
    # Bounded, so that the whole number it is a ratio of is short: a Decimal may say 1E+999999.
    exponent = multiplier.as_tuple().exponent
    if not isinstance(exponent, int) or not -12 <= exponent <= 4 or not 0 <= multiplier <= 1000:
        raise Misfit("a multiplier is between 0 and 1000, with up to 12 decimal places", field="multiplier")


def _within(start: int | None, at: int, end: int | None) -> bool:
    return (start is None or at >= start) and (end is None or at < end)


def _fits(pattern: str, name: str) -> bool:
    return fnmatchcase(name.lower(), re.sub(r"[?[]", r"[\g<0>]", pattern.lower()))


def _digest(said: object) -> str:
    return hashlib.blake2b(msgspec.json.encode(said, order="sorted"), digest_size=8).hexdigest()
