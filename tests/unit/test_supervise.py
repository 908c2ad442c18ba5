"""The supervisor over children of the test's own: what it starts, restarts, refuses, and in which order it ends things."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from spangate.config import Settings
from spangate.supervise import PATIENCE, SAME_WISH, StartError, claim, pause, with_keys

SUPERVISOR = """
import sys
from pathlib import Path
from spangate.config import Settings
from spangate import supervise
from spangate.supervise import SAME_WISH, StartError, Supervisor
supervise.PATIENCE = float(sys.argv[2])
folder = Path(sys.argv[1])
settings = Settings.from_json(sys.stdin.readline())
def ready(running):
    (folder / "ready").write_text(f"{running.url} {running.key_made}")
try:
    control, worker = ([sys.executable, str(folder / name)] for name in ("control.py", "worker.py"))
    sys.exit(Supervisor(settings, control=control, worker=worker).run(ready))
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

    def __init__(self, folder: Path, patience: float) -> None:
        self.folder = folder
        self.patience = patience
        self.process: subprocess.Popen[str] | None = None

    def start(self, **settings: object) -> None:
        given = {"data_dir": self.folder, "port": 0, "grace": 2.0} | settings
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(self.folder), str(self.patience)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(Settings(**given).to_json() + "\n")  # type: ignore[arg-type]
        self.process.stdin.flush()

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
def house(folder: Path, *, control: str = CONTROL, worker: str = WORKER, patience: float = PATIENCE) -> Iterator[House]:
    (folder / "control.py").write_text(CHILD + textwrap.dedent(control))
    (folder / "worker.py").write_text(CHILD + textwrap.dedent(worker))
    there = House(folder, patience)
    try:
        yield there
    finally:
        if there.process is not None:
            there.process.kill()
            there.process.wait(60)
            for pipe in (there.process.stdin, there.process.stdout, there.process.stderr):
                assert pipe is not None
                pipe.close()


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


def test_ctrl_c_and_a_closed_terminal_end_it_in_the_same_order(tmp_path: Path) -> None:
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
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("admin.key", "kek.key")] == [0o600, 0o600]
    assert settings.admin_key == (tmp_path / "admin.key").read_text().strip()
    assert with_keys(Settings(data_dir=tmp_path)) == (settings, False)


@pytest.mark.parametrize("sealed", ["spangate.db", "snapshot.msgpack"])
def test_a_lost_key_encryption_key_is_not_made_anew(tmp_path: Path, sealed: str) -> None:
    (tmp_path / sealed).touch()
    with pytest.raises(StartError, match=r"kek\.key is missing, and the secrets of .* are sealed with it"):
        with_keys(Settings(data_dir=tmp_path))
    assert not (tmp_path / "kek.key").exists()


def test_a_key_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "kek.key").write_text("junk")
    (tmp_path / "kek.key").chmod(0o600)
    with pytest.raises(StartError, match=r"kek\.key"):
        with_keys(Settings(data_dir=tmp_path))


def test_given_keys_are_not_written(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path, admin_key="sg-0123456789abcdef", kek="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
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
