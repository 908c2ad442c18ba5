"""Every fault that a call can meet, by name: how it is played, and what a gateway owes its client and its books then.

One table; a new fault is a row. Expectations are written from what is right, never taken from a run.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from . import plays
from .plays import Answer, Edit, Pause, then

Bytes = Literal["same", "end", "ours", "event", "torn", "part", "none"]  # faults_page says what they mean
Closed = Literal["own", "at once", "time-out", "after", "drained", "unopened"]


class Expected(msgspec.Struct, frozen=True):
    """What must come of it. `status` None: the client got no head; `call` None: there is no record, as there never was a call."""

    status: int | None
    bytes: Bytes
    call: str | None
    provenance: str | None
    closed: Closed


class Client(msgspec.Struct, frozen=True):
    """What the client does. `when`: with half of its request sent, before the head, midway in the answer, at its end."""

    leaves: Literal["fin", "rst", "half", ""] = ""
    when: Literal["request", "head", "midway", "end", ""] = ""
    slow: bool = False


class Fault(msgspec.Struct, frozen=True):
    name: str
    plain: Expected | None
    stream: Expected | None
    edit: Edit = lambda sound: sound
    but: Mapping[str, Expected] = {}  # where a format differs: by `format`, or by `format plain`, `format stream`
    only: frozenset[str] | None = None  # the formats that can have it
    # Another address than the upstream's, where nobody listens, or somebody without TLS; or an endpoint that says `client_gone: drain`.
    where: Literal["", "closed", "tls", "drain"] = ""
    client: Client = Client()
    events: bool = False  # it is about server-sent events: a stream that is a JSON array cannot have it
    padding: int = 0  # bytes that the request is made larger by

    def expected(self, format: str, stream: bool) -> Expected | None:
        """None: there is no such case. `gemini.array`: Gemini's stream without `alt=sse`."""
        if format == "gemini.array":
            return None if self.events or not stream else self.expected("gemini.generate", stream)
        if self.only is not None and format not in self.only:
            return None
        usual = self.stream if stream else self.plain
        if usual is None:
            return None
        return self.but.get(f"{format} {'stream' if stream else 'plain'}") or self.but.get(format) or usual


def same(status: int = 200, call: str = "ok", provenance: str = "reported", closed: Closed = "own") -> Expected:
    """The client has what the provider sent, byte for byte, and it ends as the provider ended it."""
    return Expected(status, "same", call, provenance, closed)


def ours(status: int, call: str = "error", closed: Closed = "own", provenance: str = "unknown") -> Expected:
    """Nothing of it reached the client but our words, in the client's own format."""
    return Expected(status, "ours", call, provenance, closed)


def event(call: str, closed: Closed = "own") -> Expected:
    """What had come by then, an error event of ours, and no proper end."""
    return Expected(200, "event", call, "estimated", closed)


def torn(call: str, closed: Closed = "own") -> Expected:
    """What had come by then, and no proper end: the client is in the midst of an event, where nothing may be said."""
    return Expected(200, "torn", call, "estimated", closed)


OK = same()
SAID_NO = "error"
HTML = b"<html><head><title>404 Not Found</title></head><body>nginx</body></html>"
ECHO = b"<html><body>Your key is " + plays.SHOWN + b"</body></html>"


def no(status: int, **headers: str) -> Fault:
    name = "-".join([f"status-{status}", *(name.replace("_", "-") for name in headers)])
    return Fault(name, same(status, SAID_NO, "unknown"), same(status, SAID_NO, "unknown"), plays.refuses(status, **headers))


def both(name: str, expected: Expected, edit: Edit, **more: object) -> Fault:
    return Fault(name, expected, expected, edit, **more)  # type: ignore[arg-type]


def waits(seconds: float, *, midway: bool = False) -> Edit:
    """A provider that takes its time: the time in which a client leaves."""

    def edit(sound: Answer) -> Answer:
        if not midway:
            return msgspec.structs.replace(sound, before=(Pause(seconds),))
        return msgspec.structs.replace(sound, pieces=(*sound.pieces[: sound.middle], Pause(seconds), *sound.pieces[sound.middle :]))

    return edit


def trickles(seconds: float) -> Edit:
    """Midway come comments for so long, and nothing else."""

    def edit(sound: Answer) -> Answer:
        rest = [step for _ in range(round(seconds / 0.25)) for step in (b": still here\n\n", Pause(0.25))]
        return msgspec.structs.replace(sound, pieces=(*sound.pieces[: sound.middle], *rest, *sound.pieces[sound.middle :]))

    return edit


NO_JSON = b'data: {"choices": [oops\n\n'
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
CHAT = frozenset({"openai.chat"})  # elsewhere the count is a part of what ends the answer
WORDS = frozenset({"openai.chat", "openai.responses", "anthropic.messages", "gemini.generate"})
TWICE = frozenset({"openai.chat", "anthropic.messages", "gemini.generate"})

GONE_BEFORE = Expected(None, "none", "client_gone", "unknown", "at once")
GONE_MIDWAY = Expected(200, "part", "client_gone", "estimated", "at once")

DRAINED_BEFORE = Expected(None, "none", "client_gone", "drained", "drained")
DRAINED_MIDWAY = Expected(200, "part", "client_gone", "drained", "drained")
DRAINED_IN_VAIN = Expected(200, "part", "client_gone", "estimated", "time-out")

TABLE: Mapping[str, tuple[Fault, ...]] = {
    "The provider says no": (
        no(429, retry_after="7"),
        Fault(
            "status-429-retry-after-date",
            same(429, SAID_NO, "unknown"),
            same(429, SAID_NO, "unknown"),
            plays.refuses(429, retry_after="Sun, 06 Nov 2094 08:49:37 GMT"),
        ),
        no(400),
        no(401),
        no(413),
        no(500),
        no(503),
        no(529),
        both("status-404-html", ours(404), plays.says(404, HTML, b"text/html")),
        both("status-500-html-with-our-key", ours(500), plays.says(500, ECHO, b"text/html")),
        both("status-422-in-other-words", ours(422), plays.says(422, b'{"detail":[{"msg":"field required"}]}')),
        both("status-503-empty", ours(503), plays.says(503, b"")),
        both("status-600", ours(502), plays.says(600, b"{}")),
        both(
            "redirect-307",
            ours(502),
            plays.says(307, b"", b"text/html", (b"location", b"http://127.0.0.1:9/v1/elsewhere")),
        ),
        both(
            "refused-before-the-request-was-read",
            same(413, SAID_NO, "unknown"),
            then(plays.refuses(413), plays.sets(early=True)),
            padding=4 << 20,
        ),
        both(
            "refused-and-closed-before-the-request-was-read",
            same(413, SAID_NO, "unknown"),
            then(plays.refuses(413), plays.sets(early=True, end="fin")),
            padding=4 << 20,
        ),
    ),
    "The provider is not there": (
        both("connection-refused", ours(502, "provider_gone", "unopened"), lambda sound: sound, where="closed"),
        both("no-tls-there", ours(502, "provider_gone", "unopened"), lambda sound: sound, where="tls"),
        both("fin-before-the-answer", ours(502, "provider_gone"), plays.silent("fin")),
        both("rst-before-the-answer", ours(502, "provider_gone"), plays.silent("rst")),
        both("fin-in-the-head", ours(502, "provider_gone"), plays.torn_head("fin")),
        both("rst-in-the-head", ours(502, "provider_gone"), plays.torn_head("rst")),
        both("fin-after-the-head", ours(502, "provider_gone"), plays.head_only("fin")),
        both("rst-after-the-head", ours(502, "provider_gone"), plays.head_only("rst")),
        both("not-http", ours(502), plays.says_raw(b"SSH-2.0-OpenSSH_9.9\r\n")),
    ),
    "The provider takes too long": (
        both("stall-before-the-head", ours(504, "timeout", "time-out"), plays.silent("stall")),
        both("head-byte-by-byte", ours(504, "timeout", "at once"), plays.dribbles(10)),
        both("stall-after-the-head", ours(504, "timeout", "time-out"), plays.head_only("stall")),
        Fault("stall-midway", ours(504, "timeout", "time-out"), event("timeout", "time-out"), plays.stops("stall")),
        Fault("stall-within-an-event", ours(504, "timeout", "time-out"), torn("timeout", "time-out"), plays.stops("stall", within=True)),
    ),
    "The answer breaks off": (
        Fault("fin-midway", ours(502, "provider_gone"), event("provider_gone"), plays.stops("fin")),
        Fault("rst-midway", ours(502, "provider_gone"), event("provider_gone"), plays.stops("rst")),
        Fault("fin-within-an-event", ours(502, "provider_gone"), torn("provider_gone"), plays.stops("fin", within=True)),
        Fault("rst-within-an-event", ours(502, "provider_gone"), torn("provider_gone"), plays.stops("rst", within=True)),
        Fault(
            "shorter-than-its-length",
            ours(502, "provider_gone"),
            event("provider_gone"),
            then(plays.sets(framing="length"), plays.stops("fin")),
        ),
        Fault("broken-chunk", ours(502, "provider_gone"), event("provider_gone"), plays.bad_chunk),
        Fault(
            "ends-early-and-cleanly",
            same(200, "error", "estimated"),
            same(200, "provider_gone", "estimated"),
            plays.ends_early,
        ),
        Fault(
            "ends-early-as-http-1.0",
            same(200, "error", "estimated"),
            same(200, "provider_gone", "estimated"),
            then(plays.ends_early, plays.unlengthed(b"1.0")),
        ),
        Fault(
            "no-terminal-event",
            None,
            OK,
            plays.unended,
            but={"openai.responses": same(200, "provider_gone", "estimated")},
            only=WORDS - {"gemini.generate"},  # which has none
        ),
        Fault("empty-body", ours(502, "provider_gone"), ours(502, "provider_gone"), plays.emptied),
        Fault("status-204", ours(502, "provider_gone"), ours(502, "provider_gone"), then(plays.emptied, plays.sets(status=204))),
    ),
    "The provider says in its answer that it failed": (
        Fault(
            "error-first",
            same(500, "error", "unknown"),
            ours(500),
            plays.error_first,
            but={
                "anthropic.messages plain": same(529, "error", "unknown"),
                "anthropic.messages stream": ours(529),
                "gemini.generate plain": same(503, "error", "unknown"),
                "gemini.generate stream": ours(503),
            },
            events=True,
        ),
        Fault("error-midway", None, same(200, "error", "estimated"), plays.error_midway),
    ),
    "Odd events": (
        Fault("junk-event", None, OK, plays.between(NO_JSON), events=True),
        Fault("invalid-utf-8", OK, OK, plays.text(b" token", b" tok\xff\xfeen"), only=WORDS),
        Fault("utf-8-split-over-chunks", OK, OK, plays.shredded, only=WORDS),
        Fault("crlf", None, OK, plays.lines(lambda frame: frame.replace(b"\n", b"\r\n")), events=True),
        Fault("cr", None, OK, plays.lines(lambda frame: frame.replace(b"\n", b"\r")), events=True),
        Fault(
            "byte-order-mark", None, OK, lambda sound: msgspec.structs.replace(sound, pieces=(b"\xef\xbb\xbf", *sound.pieces)), events=True
        ),
        Fault("comments", None, OK, plays.between(b": keep-alive\n\n", b": OPENROUTER PROCESSING\n\n", b":\n\n"), events=True),
        Fault("pings", None, OK, plays.between(PING, PING), events=True),
        Fault("unknown-event", None, OK, plays.between(b'event: tomorrow\nid: 7\nretry: 10\ndata: {"type":"tomorrow"}\n\n'), events=True),
        Fault("empty-data", None, OK, plays.between(b"data:\n\n", b"data: \n\n", b"event: x\n\n"), events=True),
        Fault("data-over-several-lines", None, OK, plays.lines(plays.split_data), events=True),
        Fault("event-of-8-mb", OK, OK, plays.grown(plays.HUGE)),
        Fault("lone-surrogate", OK, OK, plays.text(b" token", b" tok\\ud83den"), only=WORDS),
        Fault("nan", OK, OK, plays.lines(plays.with_nan), events=True),
    ),
    "Odd usage": (
        Fault("usage-absent", same(200, "ok", "estimated"), same(200, "ok", "estimated"), plays.unsaid("none")),
        Fault("usage-null", same(200, "ok", "estimated"), same(200, "ok", "estimated"), plays.unsaid("null")),
        Fault("usage-negative", same(200, "ok", "estimated"), same(200, "ok", "estimated"), plays.counts(lambda said: b"-" + said)),
        Fault("usage-1e18", same(200, "ok", "estimated"), same(200, "ok", "estimated"), plays.counts(lambda said: b"1000000000000000000")),
        Fault("usage-words", same(200, "ok", "estimated"), same(200, "ok", "estimated"), plays.counts(lambda said: b'"many"')),
        Fault("usage-object", same(200, "ok", "estimated"), same(200, "ok", "estimated"), plays.counts(lambda said: b"{}")),
        Fault("usage-string", OK, OK, plays.counts(lambda said: b'"' + said + b'"', reported=True)),
        Fault("usage-float", OK, OK, plays.counts(lambda said: said + b".0", reported=True)),
        Fault("usage-fraction", same(200, "ok", "estimated"), same(200, "ok", "estimated"), plays.counts(lambda said: said + b".5")),
        Fault("usage-late", None, OK, plays.counted_late(0.3), only=CHAT),
        Fault("usage-after-the-end-at-once", None, OK, plays.counted_after_end(0), only=CHAT),
        Fault(
            "usage-after-the-end-later",
            None,
            Expected(200, "end", "ok", "estimated", "after"),
            plays.counted_after_end(plays.LATE),
            only=CHAT,
        ),
        Fault("usage-twice", None, OK, plays.counted_twice, only=TWICE),
    ),
    "Odd HTTP": (
        both("gzip", OK, plays.packed(b"gzip", plays.gzipped)),
        both("deflate", OK, plays.packed(b"deflate", plays.deflated)),
        Fault(
            "gzip-cut-short",
            ours(502, "provider_gone"),
            event("provider_gone"),
            plays.gzip_cut,
        ),
        both("gzip-that-is-none", ours(502), then(plays.packed(b"gzip", bytes), plays.spoiled)),
        both("br-that-is-none", ours(502), then(plays.packed(b"br", bytes), plays.spoiled)),
        both("103-early-hints", OK, plays.sets(before=(b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n", Pause(plays.SOON)))),
        both("100-continue-unasked", OK, plays.sets(before=(b"HTTP/1.1 100 Continue\r\n\r\n",))),
        both(
            "101-switching-protocols",
            ours(502),
            plays.says_raw(b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
        ),
        both("http-1.0", OK, plays.unlengthed(b"1.0")),
        both("no-length", OK, plays.unlengthed(b"1.1")),
        Fault("answer-of-20-mb", OK, None, plays.grown(plays.LARGE)),
        Fault("type-text-plain", OK, OK, plays.typed({False: b"text/plain", True: b"text/plain"})),
        Fault("type-absent", OK, OK, plays.typed({False: b"", True: b""})),
        both("plain-answer-to-a-stream", OK, lambda sound: plays.plays(sound, stream=False)),
        Fault("stream-to-a-plain-request", OK, None, lambda sound: plays.plays(sound, stream=True)),
        both("web-page-with-200", ours(502), plays.says(200, HTML, b"text/html")),
        both("nothing-in-it", OK, plays.choiceless),
        both("headers-of-20-kb", OK, plays.headed(*((b"x-odd-%d" % number, b"v" * 400) for number in range(50)))),
        both("one-header-of-64-kb", ours(502), then(plays.headed((b"x-odd", b"v" * 65536)), plays.spoiled)),
        both("bytes-after-the-end", OK, plays.sets(after=b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong")),
        both("content-length-twice", ours(502), then(plays.headed((b"content-length", b"1"), (b"content-length", b"2")), plays.spoiled)),
        both(
            "cookies-and-credentials",
            OK,
            plays.headed((b"set-cookie", b"a=b"), (b"x-spangate-call-id", b"forged"), (b"authorization", b"x")),
        ),
    ),
    "The client": (
        both(
            "leaves-within-its-request",
            Expected(None, "none", None, None, "unopened"),
            lambda sound: sound,
            client=Client("fin", "request"),
        ),
        both("fin-before-the-head", GONE_BEFORE, waits(20), client=Client("fin", "head")),
        both("rst-before-the-head", GONE_BEFORE, waits(20), client=Client("rst", "head")),
        both("half-closes-before-the-head", GONE_BEFORE, waits(20), client=Client("half", "head")),
        Fault("fin-while-a-plain-answer-comes", GONE_BEFORE, None, waits(20, midway=True), client=Client("fin", "head")),
        Fault("leaves-midway-fin", None, GONE_MIDWAY, waits(20, midway=True), client=Client("fin", "midway")),
        Fault("leaves-midway-rst", None, GONE_MIDWAY, waits(20, midway=True), client=Client("rst", "midway")),
        Fault("half-closes-midway", None, GONE_MIDWAY, waits(20, midway=True), client=Client("half", "midway")),
        both("leaves-at-the-end-fin", OK, lambda sound: sound, client=Client("fin", "end")),
        both("leaves-at-the-end-rst", OK, lambda sound: sound, client=Client("rst", "end")),
        both("drained-after-leaving-before-the-head", DRAINED_BEFORE, waits(1), client=Client("fin", "head"), where="drain"),
        Fault("drained-after-leaving-midway", None, DRAINED_MIDWAY, waits(1, midway=True), client=Client("rst", "midway"), where="drain"),
        Fault("drained-in-vain", None, DRAINED_IN_VAIN, trickles(20), client=Client("fin", "midway"), where="drain", events=True),
        both("reads-slowly", OK, plays.grown(400_000), client=Client(slow=True)),
    ),
}

FAULTS: Mapping[str, Fault] = {fault.name: fault for faults in TABLE.values() for fault in faults}
assert len(FAULTS) == sum(map(len, TABLE.values()))
