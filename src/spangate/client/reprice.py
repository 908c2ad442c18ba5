"""Calls of the past, priced anew."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from .calling import OWN, Calls, Known


class Change(Known, frozen=True, kw_only=True):
    """Attempts of one model that have another price now, or come to something else. A price that is None is unknown; costs are USD."""

    provider: str
    model: str
    price_before: str | None = None
    price_after: str | None = None
    attempts: int
    cost_before: str
    cost_after: str
    difference: str


class Repriced(Known, frozen=True, kw_only=True):
    """What one request did, or all of them together."""

    dry_run: bool
    calls: int
    changed_calls: int
    changed_attempts: int
    newly_priced_attempts: int
    unpriced_attempts: int
    cost_before: str
    cost_after: str
    difference: str
    changes: tuple[Change, ...] = ()
    closed_months: tuple[str, ...] = ()
    cursor: str | None = None


class Repricing:
    """`Client.repricing`."""

    def __init__(self, gateway: Calls) -> None:
        self._gateway = gateway

    def some(
        self,
        *,
        since: str,
        until: str | None = None,
        zone: str = "UTC",
        dry_run: bool = False,
        cursor: str | None = None,
        limit: int = 2_000,
    ) -> Repriced:
        """One request's worth. Go on with its cursor until there is none."""
        ask = {"since": since, "until": until, "zone": zone, "dry_run": dry_run, "cursor": cursor, "limit": limit}
        return msgspec.convert(self._gateway.call("POST", f"{OWN}/reprice", ask), Repriced)


def together(parts: Iterable[Repriced]) -> Repriced:
    """The sum of the requests of one range, of which there is at least one."""
    parts = list(parts)
    changes: dict[tuple[str, str, str | None, str | None], Change] = {}
    for change in (change for part in parts for change in part.changes):
        kind = change.provider, change.model, change.price_before, change.price_after
        so_far = changes.get(kind)
        changes[kind] = change if so_far is None else _sum(so_far, change)
    return Repriced(
        dry_run=parts[-1].dry_run,
        calls=sum(part.calls for part in parts),
        changed_calls=sum(part.changed_calls for part in parts),
        changed_attempts=sum(part.changed_attempts for part in parts),
        newly_priced_attempts=sum(part.newly_priced_attempts for part in parts),
        unpriced_attempts=sum(part.unpriced_attempts for part in parts),
        cost_before=_usd(*(part.cost_before for part in parts)),
        cost_after=_usd(*(part.cost_after for part in parts)),
        difference=_usd(*(part.difference for part in parts)),
        changes=tuple(changes[kind] for kind in sorted(changes, key=str)),
        closed_months=parts[-1].closed_months,
        cursor=parts[-1].cursor,
    )


def _sum(one: Change, other: Change) -> Change:
    return msgspec.structs.replace(
        one,
        attempts=one.attempts + other.attempts,
        cost_before=_usd(one.cost_before, other.cost_before),
        cost_after=_usd(one.cost_after, other.cost_after),
        difference=_usd(one.difference, other.difference),
    )


def _usd(*amounts: str) -> str:
    return format(sum(map(Decimal, amounts), Decimal()).normalize(), "f")
