"""Sessions and users, from the wire to mlflow's search; what is deleted on request, and by itself beside live calls."""

import asyncio
import contextlib
import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import mlflow
import pytest

from spangate.exchange import AttemptRecord, Content, Exchange, ProcessPosition, Settled, Status
from spangate.record.spans import trace_row
from spangate.store.engine import Database
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER, Client
from .gateway import ADMIN_KEY, Gateway, until
from .invariant import Books, chains, clients, journals, ledger, settled, traces

DAY = 86_400_000
SECRET_WORDS = "the vault opens at midnight"
HASH = "9f" * 32
ACCOUNT, SESSION = "0b5f7c1e-91d2-4a7e-8a55-6d3c2b1a0f9e", "7f3e9a10-5c44-4e7b-9b1d-2f0c8d6e4a31"


def ask(
    gateway: Gateway, call: str, *, endpoint: str = "chat", path: str = "/v1/chat/completions", headers: dict[str, str], **more: Any
) -> None:
    """One call with a whole answer."""
    body = {"model": endpoint, "messages": [{"role": "user", "content": f"{SECRET_WORDS} {mark(call)}"}], "max_tokens": 64, **more}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    with contextlib.closing(connection):
        shown = {"authorization": f"Bearer {ADMIN_KEY}", CALLER: call, "anthropic-version": "2023-06-01", **headers}
        connection.request("POST", path, json.dumps(body), shown)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said


@pytest.fixture
def running(own: Callable[..., Gateway], alone: Upstream, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gateway with endpoints `chat`, `claude` and, untracked, `dark`; mlflow's own functions look there."""
    gateway = own()
    with gateway:
        gateway.endpoint("chat", alone.base)
        gateway.endpoint("claude", alone.base, provider="anthropic", model_name="claude-replay")
        gateway.endpoint("dark", alone.base, usage_tracking=False)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_KEY)
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(gateway.url)
        yield gateway
        mlflow.set_tracking_uri(before)


def found(gateway: Gateway, filter: str) -> list[str]:
    """Who called, of the traces that mlflow finds."""
    experiments = [row["experiment_id"] for row in gateway.rest.post("/api/2.0/mlflow/experiments/search", max_results=100)["experiments"]]
    infos = mlflow.MlflowClient().search_traces(locations=experiments, filter_string=filter, include_spans=False)
    return sorted(trace.info.trace_metadata["mlflow.gateway.caller"] for trace in infos)


def test_mlflow_finds_calls_by_session_and_user_whichever_way_their_client_says_them(running: Gateway, alone: Upstream) -> None:
    ask(running, "ours", headers={"X-Spangate-Session": "s-1", "X-Spangate-User": "ann@example.com"})
    ask(running, "sdk", headers={}, user="ann@example.com", metadata={"session_id": "s-1"})
    ask(running, "codex", headers={"session_id": "codex-1"})
    ask(running, "newer-codex", headers={"session-id": "codex-1", "thread-id": "t-1"})
    said = json.dumps({"device_id": HASH, "account_uuid": ACCOUNT, "session_id": SESSION})
    claude = {"endpoint": "claude", "path": "/v1/messages"}
    ask(running, "claude-code", **claude, headers={"x-claude-code-session-id": SESSION}, metadata={"user_id": said})
    ask(running, "older-claude-code", **claude, headers={}, metadata={"user_id": f"user_{HASH}_account_{ACCOUNT}_session_{SESSION}"})
    ask(running, "untracked", endpoint="dark", headers={"x-spangate-session": "s-1", "x-spangate-user": "nobody-may-know"})
    until(lambda: len(running.calls()) == 7, 10, "the ledger rows")
    assert found(running, "metadata.`mlflow.trace.session` = 's-1'") == ["ours", "sdk"]
    assert found(running, "metadata.`mlflow.trace.user` = 'ann@example.com'") == ["ours", "sdk"]
    assert found(running, "metadata.`mlflow.trace.session` = 'codex-1'") == ["codex", "newer-codex"]
    assert found(running, f"metadata.`mlflow.trace.session` = '{SESSION}'") == ["claude-code", "older-claude-code"]
    assert found(running, f"metadata.`mlflow.trace.user` = '{ACCOUNT}'") == ["claude-code", "older-claude-code"]
    assert found(running, "metadata.`mlflow.trace.user` LIKE '%nobody%'") == []
    assert "nobody-may-know" not in json.dumps(running.rest.get("/api/v1/calls"))
    for call in ("ours", "untracked"):
        assert not [name for name, _ in alone.request(call).headers if name.lower().startswith("x-spangate-")]


def test_what_a_user_said_is_gone_on_request_and_the_bill_stays(running: Gateway, db: str | None) -> None:
    for number in range(4):
        ask(running, f"hers-{number}", headers={"x-spangate-user": "ann", "x-spangate-session": f"s-{number % 2}"})
    ask(running, "his", headers={"x-spangate-user": "bob"})
    # At once: what is in the journals yet is drained first.
    deleted = running.cli("traces", "delete", "--user", "ann", "--yes")
    assert deleted == {"traces_deleted": 4, "done": True, "backlog_bytes": 0, "open_calls": 0}
    assert found(running, "") == ["his"]
    calls = running.calls()
    assert {call.agent for call in calls} == {"his", *(f"hers-{number}" for number in range(4))}
    assert all(call.attempts[0].input_tokens for call in calls)
    assert running.completeness()["complete"]
    assert mlflow.MlflowClient().delete_traces(_experiment(running), max_timestamp_millis=int(time.time() * 1000) + 1000) == 1
    if db is None:
        files = running.data_dir.glob("spangate.db*")
        assert not [file.name for file in files if SECRET_WORDS.encode() in file.read_bytes()]


def _experiment(gateway: Gateway) -> str:
    return gateway.rest.get("/api/3.0/mlflow/gateway/endpoints/get", name="chat")["endpoint"]["experiment_id"]


OLD = 600


def history(url: str) -> None:
    """Calls of 100 to 200 days ago, as the drain of those days left them."""
    database = Database(url)
    attempt = AttemptRecord(
        no=1, provider="openai", model="gpt-replay", format="openai.chat", started=0, ended=10**9, status=Status.ok, http_status=200,
        usage=Usage(input=11, output=7), provenance=Provenance.reported,
    )  # fmt: skip
    records: list[Settled] = []
    for number in range(OLD):
        ms = int(time.time() * 1000) - 200 * DAY + number * (100 * DAY // OLD)
        exchange = Exchange(
            call_id=f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{number:012x}", format="openai.chat", request_type="unified/chat",
            path="/", server="then", received_at=ms * 1_000_000, status=Status.ok, http_status=200, duration=10**9, endpoint_id="e-then",
            endpoint="then", experiment_id="0", model="then", attempts=(attempt,),
        )  # fmt: skip
        records.append(Settled(seq=number + 1, exchange=exchange, content=Content(request=b'{"user":"ann"}' * 100, response=b"{}")))
    assert LedgerSink(database, trace_row).keep(None, ProcessPosition("then", 1, 1, OLD), records, gaps=[])
    database.close()


def test_a_sweep_beside_live_calls_loses_none_of_them(own: Callable[..., Gateway], alone: Upstream, db: str | None) -> None:
    gateway = own(workers=2)
    with gateway:
        history(db or f"sqlite:///{gateway.data_dir}/spangate.db")
        gateway.endpoint("chat", alone.base)

        async def live() -> Client:
            async with Client(gateway.url, ADMIN_KEY) as client:
                gateway.cli("db", "retention", "--content", "10", "--traces", "20", "--ledger", "30")
                batch = 0
                while gateway.rest.get("/api/v1/retention")["swept"]["at"] is None or batch < 5:
                    await asyncio.gather(*(client.call("chat", f"live-{batch}-{n}", stream=n % 2 == 0) for n in range(20)))
                    batch += 1
                    assert batch < 400
                    await asyncio.sleep(0.1)  # a drain that is never done would hold the sweep back
                return client

        client = asyncio.run(live())
        settled(gateway, client.seen, 30)
        swept = gateway.rest.get("/api/v1/retention")["swept"]
        assert (swept["content"], swept["traces"], swept["calls"]) == (OLD, OLD, OLD)
        calls = gateway.calls()
        kept = gateway.traces(_experiment(gateway), "0")
        usage = gateway.usage()
        books = Books(alone.served(), calls, gateway.completeness(), kept, client.seen, usage)
        assert [*journals(books), *ledger(books, False), *chains(books), *clients(books, False), *traces(books)] == []
        assert len(calls) == len(client.seen)
        assert usage["calls"] == OLD + len(calls)  # the sums outlive the rows
