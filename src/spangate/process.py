"""What the two kinds of process have in common: how they listen, how they end, and how they learn that the supervisor is gone.

Two ways to end. *Stop*: no new connection, what is open is finished within the grace, then cut. *Retire*, in a rolling restart, when
others answer: no new connection either, but no hurry. A connection is closed only behind a reply that said `Connection: close`, or when
it was silent for as long as any other may be: so no request ever meets a door that is just being shut.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import socket
import stat
from collections.abc import Callable, Generator

import uvicorn

logger = logging.getLogger("spangate.process")

READY = b"\n"
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
BREATH = 1.0  # s without new connections when the system has no room for one; asyncio waits as long
CLOSE = ("connection", "close")


class Doorway:
    """Takes connections off a listening socket that other processes share, one a turn of the loop.

    uvloop's own server takes all that wait at once: of a burst of 100 connections one of three workers got 97, for as long as its
    client kept them. One a turn, and whoever has least to do takes most. SO_REUSEPORT would share them out too, but the kernel resets
    the connections that wait for a process which ends: no rolling restart is possible with it.
    """

    def __init__(self, listener: socket.socket, connected: Callable[[], asyncio.Protocol], *, shared: bool) -> None:
        self._listener = listener
        self._connected = connected
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[object]] = set()
        self._closed = False
        listener.setblocking(False)
        self._open()

    def _open(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener.fileno(), self._take)

    def _take(self) -> bool:
        """Whether there was one."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was quicker, or the client has left
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            logger.error("No more connections can be taken now: %s", error.strerror)
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(BREATH, self._open)
            return False
        task = self._loop.create_task(self._enter(connection))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)
        return True

    async def _enter(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(self._connected, connection)
        except OSError:  # it left on the doorstep
            connection.close()

    @property
    def entering(self) -> bool:
        """Whether somebody was taken who is not among the connections yet."""
        return bool(self._entering)

    def close(self) -> None:
        """From now on others take the connections: the socket stays theirs. Of one that is ours alone, who waits is taken yet."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener.fileno())
            while not self._shared and self._take():
                pass
            self._listener.close()

    async def wait_closed(self) -> None:
        if self._entering:
            await asyncio.wait(self._entering)


class Server(uvicorn.Server):
    """uvicorn with signals left to us, a doorway of our own, and `retire` beside its stop (`should_exit`).

    `shared`: other processes take connections off the same socket.
    """

    def __init__(self, config: uvicorn.Config, *, shared: bool = False) -> None:
        super().__init__(config)
        self._shared = shared
        self._doorways: list[Doorway] = []
        self._retiring = False

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn would raise them again after its shutdown, before the journal is closed and the last drain is done."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        def connected() -> asyncio.Protocol:
            return self.config.http_protocol_class(config=self.config, server_state=self.server_state, app_state={})  # type: ignore[call-arg]  # pyright: ignore

        self._doorways = [Doorway(listener, connected, shared=self._shared) for listener in sockets or ()]
        self.servers = self._doorways  # pyright: ignore[reportAttributeAccessIssue]  its shutdown closes them and waits
        self.started = True

    def retire(self) -> None:
        """Ends by itself when the last connection is gone."""
        if self._retiring:
            return
        self._retiring = True
        for doorway in self._doorways:
            doorway.close()
        # On each reply whose head is still to be written. A reply under way keeps its connection, for one more request or the idle time.
        self.config.headers.append(CLOSE)
        self.config.encoded_headers = [*self.config.encoded_headers, (CLOSE[0].encode(), CLOSE[1].encode())]
        self.server_state.default_headers = [*self.server_state.default_headers, (CLOSE[0].encode(), CLOSE[1].encode())]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False  # its reply will say so

    async def on_tick(self, counter: int) -> bool:
        over = await super().on_tick(counter)
        idle = not self.server_state.connections and not any(doorway.entering for doorway in self._doorways)
        return over or (self._retiring and idle)


def when_orphaned(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    """The supervisor holds the other end of our stdin: when that ends, it is gone."""
    stdin = 0

    def look() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            logger.warning("The supervisor is gone; stopping")
            then()

    try:
        kind = os.fstat(stdin).st_mode
    except OSError:  # there is no stdin
        return
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):  # a file or a terminal says nothing
        loop.add_reader(stdin, look)


def tell_ready(fd: int | None) -> None:
    """Tells the supervisor that this process serves. `fd`: the pipe that it reads, if it asked for word."""
    if fd is None:
        return
    with contextlib.suppress(OSError):  # it is gone, or no longer interested
        os.write(fd, READY)
    os.close(fd)


def keep_what_is_there() -> None:
    """To be called when all is loaded. Modules and prices are some 200,000 objects that stay for the life of the process: to search them
    for cycles again each time that enough has come takes 0.1 s, for which everybody waits."""
    gc.collect()
    gc.freeze()
