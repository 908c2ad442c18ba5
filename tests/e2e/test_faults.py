"""Every fault of tests/upstream/faults.py through a real gateway, in every format, plain and streamed: what the client got, what the books
say, when the provider's connection was closed. The results are docs/faults.md: `make faults` writes it, and this test compares.
"""

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.upstream.faults import FAULTS, Closed, Expected, Fault
from tests.upstream.knobs import Knobs, mark
from tests.upstream.plays import Answer, Scene, answer
from tests.upstream.process import Upstream
from tests.upstream.server import Served

from .client import CALLER, Seen
from .faults_page import Case, page
from .gateway import ADMIN_KEY, PROVIDER_SECRET, Call, Gateway, free_port
from .invariant import Violation, check
from .wire import Took, ask

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
AT_ONCE = 24  # calls
PATIENCE = 2.0  # s that an endpoint waits for a provider that will stall
DRAIN = 5.0  # s that is read on for a client that has left
LOST = 3  # calls that a case before them may cost the provider's connection; more is a fault of ours
PROMPT = 1.0  # s: "at once"


class Speech(msgspec.Struct, frozen=True):
    """How a format is spoken with the gateway."""

    provider: str
    model: str
    path: str  # {} is the endpoint's name
    stream_path: str
    asked: Mapping[str, Any]
    streams: bool = True
    says_model: bool = True  # and `stream`, in the body; else the path does
    whole: str = ""  # a pattern that stands in a streamed answer to which nothing is missing


CHAT = {"messages": [{"role": "user", "content": "@mark@"}]}
SPEECH = {
    "openai.chat": Speech(
        "openai",
        "gpt-replay",
        "/v1/chat/completions",
        "/v1/chat/completions",
        {"stream_options": {"include_usage": True}, **CHAT},
        whole=r"\[DONE\]|\"finish_reason\":\"\w",
    ),
    "openai.responses": Speech(
        "openai", "gpt-replay", "/v1/responses", "/v1/responses", {"input": "@mark@"}, whole=r"\"type\":\"response.completed\""
    ),
    "anthropic.messages": Speech(
        "anthropic",
        "claude-replay",
        "/v1/messages",
        "/v1/messages",
        {"max_tokens": 64, **CHAT},
        whole=r"\"message_stop\"|\"stop_reason\":\"\w",
    ),
    "gemini.generate": Speech(
        "gemini",
        "gemini-replay",
        "/v1beta/models/{}:generateContent",
        "/v1beta/models/{}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "@mark@"}]}]},
        whole=r"\"finishReason\":\"\w",
        says_model=False,
    ),
    "gemini.array": Speech(
        "gemini",
        "gemini-replay",
        "",
        "/v1beta/models/{}:streamGenerateContent",
        {"contents": [{"role": "user", "parts": [{"text": "@mark@"}]}]},
        whole=r"\"finishReason\":\"\w",
        says_model=False,
    ),
    "openai.embeddings": Speech("openai", "gpt-replay", "/v1/embeddings", "", {"input": "@mark@"}, streams=False),
}


class Played(msgspec.Struct):
    """One call of the matrix."""

    fault: Fault
    format: str
    stream: bool
    call: str
    expected: Expected
    given: Answer
    took: Took = msgspec.field(default_factory=Took)

    @property
    def seen(self) -> Seen:
        return Seen(
            id=self.call,
            format=self.format,
            stream=self.stream,
            status=self.took.status,
            call_id=self.took.headers.get("x-spangate-call-id"),
            trace_id=self.took.headers.get("x-spangate-trace-id"),
            whole=complete(self, self.took.body) if self.took.ended and self.took.status == 200 else False,
            left=self.took.left is not None,
            body=self.took.body[-2000:],
        )


def chosen() -> dict[str, Fault]:
    """FAULTS=word,word plays only the faults whose names hold one of them."""
    words = [word for word in os.environ.get("FAULTS", "").split(",") if word]
    return {name: fault for name, fault in FAULTS.items() if not words or any(word in name for word in words)}


def matrix(again: str = "") -> Iterator[Played]:
    for name, fault in chosen().items():
        for format, speech in SPEECH.items():
            for stream in (False, True) if speech.streams else (False,):
                expected = fault.expected(format, stream)
                if expected is None:
                    continue
                call = f"{name}-{format}-{'s' if stream else 'p'}{again}"
                array = format == "gemini.array"
                scene = Scene("gemini.generate" if array else format, stream, speech.model, Knobs(id=call, fault=name, array=array))
                yield Played(fault, format, stream, call, expected, fault.edit(answer(scene)))


def complete(played: Played, body: bytes) -> bool:
    """Whether a client would take this for a whole answer."""
    if b"data:" in body[:2000] or body.startswith(b"["):
        return re.search(SPEECH[played.format].whole.encode(), body) is not None and b'"error":{' not in body
    try:
        said = json.loads(body.decode("utf-8", "replace"))
    except ValueError:
        return False
    return isinstance(said, dict) and not said.get("error")


@pytest.mark.timeout(300)
def test_every_fault_ends_as_it_should(tmp_path: Path) -> None:
    cases = list(matrix())
    with Upstream() as upstream, Gateway(tmp_path / "data", drain_seconds=DRAIN) as gateway:
        endpoints(gateway, upstream)
        before = [process.pid for process in gateway.processes()]
        asyncio.run(play(gateway, cases))
        reached = {row.id for row in upstream.served()}
        again = {place: more for place, more in enumerate(matrix("-again")) if lost_on_its_way(cases[place], reached)}
        assert len(again) <= LOST, list(again.values())
        asyncio.run(play(gateway, list(again.values())))
        seen = [played.seen for played in [*cases, *again.values()] if played.took.status or played.expected.call]
        wrong = disagreeing(gateway, upstream, seen)
        cases = [again.get(place, played) for place, played in enumerate(cases)]
        calls = {call.agent: call for call in gateway.calls()}
        served = {row.id: row for row in upstream.served()}
        assert [process.pid for process in gateway.processes()] == before, "a process of the gateway died"
        log = gateway.log_text()
    assert "Traceback" not in log, log[-6000:]
    assert "failed inside the gateway" not in log
    results = [Case(row.fault.name, row.format, row.stream, outcome(row, calls.get(row.call), served.get(row.call))) for row in cases]
    wrong += differences(cases, results, calls, served)
    wrong += [f"{row.call}: {what}" for row in cases for what in ill(row, calls.get(row.call))]
    assert not wrong, f"{len(wrong)} of {len(cases)} went wrong:\n" + "\n".join(wrong)
    if len(chosen()) == len(FAULTS):
        written = page(results)
        if os.environ.get("SPANGATE_WRITE_DOCS"):
            PAGE.write_text(written)
        assert PAGE.read_text() == written, "docs/faults.md is not what came of it: `make faults` writes it anew"


def lost_on_its_way(played: Played, reached: set[str]) -> bool:
    """Sent into an idle connection that the provider was just closing after another case's fault: a POST is not sent twice."""
    dropped = played.took.status == 502 and b"closed the connection before it answered" in played.took.body
    return dropped and played.expected.closed != "unopened" and played.call not in reached


def disagreeing(gateway: Gateway, upstream: Upstream, seen: list[Seen]) -> list[str]:
    """What the four books do not agree on."""
    try:
        check(gateway, upstream, seen)
    except Violation as violation:
        return str(violation).splitlines()
    return []


def endpoints(gateway: Gateway, upstream: Upstream) -> None:
    """One for each provider and place. One attempt a call: what is tried again is seen in test_routing."""
    places = {
        "": upstream.url,
        "closed": f"http://127.0.0.1:{free_port()}",
        "tls": upstream.url.replace("http:", "https:"),
        "drain": upstream.url,
        "impatient": upstream.url,
    }
    for provider, model in {(speech.provider, speech.model) for speech in SPEECH.values()}:
        for place, url in places.items():
            gateway.endpoint(
                named(provider, place),
                url + ("/v1beta" if provider == "gemini" else "/v1"),
                provider=provider,
                model_name=model,
                wait=False,
                fallback_config={"strategy": "SEQUENTIAL", "max_attempts": 1},
            )
    for provider in {speech.provider for speech in SPEECH.values()}:
        for place in places:
            said: dict[str, object] = {"client_gone": "drain" if place == "drain" else "close"}
            if place == "impatient":
                said |= {"first_byte_timeout": PATIENCE, "idle_timeout": PATIENCE}
            gateway.rest.call("PATCH", f"/api/v1/endpoints/{named(provider, place)}/settings", said)
    gateway.endpoint("last", upstream.url)  # whoever knows it knows all that was said before


def named(provider: str, place: str) -> str:
    return f"{provider}-{place or 'there'}"


async def play(gateway: Gateway, cases: list[Played]) -> None:
    """First those where a clock decides, as they mostly wait; then those that mean work."""
    await at_once([played for played in cases if timed(played)], gateway)
    await at_once([played for played in cases if not timed(played)], gateway)


def timed(played: Played) -> bool:
    return played.expected.closed in ("time-out", "at once", "drained")


async def at_once(cases: list[Played], gateway: Gateway) -> None:
    some = asyncio.Semaphore(AT_ONCE)

    async def one(played: Played) -> None:
        async with some:
            played.took = await call(gateway, played)

    await asyncio.gather(*(one(played) for played in cases))


async def call(gateway: Gateway, played: Played) -> Took:
    speech, fault = SPEECH[played.format], played.fault
    endpoint = named(speech.provider, "impatient" if played.expected.call == "timeout" else fault.where)
    asked = dict(speech.asked)
    if speech.says_model:
        asked |= {"model": endpoint, "stream": played.stream}
    if not played.stream:
        asked.pop("stream_options", None)
    if fault.padding:
        asked["metadata"] = {"padding": "x" * fault.padding}
    text = mark(played.call, fault=fault.name)
    before = played.given.pieces[: played.given.middle]
    return await ask(
        gateway.port,
        (speech.stream_path if played.stream else speech.path).format(endpoint),
        json.dumps(asked).replace("@mark@", text).encode(),
        {
            "authorization": f"Bearer {ADMIN_KEY}",
            "content-type": "application/json",
            "anthropic-version": "2023-06-01",
            CALLER: played.call,
        },
        client=fault.client,
        midway=sum(len(piece) for piece in before if isinstance(piece, bytes)),
        ends=lambda body: played.stream and complete(played, body),
    )


# ---------------------------------------------------------------- what came of it


def outcome(played: Played, call: Call | None, served: Served | None) -> Expected:
    attempt = call.attempts[-1] if call is not None and call.attempts else None
    return Expected(
        played.took.status,
        kind(played),  # type: ignore[arg-type]
        None if call is None else call.status,
        None if call is None else (attempt.provenance if attempt is not None else None),
        "drained"
        if attempt is not None and attempt.provenance == "drained" and served and served.closed is None
        else closed(played, served),
    )


def kind(played: Played) -> str:
    """What the bytes are that the client got."""
    took, given = played.took, played.given.body
    if took.status is None:
        return "none" if not took.body else "odd"
    if (took.ended or took.left is not None) and took.body == given:
        return "same"
    if took.ended and given.startswith(took.body) and played.seen.whole:
        return "end"
    if took.ended and problem(played, took.body):
        return "ours"
    if took.ended:
        return "odd"
    if given.startswith(took.body):
        return "part" if took.left is not None else "torn"
    if took.body.startswith(given) and events(played, took.body[len(given) :]):
        return "event"
    return "odd"


def problem(played: Played, body: bytes) -> bool:
    """Whether it is our word for what went wrong, in the format's own shape."""
    try:
        said = json.loads(body)
    except ValueError:
        return False
    error = said.get("error")
    if not isinstance(error, dict) or not error.get("message"):
        return False
    match played.format:
        case "anthropic.messages":
            return said["type"] == "error" and bool(error["type"])
        case "gemini.generate" | "gemini.array":
            return error["code"] == played.took.status and bool(error["status"])
        case _:
            return {"type", "param", "code"} <= error.keys()


def events(played: Played, tail: bytes) -> bool:
    """Whether it is one error event, as the framing has it."""
    framed = rb",(\{.*\})\]" if played.format == "gemini.array" else rb"(?:event: error\n)?data: (\{.*\})\n\n"
    found = re.fullmatch(framed, tail)
    return found is not None and "error" in json.loads(found[1])


def closed(played: Played, served: Served | None) -> Closed:
    """When the provider's connection was closed, told as a class: clocks differ from run to run."""
    if served is None:
        return "unopened"
    if served.closed is None:
        return "own"
    if played.seen.whole:
        return "after"
    since = played.took.left or served.wrote or served.at
    if served.closed - since > PROMPT:
        return "time-out"
    # A head that we refuse ends it: whether the provider has written the rest by then is a race of two processes.
    return "own" if (played.expected.bytes, played.expected.closed) == ("ours", "own") else "at once"


def ill(played: Played, call: Call | None) -> Iterator[str]:
    """What must never be, whatever the fault."""
    took = played.took
    if took.ended and took.status == 200 and complete(played, took.body) and not complete(played, played.given.body):
        yield "looks whole to the client, and the provider's answer was not"
    if played.expected.status != 500 and (b'"internal"' in took.body or (call is not None and call.fault_kind == "internal")):
        yield "the gateway failed"
    if PROVIDER_SECRET.encode() in took.body or PROVIDER_SECRET in str(took.headers):
        yield "the provider's key reached the client"
    if "set-cookie" in took.headers or "authorization" in took.headers:
        yield "a header of the provider's came down that must not"
    if call is not None and took.status is not None and took.headers.get("x-spangate-call-id") != call.call_id:
        yield "the call id of the answer is another than the ledger's"
    wanted = dict(played.given.headers).get(b"retry-after")
    if wanted is not None and took.headers.get("retry-after") != wanted.decode():
        yield f"retry-after is {took.headers.get('retry-after')}, the provider said {wanted.decode()}"


def differences(cases: list[Played], results: list[Case], calls: Mapping[str | None, Call], served: Mapping[str, Served]) -> list[str]:
    """What came otherwise than it must: one line for all calls of a fault that went wrong in the same way."""
    found: dict[tuple[str, str], list[Played]] = {}
    for row, result in zip(cases, results, strict=True):
        other = [
            f"{field}: not {wanted}, but {came}"
            for field, wanted, came in zip(
                Expected.__struct_fields__, msgspec.structs.astuple(row.expected), msgspec.structs.astuple(result.outcome), strict=True
            )
            if wanted != came
        ]
        if other:
            found.setdefault((row.fault.name, ", ".join(other)), []).append(row)
    return [
        f"{name} ({', '.join(row.call.removeprefix(name + '-') for row in rows)}): {other}; the first {about(rows[0], calls, served)}"
        for (name, other), rows in found.items()
    ]


def about(played: Played, calls: Mapping[str | None, Call], served: Mapping[str, Served]) -> str:
    call, row, took = calls.get(played.call), served.get(played.call), played.took
    ended = f"{'whole' if took.ended else 'cut off'}, {len(took.body)} of {len(played.given.body)} bytes, …{took.body[-160:]!r}"
    return f"{call and call.fault_kind}; the provider: {row and row.outcome}; the client: {ended}"
