"""A supervisor over children that do nothing but say what befalls them."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spangate.config import Settings
from spangate.supervise import PATIENCE

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
signal.signal(signal.SIGTERM, lambda *_: (note("control ends"), os._exit(0)))
note(f"control {os.getpid()}")
(folder / "snapshot.msgpack").touch()  # last: from here on it may be told to end
threading.Thread(target=lambda: (sys.stdin.read(), note("orphaned"), os._exit(0))).start()
while True: signal.pause()
"""
# Answers 200 to whoever comes; on SIGTERM it finishes.
WORKER = """
listener = socket.socket(fileno=int(sys.argv[sys.argv.index("--listen-fd") + 1]))
signal.signal(signal.SIGTERM, lambda *_: (note("worker ends"), os._exit(0)))
note(f"worker {os.getpid()}")
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
