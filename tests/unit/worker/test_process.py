"""The worker as a process: the inherited socket, the journal on the disk, and the ways in which it ends."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from spangate.config import Settings
from spangate.envelope import Keyring, Pepper
from spangate.exchange import Begun, JournalRecord, SealedKey, SealedRoute, SealedTarget, Settled, Snapshot, Status
from spangate.record.journal import read_segment, segments
from spangate.worker.snapshots import FIELD

KEY = "sg-worker-process-test"
KEK = bytes(range(32))
PEPPER = bytes(reversed(range(32)))


class Worker:
    def __init__(self, folder: Path, upstream: Upstream, **settings: Any) -> None:
        self.folder = folder
        (folder / "journals").mkdir()
        self.publish(upstream)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.settings = Settings(
            data_dir=folder,
            kek=base64.b64encode(KEK).decode(),
            pepper=base64.b64encode(PEPPER).decode(),
            admin_key=KEY,
            allow_private_upstreams=True,
            **settings,
        )
        fd = self.socket.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "spangate.worker", "--listen-fd", str(fd)], stdin=subprocess.PIPE, pass_fds=[fd]
        )
        assert self.process.stdin is not None
        self.process.stdin.write(self.settings.to_json().encode() + b"\n")
        self.process.stdin.flush()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.socket.getsockname()[1]}",
            headers={"authorization": f"Bearer {KEY}"},
            timeout=20,
            trust_env=False,
        )

    def publish(self, upstream: Upstream) -> None:
        sealed = Keyring(KEK).seal(b'{"api_key": "sk-test"}', row="s-1", field=FIELD)
        target = SealedTarget(
            model_definition_id="d-1",
            provider="openai",
            model="gpt-replay",
            secret_id="s-1",
            sealed=sealed,
            auth_config={"api_base": upstream.base},
        )
        route = SealedRoute(endpoint_id="e-1", name="chat", targets=(target,), experiment_id="1")
        key = SealedKey(key_id="admin", digest=Pepper(PEPPER).digest(KEY.encode()), name="admin")
        (self.folder / "snapshot.msgpack").write_bytes(
            msgspec.msgpack.encode(Snapshot(version=1, published_at=0, routes=(route,), keys=(key,)))
        )

    def body(self, call: str, **knobs: Any) -> dict[str, Any]:
        return {"model": "chat", "messages": [{"role": "user", "content": mark(call, **knobs)}]}

    def records(self) -> list[JournalRecord]:
        return [record for segment in segments(self.folder / "journals") for record, _ in read_segment(segment.path)]

    def settled(self) -> list[Settled]:
        return [record for record in self.records() if isinstance(record, Settled)]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        self.client.close()
        self.socket.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as it:
        yield it


@pytest.fixture
def worker(tmp_path: Path, upstream: Upstream) -> Iterator[Worker]:
    it = Worker(tmp_path, upstream, grace=20)
    yield it
    it.close()


def until_streaming(lines: Iterator[str]) -> str:
    """The first content of a stream."""
    return next(line for line in lines if '"content":"' in line and '"content":""' not in line)


def test_serves_and_has_its_record_on_the_disk_before_the_client_has_its_answer(worker: Worker) -> None:
    reply = worker.client.post("/v1/chat/completions", json=worker.body("p-1"))
    begun, settled = worker.records()
    assert reply.status_code == 200
    assert isinstance(begun, Begun)
    assert isinstance(settled, Settled)
    assert (begun.seq, settled.seq) == (1, 2)
    assert settled.exchange.call_id == begun.exchange.call_id == reply.headers["x-spangate-call-id"]
    assert settled.exchange.trace_id == reply.headers["x-spangate-trace-id"]
    assert settled.exchange.status is Status.ok
    assert settled.exchange.attempts[0].usage.input == reply.json()["usage"]["prompt_tokens"]
    assert settled.content is not None
    assert settled.content.response == reply.content
    assert settled.exchange.agent == "python-httpx"


def test_streams_with_the_record_written_before_done(worker: Worker) -> None:
    with worker.client.stream("POST", "/v1/chat/completions", json={**worker.body("p-2", n=3), "stream": True}) as reply:
        for line in reply.iter_lines():
            if line == "data: [DONE]":
                assert [record.exchange.status for record in worker.settled()] == [Status.ok]
                break
        else:
            pytest.fail("no [DONE]")


def test_a_client_that_hangs_up_is_settled_and_its_provider_let_go(worker: Worker, upstream: Upstream) -> None:
    with worker.client.stream("POST", "/v1/chat/completions", json={**worker.body("p-3", n=400, delay=0.05), "stream": True}) as reply:
        until_streaming(reply.iter_lines())
    deadline = time.monotonic() + 10
    while not worker.settled() and time.monotonic() < deadline:
        time.sleep(0.02)
    (settled,) = worker.settled()
    assert (settled.exchange.status, settled.exchange.http_status) == (Status.client_gone, 200)
    assert settled.content is not None
    assert settled.content.response is not None
    assert json.loads(settled.content.response)["choices"][0]["finish_reason"] is None
    while (row := next(row for row in upstream.served() if row.id == "p-3")).outcome == "open" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert row.outcome == "client_gone"


def test_sigterm_lets_open_calls_finish_and_takes_no_new_ones(worker: Worker) -> None:
    with worker.client.stream("POST", "/v1/chat/completions", json={**worker.body("p-4", n=20, delay=0.05), "stream": True}) as reply:
        lines = reply.iter_lines()
        until_streaming(lines)
        worker.process.send_signal(signal.SIGTERM)
        assert list(lines)[-2:] == ["data: [DONE]", ""]
    assert worker.process.wait(20) == 0
    assert [record.exchange.status for record in worker.settled()] == [Status.ok]


def test_after_the_grace_open_calls_are_cut_and_settled(tmp_path: Path, upstream: Upstream) -> None:
    worker = Worker(tmp_path, upstream, grace=0.3)
    try:
        with worker.client.stream("POST", "/v1/chat/completions", json={**worker.body("p-5", n=900, delay=0.05), "stream": True}) as reply:
            lines = reply.iter_lines()
            until_streaming(lines)
            worker.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)
        assert worker.process.wait(20) == 0
        (settled,) = worker.settled()
        assert settled.exchange.fault is not None
        assert (settled.exchange.status, settled.exchange.fault.kind) == (Status.unknown, "shutdown")
    finally:
        worker.close()


def test_ends_when_its_supervisor_is_gone(worker: Worker) -> None:
    assert worker.client.get("/health").status_code == 200
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    assert worker.process.wait(20) == 0


def test_strict_answers_all_the_same(tmp_path: Path, upstream: Upstream) -> None:
    worker = Worker(tmp_path, upstream, strict=True)
    try:
        assert worker.client.post("/v1/chat/completions", json=worker.body("p-6")).status_code == 200
        assert worker.stop() == 0
    finally:
        worker.close()


def test_is_ready_with_control_down_and_says_so(worker: Worker) -> None:
    reply = worker.client.get("/ready")
    assert (reply.status_code, reply.json()) == (200, {"status": "ready", "degraded": ["control: does not answer"]})


def test_is_not_ready_while_it_cannot_write_its_records(worker: Worker) -> None:
    assert worker.client.get("/ready").status_code == 200
    os.rmdir(worker.folder / "journals")
    reply = worker.client.get("/ready")
    assert (reply.status_code, reply.json()["degraded"][0]) == (503, "journal: No such file or directory")
    assert worker.client.post("/v1/chat/completions", json=worker.body("p-7")).json()["error"]["code"] == "journal_unwritable"


def test_takes_over_a_new_snapshot_while_it_serves(worker: Worker, upstream: Upstream) -> None:
    assert worker.client.post("/v1/chat/completions", json={"model": "other", "messages": []}).status_code == 404
    file = worker.folder / "snapshot.msgpack"
    before = msgspec.msgpack.decode(file.read_bytes(), type=Snapshot)
    routes = (*before.routes, msgspec.structs.replace(before.routes[0], endpoint_id="e-2", name="other"))
    file.with_suffix(".new").write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(before, version=2, routes=routes)))
    file.with_suffix(".new").rename(file)
    deadline = time.monotonic() + 10
    while (reply := worker.client.post("/v1/chat/completions", json={**worker.body("p-8"), "model": "other"})).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert reply.status_code == 200


def test_a_cut_stream_has_no_last_chunk(worker: Worker) -> None:
    with (
        worker.client.stream("POST", "/v1/chat/completions", json={**worker.body("p-9", n=20, drop=5), "stream": True}) as reply,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        reply.read()
    (settled,) = worker.settled()
    assert settled.exchange.status is Status.provider_gone
