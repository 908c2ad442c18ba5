"""From a client's request to its reply. Every way out of here has settled the call, or hands on a body that will.

peek → route → admit → first attempt → journal begin → send → judge → relay → settle
                              next attempt → journal resume ↗   ↘ pause ↩
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from spangate.exchange import Faulted, Inbound, Journal, Reply, Route, Status, Target
from spangate.wire.formats import FORMATS, RENDERERS, mlflow_chat, mlflow_embeddings
from spangate.wire.problems import Problem, Refusal, UpstreamProblem
from spangate.wire.streams import Passthrough, Translate

from .admit import admit
from .asked import asked
from .attempts import Budget, Outcome, attempts
from .call import Call, Record, faulted
from .coding import unpacked
from .headers import headers_down
from .judge import later, shaped, stillborn, streamed
from .prepare import Plan, plan
from .route import UPSTREAM_FORMAT, route
from .streaming import StreamBody, Unread, left
from .upstream import Incoming, Transport, held

logger = logging.getLogger(__name__)

JSON = (b"content-type", b"application/json")
CONTENT_LIMIT = 1 << 20
PLAIN_LIMIT = 64 << 20  # bytes of a plain answer that are held to be read; the largest seen are generated images, a tenth of it
ERROR_LIMIT = 4 << 20
MASK = b"***masked***"


class Setback(msgspec.Struct, frozen=True):
    """An attempt that brought no answer, and of which the client has seen nothing yet."""

    problem: Problem
    fault: Faulted
    reply: Reply | None = None  # what the provider said, in its own words: for the client, if nobody does better


class Relay:
    """One a worker. `routes` gives the names in force now; `record` makes the fold of one call."""

    def __init__(
        self,
        *,
        routes: Callable[[], Mapping[str, Route]],
        transport: Transport,
        simulated: Transport,
        journal: Journal,
        record: Callable[[], Record],
        content_limit: int = CONTENT_LIMIT,
        plain_limit: int = PLAIN_LIMIT,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        roll: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._routes = routes
        self._transport = transport
        self._simulated = simulated
        self._journal = journal
        self._record = record
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

    def _call(self, inbound: Inbound) -> Call:
        return Call(inbound, self._record(), self._journal, self._clock)

    async def _relay(self, call: Call) -> Reply:
        inbound = call.inbound
        peeked = asked(inbound)
        found = route(self._routes(), inbound, peeked.model)
        call.routed(found, stream=peeked.stream, model=peeked.model)
        admit(inbound.caller, found)
        format = UPSTREAM_FORMAT[inbound.format]
        schedule = attempts(found, format, self._roll(), self._budget)
        attempt, no = next(schedule), 1
        while True:
            call.attempted(no, attempt.target, format)
            planned = plan(inbound, peeked, attempt.target, format)
            if no == 1:
                call.begin()
            else:
                call.resume()
            outcome = await self._tried(call, planned)
            if isinstance(outcome, Reply):
                return outcome
            try:
                attempt = schedule.send(Outcome(outcome.problem, self._wall(), self._roll()))
            except StopIteration:
                return await self._failed(call, outcome)
            call.attempt_failed(outcome.fault)
            no += 1
            if attempt.wait:
                await self._sleep(attempt.wait)

    async def _failed(self, call: Call, last: Setback) -> Reply:
        """Nobody is left to try: the client gets what the last one said."""
        if last.reply is None:
            raise last.problem
        call.settle(last.fault.status, last.reply.status, last.fault)
        await call.durable()
        return last.reply

    async def _tried(self, call: Call, plan: Plan) -> Reply | Setback:
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
            if streamed(headers, asked=plan.stream) and call.format is not mlflow_embeddings:
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
        problem.retry_after = later(headers)
        fault = Faulted(Status.error, problem.kind, problem.message, incoming.status)
        if plan.format != call.format.NAME or not shaped(body):
            # A proxy's HTML page, FastAPI's {"detail": …}: SDKs find words only in their own shape.
            named = [JSON, *headers_down(headers, typed=False), *call.headers]
            return Setback(problem, fault, reply(incoming.status, named, call.problem_body(problem)))
        return Setback(problem, fault, reply(incoming.status, [*headers_down(headers), *call.headers], body))

    async def _plain(self, call: Call, plan: Plan, incoming: Incoming, headers: dict[bytes, bytes]) -> Reply | Setback:
        translated = plan.format != call.format.NAME
        body, whole = await held(incoming, self._plain_limit)
        if not whole:
            if translated:
                raise UpstreamProblem(502, "malformed_answer", "The provider's answer is too large to be put into another shape.")
            return reply(
                incoming.status, [*headers_down(headers), *call.headers], StreamBody(call, incoming, Unread(), body, incoming.status)
            )
        for event in FORMATS[plan.format].parse_answer(body):
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
        call.settle(Status.error if fault else Status.ok, incoming.status, fault)
        await call.durable()
        return reply(incoming.status, named, hushed(answer, plan.target) if call.failure else answer)

    async def _stream(self, call: Call, plan: Plan, incoming: Incoming, headers: dict[bytes, bytes]) -> Reply:
        fold = self._content_limit if call.traced else 0
        if plan.format == call.format.NAME:
            stream = Passthrough(call.format.decoder(fold), call.event, withhold_usage=plan.withhold_usage)
        else:
            stream = Translate(mlflow_chat.decoder(fold), call.event, provider=plan.target.provider, withhold_usage=plan.withhold_usage)
        # Our status leaves with the first piece, so that a provider which dies before it is a 502 and no broken 200.
        first = await incoming.piece()
        if not first:
            raise UpstreamProblem(502, "upstream_empty", "The provider ended its stream before it began.")
        begun = stream.feed(first)
        if call.failure is not None and not call.started:
            problem = stillborn(call.failure, headers)
            problem.message = hushed(problem.message.encode("utf-8", "replace"), plan.target).decode()
            raise problem
        body = StreamBody(call, incoming, stream, begun, incoming.status)
        return reply(incoming.status, [*headers_down(headers), (b"cache-control", b"no-cache"), *call.headers], body)

    async def _refused(self, call: Call, problem: Problem) -> Reply:
        """The problem, in the client's own shape and with its real status."""
        call.settle_problem(problem)
        try:
            await call.durable()
        except OSError as error:
            logger.error("The record of call %s may not be on the disk: %s", call.inbound.call_id, error)
        headers = [JSON, *call.headers]
        if problem.retry_after is not None:
            headers.append((b"retry-after", problem.retry_after.encode()))
        return reply(problem.status, headers, call.problem_body(problem))


def reply(status: int, headers: list[tuple[bytes, bytes]], body: bytes | StreamBody) -> Reply:
    return Reply(status=status, headers=headers, body=body)


def hushed(said: bytes, target: Target) -> bytes:
    """What a provider says of an error, without our keys: some echo them in full."""
    for credential in target.credentials:
        said = said.replace(credential.encode(), MASK)
    return said
