"""`spangate db`: the database itself. What is in it and for how long is asked of the gateway; the rest needs none."""

import datetime
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ..client.retention import EndpointPeriods, Part, Periods, Retention, Size, Table
from ..config import Settings
from .options import calling, database
from .there import Columns, There, counted, grid, write_json

if TYPE_CHECKING:
    from ..store.engine import Database

app = typer.Typer(help="The database itself: its revision, its size, and for how long what is kept.", no_args_is_help=True)

FOREVER = "forever"
Days = Annotated[str | None, typer.Option(metavar="DAYS", help=f"Days, or `{FOREVER}`.", show_default=False)]
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
NAMES = {"content": "content", "trace": "traces", "ledger": "ledger"}

PERIODS: Columns[Periods] = {
    "content": lambda held: days(held.content_days),
    "traces": lambda held: days(held.trace_days),
    "ledger": lambda held: days(held.ledger_days),
}
OWN: Columns[EndpointPeriods] = {
    "endpoint": lambda held: held.endpoint,
    "content": lambda held: own_days(held.content_days),
    "traces": lambda held: own_days(held.trace_days),
    "ledger": lambda held: own_days(held.ledger_days),
}
PARTS: Columns[Part] = {
    "part": lambda part: NAMES.get(part.kind, part.kind),
    "rows": lambda part: f"{part.rows:,}",
    "size": lambda part: amount(part.bytes),
    "oldest": lambda part: moment(part.oldest),
    "newest": lambda part: moment(part.newest),
    "to be deleted": lambda part: f"{part.due_rows:,}, about {amount(part.due_bytes)}" if part.due_rows else "",
}
TABLES: Columns[Table] = {
    "table": lambda table: table.name,
    "rows": lambda table: f"{table.rows:,}",
    "size": lambda table: amount(table.bytes),
}


@app.command()
@database
def upgrade(settings: Settings) -> None:
    """Brings the tables to the newest revision. `serve` does so at its start; two at once are safe."""
    with closing(opened(settings)) as store:
        done = store.upgrade()
        say(f"{', '.join(done)} done" if done else f"{store.current()}: nothing to do")


@app.command()
@database
def current(settings: Settings) -> None:
    """The revision that the tables are at."""
    with closing(opened(settings)) as store:
        say(store.current() or "no tables yet; `spangate db upgrade` makes them")


@app.command()
@database
def check(settings: Settings) -> None:
    """Whether tables and program fit together; exit code 1 if not."""
    with closing(opened(settings)) as store:
        found = store.check()
    say(f"{found.dialect}, revision {found.revision or 'none'}, newest {found.head}")
    for complaint in (*found.drift, *found.broken):
        say(f"  {complaint}", "red")
    for note in found.notes:
        say(f"  {note}", "yellow")
    if found.revision != found.head:
        say("  `spangate db upgrade` brings it to the newest", "yellow")
    if not found.ok:
        raise typer.Exit(1)


@app.command()
@database
def compact(settings: Settings) -> None:
    """Gives room that is free inside the database back to the disk. Calls go on meanwhile; their records wait in the journals."""
    with closing(opened(settings)) as store:
        before = occupied(store)
        store.compact()
        say(f"{amount(before)} before, {amount(occupied(store))} now")


@app.command()
@calling
def size(there: There) -> None:
    """How large it is, what of it, since when, how fast it grows, and what has outlived its period."""
    found = there.client.retention.size()
    if there.json:
        write_json(found)
        return
    there.console.print(grid(found.parts, PARTS))
    there.console.print()
    there.console.print(grid([table for table in found.tables if table.rows], TABLES))
    there.console.print()
    for line in summary(found):
        there.say(line)


@app.command()
@calling
def retention(there: There, content: Days = None, traces: Days = None, ledger: Days = None) -> None:
    """Shows for how long what is kept, or changes what is given: requests and answers, the rest of traces, and the bill.

    No content outlives its trace, and no trace its calls; sums stay for good. Endpoints may have periods of their own:
    `spangate endpoints set NAME --retention "content=7"`.
    """
    given = {"content_days": content, "trace_days": traces, "ledger_days": ledger}
    changes = {field: period(said) for field, said in given.items() if said is not None}
    if changes:
        there.client.retention.change(changes)
    held: Retention = there.client.retention.get()
    if there.json:
        write_json(held)
        return
    there.tell(held, PERIODS)
    if held.endpoints:
        there.console.print()
        there.console.print(grid(held.endpoints, OWN))
    swept = held.swept
    if swept.content or swept.traces or swept.calls:
        told = ", ".join((counted(swept.content, "content"), counted(swept.traces, "trace"), counted(swept.calls, "call")))
        there.say(f"\nDeleted since the gateway began: {told}.")
    if swept.fault is not None:
        there.console.print(Text(f"\nDeleting does not work: {swept.fault}", style="red"))


def summary(size: Size) -> list[str]:
    lines = [f"{size.dialect}, {amount(size.bytes)}; journals {amount(size.journals)}"]
    if size.free:
        lines.append(f"{amount(size.free)} of it are free: new rows take them first, `spangate db compact` gives them back to the disk")
    lines.append(
        f"{size.calls_per_day:,.0f} calls a day lately, about {amount(size.bytes_per_day)}"
        if size.calls_per_day
        else "no whole day of calls yet"
    )
    guessed = [what for what, guess in (("rows", size.rows_estimated), ("sizes of tables", size.bytes_estimated)) if guess]
    if guessed:
        lines.append(f"{' and '.join(guessed)} are estimates")
    return lines


def period(said: str) -> int | None:
    if said == FOREVER:
        return None
    if not said.isdecimal() or not said.isascii():
        raise typer.BadParameter(f"'{said}' is neither a number of days nor `{FOREVER}`")
    return int(said)


def days(held: int | None) -> str:
    return FOREVER if held is None else f"{held} days"


def own_days(held: int | None) -> str:
    return "" if held is None else days(held)


def amount(size: float) -> str:
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:,.0f} {UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.1f} {UNITS[unit]}"


def moment(said: str | None) -> str:
    """In the person's own time zone."""
    return "" if said is None else datetime.datetime.fromisoformat(said).astimezone().strftime("%Y-%m-%d %H:%M")


def opened(settings: Settings) -> "Database":
    from ..store.engine import Database  # half of the whole program's import time, and most commands have no use for it

    if settings.db is None:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Database(settings.database_url)


def occupied(store: "Database") -> int:
    """Bytes, with what is free inside."""
    from ..store import sizes

    with store.read() as connection:
        return sizes.measure(connection, now=time.time_ns() // 1_000_000).bytes


def say(words: str, style: str = "") -> None:
    Console(highlight=False, soft_wrap=True).print(Text(words, style=style))
