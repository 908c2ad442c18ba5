import json
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.wire.framing import sse
from spangate.wire.framing.json_array import Frames
from spangate.wire.framing.sse import Frame

ARRAY = b'\r\n [{"a":"]},\\"\\\\"}\n,\r\n[1,[2]] , -1.5e3,"x,]" ,null,{}\n] \n'
ELEMENTS = [b'{"a":"]},\\"\\\\"}', b"[1,[2]]", b"-1.5e3", b'"x,]"', b"null", b"{}"]


def read(pieces: Iterable[bytes], limit: int = 1 << 20) -> tuple[list[Frame], Frames]:
    frames = Frames(limit)
    found = [frame for piece in pieces for frame in frames.feed(piece)]
    return [*found, *frames.close()], frames


def at(frame: Frame) -> tuple[int, int]:
    return frame.start, frame.end


def test_it_gives_each_element_with_its_place() -> None:
    found, frames = read([ARRAY])
    assert [ARRAY[slice(*at(frame))].strip() for frame in found] == ELEMENTS
    assert [(frame.data or b"").strip() for frame in found] == ELEMENTS
    assert all(frame.whole for frame in found)
    assert (frames.closed, frames.total) == (True, len(ARRAY))


def test_it_gives_the_same_at_every_two_cuts() -> None:
    whole = read([ARRAY])[0]
    for a, b in combinations(range(len(ARRAY) + 1), 2):
        found, frames = read([ARRAY[:a], ARRAY[a:b], ARRAY[b:]])
        assert found == whole, (a, b)
        assert frames.closed
    assert read(ARRAY[place : place + 1] for place in range(len(ARRAY)))[0] == whole


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def cut(text: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(ends)]


@given(st.lists(JSON, max_size=6), st.lists(st.integers(min_value=0), max_size=8), st.sampled_from([None, 1]), st.booleans())
def test_it_reads_what_a_parser_reads_at_any_cuts(values: list[object], places: list[int], indent: int | None, ascii: bool) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    found, frames = read(cut(text, places))
    assert [json.loads((frame.data or b"").decode("utf-8", "surrogatepass")) for frame in found] == values
    assert frames.closed


@given(st.lists(st.binary(max_size=12), max_size=12), st.lists(st.integers(min_value=0), max_size=8))
def test_it_raises_for_nothing_and_any_cuts_are_alike(bodies: list[bytes], places: list[int]) -> None:
    text = b'[{"[,' + b'"]}\\,['.join(bodies)
    whole, frames = read([text])
    again, others = read(cut(text, places))
    assert again == whole
    assert (others.total, others.boundary, others.closed) == (frames.total, frames.boundary, frames.closed)


def test_a_lone_object_is_the_one_element() -> None:
    found, frames = read([b' {"a": [1, "}"]', b"} tail, more"])
    assert found == [Frame(1, 16, b'{"a": [1, "}"]}')]
    assert frames.closed


def test_what_is_cut_off_is_not_whole() -> None:
    found, frames = read([b'[{"a":1},{"b":'])
    assert found == [Frame(1, 8, b'{"a":1}'), Frame(9, 14, b'{"b":', whole=False)]
    assert not frames.closed


@pytest.mark.parametrize("pieces", [[b'[{"a":"0123456789"},{"b":1}]'], [b'[{"a":"01', b'23456789"},{"b"', b":1}]"]])
def test_what_is_too_long_is_counted_and_not_kept(pieces: list[bytes]) -> None:
    found, frames = read(pieces, limit=10)
    assert found == [Frame(1, 19, overlong=True), Frame(20, 27, b'{"b":1}')]
    assert not frames.overlong


def test_it_holds_no_more_than_its_limit() -> None:
    frames = Frames(limit=100)
    frames.feed(b'["')
    for _ in range(1000):
        frames.feed(b"x" * 1000)
        assert frames.overlong
    assert len(frames._kept) <= 100


BOUNDARIES = {
    b"": b'[{"error":1}]',
    b"[": b'{"error":1}]',
    b'[{"a":1}': b',{"error":1}]',
    b'[{"a":1}\n': b',{"error":1}]',
    b'[{"a":1}\n,\r\n': b'{"error":1}]',
}


@pytest.mark.parametrize("said", BOUNDARIES)
def test_an_event_of_ours_makes_the_array_whole(said: bytes) -> None:
    for place in range(len(said) + 1):
        frames = Frames()
        frames.feed(said[:place])
        frames.feed(said[place:])
        assert frames.at_boundary
        assert frames.inserted(sse.encode(b'{"error":1}')) == BOUNDARIES[said]
        assert json.loads(said + BOUNDARIES[said])[-1] == {"error": 1}


@pytest.mark.parametrize("said", [b'[{"a":1', b"[1", b'[{"a":1}]', b'{"a":1}'])
def test_nothing_of_ours_may_follow_amid_an_element_or_after_the_end(said: bytes) -> None:
    frames = Frames()
    frames.feed(said)
    assert not frames.at_boundary
