import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.relay.depth import DEPTH, SIGNS, WALKED, deep

KEYS = st.text(alphabet='a"\\[]{}\n/nu', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=40,
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(VALUES, st.integers(0, 8), st.sampled_from([None, 2]))
def test_tells_what_a_walk_through_the_value_tells(value: object, levels: int, indent: int | None) -> None:
    assert deep(json.dumps(value, indent=indent).encode(), levels) is (depth(value) > levels)


@pytest.mark.parametrize(("open_", "close"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"[[":', b"}]")])
def test_the_last_level_that_passes_and_the_first_that_does_not(open_: bytes, close: bytes) -> None:
    levels = DEPTH // len(close)
    assert not deep(open_ * levels + b"1" + close * levels)
    assert deep(open_ * (levels + 1) + b"1" + close * (levels + 1))


def test_brackets_in_strings_are_no_depth() -> None:
    assert not deep(json.dumps({"a": "[" * 5000, "b": '"' + "{" * 5000, "c": "\\", "[": '\\"[[[['}).encode())


def test_a_deep_place_is_found_beside_brackets_in_strings_that_seem_to_close_it() -> None:
    assert deep(b'["]]]",' * 129 + b"1" + b"]" * 129)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"[]" * (SIGNS // 2 + 1), (b"[" * 20 + b"]" * 20) * (WALKED // 6)])
def test_what_is_only_brackets_is_not_looked_at_for_long(text: bytes) -> None:
    assert deep(text)
