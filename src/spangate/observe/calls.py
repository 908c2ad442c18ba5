"""What is counted and said of a call, once, when its record is settled: a journal before the journal, so the request path knows nothing."""

import logging
from collections.abc import Callable

from spangate.exchange import OF_A_RESPONSE, AttemptRecord, Content, Exchange, Journal, Status
from spangate.record.spans import operation

from .metrics import (
    ATTEMPT_SECONDS,
    ATTEMPTS,
    CALL_SECONDS,
    CALLS,
    FALLBACKS,
    FIRST_TOKEN_SECONDS,
    OPEN_CALLS,
    REFUSALS,
    RETRIES,
    TOKENS,
)
from .series import Bounded, Labels, Numbers

NS = 1e-9
# Fields of Usage that are classes of tokens, with the name of the class.
CLASSES = (
    "input", "output", "cache_read", "cache_write", "reasoning", "audio_input", "audio_output", "image_input", "image_output",
)  # fmt: skip

UNWRITABLE = "journal_unwritable"

access = logging.getLogger("spangate.access")


class ObservedJournal:
    """A Journal before another one, which tells its observers of each call that ended. They are told after it was written."""

    def __init__(self, journal: Journal, *observers: Callable[[Exchange], None], numbers: Numbers) -> None:
        self._journal = journal
        self._observers = observers
        self._numbers = numbers
        self._open: set[str] = set()
        numbers.add(REFUSALS, (UNWRITABLE,), 0.0)  # an alert sees a first one only beside a zero

    @property
    def open(self) -> int:
        return len(self._open)

    def begin(self, exchange: Exchange) -> None:
        try:
            self._journal.begin(exchange)
        except OSError:
            self._numbers.add(REFUSALS, (UNWRITABLE,))  # what could not be begun is never settled
            raise
        self._open.add(exchange.call_id)
        self._numbers.add(OPEN_CALLS)

    def resume(self, exchange: Exchange) -> None:
        self._journal.resume(exchange)

    def settle(self, exchange: Exchange, content: Content | None) -> None:
        try:
            self._journal.settle(exchange, content)
        finally:
            if exchange.call_id in self._open:
                self._open.discard(exchange.call_id)
                self._numbers.add(OPEN_CALLS, amount=-1.0)
            for observer in self._observers:
                observer(exchange)

    async def durable(self) -> None:
        await self._journal.durable()


class CallNumbers:
    """Counts a call that ended."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._endpoint, self._model, self._kind, self._refusal = Bounded(), Bounded(), Bounded(), Bounded()

    def __call__(self, exchange: Exchange) -> None:
        numbers = self._numbers
        endpoint = self._endpoint(exchange.endpoint)
        numbers.add(CALLS, (endpoint, exchange.format, exchange.status))
        if exchange.status is Status.refused:
            numbers.add(REFUSALS, (self._refusal(exchange.fault.kind if exchange.fault else None),))
        named: Labels = (endpoint, exchange.format)
        if exchange.attempts and exchange.duration is not None:  # what we refuse at the door says nothing of how long calls take
            numbers.observe(CALL_SECONDS, exchange.duration * NS, named)
        if exchange.first_token is not None and exchange.stream:
            numbers.observe(FIRST_TOKEN_SECONDS, exchange.first_token * NS, named)
        looks = exchange.request_type in OF_A_RESPONSE
        before: AttemptRecord | None = None
        for attempt in exchange.attempts:
            self._attempt(attempt, endpoint)
            if not looks:  # told the same tokens each time; only the ledger knows which look was the first
                self._tokens(attempt, endpoint)
            if before is not None:
                again = before.model_definition_id == attempt.model_definition_id
                numbers.add(RETRIES if again else FALLBACKS, (endpoint,))
            before = attempt

    def _attempt(self, attempt: AttemptRecord, endpoint: str) -> None:
        numbers, model = self._numbers, self._model(attempt.model)
        kind = "" if attempt.status is Status.ok else self._kind(attempt.fault.kind if attempt.fault else None)
        numbers.add(ATTEMPTS, (attempt.provider, model, attempt.status, kind))
        if attempt.ended is not None:
            failed = "" if attempt.status is Status.ok else kind or attempt.status
            asked = operation(attempt.format) or ""
            numbers.observe(ATTEMPT_SECONDS, (attempt.ended - attempt.started) * NS, (asked, attempt.provider, model, failed))

    def _tokens(self, attempt: AttemptRecord, endpoint: str) -> None:
        for name in CLASSES:
            count: int | None = getattr(attempt.usage, name)
            if count:
                self._numbers.add(TOKENS, (endpoint, attempt.provider, name, attempt.provenance), count)


def say(exchange: Exchange) -> None:
    """The line of a call in the access log: who called what, and what became of it. Nothing of what was said, and no query string."""
    if not access.isEnabledFor(logging.INFO):
        return
    said: dict[str, object] = {"call_id": exchange.call_id, "status": exchange.status, "http_status": exchange.http_status}
    said["format"], said["endpoint"] = exchange.format, exchange.endpoint
    if exchange.stream:
        said["stream"] = True
    if exchange.duration is not None:
        said["ms"] = round(exchange.duration * 1e-6, 1)
    if exchange.first_token is not None:
        said["first_token_ms"] = round(exchange.first_token * 1e-6, 1)
    if exchange.attempts:
        last = exchange.attempts[-1]
        said["attempts"], said["provider"], said["model"] = len(exchange.attempts), last.provider, last.model
        if last.usage.known:
            said["input"], said["output"] = last.usage.input, last.usage.output
    elif exchange.model is not None:
        said["model"] = exchange.model
    said["key"] = exchange.caller
    if exchange.fault is not None:
        said["fault"] = exchange.fault.kind
    access.info("call", extra={"said": said})


def say_request(method: str, path: str, http_status: int, *, ms: float | None = None, reads: bool) -> None:
    """The line of a request that is no call. `path` is without its query; `reads`: if it went well, nothing is another than before.

    Those are for whoever looks for something: programs ask in turns of a second, and a line each would bury what was done.
    """
    level = logging.WARNING if http_status >= 500 else logging.DEBUG if reads and http_status < 400 else logging.INFO
    if access.isEnabledFor(level):
        said: dict[str, object] = {"method": method, "path": path[:500], "http_status": http_status}
        if ms is not None:
            said["ms"] = ms
        access.log(level, "request", extra={"said": said})


def say_unidentified(call_id: str) -> None:
    """The line of a request that showed no valid key: it is no call, and nothing else is kept of it."""
    access.info("unidentified", extra={"said": {"call_id": call_id, "http_status": 401}})
