"""CPU seconds of the gateway's processes per 1,000 calls, as ratios to the upstream asked directly in the same run.

    python -m bench [--calls 3000] [--rounds 3] [--at-once 16] [--workers 1] [--db URL] [--drained 20000]

The gateway is pinned to core 0, load and upstream to core 1, where the system can. CPU seconds survive a noisy machine, and
ratios survive another one; calls per second and latencies do not, and are shown for orientation only. Nothing here asserts a
time. What is asserted is the invariant: after the run all books agree, and the backlog of the drain is zero.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
from tests.e2e.client import CALLER, Seen
from tests.e2e.gateway import ADMIN_KEY, ROOT, Gateway, until
from tests.e2e.invariant import check
from tests.upstream.process import Upstream

from bench import drain
from bench.load import COUNT, MARK, Job, Report

RESULTS = ROOT / "bench" / "results"
EVENTS = 50


class Case(msgspec.Struct, frozen=True):
    name: str
    endpoint: str
    format: str
    path: str
    stream: bool


CASES = [
    Case("plain", "chat", "openai.chat", "/v1/chat/completions", False),
    Case("plain, untracked", "quiet", "openai.chat", "/v1/chat/completions", False),
    Case("stream", "chat", "openai.chat", "/v1/chat/completions", True),
    Case("stream, untracked", "quiet", "openai.chat", "/v1/chat/completions", True),
    Case("anthropic plain", "claude", "anthropic.messages", "/v1/messages", False),
    Case("anthropic stream", "claude", "anthropic.messages", "/v1/messages", True),
]


class Measured(msgspec.Struct):
    """CPU seconds per 1,000 calls, by process."""

    case: str
    path: float  # the workers; asked directly: the upstream
    drain: float  # control, until the backlog was zero
    rate: float
    p50: float
    p99: float


def pin(core: int) -> set[int] | None:
    """The core's set, or None where there is but one core or no way to pin."""
    if not hasattr(os, "sched_setaffinity") or core not in os.sched_getaffinity(0) or len(os.sched_getaffinity(0)) < 2:
        return None
    return {core}


def cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def load(job: Job) -> Report:
    cores = pin(1)
    run = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        cwd=ROOT,
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        check=True,
        timeout=1200,
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    return msgspec.json.decode(run.stdout, type=Report)


def job(case: Case, port: int, model: str, prefix: str, calls: int, at_once: int) -> Job:
    """About 1 KB each way when plain; 50 events when streamed."""
    knobs = f"n={EVENTS}" if case.stream else "n=10 size=25"
    body: dict[str, object] = {"model": model, "max_tokens": 64, "temperature": 0.5}
    body["messages"] = [
        {"role": "system", "content": "You are a careful gateway. " * 28},
        {"role": "user", "content": f"Say what you count. [[id={MARK} {knobs} input={COUNT} output={COUNT}]]"},
    ]
    if case.stream:
        body["stream"] = True
        if case.format == "openai.chat":
            body["stream_options"] = {"include_usage": True}
    headers = [("authorization", f"Bearer {ADMIN_KEY}"), (CALLER, MARK)]
    return Job(port, case.path, headers, json.dumps(body), calls, at_once, prefix, case.stream, case.format)


def books(report: Report, case: Case) -> list[Seen]:
    return [
        Seen(
            id=id, format=case.format, stream=case.stream, status=status, call_id=call, trace_id=trace, whole=whole, input=given, output=got
        )
        for id, status, call, trace, whole, given, got in report.seen
    ]


class Bench:
    def __init__(self, gateway: Gateway, upstream: Upstream, direct: Upstream, calls: int, at_once: int) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.direct = direct
        self.calls = calls
        self.at_once = at_once
        self.seen: list[Seen] = []

    def drained(self) -> None:
        until(lambda: self.gateway.completeness()["complete"], 300, "backlog zero", step=0.2)

    def asked_directly(self, case: Case, prefix: str) -> Measured:
        process = [psutil.Process(self.direct.pid)]
        before = cpu(process)
        report = load(job(case, self.direct.port, "gpt-replay", prefix, self.calls, self.at_once))
        spent = cpu(process) - before
        return self.measured(case, report, spent, 0.0)

    def through(self, case: Case, prefix: str) -> Measured:
        self.drained()
        workers, control = self.gateway.processes("worker"), self.gateway.processes("control")
        before = cpu(workers), cpu(control)
        report = load(job(case, self.gateway.port, case.endpoint, prefix, self.calls, self.at_once))
        self.drained()
        path, drain = cpu(workers) - before[0], cpu(control) - before[1]
        self.seen += books(report, case)
        return self.measured(case, report, path, drain)

    def measured(self, case: Case, report: Report, path: float, drain: float) -> Measured:
        whole = sum(row[4] for row in report.seen)
        if whole != self.calls:
            odd = [row for row in report.seen if not row[4]][:3]
            raise SystemExit(f"{case.name}: {self.calls - whole} of {self.calls} calls did not come back whole, such as {odd}")
        per = 1000 / self.calls
        return Measured(case.name, path * per, drain * per, self.calls / report.elapsed, report.p50 * 1000, report.p99 * 1000)


def idle_cost(gateway: Gateway, seconds: float = 2.0) -> float:
    """CPU seconds that control spends a second with nothing to do: to be known when reading the drain's figures."""
    control = gateway.processes("control")
    before = cpu(control)
    time.sleep(seconds)
    return (cpu(control) - before) / seconds


def median(rows: list[Measured]) -> Measured:
    middle = {field: statistics.median(getattr(row, field) for row in rows) for field in ("path", "drain", "rate", "p50", "p99")}
    return Measured(rows[0].case, **middle)


def table(direct: dict[str, Measured], through: dict[str, Measured]) -> str:
    lines = [
        f"{'':<20}{'CPU-s per 1,000 calls':^44}{'for orientation':^40}",
        f"{'case':<20}{'upstream':>10}{'workers':>10}{'ratio':>8}{'drain':>8}{'ratio':>8}"
        f"{'calls/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'direct p50':>12}",
    ]
    for name, row in through.items():
        base = direct[name]
        share = base.path or float("nan")
        lines.append(
            f"{name:<20}{base.path:>10.3f}{row.path:>10.3f}{row.path / share:>8.1f}{row.drain:>8.3f}{row.drain / share:>8.1f}"
            f"{row.rate:>10.0f}{row.p50:>9.2f}{row.p99:>9.2f}{base.p50:>12.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000, help="calls of each case in each round")
    parser.add_argument("--rounds", type=int, default=3, help="the table shows medians over them")
    parser.add_argument("--at-once", type=int, default=16, help="connections of the load")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--db", help="database URL; default: SQLite")
    parser.add_argument("--drained", type=int, default=20_000, help="calls of the drain's own figure, into each database")
    parser.add_argument("--only", help="cases whose name has this word")
    asked = parser.parse_args()
    cases = [case for case in CASES if not asked.only or asked.only in case.name]

    with tempfile.TemporaryDirectory(prefix="spangate-bench-") as folder, Upstream() as upstream, Upstream() as direct:
        for process in (upstream, direct):
            if cores := pin(1):
                os.sched_setaffinity(process.pid, cores)
        with Gateway(Path(folder) / "data", workers=asked.workers, db=asked.db, cpus=pin(0), log_level="warning") as gateway:
            gateway.endpoint("chat", upstream.base)
            gateway.endpoint("quiet", upstream.base, usage_tracking=False)
            gateway.endpoint("claude", upstream.base, provider="anthropic", model_name="claude-replay")
            bench = Bench(gateway, upstream, direct, asked.calls, asked.at_once)
            Bench(gateway, upstream, direct, 300, asked.at_once).through(CASES[0], "w0-")
            warm = upstream.stats()["calls"]
            idle = idle_cost(gateway)
            rows: dict[str, tuple[list[Measured], list[Measured]]] = {case.name: ([], []) for case in cases}
            for number in range(asked.rounds):
                for index, case in enumerate(cases):
                    prefix = f"r{number}{index}-"
                    rows[case.name][0].append(bench.asked_directly(case, prefix))
                    rows[case.name][1].append(bench.through(case, prefix))
                    print(".", end="", flush=True)
            print()
            kept = check(gateway, upstream, bench.seen, seconds=120)
            base, through = {n: median(r[0]) for n, r in rows.items()}, {n: median(r[1]) for n, r in rows.items()}
            print(table(base, through))
            print(f"\n{len(kept.calls)} calls ({warm} to warm up), all books agree, backlog zero.", end=" ")
            print(f"Control idles at {idle * 100:.1f} % of a core.")

    rates = drain.report(asked.drained)

    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ".gitignore").write_text("*\n")
    result = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "asked": vars(asked),
        "idle_control": idle,
        "drained": rates,
        "direct": {name: msgspec.to_builtins(row) for name, row in base.items()},
        "through": {name: msgspec.to_builtins(row) for name, row in through.items()},
        "rounds": {name: msgspec.to_builtins(pair) for name, pair in rows.items()},
    }
    file = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps(result, indent=1))
    print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
