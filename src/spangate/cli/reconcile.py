"""`spangate reconcile`: a provider's bill against the ledger, what differs, and why."""

import csv as tables
import datetime
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ..client import ClientError
from ..client.reconcile import Explained, Finding, Reconciliation
from .options import calling
from .there import Columns, There, counted, grid, write_json

DIFFERENT = 3  # exit code; 1 is that something was refused, 2 that the command was not understood
LISTED = 40  # findings in the table

WORDS = {
    "missing_here": "missing here: they count calls that the ledger has not",
    "missing_there": "missing there: the ledger has calls that they do not count",
    "doubled": "doubled: they count the same twice",
    "price": "price: the tokens agree, the money does not",
    "cache_class": "cache class: the input agrees, what of it was cached does not",
    "estimate": "estimate: our tokens are estimates",
    "day_boundary": "day boundary: counted on the day before or after",
    "fee": "fee: charged for something that is no token",
    "unexplained": "unexplained",
}
CAUSES: Columns[Explained] = {
    "why": lambda one: WORDS.get(one.cause, one.cause),
    "findings": lambda one: one.findings,
    "tokens": lambda one: f"{one.tokens:,}",
    "USD": lambda one: signed(one.cost),
}


@calling
def reconcile(
    there: There,
    file: Annotated[
        list[Path], typer.Argument(help="The provider's export; several if usage and costs, or its pages, are in files apart.")
    ],
    provider: Annotated[str | None, typer.Option(help="Whose bill it is. Default: who writes such files.")] = None,
    format: Annotated[str | None, typer.Option(help="openai, anthropic, openrouter or csv. Default: what the file looks like.")] = None,
    since: Annotated[str | None, typer.Option(help="First day, in UTC, such as 2026-11-01. Default: the file's first.")] = None,
    until: Annotated[str | None, typer.Option(help="The day after the last. Default: after the file's last.")] = None,
    tolerance: Annotated[float | None, typer.Option(min=0, max=1, help="Share that is no difference. Default: 0.001.")] = None,
    provider_key: Annotated[
        list[str] | None,
        typer.Option(
            help="THEIRS=SECRET: their key's id or name, and our secret that holds it; repeatable. Without: keys are not told apart."
        ),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="The findings as CSV.")] = False,
) -> None:
    """Holds a provider's export of usage or costs against the ledger, and says what differs and why.

    Exit code 0: they agree. 3: they do not.
    """
    found = there.client.reconcile(
        _texts(file),
        provider=provider,
        format=format,
        since=_day(since),
        until=_day(until),
        tolerance=tolerance,
        keys=_keys(provider_key or []),
    )
    if csv:
        _write_csv(found)
    elif there.json:
        write_json(found)
    else:
        _tell(there, found)
    if not found.agrees:
        raise typer.Exit(DIFFERENT)


def _day(said: str | None) -> str | None:
    try:
        return None if said is None else datetime.date.fromisoformat(said).isoformat()
    except ValueError:
        raise typer.BadParameter(f"'{said}' is no day, such as 2026-11-01") from None


def _texts(files: list[Path]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for file in files:
        try:
            texts[str(file) if file.name in texts else file.name] = file.read_text("utf-8-sig")
        except OSError as error:
            raise ClientError(f"{file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ClientError(f"{file} is not UTF-8 text. Unpack it, if it is an archive.") from None
    return texts


def _keys(said: list[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for pair in said:
        theirs, equals, ours = pair.rpartition("=")
        if not (theirs and equals and ours):
            raise ClientError(f"--provider-key {pair!r}: THEIRS=SECRET is expected, such as key_abc=openai.")
        keys[theirs] = ours
    return keys


def _tell(there: There, found: Reconciliation) -> None:
    say = there.say
    say(f"{found.provider}, {found.since} to before {found.until} (UTC), within {found.tolerance:.3%}")
    say(f"theirs  {_sum(found.theirs.cost)}  {counted(sum(found.theirs.tokens.values()), 'token')}")
    given = counted(sum(found.ours.tokens.values()), "token")
    say(f"ours    {_sum(found.ours.cost)}  {given} in {counted(found.attempts, 'call')}{_unsure(found)}")
    share = f" ({found.drift_share:+.3%} of theirs)" if found.drift_share is not None else ""
    say(
        f"drift   {signed(found.drift)} USD{share}"
        if found.drift is not None
        else "drift   only one side has money; causes are valued at our prices"
    )
    for note in found.notes:
        say(f"note: {note}")
    for one in found.alike:
        say(f"note: {', '.join(one.theirs) or 'theirs'} is taken for {', '.join(one.ours) or 'ours'}")
    if not found.findings:
        there.console.print(Text("They agree.", style="green"))
        return
    there.console.print()
    there.console.print(grid(found.causes, CAUSES))
    there.console.print()
    for one in found.findings[:LISTED]:
        _say(there, one)
    if (more := max(0, len(found.findings) - LISTED) + found.findings_left_off) > 0:
        say(f"and {more} more: --json or --csv has all")
    if found.agrees:
        there.console.print(Text("They agree, but for the day.", style="green"))


def _say(there: There, one: Finding) -> None:
    """A line, and what it is concluded from below it: of these words no table would be readable."""
    tokens = ", ".join(f"{cls} {count:+,}" for cls, count in one.tokens.items())
    money = f"{signed(one.cost)} USD" if one.cost is not None else "at no known price"
    where = "  ".join(part for part in (one.day, one.model, one.key) if part)
    there.console.print(Text.assemble(f"{where}  ", (one.cause.replace("_", " "), "bold"), "  ", "  ".join(filter(None, (tokens, money)))))
    for words in one.evidence:
        there.console.print(Text(f"    {words}", style="dim"))


def _unsure(found: Reconciliation) -> str:
    parts = {"without a price": found.unpriced_attempts, "estimated": found.estimated_attempts, "unknown": found.unknown_attempts}
    said = [f"{count:,} {words}" for words, count in parts.items() if count]
    return f" ({', '.join(said)})" if said else ""


def _sum(cost: str | None) -> str:
    return f"{'no money':>18}" if cost is None else f"{Decimal(cost):>14,.6f} USD"


def signed(cost: str | None) -> str | None:
    return None if cost is None else f"{Decimal(cost):+,.6f}"


def _write_csv(found: Reconciliation) -> None:
    writer = tables.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["day", "model", "key", "cause", "token_class", "tokens", "cost_usd", "evidence"])
    for one in found.findings:
        # The money is of the finding, and stands on its first row.
        for at, (cls, count) in enumerate(one.tokens.items() or [("", "")]):
            cost = one.cost if at == 0 else ""
            writer.writerow([one.day, one.model, one.key, one.cause, cls, count, cost, "; ".join(one.evidence) if at == 0 else ""])
