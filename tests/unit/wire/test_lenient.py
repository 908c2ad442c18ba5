"""JSON of providers: what is read though it is odd, and that what is written is sound."""

import json
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.wire import lenient

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=20,
)


def check_renders_strict_json(render: object, value: object) -> None:
    body = render(value)  # type: ignore[operator]
    msgspec.json.decode(body)
    assert lenient.parse(body) is not None or body == b"null"


@given(JSON)
def test_whatever_was_parsed_is_rendered_as_strict_json(value: object) -> None:
    check_renders_strict_json(lenient.render, value)


def test_mutant_renders_lone_surrogates() -> None:
    with pytest.raises(msgspec.DecodeError):
        check_renders_strict_json(lambda value: json.dumps(value).encode(), "\ud800")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"\\ud83d"', "\ud83d"),
        (b'["\xff"]', ["\ufffd"]),
        (b"1e999", float("inf")),
        (b'{"a":1}', {"a": 1}),
    ],
)
def test_it_reads(body: bytes, value: object) -> None:
    assert lenient.parse(body) == value


@pytest.mark.parametrize("body", [b"", b"{", b"nope", b'{"a":}', b"1" * 5000])
def test_it_refuses_with_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        lenient.parse(body)


def test_it_refuses_the_bottomless() -> None:
    with pytest.raises(RecursionError):
        lenient.parse(b"[" * 100_000)


def test_halves_of_a_pair_are_joined_and_a_lone_one_is_replaced() -> None:
    assert lenient.mend("\ud83d\ude00") == "😀"
    assert lenient.mend("a\ud83d") == "a\ufffd"
    assert lenient.render({"\ud800": ["\ud83d\ude00", 1, None, 1.5, True]}) == '{"\ufffd":["😀",1,null,1.5,true]}'.encode()


def test_the_hook_is_asked_for_what_json_does_not_know() -> None:
    def hook(value: object) -> object:
        return f"{cast('complex', value).real:g}\ud800"

    assert lenient.render([1j], hook) == '["0\ufffd"]'.encode()


def test_without_a_hook_mending_leaves_the_unknown_to_the_encoder() -> None:
    with pytest.raises(TypeError):
        lenient.render(["\ud800", 1j])


def test_narrowing() -> None:
    assert lenient.mapping({"a": 1}) == {"a": 1}
    assert lenient.mapping([1]) is None
    assert lenient.text("a") == "a"
    assert lenient.text("") is None
    assert lenient.text(1) is None
