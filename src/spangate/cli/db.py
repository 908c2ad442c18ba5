"""`spangate db`: the database itself, with no server needed."""

from contextlib import closing
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from ..config import Settings
from .options import database

if TYPE_CHECKING:
    from ..store.engine import Database

app = typer.Typer(help="The database itself; needs no running gateway.", no_args_is_help=True)


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
    if found.revision != found.head:
        say("  `spangate db upgrade` brings it to the newest", "yellow")
    if not found.ok:
        raise typer.Exit(1)


def opened(settings: Settings) -> "Database":
    from ..store.engine import Database  # half of the whole program's import time, and most commands have no use for it

    if settings.db is None:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Database(settings.database_url)


def say(words: str, style: str = "") -> None:
    Console(highlight=False, soft_wrap=True).print(Text(words, style=style))
