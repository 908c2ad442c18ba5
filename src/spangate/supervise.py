"""Starts the processes, restarts what dies, rolls on SIGHUP, and drains in order. Holds the listening socket, so that no restart drops
a caller.

Order at start: claim the data folder, keys, socket, control; workers at once if there is a snapshot to serve from, else as soon as
control has published the first; if that takes long they start all the same and say 503, as nobody who calls may hang. Order at the
end: workers finish their open calls, then control drains their journals, then exit 0.

Order of a rolling restart: settings, then one process after the other, control first, as it is the one that finds settings or a database
that do not fit. The new process has to say that it serves before the old one is told to retire; if it does not, the roll ends there and
what is old goes on. A child learns of our death by the end of its stdin.
"""

import base64
import contextlib
import errno
import fcntl
import http.client
import logging
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec

from . import descriptors
from .config import FIXED, ConfigError, Settings
from .envelope import load_or_make_key, publish_private
from .exchange import Snapshot
from .observe.metrics import METRICS, RESTARTS, ROLLS
from .observe.series import Numbers, gather, wipe

log = logging.getLogger("spangate.supervise")

TICK = 0.05  # s between two looks at the children
BACKLOG = 2048  # connections that wait in the kernel while workers restart; Linux caps it at net.core.somaxconn
STEADY = 10.0  # s; who lived longer than that died by chance, and comes back at once
LONGEST_PAUSE = 5.0  # s
MAX_FALSE_STARTS = 5  # of control, while there is no snapshot to serve from: then a person must look
LINGER = 5.0  # s on top of the grace period before a worker is killed
DRAIN = 60.0  # s for control to empty the journals; what is left is drained at the next start
CLEARING = 30.0  # s for a control that was replaced to answer what it was asked
PATIENCE = 10.0  # s between two words of waiting at first start, which an unreachable database can make long
SAME_WISH = 1.0  # s; Ctrl-C under `uv run` or make comes twice, from the terminal and passed on. Later ones mean: at once
STARTING = 60.0  # s that a new process may take until it serves, before a roll is given up
REBIND = 10.0  # s; after a kill -9 of ours, the old workers hold the port until they notice


class StartError(Exception):
    """The gateway cannot start; the message says what to do."""


_OVER = object()


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
    """One process that must be running, with the settings that it was made with. `kind`: worker | control."""

    def __init__(self, kind: str, number: int, argv: Sequence[str], settings: Settings, fds: Sequence[int] = ()) -> None:
        self.kind = kind
        self.name = f"{kind} {number}" if number else kind
        self.settings = settings
        self.failures = 0
        self.ready = False  # it said that it serves
        self._argv, self._fds = tuple(argv), tuple(fds)
        self._process: subprocess.Popen[bytes] | None = None
        self._word: int | None = None  # the pipe by which it says so
        self._born = self._due = 0.0

    def start(self, now: float) -> None:
        self._word, said = os.pipe()
        os.set_blocking(self._word, False)
        argv = (*self._argv, "--ready-fd", str(said))
        try:
            # A process group of its own: Ctrl-C in a terminal reaches us alone, and we stop the children in order.
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, pass_fds=(*self._fds, said), process_group=0)  # noqa: S603
        finally:
            os.close(said)
        self._born = now
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died already; the next look sees that
            self._process.stdin.write(self.settings.to_json().encode() + b"\n")
            self._process.stdin.flush()  # and stays open: its end is how the child learns that we died

    def look(self, now: float) -> bool:
        """Starts it again if it died and its pause is over. Returns whether it died. Raises StartError if only a person can help."""
        died = False
        if self._process is not None:
            code = self.ended()
            if code is None:
                self.listen()
                return False
            if code == os.EX_CONFIG:
                raise StartError(f"{self.name} cannot work with these settings; its log above says why")
            died = True
            self.failures = 1 if now - self._born > STEADY else self.failures + 1
            self._due = now + pause(self.failures)
            log.warning("%s (pid %d) %s; starting it again in %.1f s", self.name, self._process.pid, _ending(code), self._due - now)
            self.forget()
        if now >= self._due:
            self.start(now)
        return died

    def listen(self) -> None:
        """Hears whether it serves."""
        if self._word is not None and not self.ready:
            with contextlib.suppress(BlockingIOError):
                self.ready = os.read(self._word, 1) != b""

    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def signal(self, number: int) -> None:
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    def wait(self, until: float, hurry: Callable[[], bool]) -> bool:
        """True once it has ended; False if it did not until then, or there is a hurry."""
        while self.running:
            if time.monotonic() >= until or hurry():
                return False
            time.sleep(TICK / 2)
        self.forget()
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.forget()

    def forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._word is not None:
            os.close(self._word)
        self._process = self._word = None
        self.ready = False


class Retired:
    """A process that another has replaced. It ends by itself, or is helped: SIGTERM at `stop`, SIGKILL at `kill` (monotonic clock)."""

    def __init__(self, child: Child, now: float) -> None:
        self.child = child
        self._told = False
        child.signal(signal.SIGHUP)  # retire: no new connection, and no hurry
        worker = child.kind == "worker"
        self._stop = now + (child.settings.retire_grace if worker else CLEARING)
        self._kill = self._stop + (child.settings.grace + LINGER if worker else DRAIN)

    def gone(self, now: float) -> bool:
        if not self.child.running:
            self.child.forget()
            return True
        if now >= self._kill:
            log.warning("%s (pid %d), which was replaced, does not end and is killed", self.child.name, self.child.pid)
            self.child.kill()
            return True
        if now >= self._stop and not self._told:
            self._told = True
            self.child.signal(signal.SIGTERM)
        return False


class Supervisor:
    """One gateway on one data folder. `control` and `worker` replace the children's commands in tests.

    `reload` reads the settings again for a rolling restart; without it SIGHUP means stop.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reload: Callable[[], Settings] | None = None,
        control: Sequence[str] | None = None,
        worker: Sequence[str] | None = None,
    ) -> None:
        self._settings = settings
        self._reload = reload
        # -P: what lies in the working directory is not importable.
        self._control_argv = tuple(control or (sys.executable, "-P", "-m", "spangate.control"))
        self._worker_argv = tuple(worker or (sys.executable, "-P", "-m", "spangate.worker"))
        self._workers: list[Child] = []
        self._control: Child | None = None
        self._fresh: Child | None = None  # started by a roll, not in its place yet
        self._retired: list[Retired] = []
        self._numbers = Numbers(settings.metrics_dir, "supervisor")
        self._asked: float | None = None  # when we were first told to stop
        self._hurry = False
        self._roll_asked = False

    def run(self, on_ready: Callable[[Running], None]) -> int:
        """Returns the exit code once it was told to stop. `on_ready` runs in a thread of its own when the first worker answers."""
        os.umask(0o077)  # journals, database and snapshot hold what people said
        terminal = Terminal()

        def hung_up(number: int, frame: FrameType | None) -> None:
            if self._reload is None or terminal.gone:
                self._stop(number, frame)
            else:
                self._roll_asked = True

        with contextlib.suppress(_Stopped), _signals(self._stop, hung_up), claim(self._settings) as crashed:
            settings, made = with_keys(self._settings)
            wipe(settings.metrics_dir)
            for metric, label in ((RESTARTS, "control"), (RESTARTS, "worker"), (ROLLS, "done"), (ROLLS, "given_up")):
                self._numbers.add(metric, (label,), 0.0)  # an alert sees a first one only beside a zero
            with contextlib.closing(self._listen(settings, patient=crashed)) as listener:
                self._settings = settings = settings.model_copy(update={"port": listener.getsockname()[1]})
                url = _url(settings)
                settings.url_file.write_text(url + "\n")
                try:
                    self._serve(listener, Running(url, settings, made), on_ready)
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

    def _serve(self, listener: socket.socket, running: Running, on_ready: Callable[[Running], None]) -> None:
        fd = listener.fileno()
        warn_of_few_files(self._settings)
        self._control = self._made("control", 0, self._settings, fd)
        self._workers = [self._made("worker", number, self._settings, fd) for number in range(1, self._settings.relays + 1)]
        published = started = False
        patience = time.monotonic() + PATIENCE
        roll: Generator[None] | None = None
        try:
            while self._asked is None:
                now = time.monotonic()
                self._look(self._control, now)
                if not published and self._settings.snapshot_file.exists():
                    published = started = True
                    threading.Thread(target=self._announce, args=(running, on_ready), daemon=True).start()
                if started:
                    for worker in self._workers:
                        self._look(worker, now)
                if not published and self._control.failures >= MAX_FALSE_STARTS:
                    raise StartError(f"control died {self._control.failures} times before it was ready; its log above says why")
                if not published and now >= patience:
                    log.warning("still waiting for control to publish the first snapshot; is the database reachable?")
                    started, patience = True, now + PATIENCE
                self._retired = [retired for retired in self._retired if not retired.gone(now)]
                if roll is None and self._roll_asked and published:
                    self._roll_asked = False  # one that is asked for from here on comes after this one: the settings may be others then
                    roll = self._roll(fd)
                if roll is not None:
                    roll = roll if next(roll, _OVER) is None else None
                time.sleep(TICK)
            listener.close()  # with the workers' copies gone too, new callers are refused at once instead of waiting in vain
            self._drain(self._control, [*self._workers, *(retired.child for retired in self._retired)])
            log.info("stopped")
        finally:
            last = [child for child in (self._fresh, *(retired.child for retired in self._retired), self._control) if child is not None]
            for child in (*self._workers, *last):
                child.kill()

    def _made(self, kind: str, number: int, settings: Settings, fd: int) -> Child:
        if kind == "control":
            return Child(kind, number, self._control_argv, settings)
        return Child(kind, number, (*self._worker_argv, "--listen-fd", str(fd)), settings, (fd,))

    def _look(self, child: Child, now: float) -> None:
        if child.look(now):
            self._numbers.add(RESTARTS, (child.kind,))
            with contextlib.suppress(OSError):  # what it counted is added up now, so that the files of a thousand dead do not pile up
                gather(self._settings.metrics_dir, METRICS)

    # ------------------------------------------------------------ rolling restart

    def _roll(self, fd: int) -> Generator[None]:
        """A step a tick. Each process is replaced once its successor serves."""
        assert self._control is not None
        try:
            settings = self._renewed()
            log.info("rolling restart: %d relay process%s", settings.relays, "" if settings.relays == 1 else "es")
            if settings.max_connections != self._settings.max_connections:
                warn_of_few_files(settings)
            self._retire(self._control, control := (yield from self._successor("control", 0, settings, fd)))
            self._control = control
            for index in range(settings.relays):
                fresh = yield from self._successor("worker", index + 1, settings, fd)
                if index < len(self._workers):
                    self._retire(self._workers[index], fresh)
                    self._workers[index] = fresh
                else:
                    self._workers.append(fresh)
                    self._fresh = None
            while len(self._workers) > settings.relays:
                self._retire(self._workers.pop(), None)
        except (StartError, OSError) as error:  # OSError: no room for one more process, say
            log.error("rolling restart given up: %s. What is not replaced yet serves on.", error)
            self._numbers.add(ROLLS, ("given_up",))
            return
        self._settings = settings
        log.info("rolling restart: done; what was replaced finishes its open calls")
        self._numbers.add(ROLLS, ("done",))

    def _renewed(self) -> Settings:
        """The settings as they are said now, but for what can't change while we run."""
        assert self._reload is not None
        try:
            asked = self._reload()
        except ConfigError as error:
            raise StartError(str(error)) from None
        kept = {name: getattr(self._settings, name) for name in FIXED}
        # A free port and a key in a file are said as nothing, and are something by now.
        changed = [name for name in FIXED if getattr(asked, name) != kept[name] and getattr(asked, name) not in (None, 0)]
        if changed:
            log.warning("%s: changed, which needs a stop and a start; until then it stays as it is", ", ".join(changed))
        return with_keys(asked.keeping(self._settings, FIXED))[0]

    def _successor(self, kind: str, number: int, settings: Settings, fd: int) -> Generator[None, None, Child]:
        """A process that serves. Raises StartError if it does not come to that."""
        fresh = self._fresh = self._made(kind, number, settings, fd)
        fresh.start(time.monotonic())
        until = time.monotonic() + STARTING
        while not fresh.ready:
            yield
            fresh.listen()
            if (code := fresh.ended()) is not None:
                fresh.forget()
                raise StartError(f"the new {fresh.name} {_ending(code)}; its log above says why")
            if time.monotonic() >= until:
                fresh.kill()
                raise StartError(f"the new {fresh.name} did not serve within {STARTING:.0f} s")
        return fresh

    def _retire(self, old: Child, successor: Child | None) -> None:
        if successor is None:
            log.info("%s: pid %s ends, as fewer are wanted", old.name, old.pid)
        else:
            log.info("%s: pid %s follows pid %s", old.name, successor.pid, old.pid)
        self._retired.append(Retired(old, time.monotonic()))
        self._fresh = None

    # ------------------------------------------------------------ the end

    def _drain(self, control: Child, workers: Sequence[Child]) -> None:
        log.info("stopping: open calls have %.0f s", self._settings.grace)
        if self._fresh is not None:
            self._fresh.kill()
        relays = [worker for worker in workers if worker.kind == "worker"]
        for worker in relays:
            worker.signal(signal.SIGTERM)
        until = time.monotonic() + self._settings.grace + LINGER
        for worker in relays:
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


def warn_of_few_files(settings: Settings) -> None:
    """Once, and not once a worker: what they may open is what we may."""
    wanted = settings.max_connections
    if (fits := descriptors.connections(wanted)) < wanted:
        log.warning("too few files may be open here (see ulimit -n): each worker serves %d connections at once and not %d", fits, wanted)


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
    """The settings with all keys in them, made (mode 0600) if there were none. True: the admin key was made just now."""
    made = False
    try:
        if settings.admin_key is None:
            made = publish_private(settings.admin_key_file, f"sg-{secrets.token_urlsafe(32)}\n".encode())
            settings = settings.model_copy(update={"admin_key": settings.admin_key_file.read_text().strip()})
        if settings.pepper is None:
            if not settings.pepper_file.exists() and (keyed := _peppered(settings)) is not None:
                raise StartError(
                    f"{settings.pepper_file} is missing, and the keys of {keyed} are digested with it: put it back, or give its key by "
                    "SPANGATE_PEPPER. Without it no key of that database is known any more."
                )
            settings = settings.model_copy(update={"pepper": _kept(settings.pepper_file)})
        if settings.kek is None:
            sealed = next((file for file in (settings.snapshot_file, settings.data_dir / "spangate.db") if file.exists()), None)
            if sealed is not None and not settings.kek_file.exists():
                raise StartError(
                    f"{settings.kek_file} is missing, and the secrets of {sealed} are sealed with it: put it back, or give its key by "
                    "SPANGATE_KEK. Without it they are lost; to begin anew, start on another --data-dir."
                )
            settings = settings.model_copy(update={"kek": _kept(settings.kek_file)})
    except OSError as error:
        raise StartError(f"keys: {error}") from None
    return settings, made


def _kept(file: Path) -> str:
    """The key in the file, made if there was none, as settings hold it."""
    try:
        return base64.b64encode(load_or_make_key(file)).decode()
    except ValueError as error:
        raise StartError(f"{file}: {error}") from None


def _peppered(settings: Settings) -> Path | None:
    """What is here that was made with a pepper; nothing is, where a version before there was one ran last."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        if msgspec.msgpack.decode(settings.snapshot_file.read_bytes(), type=Snapshot).pepper is not None:
            return settings.snapshot_file
    database = settings.data_dir / "spangate.db"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        if connection.execute("SELECT 1 FROM server_state WHERE name = 'pepper'").fetchone() is not None:
            return database
    return None


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


class Terminal:
    """The terminal that we were started on, if any. When it is closed we get a SIGHUP that means stop, and not roll."""

    def __init__(self) -> None:
        # nohup: somebody said that the terminal does not matter.
        self._had = self._there() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    @property
    def gone(self) -> bool:
        return self._had and not self._there()

    @staticmethod
    def _there() -> bool:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
        except OSError:
            return False
        return True


Handler = Callable[[int, FrameType | None], None]


@contextlib.contextmanager
def _signals(stop: Handler, hung_up: Handler) -> Generator[None]:
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: hung_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
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
