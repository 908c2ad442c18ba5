import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spangate.wire.problems import Refusal
from spangate.worker import bodies
from spangate.worker.asgi import Disconnected, Headers, Message
from spangate.worker.bodies import BodyLimits, Bounded, unpack, unpacked, unreadable, whole_body

MIB = 1 << 20
TEXT = b'{"model":"chat","messages":[{"role":"user","content":"Hello"}]}' * 50


def bare(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


def refused(body: bytes, *packings: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        b"".join(unpack(body, packings))
    return caught.value


@pytest.mark.parametrize("coding", PACK)
@given(data=st.binary(max_size=2000))
def test_unpacks_what_was_packed(coding: str, data: bytes) -> None:
    assert b"".join(unpack(PACK[coding](data), [coding])) == data


@pytest.mark.parametrize("coding", PACK)
def test_unpacks_more_than_a_slice(coding: str) -> None:
    data = bytes(range(256)) * 40 + TEXT * 200
    assert b"".join(unpack(PACK[coding](data), [coding])) == data


def test_reads_deflate_also_bare() -> None:
    assert b"".join(unpack(bare(TEXT), ["deflate"])) == TEXT


@pytest.mark.parametrize("packings", [["gzip", "zstd"], ["zstd", "deflate", "gzip"]])
def test_undoes_codings_from_the_last_to_the_first(packings: list[str]) -> None:
    body = TEXT
    for coding in packings:
        body = PACK[coding](body)
    assert b"".join(unpack(body, packings)) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_reads_all_members(coding: str) -> None:
    assert b"".join(unpack(PACK[coding](b"one,") + PACK[coding](b"") + PACK[coding](b"two"), [coding])) == b"one,two"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_reads_so_many_members_and_no_more(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MEMBERS", 3)
    assert b"".join(unpack(PACK[coding](b"a") * 3, [coding])) == b"aaa"
    assert refused(PACK[coding](b"a") * 4, coding).kind == "invalid_encoding"


@pytest.mark.parametrize("garbage", [b"x", b"\0", b"{}" * 20000, b"\x1f\x8b"])
@pytest.mark.parametrize(
    "packed", [("gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT)), ("deflate", bare(TEXT)), ("zstd", zstandard.compress(TEXT))]
)
def test_refuses_what_follows_the_end(packed: tuple[str, bytes], garbage: bytes) -> None:
    assert refused(packed[1] + garbage, packed[0]).status == 400


@pytest.mark.parametrize("coding", PACK)
def test_refuses_every_beginning_that_is_not_the_whole(coding: str) -> None:
    packed = PACK[coding](b"some words")
    assert {refused(packed[:end], coding).kind for end in range(len(packed))} == {"invalid_encoding"}


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_refuses_a_wrong_checksum(coding: str) -> None:
    packed = gzip.compress(TEXT) if coding == "gzip" else zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
    assert refused(
        packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:] if coding == "gzip" else packed[:-1] + bytes([packed[-1] ^ 1]), coding
    )


def test_refuses_a_window_that_no_content_coding_may_ask_for() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert refused(packer.compress(bytes(MIB)) + packer.flush(), "zstd").kind == "invalid_encoding"


def bomb(coding: str, size: int) -> bytes:
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=19).compress(bytes(size))
    packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
async def test_a_bomb_stops_at_the_limit_and_costs_no_more_memory_than_that(coding: str) -> None:
    packed = bomb(coding, 256 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as caught:
            await unpacked(packed, [coding], 4 * MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (caught.value.status, caught.value.kind) == (413, "body_too_large")
    assert peak < 24 * MIB


async def test_a_bomb_within_a_bomb_does_no_more() -> None:
    packed = gzip.compress(bomb("gzip", 256 * MIB))
    with pytest.raises(Refusal) as caught:
        await unpacked(packed, ["gzip", "gzip"], 4 * MIB)
    assert caught.value.status == 413


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_body_at_the_limit_is_taken(coding: str) -> None:
    packed = bomb(coding, MIB)
    assert len(await unpacked(packed, [coding], MIB)) == MIB
    with pytest.raises(Refusal):
        await unpacked(packed, [coding], MIB - 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
async def test_others_get_their_turns_meanwhile(coding: str) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await unpacked(bomb(coding, 16 * MIB), [coding], 16 * MIB)
    task.cancel()
    # zstd gives what it gives for a slice of its input: up to 8 MiB.
    assert turns >= (2 if coding == "zstd" else 60)


# ---------------------------------------------------------------- what the head says


@pytest.mark.parametrize(
    ("headers", "packings"),
    [
        ([], []),
        ([(b"content-encoding", b"")], []),
        ([(b"content-encoding", b"identity")], []),
        ([(b"content-encoding", b" GZip ")], ["gzip"]),
        ([(b"content-encoding", b"gzip, identity,zstd")], ["gzip", "zstd"]),
        ([(b"content-encoding", b"gzip"), (b"content-encoding", b"deflate")], ["gzip", "deflate"]),
        ([(b"content-length", b"100")], []),
    ],
)
def test_codings_in_the_order_in_which_they_were_applied(headers: Headers, packings: list[str]) -> None:
    assert unreadable(headers, 100) == packings


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-encoding", b"br")], 415),
        ([(b"content-encoding", b"gzip, br")], 415),
        ([(b"content-encoding", b"gzip\xff")], 415),
        ([(b"content-encoding", b"gzip, gzip, gzip, gzip")], 415),
        ([(b"content-length", b"101")], 413),
        ([(b"content-length", b"9223372036854775808 ")], 413),
    ],
)
def test_heads_that_speak_against_reading_on(headers: Headers, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        unreadable(headers, 100)
    assert caught.value.status == status


# ---------------------------------------------------------------- reading


class Sender:
    """A client that sends each piece after its pause; past the last one nothing comes."""

    def __init__(self, *pieces: bytes | None, pause: float = 0.0, more: bool = False) -> None:
        self.pieces = list(pieces)
        self.pause = pause
        self.more = more
        self.read = 0

    async def __call__(self) -> Message:
        if not self.pieces:
            await asyncio.Event().wait()
        await asyncio.sleep(self.pause)
        piece = self.pieces.pop(0)
        self.read += 1
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces) or self.more}


LIMITS = BodyLimits(10, 0.05)


async def test_reads_a_body_in_pieces() -> None:
    assert await whole_body(Sender(b"ab", b"", b"c"), [], LIMITS) == (b"abc", [])


async def test_stops_reading_at_the_limit() -> None:
    sender = Sender(b"12345678", b"901", b"never", b"read")
    with pytest.raises(Refusal, match="larger than the limit of 10 bytes"):
        await whole_body(sender, [], LIMITS)
    assert sender.read == 2


async def test_a_client_that_leaves_midway_said_nothing() -> None:
    with pytest.raises(Disconnected):
        await whole_body(Sender(b"ab", None), [], LIMITS)


@pytest.mark.parametrize("pieces", [[], [b"ab"], [b"ab", b"c"]])
async def test_a_body_that_stops_coming_is_given_up(pieces: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        await whole_body(Sender(*pieces, more=True), [], LIMITS)
    assert (caught.value.status, caught.value.kind) == (408, "body_timeout")


async def test_a_body_that_trickles_is_given_up_though_it_never_stops() -> None:
    sender = Sender(*[b"x"] * 200, pause=0.02)
    with pytest.raises(Refusal) as caught:
        await whole_body(sender, [], BodyLimits(1000, 0.05))
    assert (caught.value.status, sender.read < 10) == (408, True)


async def test_a_slow_body_that_keeps_its_pace_is_read() -> None:
    body, _ = await whole_body(Sender(*[b"x" * 500] * 10, pause=0.02), [], BodyLimits(10_000, 0.05))
    assert len(body) == 5000


async def test_waiting_for_the_client_to_leave_has_no_end() -> None:
    bounded = Bounded(Sender(b"a", None, pause=0.0), LIMITS)
    await bounded()
    later = asyncio.create_task(Bounded(Sender(b"a"), LIMITS)())
    assert (await later)["body"] == b"a"
    assert (await bounded())["type"] == "http.disconnect"


async def test_an_empty_body_is_empty_in_every_coding() -> None:
    assert await whole_body(Sender(b""), [(b"content-encoding", b"gzip")], LIMITS) == (b"", [])
