"""Half of what is there comes of age while people call. They must not notice: calls with it and without it, in turn, on one gateway."""

import json
import statistics
import subprocess
import sys

import msgspec
import pytest
from bench.load import COUNT, MARK, Job, Report

from tests.e2e.gateway import ADMIN_KEY, ROOT, Gateway, until
from tests.upstream.process import Upstream

from .size import CALLS, DAYS, LIMITS, LOAD, WINDOWS

AT_ONCE = 2  # so that what is measured is who waits for whom, and not how many share the cores
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


@pytest.mark.timeout(3600)
def test_nobody_waits_while_half_of_it_goes(full: Gateway) -> None:
    with Upstream() as upstream:
        full.endpoint("live", upstream.base)
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
    assert full.rest.get("/api/v1/completeness")["missing"] == 0
