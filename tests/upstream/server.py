"""The replay upstream's process: `python -m tests.upstream.server` prints its address, serves until its stdin closes.

POST …/chat/completions, …/completions, …/embeddings, …/responses, …/responses/compact, what belongs to …/responses/ID, …/messages,
…/messages/count_tokens and
…/models/MODEL:generateContent and its like, under any prefix.
GET /stats: sums. GET /served?after=N: one row a call,
in the order in which they were received whole. GET /requests/ID: the last request with that mark, byte for byte.
Raw asyncio and httptools, because the bench's upstream must cost less than what is measured.
"""

import asyncio
import base64
import json
import re
import socket
import struct
import sys
import threading
import time
from collections import OrderedDict
from typing import Any, cast
from urllib.parse import unquote

import httptools
import msgspec
import uvloop

from .faults import FAULTS
from .knobs import Knobs, knobs
from .plays import Answer, Over, Pause, Scene, answer
from .script import ID, Script, script
from .stored import BACKGROUND, PATH, Shelf

MODEL = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
STREAM = re.compile(rb'"stream"\s*:\s*true')
BASE64 = re.compile(rb'"encoding_format"\s*:\s*"base64"')
EARLY = b" fault=refused-"  # answered as soon as this much of the request is there
ASK = re.compile(rb'"include_usage"\s*:\s*true')
CREDENTIALS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")
KEPT = 2000  # whole requests, newest: enough for a test to look at its own
REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 429: b"Too Many Requests", 503: b"Service Unavailable"}
# By the end of the path; the first that fits.
FORMATS = {
    b"/chat/completions": "openai.chat",
    b"/completions": "openai.completions",
    b"/embeddings": "openai.embeddings",
    b"/responses": "openai.responses",
    b"/responses/compact": "openai.compaction",
    b"/messages": "anthropic.messages",
    b"/messages/count_tokens": "anthropic.count_tokens",
    b":generateContent": "gemini.generate",
    b":streamGenerateContent": "gemini.generate",
    b":embedContent": "gemini.embeddings",
    b":batchEmbedContents": "gemini.embeddings",
    b":countTokens": "gemini.count_tokens",
}
ON_REQUEST = {"openai.chat", "openai.completions"}  # the others' streams say usage unasked
PLAIN = {"openai.embeddings", "openai.compaction", "gemini.embeddings", "gemini.count_tokens", "anthropic.count_tokens"}
INPUT_ONLY = {"openai.embeddings", "gemini.embeddings"}
UNCOUNTED = {"gemini.count_tokens", "anthropic.count_tokens"}  # what they count is no usage


class Served(msgspec.Struct):
    """One call as the provider would bill it."""

    n: int
    id: str
    format: str
    model: str
    stream: bool
    status: int
    input: int
    output: int
    at: float
    reported: bool = False  # the count of tokens went out on the wire
    events: int = 0  # content events that went out
    outcome: str = "open"  # open | whole | cut (by a knob) | client_gone | refused
    request_id: str = ""
    fault: str = ""
    wrote: float = 0.0  # wall clock, when the last bytes of a played fault went out
    closed: float | None = None  # wall clock, when the other side closed the connection on an answer that was not over


class Books:
    """All that was served by this process."""

    def __init__(self) -> None:
        self.served: list[Served] = []
        self.kept: OrderedDict[str, tuple[list[tuple[bytes, bytes]], bytes, str]] = OrderedDict()
        self.shelf = Shelf()
        self.connections = 0
        self.open_connections = 0

    def stats(self) -> dict[str, Any]:
        outcomes: dict[str, int] = {}
        for row in self.served:
            outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
        return {
            "calls": len(self.served),
            "input": sum(row.input for row in self.served),
            "output": sum(row.output for row in self.served),
            "outcomes": outcomes,
            "connections": self.connections,
            "open_connections": self.open_connections,
        }


def head(status: int, headers: tuple[tuple[bytes, bytes], ...], request_id: bytes, length: int | None) -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (status, REASONS.get(status, b"Status"))]
    lines += [name + b": " + value for name, value in headers]
    lines.append(b"x-request-id: " + request_id)
    lines.append(b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length)
    return b"\r\n".join([*lines, b"", b""])


def chunked(frame: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(frame), frame)


class Connection(asyncio.Protocol):
    def __init__(self, books: Books) -> None:
        self.books = books
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpRequestParser(self)
        self.task: asyncio.Task[None] | None = None
        self.row: Served | None = None
        self.writable = asyncio.Event()
        self.writable.set()
        self.reset()

    def reset(self) -> None:
        self.url = b""
        self.body: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.answered = False  # before the request was there

    # asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.books.connections += 1
        self.books.open_connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.books.open_connections -= 1
        if self.task is not None and not self.task.done():
            self.task.cancel()
            if self.row is not None:
                self.row.closed = time.time()
        if self.row is not None and self.row.outcome == "open":
            self.row.outcome, self.row.closed = "client_gone", time.time()
        self.writable.set()
        self.transport = None

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            assert self.transport is not None
            self.transport.abort()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    # httptools
    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect" and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body.append(body)
        if EARLY in body and not self.answered:
            self.on_message_complete()
            self.answered = True

    def on_message_complete(self) -> None:
        if self.answered:
            self.reset()
            return
        url, body, headers = self.url, b"".join(self.body), self.headers
        method = self.parser.get_method()
        self.reset()
        path = url.partition(b"?")[0]
        if (kept := PATH.search(path)) is not None:
            self.look_up(method, kept, url, headers)
            return
        if method == b"GET":
            self.answer_about(path, url)
            return
        for end, format in FORMATS.items():
            if path.endswith(end):
                self.serve(format, url, headers, body)
                return
        self.write_json(404, {"error": {"message": f"no such path: {path.decode()}"}})

    # what we say about ourselves
    def answer_about(self, path: bytes, url: bytes) -> None:
        books = self.books
        if path == b"/stats":
            self.write_json(200, books.stats())
        elif path == b"/served":
            after = int(url.partition(b"after=")[2] or b"0")
            self.write_json(200, [msgspec.structs.asdict(row) for row in books.served[after:]])
        elif path.startswith(b"/requests/") and (kept := books.kept.get(path[10:].decode())) is not None:
            headers, body, seen = kept
            about = {"headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in headers], "path": seen}
            self.write_json(200, about | {"body": base64.b64encode(body).decode()})
        elif path.endswith(b"/models"):
            self.write_json(200, {"object": "list", "data": [{"id": "gpt-replay", "object": "model", "created": 1, "owned_by": "replay"}]})
        else:
            self.write_json(404, {"error": {"message": "not found"}})

    def write_json(self, status: int, value: object, row: Served | None = None) -> None:
        body = json.dumps(value).encode()
        if self.transport is not None:
            request_id = b"-" if row is None else row.request_id.encode()
            self.transport.write(head(status, ((b"content-type", b"application/json"),), request_id, len(body)) + body)
        if row is not None:
            row.outcome = "whole" if status == 200 else "refused"

    def look_up(self, method: bytes, kept: re.Match[bytes], url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """A response that an earlier call made."""
        books = self.books
        said = books.shelf.answer(method, kept["id"].decode(), kept["rest"], url.partition(b"?")[2])
        n = len(books.served) + 1
        given_in, given_out = said.asked.tokens if said.status == 200 else (0, 0)
        stream = bool(said.frames)
        row = Served(n, said.id, "openai.responses.stored", said.model, stream, said.status, given_in, given_out, time.time())
        row.request_id, row.reported = f"req_{n:08d}", said.reported
        books.served.append(row)
        books.kept[said.id] = (headers, b"", url.decode("latin-1"))
        self.row = row
        if not stream or self.transport is None:
            self.write_json(said.status, said.value, row)
            return
        joined = b"".join(chunked(frame) for frame in said.frames)
        sse = ((b"content-type", b"text/event-stream"),)
        self.transport.write(head(200, sse, row.request_id.encode(), None) + joined + b"0\r\n\r\n")
        row.outcome = "whole"

    # what we serve
    def serve(self, format: str, url: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        path = url.partition(b"?")[0]
        if format.startswith("gemini."):  # the path names the model
            model = unquote(path.rpartition(b"/models/")[2].rpartition(b":")[0].decode("latin-1"))
        else:
            found = MODEL.search(body)
            model = json.loads(b'"' + found[1] + b'"') if found else ""
        try:
            asked = knobs(body, model)
        except ValueError as exc:
            self.write_json(400, {"error": {"message": f"knobs: {exc}", "type": "invalid_request_error"}})
            return
        stream = format not in PLAIN and (STREAM.search(body) is not None or path.endswith(b":streamGenerateContent"))
        if stream and format == "gemini.generate" and b"alt=sse" not in url:
            asked = msgspec.structs.replace(asked, array=True)
        if path.endswith(b":embedContent"):
            asked = msgspec.structs.replace(asked, n=1)
        if format in UNCOUNTED:
            asked = msgspec.structs.replace(asked, usage="none")
        books = self.books
        n = len(books.served) + 1
        given_in, given_out = asked.tokens
        if format in INPUT_ONLY:
            given_out = 0
        named = "openai.responses" if format == "openai.compaction" else format
        row = Served(n, asked.id, named, model, stream, asked.status, given_in, given_out, time.time(), request_id=f"req_{n:08d}")
        books.served.append(row)
        books.kept[asked.id] = (headers, body, path.decode("latin-1"))
        if len(books.kept) > KEPT:
            books.kept.popitem(last=False)
        self.row = row
        if asked.fault:
            ask = format not in ON_REQUEST or ASK.search(body) is not None
            scene = Scene(format, stream, model.partition(";")[0], asked, ask, shown(headers))
            row.fault = asked.fault
            self.task = asyncio.get_running_loop().create_task(self.act(row, FAULTS[asked.fault].edit(answer(scene))))
            return
        if format == "openai.responses" and asked.status == 200:
            background = BACKGROUND.search(body) is not None
            books.shelf.keep(asked, model.partition(";")[0], background=background, told=stream or not background)
            if background and not stream:
                self.write_json(200, books.shelf.begun(asked, model), row)
                return
        # The id leaves the key, so that a thousand calls of one kind share one script; the counts stay in it.
        kind = msgspec.structs.replace(asked, id="", input=given_in, output=given_out, base64=BASE64.search(body) is not None)
        ask = format not in ON_REQUEST or ASK.search(body) is not None
        spoken = script(format, kind, model.partition(";")[0], stream, ask)
        if asked.first or asked.delay or asked.pace or asked.drop is not None or asked.stall is not None:
            self.task = asyncio.get_running_loop().create_task(self.play(row, asked, spoken, ask))
        else:
            self.burst(row, asked, spoken, ask)

    def burst(self, row: Served, asked: Knobs, spoken: Script, ask: bool) -> None:
        """All of it in one write: the quick way, and all that a bench asks for."""
        call, transport = asked.id.encode(), self.transport
        assert transport is not None
        request_id = row.request_id.encode()
        if not (row.stream and spoken.frames):
            body = spoken.body.replace(ID, call)
            transport.write(head(spoken.status, spoken.headers, request_id, len(body)) + body)
            row.outcome, row.reported = ("whole", counted(asked)) if row.status == 200 else ("refused", False)
            return
        frames, events, whole = cut(asked, spoken)
        joined = b"".join(chunked(frame.replace(ID, call)) for frame in frames)
        transport.write(head(spoken.status, spoken.headers, request_id, None) + joined + b"0\r\n\r\n")
        row.events, row.outcome, row.reported = events, "whole" if whole else "cut", whole and counted(asked, ask)

    async def play(self, row: Served, asked: Knobs, spoken: Script, ask: bool) -> None:
        """Event after event, with what was asked to go wrong."""
        call = asked.id.encode()
        if asked.first:
            await asyncio.sleep(asked.first)
        request_id = row.request_id.encode()
        if not (row.stream and spoken.frames):
            if asked.drop is not None:
                self.abort(row)
                return
            body = spoken.body.replace(ID, call)
            start = head(spoken.status, spoken.headers, request_id, len(body))
            if asked.stall is not None:
                await self.write(start + body[: len(body) // 2])
                await asyncio.Event().wait()
            await self.write(start + body)
            row.outcome, row.reported = ("whole", counted(asked)) if row.status == 200 else ("refused", False)
            return
        await self.write(head(spoken.status, spoken.headers, request_id, None))
        frames, _, whole = cut(asked, spoken)
        last = asked.drop if asked.drop is not None else asked.stall
        places = set(spoken.content)
        for index, frame in enumerate(frames):
            if index in places:
                if last is not None and row.events >= last:
                    break
                if asked.delay and row.events:
                    await asyncio.sleep(asked.delay)
            await self.write(chunked(frame.replace(ID, call)))
            row.events += index in places
            if last and row.events >= last:
                break
            if b"[DONE]" not in frame:
                await asyncio.sleep(0)
        if asked.drop is not None:
            self.abort(row)
        elif asked.stall is not None:
            await asyncio.Event().wait()
        else:
            row.outcome, row.reported = "whole" if whole else "cut", whole and counted(asked, ask)
            await self.write(b"0\r\n\r\n")

    async def act(self, row: Served, played: Answer) -> None:
        """A fault by name, step by step."""
        for step in played.steps(row.request_id.encode()):
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            if isinstance(step, Over):
                row.outcome = "whole"
                continue
            await self.write(step)
            row.wrote = time.time()
        if played.end == "stall":
            await asyncio.Event().wait()
        row.outcome, row.reported, row.status = played.outcome, played.reported, played.status
        transport = self.transport
        if transport is None:
            return
        if played.end == "rst":
            # Without it an abort is a FIN whenever nothing is left unread.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        elif played.end == "fin":
            transport.close()

    async def write(self, data: bytes) -> None:
        await self.writable.wait()
        if self.transport is None or self.transport.is_closing():
            raise asyncio.CancelledError
        self.transport.write(data)

    def abort(self, row: Served) -> None:
        row.outcome = "cut"
        if self.transport is not None:
            self.transport.abort()


def shown(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The credential that came with the request."""
    said = {name.lower(): value for name, value in headers}
    return next((said[name].rpartition(b" ")[2] for name in CREDENTIALS if name in said), b"")


def counted(asked: Knobs, ask: bool = True) -> bool:
    """Whether a whole answer says its tokens."""
    return asked.usage == "choices" or (asked.usage == "exact" and ask)


def cut(asked: Knobs, spoken: Script) -> tuple[tuple[bytes, ...], int, bool]:
    """The frames that go out, how many of them are content, and whether the answer is whole."""
    for at, tail in ((asked.end, ()), (asked.err, (spoken.error,))):
        if at is not None and at <= len(spoken.content):
            place = spoken.content[at] if at < len(spoken.content) else spoken.content[-1] + 1
            return (*spoken.frames[:place], *tail), at, False
    return spoken.frames, len(spoken.content), True


async def main() -> None:
    books = Books()
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = await loop.create_server(lambda: Connection(books), sock=listener)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    # Who started us holds the other end of our stdin: when it goes, so do we, whatever killed it.
    gone = asyncio.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(gone.set)

    threading.Thread(target=watch, daemon=True).start()
    await gone.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
