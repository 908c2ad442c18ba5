"""`spangate doctor`: what a person would look at first when something seems wrong. Exit code 1 if something is."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from ..client import ClientError, Health
from ..store.faults import StoreFault, Unavailable
from .options import calling
from .there import There, write_json

CLOCK = 5.0  # s between the gateway's clock and ours that nobody notices; HTTP's Date is rounded to one
STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


class Finding(msgspec.Struct, frozen=True):
    check: str
    verdict: Literal["ok", "note", "wrong"]
    detail: str


@calling
def doctor(there: There) -> None:
    """Looks at a gateway: alive, ready, complete, database, keys, clock, backlog, models that fail."""
    found = list(findings(there))
    if there.json:
        write_json(found)
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for finding in found:
            table.add_row(finding.check, Text(finding.verdict, style=STYLES[finding.verdict]), Text(finding.detail))
        there.console.print(table)
    if any(finding.verdict == "wrong" for finding in found):
        raise typer.Exit(1)


def findings(there: There) -> Iterator[Finding]:
    try:
        health, ready = there.client.health(), there.client.ready()
    except ClientError as error:  # nor would it answer any other question
        yield Finding("health", "wrong", f"{error}; `spangate up` starts one")
    else:
        yield from alive(there, health, ready)
        yield from ledger(there)
    yield from database(there)
    yield from files(there)


def alive(there: There, health: Health, ready: Health) -> Iterator[Finding]:
    yield Finding("health", "ok" if health.ok else "wrong", f"a worker answers at {there.client.url}")
    detail = "; ".join(map(str, ready.detail.get("degraded") or ()))
    yield Finding("ready", "ok" if ready.ok and not detail else "note" if ready.ok else "wrong", detail or "calls are served")
    if health.at is not None:
        apart = abs(time.time() - health.at)
        near = apart < CLOCK
        yield Finding("clock", "ok" if near else "wrong", f"within {CLOCK:.0f} s of ours" if near else f"{apart:.0f} s off ours")


def ledger(there: There) -> Iterator[Finding]:
    try:
        status, books = there.client.status(), there.client.completeness()
    except ClientError as error:
        key = f"key from {there.found.found}" if there.found.key else "there is none here: give one with --key or SPANGATE_KEY"
        yield Finding("management", "wrong", f"{error} ({key})")
        return
    degraded = [str(item) for item in status.get("degraded", ())]
    yield Finding("management", "wrong" if degraded else "ok", "; ".join(degraded) or f"version {status.get('version')}, nothing degraded")
    gaps = [
        f"{process['process_id']}: {gap['first_seq']} to {gap['last_seq']}" for process in books["processes"] for gap in process["gaps"]
    ]
    faults = [f"{books[count]} {words}" for count, words in (("missing", "records missing"), ("duplicates", "calls twice")) if books[count]]
    records = sum(process["records"] for process in books["processes"])
    yield Finding(
        "completeness", "wrong" if gaps or faults else "ok", "; ".join([*faults, *gaps]) or f"{records} journal records kept, no gap"
    )
    if books["aside"]:
        yield Finding("journals", "wrong", "damaged, set aside: " + ", ".join(books["aside"]))
    drain = status.get("drain", {})
    waiting, age = int(books["backlog_bytes"]), float(drain.get("backlog_age", 0))
    yield Finding("backlog", "note" if waiting else "ok", f"{waiting} bytes wait, for {age:.0f} s" if waiting else "every record is kept")
    yield Finding("open calls", "ok", str(books["open_calls"]))
    resting = [
        f"{rest['model']} of {rest['provider']} failed and is passed over for {rest['seconds']:.0f} s ({', '.join(rest['endpoints'])})"
        for rest in status.get("resting", ())
    ]
    yield Finding("models", "note" if resting else "ok", "; ".join(resting) or "none rests")

    yield priced(status.get("prices") or {})


def priced(prices: Mapping[str, Any]) -> Finding:
    unpriced = [f"{model['model']} of {model['provider']}" for model in prices.get("unpriced", ())]
    detail = str(prices.get("edition") or "no price list yet")
    if unpriced:
        detail += f"; without a price, so that its cost is unknown: {', '.join(unpriced)}"
    return Finding("prices", "note" if unpriced or not prices.get("edition") else "ok", detail)


def database(there: There) -> Iterator[Finding]:
    """Directly, where this machine knows the database; else as the gateway sees it."""
    settings = there.settings
    if settings.db is None and not (settings.data_dir / "spangate.db").exists():
        with contextlib.suppress(ClientError):  # `ledger` has told that
            seen = there.client.status()["database"]
            yield Finding(
                "database", "ok" if seen["reachable"] else "wrong", f"{seen['dialect']}, {seen['fault'] or 'the gateway reaches it'}"
            )
        return
    from ..store.engine import Database  # not at the top: see db.py

    try:
        with contextlib.closing(Database(settings.database_url)) as store:
            found = store.check()
    except (StoreFault, OSError) as error:
        yield Finding("database", "wrong", error.at_length if isinstance(error, Unavailable) else str(error))
        return
    detail = f"{found.dialect}, revision {found.revision or 'none'}"
    if found.revision != found.head:
        detail += f", newest is {found.head}: spangate db upgrade"
    yield Finding("database", "ok" if found.ok else "wrong", "; ".join([detail, *found.drift, *found.broken]))


def files(there: There) -> Iterator[Finding]:
    settings = there.settings
    for file in (settings.admin_key_file, settings.kek_file, settings.pepper_file, settings.snapshot_file):
        if (mode := permissions(file)) is not None:
            wrong = mode & 0o077
            yield Finding(file.name, "wrong" if wrong else "ok", f"mode {mode:04o}" + (f": chmod 600 {file}" if wrong else ""))


def permissions(file: Path) -> int | None:
    try:
        return file.stat().st_mode & 0o777
    except OSError:
        return None
