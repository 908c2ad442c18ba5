"""From a client's request to its reply. Every way out of here has settled the call, or hands on a body that will.

peek → route → admit → first attempt → journal begin → send → judge → relay → settle
                              next attempt → journal resume ↗   ↘ pause ↩
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

import msgspec

from spangate.exchange import Faulted, Inbound, Journal, Reply, Status, Target
from spangate.wire.estimate import RULE_OF_THUMB, Gauge, estimate
from spangate.wire.formats import FORMATS, RENDERERS, mlflow_chat, mlflow_embeddings, raw
from spangate.wire.problems import Problem, Refusal, UpstreamProblem
from spangate.wire.streams import Passthrough, Translate
from spangate.wire.usage import Usage

from .asked import USAGE_ON_REQUEST
from .attempts import Budget, Health, Outcome, attempts
from .call import Call, Record, faulted
from .coding import unpacked
from .cooling import Cooling
from .destination import Responses, destination, remembering
from .drain import Drains
from .headers import headers_down
from .judge import advised, kind, shaped, stillborn, streamed, whole_seconds
from .prepare import Plan, plan
from .route import UPSTREAM_FORMAT, Routes
from .streaming import StreamBody, Unread, left
from .tokens import CREDENTIAL, REFUSED, Tokens, TokenSource
from .upstream import Incoming, Timeouts, Transport, held

logger = logging.getLogger(__name__)

JSON = (b"content-type", b"application/json")
CONTENT_LIMIT = 1 << 20
PLAIN_LIMIT = 64 << 20  # bytes of a plain answer that are held to be read; the largest seen are generated images, a tenth of it
ERROR_LIMIT = 4 << 20
FIRST_FRAME = 8 << 10  # bytes of a stream's first frame that are waited for; no error is longer, and all of it is held for a slow reader
MASK = b"***masked***"


class Setback(msgspec.Struct, frozen=True):
    """An attempt that brought no answer, and of which the client has seen nothing yet."""

    problem: Problem
    fault: Faulted
    reply: Reply | None = None  # what the provider said, in its own words: for the client, if nobody does better


class Relay:
    """One a worker. `routes` gives the names in force now; `responses` knows who made which; `record` makes the fold of one call."""

    def __init__(
        self,
        *,
        routes: Callable[[], Routes],
        responses: Responses,
        transport: Transport,
        simulated: Transport,
        journal: Journal,
        record: Callable[[], Record],
        health: Health | None = None,
        drains: Drains | None = None,
        timeouts: Timeouts | None = None,
        content_limit: int = CONTENT_LIMIT,
        plain_limit: int = PLAIN_LIMIT,
        tokens: TokenSource | None = None,
        gauge: Callable[[Target], Gauge] = lambda _: RULE_OF_THUMB,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        roll: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._routes = routes
        self._responses = responses
        self._transport = transport
        self._tokens = tokens or Tokens(transport, clock=clock)
        self._simulated = simulated
        self._gauge = gauge
        self._journal = journal
        self._record = record
        self._health = Cooling() if health is None else health
        self._drains = Drains() if drains is None else drains
        self._timeouts = timeouts or Timeouts()
        self._content_limit = content_limit
        self._plain_limit = plain_limit
        self._clock = clock
        self._wall = wall
        self._roll = roll
        self._sleep = sleep
        self._budget = Budget()

    async def __call__(self, inbound: Inbound) -> Reply:
        call = self._call(inbound)
        try:
            return await self._relay(call)
        except Problem as problem:
            return await self._refused(call, problem)
        except asyncio.CancelledError as error:
            if not call.gone:
                call.settle_gone(client=left(error))
            raise
        except OSError as error:
            logger.error("The record of call %s could not be written: %s", inbound.call_id, error)
            return await self._refused(call, Refusal(503, "journal_unwritable", "The gateway could not write the record of this call."))
        except Exception:
            logger.exception("Call %s failed inside the gateway", inbound.call_id)
            return await self._refused(call, Problem(500, "internal", "The gateway failed. The call id tells the log line."))

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Reply:
        """For what the ingress finds: a body that is too large, say."""
        return await self._refused(self._call(inbound), refusal)

    async def close(self) -> None:
        """What is still read for clients that have left ends here, and is settled."""
        await self._drains.close()

    def _call(self, inbound: Inbound) -> Call:
        return Call(inbound, self._record(), self._journal, self._clock, self._health)

    async def _relay(self, call: Call) -> Reply:
        found, peeked = await destination(call, self._routes(), self._responses)
        inbound = call.inbound
        format = UPSTREAM_FORMAT[inbound.format]
        timeouts = self._timeouts.within(found.settings)
        deadline = inbound.started + timeouts.total
        with closing(attempts(found, format, self._roll(), self._budget, self._health)) as schedule:
            attempt, no = next(schedule), 1
            while True:
                target, trouble = attempt.target, None
                if target.grant is not None:
                    target, trouble = await self._authorised(target, deadline)
                call.attempted(no, target, format)
                remembering(call, self._responses, found, attempt.target)
                planned = plan(inbound, peeked, target, format, timeouts, deadline)
                if no == 1:
                    call.begin()
                else:
                    call.resume()
                outcome = trouble or await self._tried(call, planned)
                if isinstance(outcome, Reply):
                    return outcome
                try:
                    attempt = schedule.send(Outcome(outcome.problem, self._wall(), self._roll()))
                except StopIteration:
                    return await self._failed(call, outcome)
                if self._clock() + attempt.wait >= deadline:
                    return await self._failed(call, outcome)
                call.attempt_failed(outcome.fault)
                no += 1
                if attempt.wait:
                    await self._sleep(attempt.wait)

    async def _authorised(self, target: Target, deadline: float) -> tuple[Target, Setback | None]:
        """The target as it may be called; or why not, which is an attempt that failed before it was sent."""
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return await self._tokens.authorised(target), None
        except TimeoutError:
            problem: Problem = UpstreamProblem(504, CREDENTIAL, f"A token for {target.provider} did not come in the time of the call.")
        except Problem as error:
            problem = error
        return target, Setback(problem, faulted(problem))

    async def _failed(self, call: Call, last: Setback) -> Reply:
        """Nobody is left to try: the client gets what the last one said."""
        if last.reply is None:
            raise last.problem
        call.settle(last.fault.status, last.reply.status, last.fault)
        await call.durable()
        return last.reply

    async def _tried(self, call: Call, plan: Plan) -> Reply | Setback:
        """The attempt, which goes on by itself if the client leaves amid it and is to be drained."""
        if not drained(call, plan.target):
            return await self._judged(call, plan)
        attempt = asyncio.get_running_loop().create_task(self._judged(call, plan))
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError as error:
            if left(error) and self._drains.room:
                call.leave()
                self._drains.take(lambda: self._rest(attempt), lambda: call.settle_gone(client=True))
                raise
            attempt.cancel()
            (outcome,) = await asyncio.gather(attempt, return_exceptions=True)
            if isinstance(outcome, Reply) and isinstance(outcome.body, StreamBody):
                outcome.body.leave(error)  # it began at that very moment
            raise

    async def _rest(self, attempt: "asyncio.Task[Reply | Setback]") -> None:
        outcome = await attempt
        if isinstance(outcome, Reply) and isinstance(outcome.body, StreamBody):
            await outcome.body.drain()

    async def _judged(self, call: Call, plan: Plan) -> Reply | Setback:
        try:
            return await self._attempt(call, plan)
        except Problem as problem:
            return Setback(problem, faulted(problem))

    async def _attempt(self, call: Call, plan: Plan) -> Reply | Setback:
        transport = self._simulated if plan.target.in_process else self._transport
        incoming = await transport.send(plan.outgoing)
        try:
            headers = dict(incoming.headers)
            call.headed(incoming.status, headers)
            incoming = unpacked(incoming, headers)
            if not 200 <= incoming.status < 300:
                return await self._said_no(call, plan, incoming, headers)
            if plan.format == raw.NAME:
                return self._passed(call, plan, incoming, headers)
            if kind(headers) == b"text/html":
                raise UpstreamProblem(502, "upstream_malformed", "The provider answered with a web page. Check its base URL.")
            if streamed(headers, plan.format, asked=plan.stream) and call.format is not mlflow_embeddings:
                return await self._stream(call, plan, incoming, headers)
            return await self._plain(call, plan, incoming, headers)
        except BaseException:
            incoming.close()
            raise

    async def _said_no(self, call: Call, plan: Plan, incoming: Incoming, headers: dict[bytes, bytes]) -> Setback:
        if incoming.status < 400:
            raise UpstreamProblem(
                502, "upstream_redirect", f"The provider answered {incoming.status}; a redirect is never followed. Check its base URL."
            )
        if incoming.status > 599:  # no status that a server could pass on
            raise UpstreamProblem(502, "upstream_malformed", f"The provider answered {incoming.status}, which is no HTTP status.")
        body, whole = await held(incoming, ERROR_LIMIT)
        body = hushed(body, plan.target)
        if not whole:
            raise UpstreamProblem(502, "upstream_malformed", f"The provider answered {incoming.status} with more words than anybody reads.")
        problem = FORMATS[plan.format].parse_problem(incoming.status, body)
        advised(problem, headers)
        if incoming.status == 401 and self._tokens.refused(plan.target):
            problem.kind = REFUSED
        fault = Faulted(Status.error, problem.kind, problem.message, incoming.status)
        if plan.format != call.format.NAME or not (plan.format == raw.NAME or shaped(body, plan.format)):
            # A proxy's HTML page, FastAPI's {"detail": …}: SDKs find words only in their own shape.
            named = [JSON, *headers_down(headers, typed=False), *call.headers]
            return Setback(problem, fault, reply(incoming.status, named, call.problem_body(problem)))
        return Setback(problem, fault, reply(incoming.status, [*headers_down(headers), *call.headers], body))

    async def _plain(self, call: Call, plan: Plan, incoming: Incoming, headers: dict[bytes, bytes]) -> Reply | Setback:
        translated = plan.format != call.format.NAME
        body, whole = await held(incoming, self._plain_limit)
        if not body and call.inbound.method != "DELETE":  # what is deleted may have no words left
            raise UpstreamProblem(502, "upstream_empty", "The provider's answer is empty.")
        if not whole:
            if translated:
                raise UpstreamProblem(502, "malformed_answer", "The provider's answer is too large to be put into another shape.")
            call.answering(plan.target, lambda: estimate(plan.format, call.inbound.body, self._gauge(plan.target)))
            return reply(
                incoming.status, [*headers_down(headers), *call.headers], StreamBody(call, incoming, Unread(), body, incoming.status)
            )
        for event in FORMATS[plan.format].parse_answer(body) if body else ():
            call.event(event)
        failure = call.failure or call.malformed
        answer = RENDERERS[call.format.NAME](body, plan.target.provider) if translated and failure is None else body
        call.answered(answer)
        fault = Faulted(Status.error, failure.kind, failure.message) if failure else None
        named = [*headers_down(headers), *call.headers]
        if fault is not None and call.failure is not None and not call.started:
            # A 200 that holds an error gets the status that its words stand for: SDKs retry and raise by it. Not an answer that says in
            # its format's own way that it failed.
            problem = stillborn(call.failure, headers)
            return Setback(problem, fault, reply(problem.status, named, hushed(answer, plan.target)))
        call.answering(plan.target, lambda: estimate(plan.format, call.inbound.body, self._gauge(plan.target), answer=body))
        call.settle(Status.error if fault else Status.ok, incoming.status, fault)
        await call.durable()
        return reply(incoming.status, named, hushed(answer, plan.target) if call.failure else answer)

    async def _stream(self, call: Call, plan: Plan, incoming: Incoming, headers: dict[bytes, bytes]) -> Reply:
        fold = self._content_limit if call.keeps_content else 0
        if plan.format == call.format.NAME:
            stream = Passthrough(call.format.decoder(fold), call.event, withhold_usage=plan.withhold_usage)
        else:
            stream = Translate(mlflow_chat.decoder(fold), call.event, provider=plan.target.provider, withhold_usage=plan.withhold_usage)
        # Our status leaves with the first piece, so that a provider which dies before it is a 502 and no broken 200.
        first = await incoming.piece()
        if not first:
            raise UpstreamProblem(502, "upstream_empty", "The provider ended its stream before it began.")
        begun = stream.feed(first)
        read = len(first)
        while not (call.started or call.failure or stream.decoder.frames.at_boundary) and read < FIRST_FRAME:
            # The network cut the first frame in two, and its rest may say that this is an error.
            rest = await incoming.piece()
            if not rest:
                break  # the stream itself is told so, when it asks again
            begun += stream.feed(rest)
            read += len(rest)
        if call.failure is not None and not call.started:
            problem = stillborn(call.failure, headers)
            problem.message = hushed(problem.message.encode("utf-8", "replace"), plan.target).decode()
            raise problem
        self._health.began(plan.target)
        call.answering(plan.target, lambda: guess(call, plan.format, self._gauge(plan.target), stream.decoder.produced))
        body = StreamBody(
            call,
            incoming,
            stream,
            begun,
            incoming.status,
            drains=self._drains if drained(call, plan.target) else None,
            expecting=plan.format in USAGE_ON_REQUEST and plan.target.usage_in_stream != "rejects",
        )
        return reply(incoming.status, [*headers_down(headers), (b"cache-control", b"no-cache"), *call.headers], body)

    def _passed(self, call: Call, plan: Plan, incoming: Incoming, headers: dict[bytes, bytes]) -> Reply:
        """Bytes that nobody reads, as they come; of what people can read the head is kept."""
        self._health.began(plan.target)
        call.answering(plan.target, Usage)
        readable = call.keeps_content and raw.readable(headers.get(b"content-type", b""))
        stream = Passthrough(raw.decoder(self._content_limit if readable else 0), call.event)
        named = [*headers_down(headers, typed=b"content-type" in headers), *call.headers]
        return reply(incoming.status, named, StreamBody(call, incoming, stream, b"", incoming.status))

    async def _refused(self, call: Call, problem: Problem) -> Reply:
        """The problem, in the client's own shape and with its real status."""
        call.settle_problem(problem)
        try:
            await call.durable()
        except OSError as error:
            logger.error("The record of call %s may not be on the disk: %s", call.inbound.call_id, error)
        headers = [JSON, *call.headers]
        if problem.retry_after is not None:
            headers.append((b"retry-after", whole_seconds(problem.retry_after).encode("latin-1")))
        return reply(problem.status, headers, call.problem_body(problem))


def reply(status: int, headers: list[tuple[bytes, bytes]], body: bytes | StreamBody) -> Reply:
    return Reply(status=status, headers=headers, body=body)


def drained(call: Call, target: Target) -> bool:
    """Whether the provider is heard to the end when the client leaves: as the endpoint says, else as the provider's row does."""
    said = call.route.settings.client_gone if call.route is not None else None
    return (said or target.client_gone) == "drain" and call.inbound.format != raw.NAME


def guess(call: Call, format: str, gauge: Gauge, produced: int) -> Usage:
    """What a stream took so far; nothing if it never began."""
    return estimate(format, call.inbound.body, gauge, produced=produced) if call.started else Usage()


def hushed(said: bytes, target: Target) -> bytes:
    """What a provider says of an error, without our keys: some echo them in full."""
    for credential in target.credentials:
        said = said.replace(credential.encode(), MASK)
    return said
