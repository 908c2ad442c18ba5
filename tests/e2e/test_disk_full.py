"""The journals on a disk of their own that really runs full: content goes first, then new calls, and usage last.

Needs root, for the mount.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .gateway import ADMIN_KEY, Gateway, until
from .rest import RestError

MIB = 1 << 20
SIZE, RESERVE, LOW = 24 * MIB, 2 * MIB, 8 * MIB


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Path]:
    """A small disk, mounted where the gateway will keep its journals."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    folder = tmp_path / "data" / "journals"
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def gateway(journals: Path) -> Iterator[Gateway]:
    with Gateway(journals.parent, journal_reserve=RESERVE, disk_low=LOW) as running:
        yield running


def free(folder: Path) -> int:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize


def fill(folder: Path, leave: int) -> None:
    """Another program takes the disk, up to so many bytes."""
    with (folder / "other.bin").open("ab", buffering=0) as file:
        while (left := free(folder) - leave) > 0:
            try:
                file.write(bytes(min(left, MIB)))
            except OSError:
                return


def ready(gateway: Gateway) -> tuple[int, list[str]]:
    try:
        return 200, gateway.rest.get("/ready")["degraded"]
    except RestError as error:
        return error.status, error.body["degraded"]


def test_content_goes_first_then_new_calls_and_usage_last(gateway: Gateway, journals: Path, alone: Upstream) -> None:
    endpoint = gateway.endpoint("chat", alone.base)
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=60, trust_env=False) as client:

        def ask(call: str, **knobs: object) -> httpx.Response:
            body = {"model": "chat", "messages": [{"role": "user", "content": mark(call, **knobs)}]}
            return client.post("/v1/chat/completions", json=body)

        def attributes(reply: httpx.Response) -> dict[str, object]:
            root = gateway.trace(reply.headers["x-spangate-trace-id"])["spans"][0]
            return {entry["key"]: entry["value"].get("string_value") for entry in root["attributes"]}

        assert ready(gateway) == (200, [])
        plenty = ask("plenty")
        assert plenty.status_code == 200
        assert "spangate.content" not in attributes(plenty)

        # A call that is open while all this happens.
        streamed: list[str] = []
        begun, go = threading.Event(), {"model": "chat", "stream": True, "stream_options": {"include_usage": True}}
        go["messages"] = [{"role": "user", "content": mark("open", n=60, delay=0.1)}]

        def stream() -> None:
            with httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=go, headers=headers, timeout=60, trust_env=False) as reply:
                streamed.append(reply.headers["x-spangate-call-id"])
                for line in reply.iter_lines():
                    streamed.append(line)
                    begun.set()

        open_call = threading.Thread(target=stream)
        open_call.start()
        assert begun.wait(10)

        fill(journals, 4 * MIB)
        degraded = "journal: the disk is nearly full, what is said in calls is not kept"
        until(lambda: ready(gateway) == (200, [degraded]), 20, "little room is noticed")
        low = ask("low")
        assert low.status_code == 200
        row = gateway.call_row(low.headers["x-spangate-call-id"])
        assert (row.status, row.attempts[0].output_tokens) == ("ok", low.json()["usage"]["completion_tokens"])
        assert attributes(low)["spangate.content"] == "not kept: disk"

        fill(journals, 0)
        # The last page that the journal has already takes a few records yet.
        refused = until(lambda: reply if (reply := ask("full")).status_code != 200 else None, 10, "calls are refused")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_unwritable")
        assert ready(gateway)[0] == 503
        open_call.join(30)
        assert [line for line in streamed if line][-1] == "data: [DONE]"
        reported = next(json.loads(line[6:])["usage"] for line in streamed if line.startswith("data: {") and '"usage":{' in line)

        (journals / "other.bin").unlink()
        until(lambda: ready(gateway) == (200, []), 10, "room is noticed")
        row = gateway.call_row(streamed[0])
        assert (row.status, row.attempts[0].output_tokens) == ("ok", reported["completion_tokens"])
        again = ask("again")
        assert again.status_code == 200
        assert "spangate.content" not in attributes(again)
    until(lambda: gateway.completeness()["complete"], 10, "the books are complete")
    assert gateway.get_endpoint(endpoint["endpoint_id"])["name"] == "chat"


def test_a_disk_that_is_full_at_the_start_lets_nobody_in_until_it_is_not(journals: Path, alone: Upstream) -> None:
    fill(journals, 0)
    gateway = Gateway(journals.parent, journal_reserve=RESERVE, disk_low=LOW)
    try:
        gateway.start(ready=False)
        until(lambda: ready(gateway)[0] == 503, 30, "it says that it is not ready")
        (journals / "other.bin").unlink()
        until(lambda: ready(gateway) == (200, []), 10, "room is noticed")
        gateway.endpoint("chat", alone.base)
        assert gateway.rest.post("/v1/chat/completions", model="chat", messages=[{"role": "user", "content": mark("x")}])["choices"]
        assert gateway.stop() == 0
    except RestError as error:
        raise AssertionError(gateway.log_text()[-3000:]) from error
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()
