"""A streamed answer on its way. The record is written before the bytes leave that tell the client of the end.

An object and not an async generator: a generator that was never started forgets its `finally`.
"""

import asyncio
import logging
from typing import Protocol

from spangate.exchange import Faulted, Status
from spangate.wire.estimate import tokens
from spangate.wire.problems import Interrupted, Problem

from .call import Call
from .drain import Drains
from .upstream import Incoming

logger = logging.getLogger(__name__)

# After the terminal event the client has all; we read on only so that the connection can be used again.
AFTER_END = 1.0
# s that a terminal event waits for a usage that was asked for and did not come before it; most answers end on the wire at once.
LATE = 0.1


class CutOff(Exception):
    """The answer is not whole, and the client must see that: close the connection without the last chunk."""


class Reading(Protocol):
    """What was read of the answer so far."""

    produced: int

    @property
    def finished(self) -> bool: ...

    def answer(self) -> tuple[bytes, bool] | None: ...


class Stream(Protocol):
    """Bytes of the provider in, bytes for the client out: a shape of `wire.streams`, or Unread."""

    @property
    def decoder(self) -> Reading: ...

    @property
    def at_boundary(self) -> bool: ...

    def inserted(self, event: bytes) -> bytes: ...

    def feed(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes: ...


class Unread:
    """An answer too large to be held and read: passed on as it is, and its tokens are counted by nobody."""

    at_boundary = False  # no frame of ours may follow
    finished = True  # its end on the wire is all that we know of its end
    produced = 0

    @property
    def decoder(self) -> "Unread":
        return self

    def answer(self) -> None:
        return None

    def inserted(self, event: bytes) -> bytes:
        return event

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def close(self) -> bytes:
        return b""


class StreamBody:
    """Yields what the client gets, from `first` on, which the stream gave already. Whoever stops before the end calls `leave`.

    `drains`: the answer is read on for its usage when the client leaves. `expecting`: usage was asked for, and may come after the end.
    """

    def __init__(
        self,
        call: Call,
        incoming: Incoming,
        stream: Stream,
        first: bytes,
        status: int,
        *,
        drains: Drains | None = None,
        expecting: bool = False,
    ) -> None:
        self._call = call
        self._incoming = incoming
        self._stream = stream
        self._first: bytes | None = first
        self._status = status
        self._drains = drains
        self._expecting = expecting
        self._boundary = True  # the client has whole frames only
        self._closed = False
        self._cut: Problem | None = None

    def __aiter__(self) -> "StreamBody":
        return self

    async def __anext__(self) -> bytes:
        try:
            while not self._closed:
                out = await self._next()
                if out:
                    return out
        except Interrupted as problem:
            return self._interrupted(problem)
        except asyncio.CancelledError as error:
            self.leave(error)
            raise
        except Exception:
            self._fold()
            self._call.settle_problem(Problem(500, "internal", "The gateway failed while it relayed the answer."), self._status)
            self._incoming.close()
            raise
        if self._cut is not None:
            raise CutOff(self._cut.message)
        raise StopAsyncIteration

    async def _next(self) -> bytes:
        """The next piece for the client; settles first if the piece ends the answer."""
        call = self._call
        if self._first is not None:
            out, self._first = self._first, None
        else:
            piece = await self._incoming.piece(AFTER_END if call.ended else None)
            self._closed = not piece
            out = self._stream.feed(piece) if piece else self._stream.close()
        if self._expecting and call.ended and call.settled is None and call.usage.output is None and not self._closed:
            out += await self._late()
        if call.settled is None and (self._closed or call.ended or call.failure is not None):
            self._settle()
            await self._durable()
        self._boundary = self._stream.at_boundary
        return out

    async def _late(self) -> bytes:
        """The answer has ended and nobody said what it cost: its last bytes are held for a moment, as some say it after the end."""
        out = b""
        try:
            async with asyncio.timeout(LATE):
                while not self._closed and self._call.usage.output is None:
                    piece = await self._incoming.piece()
                    self._closed = not piece
                    out += self._stream.feed(piece) if piece else self._stream.close()
        except TimeoutError:
            pass
        except Interrupted:
            self._closed = True
            self._incoming.close()
        return out

    def _settle(self) -> None:
        call = self._call
        self._fold()
        try:
            call.settle(*self._verdict())
        except OSError as error:
            raise unrecorded() from error

    async def _durable(self) -> None:
        try:
            await self._call.durable()
        except OSError as error:
            raise unrecorded() from error

    def _verdict(self) -> tuple[Status, int, Faulted | None]:
        call = self._call
        if call.failure is not None:
            return Status.error, self._status, Faulted(Status.error, call.failure.kind, call.failure.message)
        if self._stream.decoder.finished:
            return Status.ok, self._status, None
        # Nothing is made up: the client sees the end that the provider made.
        if call.malformed is not None:
            return Status.provider_gone, self._status, Faulted(Status.provider_gone, "malformed", call.malformed.message)
        message = "The provider ended its answer without a reason to stop."
        return Status.provider_gone, self._status, Faulted(Status.provider_gone, "incomplete", message)

    def _interrupted(self, problem: Interrupted) -> bytes:
        """The wire broke. Says so in a frame of its own if the client is not in the midst of another one; then the end is a cut."""
        self._closed = True
        self._incoming.close()
        if self._call.settled is Status.ok and self._call.ended and problem.kind != "journal_unwritable":
            raise StopAsyncIteration  # all that the answer had was sent
        self._fold()
        self._call.settle_problem(problem, self._status)
        if self._boundary and self._call.failure is None:
            self._cut = problem
            return self._stream.inserted(self._call.problem_event(problem))
        raise CutOff(problem.message) from problem

    def leave(self, error: BaseException | None = None) -> None:
        """The client is gone, or we were told to stop: the provider's connection is closed at once, or drained. After the end: nothing."""
        call, self._closed = self._call, True
        if call.gone:
            return  # and drained already
        if call.settled is None:
            if self._drains is not None and self._drains.room and left(error):
                call.leave(self._status)
                self._drains.take(self.drain, self._drained)
                return
            self._fold()
            call.settle_gone(client=left(error), http_status=self._status)
        self._incoming.close()

    async def drain(self) -> None:
        """Reads on for the usage, for nobody else; settles when that is known, or will not be."""
        call, decoder = self._call, self._stream.decoder
        most = tokens(decoder.produced) + (self._drains.tokens if self._drains is not None else 0)
        try:
            while call.failure is None and not (decoder.finished and call.usage.output is not None) and tokens(decoder.produced) < most:
                piece = await self._incoming.piece(AFTER_END if call.ended else None)
                if not piece:
                    self._stream.close()
                    break
                self._stream.feed(piece)
        finally:
            self._drained()

    def _drained(self) -> None:
        if self._call.settled is None:
            self._fold()
            self._call.settle_gone(client=True, http_status=self._status)
            self._incoming.close()

    def _fold(self) -> None:
        """Hands over what was said so far. Not after the settlement: it would change nothing. Never raises: what cannot be written down
        again, such as lists in lists a thousand deep, is left out of the trace, and the bill is not."""
        if self._call.settled is None and self._call.keeps_content:
            try:
                folded = self._stream.decoder.answer()
            except Exception as error:
                logger.warning("What call %s was answered is not kept: %s", self._call.inbound.call_id, type(error).__name__)
                folded = b"{}", True
            if folded is not None:
                self._call.answered(folded[0], truncated=folded[1])


def unrecorded() -> Interrupted:
    return Interrupted(503, "journal_unwritable", "The gateway could not write the record of this answer, so it ends here.")


# The message of the cancellation by which the ingress tells that the client hung up.
GONE = "client gone"


def left(error: BaseException | None) -> bool:
    """Whether an answer that nobody takes any more means that the client left. A cancellation that does not say so is the process's own
    end; any other error is that of a connection on which nothing can be sent."""
    return not isinstance(error, asyncio.CancelledError) or GONE in error.args
