"""Calls a second that control takes from journals into a database: priced, added up, with traces and what they are searched by.

    python -m bench.drain [--calls 20000]

A figure, and no ratio: with what to compare a disk? The history is that of `spangate dev seed`, as one busy worker would have journaled it.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import pytest
from tests.e2e.databases import database

from spangate.control.drain import Drain
from spangate.control.pricing import Pricing
from spangate.envelope import Keyring, Pepper
from spangate.process import keep_what_is_there
from spangate.record.journal import FileJournal
from spangate.record.spans import trace_row
from spangate.seed import build, history
from spangate.store.engine import Database
from spangate.store.writer import LedgerSink

MINUTES = 10  # that the calls are spread over
OPEN = 16  # at a time
WARM = 1_000  # calls before the clock is looked at


def rate(url: str, folder: Path, calls: int) -> tuple[float, float]:
    """Calls a second, and CPU seconds of this process for 1,000 calls."""
    with contextlib.closing(Database(url)) as store:
        store.upgrade()
        now, rng = time.time_ns() // 1_000_000, Random(1)
        with store.write() as connection:
            house = build(connection, Keyring(os.urandom(32)), Pepper(os.urandom(32)), rng, now)
        pricing = Pricing(store, url="", hours=0, allow_private=False, now=lambda: now)
        pricing.open()
        keep_what_is_there()  # as control does
        sink = LedgerSink(store, trace_row, cost_of=pricing)
        for count in (WARM, calls):
            journals = folder / f"journals-{count}"
            journals.mkdir()
            journal = FileJournal(journals)
            made = list(history(house, calls=count, start=now - MINUTES * 60_000, end=now, rng=rng))
            for index in range(count + OPEN):
                if index < count:
                    journal.begin(made[index][0])
                if index >= OPEN:
                    journal.settle(*made[index - OPEN])
            journal.close()
            drain = Drain(journals, sink)
            began, spent = time.perf_counter(), time.process_time()
            while drain.drain_once():
                pass
            took, cpu = time.perf_counter() - began, time.process_time() - spent
    return calls / took, cpu * 1000 / calls


def report(calls: int) -> dict[str, float]:
    """Prints a line a database, and returns calls a second by its name."""
    rates: dict[str, float] = {}
    for kind in ("sqlite", "postgresql"):
        folder = Path(tempfile.mkdtemp(prefix="spangate-drain-"))
        try:
            with database(kind) as url:
                rates[kind], cpu = rate(url or f"sqlite:///{folder}/spangate.db", folder, calls)
            print(f"{kind:<12}{rates[kind]:>8,.0f} calls/s drained{cpu:>8.3f} CPU-s of control per 1,000")
        except pytest.skip.Exception as skipped:
            print(f"{kind:<12}{skipped}", file=sys.stderr)
        finally:
            shutil.rmtree(folder)
    return rates


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m bench.drain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    report(parser.parse_args().calls)
