"""JSON without its end."""

import json
import time
from typing import Any

import pytest

from spangate.wire.cut import closed

WHOLE: dict[str, Any] = {
    "messages": [{"role": "user", "content": 'He said: "é\\🙂"\n'}, {"role": "assistant", "content": None, "n": [1, 2.5, -3e9, True, {}]}],
    "last": "word",
}


def beginning(part: Any, whole: Any) -> bool:
    """Whether it is what came first of the other."""
    if isinstance(part, dict) and isinstance(whole, dict):
        names = list(whole)[: len(part)]
        return list(part) == names and all(beginning(part[name], whole[name]) for name in names)
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(beginning, part, whole))
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part.rstrip("\ud83d"))  # half of a pair that was cut in two
    return part == whole and type(part) is type(whole)


@pytest.mark.parametrize(
    "text",
    [json.dumps(WHOLE), json.dumps(WHOLE, ensure_ascii=False), json.dumps(WHOLE, indent=2), json.dumps(WHOLE, separators=(",", ":"))],
)
def test_wherever_it_is_cut_what_came_before_is_there(text: str) -> None:
    whole = text.encode()
    for end in range(1, len(whole) + 1):
        found = json.loads(closed(whole[:end]).decode(errors="ignore"))
        assert beginning(found, WHOLE), whole[:end]
    assert closed(whole) == whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": "He', b'{"a": "He"}'),
        (b'{"a": "He\\', b'{"a": "He"}'),
        (b'{"a": "He\\u00', b'{"a": "He"}'),
        (b'{"a": "He\\n', b'{"a": "He\\n"}'),
        (b'{"a": [1, 23', b'{"a": [1]}'),
        (b'{"a": [1, "x"', b'{"a": [1, "x"]}'),
        (b'{"a": 1, "b', b'{"a": 1}'),
        (b'{"a": 1, "b"', b'{"a": 1}'),
        (b'{"a": 1, "b":', b'{"a": 1}'),
        (b'{"a": 1, "b": tru', b'{"a": 1}'),
        (b'{"a": {"b": 1}, ', b'{"a": {"b": 1}}'),
        (b"", b""),
        (b"{]", b"{}"),
        (b"]", b""),
    ],
)
def test_it_is_closed_where_it_was_cut(text: bytes, expected: bytes) -> None:
    assert closed(text) == expected


@pytest.mark.parametrize("text", [b"[" * (1 << 20), b'{"a":' * (1 << 18), b'{"a": "' + b"\\n" * (1 << 19), b'"' * (1 << 20)])
def test_whatever_it_is_it_takes_no_longer_than_it_is_long(text: bytes) -> None:
    began = time.process_time()
    closed(text)
    assert time.process_time() - began < 10  # a second on a slow machine; by the square of its length it would be hours
