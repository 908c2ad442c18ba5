"""The supervisor over children of the test's own: what it starts, restarts, refuses, and in which order it ends things."""

import base64
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import termios
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from spangate.config import Settings
from spangate.exchange import Snapshot
from spangate.observe.metrics import METRICS
from spangate.observe.series import gather
from spangate.supervise import PATIENCE, SAME_WISH, StartError, claim, pause, warn_of_few_files, with_keys

SUPERVISOR = """
import json, logging, sys
from pathlib import Path
from spangate.config import ConfigError, Settings
from spangate import supervise
from spangate.supervise import SAME_WISH, StartError, Supervisor
supervise.PATIENCE = float(sys.argv[2])
supervise.STARTING = 2.0
supervise.LINGER = 0.5
folder = Path(sys.argv[1])
settings = Settings.from_json((folder / "settings.json").read_text())
def reload():
    from pydantic import ValidationError
    try:
        return Settings(**({"data_dir": folder, "port": 0} | json.loads((folder / "reload.json").read_text())))
    except ValidationError as error:
        raise ConfigError(f"{error.errors()[0]['loc'][0]}: wrong")
rolls = sys.argv[3] == "rolls"
if rolls:
    logging.basicConfig(filename=folder / "log", level="INFO")
def ready(running):
    (folder / "ready").write_text(f"{running.url} {running.key_made}")
try:
    control, worker = ([sys.executable, str(folder / name)] for name in ("control.py", "worker.py"))
    sys.exit(Supervisor(settings, reload=reload if rolls else None, control=control, worker=worker).run(ready))
except StartError as error:
    sys.exit(str(error))
"""
CHILD = """
import json, os, signal, socket, sys, threading
from pathlib import Path
settings = json.loads(sys.stdin.readline())
folder = Path(settings["data_dir"])
def note(event):
    with (folder / "events").open("a") as file:
        file.write(f"{event}\\n")
"""
# Publishes the first snapshot and waits for its end.
CONTROL = """
note(f"control {os.getpid()}")
(folder / "snapshot.msgpack").touch()
signal.signal(signal.SIGTERM, lambda *_: (note("control ends"), os._exit(0)))
threading.Thread(target=lambda: (sys.stdin.read(), note("orphaned"), os._exit(0))).start()
while True: signal.pause()
"""
# Answers 200 to whoever comes; on SIGTERM it finishes.
WORKER = """
listener = socket.socket(fileno=int(sys.argv[sys.argv.index("--listen-fd") + 1]))
note(f"worker {os.getpid()}")
signal.signal(signal.SIGTERM, lambda *_: (note("worker ends"), os._exit(0)))
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
def serve():
    while True:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 3\\r\\nconnection: close\\r\\n\\r\\n%03d" % (os.getpid() % 1000))
        connection.close()
threading.Thread(target=serve, daemon=True).start()
while True: signal.pause()
"""


class House:
    """A supervisor that runs, and what its children noted."""

    def __init__(self, folder: Path, patience: float, rolls: bool) -> None:
        self.folder = folder
        self.patience = patience
        self.rolls = rolls  # has settings to read again; its log is a file then
        self.terminal: int | None = None  # our end of the terminal that it was started on
        self.process: subprocess.Popen[str] | None = None

    def start(self, on_terminal: bool = False, **settings: object) -> None:
        given = {"data_dir": self.folder, "port": 0, "grace": 2.0, "max_connections": 10} | settings
        (self.folder / "settings.json").write_text(Settings(**given).to_json())  # type: ignore[arg-type]
        command = [sys.executable, "-c", SUPERVISOR, str(self.folder), str(self.patience), "rolls" if self.rolls else "stops"]
        begin, stdin = None, subprocess.DEVNULL
        if on_terminal:
            self.terminal, stdin = os.openpty()

            def begin() -> None:
                signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup, which would be inherited
                os.setsid()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=begin)
        if on_terminal:
            os.close(stdin)

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait_ready(self) -> str:
        until(lambda: (self.folder / "ready").exists() and (self.folder / "ready").read_text())
        return (self.folder / "ready").read_text().split()[0]

    def events(self) -> list[str]:
        file = self.folder / "events"
        return file.read_text().splitlines() if file.exists() else []

    def pids(self, kind: str) -> list[int]:
        return [int(event.split()[1]) for event in self.events() if event.startswith(f"{kind} ") and event.split()[1].isdigit()]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        assert self.process is not None
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextmanager
def house(
    folder: Path, *, control: str = CONTROL, worker: str = WORKER, patience: float = PATIENCE, rolls: bool = False
) -> Iterator[House]:
    (folder / "control.py").write_text(CHILD + textwrap.dedent(control))
    (folder / "worker.py").write_text(CHILD + textwrap.dedent(worker))
    there = House(folder, patience, rolls)
    try:
        yield there
    finally:
        if there.process is not None:
            there.process.kill()
            there.process.wait(60)
            for pipe in (there.process.stdout, there.process.stderr):
                assert pipe is not None
                pipe.close()
        if there.terminal is not None:
            os.close(there.terminal)


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def answer(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as said:
        return said.read()


def test_it_serves_and_ends_workers_before_control(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start(workers=2)
        url = there.wait_ready()
        assert len(answer(url)) == 3
        assert (tmp_path / "serve.url").read_text() == url + "\n"
        until(lambda: len(there.pids("worker")) == 2)
        assert there.stop() == (0, "")
        assert there.events()[-3:] == ["worker ends", "worker ends", "control ends"]
        assert not (tmp_path / "serve.url").exists()
        assert (tmp_path / "serve.pid").read_text() == ""


def test_ctrl_c_and_without_settings_to_read_again_sighup_end_it_in_the_same_order(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        with house(tmp_path) as there:
            (tmp_path / "ready").unlink(missing_ok=True)
            there.start()
            there.wait_ready()
            assert there.stop(number)[0] == 0
            assert there.events()[-2:] == ["worker ends", "control ends"]


@pytest.mark.parametrize("kind", ["worker", "control"])
def test_what_dies_is_started_again_and_the_port_stays_open(tmp_path: Path, kind: str) -> None:
    with house(tmp_path) as there:
        there.start()
        url = there.wait_ready()
        (first,) = there.pids(kind)
        os.kill(first, signal.SIGKILL)
        # Gone for the supervisor too: a process whose first thread is a zombie may yet accept with another one.
        until(lambda: not psutil.pid_exists(first))
        assert len(answer(url)) == 3  # waits in the backlog if it must, and is not refused
        until(lambda: len(there.pids(kind)) == 2)
        code, said = there.stop()
        assert code == 0
        assert "was killed by SIGKILL" in said


def test_workers_wait_for_the_first_snapshot_only(tmp_path: Path) -> None:
    control = CONTROL.replace('(folder / "snapshot.msgpack").touch()', "")
    with house(tmp_path, control=control) as there:
        there.start()
        until(lambda: there.pids("control"))
        assert not there.pids("worker")
        assert there.stop()[0] == 0
        (tmp_path / "snapshot.msgpack").touch()  # and with one, no control is needed
        (tmp_path / "control.py").write_text("raise SystemExit(3)")
        there.start()
        assert len(answer(there.wait_ready())) == 3
        assert there.stop()[0] == 0


def test_without_a_snapshot_for_long_callers_get_an_answer_and_do_not_hang(tmp_path: Path) -> None:
    control = CONTROL.replace('(folder / "snapshot.msgpack").touch()', "")
    with house(tmp_path, control=control, patience=0.5) as there:
        there.start()
        until(lambda: there.pids("worker"))
        assert len(answer((tmp_path / "serve.url").read_text().strip())) == 3
        time.sleep(0.2)
        assert not (tmp_path / "ready").exists()
        (tmp_path / "snapshot.msgpack").touch()
        there.wait_ready()
        assert len(there.pids("worker")) == 1
        assert there.stop()[0] == 0


def test_a_control_that_cannot_start_ends_the_first_start(tmp_path: Path) -> None:
    with house(tmp_path, control="sys.exit(3)") as there:
        there.start()
        assert there.process is not None
        _, said = there.process.communicate(timeout=60)
        assert there.process.returncode == 1
        assert "control died 5 times before it was ready" in said


def test_a_control_that_only_a_person_can_help_is_not_started_again(tmp_path: Path) -> None:
    with house(tmp_path, control="sys.exit(os.EX_CONFIG)") as there:
        there.start()
        assert there.process is not None
        _, said = there.process.communicate(timeout=60)
        assert there.process.returncode == 1
        assert "control cannot work with these settings" in said
        assert "starting it again" not in said


def test_children_learn_of_its_death(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start()
        there.wait_ready()
        assert there.process is not None
        there.process.kill()
        until(lambda: "orphaned" in there.events())


def test_after_a_crash_it_takes_the_port_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with house(tmp_path) as there:
        there.start(port=port)
        there.wait_ready()
        assert there.process is not None
        there.process.kill()
        there.process.communicate(timeout=60)
        (tmp_path / "ready").unlink()
        there.start(port=port)
        there.wait_ready()
        assert there.stop()[0] == 0


def test_a_worker_that_hangs_is_killed_after_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = WORKER.replace('(note("worker ends"), os._exit(0))', 'note("worker hangs")')
    with house(tmp_path, worker=hanging) as there:
        there.start(grace=0)
        there.wait_ready()
        code, said = there.stop()
        assert (code, there.events()[-2:]) == (0, ["worker hangs", "control ends"])
        assert "did not finish in time and is killed" in said


def test_a_signal_that_comes_twice_at_once_still_drains(tmp_path: Path) -> None:
    slow = WORKER.replace('(note("worker ends"), os._exit(0))', '(__import__("time").sleep(0.5), note("worker ends"), os._exit(0))')
    with house(tmp_path, worker=slow) as there:
        there.start(grace=30)
        there.wait_ready()
        assert there.process is not None
        there.process.send_signal(signal.SIGINT)
        assert there.stop(signal.SIGINT)[0] == 0
        assert there.events()[-2:] == ["worker ends", "control ends"]


def test_a_signal_later_means_at_once(tmp_path: Path) -> None:
    hanging = WORKER.replace('(note("worker ends"), os._exit(0))', 'note("worker hangs")')
    with house(tmp_path, worker=hanging) as there:
        there.start(grace=1000)
        there.wait_ready()
        assert there.process is not None
        there.process.send_signal(signal.SIGTERM)
        until(lambda: "worker hangs" in there.events())
        time.sleep(SAME_WISH)
        assert there.stop()[0] == 0


def test_a_second_gateway_on_the_folder_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with claim(settings) as crashed:
        assert crashed is False
        with pytest.raises(StartError, match=f"another gateway \\(pid {os.getpid()}\\)"), claim(settings):
            pass
    (tmp_path / "serve.pid").write_text("1\n")
    with claim(settings) as crashed:
        assert crashed is True


def test_a_taken_port_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, house(tmp_path) as there:
        there.start(port=taken.getsockname()[1])
        assert there.process is not None
        _, said = there.process.communicate(timeout=60)
        assert "is taken; choose another with --port" in said


def test_keys_are_made_once_and_readable_by_the_owner_alone(tmp_path: Path) -> None:
    settings, made = with_keys(Settings(data_dir=tmp_path))
    assert made is True
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("admin.key", "kek.key", "pepper.key")] == [0o600] * 3
    assert settings.admin_key == (tmp_path / "admin.key").read_text().strip()
    assert with_keys(Settings(data_dir=tmp_path)) == (settings, False)


@pytest.mark.parametrize("sealed", ["spangate.db", "snapshot.msgpack"])
def test_a_lost_key_encryption_key_is_not_made_anew(tmp_path: Path, sealed: str) -> None:
    (tmp_path / sealed).touch()
    with pytest.raises(StartError, match=r"kek\.key is missing, and the secrets of .* are sealed with it"):
        with_keys(Settings(data_dir=tmp_path))
    assert not (tmp_path / "kek.key").exists()


@pytest.mark.parametrize("left", ["spangate.db", "snapshot.msgpack"])
def test_a_lost_pepper_is_not_made_anew(tmp_path: Path, left: str) -> None:
    with_keys(Settings(data_dir=tmp_path))
    database(tmp_path, "INSERT INTO server_state VALUES ('pepper')")
    snapshot(tmp_path, pepper="f")
    (tmp_path / ({"spangate.db", "snapshot.msgpack"} - {left}).pop()).unlink()
    (tmp_path / "pepper.key").unlink()
    with pytest.raises(StartError, match=rf"pepper\.key is missing, and the keys of .*{left} are digested with it"):
        with_keys(Settings(data_dir=tmp_path))
    assert not (tmp_path / "pepper.key").exists()


def test_what_a_version_without_a_pepper_left_behind_gets_one(tmp_path: Path) -> None:
    with_keys(Settings(data_dir=tmp_path))
    (tmp_path / "pepper.key").unlink()
    database(tmp_path)
    snapshot(tmp_path)
    settings, _ = with_keys(Settings(data_dir=tmp_path))
    assert settings.pepper == (tmp_path / "pepper.key").read_text().strip()


def database(folder: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "spangate.db")) as connection, connection:
        for statement in ("CREATE TABLE server_state (name TEXT)", *statements):
            connection.execute(statement)


def snapshot(folder: Path, **has: Any) -> None:
    (folder / "snapshot.msgpack").write_bytes(msgspec.msgpack.encode(Snapshot(version=1, published_at=0, **has)))


@pytest.mark.parametrize("name", ["kek.key", "pepper.key"])
def test_a_key_file_that_is_no_key_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("junk")
    (tmp_path / name).chmod(0o600)
    with pytest.raises(StartError, match=re.escape(name)):
        with_keys(Settings(data_dir=tmp_path))


def test_given_keys_are_not_written(tmp_path: Path) -> None:
    zeros = base64.b64encode(bytes(32)).decode()
    given = Settings(data_dir=tmp_path, admin_key="sg-0123456789abcdef", kek=zeros, pepper=zeros)
    assert with_keys(given) == (given, False)
    assert list(tmp_path.iterdir()) == []


def test_keys_do_not_reach_a_command_line(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start()
        there.wait_ready()
        key = (tmp_path / "admin.key").read_text().strip()
        (worker,) = there.pids("worker")
        assert key not in subprocess.run(["ps", "-o", "args=", "-p", str(worker)], capture_output=True, text=True, check=True).stdout
        assert there.stop()[0] == 0


def test_pauses_grow_and_end_growing() -> None:
    assert [pause(failures) for failures in (0, 1, 2, 3, 4, 7, 8, 60)] == [0, 0, 0.1, 0.2, 0.4, 3.2, 5, 5]


def test_settings_reach_the_children_whole(tmp_path: Path) -> None:
    control = CONTROL + ""
    with house(tmp_path, control='(folder / "given").write_text(json.dumps(settings))\n' + control) as there:
        there.start(first_byte_timeout=7, strict=True)
        url = there.wait_ready()
        given = Settings.from_json((tmp_path / "given").read_text())
        assert (given.first_byte_timeout, given.strict, given.port) == (7, True, int(url.rpartition(":")[2]))
        assert given.kek == (tmp_path / "kek.key").read_text().strip()
        assert json.loads((tmp_path / "given").read_text())["admin_key"] == given.admin_key
        assert there.stop()[0] == 0


# ---------------------------------------------------------------- rolling restart


ROLLING = WORKER.replace(
    'signal.signal(signal.SIGTERM',
    'signal.signal(signal.SIGHUP, lambda *_: (note(f"retired worker {os.getpid()}"), os._exit(0)))\nsignal.signal(signal.SIGTERM',
) .replace(
    "while True: signal.pause()",
    'os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"\\n")\nwhile True: signal.pause()',
)  # fmt: skip
ROLLING_CONTROL = CONTROL.replace(
    "while True: signal.pause()",
    """signal.signal(signal.SIGHUP, lambda *_: (note(f"retired control {os.getpid()}"), os._exit(0)))
os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"\\n")
while True: signal.pause()""",
)


def rolled(there: House, times: int = 1) -> bool:
    assert there.process is not None
    return told(there).count("rolling restart: done") == times


def told(there: House) -> str:
    return (there.folder / "log").read_text()


def test_a_roll_replaces_control_then_each_worker_once_its_successor_serves(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start(workers=2)
        url = there.wait_ready()
        until(lambda: len(there.pids("worker")) == 2)
        (control,), workers = there.pids("control"), there.pids("worker")
        (tmp_path / "reload.json").write_text('{"workers": 2, "idle_timeout": 7}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        until(lambda: len([event for event in there.events() if event.startswith("retired")]) == 3)
        assert len(answer(url)) == 3
        new_control, new_workers = there.pids("control")[1:], there.pids("worker")[2:]
        assert (len(new_control), len(new_workers)) == (1, 2)
        events = [event for event in there.events() if str(control) in event or any(str(new) in event for new in new_control)]
        assert events[-2:] == [f"control {new_control[0]}", f"retired control {control}"]
        # No worker goes before one more has come.
        came = gone = 0
        for event in there.events():
            came += event in [f"worker {new}" for new in new_workers]
            gone += event in [f"retired worker {old}" for old in workers]
            assert gone <= came
        assert (came, gone) == (2, 2)
        assert there.stop()[0] == 0


def test_a_roll_takes_over_what_the_settings_say_now(tmp_path: Path) -> None:
    control = '(folder / f"given-{os.getpid()}").write_text(json.dumps(settings))\n' + ROLLING_CONTROL
    with house(tmp_path, control=control, worker=ROLLING, rolls=True) as there:
        there.start(workers=1)
        url = there.wait_ready()
        (tmp_path / "reload.json").write_text('{"workers": 3, "idle_timeout": 7, "port": 1, "db": "postgresql://u@h/d"}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        given = Settings.from_json((tmp_path / f"given-{there.pids('control')[1]}").read_text())
        assert (given.idle_timeout, given.workers, given.db, url) == (7, 3, None, f"http://127.0.0.1:{given.port}")
        assert "port, db: changed, which needs a stop and a start" in told(there)
        assert len(there.pids("worker")) == 4
        (tmp_path / "reload.json").write_text('{"workers": 1}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there, 2))
        until(lambda: len([event for event in there.events() if event.startswith("retired worker")]) == 4)
        assert len(there.pids("worker")) == 5
        assert len(answer(url)) == 3
        assert there.stop()[0] == 0


@pytest.mark.parametrize(
    ("kind", "words"), [("control", "the new control ended with code 3"), ("worker", "the new worker 1 ended with code 3")]
)
def test_a_successor_that_dies_leaves_the_old_one_at_work(tmp_path: Path, kind: str, words: str) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        url = there.wait_ready()
        (worker,) = there.pids("worker")
        (tmp_path / "reload.json").write_text("{}")
        good = (tmp_path / f"{kind}.py").read_text()
        (tmp_path / f"{kind}.py").write_text("raise SystemExit(3)")
        there.send(signal.SIGHUP)
        until(lambda: f"rolling restart given up: {words}" in told(there))
        assert answer(url) == b"%03d" % (worker % 1000)
        assert f"retired worker {worker}" not in there.events()
        (tmp_path / f"{kind}.py").write_text(good)
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        assert there.stop()[0] == 0


def test_a_successor_that_never_serves_is_killed(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        url = there.wait_ready()
        (worker,) = there.pids("worker")
        (tmp_path / "reload.json").write_text("{}")
        (tmp_path / "worker.py").write_text(CHILD + 'note(f"worker {os.getpid()}")\nsys.stdin.read()')
        there.send(signal.SIGHUP)
        until(lambda: "the new worker 1 did not serve within 2 s" in told(there))
        assert answer(url) == b"%03d" % (worker % 1000)
        assert not psutil.pid_exists(there.pids("worker")[1])
        assert there.stop()[0] == 0


def test_settings_that_are_wrong_start_nothing(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        there.wait_ready()
        (tmp_path / "reload.json").write_text('{"port": 70000}')
        there.send(signal.SIGHUP)
        until(lambda: "rolling restart given up: port:" in told(there))
        assert (len(there.pids("control")), len(there.pids("worker"))) == (1, 1)
        assert there.stop()[0] == 0


def test_a_roll_to_fewer_workers_says_who_ends_and_the_log_ends_with_a_last_word(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start(workers=2)
        there.wait_ready()
        until(lambda: len(there.pids("worker")) == 2)
        (tmp_path / "reload.json").write_text('{"workers": 1}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        assert there.stop()[0] == 0
        assert "rolling restart: 1 relay process\n" in told(there)
        (ends,) = re.findall(r"worker 2: pid (\d+) ends, as fewer are wanted\n", told(there))
        assert int(ends) in there.pids("worker")
        assert told(there).splitlines()[-1].endswith("stopped")


def test_too_few_files_are_told_once_and_not_by_each_worker(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("spangate.descriptors.connections", lambda wanted: min(wanted, 480))
    warn_of_few_files(Settings(max_connections=480))
    assert caplog.messages == []
    warn_of_few_files(Settings(max_connections=10_000, workers=4))
    assert caplog.messages == ["too few files may be open here (see ulimit -n): each worker serves 480 connections at once and not 10000"]


def test_signals_during_a_roll_make_one_more(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        there.wait_ready()
        (tmp_path / "reload.json").write_text("{}")
        there.send(signal.SIGHUP)
        until(lambda: "rolling restart: 1 relay" in told(there))
        for _ in range(5):
            there.send(signal.SIGHUP)
        until(lambda: rolled(there, 2))
        time.sleep(0.3)
        assert told(there).count("rolling restart: 1 relay") == 2
        assert there.stop()[0] == 0


def test_who_was_replaced_and_does_not_end_is_told_then_killed(tmp_path: Path) -> None:
    stubborn = ROLLING.replace('(note(f"retired worker {os.getpid()}"), os._exit(0))', 'note(f"retired worker {os.getpid()}")')
    stubborn = stubborn.replace('(note("worker ends"), os._exit(0))', 'note("worker hangs")')
    with house(tmp_path, control=ROLLING_CONTROL, worker=stubborn, rolls=True) as there:
        there.start(retire_grace=0.2, grace=0)
        there.wait_ready()
        (worker,) = there.pids("worker")
        (tmp_path / "reload.json").write_text('{"grace": 0}')
        there.send(signal.SIGHUP)
        until(lambda: f"(pid {worker}), which was replaced, does not end and is killed" in told(there))
        assert there.events().index(f"retired worker {worker}") < there.events().index("worker hangs")
        assert there.stop()[0] == 0


def test_a_closed_terminal_means_stop_and_a_signal_on_an_open_one_means_roll(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        (tmp_path / "reload.json").write_text("{}")
        there.start(on_terminal=True)
        there.wait_ready()
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        assert there.terminal is not None
        os.close(there.terminal)
        there.terminal = None
        assert there.process is not None
        there.process.wait(60)
        assert there.events()[-1] == "control ends"
        assert told(there).count("rolling restart: done") == 1


def test_deaths_are_counted(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start()
        there.wait_ready()
        (first,) = there.pids("worker")
        os.kill(first, signal.SIGKILL)
        until(lambda: len(there.pids("worker")) == 2)
        sums, living = gather(tmp_path / "metrics", METRICS)
        assert [process.who for process in living] == ["supervisor"]
        assert sums == {
            ("spangate_process_restarts_total", ("worker",)): [1.0],
            ("spangate_process_restarts_total", ("control",)): [0.0],
            ("spangate_rolling_restarts_total", ("done",)): [0.0],
            ("spangate_rolling_restarts_total", ("given_up",)): [0.0],
        }
        assert there.stop()[0] == 0
