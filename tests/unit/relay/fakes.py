"""A provider, a journal and a clock that do as they are told, and one log in which all of them write what happened in which order."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from spangate.exchange import Caller, Content, Exchange, Inbound, Maker, Reply, Route, Target
from spangate.record.recorder import Recorder
from spangate.relay.cooling import Cooling
from spangate.relay.drain import Drains
from spangate.relay.engine import Relay
from spangate.relay.route import Routes
from spangate.relay.streaming import CutOff, StreamBody
from spangate.relay.upstream import Incoming, Outgoing, held
from spangate.wire.problems import Refusal

CALL_ID = "0194f0c2-0000-7000-8000-00000000000a"
TRACE_ID = b"tr-0194f0c20000700080000000000000" + b"00a"
NAMES = [(b"x-spangate-call-id", CALL_ID.encode()), (b"x-spangate-trace-id", b"tr-" + CALL_ID.replace("-", "").encode())]
SSE = [(b"content-type", b"text/event-stream")]
JSON = [(b"content-type", b"application/json")]

PLAIN_LIMIT = 1000
DRAIN_TOKENS = 100
HANG = "hang"  # a piece that never comes


async def whole(incoming: Incoming) -> bytes:
    body, all_of_it = await held(incoming, 1 << 30)
    assert all_of_it
    return body


class Clock:
    """A quarter of a second passes between any two looks: exact in binary, so that times compare."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


@dataclass
class FakeIncoming:
    status: int
    headers: Sequence[tuple[bytes, bytes]]
    pieces: list[bytes | Exception | str]
    log: list[object]

    async def piece(self, patience: float | None = None) -> bytes:
        if not self.pieces:
            self.log.append("read end" if patience is None else f"read end within {patience:g} s")
            return b""
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, str):
            await asyncio.Event().wait()
            raise AssertionError
        return piece

    def close(self) -> None:
        self.log.append("close")


@dataclass
class FakeTransport:
    log: list[object]
    answer: Callable[[], FakeIncoming | Exception | str]
    sent: list[Outgoing] = field(default_factory=list[Outgoing])

    async def send(self, outgoing: Outgoing) -> Incoming:
        self.log.append("send")
        self.sent.append(outgoing)
        answer = self.answer()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            await asyncio.Event().wait()
            raise AssertionError
        return answer

    async def close(self) -> None:
        pass


@dataclass
class FakeJournal:
    log: list[object]
    begin_fault: OSError | None = None
    resume_fault: OSError | None = None
    settle_fault: OSError | None = None
    durable_fault: OSError | None = None
    begun: list[Exchange] = field(default_factory=list[Exchange])
    resumed: list[Exchange] = field(default_factory=list[Exchange])
    settled: list[tuple[Exchange, Content | None]] = field(default_factory=list[tuple[Exchange, Content | None]])

    def begin(self, exchange: Exchange) -> None:
        if self.begin_fault:
            raise self.begin_fault
        self.log.append("begin")
        self.begun.append(exchange)

    def resume(self, exchange: Exchange) -> None:
        if self.resume_fault:
            raise self.resume_fault
        self.log.append("resume")
        self.resumed.append(exchange)

    def settle(self, exchange: Exchange, content: Content | None) -> None:
        if self.settle_fault:
            raise self.settle_fault
        self.log.append(f"settle {exchange.status}")
        self.settled.append((exchange, content))

    async def durable(self) -> None:
        if self.durable_fault:
            raise self.durable_fault


@dataclass
class FakeResponses:
    known: dict[str, Maker] = field(default_factory=dict[str, Maker])
    fault: Refusal | None = None
    asked: list[str] = field(default_factory=list[str])

    async def maker(self, response_id: str) -> Maker | None:
        self.asked.append(response_id)
        if self.fault is not None:
            raise self.fault
        return self.known.get(response_id)

    def made(self, response_id: str, maker: Maker) -> None:
        self.known[response_id] = maker


TARGET = Target(
    model_definition_id="d-1",
    provider="openai",
    model="gpt-x",
    formats={"openai.chat": "https://p/v1/chat/completions"},
    headers={"authorization": "Bearer sk"},
    usage_in_stream="ask",
    secret_id="s-1",
)
CLAUDE = Target(
    model_definition_id="d-2",
    provider="anthropic",
    model="claude-x",
    formats={"anthropic.messages": "https://a/v1/messages"},
    headers={"x-api-key": "sk", "anthropic-version": "2023-06-01"},
)
SECOND = Target(
    model_definition_id="d-3",
    provider="groq",
    model="llama-x",
    formats={"openai.chat": "https://q/v1/chat/completions"},
    headers={"authorization": "Bearer second-secret"},
    fallback_order=1,
    secret_id="s-3",
)
ROUTES: Mapping[str, Route] = {
    # One attempt each: what follows a failed one is asked of the endpoints below.
    "chat": Route(endpoint_id="e-1", name="chat", targets=(TARGET,), experiment_id="7", max_attempts=1),
    "dark": Route(endpoint_id="e-2", name="dark", targets=(TARGET,), max_attempts=1),
    "claude": Route(endpoint_id="e-3", name="claude", targets=(CLAUDE,), experiment_id="7", max_attempts=1),
    "retry": Route(endpoint_id="e-4", name="retry", targets=(TARGET,), experiment_id="7"),
    "fall": Route(endpoint_id="e-5", name="fall", targets=(TARGET, SECOND), experiment_id="7", max_attempts=2),
}


def inbound(body: bytes, format: str = "openai.chat", *, endpoint: str | None = None) -> Inbound:
    return Inbound(
        call_id=CALL_ID,
        format=format,
        request_type="unified/chat" if format == "mlflow.chat" else f"passthrough/model/{format.replace('.', '-')}",
        path="/v1/x",
        headers=[],
        body=body,
        received_at=1_700_000_000_000_000_000,
        started=100.0,
        server="gw",
        endpoint=endpoint,
        caller=Caller(key_id="k-1", name="admin", agent="tests"),
    )


class World:
    """One relay with everything around it, for one call."""

    def __init__(
        self, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = (), pieces: Sequence[bytes | Exception | str] = ()
    ) -> None:
        self.routes = Routes(ROUTES)
        self.log: list[object] = []
        self.answer: FakeIncoming | Exception | str = FakeIncoming(status, headers, list(pieces), self.log)
        self.answers: list[FakeIncoming | Exception | str] = []  # to the attempts in their order, before `answer`
        self.transport = FakeTransport(self.log, lambda: self.answers.pop(0) if self.answers else self.answer)
        self.journal = FakeJournal(self.log)
        self.responses = FakeResponses()
        self.clock = Clock()
        self.health = Cooling(clock=lambda: self.clock.now)
        self.drains = Drains(seconds=5.0, tokens=DRAIN_TOKENS)
        self.relay = Relay(
            routes=lambda: self.routes,
            responses=self.responses,
            transport=self.transport,
            simulated=self.transport,
            journal=self.journal,
            record=Recorder,
            health=self.health,
            drains=self.drains,
            plain_limit=PLAIN_LIMIT,
            clock=self.clock,
            wall=lambda: 1_700_000_000.0,
            roll=lambda: 0.0,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.log.append(f"sleep {seconds:g}")
        await asyncio.sleep(0)

    def says(self, status: int, headers: Sequence[tuple[bytes, bytes]] = JSON, *pieces: bytes | Exception | str) -> FakeIncoming:
        return FakeIncoming(status, headers, list(pieces), self.log)

    async def call(self, body: bytes, format: str = "openai.chat", *, endpoint: str | None = None) -> Reply:
        return await self.relay(inbound(body, format, endpoint=endpoint))

    async def stream(self, body: bytes, format: str = "openai.chat") -> tuple[Reply, list[bytes], bool]:
        """The reply, what the client got, and whether the answer had its end."""
        reply = await self.call(body, format)
        assert isinstance(reply.body, StreamBody)
        got: list[bytes] = []
        try:
            async for piece in reply.body:
                self.log.append(piece)
                got.append(piece)
        except CutOff:
            self.log.append("cut")
            return reply, got, False
        self.log.append("end")
        return reply, got, True

    @property
    def exchange(self) -> Exchange:
        assert len(self.journal.settled) == 1, self.log
        return self.journal.settled[0][0]

    @property
    def content(self) -> Content | None:
        return self.journal.settled[0][1]
