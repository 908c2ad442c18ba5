"""A relay worker, composed here from top to bottom. It has the snapshot and its journal, and never the database."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import uvicorn
import uvloop

from spangate import __version__
from spangate.config import Settings
from spangate.envelope import Keyring, load_or_make_key, parse_key
from spangate.providers import catalog
from spangate.record.journal import FileJournal
from spangate.record.recorder import Recorder
from spangate.relay.engine import Relay
from spangate.relay.owed import OwingJournal
from spangate.relay.simulated import SimulatedTransport
from spangate.relay.upstream import HttpTransport, Timeouts

from .forward import Forward
from .ingress import Ingress
from .snapshots import Snapshots

logger = logging.getLogger("spangate.worker")

KEEP_ALIVE = 75  # s that a client's idle connection is kept; longer than the SDKs keep theirs, so that they close first
PAY_PAUSE = 1.0  # s
LAST_WORDS = 2.0  # s for calls that were cut at the end of grace to settle


def main(settings: Settings, listen_fd: int) -> None:
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # An answer that is cut off on purpose is no fault of the application.
    logging.getLogger("uvicorn.error").addFilter(lambda line: "without completing response" not in line.getMessage())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    uvloop.run(serve(settings, socket.socket(fileno=listen_fd)))


async def serve(settings: Settings, listener: socket.socket) -> None:
    keyring = Keyring(parse_key(settings.kek) if settings.kek else load_or_make_key(settings.kek_file))
    snapshots = Snapshots(settings.snapshot_file, keyring, catalog(), allow_private=settings.allow_private_upstreams)
    snapshots.refresh()
    journal = FileJournal(settings.journals_dir, strict=settings.strict, fsync_interval=settings.fsync_interval)
    owing = OwingJournal(journal)
    timeouts = Timeouts(
        connect=settings.connect_timeout,
        first_byte=settings.first_byte_timeout,
        idle=settings.idle_timeout,
        total=settings.total_timeout,
    )
    transport = HttpTransport(timeouts, user_agent=f"spangate/{__version__}")
    simulated = SimulatedTransport()
    content_limit = int(settings.content_limit)
    relay = Relay(
        routes=lambda: snapshots.routes,
        transport=transport,
        simulated=simulated,
        journal=owing,
        record=lambda: Recorder(content_limit=content_limit),
        content_limit=content_limit,
    )
    forward = Forward(settings.control_socket, settings.control_address_file)

    async def ready() -> tuple[bool, list[str]]:
        known = snapshots.version is not None
        full = unwritable(settings.journals_dir)
        faults = [snapshots.fault, full, None if known else "snapshot: none was published yet"]
        degraded = [fault for fault in faults if fault] + await forward.degraded(settings.admin_key)
        return known and not full, degraded

    ingress = Ingress(relay=relay, knowledge=snapshots, forward=forward, ready=ready, body_limit=int(settings.body_limit))
    chores = [asyncio.create_task(snapshots.follow()), asyncio.create_task(paying(owing))]
    try:
        await _listen(ingress, listener, settings.grace)
    finally:
        for chore in chores:
            chore.cancel()
        await transport.close()
        await forward.close()
        owing.pay()
        journal.close()


async def paying(owing: OwingJournal) -> None:
    """For the life of the process: also without new calls, what is owed is written soon after the disk takes it again."""
    while True:
        await asyncio.sleep(PAY_PAUSE)
        owing.pay()


def unwritable(journals: Path) -> str | None:
    """Why no record could be written now, if so."""
    try:
        with tempfile.TemporaryFile(dir=journals, buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        return f"journal: {error.strerror}"
    return None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are ours: uvicorn would raise them again after its shutdown, before the journal is closed."""
        yield


async def _listen(ingress: Ingress, listener: socket.socket, grace: float) -> None:
    config = uvicorn.Config(
        ingress,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=grace,  # pyright: ignore[reportArgumentType]  fractions are fine: it goes to wait_for
    )
    server = _Server(config)

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is for the supervisor, which tells us
    _when_orphaned(loop, stop)
    await server.serve(sockets=[listener])
    if server.server_state.tasks:  # cancelled when the grace was over: each settles its call
        await asyncio.wait(list(server.server_state.tasks), timeout=LAST_WORDS)


def _when_orphaned(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    """The supervisor holds the other end of our stdin: when that ends, it is gone."""
    stdin = 0

    def look() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            logger.warning("the supervisor is gone; stopping")
            then()

    with contextlib.suppress(OSError, ValueError):  # a stdin that cannot be watched, such as a file, says nothing
        loop.add_reader(stdin, look)
