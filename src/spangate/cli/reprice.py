"""`spangate reprice`: gives calls of the past the cost that the price book says today, and tells what that changed."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from ..client.reprice import Change, Repriced, together
from .options import calling
from .there import Columns, There, counted, grid, write_json

COLUMNS: Columns[Change] = {
    "model": lambda change: f"{change.provider}/{change.model}",
    "price before": lambda change: change.price_before or "unknown",
    "price after": lambda change: change.price_after or "unknown",
    "attempts": lambda change: f"{change.attempts:,}",
    "USD before": lambda change: change.cost_before,
    "USD after": lambda change: change.cost_after,
    "difference": lambda change: change.difference,
}


@calling
def reprice(
    there: There,
    since: Annotated[str, typer.Option(help="Calls received from here on: 2026-11, 2026-11-01, or a date with a time.")],
    until: Annotated[str | None, typer.Option(help="And before this. Default: now.")] = None,
    zone: Annotated[str, typer.Option(help="Whose dates are meant, such as Europe/Berlin.")] = "UTC",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Changes nothing, and tells what would be changed.")] = False,
) -> None:
    """Prices calls of the past anew, after prices were corrected or an override was added. Closed months stay as they are.

    May be broken off and begun again: what has its cost already is not changed again.
    """
    done = together(_all(there, since, until, zone, dry_run))
    if there.json:
        write_json(done)
        return
    if done.changes:
        there.console.print(grid(done.changes, COLUMNS))
    verb = "would change" if dry_run else "changed"
    there.say(f"{counted(done.calls, 'call')} looked at; {done.changed_calls:,} {verb}, with {counted(done.changed_attempts, 'attempt')}.")
    if done.changes:
        there.say(f"USD {done.cost_before} before, {done.cost_after} after; difference {done.difference}.")
    if done.newly_priced_attempts:
        now = "would have" if dry_run else "have" if done.newly_priced_attempts != 1 else "has"
        there.say(f"{counted(done.newly_priced_attempts, 'attempt')} had no price, and {now} one now.")
    if done.unpriced_attempts:
        there.console.print(
            Text(
                f"Tokens of {counted(done.unpriced_attempts, 'attempt')} still have no price. `spangate prices override set` gives one.",
                "yellow",
            )
        )
    if done.closed_months:
        there.console.print(Text(f"Closed, so left as they are: {', '.join(done.closed_months)}.", "yellow"))


def _all(there: There, since: str, until: str | None, zone: str, dry_run: bool) -> Iterator[Repriced]:
    cursor: str | None = None
    calls = 0
    while True:
        part = there.client.repricing.some(since=since, until=until, zone=zone, dry_run=dry_run, cursor=cursor)
        yield part
        cursor, calls = part.cursor, calls + part.calls
        if cursor is None:
            return
        if not there.json and there.console.is_terminal:
            there.console.print(Text(f"{calls:,} calls …", style="dim"))
