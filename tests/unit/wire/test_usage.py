"""Counts off the wire: each class where it belongs, and odd ones named, never booked, never raised."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.wire import counting
from spangate.wire.formats import anthropic_messages, openai_chat, openai_embeddings, openai_responses
from spangate.wire.usage import CEILING, Usage, count, later


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0), (7, 7), (7.0, 7), ("7", 7), (CEILING, CEILING),
        (-1, None), (7.5, None), ("7.5", None), ("-7", None), ("", None), ("seven", None), ("\u0667", None), ("1" * 5000, None),
        (CEILING + 1, None), (10**30, None), (1e300, None), (float("inf"), None), (float("nan"), None),
        (True, None), (None, None), ([], None), ({}, None),
    ],
)  # fmt: skip
def test_a_count_is_plausible_or_none(value: object, number: int | None) -> None:
    assert count(value) == number


OPENAI = [
    (None, None),
    ({}, Usage()),
    ("lots", Usage(invalid=("usage",))),
    ([], Usage(invalid=("usage",))),
    ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(input=0, output=0)),
    ({"prompt_tokens": None, "completion_tokens": 3}, Usage(output=3)),
    ({"prompt_tokens": "5", "completion_tokens": 3.0}, Usage(input=5, output=3)),
    ({"prompt_tokens": -5, "completion_tokens": 1e18}, Usage(invalid=("input", "output"))),
    ({"prompt_tokens": 5, "completion_tokens": 2.5}, Usage(input=5, invalid=("output",))),
    ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 3}, Usage(input=5, cache_read=0)),
    ({"prompt_tokens": 5, "cached_tokens": 3}, Usage(input=5, cache_read=3)),
    ({"prompt_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 1}, Usage(input=5, cache_read=3, cache_write=1)),
    ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}, Usage(input=5, invalid=("cache_read",))),
    ({"prompt_tokens": 5, "prompt_tokens_details": "none", "completion_tokens_details": []}, Usage(input=5)),
    ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}}, Usage(output=5, invalid=("reasoning",))),
    (
        {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 9}},
        Usage(input=1, output=14, reasoning=9),
    ),
    (
        {"prompt_tokens": 1, "completion_tokens": 12, "total_tokens": 13, "completion_tokens_details": {"reasoning_tokens": 9}},
        Usage(input=1, output=12, reasoning=9),
    ),
    (
        {
            "prompt_tokens": 0,
            "completion_tokens": CEILING,
            "total_tokens": CEILING + 9,
            "completion_tokens_details": {"reasoning_tokens": 9},
        },
        Usage(input=0, reasoning=9, invalid=("output",)),
    ),
    (
        {
            "prompt_tokens": 9,
            "completion_tokens": 8,
            "prompt_tokens_details": {"audio_tokens": 2},
            "completion_tokens_details": {"audio_tokens": 1},
        },
        Usage(input=9, output=8, audio_input=2, audio_output=1),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "usage"), OPENAI)
def test_openais_usage(wire: object, usage: Usage | None) -> None:
    assert openai_chat.parse_usage(wire) == usage


RESPONSES = [
    (None, None),
    (5, Usage(invalid=("usage",))),
    ({}, Usage()),
    (
        {
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": 18,
        },
        Usage(input=11, output=7, cache_read=3, cache_write=2, reasoning=1),
    ),
    ({"input_tokens": 1, "input_tokens_details": {"cached_tokens": 3}}, Usage(input=1, invalid=("cache_read",))),
    ({"output_tokens": "x", "output_tokens_details": 5}, Usage(invalid=("output",))),
]


@pytest.mark.parametrize(("wire", "usage"), RESPONSES)
def test_usage_of_responses(wire: object, usage: Usage | None) -> None:
    assert openai_responses.parse_usage(wire) == usage


EMBEDDINGS = [
    (None, None),
    (5, Usage(invalid=("usage",))),
    ({}, Usage()),
    ({"prompt_tokens": 5, "total_tokens": 5}, Usage(input=5, output=0)),
    ({"prompt_tokens": 5}, Usage(input=5)),
    ({"prompt_tokens": 5, "total_tokens": 7}, Usage(input=5)),
    ({"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}, Usage(input=5, output=0)),
    ({"prompt_tokens": -5, "total_tokens": -5}, Usage(invalid=("input",))),
]


@pytest.mark.parametrize(("wire", "usage"), EMBEDDINGS)
def test_usage_of_embeddings(wire: object, usage: Usage | None) -> None:
    assert openai_embeddings.parse_usage(wire) == usage


ANTHROPIC = [
    (None, None),
    (5, Usage(invalid=("usage",))),
    ({}, Usage()),
    ({"input_tokens": 3, "output_tokens": 4}, Usage(input=3, output=4)),
    ({"input_tokens": 0, "cache_read_input_tokens": 50}, Usage(input=50, cache_read=50)),
    ({"cache_read_input_tokens": 50}, Usage(cache_read=50)),
    (
        {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}},
        Usage(input=6, cache_write=5, cache_write_5m=2, cache_write_1h=3),
    ),
    (
        {"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 3}},
        Usage(input=4, cache_write=3, cache_write_1h=3),
    ),
    (
        {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": None}},
        Usage(input=4, cache_write=3, cache_write_5m=3),
    ),
    (
        {"input_tokens": 1, "cache_creation_input_tokens": 2, "cache_creation": {"ephemeral_5m_input_tokens": 3}},
        Usage(input=3, cache_write=2, invalid=("cache_write_5m",)),
    ),
    (
        {"input_tokens": 1, "cache_creation_input_tokens": -2, "cache_creation": {"ephemeral_5m_input_tokens": 3}},
        Usage(cache_write_5m=3, invalid=("cache_write", "input")),
    ),
    ({"input_tokens": 1, "cache_read_input_tokens": "x"}, Usage(invalid=("cache_read", "input"))),
    ({"input_tokens": -1, "cache_read_input_tokens": 5}, Usage(cache_read=5, invalid=("input",))),
    ({"input_tokens": CEILING, "cache_read_input_tokens": 5}, Usage(cache_read=5, invalid=("input",))),
    ({"output_tokens": 4, "output_tokens_details": {"thinking_tokens": 5}}, Usage(output=4, invalid=("reasoning",))),
]


@pytest.mark.parametrize(("wire", "usage"), ANTHROPIC)
def test_anthropics_usage(wire: object, usage: Usage | None) -> None:
    assert anthropic_messages.parse_usage(wire) == usage


NAMES = [
    "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "prompt_tokens_details", "completion_tokens_details", "reasoning_tokens", "audio_tokens",
    "cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "output_tokens_details", "thinking_tokens",
]  # fmt: skip
ODD = (
    st.none()
    | st.booleans()
    | st.integers(-5, 50)
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
)
WIRE = st.recursive(ODD, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=8), max_leaves=24)


def check_books_only_plausible_counts(parse: Callable[[object], Usage | None], wire: object) -> None:
    usage = parse(wire)
    if usage is None:
        return
    for field in usage.__struct_fields__[:-1]:
        number = getattr(usage, field)
        assert number is None or 0 <= number <= CEILING
        assert number is None or field not in usage.invalid
    for part, whole in [("cache_read", "input"), ("cache_write", "input"), ("reasoning", "output"), ("cache_write_5m", "cache_write")]:
        inner, outer = getattr(usage, part), getattr(usage, whole)
        assert inner is None or outer is None or inner <= outer
    json.dumps(usage.invalid)


@given(WIRE)
def test_only_plausible_counts_are_booked(wire: object) -> None:
    check_books_only_plausible_counts(openai_chat.parse_usage, wire)
    check_books_only_plausible_counts(anthropic_messages.parse_usage, wire)


def test_mutant_books_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "count", lambda value: value if isinstance(value, int) else None)
    for parse, wire in [(openai_chat.parse_usage, {"prompt_tokens": -5}), (anthropic_messages.parse_usage, {"output_tokens": 10**18})]:
        with pytest.raises(AssertionError):
            check_books_only_plausible_counts(parse, wire)


def test_totals() -> None:
    assert Usage(input=1, output=2).total == 3
    assert Usage(input=1).total is None
    assert Usage(output=1).total is None
    assert Usage(output=0).known
    assert Usage(input=0).known
    assert not Usage(cache_read=1).known


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (Usage(), Usage(input=3), Usage(input=3)),
        (Usage(input=3, output=1), Usage(input=3, output=2), Usage(input=3, output=2)),
        (Usage(input=3, output=2), Usage(input=3, output=1), Usage(input=3, output=1)),
        (Usage(input=3, output=2, reasoning=1), Usage(input=4), Usage(input=4)),
        (Usage(input=3, output=2), Usage(), Usage(input=3, output=2)),
        (Usage(input=3, output=2), Usage(cache_read=0), Usage(input=3, output=2)),
        (Usage(input=3, invalid=("output",)), Usage(invalid=("usage", "output")), Usage(input=3, invalid=("output", "usage"))),
        (Usage(invalid=("usage",)), Usage(cache_read=0), Usage(cache_read=0, invalid=("usage",))),
    ],
)
def test_of_two_reports_the_later_counts_unless_it_says_nothing(before: Usage, after: Usage, kept: Usage) -> None:
    assert later(before, after) == kept
