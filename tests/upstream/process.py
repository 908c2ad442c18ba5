"""Starts the replay upstream as a process of its own, and asks it what it served."""

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from .server import Served

ROOT = Path(__file__).resolve().parents[2]


class Kept(msgspec.Struct, frozen=True):
    """A request as it came to the provider."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class Upstream:
    """A running replay upstream. A context manager: it ends with the block."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.upstream.server"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port: int = json.loads(self.process.stdout.readline())["port"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base(self) -> str:
        """What goes into a secret's `api_base`."""
        return f"{self.url}/v1"

    @property
    def pid(self) -> int:
        return self.process.pid

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return json.load(answer)

    def stats(self) -> dict[str, Any]:
        return self.get("/stats")

    def served(self, after: int = 0) -> list[Served]:
        return msgspec.convert(self.get(f"/served?after={after}"), list[Served])

    def request(self, call: str) -> Kept:
        about = self.get(f"/requests/{call}")
        return Kept(about["path"], [(n, v) for n, v in about["headers"]], base64.b64decode(about["body"]))

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()

    def __enter__(self) -> "Upstream":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
