"""The command line over a real control process; what a worker would answer itself (/ready, /v1/models) is answered here."""

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from typer.testing import CliRunner, Result

from spangate.cli.app import app
from spangate.client import Client
from spangate.config import Settings
from spangate.control.app import Control
from spangate.control.pricing import Pricing
from spangate.exchange import AttemptRecord, Begun, Content, Exchange, ProcessPosition, Settled, Status
from spangate.store import endpoints
from spangate.store.engine import Database
from spangate.wire.usage import Provenance, Usage

KEY = "sg-test-admin-key"


@dataclass
class Gateway:
    url: str
    control: Control
    settings: Settings
    degraded: list[str] = field(default_factory=list)
    seq: int = 0

    def client(self) -> Client:
        return Client(self.url, KEY)

    def run(self, *arguments: str, key: str = KEY, input: str | None = None) -> Result:
        folder = ["--data-dir", str(self.settings.data_dir)]
        return CliRunner().invoke(app, [*arguments, "--url", self.url, "--key", key, *folder], input=input)

    def json(self, *arguments: str, input: str | None = None) -> Any:
        result = self.run(*arguments, "--json", input=input)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def keep(self, experiment_id: str, call_id: str, received_ms: int = 1_700_000_000_000, **changes: Any) -> None:
        """One settled call, as the drain would keep it."""
        attempt = AttemptRecord(
            no=1, provider="openai", model="gpt-x", format="openai.chat", started=0, headed=20_000_000, ended=1_500_000_000,
            first_token=250_000_000, status=Status.ok, http_status=200, usage=Usage(input=11, output=7), provenance=Provenance.reported,
        )  # fmt: skip
        exchange = Exchange(
            call_id=call_id, format="openai.chat", request_type="passthrough/model/openai-chat", path="/v1/chat/completions", server="here",
            received_at=received_ms * 1_000_000, status=Status.ok, http_status=200, duration=1_500_000_000, first_token=250_000_000,
            endpoint_id="e-1", endpoint="chat", experiment_id=experiment_id, model="chat", stream=True, attempts=(attempt,),
        )  # fmt: skip
        exchange = msgspec.structs.replace(exchange, **changes)
        content = Content(request=b'{"model":"chat","messages":[{"role":"user","content":"Ping?"}]}', response=b'{"id":"x","object":"y"}')
        before = ProcessPosition("p", 1, self.seq, self.seq) if self.seq else None
        records = [Begun(seq=self.seq + 1, exchange=exchange), Settled(seq=self.seq + 2, exchange=exchange, content=content)]
        self.seq += 2
        assert self.control.sink.keep(before, ProcessPosition("p", 1, self.seq, self.seq), records, gaps=[])


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "spangate.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    Pricing(database, url="", hours=0, allow_private=False, now=lambda: 0).open()  # here once, not at the start of each gateway
    database.close()
    return path


@pytest.fixture
def gateway(upgraded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    for name in ("URL", "KEY", "ADMIN_KEY", "DATA_DIR", "DB", "CONFIG"):
        monkeypatch.delenv(f"SPANGATE_{name}", raising=False)
    shutil.copy(upgraded, tmp_path / "spangate.db")
    settings = Settings(data_dir=tmp_path, admin_key=KEY)
    control = Control(settings)
    control.start()
    control.pricing.open()  # which it does by itself soon: until then doctor has a note
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = Gateway(f"http://127.0.0.1:{listener.getsockname()[1]}", control, settings)
        server = uvicorn.Server(uvicorn.Config(_as_worker(there), lifespan="off", log_config=None, http="httptools"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield there
        finally:
            server.should_exit = True
            thread.join(10)
            control.stop()


def _as_worker(there: Gateway) -> Callable[..., Any]:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/ready":
            body = {"status": "ready", "degraded": there.degraded}
        elif scope["path"] == "/v1/models":
            with there.control.database.read() as connection:
                body = {"data": [{"id": endpoint.name} for endpoint in endpoints.list_(connection)]}
        else:
            await there.control.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    return answer
