"""Compressed answers are read to their end, however many members that has."""

import gzip
import zlib
from itertools import pairwise

import pytest

from spangate.relay.coding import unpacked
from spangate.wire.problems import Interrupted

from .fakes import FakeIncoming, whole

GZIP = {b"content-encoding": b"gzip"}
TWO = gzip.compress(b"first ") + gzip.compress(b"") + gzip.compress(b"second")


def incoming(*pieces: bytes) -> FakeIncoming:
    return FakeIncoming(200, list(GZIP.items()), list(pieces), [])


@pytest.mark.parametrize("cut", range(1, len(TWO)))
async def test_reads_each_member_wherever_the_network_cut_them(cut: int) -> None:
    assert await whole(unpacked(incoming(TWO[:cut], TWO[cut:]), GZIP)) == b"first second"


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_reads_each_member_byte_by_byte(size: int) -> None:
    pieces = [TWO[start:end] for start, end in pairwise([*range(0, len(TWO), size), len(TWO)])]
    assert await whole(unpacked(incoming(*pieces), GZIP)) == b"first second"


@pytest.mark.parametrize("last", [b"", b"\0\0", b"rubbish"])
async def test_what_follows_the_last_member_is_nobodys(last: bytes) -> None:
    assert await whole(unpacked(incoming(TWO + last, last or b"x"), GZIP)) == b"first second"


async def test_a_last_member_that_is_not_whole_is_no_end() -> None:
    with pytest.raises(Interrupted, match="before its end"):
        await whole(unpacked(incoming(TWO[:-9]), GZIP))


async def test_bytes_that_are_no_member_after_all_are_no_end() -> None:
    with pytest.raises(Interrupted, match="not compressed as it says"):
        await whole(unpacked(incoming(TWO + b"\x1fnone"), GZIP))


async def test_nothing_at_all_was_not_packed() -> None:
    assert await whole(unpacked(incoming(), GZIP)) == b""


async def test_deflate_has_one_member() -> None:
    said = {b"content-encoding": b"deflate"}
    assert await whole(unpacked(incoming(zlib.compress(b"all"), b"more"), said)) == b"all"
