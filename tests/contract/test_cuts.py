"""A stream may be cut anywhere: same events, same fold, same bytes out. Each check here has mutants that it rejects."""

import re
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any

import pytest

from spangate.wire.events import Event
from spangate.wire.formats import FORMATS, mlflow_chat
from spangate.wire.framing import sse
from spangate.wire.streams import Passthrough, Translate
from tests.contract.recorded import LINE_ENDS, STREAMS, format_of, recorded

Stream = Passthrough | Translate
Make = Callable[[Callable[[Event], None]], Stream]

SMALL = [
    "openai/small.sse",
    "completions/small.sse",
    "responses/small.sse",
    "anthropic/small.sse",
    "gemini/small.sse",
    "gemini/small.array",
]
ASKED = ("openai/", "completions/")  # formats with a frame of usage for who asks for one, which we do


def run(make: Make, pieces: Iterable[bytes]) -> tuple[bytes, list[Event], object]:
    events: list[Event] = []
    stream = make(events.append)
    out = b"".join([*map(stream.feed, pieces), stream.close()])
    return out, events, stream.decoder.answer()


def single_cuts(body: bytes) -> Iterable[list[bytes]]:
    return ([body[:at], body[at:]] for at in range(len(body) + 1))


def pairs_of_cuts(body: bytes) -> Iterable[list[bytes]]:
    return ([body[:a], body[a:b], body[b:]] for a, b in combinations(range(len(body) + 1), 2))


def check_cuts(make: Make, body: bytes, cuts: Callable[[bytes], Iterable[list[bytes]]] = single_cuts) -> None:
    whole = run(make, [body])
    for pieces in cuts(body):
        assert run(make, pieces) == whole, pieces
    assert run(make, [body[at : at + 1] for at in range(len(body))]) == whole


def passthrough(name: str, withhold_usage: bool = False, kind: type[Passthrough] = Passthrough) -> Make:
    return lambda observe: kind(FORMATS[format_of(name)].decoder(1 << 20), observe, withhold_usage=withhold_usage)


def translate(observe: Callable[[Event], None]) -> Translate:
    return Translate(mlflow_chat.decoder(1 << 20), observe, provider="openai")


def without_usage_frames(name: str, line_end: bytes) -> bytes:
    """The recording less the blocks that are usage and nothing else, by another way than the code's."""
    frames = re.split(rb"(?<=\n)\n+", recorded(name))
    blanks = re.findall(rb"(?<=\n)\n+", recorded(name))
    kept = [frame + blank for frame, blank in zip(frames, [*blanks, b""], strict=True) if b'"choices":[],"usage":{' not in frame]
    return b"".join(kept).replace(b"\n", line_end)


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("name", STREAMS)
def test_bytes_pass_unchanged_at_every_cut(name: str, line_end: str) -> None:
    body = recorded(name, LINE_ENDS[line_end])
    assert run(passthrough(name), [body])[0] == body
    check_cuts(passthrough(name), body)


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("name", [name for name in STREAMS if name.startswith(ASKED)])
def test_usage_frames_alone_are_withheld_at_every_cut(name: str, line_end: str) -> None:
    body = recorded(name, LINE_ENDS[line_end])
    assert run(passthrough(name, withhold_usage=True), [body])[0] == without_usage_frames(name, LINE_ENDS[line_end])
    check_cuts(passthrough(name, withhold_usage=True), body)


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("name", [name for name in STREAMS if not name.startswith(ASKED)])
def test_what_says_its_usage_unasked_has_nothing_withheld(name: str, line_end: str) -> None:
    body = recorded(name, LINE_ENDS[line_end])
    check_cuts(passthrough(name, withhold_usage=True), body, lambda body: [[body]])
    assert run(passthrough(name, withhold_usage=True), [body])[0] == body


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("name", [name for name in STREAMS if name.startswith("openai/")])
def test_translation_is_the_same_at_every_cut(name: str, line_end: str) -> None:
    check_cuts(translate, recorded(name, LINE_ENDS[line_end]))


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("name", SMALL)
def test_small_streams_are_the_same_at_every_two_cuts(name: str, line_end: str) -> None:
    check_cuts(passthrough(name, withhold_usage=True), recorded(name, LINE_ENDS[line_end]), pairs_of_cuts)


@pytest.mark.parametrize("name", STREAMS)
def test_line_ends_change_no_event_and_no_fold(name: str) -> None:
    results = [run(passthrough(name), [recorded(name, line_end)])[1:] for line_end in LINE_ENDS.values()]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_off_anywhere_passes_what_came_and_does_not_fail(name: str) -> None:
    body = recorded(name)
    events = run(passthrough(name), [body])[1]
    for at in range(len(body)):
        out, seen, _ = run(passthrough(name), [body[:at]])
        assert out == body[:at]
        assert seen == events[: len(seen)]


# ---------------------------------------------------------------- mutants


class Forgetful(Passthrough):
    """Does not remember that the frame before was left out."""

    def _kept(self, held: bytes, start: int, end: int) -> bytes:
        return held[start:end]


class Greedy(Passthrough):
    """Leaves out every frame that has usage."""

    def _release(self, chunk: bytes, until: int) -> bytes:
        return re.sub(rb'data: [^\n]*"usage":{[^\n]*\n\n', b"", super()._release(chunk, until))


class Hasty(Passthrough):
    """Sends what it has before the frame is whole."""

    def feed(self, chunk: bytes) -> bytes:
        frames = self._decoder.frames
        for event in self._decoder.feed(chunk):
            self._observe(event)
        return self._release(chunk, frames.total)


def test_mutant_blank_lines_of_a_withheld_frame_leak() -> None:
    name = "openai/odd.sse"
    with pytest.raises(AssertionError):
        check_cuts(passthrough(name, withhold_usage=True, kind=Forgetful), recorded(name, b"\r\n"))


def test_mutant_usage_with_choices_is_withheld() -> None:
    name = "openai/no_done.sse"
    out = run(passthrough(name, withhold_usage=True, kind=Greedy), [recorded(name)])[0]
    assert out != without_usage_frames(name, b"\n")


def test_mutant_an_open_frame_is_sent() -> None:
    name = "openai/text.sse"
    with pytest.raises((AssertionError, IndexError)):
        check_cuts(passthrough(name, withhold_usage=True, kind=Hasty), recorded(name))


@pytest.mark.parametrize(
    ("pattern", "line_end"),
    [
        (rb"(?:\r\n|\n|\r)[\r\n]+", b"\r\n"),  # CRLF counts as two line ends
        (rb"\n\n", b"\r"),  # LF only
        (rb"(?>\r\n|\n)[\r\n]+", b"\r"),  # no CR
    ],
    ids=["crlf-is-two", "lf-only", "no-cr"],
)
def test_mutant_frame_ends(pattern: bytes, line_end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "openai/odd.sse"
    expected = run(passthrough(name), [recorded(name)])[1:]
    monkeypatch.setattr(sse, "_FRAME_END", re.compile(pattern))
    assert run(passthrough(name), [recorded(name, line_end)])[1:] != expected


def test_mutant_the_scan_starts_behind_half_a_frame_end(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = sse.Frames._keep

    def mutant(self: Any, buffer: bytes, at: int) -> None:
        keep(self, buffer, at)
        self._scan = len(self._tail)

    monkeypatch.setattr(sse.Frames, "_keep", mutant)
    with pytest.raises(AssertionError):
        check_cuts(passthrough("openai/small.sse"), recorded("openai/small.sse", b"\r\n"))


def test_mutant_characters_are_decoded_chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = sse.Frames.feed
    monkeypatch.setattr(sse.Frames, "feed", lambda self, chunk: feed(self, chunk.decode("utf-8", "replace").encode()))
    with pytest.raises(AssertionError):
        check_cuts(passthrough("openai/small.sse"), recorded("openai/small.sse"))
