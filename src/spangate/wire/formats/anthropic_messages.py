"""Anthropic messages. `input_tokens` leaves cached tokens out; our `input` includes them.

Usage comes twice: in message_start (input, and the output of the first moment) and in message_delta (cumulative; input
classes may appear there too). What comes later replaces what came before, as in Anthropic's own SDK. The output that
message_start counts is of an answer that has not begun, so it is no count of the answer: until message_delta it is unknown.
Reference: https://docs.anthropic.com/en/api/messages-streaming
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from spangate.wire import estimate, folding, lenient
from spangate.wire.counting import UNREADABLE, Tally
from spangate.wire.events import Ended, Event, Failed, Started, Stopped, Tiered, UsageReported
from spangate.wire.framing import sse
from spangate.wire.framing.sse import Frame
from spangate.wire.problems import Problem, UpstreamProblem
from spangate.wire.usage import Usage

from . import problem_text
from .decoding import NO_OBJECT, SseDecoder

NAME: str = "anthropic.messages"

BLOCKS = 4096  # content blocks of one message; more is a fault of the sender

# https://docs.anthropic.com/en/api/errors
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# Of message_start's message and of message_delta: what is no field of the plain answer, or is kept apart.
_NOT_OF_START = frozenset({"usage"})
_NOT_OF_DELTA = frozenset({"type", "delta", "usage"})

# What message_start says of these is not yet a count of the answer.
_OUTPUT = frozenset({"output_tokens", "output_tokens_details"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# ---------------------------------------------------------------- problems


def parse_problem(status: int, body: bytes) -> UpstreamProblem:
    # {"type": "error", "error": {"type", "message"}, "request_id"}
    said = problem_text.parse(body)
    error = (lenient.mapping(said.get("error")) if said else None) or {}
    message = lenient.text(error.get("message")) or (lenient.text(said.get("message")) if said else None)
    kind = lenient.text(error.get("type")) or problem_text.KIND
    return UpstreamProblem(status, problem_text.word(kind), problem_text.short(message or problem_text.plain(status, body, said)))


def render_problem(problem: Problem, call_id: str) -> bytes:
    fault = _TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "api_error")
    return lenient.render(
        {"type": "error", "error": {"type": fault, "message": problem.message, "code": problem.kind}, "request_id": call_id}
    )


def render_problem_event(problem: Problem, call_id: str) -> bytes:
    return sse.encode(render_problem(problem, call_id), "error")


# ---------------------------------------------------------------- models


def render_models(models: Sequence[tuple[str, int]]) -> bytes:
    data = [_model(name, created) for name, created in models]
    ends = {"first_id": models[0][0], "last_id": models[-1][0]} if models else {"first_id": None, "last_id": None}
    return lenient.render({"data": data, "has_more": False, **ends})


def render_model(name: str, created_ms: int) -> bytes:
    return lenient.render(_model(name, created_ms))


def _model(name: str, created_ms: int) -> dict[str, object]:
    created = (_EPOCH + timedelta(milliseconds=created_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": created}


# ---------------------------------------------------------------- plain answers


def parse_answer(body: bytes) -> list[Event]:
    answer = lenient.document(body)
    if answer is None:
        return [NO_OBJECT]
    if answer.get("type") == "error":
        return [failure(answer)]
    events: list[Event] = []
    response_id, model = lenient.text(answer.get("id")), lenient.text(answer.get("model"))
    if response_id or model:
        events.append(Started(response_id, model))
    tier = lenient.text((lenient.mapping(answer.get("usage")) or {}).get("service_tier"))
    if tier:
        events.append(Tiered(tier))
    reported = parse_usage(answer.get("usage"))
    if reported is not None:
        events.append(UsageReported(reported))
    reason = lenient.text(answer.get("stop_reason"))
    if reason:
        events.append(Stopped(reason))
    return events


def parse_usage(value: object) -> Usage | None:
    """None: the provider said nothing of usage (absent or null)."""
    if value is None:
        return None
    wire = lenient.mapping(value)
    return UNREADABLE if wire is None else _usage(wire)


def _usage(wire: dict[str, object]) -> Usage:
    tally = Tally()
    tally.read("input", wire.get("input_tokens"))
    tally.read("output", wire.get("output_tokens"))
    tally.read("cache_read", wire.get("cache_read_input_tokens"))
    tally.read("cache_write", wire.get("cache_creation_input_tokens"))
    lifetimes = lenient.mapping(wire.get("cache_creation")) or {}
    tally.read("cache_write_5m", lifetimes.get("ephemeral_5m_input_tokens"))
    tally.read("cache_write_1h", lifetimes.get("ephemeral_1h_input_tokens"))
    tally.read("reasoning", (lenient.mapping(wire.get("output_tokens_details")) or {}).get("thinking_tokens"))
    _sum_input(tally)
    tally.within("reasoning", "output")
    return tally.usage()


def _sum_input(tally: Tally) -> None:
    short, long = tally.get("cache_write_5m"), tally.get("cache_write_1h")
    if tally.get("cache_write") is None and not tally.invalid("cache_write") and (short is not None or long is not None):
        tally.put("cache_write", (short or 0) + (long or 0))
    tally.within("cache_write_5m", "cache_write")
    tally.within("cache_write_1h", "cache_write")
    fresh = tally.get("input")
    if fresh is None:
        return
    if tally.invalid("cache_read") or tally.invalid("cache_write"):
        tally.flag("input")  # a sum with an unknown part is unknown
    else:
        tally.put("input", fresh + (tally.get("cache_read") or 0) + (tally.get("cache_write") or 0))


def failure(said: dict[str, object]) -> Failed:
    """The provider's error, in an event or in an answer that came with 200."""
    error = lenient.mapping(said.get("error")) or said
    kind = lenient.text(error.get("type")) or "error"
    return Failed(problem_text.word(kind), problem_text.short(lenient.text(error.get("message")) or problem_text.IN_STREAM))


# ---------------------------------------------------------------- streams


class _Said(msgspec.Struct):
    text: object = None
    thinking: object = None
    partial_json: object = None


class _Delta(msgspec.Struct):
    """What must be known of a delta when nothing is folded: that it is one, and how long."""

    type: str
    delta: _Said | None = None


_thin = msgspec.json.Decoder(_Delta)


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(SseDecoder):
    """Reads message_start, content_block_*, message_delta, message_stop, error; what else comes (ping) is nobody's business."""

    def __init__(self, fold_limit: int) -> None:
        super().__init__()
        self._fold = folding.Fold(fold_limit) if fold_limit > 0 else None
        self._envelope = folding.Envelope()
        self._blocks: dict[int, dict[str, object]] = {}
        self._arguments: dict[int, folding.Growing] = {}
        self._usage: dict[str, object] = {}
        self._counted = False  # a message_delta said its usage
        self._stopped = False

    @property
    def finished(self) -> bool:
        return self._stopped or self.ended

    def answer(self) -> tuple[bytes, bool] | None:
        if self._fold is None or not (self._envelope.fields or self._blocks):
            return None
        answer = dict(self._envelope.fields)
        answer["content"] = [self._block(index) for index in sorted(self._blocks)]
        if self._usage:
            answer["usage"] = self._usage if self._counted else {name: count for name, count in self._usage.items() if name not in _OUTPUT}
        return folding.rendered(answer), self._fold.truncated or self._envelope.truncated

    def _block(self, index: int) -> dict[str, object]:
        """The block, with the arguments of a tool call read; what was cut off stays a string."""
        block = dict(self._blocks[index])
        arguments = self._arguments.get(index)
        if arguments is not None and (said := str(arguments)):
            try:
                block["input"] = lenient.parse(said.encode("utf-8", "surrogatepass"))
            except (ValueError, RecursionError):
                block["input"] = said
        return block

    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        if self._fold is None and self._progressed:
            try:
                thin = _thin.decode(data)
                if thin.type == "content_block_delta" and thin.delta is not None:
                    self.produced += estimate.characters([thin.delta.text, thin.delta.thinking, thin.delta.partial_json])
                    return
            except (ValueError, RecursionError):
                pass  # perhaps only odd: read in full below
        try:
            said = lenient.mapping(lenient.parse(data))
            if said is None:
                raise ValueError("not an object")
        except (ValueError, RecursionError):
            if frame.event is None or frame.event.decode("latin-1") in self._MEANINGS:
                raise
            return
        name = lenient.text(said.get("type")) or (frame.event or b"").decode("latin-1")
        if not name and said.get("error"):
            name = "error"
        meaning = self._MEANINGS.get(name)
        if meaning is not None:
            meaning(self, said, events)

    def _message_start(self, said: dict[str, object], events: list[Event]) -> None:
        message = lenient.mapping(said.get("message"))
        if message is None:
            raise ValueError("message_start without a message")
        self._start(message.get("id"), message.get("model"), events)
        if self._fold is not None:
            self._envelope.put({**message, "content": []}, _NOT_OF_START)
        self._report(message.get("usage"), events, counted=self._counted)

    def _block_start(self, said: dict[str, object], events: list[Event]) -> None:
        block = lenient.mapping(said.get("content_block")) or {}
        if block.get("type") not in ("text", "thinking") or block.get("text") or block.get("thinking"):
            self._progress(events)
        self.produced += estimate.characters(block)
        if self._fold is not None and len(self._blocks) < BLOCKS and self._fits(block):
            self._blocks[self._index(said)] = block

    def _block_delta(self, said: dict[str, object], events: list[Event]) -> None:
        delta = lenient.mapping(said.get("delta")) or {}
        self.produced += estimate.characters([delta.get("text"), delta.get("thinking"), delta.get("partial_json")])
        if not self._progressed and any(value for name, value in delta.items() if name != "type"):
            self._progress(events)
        if self._fold is None or self._fold.truncated:
            return
        index = self._index(said)
        if index not in self._blocks:
            if len(self._blocks) >= BLOCKS:
                self._fold.truncated = True
                return
            self._blocks[index] = {}
        self._merge(self._fold, index, delta)

    def _merge(self, fold: folding.Fold, index: int, delta: dict[str, object]) -> None:
        block = self._blocks[index]
        kind = delta.get("type")
        if kind == "input_json_delta":
            piece = delta.get("partial_json")
            if isinstance(piece, str):
                self._arguments.setdefault(index, folding.Growing()).pieces.append(fold.take_text(piece))
        elif kind == "signature_delta":
            if fold.take(len(lenient.render(delta.get("signature")))):
                block["signature"] = delta.get("signature")
        elif kind == "citations_delta":
            fold.merge(block, {"citations": [delta.get("citation")]})
        else:  # text, thinking, and what is yet to come
            fold.merge(block, {name: value for name, value in delta.items() if name != "type"})

    def _message_delta(self, said: dict[str, object], events: list[Event]) -> None:
        delta = lenient.mapping(said.get("delta")) or {}
        if self._fold is not None:
            self._envelope.put(said, _NOT_OF_DELTA)
            self._envelope.put(delta, _NOT_OF_DELTA)
        self._report(said.get("usage"), events, counted=True)
        reason = lenient.text(delta.get("stop_reason"))
        if reason and not self._stopped:
            self._stopped = True
            events.append(Stopped(reason))

    def _message_stop(self, said: dict[str, object], events: list[Event]) -> None:
        if not self.ended:
            self.ended = True
            events.append(Ended())

    def _error(self, said: dict[str, object], events: list[Event]) -> None:
        events.append(failure(said))

    def _report(self, value: object, events: list[Event], *, counted: bool) -> None:
        if value is None:
            return
        wire = lenient.mapping(value)
        if wire is None:
            events.append(UsageReported(UNREADABLE))
            return
        self._tiered(wire.get("service_tier"), events)
        merged = {**self._usage, **{name: count for name, count in wire.items() if count is not None or name not in self._usage}}
        if (merged == self._usage and self._counted is counted) or len(merged) > 256:
            return
        self._usage, self._counted = merged, counted
        usage = _usage(merged)
        events.append(UsageReported(usage if counted else msgspec.structs.replace(usage, output=None, reasoning=None)))

    def _fits(self, value: object) -> bool:
        return self._fold is not None and self._fold.take(len(lenient.render(value)))

    def _index(self, said: dict[str, object]) -> int:
        index = said.get("index")
        return index if isinstance(index, int) else 0

    def _overlong(self, events: list[Event]) -> None:
        self._progress(events)
        if self._fold is not None:
            self._fold.truncated = True

    _MEANINGS = {
        "message_start": _message_start,
        "content_block_start": _block_start,
        "content_block_delta": _block_delta,
        "message_delta": _message_delta,
        "message_stop": _message_stop,
        "error": _error,
        # missing: content_block_stop and ping say nothing that we keep
    }
