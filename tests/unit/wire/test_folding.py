"""Deltas fold into the value they describe, within their room."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.wire.folding import Envelope, Fold, Growing, rendered

ROOM = 1 << 20


def folded(*deltas: dict[str, object], room: int = ROOM) -> object:
    value: dict[str, object] = {}
    fold = Fold(room)
    for delta in deltas:
        fold.merge(value, delta)
    return json.loads(rendered(value))


@pytest.mark.parametrize(
    ("deltas", "value"),
    [
        ([{"content": "a"}, {"content": "b"}, {"content": "c"}], {"content": "abc"}),
        ([{"content": ""}, {"content": "b"}], {"content": "b"}),
        ([{"content": "a"}, {"content": ""}, {"content": None}], {"content": "a"}),
        ([{"content": None}, {"content": "b"}], {"content": "b"}),
        ([{"content": None}, {"content": ""}], {"content": ""}),
        ([{"role": "assistant"}, {"role": "assistant"}], {"role": "assistant"}),
        ([{"role": ""}, {"role": "assistant"}], {"role": "assistant"}),
        ([{"name": "get"}, {"name": "get"}], {"name": "get"}),
        ([{"name": "get_"}, {"name": "weather"}], {"name": "get_weather"}),
        ([{"n": 1}, {"n": 2}], {"n": 2}),
        ([{"flag": True}, {"flag": None}], {"flag": True}),
        ([{"content": [1]}, {"content": "a"}], {"content": "a"}),
        ([{"content": "a"}, {"content": [1]}], {"content": [1]}),
        ([{"audio": {"id": "x", "data": "aa"}}, {"audio": {"data": "bb", "until": 5}}], {"audio": {"id": "x", "data": "aabb", "until": 5}}),
        ([{"audio": "no"}, {"audio": {"data": "b"}}], {"audio": {"data": "b"}}),
        ([{"list": [1, "a"]}, {"list": [{"b": 2}]}], {"list": [1, "a", {"b": 2}]}),
        ([{"calls": [{"index": 1, "a": "x"}]}, {"calls": [{"index": 0, "a": "y"}, {"index": 1, "a": "z"}]}],
         {"calls": [{"index": 1, "a": "xz"}, {"index": 0, "a": "y"}]}),
        ([{"calls": [{"index": True}]}], {"calls": [{"index": True}]}),
        ([{"calls": [1, {"index": 0, "a": "x"}]}, {"calls": [{"index": 1}]}], {"calls": [1, {"index": 0, "a": "x"}, {"index": 1}]}),
    ],
)  # fmt: skip
def test_deltas_fold(deltas: list[dict[str, object]], value: object) -> None:
    assert folded(*deltas) == value


def check_text_is_whole(kind: type[Fold], pieces: list[str]) -> None:
    value: dict[str, object] = {}
    fold = kind(ROOM)
    for piece in pieces:
        fold.merge(value, {"content": piece})
    assert str(value.get("content", "")) == "".join(pieces)
    assert not fold.truncated


@given(st.lists(st.text(st.characters(exclude_categories=[]))))
def test_any_pieces_are_the_text(pieces: list[str]) -> None:
    check_text_is_whole(Fold, pieces)


def test_mutant_replaces() -> None:
    class Mutant(Fold):
        def _say(self, into: dict[str, object], name: str, value: str) -> None:
            into[name] = value

    with pytest.raises(AssertionError):
        check_text_is_whole(Mutant, ["a", "b"])


DELTAS = st.lists(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.integers(0, 9) | st.text(max_size=20),
            lambda inner: (
                st.lists(st.dictionaries(st.sampled_from(["index", "a"]), inner | st.integers(0, 9)), max_size=3)
                | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=4,
    ),
    max_size=12,
)


def check_stays_in_its_room(kind: type[Fold], deltas: list[dict[str, object]]) -> None:
    value: dict[str, object] = {}
    fold = kind(100)
    for delta in deltas:
        fold.merge(value, delta)
    # Structure costs more on the wire than it is counted for; six bytes is the longest escape of one.
    assert len(rendered(value)) <= 6 * 100 + 100
    assert fold.room >= 0


@given(DELTAS)
def test_a_fold_stays_in_its_room(deltas: list[dict[str, object]]) -> None:
    check_stays_in_its_room(Fold, deltas)


def test_mutant_has_no_bounds() -> None:
    class Mutant(Fold):
        def take_text(self, value: str) -> str:
            return value

    with pytest.raises(AssertionError):
        check_stays_in_its_room(Mutant, [{"content": "x" * 1000}])


@pytest.mark.parametrize(
    ("room", "delta", "value"),
    [
        (20, {"content": "0123456789"}, {"content": "01234"}),
        (23, {"content": "ééééé"}, {"content": "éé"}),
        (20, {"content": [1, 2, 3, 4, 5, 6, 7]}, {"content": [1, 2, 3, 4, 5]}),
        (10, {"number": 5}, {}),
        (20, {"number": 5}, {}),
        (22, {"number": 5}, {"number": 5}),
        (16, {"calls": [{"index": 0}]}, {"calls": []}),
    ],
)
def test_what_fits_is_kept_and_the_rest_is_marked(room: int, delta: dict[str, object], value: object) -> None:
    fold = Fold(room)
    into: dict[str, object] = {}
    fold.merge(into, delta)
    fold.merge(into, {"more": "x"})
    assert json.loads(rendered(into)) == value | ({} if fold.truncated else {"more": "x"})  # type: ignore[operator]
    assert fold.truncated or value == {"number": 5}


def test_a_list_has_bounded_places() -> None:
    fold = Fold(1000)
    into: dict[str, object] = {}
    fold.merge(into, {"calls": [{"index": index} for index in range(1000)]})
    assert fold.truncated
    assert len(into["calls"]) < 50  # type: ignore[arg-type]


def test_a_growing_string_is_a_string() -> None:
    assert rendered({"a": Growing("x", "y")}) == b'{"a":"xy"}'
    assert rendered({"a": Growing("\ud83d", "\ude00")}) == '{"a":"😀"}'.encode()


def test_an_envelope_keeps_what_was_said_last() -> None:
    envelope = Envelope()
    envelope.put({"id": "a", "model": "m", "x": None, "choices": []}, frozenset({"choices"}))
    envelope.put({"id": "b", "model": None, "x": None, "more": {"y": 1}}, frozenset())
    assert envelope.fields == {"id": "b", "model": "m", "x": None, "more": {"y": 1}}
    assert not envelope.truncated


def test_an_envelope_is_bounded_and_replacing_is_free() -> None:
    envelope = Envelope()
    for number in range(1000):
        envelope.put({"pad": str(number) + "x" * 1000}, frozenset())
    assert not envelope.truncated
    envelope.put({"flood": "x" * Envelope.ROOM, "created": 5}, frozenset())
    assert envelope.truncated
    assert set(envelope.fields) == {"pad", "created"}
