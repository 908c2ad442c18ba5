"""The reader of server-sent events: fields, bounds, places in the stream."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.wire.framing.sse import LIMIT, Frame, Frames, encode


def read(body: bytes, limit: int = LIMIT) -> list[Frame]:
    frames = Frames(limit)
    return frames.feed(body) + frames.close()


def told(frames: list[Frame]) -> list[Frame]:
    """Frames that say something, without their ends: blank lines that come in a later chunk belong to no frame."""
    return [msgspec.structs.replace(frame, end=0) for frame in frames if frame.data is not None or frame.event or frame.overlong]


@pytest.mark.parametrize(
    ("body", "data", "event"),
    [
        (b"data: x\n\n", b"x", None),
        (b"data:x\n\n", b"x", None),
        (b"data:  x\n\n", b" x", None),
        (b"data\n\n", b"", None),
        (b"data:\n\n", b"", None),
        (b"data: a\ndata: b\n\n", b"a\nb", None),
        (b"event: e\ndata: x\n\n", b"x", b"e"),
        (b"data: x\nevent:e\n\n", b"x", b"e"),
        (b"event: a\nevent: b\ndata: x\n\n", b"x", b"b"),
        (b": comment\n\n", None, None),
        (b"event: e\n\n", None, b"e"),
        (b"id: 1\nretry: 2\nfoo: bar\nbaz\ndata: x\n\n", b"x", None),
        (b"\xef\xbb\xbfdata: x\n\n", b"x", None),
        (b"\xef\xbb\xbf\ndata: x\n\n", b"x", None),
        (b"\n\r\n\rdata: x\n\n", b"x", None),
        (b"dataset: x\n\n", None, None),
        (b"data: a:b: c\n\n", b"a:b: c", None),
    ],
)
def test_a_frame_is_read(body: bytes, data: bytes | None, event: bytes | None) -> None:
    (frame,) = read(body)
    assert (frame.data, frame.event, frame.whole, frame.overlong) == (data, event, True, False)


def test_places_cover_the_stream_without_gaps() -> None:
    body = b"\n\ndata: a\r\n\r\n: c\r\r\revent: e\ndata: b\n\n\n"
    frames = Frames()
    assert frames.feed(body) == [
        Frame(2, 13, b"a"),
        Frame(13, 19, None),
        Frame(19, len(body), b"b", b"e"),
    ]
    assert frames.at_boundary
    assert frames.total == frames.boundary == len(body)


def test_a_line_feed_cut_from_its_carriage_return_makes_no_frame() -> None:
    frames = Frames()
    assert frames.feed(b"data: a\r\n\r") == [Frame(0, 10, b"a")]
    assert frames.at_boundary
    assert frames.feed(b"\n") == []
    assert frames.at_boundary
    assert frames.feed(b"\ndata: b\n\n") == [Frame(12, 21, b"b")]


def test_an_unfinished_frame_is_given_at_the_end() -> None:
    assert read(b"data: a\n\ndata: b") == [Frame(0, 9, b"a"), Frame(9, 16, b"b", whole=False)]
    assert read(b"data: a\r\n") == [Frame(0, 9, b"a", whole=False)]
    assert read(b"") == []


def test_a_closed_reader_is_at_a_boundary() -> None:
    frames = Frames()
    frames.feed(b"data: a")
    assert not frames.at_boundary
    frames.close()
    assert frames.at_boundary
    assert frames.close() == []


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 8, 9, 20])
def test_the_limit_holds_at_every_cut(limit: int) -> None:
    body = b": 45678\n\ndata: 01234567\r\n\r\ndata: x\n\n"
    whole = told(read(body, limit))
    assert [frame.overlong for frame in whole] == [True] * (limit < 7) + [limit < 14, limit < 7]
    for at in range(len(body) + 1):
        frames = Frames(limit)
        assert told(frames.feed(body[:at]) + frames.feed(body[at:]) + frames.close()) == whole, at
    frames = Frames(limit)
    assert told([frame for byte in body for frame in frames.feed(bytes([byte]))]) == whole


def test_a_flood_without_end_is_counted_and_not_kept() -> None:
    frames = Frames(100)
    for _ in range(50):
        assert frames.feed(b"data: " + b"x" * 94) == []
        assert len(frames._tail) <= 102
    assert frames.overlong
    assert not frames.at_boundary
    assert frames.close() == [Frame(0, 5000, overlong=True, whole=False)]
    assert not frames.overlong


def test_after_an_overlong_frame_reading_goes_on() -> None:
    frames = Frames(10)
    assert frames.feed(b"data: 0123456789") == []
    assert frames.overlong
    assert frames.feed(b"0\n\ndata: y\n\n") == [Frame(0, 19, overlong=True), Frame(19, 28, b"y")]
    assert not frames.overlong


def check_counts(kind: type[Frames], pieces: list[bytes]) -> None:
    """`total` counts each byte once and `boundary` never passes it; frames follow each other without overlap."""
    frames, seen = kind(16), 0
    last = 0
    for piece in pieces:
        for frame in frames.feed(piece):
            assert last <= frame.start <= frame.end <= frames.total
            last = frame.end
        seen += len(piece)
        assert frames.total == seen
        assert last <= frames.boundary <= seen
    for frame in frames.close():
        assert (frame.start >= last, frame.end) == (True, seen)
    assert frames.boundary == seen


PIECES = st.lists(st.text(alphabet="\r\n:ad x", max_size=30).map(str.encode), max_size=6)


@given(PIECES)
def test_any_bytes_are_counted_right(pieces: list[bytes]) -> None:
    check_counts(Frames, pieces)


def test_mutant_blank_lines_are_not_counted() -> None:
    class Mutant(Frames):
        def feed(self, chunk: bytes) -> list[Frame]:
            return super().feed(chunk.lstrip(b"\r\n"))

    with pytest.raises(AssertionError):
        check_counts(Mutant, [b"\n", b"data: x\n\n"])


@given(PIECES)
def test_any_bytes_read_alike_at_any_cut(pieces: list[bytes]) -> None:
    frames = Frames(16)
    cut = [frame for piece in pieces for frame in frames.feed(piece)] + frames.close()
    assert told(cut) == told(read(b"".join(pieces), 16))


def test_a_frame_is_written() -> None:
    assert encode(b"{}") == b"data: {}\n\n"
    assert encode(b"{}", "error") == b"event: error\ndata: {}\n\n"
    assert read(encode(b"{}", "error")) == [Frame(0, 23, b"{}", b"error")]
