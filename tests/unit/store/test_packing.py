import pytest
from tests.unit.store.given import exchange

from spangate.store import limits
from spangate.store.faults import Invalid
from spangate.store.packing import SHORT, packed, packed_exchange, unpacked, unpacked_exchange

FRAME = b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize("data", [b"", b"{}", b"x" * 5_000, bytes(range(256)) * 4, FRAME, FRAME + b"not a frame", b"\x00" * 300])
def test_what_was_packed_comes_back(data: bytes) -> None:
    assert unpacked(packed(data)) == data
    assert unpacked(packed(packed(data))) == packed(data)


def test_short_bytes_stay_as_they_are() -> None:
    assert packed(b"x" * (SHORT - 1)) == b"x" * (SHORT - 1)
    assert len(packed(b"x" * SHORT)) < 40


def test_an_exchange_comes_back() -> None:
    assert unpacked_exchange(packed_exchange(exchange(1))) == exchange(1)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (None, None),
        ("", ""),
        ("plain", "plain"),
        ("abcdef", "abcde"),
        ("a\x00b", "a\ufffdb"),
        ("é🙂", "é🙂"),
        ("\ud83d", "?"),
    ],
)
def test_recorded_text_is_made_to_fit(text: str | None, stored: str | None) -> None:
    assert limits.kept(text, 5) == stored


@pytest.mark.parametrize("text", ["", "abcdef", "a\x00", "\ud83d"])
def test_given_text_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="'name'"):
        limits.given(text, "name", 5)


def test_given_text_may_be_empty_where_that_means_something() -> None:
    assert limits.given("", "value", 5, empty=True) == ""
    assert limits.given("é🙂", "value", 5) == "é🙂"
