"""A bill made of what the upstream itself says that it served, in OpenAI's own shape, with faults put in: the command line names each."""

import asyncio
import datetime
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.upstream.process import Upstream
from tests.upstream.server import Served

from .client import Client
from .gateway import ADMIN_KEY, Gateway, until

RATES = {"input": 1_000, "cache_read": 100, "output": 10_000}  # nanodollars a token
CACHED = 7  # tokens of each call of `cache`
KEY = "key_of_the_gateway"
CALLS = {"true": 5, "dropped": 4, "unseen": 3, "doubled": 3, "price": 3, "cache": 3, "estimate": 2}


def bucket(results: Sequence[dict[str, Any]], day: datetime.date) -> dict[str, Any]:
    start = int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": results}


def page(buckets: Iterable[dict[str, Any]]) -> str:
    return json.dumps({"object": "page", "data": list(buckets), "has_more": False, "next_page": None})


def bill(served: Sequence[Served]) -> tuple[str, str]:
    """Usage and costs, as the provider's API would give them: some of it wrong."""
    usage: dict[datetime.date, list[dict[str, Any]]] = {}
    costs: dict[datetime.date, list[dict[str, Any]]] = {}
    groups: dict[tuple[datetime.date, str], list[Served]] = {}
    for row in served:
        groups.setdefault((datetime.datetime.fromtimestamp(row.at, datetime.UTC).date(), row.model), []).append(row)
    for (day, model), rows in groups.items():
        rows = rows[:-1] if model == "m-dropped" else rows
        cached = 0  # for `cache`, that is wrong
        counts = {"input": sum(row.input for row in rows) - cached, "cache_read": cached, "output": sum(row.output for row in rows)}
        said = {
            "object": "organization.usage.completions.result",
            "input_tokens": counts["input"] + counts["cache_read"],
            "input_cached_tokens": counts["cache_read"],
            "output_tokens": counts["output"],
            "num_model_requests": len(rows),
            "api_key_id": KEY,
            "model": model,
        }
        times = 1.5 if model == "m-price" else 1
        items = [
            {
                "object": "organization.costs.result",
                "amount": {"value": counts[cls] * RATES[cls] * times / 1e9, "currency": "usd"},
                "line_item": f"{model}, {what}",
                "api_key_id": KEY,
            }
            for cls, what in (("input", "input"), ("cache_read", "cached input"), ("output", "output"))
        ]
        again = 2 if model == "m-doubled" else 1
        usage.setdefault(day, []).extend([said] * again)
        costs.setdefault(day, []).extend(items * again)
    return page(bucket(found, day) for day, found in usage.items()), page(bucket(found, day) for day, found in costs.items())


async def call(gateway: Gateway, upstream: Upstream) -> None:
    async with Client(gateway.url, ADMIN_KEY) as client:
        for name, count in CALLS.items():
            for number in range(count):
                await client.call(name, f"bill-{name}-{number}", cached=CACHED if name == "cache" else 0)
        await client.call("estimate", "bill-estimate-unsaid", usage="none")
    async with Client(upstream.url, "a-key-that-goes-around-the-gateway") as stray:
        for number in range(2):
            await stray.call("m-unseen", f"bill-stray-{number}")


def dollars(tokens: dict[str, int]) -> float:
    return sum(count * RATES[cls] for cls, count in tokens.items()) / 1e9


def test_each_fault_of_a_bill_is_named_and_measured(own: Callable[..., Gateway], alone: Upstream, tmp_path: Path) -> None:
    gateway = own().start()
    rates = {cls: str(rate / 1_000) for cls, rate in RATES.items()}  # USD a million
    gateway.rest.post("/api/v1/prices/overrides", name="test", provider="openai", model="m-*", rates=rates)
    for name in CALLS:
        gateway.endpoint(name, alone.base, model_name=f"m-{name}")
    asyncio.run(call(gateway, alone))
    until(lambda: gateway.completeness()["complete"], 30, "everything is in the ledger")
    served = alone.served()
    files = [tmp_path / "usage.json", tmp_path / "costs.json"]
    for file, text in zip(files, bill(served), strict=True):
        file.write_text(text)

    said = gateway.cli("reconcile", *map(str, files), "--tolerance", "0", check=False)
    report = json.loads(said)
    found: dict[str, list[tuple[str, dict[str, int], float]]] = {}
    for one in report["findings"]:
        found.setdefault(one["model"], []).append((one["cause"], one["tokens"], round(float(one["cost"]), 12)))

    def tokens(*rows: Served) -> dict[str, int]:
        return {"input": sum(row.input for row in rows), "output": sum(row.output for row in rows)}

    def of(model: str) -> list[Served]:
        return [row for row in served if row.model == model]

    last = tokens(of("m-dropped")[-1])
    stray = tokens(*(row for row in served if row.id.startswith("bill-stray")))
    twice = tokens(*of("m-doubled"))
    unsaid = found.pop("m-estimate")
    assert found == {
        "m-dropped": [("missing_there", {cls: -count for cls, count in last.items()}, round(-dollars(last), 12))],
        "m-unseen": [("missing_here", stray, round(dollars(stray), 12))],
        "m-doubled": [("doubled", twice, round(dollars(twice), 12))],
        "m-price": [("price", {}, round(dollars(tokens(*of("m-price"))) / 2, 12))],
        "m-cache": [
            (
                "cache_class",
                {"cache_read": -3 * CACHED, "input": 3 * CACHED},
                round(dollars({"input": 3 * CACHED, "cache_read": -3 * CACHED}), 12),
            )
        ],
    }
    assert "estimate" in {cause for cause, _, _ in unsaid}
    assert report["estimated_attempts"] == 1
    assert report["agrees"] is False
    # All of them together are what the two sides differ by, to the last digit.
    assert sum(round(float(one["cost"]) * 1e12) for one in report["findings"]) == round(float(report["drift"]) * 1e12)


def test_a_true_bill_agrees(own: Callable[..., Gateway], alone: Upstream, tmp_path: Path) -> None:
    gateway = own().start()
    gateway.endpoint("chat", alone.base, model_name="m-true")

    async def calls() -> None:
        async with Client(gateway.url, ADMIN_KEY) as client:
            for number in range(4):
                await client.call("chat", f"true-{number}", stream=number % 2 == 0)

    asyncio.run(calls())
    until(lambda: gateway.completeness()["complete"], 30, "everything is in the ledger")
    file = tmp_path / "usage.json"
    file.write_text(bill(alone.served())[0])
    report = gateway.cli("reconcile", str(file), "--tolerance", "0", "--provider-key", f"{KEY}=chat-secret")
    assert (report["agrees"], report["keyed"], report["attempts"], report["findings"]) == (True, True, 4, [])
