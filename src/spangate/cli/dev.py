"""`spangate dev`: for those who work on Spangate, or want to see what it looks like when it is full."""

import json
import sys
import time
from contextlib import closing
from random import Random
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from ..config import Settings
from .db import say
from .options import database

app = typer.Typer(help="For those who work on Spangate, or want to see it full.", no_args_is_help=True)

DAY = 86_400_000  # ms


@app.command()
@database
def seed(
    settings: Settings,
    calls: Annotated[int, typer.Option(min=1, max=100_000_000, help="How many.")] = 100_000,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Over how long a time, up to now.")] = 30,
    number: Annotated[int, typer.Option("--seed", help="The same number gives the same history.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Write into a database that has calls already, but not of another seed.")] = False,
) -> None:
    """Fills a database with a plausible history: endpoints, keys and calls, priced and added up as if they had been made."""
    from ..control.pricing import Pricing
    from ..envelope import Keyring, Pepper, load_or_make_key, parse_key
    from ..record.spans import trace_row
    from ..seed import build, history, load, occupied
    from ..store import fulltext, keys, secrets
    from ..store.engine import Database
    from ..store.faults import AlreadyExists
    from ..store.writer import LedgerSink

    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keyring = Keyring(parse_key(settings.kek) if settings.kek else load_or_make_key(settings.kek_file))
    pepper = Pepper(parse_key(settings.pepper) if settings.pepper else load_or_make_key(settings.pepper_file))
    now = time.time_ns() // 1_000_000
    start, rng = now - days * DAY, Random(number)  # noqa: S311  a history is no secret
    console = Console(highlight=False, soft_wrap=True)
    with closing(Database(settings.database_url, durable=False)) as store:
        store.upgrade()
        with store.write() as connection:
            if not force and occupied(connection):
                raise AlreadyExists("The database has calls already; --force adds to them, if they are not of a seed.")
            secrets.bind(connection, keyring)
            keys.bind(connection, pepper)
            house = build(connection, keyring, pepper, rng, start)
        pricing = Pricing(store, url="", hours=0, allow_private=False, now=lambda: now)
        pricing.open()
        made = history(house, calls=calls, start=start, end=now, rng=rng)
        began = time.monotonic()
        with console.status("") as status:
            done = load(
                LedgerSink(store, trace_row, cost_of=pricing),
                made,
                name=f"seed-{number}-{now}",
                told=lambda done: status.update(f"{done:,} of {calls:,} calls"),
            )
        took = time.monotonic() - began
        more = True
        while more:  # a gateway merges its search index as it goes along
            with store.write() as connection:
                more = fulltext.fold(connection)
    say(f"{done:,} calls over {days} days, {done / took:,.0f} a second")


@app.command()
def openapi() -> None:
    """Says the description of the management API (OpenAPI), as a gateway of this version serves it; none need run."""
    from ..control.app import Control

    with TemporaryDirectory(prefix="spangate-") as folder:
        control = Control(Settings.model_validate({"data_dir": folder}))  # composed and never started
        try:
            described = control.app.openapi()
        finally:
            control.stop()
    sys.stdout.write(json.dumps(described, indent=2, ensure_ascii=False) + "\n")
