"""The load: a process of its own, raw asyncio and httptools, so that it costs little beside what it measures.

Reads one JSON job on stdin, writes one JSON report on stdout. Each call has its own mark, of the same length as all others.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

import httptools
import msgspec
import uvloop

OPENAI = re.compile(rb'"usage":\{"prompt_tokens":(\d+),"completion_tokens":(\d+)')
ANTHROPIC_IN = re.compile(rb'"input_tokens":(\d+),"cache_creation_input_tokens":(\d+),"cache_read_input_tokens":(\d+)')
ANTHROPIC_OUT = re.compile(rb'"output_tokens":(\d+)')
MARK = "@mark@"
COUNT = "@count@"  # a number of tokens; there are few of them, so that the upstream makes few scripts, and enough to notice a mix-up


class Job(msgspec.Struct):
    port: int
    path: str
    headers: list[tuple[str, str]]
    body: str  # MARK and COUNT stand for the call's own; MARK in the headers too
    calls: int
    at_once: int
    prefix: str
    stream: bool = False
    format: str = "openai.chat"


class Report(msgspec.Struct):
    """`seen`: id, status, call id, trace id, whole, input, output."""

    elapsed: float
    bytes: int
    p50: float
    p99: float
    seen: list[tuple[str, int | None, str | None, str | None, bool, int | None, int | None]]


class Wire(asyncio.Protocol):
    """One connection, one call after the other."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.next()

    def next(self) -> None:
        assert self.transport is not None
        request = self.run.next()
        if request is None:
            self.id = ""
            self.transport.close()
            return
        self.id, data = request
        self.call_id: str | None = None
        self.trace_id: str | None = None
        self.body: list[bytes] = []
        self.started = time.perf_counter()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"x-spangate-call-id":
            self.call_id = value.decode()
        elif name == b"x-spangate-trace-id":
            self.trace_id = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.run.done(self, self.parser.get_status_code(), time.perf_counter() - self.started)
        self.parser = httptools.HttpResponseParser(self)
        # Not inside the parser's own feed: the next reply gets a parser of its own.
        self.run.loop.call_soon(self.next)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.id:
            self.run.lost(self.id)
        self.run.closed()


class Run:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.loop = asyncio.get_running_loop()
        self.number = 0
        self.size = 0
        self.times: list[float] = []
        self.report: list[tuple[str, int | None, str | None, str | None, bool, int | None, int | None]] = []
        self.open = job.at_once
        self.finished = asyncio.Event()
        sample = self._body("0" * 8)
        lines = [f"POST {job.path} HTTP/1.1", f"host: 127.0.0.1:{job.port}", *(f"{k}: {v}" for k, v in job.headers)]
        lines += ["content-type: application/json", f"content-length: {len(sample)}", "", ""]
        self.head = "\r\n".join(lines)

    def _body(self, number: str) -> bytes:
        return self.job.body.replace(MARK, self.job.prefix + number).replace(COUNT, str(101 + int(number) % 16)).encode()

    def next(self) -> tuple[str, bytes] | None:
        if self.number >= self.job.calls:
            return None
        self.number += 1
        number = f"{self.number:08d}"
        id = self.job.prefix + number
        return id, self.head.replace(MARK, id).encode() + self._body(number)

    def done(self, wire: Wire, status: int, took: float) -> None:
        body = b"".join(wire.body)
        self.size += len(body)
        self.times.append(took)
        given: tuple[int | None, int | None] = (None, None)
        if self.job.format == "openai.chat":
            if usage := OPENAI.findall(body):
                given = int(usage[-1][0]), int(usage[-1][1])
            whole = not self.job.stream or b"data: [DONE]" in body
        else:
            if (first := ANTHROPIC_IN.search(body)) and (out := ANTHROPIC_OUT.findall(body)):
                given = sum(int(n) for n in first.groups()), int(out[-1])
            whole = not self.job.stream or b'"type":"message_stop"' in body
        self.report.append((wire.id, status, wire.call_id, wire.trace_id, whole and status == 200, *given))
        wire.id = ""

    def lost(self, id: str) -> None:
        self.report.append((id, None, None, None, False, None, None))

    def closed(self) -> None:
        self.open -= 1
        if not self.open:
            self.finished.set()


async def main() -> None:
    job = msgspec.convert(json.loads(sys.stdin.read()), Job)
    run = Run(job)
    started = time.perf_counter()
    for _ in range(job.at_once):
        await run.loop.create_connection(lambda: Wire(run), "127.0.0.1", job.port)
    await run.finished.wait()
    elapsed = time.perf_counter() - started
    times = sorted(run.times) or [0.0]
    report = Report(elapsed, run.size, times[len(times) // 2], times[int(len(times) * 0.99)], run.report)
    sys.stdout.buffer.write(msgspec.json.encode(report))


if __name__ == "__main__":
    uvloop.run(main())
