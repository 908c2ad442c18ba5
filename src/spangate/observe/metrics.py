"""Every number that GET /metrics gives, with what it means. docs/reference/metrics.md is generated from here.

Names follow Prometheus; what a call to a provider is measured by has the name that OpenTelemetry's GenAI conventions give it
(`gen_ai.client.operation.duration`, written as Prometheus writes it), with their bounds.
"""

import math
import os
from collections.abc import Iterable, Iterator

from .series import DISTINCT, OTHER, Kind, Labels, Living, Metric, Sums

# opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics: the advised bounds, in seconds.
DURATIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKENS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

COUNTER, GAUGE, HISTOGRAM = Kind.counter, Kind.gauge, Kind.histogram

# ---------------------------------------------------------------- counted by the workers, once a call

CALLS = Metric("spangate_calls_total", COUNTER, "Calls that ended, refusals included.", ("endpoint", "format", "status"))
CALL_SECONDS = Metric("spangate_call_duration_seconds", HISTOGRAM, "From a call's arrival to its end.", ("endpoint", "format"), DURATIONS)
FIRST_TOKEN_SECONDS = Metric(
    "spangate_call_time_to_first_token_seconds",
    HISTOGRAM,
    "From a call's arrival to the first token of a streamed answer.",
    ("endpoint", "format"),
    FIRST_TOKENS,
)
OPEN_CALLS = Metric("spangate_open_calls", GAUGE, "Calls under way at a provider.")
REFUSALS = Metric("spangate_refusals_total", COUNTER, "Calls that the gateway itself refused, by reason.", ("kind",))
UNIDENTIFIED = Metric("spangate_unidentified_total", COUNTER, "Requests without a valid key. They are no calls, and in no ledger.")
ATTEMPTS = Metric(
    "spangate_attempts_total",
    COUNTER,
    "Tries at a provider, by how they ended and, if they failed, by what.",
    ("provider", "model", "status", "kind"),
)
ATTEMPT_SECONDS = Metric(
    "gen_ai_client_operation_duration_seconds",
    HISTOGRAM,
    "From the start of a try at a provider to its end.",
    ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"),
    DURATIONS,
)
RETRIES = Metric("spangate_retries_total", COUNTER, "Tries after the first at the same target, by endpoint.", ("endpoint",))
FALLBACKS = Metric("spangate_fallbacks_total", COUNTER, "Tries at another target than the one before, by endpoint.", ("endpoint",))
TOKENS = Metric(
    "spangate_tokens_total",
    COUNTER,
    "Tokens by class. `input` includes what was read from and written to a cache, `output` includes reasoning. "
    "Not those that only a later look at a stored response tells, as of one made in the background: they are in the ledger alone.",
    ("endpoint", "provider", "class", "provenance"),
)
SNAPSHOT_IN_FORCE = Metric("spangate_worker_snapshot_version", GAUGE, "Version of the snapshot that a worker serves from.", ("pid",))
OWED = Metric("spangate_owed_records", GAUGE, "Records of ended calls that the disk has not taken yet.")
COOLING = Metric("spangate_targets_cooling", GAUGE, "Targets that are passed over because they failed lately.")

# ---------------------------------------------------------------- counted by control and the supervisor

MANAGEMENT = Metric("spangate_management_requests_total", COUNTER, "Requests to the management API.", ("method", "status"))
RESTARTS = Metric("spangate_process_restarts_total", COUNTER, "Processes that died and were started again.", ("process",))
ROLLS = Metric("spangate_rolling_restarts_total", COUNTER, "Rolling restarts, by whether they came to their end.", ("outcome",))

# ---------------------------------------------------------------- looked up when they are asked for

UP = Metric("spangate_database_up", GAUGE, "1 if the database answers, else 0.")
BACKLOG = Metric("spangate_journal_backlog_bytes", GAUGE, "In the journals of this host and not in the database yet.")
LAG = Metric("spangate_journal_lag_seconds", GAUGE, "Since the journals were last empty; 0: they are.")
JOURNALS = Metric("spangate_journals", GAUGE, "Journals of processes that run (`live`) or are gone (`orphan`).", ("state",))
ASIDE = Metric("spangate_journal_files_aside", GAUGE, "Damaged files and refused records that a person should look at.")
SNAPSHOT = Metric("spangate_snapshot_version", GAUGE, "Newest change in the database, and newest one given to the workers.", ("state",))
SNAPSHOT_AGE = Metric("spangate_snapshot_age_seconds", GAUGE, "Since the snapshot was last written or found to be the newest.")
MEMORY = Metric("spangate_process_resident_memory_bytes", GAUGE, "Resident memory of a process.", ("process", "pid"))
FILES = Metric("spangate_process_open_fds", GAUGE, "Open files and sockets of a process.", ("process", "pid"))
CPU = Metric("spangate_process_cpu_seconds_total", COUNTER, "CPU time of a process that runs.", ("process", "pid"))
BUILD = Metric("spangate_build_info", GAUGE, "Always 1; says which version runs.", ("version",))

METRICS = (
    CALLS, CALL_SECONDS, FIRST_TOKEN_SECONDS, OPEN_CALLS, REFUSALS, UNIDENTIFIED, ATTEMPTS, ATTEMPT_SECONDS, RETRIES, FALLBACKS, TOKENS,
    COOLING, SNAPSHOT_IN_FORCE, OWED, MANAGEMENT, RESTARTS, ROLLS, UP, BACKLOG, LAG, JOURNALS, ASIDE, SNAPSHOT, SNAPSHOT_AGE, MEMORY,
    FILES, CPU, BUILD,
)  # fmt: skip


# ---------------------------------------------------------------- told

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # prometheus.io/docs/instrumenting/exposition_formats


def exposition(sums: Sums) -> str:
    """What Prometheus reads. A metric that was never counted is told of all the same, so that a dashboard finds its name."""
    told: list[str] = []
    by_name: dict[str, list[tuple[Labels, list[float]]]] = {metric.name: [] for metric in METRICS}
    for (name, labels), values in sorted(sums.items()):
        by_name[name].append((labels, values))
    for metric in METRICS:
        told.append(f"# HELP {metric.name} {_escaped(metric.about)}")
        told.append(f"# TYPE {metric.name} {metric.kind}")
        rows = by_name[metric.name]
        if not rows and not metric.labels and metric.kind is COUNTER:
            rows = [((), [0.0])]
        for labels, values in rows:
            told += (
                _histogram(metric, labels, values) if metric.bounds else [f"{metric.name}{_labels(metric, labels)} {_number(values[0])}"]
            )
    return "\n".join(told) + "\n"


def _histogram(metric: Metric, labels: Labels, values: list[float]) -> Iterator[str]:
    count = 0.0
    for bound, within in zip((*metric.bounds, math.inf), values, strict=False):
        count += within
        yield f"{metric.name}_bucket{_labels(metric, labels, le=_number(bound))} {_number(count)}"
    yield f"{metric.name}_sum{_labels(metric, labels)} {_number(values[-1])}"
    yield f"{metric.name}_count{_labels(metric, labels)} {_number(count)}"


def _labels(metric: Metric, labels: Labels, **more: str) -> str:
    said = [*zip(metric.labels, labels, strict=True), *more.items()]
    return "{" + ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in said) + "}" if said else ""


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def processes(living: Iterable[Living]) -> Sums:
    """Memory, files and CPU of processes, as the kernel tells them; empty where there is no /proc."""
    found: Sums = {}
    for who, pid in living:
        usage = _usage(pid)
        if usage is not None:
            for metric, value in zip((MEMORY, FILES, CPU), usage, strict=True):
                found[metric.name, (who, str(pid))] = [value]
    return found


def _usage(pid: int) -> tuple[float, float, float] | None:
    try:
        with open(f"/proc/{pid}/statm") as file:
            pages = int(file.read().split()[1])
        with open(f"/proc/{pid}/stat") as file:
            ticks = sum(int(field) for field in file.read().rpartition(")")[2].split()[11:13])
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, ValueError, IndexError):
        return None
    return float(pages * os.sysconf("SC_PAGE_SIZE")), float(files), ticks / os.sysconf("SC_CLK_TCK")


def reference() -> str:
    """docs/reference/metrics.md as it must read."""
    rows = [
        "<!-- Generated by `python -m spangate.observe.metrics`; a test compares. -->",
        "# Metrics",
        "",
        "`GET /metrics` gives the sums over all processes of one gateway, in Prometheus' text format. It needs a key; how Prometheus",
        "shows one is in [Operating](../guides/operating.md#metrics). Counters start at zero with the gateway, and never fall while it",
        "runs, whichever of its processes die. Times are in seconds.",
        "",
        "| metric | type | labels | what it says |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.about} |")
    rows += [
        "",
        f"Of endpoints, models and reasons the first {DISTINCT} that a worker meets are told apart; the rest count as `{OTHER}`. An empty",
        "label says that there is none: the endpoint of a call that names an unknown model, the reason of an attempt that went well.",
        "",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201
