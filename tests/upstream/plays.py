"""How a faulty provider behaves on the wire: an answer as a value, small edits that break it, and the steps that send it.

Pure. An edit takes a sound Answer and gives a broken one; edits compose by `then`. What reads the answer back (`body`) is derived from the
same value that is sent, so a test knows byte for byte what a gateway was given.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from .knobs import Knobs
from .script import ID, Script, script

SOON = 0.15  # s: what was sent before it has surely been read
LATE = 30.0  # s: whoever ends an answer at its terminal event has done so
HUGE = 8 << 20
LARGE = 20 << 20

SHOWN = b"@shown@"  # stands in a body for the credential that the provider was shown

End = Literal["keep", "fin", "rst", "stall"]


class Pause(msgspec.Struct, frozen=True):
    seconds: float


class Over(msgspec.Struct, frozen=True):
    """The answer is whole here, whatever follows."""


Step = bytes | Pause | Over


class Scene(msgspec.Struct, frozen=True):
    """Who asks for what."""

    format: str
    stream: bool
    model: str
    knobs: Knobs
    ask: bool = True  # the request asks for usage, where a format has usage only on request
    shown: bytes = b""  # the credential that the provider was shown


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider says. `pieces` are written one by one; `middle` of them have come when something breaks midway."""

    scene: Scene
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    pieces: tuple[Step, ...] = ()
    middle: int = 0
    whole: bool = True  # the provider gave the whole answer, so that a gateway may call it `ok`
    reported: bool = True  # a whole answer says its tokens
    before: tuple[Step, ...] = ()  # bytes and pauses before the head
    after: bytes = b""  # bytes that no answer has, after its end
    version: bytes = b"1.1"
    framing: Literal["chunked", "length", "close"] = "chunked"
    missing: int = 0  # bytes that the length promises and nobody sends
    end: End = "keep"
    headless: bool = False  # nothing is sent but `before`
    cut_head: bool = False  # the connection ends within the head
    early: bool = False  # it is sent as soon as the request's body begins
    packed: Callable[[bytes], bytes] | None = None  # what happens to the body under a content-encoding

    @property
    def body(self) -> bytes:
        """The body as its reader has it, unpacked."""
        return b"".join(piece for piece in self.pieces if isinstance(piece, bytes))

    @property
    def outcome(self) -> str:
        if self.headless or self.cut_head:
            return "cut"
        if 400 <= self.status < 600 and self.end == "keep":
            return "refused"
        return "whole" if self.whole else "cut"

    def steps(self, request_id: bytes) -> list[Step]:
        """What is written, in this order; then comes `end`."""
        if self.headless:
            return [*self.before]
        pieces = list(self.pieces) if self.packed is None else [self.packed(self.body)]
        size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        lines = [b"HTTP/%b %d Said" % (self.version, self.status), b"x-request-id: " + request_id]
        lines += [name + b": " + value for name, value in self.headers]
        if self.framing == "chunked":
            lines.append(b"transfer-encoding: chunked")
        elif self.framing == "length" and self.status not in (101, 204):
            lines.append(b"content-length: %d" % (size + self.missing))
        head = b"\r\n".join([*lines, b"", b""])
        if self.cut_head:
            return [*self.before, head[: len(head) // 2]]
        steps: list[Step] = [*self.before, head]
        for piece in pieces:
            steps.append(chunk(piece) if self.framing == "chunked" and isinstance(piece, bytes) else piece)
        if self.framing == "chunked" and self.end == "keep":
            steps.append(b"0\r\n\r\n")
        if self.after:
            steps.append(self.after)
        return steps


Edit = Callable[[Answer], Answer]


def rewritten(sound: Answer, turn: Callable[[bytes], bytes]) -> Answer:
    """Every frame of a stream, or the whole of a plain answer, is another."""
    if sound.scene.stream:
        return msgspec.structs.replace(sound, pieces=tuple(turn(piece) if isinstance(piece, bytes) else piece for piece in sound.pieces))
    plain = plainly(sound.scene, sound.headers, turn(sound.body))
    return msgspec.structs.replace(sound, pieces=plain.pieces)


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def answer(scene: Scene) -> Answer:
    """The sound answer."""
    spoken = _script(scene)
    reported = scene.ask or scene.format not in ("openai.chat", "openai.completions") or not scene.stream
    if spoken.frames:
        return Answer(
            scene=scene,
            headers=spoken.headers,
            pieces=tuple(_named(frame, scene) for frame in spoken.frames),
            middle=spoken.content[2],
            reported=reported,
        )
    return plainly(scene, spoken.headers, _named(spoken.body, scene))


def plainly(scene: Scene, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> Answer:
    half = len(body) // 2
    return Answer(scene=scene, headers=headers, pieces=(body[:half], body[half:]), middle=1, framing="length")


def _script(scene: Scene, **knobs: object) -> Script:
    given_in, given_out = scene.knobs.tokens
    kind = msgspec.structs.replace(scene.knobs, id="", fault="", input=given_in, output=given_out, **knobs)
    return script(scene.format, kind, scene.model, scene.stream, scene.ask)


def _named(data: bytes, scene: Scene) -> bytes:
    return data.replace(ID, scene.knobs.id.encode())


def spoiled(sound: Answer) -> Answer:
    """Nobody can take it for an answer."""
    return msgspec.structs.replace(sound, whole=False, reported=False)


def then(*edits: Edit) -> Edit:
    def all_of_them(sound: Answer) -> Answer:
        for edit in edits:
            sound = edit(sound)
        return sound

    return all_of_them


def sets(**changes: object) -> Edit:
    return lambda sound: msgspec.structs.replace(sound, **changes)


# ---------------------------------------------------------------- the provider says no


def refuses(status: int, **headers: str) -> Edit:
    """In the format's own words. `retry_after="7"` is a header."""

    def edit(sound: Answer) -> Answer:
        said = _script(sound.scene, status=status)
        more = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
        plain = plainly(sound.scene, (*said.headers, *more), _named(said.body, sound.scene))
        return msgspec.structs.replace(plain, status=status, whole=False, reported=False)

    return edit


def says(status: int, body: bytes, kind: bytes = b"application/json", *headers: tuple[bytes, bytes]) -> Edit:
    """A status with a body of any kind."""

    def edit(sound: Answer) -> Answer:
        plain = plainly(sound.scene, ((b"content-type", kind), *headers), body.replace(SHOWN, sound.scene.shown))
        return msgspec.structs.replace(plain, status=status, whole=False, reported=False)

    return edit


def plays(sound: Answer, stream: bool) -> Answer:
    """The sound answer to the other kind of request."""
    return answer(msgspec.structs.replace(sound.scene, stream=stream, ask=True))


# ---------------------------------------------------------------- the wire


def stops(end: End, *, within: bool = False) -> Edit:
    """Midway, between two events or within one."""

    def edit(sound: Answer) -> Answer:
        pieces: tuple[Step, ...] = sound.pieces[: sound.middle]
        if within:
            after = sound.pieces[sound.middle]
            assert isinstance(after, bytes)
            pieces = (*pieces, after[: len(after) // 2])
        missing = sum(len(piece) for piece in sound.pieces if isinstance(piece, bytes)) - sum(
            len(piece) for piece in pieces if isinstance(piece, bytes)
        )
        return msgspec.structs.replace(sound, pieces=(*pieces, Pause(SOON)), missing=missing, whole=False, reported=False, end=end)

    return edit


def silent(end: End) -> Edit:
    """Nothing is said at all."""
    return sets(headless=True, whole=False, reported=False, end=end)


def head_only(end: End) -> Edit:
    return sets(pieces=(), missing=100, whole=False, reported=False, end=end)


def torn_head(end: End) -> Edit:
    return sets(cut_head=True, whole=False, reported=False, end=end)


def dribbles(seconds: float) -> Edit:
    """A head that comes byte by byte, and never whole."""
    steps: list[Step] = []
    for place in range(round(seconds / 0.1)):
        steps += [b"HTTP/1.1 200 OK\r\nx: y"[place : place + 1] or b"y", Pause(0.1)]
    return sets(headless=True, before=tuple(steps), whole=False, reported=False, end="stall")


def says_raw(data: bytes, end: End = "fin") -> Edit:
    return sets(headless=True, before=(data,), whole=False, reported=False, end=end)


def ends_early(sound: Answer) -> Answer:
    """Cleanly, as if all were well, in the midst of the answer."""
    return msgspec.structs.replace(sound, pieces=sound.pieces[: sound.middle], whole=False, reported=False)


def bad_chunk(sound: Answer) -> Answer:
    """Midway comes what is no chunk. A plain answer has to be chunked for it."""
    cut = stops("fin")(msgspec.structs.replace(sound, framing="chunked"))
    return msgspec.structs.replace(cut, after=b"no chunk at all\r\n")


# ---------------------------------------------------------------- events


def data(value: object, event: str | None = None) -> bytes:
    head = b"event: " + event.encode() + b"\n" if event else b""
    return head + b"data: " + (value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()) + b"\n\n"


def error_event(sound: Answer) -> bytes:
    return _script(sound.scene).error


def error_first(sound: Answer) -> Answer:
    if sound.scene.stream:
        return msgspec.structs.replace(sound, pieces=(error_event(sound),), middle=0, whole=False, reported=False)
    said = _script(sound.scene, status=529)
    plain = plainly(sound.scene, said.headers, _named(said.body, sound.scene))
    return msgspec.structs.replace(plain, whole=False, reported=False)


def error_midway(sound: Answer) -> Answer:
    return msgspec.structs.replace(sound, pieces=(*sound.pieces[: sound.middle], error_event(sound)), whole=False, reported=False)


def between(*frames: bytes) -> Edit:
    """Frames that are no part of the answer, midway."""

    def edit(sound: Answer) -> Answer:
        return msgspec.structs.replace(sound, pieces=(*sound.pieces[: sound.middle], *frames, *sound.pieces[sound.middle :]))

    return edit


def unended(sound: Answer) -> Answer:
    """Without the terminal event; the model's reason to stop and the count have come, where they are events of their own."""
    pieces = sound.pieces[:-1]
    responses = sound.scene.format == "openai.responses"  # its terminal event holds both
    return msgspec.structs.replace(sound, pieces=pieces, whole=not responses, reported=sound.reported and not responses)


def text(old: bytes, new: bytes) -> Edit:
    """Some bytes of the answer's text are others, wherever they stand."""

    def edit(sound: Answer) -> Answer:
        other = rewritten(sound, lambda piece: piece.replace(old, new))
        assert other != sound, (old, sound.scene)
        return other

    return edit


def grown(size: int) -> Edit:
    """One event, or the text of a plain answer, is that large."""

    def edit(sound: Answer) -> Answer:
        if sound.scene.format.endswith("embeddings"):
            return answer(msgspec.structs.replace(sound.scene, knobs=msgspec.structs.replace(sound.scene.knobs, size=size // 25)))
        room = iter((b" token" + b"x" * size,))
        return rewritten(sound, lambda piece: piece.replace(b" token", next(room, b" token"), 1) if b" token" in piece else piece)

    return edit


def lines(turn: Callable[[bytes], bytes]) -> Edit:
    """Every frame is written in another way."""

    return lambda sound: rewritten(sound, turn)


def split_data(frame: bytes) -> bytes:
    """The JSON of a frame in several `data:` lines, cut where JSON allows a line end: after a comma between two members."""
    return re.sub(rb',"(?=[a-z_]+":)', b',\ndata: "', frame, count=2) if frame.startswith((b"data: {", b"event: ")) else frame


def with_nan(frame: bytes) -> bytes:
    return re.sub(rb"(^|^data: |\ndata: )\{", rb'\1{"odd":NaN,', frame, count=1)


def shredded(sound: Answer) -> Answer:
    """Each byte of what is not ASCII comes by itself."""
    said = _script(sound.scene, n=11)
    pieces: list[Step] = []
    for piece in said.frames or (said.body,):
        at = 0
        for found in re.finditer(rb"[\x80-\xff]", _named(piece, sound.scene)):
            pieces += [_named(piece, sound.scene)[at : found.start() + 1], Pause(0.002)]
            at = found.start() + 1
        pieces.append(_named(piece, sound.scene)[at:])
    return msgspec.structs.replace(sound, pieces=tuple(pieces), middle=1)


# ---------------------------------------------------------------- usage

# Where each format says its counts.
_COUNT = re.compile(
    rb'"(prompt_tokens|completion_tokens|input_tokens|output_tokens|total_tokens|promptTokenCount|candidatesTokenCount|totalTokenCount)":(\d+)'
)


def counts(turn: Callable[[bytes], bytes], *, reported: bool = False) -> Edit:
    """Every count is another value; `reported`: it still says the same."""

    def edit(sound: Answer) -> Answer:
        def other(found: re.Match[bytes]) -> bytes:
            return b'"' + found[1] + b'":' + turn(found[2])

        odd = rewritten(sound, lambda piece: _COUNT.sub(other, piece))
        assert odd != sound, sound.scene
        return msgspec.structs.replace(odd, reported=sound.reported and reported)

    return edit


def unsaid(how: str) -> Edit:
    """`none`: no usage anywhere. `null`: it is there and null."""

    def edit(sound: Answer) -> Answer:
        knobs = msgspec.structs.replace(sound.scene.knobs, usage=how)
        other = answer(msgspec.structs.replace(sound.scene, knobs=knobs))
        return msgspec.structs.replace(other, reported=False)

    return edit


def _tail(sound: Answer) -> tuple[tuple[Step, ...], bytes, tuple[Step, ...], bytes]:
    """The answer up to what counts, the frame that counts, what follows, and that frame without its count."""
    at = max(place for place, piece in enumerate(sound.pieces) if isinstance(piece, bytes) and _COUNT.search(piece))
    counting = sound.pieces[at]
    assert isinstance(counting, bytes)
    bare = answer(msgspec.structs.replace(sound.scene, knobs=msgspec.structs.replace(sound.scene.knobs, usage="none")))
    same_place = {"openai.chat": b"", "openai.completions": b""}.get(sound.scene.format)
    without = same_place if same_place is not None else bare.pieces[at]
    assert isinstance(without, bytes)
    return sound.pieces[:at], counting, sound.pieces[at + 1 :], without


def counted_late(wait: float) -> Edit:
    """The count comes a while after the reason to stop, before the terminal event."""

    def edit(sound: Answer) -> Answer:
        before, counting, after, _ = _tail(sound)
        return msgspec.structs.replace(sound, pieces=(*before, Pause(wait), counting, *after))

    return edit


def counted_after_end(wait: float) -> Edit:
    """The count follows the terminal event: in the same breath, or after a while, when the answer is over for everybody."""

    def edit(sound: Answer) -> Answer:
        before, counting, after, without = _tail(sound)
        closing = without + b"".join(piece for piece in after if isinstance(piece, bytes))
        if wait:
            return msgspec.structs.replace(sound, pieces=(*before, closing, Over(), Pause(wait), counting), reported=False)
        return msgspec.structs.replace(sound, pieces=(*before, closing + counting))

    return edit


def counted_twice(sound: Answer) -> Answer:
    """First too little, then right: the last count is in force."""
    before, counting, after, _ = _tail(sound)
    low = _COUNT.sub(lambda found: b'"' + found[1] + b'":1', counting)
    return msgspec.structs.replace(sound, pieces=(*before, low, counting, *after))


# ---------------------------------------------------------------- coding


def packed(coding: bytes, pack: Callable[[bytes], bytes]) -> Edit:
    return then(headed((b"content-encoding", coding)), sets(packed=pack))


def gzip_cut(sound: Answer) -> Answer:
    """Packed, and over midway: what came can be read, and the end of the packing is missing."""

    def pack(body: bytes) -> bytes:
        packing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
        return packing.compress(body) + packing.flush(zlib.Z_SYNC_FLUSH)

    return packed(b"gzip", pack)(ends_early(sound))


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, 6, mtime=0)


def deflated(body: bytes) -> bytes:
    return zlib.compress(body)


def typed(kind: Mapping[bool, bytes]) -> Edit:
    """Another content type for the plain answer (False) and for the stream (True)."""

    def edit(sound: Answer) -> Answer:
        rest = tuple(header for header in sound.headers if header[0] != b"content-type")
        said = kind[sound.scene.stream]
        return msgspec.structs.replace(sound, headers=((b"content-type", said), *rest) if said else rest)

    return edit


def headed(*headers: tuple[bytes, bytes]) -> Edit:
    return lambda sound: msgspec.structs.replace(sound, headers=(*sound.headers, *headers))


def unlengthed(version: bytes) -> Edit:
    """The body ends where the connection does, as of old."""
    return lambda sound: msgspec.structs.replace(sound, version=version, framing="close", end="fin")


def emptied(sound: Answer) -> Answer:
    return msgspec.structs.replace(sound, pieces=(), whole=False, reported=False, framing="length")


def choiceless(sound: Answer) -> Answer:
    """An answer with nothing in it: no choice, no block, no candidate, no vector."""
    if sound.scene.stream:
        bare = _script(sound.scene, n=0)
        kept = [
            frame for frame in bare.frames if b'"finish_reason":"stop"' not in frame and b'"role":"assistant","content":""' not in frame
        ]
        return msgspec.structs.replace(sound, pieces=tuple(_named(frame, sound.scene) for frame in kept), middle=0)
    said = json.loads(sound.body)
    for name in ("choices", "content", "output", "candidates", "data"):
        if name in said:
            said[name] = []
    body = json.dumps(said, separators=(",", ":")).encode()
    return plainly(sound.scene, sound.headers, body)
