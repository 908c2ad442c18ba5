"""Half of what is there comes of age while people call. They must not notice: calls with it and without it, in turn, on one gateway.

Then it goes on to its end, and what is left is what has not come of age, to the row.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from bench.load import COUNT, MARK, Job, Report

from spangate.store import retention, schema
from spangate.store.engine import Database
from spangate.store.retention import DAY, Kind, first_key
from tests.e2e.gateway import ADMIN_KEY, ROOT, Gateway, until
from tests.upstream.process import Upstream

from .seeded import FILE
from .size import CALLS, DAYS, LIMITS, LOAD, WINDOWS
from .test_reads import experiments, searched

AT_ONCE = 2  # so that what is measured is who waits for whom, and not how many share the cores
LONGEST = 1200 if LIMITS else 300  # s until all of it is gone
SAMPLE = 10  # traces that are searched for by what was said
NOISE = 1.25  # of a median; of the slowest hundredth twice of that: windows without any sweeping differ by as much


def window(gateway: Gateway, prefix: str) -> tuple[float, float]:
    """p50 and p99 of `LOAD` calls, in ms."""
    body = json.dumps(
        {"model": "live", "messages": [{"role": "user", "content": f"[[id={MARK} n=10 size=25 input={COUNT} output={COUNT}]]"}]}
    )
    job = Job(gateway.port, "/v1/chat/completions", [("authorization", f"Bearer {ADMIN_KEY}")], body, LOAD, AT_ONCE, prefix)
    run = subprocess.run(
        [sys.executable, "-m", "bench.load"], cwd=ROOT, input=msgspec.json.encode(job), stdout=subprocess.PIPE, check=True, timeout=600
    )
    report = msgspec.json.decode(run.stdout, type=Report)
    assert all(row[4] for row in report.seen), "a call did not come back whole"
    return report.p50 * 1000, report.p99 * 1000


def periods(gateway: Gateway, days: int | None) -> None:
    gateway.rest.call("PATCH", "/api/v1/retention", {"content_days": days, "trace_days": days, "ledger_days": days})


def swept(gateway: Gateway) -> int:
    found = gateway.rest.get("/api/v1/retention")["swept"]
    return sum(found[kind] for kind in ("content", "traces", "calls"))


KEYS = {Kind.content: schema.contents.c.trace_id, Kind.trace: schema.traces.c.trace_id, Kind.ledger: schema.calls.c.call_id}


@contextmanager
def database(gateway: Gateway) -> Iterator[sa.Connection]:
    with closing(Database(gateway.db or f"sqlite:///{gateway.data_dir / FILE}")) as opened, opened.read() as connection:
        yield connection


def keys(gateway: Gateway, kind: Kind, before_ms: int) -> list[str]:
    """Of all rows of a kind whose call was received before, in the order of time."""
    key = KEYS[kind]
    with database(gateway) as connection:
        return list(connection.execute(sa.select(key).where(key < first_key(kind, before_ms)).order_by(key)).scalars())


def sums(gateway: Gateway) -> list[dict[str, Any]]:
    """Of what was there before we called, which no later call adds to."""
    rows = gateway.rest.get("/api/v1/usage", last="31d", group_by=["endpoint", "model"])["rows"]
    return [{"group": row["group"], **row["measures"]} for row in rows if row["group"]["endpoint"] != "live"]


def said(gateway: Gateway, trace_ids: list[str]) -> dict[str, str]:
    """What some of these traces answered, by trace. Not embeddings, of which hundreds are alike."""
    table = schema.traces.c
    query = sa.select(table.trace_id, table.response_preview).where(
        table.trace_id.in_(trace_ids[:: max(1, len(trace_ids) // 400)]), table.response_preview.not_like('{"object":"list"%')
    )
    with database(gateway) as connection:
        rows = connection.execute(query.order_by(table.trace_id).limit(SAMPLE)).all()
    return {row.trace_id: row.response_preview for row in rows}


def found(gateway: Gateway, text: str) -> set[str]:
    quoted = text.replace("'", "''")
    every, token, ids = list(experiments(gateway).values()), "", set[str]()
    while True:  # a page that took too long is short, or empty, and has a token
        page = searched(gateway, every, f"metadata.`mlflow.traceOutputs` = '{quoted}'", token)
        ids |= {trace["trace_id"] for trace in page.get("traces", [])}
        if not (token := page.get("next_page_token", "")):
            return ids


@pytest.mark.timeout(3600)
def test_nobody_waits_while_half_of_it_goes(full: Gateway) -> None:
    with Upstream() as upstream:
        full.endpoint("live", upstream.base)
        began = time.time_ns() // 1_000_000
        half = began - DAYS // 2 * DAY
        there = {kind: keys(full, kind, began) for kind in Kind}
        used = sums(full)
        traces = there[Kind.trace]
        going = said(full, [id for id in traces if id < first_key(Kind.trace, half)])
        staying = said(full, [id for id in traces if id >= first_key(Kind.trace, half + DAY)])
        assert all(id in found(full, text) for id, text in (going | staying).items())
        assert len(going) == len(staying) == SAMPLE
        window(full, "warm-up-")
        done = 0
        without, beside = list[tuple[float, float]](), list[tuple[float, float]]()
        for number in range(WINDOWS):
            without.append(window(full, f"without-{number}-"))
            before = swept(full)
            periods(full, DAYS // 2)
            until(lambda before=before: swept(full) > before, 90, "something is swept", step=0.05)
            beside.append(window(full, f"beside-{number}-"))
            done += swept(full) - before
            periods(full, None)
    where = "sqlite" if full.db is None else "postgresql"
    ratios: list[float] = []
    for index, name in enumerate(("p50", "p99")):
        quiet, busy = (statistics.median(row[index] for row in rows) for rows in (without, beside))
        print(f"{where:<12}{name} of calls: {quiet:.2f} ms, while half of {CALLS:,} goes {busy:.2f} ms: {busy / quiet:.2f}")
        ratios.append(busy / quiet)
    print(f"{where:<12}{done:,} rows went meanwhile")
    assert done
    if LIMITS:
        assert ratios[0] <= NOISE
        assert ratios[1] <= 2 * NOISE
    periods(full, DAYS // 2)
    since, before = time.monotonic(), time.time_ns() // 1_000_000

    def through() -> int | None:
        state = full.rest.get("/api/v1/retention")["swept"]
        done = int(datetime.fromisoformat(state["at"]).timestamp() * 1000) if state["at"] else 0
        return done if done >= before and not state["under_way"] else None

    at = until(through, LONGEST, "all of it is gone", step=0.5)
    print(f"{where:<12}{swept(full):,} rows are gone, the last of them {time.monotonic() - since:.0f} s after the calls")
    for kind in Kind:
        left = keys(full, kind, began)
        # What came of age while it swept may be left.
        surely, perhaps = first_key(kind, at - DAYS // 2 * DAY), first_key(kind, half)
        assert [id for id in left if id >= surely] == [id for id in there[kind] if id >= surely] != there[kind]
        assert not [id for id in left if id < perhaps]
        with database(full) as connection:
            assert retention.due(connection, kind, retention.periods(connection), before) == 0
    assert sums(full) == used
    assert not [id for id, text in going.items() if id in found(full, text)]
    assert all(id in found(full, text) for id, text in staying.items())
    assert full.rest.get("/api/v1/completeness")["missing"] == 0
