"""What must never be readable: the providers' credentials and the admin's key, in files, logs, traces and replies."""

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import psycopg
import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, MLFLOW, PROVIDER_SECRET, Gateway, until
from .invariant import check
from .rest import Rest

# Echoed by a careless provider in its error, and by a careless user in a prompt: masked wherever we keep it.
LEAKED = "sk-proj-Zq8vT2mN5xK1cR7wY4bJ9hL3pD6fG0aS"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def database_text(url: str) -> bytes:
    """All rows of all tables, binary columns too."""
    text = b""
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            for row in connection.execute(f'SELECT * FROM "{name}"').fetchall():  # type: ignore[arg-type]
                text += b"|".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
    return text


def test_no_secret_can_be_read_anywhere(own: Callable[..., Gateway], alone: Upstream, db: str | None) -> None:
    gateway = own(log_level="debug", workers=2).start()
    gateway.endpoint("chat", alone.base)
    gateway.endpoint("claude", alone.base, provider="anthropic", model_name="claude-replay")
    issued = gateway.rest.post("/api/v1/keys", name="issued", owner="ann")["key"]
    until(lambda: Rest(gateway.url, issued).get("/v1/models"), 10, "the key that was issued is known")
    trace_ids: list[str] = []
    told: list[str] = []
    with openai.OpenAI(base_url=f"{gateway.url}/v1", max_retries=0, api_key="unused") as client:
        for i, knobs in enumerate([{}, {"status": 401}, {"status": 500}, {"n": 3}]):
            client.api_key = (ADMIN_KEY, issued)[i // 2]
            call = f"secrecy-{'pg' if db else 'sqlite'}-{i}"
            messages: Any = [{"role": "user", "content": f"My key is {LEAKED}, keep it, and {issued}. {mark(call, **knobs)}"}]
            try:
                raw = client.chat.completions.with_raw_response.create(
                    model="chat", messages=messages, stream=bool(i % 2), extra_headers={CALLER: call}
                )
                raw.http_response.read()
                trace_ids.append(raw.headers["x-spangate-trace-id"])
            except openai.APIStatusError as error:
                told.append(error.response.text)
    check(gateway, alone)
    replies = [
        gateway.rest.get(f"{MLFLOW}/gateway/secrets/list"),
        gateway.rest.get(f"{MLFLOW}/gateway/endpoints/list"),
        gateway.rest.get("/api/v1/calls"),
        gateway.rest.get("/api/v1/status"),
        gateway.rest.get("/api/v1/keys"),
        gateway.rest.get(f"{MLFLOW}/traces/batchGet", trace_ids=trace_ids),
    ]
    written = json.dumps(replies) + "".join(told)
    pepper = (gateway.data_dir / "pepper.key").read_text().strip()
    for secret in (PROVIDER_SECRET, ADMIN_KEY, LEAKED, issued, pepper):
        assert secret not in written
    assert json.dumps(replies[-1]).count("My key is") >= 1, "the prompt itself is kept"
    # While it runs: journals are there, the WAL is there.
    scan(gateway, db, issued)
    assert gateway.stop() == 0
    scan(gateway, db, issued)


def scan(gateway: Gateway, db: str | None, issued: str) -> None:
    pepper = gateway.data_dir / "pepper.key"
    places = {path: path.read_bytes() for path in files(gateway.data_dir)} | {gateway.log: gateway.log.read_bytes()}
    if db is not None:
        places[Path("PostgreSQL")] = database_text(db)
    for path, content in places.items():
        for secret in (PROVIDER_SECRET, LEAKED, issued):
            assert secret.encode() not in content, path
        if path != pepper:
            assert pepper.read_text().strip().encode() not in content, path
        if path.name != "admin.key":
            assert ADMIN_KEY.encode() not in content, path


def test_private_files_are_private(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own().start()
    gateway.endpoint("chat", alone.base)
    for path in files(gateway.data_dir):
        if path.name in ("kek.key", "pepper.key", "admin.key", "snapshot.msgpack") or path.suffix == ".db" or "journals" in path.parts:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert {"kek.key", "pepper.key", "snapshot.msgpack"} <= {path.name for path in files(gateway.data_dir)}


def test_no_key_is_on_a_command_line(gateway: Gateway) -> None:
    for process in gateway.processes():
        assert ADMIN_KEY not in " ".join(process.cmdline())


@pytest.mark.skipif(os.name != "posix", reason="needs ps")
def test_a_made_key_is_shown_once(own: Callable[..., Gateway]) -> None:
    """Without SPANGATE_ADMIN_KEY one is made at first start, kept 0600, and shown that once only."""
    gateway = own(admin_key="").start(ready=False)
    file = gateway.data_dir / "admin.key"
    key = until(lambda: file.exists() and file.read_text().strip(), 30, "admin.key")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    gateway.rest.key = key
    gateway.wait_ready()
    assert gateway.rest.get(f"{MLFLOW}/gateway/endpoints/list") in ({}, {"endpoints": []})
    assert gateway.stop() == 0
    assert gateway.log_text().count(key) == 1
    gateway.start()
    assert gateway.stop() == 0
    assert gateway.log_text().count(key) == 1


def test_the_command_line_finds_the_key(own: Callable[..., Gateway], alone: Upstream) -> None:
    import sys

    gateway = own(admin_key="").start(ready=False)
    file = gateway.data_dir / "admin.key"
    gateway.rest.key = until(lambda: file.exists() and file.read_text().strip(), 30, "admin.key")
    gateway.wait_ready()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SPANGATE_")} | {
        "SPANGATE_URL": gateway.url,
        "SPANGATE_DATA_DIR": str(gateway.data_dir),
    }
    shown = subprocess.run(
        [sys.executable, "-m", "spangate.cli.app", "endpoints", "list", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == []
