"""Theirs against ours, cell by cell: what differs is taken apart cause by cause until nothing is left of it.

The order matters, from the certain to the likely: rows that are there again; days that cancel out with their neighbours; exact multiples;
input that only changed its class; what our estimates may be wrong by; and the rest, which one side has and the other has not.
Then the money: what these tokens come to is theirs, and what is left is the price.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Set

from . import causes, money
from .case import opened
from .cells import Booked, table
from .lines import Export
from .report import Finding, Report, Sums, most_first

TOLERANCE = 0.001  # share of the larger side


def compare(
    export: Export,
    ours: Iterable[Booked],
    *,
    since: datetime.date,
    until: datetime.date,
    tolerance: float = TOLERANCE,
    keys: Mapping[str, str] | None = None,
    known: Set[str] = frozenset(),
) -> Report:
    """The days from `since` to before `until`.

    keys: their API key's id or name → the name of our credential; without any, keys are not told apart. known: ids of the responses that
    the ledger has, so that generations it has not can be named.
    """
    seen = table(export, ours, since=since, until=until, keys=keys or {})
    cells = seen.cells.values()
    cases = [opened(place, cell, export, tolerance) for place, cell in sorted(seen.cells.items())]
    for case in cases:
        causes.fees(case)
        causes.repeated(case, export)
    causes.boundaries(cases, export)
    rates = money.Known(cases, export)
    for case in cases:
        causes.multiplied(case, export)
        causes.reclassed(case)
        causes.estimates(case)
        causes.partly_reclassed(case)
        causes.missing(case, export, known)
        money.settle(case, export, rates)
    if not export.classes:
        money.only_money(cases)
    found: list[Finding] = [finding for case in cases for finding in case.findings()]
    return Report(
        format=export.format,
        since=since,
        until=until,
        tolerance=tolerance,
        keyed=seen.keyed,
        priced=export.priced,
        theirs=Sums(
            tokens=_sum(cell.theirs for cell in cells),
            cost=sum(cell.their_cost + cell.fees.total() for cell in cells) if export.priced else None,
        ),
        ours=Sums(
            tokens=_sum(cell.ours for cell in cells),
            cost=sum(cell.our_cost for cell in cells) if any(cell.prices for cell in cells) else None,
        ),
        attempts=sum(cell.attempts for cell in cells),
        unpriced=sum(cell.unpriced for cell in cells),
        estimated=sum(cell.estimates for cell in cells),
        unknown=sum(cell.unknown for cell in cells),
        findings=tuple(sorted(found, key=most_first)),
        alike=seen.alike,
        notes=(*export.notes, *seen.notes),
    )


def _sum(counts: Iterable[Counter[str]]) -> dict[str, int]:
    total = Counter[str]()
    for count in counts:
        total.update(count)
    return {cls: count for cls, count in sorted(total.items()) if count}
