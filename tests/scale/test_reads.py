"""What people look at, asked for as they do: over HTTP, of a gateway whose database is full."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.gateway import MLFLOW, MLFLOW2, Gateway

from .size import CALLS, LIMITS, RUNS

USAGE, PAGE, SEARCH = 300, 200, 500  # ms
LINE = "{:<12}{:<58}{:>8.1f}{:>8.1f}{:>8.1f}{:>8}"
HEAD = f"\n{'':<70}{'min':>8}{'median':>8}{'max':>8}{'bar':>8}"


class Measure:
    """Asks `RUNS` times after once to warm up, prints the quickest, the median and the longest in ms, and returns the answer.

    What is too slow is told at the end, so that one question hides no other.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.slow: list[str] = []

    def __call__(self, name: str, limit: int, ask: Callable[[], Any]) -> Any:
        answer, took = ask(), list[float]()
        for _ in range(RUNS):
            began = time.perf_counter()
            ask()
            took.append((time.perf_counter() - began) * 1000)
        median = statistics.median(took)
        print(LINE.format(self.where, name, min(took), median, max(took), f"<= {limit}"))
        if LIMITS and median > limit:
            self.slow.append(f"{name}: {median:.0f} ms, and not {limit}")
        return answer


@pytest.fixture
def measure(full: Gateway) -> Iterator[Measure]:
    measured = Measure("sqlite" if full.db is None else "postgresql")
    print(HEAD)
    yield measured
    assert not measured.slow, "\n".join(measured.slow)


def experiments(gateway: Gateway) -> dict[str, str]:
    """Ids by name."""
    found = gateway.rest.post(f"{MLFLOW2}/experiments/search", max_results=100)["experiments"]
    return {row["name"]: row["experiment_id"] for row in found}


def searched(gateway: Gateway, ids: list[str], filter: str = "", token: str = "", size: int = 100, **more: Any) -> dict[str, Any]:
    locations = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": id}} for id in ids]
    return gateway.rest.post(
        f"{MLFLOW}/traces/search", locations=locations, filter=filter, max_results=size, page_token=token or None, **more
    )


def test_usage(full: Gateway, measure: Measure) -> None:
    questions: dict[str, dict[str, Any]] = {
        "30 days": {"last": "30d"},
        "30 days by day": {"last": "30d", "step": "day"},
        "30 days by hour": {"last": "30d", "step": "hour"},
        "30 days by day and model": {"last": "30d", "step": "day", "group_by": ["model"]},
        "30 days by team and owner": {"last": "30d", "group_by": ["team", "owner"]},
        "30 days by key, the top 10": {"last": "30d", "group_by": ["key"], "top": 10},
        "30 days by key, days of Kathmandu": {"last": "30d", "step": "day", "group_by": ["key"], "zone": "Asia/Kathmandu"},
        "30 days by tag of keys": {"last": "30d", "group_by": ["tag:cost-center"]},
        "30 days with percentiles": {"last": "30d", "percentiles": True},
        "30 days by endpoint with percentiles": {"last": "30d", "group_by": ["endpoint"], "percentiles": True},
        "30 days by model of a team": {"last": "30d", "group_by": ["model"], "where": ["team=search"]},
        "this month, compared": {"compare": True},
        "7 days by provider and status": {"last": "7d", "step": "day", "group_by": ["provider", "status"]},
        "24 hours by 15 minutes": {"last": "24h", "step": "15m"},
        "30 days by hour and model": {"last": "30d", "step": "hour", "group_by": ["model"]},
        "30 days by hour and model, the top 5": {"last": "30d", "step": "hour", "group_by": ["model"], "top": 5},
        "7 days by hour and team": {"last": "7d", "step": "hour", "group_by": ["team"]},
        "90 days by day and provider, of Kathmandu": {"last": "90d", "step": "day", "group_by": ["provider"], "zone": "Asia/Kathmandu"},
    }
    # As an overview shows them: with percentiles, and beside the period before; in each of its ranges as a whole and by each of its groups.
    overview: dict[str, Any] = {"percentiles": True, "compare": True}
    for last, step in (("1h", "15m"), ("24h", "15m"), ("24h", "hour"), ("7d", "hour"), ("30d", "day"), ("90d", "day")):
        questions[f"overview of {last} by {step}"] = {"last": last, "step": step, **overview}
        for group in ("endpoint", "model", "provider", "key", "team"):
            questions[f"overview of {last} by {group}, the top 10"] = {"last": last, "group_by": [group], "top": 10, **overview}
    for group in ("endpoint", "model", "provider", "key", "team"):
        questions[f"overview of 30d by day and {group}, the top 10"] = {
            "last": "30d", "step": "day", "group_by": [group], "top": 10, **overview
        }  # fmt: skip
    for name, question in questions.items():
        rows = measure(f"usage: {name}", USAGE, lambda question=question: full.rest.get("/api/v1/usage", **question))["rows"]
        assert rows or question.get("last") == "1h", name  # what is seeded may be older than that
    everything = full.rest.get("/api/v1/usage", last="31d")["rows"]
    assert sum(row["measures"]["calls"] for row in everything) == CALLS
    by_key = full.rest.get("/api/v1/usage", last="31d", group_by=["key", "model"])["rows"]
    assert sum(row["measures"]["calls"] for row in by_key) == CALLS


def test_first_pages(full: Gateway, measure: Measure) -> None:
    ids = experiments(full)
    for name, chosen in {"one experiment": [ids["assistants"]], "all experiments": list(ids.values())}.items():
        found = measure(f"first page of traces: {name}", PAGE, lambda chosen=chosen: searched(full, chosen))
        assert len(found["traces"]) == 100
    trace = found["traces"][0]["trace_id"]
    measure("one trace", PAGE, lambda: full.rest.get(f"{MLFLOW}/traces/get", trace_id=trace))
    assert len(measure("first page of calls", PAGE, lambda: full.rest.get("/api/v1/calls"))["calls"]) == 100
    measure("calls with an error", PAGE, lambda: full.rest.get("/api/v1/calls", status="error"))
    measure("calls of an endpoint", PAGE, lambda: full.rest.get("/api/v1/calls", endpoint="laptop"))


def test_filters(full: Gateway, measure: Measure) -> None:
    ids = experiments(full)
    one, every = [ids["assistants"]], list(ids.values())
    trace = next(t for t in searched(full, one, size=500)["traces"] if "mlflow.trace.user" in t["trace_metadata"])
    metadata: dict[str, str] = trace["trace_metadata"]
    of_user, of_key = (f"metadata.`{name}` = '{metadata[name]}'" for name in ("mlflow.trace.user", "mlflow.auth.username"))
    endpoint = searched(full, [ids["gateway/laptop"]], size=1)["traces"][0]["trace_metadata"]["mlflow.gateway.endpointId"]
    now = time.time_ns() // 1_000_000
    filters = {
        "state": "status = 'ERROR'",
        "state OK": "status = 'OK'",
        "name": "name = 'gateway/sql-helper'",
        "name of nothing": "name = 'gateway/none'",
        "endpoint": f"metadata.`mlflow.gateway.endpointId` = '{endpoint}'",
        "request type": "metadata.`mlflow.gateway.requestType` = 'unified/chat'",
        "request type of nothing": "metadata.`mlflow.gateway.requestType` = 'unified/none'",
        "key": of_key,
        "key of nobody": "metadata.`mlflow.auth.username` = 'nobody'",
        "session": f"metadata.`mlflow.trace.session` = '{metadata['mlflow.trace.session']}'",
        "user": of_user,
        "tag": "tags.reviewed = 'yes'",
        "slower than 1 s": "execution_time_ms > 1000",
        "slower than 10 s": "execution_time_ms > 10000",
        "slower than 59 s": "execution_time_ms > 59000",
        "slower than a day": "execution_time_ms > 86400000",
        "a rare word": "text LIKE '%quokka%'",
        "a rare word in any case": "text ILIKE '%QUOKKA%'",
        "a rare word of three characters": "text LIKE '%蓮の花%'",
        "a word that is everywhere": "text LIKE '%invoice%'",
        "a word that is nowhere": "text LIKE '%xyzzy%'",
        "common parts that are nowhere": "text LIKE '%invoice quarterly invoice%'",
        "errors of a name": "status = 'ERROR' AND name = 'gateway/support'",
        "two characters": "text LIKE '%zq%'",
        "two characters in any case": "text ILIKE '%ZQ%'",
        "two characters of a key": f"text LIKE '%zq%' AND {of_key}",
        "a pattern that is nowhere": "text RLIKE 'x[yz]{2}zy'",
        "a word in errors": "status = 'ERROR' AND text ILIKE '%refund%'",
        "a rare word of a key": f"text LIKE '%quokka%' AND {of_key}",
        "slow, well, of a user": f"execution_time > 9000 AND status = 'OK' AND {of_user}",
        "one day": f"timestamp_ms > {now - 3 * 86_400_000} AND timestamp_ms < {now - 2 * 86_400_000}",
    }
    for name, filter in filters.items():
        for where, chosen in {"": one, ", everywhere": every}.items():
            measure(f"{name}{where}", SEARCH, lambda chosen=chosen, filter=filter: searched(full, chosen, filter))
    measure("slowest first", SEARCH, lambda: searched(full, one, order_by=["execution_time_ms DESC"]))


def test_pages_lead_to_the_end(full: Gateway, measure: Measure) -> None:
    """Page by page each error is met once; the last page takes no longer than the first."""
    every = list(experiments(full).values())
    met: list[str] = []
    token, took = "", list[float]()
    while True:
        began = time.perf_counter()
        found = searched(full, every, "status = 'ERROR'", token, size=500)
        took.append((time.perf_counter() - began) * 1000)
        met += [trace["trace_id"] for trace in found["traces"]]
        assert {trace["state"] for trace in found["traces"]} == {"ERROR"}
        token = found.get("next_page_token") or ""
        if not token:
            break
    assert len(met) == len(set(met)) > CALLS // 50
    print(f"{len(took)} pages of 500 errors: median {statistics.median(took):.1f} ms, longest {max(took):.1f} ms")

    # What no index finds takes several pages, none of which takes long.
    token, took = "", list[float]()
    while True:
        began = time.perf_counter()
        found = searched(full, every, "text LIKE '%zq%'", token)
        took.append((time.perf_counter() - began) * 1000)
        token = found.get("next_page_token") or ""
        if not token:
            break
    print(f"{len(took)} pages of two characters: median {statistics.median(took):.1f} ms, longest {max(took):.1f} ms")
    if LIMITS:
        assert max(took) <= SEARCH
    deep = searched(full, every, size=500)
    for _ in range(min(100, CALLS // 1000)):
        deep = searched(full, every, token=deep["next_page_token"], size=500)
    measure("a deep page", PAGE, lambda: searched(full, every, token=deep["next_page_token"]))
