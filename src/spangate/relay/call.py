"""One client request while it is served: what happened so far, and its one settlement.

Writing is synchronous, so no cancellation can come between a call's end and its record. A second settlement does nothing.
"""

import logging
from collections.abc import Callable
from typing import Protocol, assert_never

from spangate.exchange import (
    Answered,
    Asked,
    Attempted,
    AttemptEnded,
    Content,
    Counted,
    Exchange,
    Fact,
    Faulted,
    Finished,
    FirstToken,
    Gave,
    Headed,
    Identified,
    Inbound,
    Journal,
    Received,
    Route,
    Routed,
    Status,
    Target,
    trace_id,
)
from spangate.wire.events import Ended, Event, Failed, Progressed, Started, Stopped, Tiered, UsageReported
from spangate.wire.formats import FORMATS, Format
from spangate.wire.problems import Interrupted, Problem, Refusal, UpstreamProblem
from spangate.wire.usage import Provenance, Usage, later

from .attempts import Health, at_fault
from .judge import verdict

logger = logging.getLogger(__name__)

LEFT = 499  # what we note as status when the client left before it was sent one; nginx's convention
# The provider was there, and what it said is of no use; or nobody would say what to show it.
USELESS = frozenset({"upstream_redirect", "upstream_malformed", "upstream_credential"})
# The header that is the provider's own name of the request: OpenAI's and most others', Anthropic's.
REQUEST_IDS = (b"x-request-id", b"request-id")
TIER = b"x-gemini-service-tier"  # Google's; the others say it in the answer


class Record(Protocol):
    """Folds facts. `record.recorder.Recorder` is one; relaying does not know where the fold goes."""

    def __call__(self, fact: Fact) -> None: ...

    def exchange(self) -> Exchange: ...

    def content(self) -> Content | None: ...


class Call:
    def __init__(self, inbound: Inbound, record: Record, journal: Journal, clock: Callable[[], float], health: Health) -> None:
        self.inbound = inbound
        self.format: Format = FORMATS[inbound.format]
        self.route: Route | None = None
        self.settled: Status | None = None
        self.started = False  # the answer itself began: not only an error was read
        self.ended = False  # the format's terminal event was read
        self.failure: Failed | None = None  # the provider said in its answer that it failed
        self.malformed: Failed | None = None  # a part of the answer is not what the format says
        self.usage = Usage()  # as the provider reported it so far
        self.gone = False  # the client left, and the rest of the answer is read for its usage
        self.made: Callable[[str], None] | None = None  # is told the provider's id of the answer, as soon as that is known
        self._record = record
        self._journal = journal
        self._clock = clock
        self._health = health
        self._target: Target | None = None  # whose answer is being given
        self._guess: Callable[[], Usage] | None = None
        self._http_status = LEFT  # once the client is gone: what it had been sent
        record(Received(inbound))

    # ------------------------------------------------------------ what happens

    def asked(self, *, stream: bool, model: str | None) -> None:
        self._record(Asked(model, stream))

    def routed(self, route: Route, *, stream: bool, model: str | None) -> None:
        self.route = route
        self._record(Routed(route, stream, model))

    def understood(self, inbound: Inbound) -> None:
        """The same request, seen for what it is."""
        self.inbound, self.format = inbound, FORMATS[inbound.format]
        self._record(Received(inbound))

    def attempted(self, no: int, target: Target, format: str) -> None:
        self.started = self.ended = False
        self.failure = self.malformed = None
        self.usage, self._target, self._guess = Usage(), None, None
        self._record(Attempted(no, target, format, self._clock()))

    def begin(self) -> None:
        """Writes who calls what. Raises Refusal if that cannot be written: what has no record is not sent to a provider."""
        try:
            self._journal.begin(self._record.exchange())
        except OSError as error:
            logger.error("The journal cannot be written, calls are refused: %s", error)
            self.settled = Status.refused  # there is nowhere to write it
            raise _unwritable() from error

    def resume(self) -> None:
        """Writes how the attempt before ended and who is called now. Raises Refusal if that cannot be written, as `begin` does."""
        try:
            self._journal.resume(self._record.exchange())
        except OSError as error:
            logger.error("The journal cannot be written, a call is not tried again: %s", error)
            raise _unwritable() from error

    def headed(self, status: int, headers: dict[bytes, bytes]) -> None:
        request_id = next((headers[name] for name in REQUEST_IDS if name in headers), None)
        self._record(Headed(status, None if request_id is None else request_id.decode("latin-1"), self._clock()))
        if TIER in headers:
            self._record(Identified(service_tier=headers[TIER].decode("latin-1")))

    def event(self, event: Event) -> None:
        """What was read in the answer."""
        match event:
            case Progressed():
                self.started = True
                self._record(FirstToken(self._clock()))
            case Started(response_id, model):
                self.started = True
                self._record(Identified(response_id, model))
                if self.made is not None and response_id is not None:
                    self.made(response_id)
            case Tiered(tier):
                self._record(Identified(service_tier=tier))
            case UsageReported(usage):
                self.usage = later(self.usage, usage)
                self._record(Counted(self.usage, Provenance.drained if self.gone else Provenance.reported))
            case Stopped(reason):
                self._record(Gave(reason))
            case Ended():
                self.ended = True
            case Failed():
                if event.kind == "malformed":
                    self.malformed = self.malformed or event
                else:
                    self.failure = self.failure or event
            case _:
                assert_never(event)

    def answering(self, target: Target, guess: Callable[[], Usage]) -> None:
        """What the target says is the call's answer, whatever becomes of it. `guess`: its tokens, should nobody report them."""
        self._target, self._guess = target, guess

    def leave(self, http_status: int = LEFT) -> None:
        """The client left, and the provider is still heard. Whatever comes, the call's end is that."""
        self.gone, self._http_status = True, http_status
        self._record(GONE)

    def answered(self, body: bytes, *, truncated: bool = False) -> None:
        if self.keeps_content:
            self._record(Answered(body, truncated))

    # ------------------------------------------------------------ how it ends

    def attempt_failed(self, fault: Faulted) -> None:
        """The attempt is over; the call goes on to another one."""
        self._record(fault)
        self._record(AttemptEnded(self._clock()))

    def settle(self, status: Status, http_status: int, fault: Faulted | None = None) -> None:
        """Writes the record, once. Raises OSError if it cannot be written; the call counts as settled all the same."""
        if self.settled is not None:
            return
        self._tell_health(status, fault)
        if self.gone:
            status, http_status = Status.client_gone, self._http_status
        self.settled = status
        if fault is not None:
            self._record(fault)
        if self._guess is not None and (self.usage.input is None or self.usage.output is None):
            self._record(Counted(self._guess(), Provenance.estimated))
        at = self._clock()
        self._record(AttemptEnded(at))
        self._record(Finished(status, http_status, at))
        self._journal.settle(self._record.exchange(), self._content())

    def _content(self) -> Content | None:
        """What was said. The bill does not hang on it: what cannot be made ready to be kept is left out."""
        try:
            return self._record.content()
        except Exception:
            logger.exception("What was said in call %s is not kept", self.inbound.call_id)
            return None

    def settle_problem(self, problem: Problem, http_status: int | None = None) -> None:
        """`http_status`: what the client got, if it is not the problem's own. Never raises: the client hears of the problem anyway."""
        fault = faulted(problem)
        if not problem.kind.startswith("upstream_"):
            self._target = None  # our own fault tells nothing of it
        self._settle_or_log(fault.status, problem.status if http_status is None else http_status, fault)

    def settle_gone(self, *, client: bool, http_status: int = LEFT) -> None:
        """Nobody listens any more: the client left, or the gateway was told to stop and its grace is over."""
        if client or self.gone:
            fault = GONE
        else:
            fault = Faulted(Status.unknown, "shutdown", "The gateway was stopped before the answer's end.")
        self._settle_or_log(fault.status, http_status, fault)

    def _tell_health(self, status: Status, fault: Faulted | None) -> None:
        """How the answer ended that was being given. Setbacks, which nobody was given, are told where the next attempt is decided on."""
        if self._target is None:
            return
        if status is Status.ok:
            self._health.well(self._target)
        elif status in (Status.error, Status.provider_gone, Status.timeout) and fault is not None and at_fault(verdict(fault)):
            self._health.failed(self._target)

    async def durable(self) -> None:
        await self._journal.durable()

    def _settle_or_log(self, status: Status, http_status: int, fault: Faulted) -> None:
        try:
            self.settle(status, http_status, fault)
        except OSError as error:
            logger.error("Call %s ended as %s, and its record could not be written: %s", self.inbound.call_id, status, error)

    # ------------------------------------------------------------ what the client sees of it

    @property
    def traced(self) -> bool:
        return self.route is not None and self.route.experiment_id is not None

    @property
    def keeps_content(self) -> bool:
        return self.route is not None and self.route.keeps_content

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The names of this call, on every reply."""
        call_id = self.inbound.call_id
        named = [(b"x-spangate-call-id", call_id.encode())]
        if self.traced:
            named.append((b"x-spangate-trace-id", trace_id(call_id).encode()))
        return named

    def problem_body(self, problem: Problem) -> bytes:
        return self.format.render_problem(problem, self.inbound.call_id)

    def problem_event(self, problem: Problem) -> bytes:
        return self.format.render_problem_event(problem, self.inbound.call_id)


GONE = Faulted(Status.client_gone, "client_gone", "The client closed the connection before the answer's end.")


def _unwritable() -> Refusal:
    return Refusal(503, "journal_unwritable", "The gateway cannot write its records now, so it serves no calls.")


def faulted(problem: Problem) -> Faulted:
    return Faulted(blame(problem), problem.kind, problem.message, problem.status if isinstance(problem, UpstreamProblem) else None)


def blame(problem: Problem) -> Status:
    """Whose fault a problem is, in the ledger's words."""
    if isinstance(problem, Refusal):
        return Status.refused
    # Our own words for a provider that is not there; any other kind is what a provider said.
    absent = isinstance(problem, UpstreamProblem | Interrupted) and problem.kind.startswith("upstream_") and problem.kind not in USELESS
    if not absent:
        return Status.error
    return Status.timeout if problem.status == 504 else Status.provider_gone
