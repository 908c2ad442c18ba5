"""What a comparison found: the sums of both sides, and each difference with its cause. A difference is theirs minus ours."""

import datetime
from enum import StrEnum

import msgspec

from .names import Alike


class Cause(StrEnum):
    missing_here = "missing_here"  # they count calls that the ledger does not have, or whose tokens it does not know
    missing_there = "missing_there"  # the ledger has calls that they do not count
    doubled = "doubled"  # they count something more than once
    price = "price"  # the tokens agree, the money does not
    cache_class = "cache_class"  # the input agrees, what of it was cached does not
    estimate = "estimate"  # our side was counted by us
    day_boundary = "day_boundary"  # counted on the day before or after; the days together agree
    fee = "fee"  # charged for something that is no token
    unexplained = "unexplained"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One cause in one cell. `cost` in picodollars: by the export's money, or at our prices if it has none; None: at no known price."""

    cause: Cause
    day: datetime.date
    model: str  # "": what was paid for is no model
    key: str  # "": keys are not told apart
    tokens: dict[str, int] = {}
    cost: int | None = None
    evidence: tuple[str, ...] = ()

    @property
    def amount(self) -> int:
        """Tokens that it is about, whichever way."""
        up = sum(count for count in self.tokens.values() if count > 0)
        return max(up, up - sum(self.tokens.values()))


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    tokens: dict[str, int]  # by class
    cost: int | None  # picodollars; None: this side has no money


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    cause: Cause
    findings: int
    amount: int  # tokens, each finding's whichever way
    cost: int  # picodollars


class Report(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    since: datetime.date
    until: datetime.date  # the first day that is not in it
    tolerance: float
    keyed: bool  # keys were told apart
    priced: bool  # the export has money
    theirs: Sums
    ours: Sums
    attempts: int
    unpriced: int  # of these, without a known price
    estimated: int  # with tokens that we counted
    unknown: int  # with tokens that nobody knows
    findings: tuple[Finding, ...]  # most money first
    alike: tuple[Alike, ...]
    notes: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether the two sides come to the same, be it on different days."""
        return all(finding.cause is Cause.day_boundary for finding in self.findings)

    @property
    def drift(self) -> int | None:
        """Picodollars; None: one of the sides has no money."""
        return None if self.theirs.cost is None or self.ours.cost is None else self.theirs.cost - self.ours.cost

    @property
    def causes(self) -> tuple[Explained, ...]:
        """Most money first."""
        sums: dict[Cause, list[Finding]] = {}
        for finding in self.findings:
            sums.setdefault(finding.cause, []).append(finding)
        explained = [
            Explained(
                cause=cause,
                findings=len(found),
                amount=sum(finding.amount for finding in found),
                cost=sum(finding.cost or 0 for finding in found),
            )
            for cause, found in sums.items()
        ]
        return tuple(sorted(explained, key=lambda one: (-abs(one.cost), -one.amount, one.cause)))


def most_first(finding: Finding) -> tuple[object, ...]:
    return (-abs(finding.cost or 0), -finding.amount, finding.day, finding.model, finding.key, finding.cause, sorted(finding.tokens))
