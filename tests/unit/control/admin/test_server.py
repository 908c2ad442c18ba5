import os
import platform
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from spangate import __version__
from spangate.config import Settings, load
from spangate.control.app import Control
from spangate.exchange import SealedKey
from spangate.observe.metrics import MANAGEMENT

PATH = "/api/v1/server"


def test_says_what_runs_and_where_its_data_is(gateway: Any, http: httpx.Client) -> None:
    told = http.get(PATH).json()
    assert (told["version"], told["python"], told["host"]) == (__version__, platform.python_version(), socket.gethostname())
    assert told["data_dir"] == str(gateway.settings.data_dir)
    assert 0 < told["uptime_seconds"] < 600
    assert told["database"] == {
        "dialect": "sqlite",
        "place": f"sqlite:///{gateway.settings.data_dir}/spangate.db",
        "revision": gateway.control.database.current(),
        "bytes": (gateway.settings.data_dir / "spangate.db").stat().st_size,
    }
    assert told["snapshot"]["published"] == gateway.versions[0]
    assert (told["journals"], told["backlog_bytes"]) == ([], 0)
    assert [row["name"] for row in told["settings"]] == list(Settings.model_fields)


def test_says_where_each_setting_was_said_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "spangate.toml"
    file.write_text('grace = 7\nprices_url = "https://u:hunter2@prices.example/list?token=hunter2"\n')
    monkeypatch.setenv("SPANGATE_WORKERS", "3")
    monkeypatch.setenv("SPANGATE_ADMIN_KEY", "sg-hunter2-hunter2-hunter2")
    flags = {"data_dir": tmp_path, "config": file, "db": "postgresql://u:hunter2@127.0.0.1:1/name?password=hunter2", "body_limit": "2MiB"}
    settings = Settings.from_json(load(flags).to_json())
    control = Control(settings)
    with TestClient(control.app) as client:
        key = control.pepper.digest(b"sg-hunter2-hunter2-hunter2")
        control.publisher.keys = {key: SealedKey(key_id="admin", digest=key, name="admin")}
        answer = client.get(PATH, headers={"x-api-key": "sg-hunter2-hunter2-hunter2"})
    control.database.close()
    control.numbers.close()
    assert "hunter2" not in answer.text
    told = answer.json()
    assert told["database"] == {"dialect": "postgresql", "place": "postgresql://127.0.0.1:1/name", "revision": None, "bytes": None}
    rows = {row["name"]: row for row in told["settings"]}
    assert {name: (row["source"], row["value"]) for name, row in rows.items() if row["source"] != "default"} == {
        "data_dir": ("flag", str(tmp_path)),
        "db": ("flag", None),
        "workers": ("environment", 3),
        "config": ("flag", str(file)),
        "admin_key": ("environment", None),
        "body_limit": ("flag", 2 * 1024 * 1024),
        "grace": ("file", 7.0),
        "prices_url": ("file", "https://prices.example/list"),
    }
    assert {name for name, row in rows.items() if row["secret"]} == {"db", "admin_key", "kek", "pepper"}
    assert {name for name, row in rows.items() if not row["is_default"]} == {
        name for name, row in rows.items() if row["source"] != "default"
    }
    assert rows["grace"] | {"description": ""} == {
        "name": "grace",
        "value": 7.0,
        "default": Settings().grace,
        "is_default": False,
        "source": "file",
        "secret": False,
        "fixed": False,
        "description": "",
        "flag": "--grace",
        "environment": "SPANGATE_GRACE",
    }
    assert {name for name, row in rows.items() if row["fixed"]} == {"host", "port", "data_dir", "db", "kek", "pepper"}


def test_a_process_is_told_with_what_it_takes(gateway: Any, http: httpx.Client) -> None:
    gateway.control.numbers.add(MANAGEMENT, ("GET", "200"))  # who counts has a file, by which it is known
    (process,) = http.get(PATH).json()["processes"]
    assert (process["kind"], process["pid"]) == ("control", os.getpid())
    assert process["memory_bytes"] > 1_000_000
    assert process["open_files"] > 3
    assert process["cpu_seconds"] > 0
