"""Lines of the log: one each, without keys, with the call that they are about."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from spangate.observe import logs
from spangate.observe.logs import JsonLines, TextLines

KEY = "sk-proj-0123456789abcdefghij"
ADMIN = "correct horse battery"
HOSTILE = "a\r\nERROR forged\x1b[31m\x9b31m\u2028\x00"


@pytest.fixture
def call() -> Iterator[None]:
    token = logs.call_id.set("c-1")
    yield
    logs.call_id.reset(token)


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("spangate.test", logging.INFO, "x.py", 1, message, args, None)
    made.created, made.msecs, made.process = 1_700_000_000.123, 123.0, 77
    made.__dict__.update(more)
    return made


def test_json_is_one_object_with_all_that_is_known(call: None) -> None:
    line = JsonLines("worker").format(record("%d of %s", 2, "three", said={"status": "ok", "ms": 1.5, "model": None}))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.123Z", "level": "info", "logger": "spangate.test", "process": "worker", "pid": 77,
        "message": "2 of three", "call_id": "c-1", "status": "ok", "ms": 1.5, "model": None,
    }  # fmt: skip


def test_text_is_for_people(call: None) -> None:
    line = TextLines("worker").format(record("done", said={"status": "ok", "model": None, "path": "/a b", "quote": '"'}))
    assert line.partition(",")[2] == '123 INFO spangate.test: done status=ok path="/a b" quote="\\"" call_id=c-1'


def test_a_line_says_its_own_call(call: None) -> None:
    said = {"call_id": "c-2"}
    assert TextLines("worker").format(record("done", said=said)).endswith("done call_id=c-2")
    assert json.loads(JsonLines("worker").format(record("done", said=said)))["call_id"] == "c-2"


@pytest.mark.parametrize("lines", [JsonLines("worker"), TextLines("worker")])
def test_what_a_client_sent_cannot_end_a_line_or_colour_it(lines: logging.Formatter) -> None:
    for made in (record("%s", HOSTILE), record("x", said={"endpoint": HOSTILE})):
        line = lines.format(made)
        assert line.isprintable(), line
        assert "forged" in line


def test_json_gives_back_what_was_said() -> None:
    assert json.loads(JsonLines("worker").format(record("%s", HOSTILE)))["message"] == HOSTILE
    assert "\\udc80" in JsonLines("worker").format(record("\udc80"))


@pytest.mark.parametrize("lines", [JsonLines("worker", [ADMIN]), TextLines("worker", [ADMIN])])
def test_keys_are_masked_wherever_they_stand(lines: logging.Formatter) -> None:
    try:
        raise ValueError(f"{KEY} {ADMIN}")
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    for made in (record("key %s, %s", KEY, ADMIN), record("x", said={"model": f"{KEY} {ADMIN}"}), failed):
        line = lines.format(made)
        assert KEY not in line
        assert ADMIN not in line
        assert line.count("***masked***") >= 2


def test_a_traceback_is_marked_as_one() -> None:
    try:
        raise ValueError("one\nERROR forged")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    first, *rest = TextLines("worker").format(made).split("\n")
    assert first.endswith("spangate.test: failed")
    assert len(rest) >= 3
    assert all(line.startswith("  | ") for line in rest)
    exception = json.loads(JsonLines("worker").format(made))["exception"]
    assert exception.endswith("ValueError: one\nERROR forged")


SCRIPT = """
import logging, sys, threading, warnings
from spangate.observe import logs
logs.configure(level=sys.argv[1], format="json", process="control", secrets=(None, "short", "a long secret"))
logging.getLogger("uvicorn.error").info("chat")
logging.getLogger("some.library").warning("a long secret and a short one")
warnings.warn("old")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise KeyError("end")
"""


def test_libraries_warnings_and_deaths_go_the_same_way() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT, "info"], capture_output=True, text=True, check=False)
    said = [json.loads(line) for line in run.stderr.splitlines()]
    assert run.returncode == 1
    assert [(line["level"], line["logger"], line["message"].partition("\n")[0]) for line in said] == [
        ("warning", "some.library", "***masked*** and a short one"),
        ("warning", "py.warnings", "<string>:7: UserWarning: old"),
        ("critical", "spangate", "ZeroDivisionError was not caught"),
        ("critical", "spangate", "KeyError was not caught"),
    ]
    loud = subprocess.run([sys.executable, "-c", SCRIPT, "debug"], capture_output=True, text=True, check=False)
    assert [json.loads(line)["message"] for line in loud.stderr.splitlines()][:1] == ["chat"]
