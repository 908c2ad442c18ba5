"""What the log and the metrics say of calls, held against the ledger."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.upstream.process import Upstream

from .client import Client, Seen
from .gateway import ADMIN_KEY, Gateway, until
from .invariant import check
from .rest import Rest, RestError
from .test_roll import metrics

HOSTILE = 'no\r\n{"forged":1}\x1b[31m'


GREETING = ("Spangate answers at ", "  admin key: ")  # on stdout, which goes to the same file here


def lines(gateway: Gateway) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gateway.log_text().splitlines() if not line.startswith(GREETING)]


async def calls(gateway: Gateway, count: int, prefix: str) -> list[Seen]:
    async with Client(gateway.url, ADMIN_KEY) as client:
        for number in range(count):
            await client.call("chat", f"{prefix}-{number}", stream=number % 2 == 0, n=3)
        await client.call("chat", f"{prefix}-failing", status=400)
        await client.call(HOSTILE, f"{prefix}-hostile")
        return client.seen


def test_log_metrics_and_ledger_agree_call_by_call(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own(workers=2, log_format="json").start()
    gateway.endpoint("chat", alone.base)
    seen = asyncio.run(calls(gateway, 10, "before"))
    counted = sum(value for name, value in metrics(gateway).items() if name.startswith("spangate_calls_total"))
    assert counted == 12
    before = {process.pid for process in gateway.processes("worker")}
    gateway.kill("worker")
    until(lambda: len({process.pid for process in gateway.processes("worker")} - before) == 1, 30, "another worker")
    seen += asyncio.run(calls(gateway, 10, "after"))
    stranger = Rest(gateway.url, "no-key-of-this-house")
    for path in ("/v1/models", "/metrics"):
        with pytest.raises(RestError, match="401"):
            stranger.get(path)
    books = check(gateway, alone, seen)
    told = metrics(gateway)
    by_status = Counter(call.status for call in books.calls)
    assert by_status == {"ok": 20, "error": 2, "refused": 2}
    for status, number in by_status.items():
        assert (
            sum(value for name, value in told.items() if name.startswith("spangate_calls_total") and f'status="{status}"' in name) == number
        )
    tokens = sum(attempt.output_tokens or 0 for call in books.calls for attempt in call.attempts)
    assert sum(value for name, value in told.items() if name.startswith("spangate_tokens_total") and 'class="output"' in name) == tokens
    assert told['spangate_process_restarts_total{process="worker"}'] == 1
    assert told["spangate_unidentified_total"] == 1
    assert told['spangate_refusals_total{kind="unknown_model"}'] == 2
    access = {line["call_id"]: line for line in lines(gateway) if line["logger"] == "spangate.access" and line["message"] == "call"}
    assert {call.call_id: (call.status, call.http_status, call.endpoint) for call in books.calls} == {
        call_id: (line["status"], line["http_status"], line["endpoint"]) for call_id, line in access.items()
    }
    assert [line["http_status"] for line in lines(gateway) if line["message"] == "unidentified"] == [401]
    requests = [line for line in lines(gateway) if line["message"] == "request"]
    assert requests
    assert all("call_id" in line for line in requests), "a management request has the call id that its client was told"
    assert gateway.stop() == 0
    assert {line["process"] for line in lines(gateway)} == {"supervisor", "worker", "control"}
