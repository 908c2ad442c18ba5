"""Calls as they might have been, in the order of time. Pure: the same house, numbers and dice give the same calls.

Busy on weekdays at noon, quiet at night and on Sundays, and a little busier each day. Most calls go well; what goes wrong goes wrong in
all the ways that the ledger tells apart.
"""

from collections import deque
from collections.abc import Iterator
from random import Random

from msgspec.structs import replace

from ..exchange import AttemptRecord, Content, Exchange, Fault, Status
from ..wire.usage import Provenance, Usage
from .bodies import ANSWERS, REQUESTS, STOPS, Turn, encoded
from .house import Endpoint, House, Key, Model, Target
from .words import Words

SLOT = 900_000  # ms; calls are spread evenly within one
HOUR = 3_600_000
DAY = 24 * HOUR
MS = 1_000_000  # ns
_HOURS = (2, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 20, 17, 18, 20, 19, 17, 13, 10, 8, 7, 6, 4, 3)
_WEEKDAYS = (10, 11, 11, 10, 9, 3, 2)  # Monday first

# Shares of all calls.
FALLBACKS = 0.02
ERRORS = 0.03
LEFT = 0.01
LOST = 0.0002  # their process died
SILENT = 0.002  # of the streams: nobody says what they cost in tokens
REMEMBERED = 400  # conversations that may go on
TURNS = 3  # of a conversation that are sent again

_PATHS = {
    "openai.chat": ("/v1/chat/completions", "passthrough/model/openai-chat"),
    "anthropic.messages": ("/v1/messages", "passthrough/model/anthropic-messages"),
    "gemini.generate": ("/v1beta/models/{name}:generateContent", "passthrough/model/gemini-generateContent"),
    "openai.embeddings": ("/v1/embeddings", "passthrough/model/openai-embeddings"),
}
_UNIFIED = ("/gateway/mlflow/v1/chat/completions", "unified/chat")

NO_ENDPOINT = "unknown_model"
# How it went wrong: (weight, status, kind, message, what the client got, whether a provider was asked).
_FAULTS = (
    (30, Status.error, "rate_limit_exceeded", "Rate limit reached for requests. Try again in 20s.", 429, True),
    (16, Status.error, "invalid_request_error", "This model's maximum context length is 128000 tokens.", 400, True),
    (10, Status.error, "overloaded_error", "Overloaded", 529, True),
    (8, Status.error, "authentication_error", "Incorrect API key provided.", 401, True),
    (8, Status.timeout, "upstream_first_byte_timeout", "The provider did not begin its answer within 60 seconds.", 504, True),
    (6, Status.provider_gone, "upstream_dropped", "api.provider.example closed the connection before it answered.", 502, True),
    (4, Status.provider_gone, "incomplete", "The provider's stream ended in the middle.", 200, True),
    (10, Status.refused, NO_ENDPOINT, "There is no endpoint named 'gpt-4-turbo'.", 404, False),
    (8, Status.refused, "endpoint_not_allowed", "The key is not for this endpoint.", 403, False),
)
# Of a first try, after which another target was asked.
_PASSED_OVER = (
    (Status.error, Fault("rate_limit_exceeded", "Rate limit reached for requests.", 429)),
    (Status.error, Fault("overloaded_error", "Overloaded", 529)),
    (Status.provider_gone, Fault("upstream_connect", "No connection to api.provider.example: refused.")),
)
_FAULT_WEIGHTS = tuple(fault[0] for fault in _FAULTS)


class Talk:
    """A conversation, as far as it is remembered."""

    __slots__ = ("asked", "endpoint", "key", "session_id", "turns", "user_id")

    def __init__(self, endpoint: Endpoint, key: Key, session_id: str, user_id: str | None) -> None:
        self.endpoint = endpoint
        self.key = key
        self.session_id = session_id
        self.user_id = user_id
        self.turns: deque[Turn] = deque(maxlen=TURNS)
        self.asked = ""


def history(house: House, *, calls: int, start: int, end: int, rng: Random) -> Iterator[tuple[Exchange, Content | None]]:
    """`start`, `end`: ms. An exchange with status `unknown` is of a process that died: it began, and nobody settled it."""
    teller = _Teller(house, rng)
    for at in _times(calls, start, end, rng):
        yield teller.call(at)


def _times(calls: int, start: int, end: int, rng: Random) -> Iterator[int]:
    """ms, ascending."""
    slots = range(start - start % SLOT, end, SLOT)
    weights = [
        _HOURS[at % DAY // HOUR] * _WEEKDAYS[(at // DAY + 3) % 7] * (1 + (at - start) / (60 * DAY)) * rng.uniform(0.7, 1.3) for at in slots
    ]
    scale, told, owed = calls / sum(weights), 0, 0.0
    for at, weight in zip(slots, weights, strict=True):
        owed += weight * scale
        here = round(owed) - told
        told += here
        first, last = max(at, start), min(at + SLOT, end)
        yield from sorted(rng.randrange(first, last) for _ in range(here))


class _Teller:
    def __init__(self, house: House, rng: Random) -> None:
        self._house = house
        self._rng = rng
        self._words = Words(rng)
        self._shares = [endpoint.plan.share for endpoint in house.endpoints]
        self._callers = {endpoint.endpoint_id: [1 / (rank + 1) for rank in range(len(endpoint.keys))] for endpoint in house.endpoints}
        self._talks: dict[str, deque[Talk]] = {endpoint.endpoint_id: deque(maxlen=REMEMBERED) for endpoint in house.endpoints}

    def call(self, at: int) -> tuple[Exchange, Content | None]:
        rng = self._rng
        endpoint = rng.choices(self._house.endpoints, self._shares)[0]
        talk = self._talk(endpoint)
        stream = rng.random() < endpoint.plan.streams
        fate = rng.random()
        if fate < ERRORS:
            return self._failed(at, talk, stream)
        if fate < ERRORS + FALLBACKS and endpoint.fallback is not None:
            return self._fell_back(at, talk, stream, endpoint.fallback)
        if fate > 1 - LOST:
            return self._lost(at, talk, stream)
        return self._went_well(at, talk, stream, left=fate > 1 - LOST - LEFT and stream)

    def _talk(self, endpoint: Endpoint) -> Talk:
        rng, known = self._rng, self._talks[endpoint.endpoint_id]
        if known and rng.random() < endpoint.plan.talks:
            return rng.choice(known)
        key = rng.choices(endpoint.keys, self._callers[endpoint.endpoint_id])[0]
        user = f"user-{int(rng.paretovariate(0.6)) % 4000:04d}" if rng.random() < 0.7 else None
        talk = Talk(endpoint, key, f"{rng.getrandbits(64):016x}", user)
        known.append(talk)
        return talk

    # ------------------------------------------------------------ how it ends

    def _went_well(self, at: int, talk: Talk, stream: bool, *, left: bool) -> tuple[Exchange, Content | None]:
        endpoint, request = talk.endpoint, self._request(talk, stream)
        target = self._rng.choices(endpoint.targets, endpoint.weights)[0]
        attempt, answer = self._answered(1, 2 * MS, target, talk, stream, left=left)
        status = Status.client_gone if left else Status.ok
        return self._told(at, talk, stream, status, 200, (attempt,), None, request, answer)

    def _fell_back(self, at: int, talk: Talk, stream: bool, fallback: Target) -> tuple[Exchange, Content | None]:
        request = self._request(talk, stream)
        status, fault = self._rng.choice(_PASSED_OVER)
        first = _broken(talk.endpoint.targets[0], talk.endpoint, status, fault, 400 * MS)
        second, answer = self._answered(2, (first.ended or 0) + MS, fallback, talk, stream, left=False)
        return self._told(at, talk, stream, Status.ok, 200, (first, second), None, request, answer)

    def _failed(self, at: int, talk: Talk, stream: bool) -> tuple[Exchange, Content | None]:
        endpoint, request = talk.endpoint, self._request(talk, stream)
        _, status, kind, message, http, asked = self._rng.choices(_FAULTS, _FAULT_WEIGHTS)[0]
        fault = Fault(kind, message, http if asked and status is Status.error else None)
        if not asked:
            return self._told(at, talk, stream, status, http, (), fault, request, None)
        took = 60_000 * MS if status is Status.timeout else self._rng.randrange(80, 1500) * MS
        attempt = _broken(endpoint.targets[0], endpoint, status, fault, took)
        answer = {"error": {"type": kind, "message": message}}
        return self._told(at, talk, stream, status, http, (attempt,), fault, request, encoded(answer))

    def _lost(self, at: int, talk: Talk, stream: bool) -> tuple[Exchange, Content | None]:
        begun = _begun(1, 2 * MS, talk.endpoint.targets[0], talk.endpoint)
        exchange, _ = self._told(at, talk, stream, Status.unknown, None, (begun,), None, self._request(talk, stream), None)
        return exchange, None

    def _told(
        self,
        at: int,
        talk: Talk,
        stream: bool,
        status: Status,
        http: int | None,
        attempts: tuple[AttemptRecord, ...],
        fault: Fault | None,
        request: bytes,
        answer: bytes | None,
    ) -> tuple[Exchange, Content | None]:
        endpoint, key = talk.endpoint, talk.key
        plan, known = endpoint.plan, fault is None or fault.kind != NO_ENDPOINT
        path, kind = _UNIFIED if plan.unified else _PATHS[plan.format]
        last = attempts[-1].ended if attempts else MS
        exchange = Exchange(
            call_id=_call_id(at, self._rng),
            format="mlflow.chat" if plan.unified else plan.format,
            request_type=kind,
            path=path.format(name=plan.name),
            server="gateway.example:4000",
            received_at=at * MS + self._rng.randrange(MS),
            status=status,
            http_status=http,
            duration=None if last is None else last + MS,
            first_token=attempts[-1].first_token if attempts else None,
            endpoint_id=endpoint.endpoint_id if known else None,
            endpoint=plan.name if known else None,
            experiment_id=endpoint.experiment_id if known else None,
            model=plan.name if known else "gpt-4-turbo",
            stream=stream,
            caller_id=key.key_id,
            caller=key.name,
            agent=key.agent,
            owner=key.owner,
            team=key.team,
            session_id=talk.session_id,
            user_id=talk.user_id,
            request_bytes=len(request),
            fault=fault,
            attempts=attempts,
        )
        return exchange, None if exchange.experiment_id is None else Content(request=request, response=answer)

    # ------------------------------------------------------------ parts

    def _request(self, talk: Talk, stream: bool) -> bytes:
        plan = talk.endpoint.plan
        talk.asked = self._rng.choice(self._words.questions)
        prompt = self._words.prompts[len(plan.name) % len(self._words.prompts)]
        return encoded(REQUESTS[plan.format](plan.name, prompt, talk.turns, talk.asked, stream))

    def _answered(self, no: int, started: int, target: Target, talk: Talk, stream: bool, *, left: bool) -> tuple[AttemptRecord, bytes]:
        """A good try, and what the model said. The client may have left before its end."""
        rng, model, plan = self._rng, target.model, talk.endpoint.plan
        asked = int(plan.asks * rng.lognormvariate(0, 0.7)) + 180 * len(talk.turns)
        got = max(1, int(plan.says * rng.lognormvariate(0, 0.6)) // (3 if left else 1)) if plan.says else None
        usage, provenance = self._usage(model, asked, got, stream, left)
        head = started + int(rng.lognormvariate(5.6, 0.5)) * MS
        attempt = replace(
            _begun(no, started, target, talk.endpoint),
            headed=head,
            first_token=head + 15 * MS if stream else None,
            ended=head + int((got or 0) / model.tokens_a_second * rng.uniform(800, 1300)) * MS + 3 * MS,
            status=Status.client_gone if left else Status.ok,
            http_status=200,
            upstream_request_id=f"req_{rng.getrandbits(64):016x}",
            response_id=f"r-{rng.getrandbits(64):016x}",
            response_model=model.answers,
            service_tier=model.tier,
            stop_reason=None if left else STOPS.get(plan.format),
            usage=usage,
            provenance=provenance,
        )
        said = self._words.answer(rng, rng.randrange(2, 9)) if got else ""
        talk.turns.append((talk.asked, said[:300]))
        return attempt, encoded(ANSWERS[plan.format](model.answers, attempt.response_id or "", said, attempt.stop_reason, usage))

    def _usage(self, model: Model, asked: int, got: int | None, stream: bool, left: bool) -> tuple[Usage, Provenance]:
        """`got` None: the model gives no words."""
        rng = self._rng
        if not model.counts or left:
            drained = model.counts and rng.random() < 0.5
            return Usage(input=asked, output=got), Provenance.drained if drained else Provenance.estimated
        if stream and rng.random() < SILENT:
            return Usage(), Provenance.unknown
        read = int(asked * rng.uniform(0.3, 0.9)) if rng.random() < model.caches else 0
        written = (asked - read) // 2 if model.writes and rng.random() < 0.4 else 0
        short = written if rng.random() < 0.8 else 0
        thought = got if model.thinks and got is not None and rng.random() < 0.6 else 0
        return Usage(
            input=asked,
            output=None if got is None else got + thought,
            cache_read=read if model.caches else None,
            cache_write=written if model.writes else None,
            cache_write_5m=short if model.writes else None,
            cache_write_1h=written - short if model.writes else None,
            reasoning=thought if model.thinks else None,
        ), Provenance.reported


def _broken(target: Target, endpoint: Endpoint, status: Status, fault: Fault, took: int) -> AttemptRecord:
    return replace(
        _begun(1, 2 * MS, target, endpoint),
        headed=None if fault.http_status is None else 2 * MS + took,
        ended=2 * MS + took,
        status=status,
        http_status=fault.http_status,
        fault=fault,
    )


def _begun(no: int, started: int, target: Target, endpoint: Endpoint) -> AttemptRecord:
    return AttemptRecord(
        no=no,
        provider=target.model.provider,
        model=target.model.name,
        format=endpoint.plan.format,
        started=started,
        model_definition_id=target.model_definition_id,
        secret_id=target.secret_id,
    )


def _call_id(at: int, rng: Random) -> str:
    """A UUID version 7 (RFC 9562): it sorts by time."""
    number = at << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
