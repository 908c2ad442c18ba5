"""What a stream begins with decides on the client's status, and nothing that stands in it stops its settlement."""

import pytest

from spangate.exchange import Status
from spangate.record.recorder import Recorder
from spangate.relay.engine import FIRST_FRAME
from spangate.wire.problems import Interrupted

from .fakes import JSON, SSE, World
from .spoken import ASK, ASK_STREAM, ASK_STREAM_USAGE, BOTH, DONE, PLAIN, REPORTED, ROLE, STOP, WORD, problem


@pytest.mark.parametrize("cut", range(1, 66))
async def test_a_first_word_that_comes_in_two_pieces_gets_a_real_status_too(cut: int) -> None:
    error = b'data: {"error":{"message":"wait","type":"rate_limit_exceeded"}}\n\n'
    world = World(200, SSE, [error[:cut], error[cut:]])
    reply = await world.call(ASK_STREAM)
    assert (reply.status, problem(reply)["code"]) == (429, "rate_limit_exceeded")


async def test_a_stream_that_breaks_within_its_first_frame_is_a_502() -> None:
    world = World(200, SSE, [ROLE[:20], Interrupted(502, "upstream_dropped", "Gone.")])
    reply = await world.call(ASK_STREAM)
    assert (reply.status, problem(reply)["code"], world.exchange.status) == (502, "upstream_dropped", Status.provider_gone)


@pytest.mark.parametrize("size", [FIRST_FRAME // 2, FIRST_FRAME], ids=["within the limit", "beyond it"])
async def test_a_first_frame_is_waited_for_so_long_and_no_longer(size: int) -> None:
    """What is longer is no error: its beginning goes to the client at once."""
    begun = b'data: {"id":"c-1","x":"' + b"x" * size
    world = World(200, SSE, [begun, b'"}\n\n', ROLE, WORD, STOP, DONE])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (got[0] == begun, b"".join(got), whole) == (size == FIRST_FRAME, begun + b'"}\n\n' + ROLE + WORD + STOP + DONE, True)


async def test_an_answer_that_cannot_be_written_down_is_settled_all_the_same() -> None:
    """Objects in objects, with half a character in the midst: they can be read, and not be rendered again."""
    odd = b'data: {"choices":[{"index":0,"delta":%s"\\ud800"%s}]}\n\n' % (b'{"a":' * 600, b"}" * 600)
    world = World(200, SSE, [odd, WORD, STOP, BOTH, DONE])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (b"".join(got), whole) == (odd + WORD + STOP + BOTH + DONE, True)
    assert (world.exchange.status, world.exchange.attempts[0].usage) == (Status.ok, REPORTED)
    assert world.content is not None
    assert (world.content.response, world.content.response_truncated) == (b"{}", True)


@pytest.mark.parametrize("odd", [b"7", b'"text"', b"[1]", b"null"])
async def test_a_message_beside_the_delta_breaks_nothing(odd: bytes) -> None:
    both = b'data: {"id":"c-1","choices":[{"index":0,"message":%s,"delta":{"content":"hi"}}]}\n\n' % odd
    world = World(200, SSE, [both, both, STOP, BOTH, DONE])
    _, got, whole = await world.stream(ASK_STREAM_USAGE)
    assert (b"".join(got), whole) == (both + both + STOP + BOTH + DONE, True)
    assert (world.exchange.status, world.exchange.attempts[0].usage) == (Status.ok, REPORTED)


async def test_content_that_cannot_be_made_ready_does_not_cost_the_bill(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Recorder) -> None:
        raise RecursionError

    monkeypatch.setattr(Recorder, "content", broken)
    world = World(200, JSON, [PLAIN])
    reply = await world.call(ASK)
    assert (reply.status, reply.body) == (200, PLAIN)
    assert (world.exchange.status, world.exchange.attempts[0].usage) == (Status.ok, REPORTED)
    assert world.content is None
