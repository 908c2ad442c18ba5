"""Starts the processes, restarts what dies, and drains in order. Holds the listening socket, so that no restart drops a caller.

Order at start: claim the data folder, keys, socket, control; workers at once if there is a snapshot to serve from, else as soon as
control has published the first; if that takes long they start all the same and say 503, as nobody who calls may hang. Order at the
end: workers finish their open calls, then control drains their journals, then exit 0.
A child learns of our death by the end of its stdin.
"""

import contextlib
import errno
import fcntl
import http.client
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from types import FrameType

from .config import Settings
from .envelope import load_or_make_key, publish_private

log = logging.getLogger("spangate.supervise")

TICK = 0.05  # s between two looks at the children
BACKLOG = 2048  # connections that wait in the kernel while workers restart; Linux caps it at net.core.somaxconn
STEADY = 10.0  # s; who lived longer than that died by chance, and comes back at once
LONGEST_PAUSE = 5.0  # s
MAX_FALSE_STARTS = 5  # of control, while there is no snapshot to serve from: then a person must look
LINGER = 5.0  # s on top of the grace period before a worker is killed
DRAIN = 60.0  # s for control to empty the journals; what is left is drained at the next start
PATIENCE = 10.0  # s between two words of waiting at first start, which an unreachable database can make long
SAME_WISH = 1.0  # s; Ctrl-C under `uv run` or make comes twice, from the terminal and passed on. Later ones mean: at once
REBIND = 10.0  # s; after a kill -9 of ours, the old workers hold the port until they notice


class StartError(Exception):
    """The gateway cannot start; the message says what to do."""


class _Stopped(Exception):
    """Asked to stop before there was anything to stop."""


@dataclass(frozen=True)
class Running:
    """What people are told when the gateway answers."""

    url: str
    settings: Settings  # with keys and port filled in
    key_made: bool  # this start made the admin key: show it, it is the only time


def pause(failures: int) -> float:
    """Seconds before the next start, after so many quick deaths in a row: none for the first."""
    return 0.0 if failures <= 1 else min(LONGEST_PAUSE, 0.1 * 2.0 ** (failures - 2))


class Child:
    """One process that must be running."""

    def __init__(self, name: str, argv: Sequence[str], fds: Sequence[int] = ()) -> None:
        self.name = name
        self.failures = 0
        self._argv, self._fds = tuple(argv), tuple(fds)
        self._process: subprocess.Popen[bytes] | None = None
        self._born = self._due = 0.0

    def start(self, settings: Settings, now: float) -> None:
        # A process group of its own: Ctrl-C in a terminal reaches us alone, and we stop the children in order.
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, pass_fds=self._fds, process_group=0)  # noqa: S603
        self._born = now
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died already; the next look sees that
            self._process.stdin.write(settings.to_json().encode() + b"\n")
            self._process.stdin.flush()  # and stays open: its end is how the child learns that we died

    def look(self, settings: Settings, now: float) -> None:
        """Starts it again if it died and its pause is over. Raises StartError if it says that only a person can help."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            if code == os.EX_CONFIG:
                raise StartError(f"{self.name} cannot work with these settings; its log above says why")
            self.failures = 1 if now - self._born > STEADY else self.failures + 1
            self._due = now + pause(self.failures)
            log.warning("%s (pid %d) %s; starting it again in %.1f s", self.name, self._process.pid, _ending(code), self._due - now)
            self._forget()
        if now >= self._due:
            self.start(settings, now)

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, until: float, hurry: Callable[[], bool]) -> bool:
        """True once it has ended; False if it did not until then, or there is a hurry."""
        while self._process is not None and self._process.poll() is None:
            if time.monotonic() >= until or hurry():
                return False
            time.sleep(TICK / 2)
        self._forget()
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process = None


class Supervisor:
    """One gateway on one data folder. `control` and `worker` replace the children's commands in tests."""

    def __init__(self, settings: Settings, *, control: Sequence[str] | None = None, worker: Sequence[str] | None = None) -> None:
        self._settings = settings
        # -P: what lies in the working directory is not importable.
        self._control_argv = tuple(control or (sys.executable, "-P", "-m", "spangate.control"))
        self._worker_argv = tuple(worker or (sys.executable, "-P", "-m", "spangate.worker"))
        self._asked: float | None = None  # when we were first told to stop
        self._hurry = False

    def run(self, on_ready: Callable[[Running], None]) -> int:
        """Returns the exit code once it was told to stop. `on_ready` runs in a thread of its own when the first worker answers."""
        os.umask(0o077)  # journals, database and snapshot hold what people said
        with contextlib.suppress(_Stopped), _signals(self._stop), claim(self._settings) as crashed:
            settings, made = with_keys(self._settings)
            with contextlib.closing(self._listen(settings, patient=crashed)) as listener:
                settings = settings.model_copy(update={"port": listener.getsockname()[1]})
                url = _url(settings)
                settings.url_file.write_text(url + "\n")
                try:
                    self._serve(settings, listener, Running(url, settings, made), on_ready)
                finally:
                    settings.url_file.unlink(missing_ok=True)
        return 0

    def _stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
        elif now - self._asked > SAME_WISH:
            self._hurry = True

    def _listen(self, settings: Settings, *, patient: bool) -> socket.socket:
        until = time.monotonic() + (REBIND if patient else 0)
        while True:
            try:
                return listen(settings.host, settings.port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise StartError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}") from None
                if time.monotonic() >= until:
                    raise StartError(f"port {settings.port} is taken; choose another with --port, or stop what listens there") from None
            if self._asked is not None:
                raise _Stopped
            time.sleep(0.1)

    def _serve(self, settings: Settings, listener: socket.socket, running: Running, on_ready: Callable[[Running], None]) -> None:
        control = Child("control", self._control_argv)
        fd = listener.fileno()
        relay = (*self._worker_argv, "--listen-fd", str(fd))
        workers = [Child(f"worker {number}", relay, (fd,)) for number in range(1, settings.workers + 1)]
        published = started = False
        patience = time.monotonic() + PATIENCE
        try:
            while self._asked is None:
                now = time.monotonic()
                control.look(settings, now)
                if not published and settings.snapshot_file.exists():
                    published = started = True
                    threading.Thread(target=self._announce, args=(running, on_ready), daemon=True).start()
                if started:
                    for worker in workers:
                        worker.look(settings, now)
                if not published and control.failures >= MAX_FALSE_STARTS:
                    raise StartError(f"control died {control.failures} times before it was ready; its log above says why")
                if not published and now >= patience:
                    log.warning("still waiting for control to publish the first snapshot; is the database reachable?")
                    started, patience = True, now + PATIENCE
                time.sleep(TICK)
            listener.close()  # with the workers' copies gone too, new callers are refused at once instead of waiting in vain
            self._drain(control, workers, settings.grace)
        finally:
            for child in (*workers, control):
                child.kill()

    def _drain(self, control: Child, workers: Sequence[Child], grace: float) -> None:
        log.info("stopping: open calls have %.0f s", grace)
        for worker in workers:
            worker.signal(signal.SIGTERM)
        until = time.monotonic() + grace + LINGER
        for worker in workers:
            if not worker.wait(until, self._in_hurry):
                log.warning("%s did not finish in time and is killed; its open calls are settled as unknown", worker.name)
                worker.kill()
        control.signal(signal.SIGTERM)
        if not control.wait(time.monotonic() + DRAIN, self._in_hurry):
            log.warning("control did not finish draining; the journals keep the rest for the next start")

    def _in_hurry(self) -> bool:
        return self._hurry

    def _announce(self, running: Running, on_ready: Callable[[Running], None]) -> None:
        while self._asked is None:
            if answers(running.settings):
                on_ready(running)
                return
            time.sleep(TICK)


@contextlib.contextmanager
def claim(settings: Settings) -> Generator[bool]:
    """Makes the data folder ours alone. True: the last gateway here did not end in order."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(settings.pid_file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartError(f"cannot use the data folder {settings.data_dir}: {error.strerror}") from None
    with os.fdopen(fd, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = file.read().strip() or "?"
            raise StartError(f"another gateway (pid {holder}) runs on {settings.data_dir}; stop it, or use another --data-dir") from None
        crashed = bool(file.read().strip())
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield crashed
        finally:
            file.seek(0)
            file.truncate()  # an empty file says: ended in order


def with_keys(settings: Settings) -> tuple[Settings, bool]:
    """The settings with both keys in them, made (mode 0600) if there were none. True: the admin key was made just now."""
    made = False
    try:
        if settings.admin_key is None:
            made = publish_private(settings.admin_key_file, f"sg-{secrets.token_urlsafe(32)}\n".encode())
            settings = settings.model_copy(update={"admin_key": settings.admin_key_file.read_text().strip()})
        if settings.kek is None:
            sealed = next((file for file in (settings.snapshot_file, settings.data_dir / "spangate.db") if file.exists()), None)
            if sealed is not None and not settings.kek_file.exists():
                raise StartError(
                    f"{settings.kek_file} is missing, and the secrets of {sealed} are sealed with it: put it back, or give its key by "
                    "SPANGATE_KEK. Without it they are lost; to begin anew, start on another --data-dir."
                )
            load_or_make_key(settings.kek_file)
            settings = settings.model_copy(update={"kek": settings.kek_file.read_text().strip()})
    except OSError as error:
        raise StartError(f"keys: {error}") from None
    except ValueError as error:
        raise StartError(f"{settings.kek_file}: {error}") from None
    return settings, made


def listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def answers(settings: Settings, timeout: float = 2.0) -> bool:
    """Whether a worker answers on the port."""
    connection = http.client.HTTPConnection(_reachable(settings.host), settings.port, timeout=timeout)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def _signals(stop: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """SIGHUP too: a closed terminal is a wish to stop, and must drain like any other."""
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _url(settings: Settings) -> str:
    host = _reachable(settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _ending(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
