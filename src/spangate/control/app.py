"""The control process, composed here from top to bottom: management API, drain of the journals, publisher of snapshots."""

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from .. import __version__
from ..config import Settings
from ..envelope import Keyring, load_or_make_key, parse_key, publish_private
from ..exchange import SealedKey
from ..record.spans import trace_row
from ..store.engine import Database
from ..store.writer import LedgerSink
from . import door, problems
from .admin import ledger, providers, reference, status
from .chores import Chore
from .desk import Desk
from .drain import Drain
from .mlflow import endpoints, experiments, models, operations, traces, unserved
from .mlflow import secrets as mlflow_secrets
from .policy import Guarded, Identity, Policy, allows, check
from .publish import Publisher

log = logging.getLogger("spangate.control")

DRAIN_PAUSE = 0.05  # s; a settled call is in the database about this much later
LOOK_PAUSE = 1.0  # s between looks at the version counter: another host's control may have written
REOPEN_PAUSE = 1.0
CLOSING = 20.0  # s that the last drain may take when the database answers slowly; what is left is drained at the next start
# mlflow's client writes spans over REST only to a server of 3.4 or later, and parses this text as a version.
MLFLOW_VERSION = "3.17.2"


def main(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.journals_dir.mkdir(mode=0o700, exist_ok=True)
    with door.listening(settings.control_socket, settings.control_address_file) as sock:
        control = Control(settings)
        control.start()
        try:
            uvloop.run(_serve(control.app, sock))
        finally:
            control.stop()


class Control:
    """The parts of the process, wired together. Nothing runs before `start`."""

    def __init__(self, settings: Settings, *, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.settings = settings
        keyring = Keyring(parse_key(settings.kek) if settings.kek else load_or_make_key(settings.kek_file))
        keys = (admin_key(settings),)
        self.database = Database(settings.database_url)
        self.sink = LedgerSink(self.database, trace_row)
        self.drain = Drain(settings.journals_dir, self.sink)
        self.publisher = Publisher(self.database, settings.snapshot_file, keys)
        self.opening = Chore("open the database", self._open, pause=REOPEN_PAUSE)
        self.publishing = Chore("publish", self._publish, pause=LOOK_PAUSE)
        self.draining = Chore("drain", self.drain.drain_once, pause=DRAIN_PAUSE)
        self.keyring = keyring
        desk = Desk(self.database, keyring, self.publish, now, settings.allow_private_upstreams)
        self.app = application(desk, Identity(keys), body_limit=int(settings.body_limit))
        self._opened = False

    def start(self) -> None:
        """Serves at once; what needs the database begins when that can be reached."""
        self.opening.once()
        self.opening.start()

    def stop(self) -> None:
        self.opening.stop(CLOSING)
        self.publishing.stop(CLOSING)
        self.draining.stop(CLOSING)
        deadline = time.monotonic() + CLOSING
        while self._opened and self.draining.once() and time.monotonic() < deadline:
            pass
        self.database.close()

    def publish(self) -> None:
        """Returns when the workers can see what was written; if it fails, the publishing chore tries on."""
        self.publishing.once()

    def _open(self) -> bool:
        if not self._opened:
            self.database.upgrade()
            self._opened = True
            self.publishing.once()
            self.publishing.start()
            self.draining.start()
        return False

    def _publish(self) -> bool:
        self.publisher.publish()
        return False


def application(desk: Desk, identity: Identity, *, body_limit: int) -> FastAPI:
    app = FastAPI(title="Spangate", version=__version__, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.router.route_class = Guarded
    app.state.identity = identity
    app.state.body_limit = body_limit
    problems.install(app)

    @app.get("/version", include_in_schema=False)
    @allows(Policy.open)
    def version() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse(MLFLOW_VERSION)

    @app.get("/health", include_in_schema=False)
    @allows(Policy.open)
    def health() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse("OK")

    for noun in (mlflow_secrets, models, endpoints, experiments, traces):
        operations.mount(app, desk, noun.OPERATIONS)
    for own in (status, ledger, providers, reference):
        own.mount(app)
    unserved.mount(app)
    check(app)
    return app


def admin_key(settings: Settings) -> SealedKey:
    """The digest of the admin's key: from the settings, else from its file, which is made at first start."""
    key = settings.admin_key
    if key is None:
        with contextlib.suppress(OSError):
            key = settings.admin_key_file.read_text().strip()
    if not key:
        publish_private(settings.admin_key_file, f"sg-{secrets.token_urlsafe(32)}\n".encode())
        key = settings.admin_key_file.read_text().strip()
    return SealedKey(key_id="admin", digest=hashlib.sha256(key.encode()).digest(), name="admin")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: uvicorn would raise them again after its shutdown, before the last drain."""
        yield


async def _serve(app: FastAPI, sock: socket.socket) -> None:
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", lifespan="off", access_log=False, log_config=None, server_header=False, timeout_graceful_shutdown=5
    )
    server = _Server(config)

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    # Ctrl-C reaches the whole process group at once; the supervisor ends the workers first and us last, so that the drain sees all.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    orphaned = asyncio.create_task(_parent_gone(stop))
    try:
        await server.serve(sockets=[sock])
    finally:
        orphaned.cancel()


async def _parent_gone(then: Callable[[], None]) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    log.warning("the supervisor is gone; stopping")
    then()
