"""A relay worker, composed here from top to bottom. It has the snapshot and its journal, and never the database."""

import asyncio
import logging
import os
import signal
import socket
import tempfile
from pathlib import Path

import uvicorn
import uvloop

from spangate import __version__, descriptors
from spangate.config import Settings
from spangate.envelope import Keyring, Pepper, load_or_make_key, parse_key
from spangate.exchange import SealedKey
from spangate.observe import calls, logs
from spangate.observe.calls import CallNumbers, ObservedJournal
from spangate.observe.metrics import OWED, SNAPSHOT_IN_FORCE, UNIDENTIFIED
from spangate.observe.series import Numbers
from spangate.process import Server, keep_what_is_there, tell_ready, when_orphaned
from spangate.providers import catalog
from spangate.record.journal import FileJournal
from spangate.record.recorder import Recorder
from spangate.relay.cooling import Cooling
from spangate.relay.drain import Drains
from spangate.relay.engine import Relay
from spangate.relay.owed import OwingJournal
from spangate.relay.simulated import SimulatedTransport
from spangate.relay.upstream import HttpTransport, Timeouts

from .bodies import BodyLimits
from .forward import Forward
from .gauges import Gauges, Tokenizers
from .hosts import Hosts, allowed_by_default
from .ingress import Ingress
from .protocol import Limits, bounded
from .responses import Responses
from .snapshots import Snapshots

logger = logging.getLogger("spangate.worker")

KEEP_ALIVE = 75  # s that a client's idle connection is kept; longer than the SDKs keep theirs, so that they close first
PAY_PAUSE = 1.0  # s
GAUGE_PAUSE = 1.0  # s
READY_PAUSE = 0.05  # s between two looks whether a call could be served yet
NO_ROOM = "journal: the disk is full, no new calls are taken"
LITTLE_ROOM = "journal: the disk is nearly full, what is said in calls is not kept"
LAST_WORDS = 2.0  # s for calls that were cut at the end of grace to settle


def main(settings: Settings, listen_fd: int, ready_fd: int | None = None) -> None:
    hidden = (settings.admin_key, settings.kek, settings.pepper)
    logs.configure(level=settings.log_level, format=settings.log_format, process="worker", secrets=hidden)
    # An answer that is cut off on purpose is no fault of the application.
    logging.getLogger("uvicorn.error").addFilter(lambda line: "without completing response" not in line.getMessage())
    uvloop.run(serve(settings, socket.socket(fileno=listen_fd), ready_fd))


async def serve(settings: Settings, listener: socket.socket, ready_fd: int | None = None) -> None:
    keyring = Keyring(parse_key(settings.kek) if settings.kek else load_or_make_key(settings.kek_file))
    pepper = Pepper(parse_key(settings.pepper) if settings.pepper else load_or_make_key(settings.pepper_file))
    allow_private = settings.allow_private_upstreams
    snapshots = Snapshots(settings.snapshot_file, keyring, catalog(), allow_private=allow_private, admin=admin_key(settings, pepper))
    snapshots.refresh()
    journal = FileJournal(
        settings.journals_dir,
        strict=settings.strict,
        fsync_interval=settings.fsync_interval,
        reserve=int(settings.journal_reserve),
        low=int(settings.disk_low),
    )
    owing = OwingJournal(journal)
    numbers = Numbers(settings.metrics_dir, "worker")
    count = CallNumbers(numbers)
    observed = ObservedJournal(owing, *((count, calls.say) if settings.access_log else (count,)), numbers=numbers)
    timeouts = Timeouts(
        connect=settings.connect_timeout,
        first_byte=settings.first_byte_timeout,
        idle=settings.idle_timeout,
        total=settings.total_timeout,
    )
    transport = HttpTransport(timeouts, user_agent=f"spangate/{__version__}")
    simulated = SimulatedTransport()
    content_limit = int(settings.content_limit)
    forward = Forward(settings.control_socket, settings.control_address_file)
    relay = Relay(
        routes=lambda: snapshots.routes,
        responses=Responses(lambda response_id: forward.maker(response_id, settings.admin_key)),
        transport=transport,
        simulated=simulated,
        journal=observed,
        record=lambda: Recorder(content_limit=content_limit),
        health=Cooling(settings.health_file),
        drains=Drains(seconds=settings.drain_seconds, tokens=settings.drain_tokens),
        timeouts=timeouts,
        content_limit=content_limit,
        gauge=Gauges(lambda: snapshots.calibrations, Tokenizers() if settings.tokenizer else None),
    )

    def unidentified(call_id: str) -> None:
        numbers.add(UNIDENTIFIED)
        if settings.access_log:
            calls.say_unidentified(call_id)

    def answered(method: str, path: str, status: int) -> None:
        if settings.access_log:
            calls.say_request(method, path, status, reads=method in ("GET", "HEAD"))

    async def ready() -> tuple[bool, list[str]]:
        known = snapshots.version is not None
        journal.room.look()
        full = unwritable(settings.journals_dir) or (NO_ROOM if journal.room.full else None)
        low = LITTLE_ROOM if journal.room.low and not full else None
        faults = [snapshots.fault, full, low, None if known else "snapshot: none was published yet"]
        degraded = [fault for fault in faults if fault] + await forward.degraded(settings.admin_key)
        return known and not full, degraded

    ingress = Ingress(
        relay=relay,
        knowledge=snapshots,
        pepper=pepper,
        forward=forward,
        ready=ready,
        bodies=BodyLimits(int(settings.body_limit), settings.body_idle_timeout),
        hosts=Hosts(settings.allowed_hosts.split(",") if settings.allowed_hosts else allowed_by_default(settings.host)),
        unidentified=unidentified,
        answered=answered,
    )
    limits = Limits(
        head_timeout=settings.head_timeout, write_timeout=settings.write_timeout, connections=descriptors.take(settings.max_connections)
    )
    server = _server(ingress, bounded(limits), settings.grace)
    chores = [
        asyncio.create_task(snapshots.follow()),
        asyncio.create_task(paying(owing)),
        asyncio.create_task(gauging(numbers, snapshots, owing)),
        asyncio.create_task(ready_to_serve(server, snapshots, settings.journals_dir, ready_fd)),
    ]
    try:
        await _listen(server, listener)
    finally:
        for chore in chores:
            chore.cancel()
        await relay.close()
        await transport.close()
        await forward.close()
        owing.pay()
        journal.close()
        numbers.close()


async def paying(owing: OwingJournal) -> None:
    """For the life of the process: also without new calls, what is owed is written soon after the disk takes it again."""
    while True:
        await asyncio.sleep(PAY_PAUSE)
        owing.pay()


async def gauging(numbers: Numbers, snapshots: Snapshots, owing: OwingJournal) -> None:
    """For the life of the process: what is looked at now and then, not counted call by call."""
    pid = (str(os.getpid()),)
    while True:
        numbers.set(SNAPSHOT_IN_FORCE, snapshots.version or 0, pid)
        numbers.set(OWED, len(owing))
        await asyncio.sleep(GAUGE_PAUSE)


async def ready_to_serve(server: Server, snapshots: Snapshots, journals: Path, ready_fd: int | None) -> None:
    """Returns when a call could be served, and has told the supervisor so: then another worker may go."""
    while not server.started or snapshots.version is None or unwritable(journals):  # noqa: ASYNC110  nobody could set an event for a disk
        await asyncio.sleep(READY_PAUSE)
    keep_what_is_there()
    tell_ready(ready_fd)


def unwritable(journals: Path) -> str | None:
    """Why no record could be written now, if so."""
    try:
        with tempfile.TemporaryFile(dir=journals, buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        return f"journal: {error.strerror}"
    return None


def _server(ingress: Ingress, http: type[asyncio.Protocol], grace: float) -> Server:
    return Server(
        uvicorn.Config(
            ingress,
            loop="uvloop",
            http=http,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=grace,  # pyright: ignore[reportArgumentType]  fractions are fine: it goes to wait_for
        ),
        shared=True,
    )


async def _listen(server: Server, listener: socket.socket) -> None:
    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGHUP, server.retire)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is for the supervisor, which tells us
    when_orphaned(loop, stop)
    await server.serve(sockets=[listener])
    if server.server_state.tasks:  # cancelled when the grace was over: each settles its call
        await asyncio.wait(list(server.server_state.tasks), timeout=LAST_WORDS)


def admin_key(settings: Settings, pepper: Pepper) -> SealedKey | None:
    """The admin's key as this process was given it: the snapshot may be older, with the database down since the key was changed."""
    if settings.admin_key is None:
        return None
    return SealedKey(key_id="admin", digest=pepper.digest(settings.admin_key.encode()), name="admin")
