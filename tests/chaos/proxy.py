"""A TCP proxy that can be shut: for a database that is stopped, or that answers nothing any more."""

import asyncio
import contextlib
import threading
from typing import Literal

Mode = Literal["open", "shut", "silent"]


class Proxy:
    """Forwards to `port`. `shut`: connections are cut and new ones refused; `silent`: they stay, and no byte comes through."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.mode: Mode = "open"
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.wires: set[asyncio.StreamWriter] = set()
        self.up = threading.Event()
        self.flowing = asyncio.Event()
        self.server: asyncio.Server | None = None
        self.thread = threading.Thread(target=self._run, name="proxy")
        self.thread.start()
        self.up.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.flowing.set()
        self.loop.run_until_complete(self._listen())
        self.up.set()
        self.loop.run_forever()
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self.loop.close()

    async def _listen(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self.wires |= {writer, up_writer}
        try:
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        finally:
            for wire in (writer, up_writer):
                self.wires.discard(wire)
                wire.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _set(self, mode: Mode) -> None:
        self.mode = mode
        if mode == "silent":
            self.flowing.clear()
            return
        self.flowing.set()
        if mode == "shut" and self.server is not None:
            self.server.close()
            for wire in list(self.wires):
                wire.transport.abort()
            self.server = None
        elif mode == "open" and self.server is None:
            await self._listen()

    def set(self, mode: Mode) -> None:
        asyncio.run_coroutine_threadsafe(self._set(mode), self.loop).result(10)

    def close(self) -> None:
        self.set("shut")
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
