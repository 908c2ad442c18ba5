"""The control process, composed here from top to bottom: management API, drain of the journals, publisher of snapshots."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping

import uvicorn
import uvloop

from ..config import Settings
from ..envelope import Keyring, Pepper, load_or_make_key, parse_key, publish_private
from ..exchange import SealedKey
from ..observe import logs
from ..observe.series import Numbers
from ..process import Server, keep_what_is_there, tell_ready, when_orphaned
from ..record.spans import trace_row
from ..relay.cooling import Cooling
from ..store import keys
from ..store.engine import Database
from ..store.faults import Invalid, Unavailable
from ..store.repricing import Arrears
from ..store.secrets import bind
from ..store.snapshot import version
from ..store.writer import LedgerSink
from . import api, door
from .admin.status import PricesState, Resting, prices, resting
from .calibrating import Calibrating
from .chores import Chore, Health
from .desk import Desk
from .drain import Backlog, Drain
from .idle import Idle
from .policy import Identity
from .pricing import Pricing
from .publish import Publisher
from .requests import Requests
from .retention import Sweeper, Swept
from .uses import Uses

log = logging.getLogger("spangate.control")

DRAIN_PAUSE = 0.05  # s; a settled call is in the database about this much later
DRAINED = 2.0  # s of draining for somebody who waits for it
LOOK_PAUSE = 1.0  # s between looks whether the database answers
PUBLISH_PAUSE = 0.5  # s between looks at the version counter: another host may have revoked a key, which ends within a second here too
NOTE_PAUSE = 60.0  # s; a key's last use through this API is known to the minute
ARREARS_PAUSE = 0.2  # s between some hundred calls of an older version and the next: the drain comes first
FETCH_PAUSE = 60.0  # s between looks whether prices are due to be fetched
SWEEP_PAUSE = 5.0  # s between looks whether there is anything to sweep
BEHIND = 1.0  # s that the drain has not come to an end; then it needs the database more than a sweep does
REOPEN_PAUSE = 1.0
CALIBRATE_PAUSE = 600.0
CLOSING = 45.0  # s that the last drain may take when the database answers slowly; what is left is drained at the next start


def main(settings: Settings, ready_fd: int | None = None) -> None:
    hidden = (settings.admin_key, settings.kek, settings.pepper)
    logs.configure(level=settings.log_level, format=settings.log_format, process="control", secrets=hidden)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.journals_dir.mkdir(mode=0o700, exist_ok=True)
    with door.listening(settings.control_socket, settings.control_address_file) as (sock, opened):
        try:
            control = Control(settings)
            try:
                control.start()
                opened()
                uvloop.run(_serve(control, sock, settings.access_log, ready_fd))
            finally:
                control.stop()
        except Invalid as fault:  # only a person can help
            log.error("%s", fault)
            raise SystemExit(os.EX_CONFIG) from None


class Control:
    """The parts of the process, wired together. Nothing runs before `start`."""

    def __init__(self, settings: Settings, *, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.numbers = Numbers(settings.metrics_dir, "control")
        self.metrics_dir = settings.metrics_dir
        self.keyring = Keyring(parse_key(settings.kek) if settings.kek else load_or_make_key(settings.kek_file))
        self.pepper = Pepper(parse_key(settings.pepper) if settings.pepper else load_or_make_key(settings.pepper_file))
        self.database = Database(settings.database_url)
        self.pricing = Pricing(
            self.database,
            url=settings.prices_url,
            hours=settings.prices_refresh_hours,
            allow_private=settings.allow_private_upstreams,
            now=now,
        )
        self.sink = LedgerSink(self.database, trace_row, cost_of=self.pricing)
        self.drain = Drain(settings.journals_dir, self.sink)
        fixed = (admin_key(settings, self.pepper),)
        self.publisher = Publisher(self.database, settings.snapshot_file, fixed, pepper=self.pepper.fingerprint)
        self.uses = Uses(self.database)
        self.opening = Chore("open the database", self._open, pause=REOPEN_PAUSE)
        self.looking = Chore("look at the database", self._look, pause=LOOK_PAUSE)
        self.publishing = Chore("publish", self._publish, pause=PUBLISH_PAUSE)
        self.noting = Chore("note which keys were used", self._note, pause=NOTE_PAUSE)
        self.draining = Chore("drain", self._drain, pause=DRAIN_PAUSE)
        self.sweeper = Sweeper(
            self.database, version=self.current, busy=lambda: self.backlog_age() > BEHIND, idle=Idle().processors, now=now
        )
        self.sweeping = Chore("delete what has outlived its period", self.sweeper.sweep, pause=SWEEP_PAUSE)
        self.arrears = Arrears(self.database, self.pricing)
        self.accounting = Chore("account for calls of an older version", self._account, pause=ARREARS_PAUSE)
        self.rereading = Chore("look at the prices", self.pricing.look, pause=LOOK_PAUSE)
        self.calibrating = Chore("calibrate estimates", Calibrating(self.database, self.publish, now=now).look, pause=CALIBRATE_PAUSE)
        self.refreshing = Chore("refresh the prices", self.pricing.fetch_if_due, pause=FETCH_PAUSE)
        desk = Desk(self.database, self.keyring, self.pepper, self.publish, now, self._ready, settings.allow_private_upstreams)
        identity = Identity(lambda: self.publisher.keys, self.pepper, now=now, used=self.uses.note)
        self.app = api.application(desk, identity, self, self.pricing, settings)
        self.cooling = Cooling(settings.health_file)
        self._opened = False
        self._current: int | None = None
        self._emptied = time.monotonic()

    def start(self) -> None:
        """Serves at once; what needs the database begins when that can be reached. Raises Invalid if this is not our database."""
        try:
            self._open()
        except Invalid:
            raise
        except Exception:  # whatever it is, it may pass; the chore says what it is
            self.opening.start()

    def stop(self) -> None:
        """After the workers: takes what they left in the journals, as far as the database is there to take it."""
        for chore in (
            self.opening,
            self.looking,
            self.publishing,
            self.draining,
            self.noting,
            self.accounting,
            self.rereading,
            self.refreshing,
            self.calibrating,
            self.sweeping,
        ):
            chore.stop(CLOSING)
        deadline = time.monotonic() + CLOSING
        while self._opened and self.draining.once() and time.monotonic() < deadline:
            pass
        if self._opened:
            self.noting.once()
        self.database.close()
        self.numbers.close()

    # ------------------------------------------------------------ chores

    def publish(self) -> None:
        """Returns when the workers can see what was written; if it fails, the publishing chore tries on."""
        self.publishing.once()

    def _open(self) -> bool:
        if not self._opened:
            self.database.upgrade()
            with self.database.write() as connection:
                bind(connection, self.keyring)
                keys.bind(connection, self.pepper)
            self._opened = True
            self.looking.once()
            self.looking.start()
            self.publishing.once()
            self.publishing.start()
            self.draining.start()
            self.accounting.start()
            self.rereading.start()
            if self.pricing.hours:
                self.refreshing.start()
            self.calibrating.start()
            self.noting.start()
            self.sweeping.start()
            self.opening.finish()
        return False

    def _ready(self) -> None:
        if not self._opened:
            raise Unavailable(self.opening.health.fault or "The database is not open yet.")

    def _look(self) -> bool:
        with self.database.read() as connection:
            self._current = version(connection)
        return False

    def _publish(self) -> bool:
        self.publisher.publish()
        return False

    def _note(self) -> bool:
        self.uses.keep()
        return False

    def _account(self) -> bool:
        self.pricing.open()
        if not self.arrears.some():
            self.accounting.finish()
        return False

    def _drain(self) -> bool:
        self.pricing.open()
        more = self.drain.drain_once()
        if not more:
            self._emptied = time.monotonic()
        return more

    # ------------------------------------------------------------ for /api/v1/status

    def backlog(self) -> Backlog:
        return self.drain.backlog()

    def backlog_age(self) -> float:
        return time.monotonic() - self._emptied

    def drained(self) -> str | None:
        deadline = time.monotonic() + DRAINED
        while self.draining.once() and time.monotonic() < deadline:
            pass
        return self.draining.health.fault

    def current(self) -> int | None:
        return self._current

    def published(self) -> int | None:
        return self.publisher.version

    def resting(self) -> list[Resting]:
        return resting(self.publisher.routes, self.cooling)

    def prices(self) -> PricesState:
        return prices(self.publisher.routes, self.pricing, self.refreshing.health.fault or self.rereading.health.fault)

    def swept(self) -> Swept:
        return self.sweeper.swept(self.sweeping.health.fault)

    def journals_size(self) -> int:
        return self.drain.size()

    def chores(self) -> Mapping[str, Health]:
        database = self.looking if self._opened else self.opening
        chores = {
            "database": database,
            "drain": self.draining,
            "publish": self.publishing,
            "account": self.accounting,
            "calibrate": self.calibrating,
            "note": self.noting,
            "sweep": self.sweeping,
        }
        return {name: chore.health for name, chore in chores.items()}


def admin_key(settings: Settings, pepper: Pepper) -> SealedKey:
    """The digest of the admin's key: from the settings, else from its file, which is made at first start."""
    key = settings.admin_key
    if key is None:
        with contextlib.suppress(OSError):
            key = settings.admin_key_file.read_text().strip()
    if not key:
        publish_private(settings.admin_key_file, f"sg-{secrets.token_urlsafe(32)}\n".encode())
        key = settings.admin_key_file.read_text().strip()
    return SealedKey(key_id="admin", digest=pepper.digest(key.encode()), name="admin")


async def _serve(control: Control, sock: socket.socket, access_log: bool, ready_fd: int | None) -> None:
    config = uvicorn.Config(
        Requests(control.app, control.numbers, said=access_log),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = Server(config)

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGHUP, server.retire)
    # The supervisor ends the workers first and us last, so that the last drain sees all; Ctrl-C is for it alone.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    when_orphaned(loop, stop)
    loop.call_soon(tell_ready, ready_fd)  # the socket has been taking connections since it was opened
    settling = asyncio.create_task(_settle(control.pricing))
    await server.serve(sockets=[sock])
    settling.cancel()


async def _settle(pricing: Pricing) -> None:
    while not pricing.opened:  # noqa: ASYNC110  a chore opens it, in a thread
        await asyncio.sleep(LOOK_PAUSE)
    keep_what_is_there()
