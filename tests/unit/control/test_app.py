"""The control process as the supervisor starts it: settings on stdin, a Unix socket, SIGTERM."""

import base64
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from spangate.config import Settings
from spangate.exchange import Exchange, Snapshot, Status
from spangate.record.journal import FileJournal
from spangate.store import ledger, schema
from spangate.store.engine import Database

KEY = "sg-test-admin-key"
PATIENCE = 60.0


class Process:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.popen = subprocess.Popen([sys.executable, "-m", "spangate.control"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.popen.stdin is not None
        self.popen.stdin.write(settings.to_json().encode() + b"\n")
        self.popen.stdin.flush()

    def client(self, path: Path | None = None, key: str = KEY) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(path or self.settings.control_socket))
        return httpx.Client(transport=transport, base_url="http://control", headers={"x-api-key": key}, trust_env=False)

    def until(self, true: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while not (value := true()):
            assert self.popen.poll() is None, self.log()
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.02)
        return value

    def serving(self) -> "Process":
        self.until(lambda: self.settings.snapshot_file.exists() and self.settings.control_socket.exists())
        return self

    def log(self) -> str:
        _, told = self.popen.communicate(timeout=PATIENCE)
        return told.decode()

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def make(data_dir: Path = tmp_path / "data", **settings: Any) -> Process:
        started.append(Process(Settings(data_dir=data_dir, **({"admin_key": KEY} | settings))))
        return started[-1]

    yield make
    for process in started:
        process.end()


def exchange(number: int) -> Exchange:
    return Exchange(
        call_id=f"01a20321-0000-7000-8000-{number:012x}",
        format="openai.chat",
        request_type="unified/chat",
        path="/",
        server="",
        received_at=number,
        status=Status.ok,
    )


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_start_that_goes_well_says_nothing(start: Callable[..., Process]) -> None:
    process = start().serving()
    process.popen.send_signal(signal.SIGTERM)
    process.popen.wait(PATIENCE)  # before `log`, which ends its stdin
    assert process.log() == ""


def test_serves_on_a_socket_of_its_own_and_drains_to_the_end_at_sigterm(start: Callable[..., Process]) -> None:
    process = start().serving()
    settings = process.settings
    assert mode(settings.control_socket) == 0o600
    assert mode(settings.snapshot_file) == 0o600
    assert mode(settings.kek_file) == 0o600
    with process.client() as client:
        assert client.get("/health").text == "OK"
        assert client.get("/api/v1/status").json()["ok"] is True
    journal = FileJournal(settings.journals_dir)
    for number in range(1000):
        journal.begin(exchange(number))
        journal.settle(exchange(number), None)
    journal.close()
    process.popen.send_signal(signal.SIGTERM)
    assert "Traceback" not in process.log()
    assert process.popen.returncode == 0
    database = Database(settings.database_url)
    with database.read() as connection:
        (told,) = ledger.completeness(connection)
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.calls)).scalar() == 1000
    database.close()
    assert (told.complete, told.records, told.state) == (True, 2000, "closed")
    assert list(settings.journals_dir.iterdir()) == []


def test_ctrl_c_is_for_the_supervisor(start: Callable[..., Process]) -> None:
    process = start().serving()
    with process.client() as client:
        assert client.get("/health").text == "OK"
        process.popen.send_signal(signal.SIGINT)
        assert client.get("/health").text == "OK"


def test_ends_when_the_supervisor_is_gone(start: Callable[..., Process]) -> None:
    process = start().serving()
    with process.client() as client:
        client.get("/health").raise_for_status()
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    process.popen.stdin = None
    assert process.popen.wait(PATIENCE) == 0


def test_a_restart_takes_over_the_socket_and_the_keys(start: Callable[..., Process]) -> None:
    first = start(admin_key=None).serving()
    key = first.settings.admin_key_file.read_text().strip()
    assert mode(first.settings.admin_key_file) == 0o600
    with first.client(key=key) as client:
        made = client.post("/api/3.0/mlflow/gateway/secrets/create", json={"secret_name": "a", "secret_value": {"api_key": "k"}})
        assert made.status_code == 200
    first.popen.kill()
    first.popen.wait()
    second = start(admin_key=None)
    second.until(lambda: listens(second.settings.control_socket))
    with second.client(key=key) as client:
        assert len(client.get("/api/3.0/mlflow/gateway/secrets/list").json()["secrets"]) == 1


def test_a_path_that_is_too_long_for_a_socket(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start(tmp_path / ("long" * 30))
    process.until(process.settings.snapshot_file.exists)
    process.until(process.settings.control_address_file.exists)
    address = Path(process.settings.control_address_file.read_text())
    assert mode(address.parent) == 0o700
    with process.client(address) as client:
        assert client.get("/health").text == "OK"
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(PATIENCE) == 0
    assert not address.parent.exists()


@pytest.mark.parametrize(("setting", "words"), [("kek", "another key-encryption key"), ("pepper", "another pepper")])
def test_another_key_at_rest_is_refused(start: Callable[..., Process], setting: str, words: str) -> None:
    first = start().serving()
    first.popen.send_signal(signal.SIGTERM)
    first.popen.wait(PATIENCE)
    second = start(**{setting: base64.b64encode(b"x" * 32).decode()})
    told = second.log()
    assert second.popen.returncode == os.EX_CONFIG
    assert words in told
    assert "Traceback" not in told


def test_serves_what_it_can_until_the_database_is_there(start: Callable[..., Process], tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "spangate.db").mkdir()  # no database can be opened here
    process = start(db=f"sqlite:///{place / 'spangate.db'}")
    process.until(process.settings.control_socket.exists)
    with process.client() as client:
        process.until(lambda: client.get("/health").text == "OK")
        told = client.get("/api/v1/status").json()
        assert (told["ok"], told["database"]["reachable"], told["snapshot"]["published"]) == (False, False, None)
        refused = client.post("/api/2.0/mlflow/experiments/create", json={"name": "a"})
        assert (refused.status_code, refused.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        os.rmdir(place / "spangate.db")
        process.until(lambda: client.get("/api/v1/status").json()["ok"])
        assert client.post("/api/2.0/mlflow/experiments/create", json={"name": "a"}).json() == {"experiment_id": "1"}
    snapshot = msgspec.msgpack.decode(process.settings.snapshot_file.read_bytes(), type=Snapshot)
    assert [key.name for key in snapshot.keys] == ["admin"]
