"""Google's Gemini. `promptTokenCount` includes cached tokens, `candidatesTokenCount` leaves thoughts out; our `output` includes them.

A stream's chunks are answers of their own, each with what is new; it has no terminal event, and comes as server-sent events or, without
`alt=sse`, as a JSON array. Usage is in each chunk and cumulative: what is said later replaces what was said before. Zeros are left out, as
protobuf does in JSON. Reference: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/models
"""

from collections.abc import Mapping, Sequence
from typing import cast

from spangate.wire import folding, lenient
from spangate.wire.counting import UNREADABLE, Tally
from spangate.wire.events import Ended, Event, Failed, Started, Stopped, Tiered, UsageReported
from spangate.wire.framing import json_array, sse
from spangate.wire.framing.sse import Frame
from spangate.wire.problems import Problem, UpstreamProblem
from spangate.wire.usage import Usage, count

from . import problem_text
from .decoding import NO_OBJECT, SseDecoder

NAME: str = "gemini.generate"

# A chunk may hold a whole picture, and the same chunk the usage and the end; unread, the answer would have neither.
LIMIT = 16 << 20
CANDIDATES = 64  # answers to one request; Google gives eight at most

# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}

# What the gateway relays for any endpoint; whether its provider does, only a call can tell.
_METHODS = ["generateContent", "countTokens", "embedContent"]


# ---------------------------------------------------------------- problems


def parse_problem(status: int, body: bytes) -> UpstreamProblem:
    # {"error": {"code", "message", "status", "details"}}, in a list of one where a stream was asked for
    said = problem_text.parse(body)
    error = (lenient.mapping(said.get("error")) if said else None) or {}
    message = lenient.text(error.get("message"))
    kind = lenient.text(error.get("status")) or problem_text.KIND
    return UpstreamProblem(status, problem_text.word(kind), problem_text.short(message or problem_text.plain(status, body, said)))


def render_problem(problem: Problem, call_id: str) -> bytes:
    """`error` comes first and alone, as the SDKs look for it there; Google's own details say what else is known."""
    word = _WORDS.get(problem.status, "INVALID_ARGUMENT" if problem.status < 500 else "UNAVAILABLE")
    details: list[dict[str, object]] = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": problem.kind.upper(), "domain": "spangate"},
        {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": call_id},
    ]
    if problem.retry_after is not None and problem.retry_after.isdecimal():
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{problem.retry_after}s"})
    return lenient.render({"error": {"code": problem.status, "message": problem.message, "status": word, "details": details}})


def render_problem_event(problem: Problem, call_id: str) -> bytes:
    return sse.encode(render_problem(problem, call_id))  # an `event:` line is no line that Google's SDK can read


# ---------------------------------------------------------------- models


def render_models(models: Sequence[tuple[str, int]]) -> bytes:
    return lenient.render({"models": [_model(name) for name, _ in models]})


def render_model(name: str, created_ms: int) -> bytes:
    return lenient.render(_model(name))


def _model(name: str) -> dict[str, object]:
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": _METHODS}


# ---------------------------------------------------------------- plain answers


def parse_answer(body: bytes) -> list[Event]:
    answer = lenient.document(body)
    if answer is None:
        return [NO_OBJECT]
    if answer.get("error"):
        return [failure(answer)]
    events: list[Event] = []
    response_id, model = lenient.text(answer.get("responseId")), lenient.text(answer.get("modelVersion"))
    if response_id or model:
        events.append(Started(response_id, model))
    usage = answer.get("usageMetadata")
    tier = _tier(usage)
    if tier:
        events.append(Tiered(tier))
    reasons = (lenient.text(candidate.get("finishReason")) for candidate in _objects(answer.get("candidates")))
    reason = next((reason for reason in reasons if reason), None) or _blocked(answer)
    reported = parse_usage(usage, whole=reason is not None)
    if reported is not None:
        events.append(UsageReported(reported))
    if reason:
        events.append(Stopped(reason))
    return events


def _blocked(said: Mapping[str, object]) -> str | None:
    """Why there is no candidate at all."""
    return lenient.text((lenient.mapping(said.get("promptFeedback")) or {}).get("blockReason"))


def failure(said: Mapping[str, object]) -> Failed:
    """The provider's error, in a chunk or in an answer that came with 200."""
    error = lenient.mapping(said.get("error")) or {}
    kind = lenient.text(error.get("status")) or "error"
    return Failed(problem_text.word(kind), problem_text.short(lenient.text(error.get("message")) or problem_text.IN_STREAM))


def _objects(value: object) -> list[dict[str, object]]:
    entries = map(lenient.mapping, cast("list[object]", value)) if isinstance(value, list) else ()
    return [entry for entry in entries if entry is not None]


# ---------------------------------------------------------------- usage


def parse_usage(value: object, *, whole: bool = True) -> Usage | None:
    """None: the provider said nothing of tokens. `whole`: the answer has all that it will have, so that what is not counted is nothing."""
    if value is None:
        return None
    wire = lenient.mapping(value)
    if wire is None:
        return UNREADABLE
    usage = _usage(wire, whole=whole)
    return None if usage == Usage() else usage  # early chunks have the class of traffic alone


def _usage(wire: Mapping[str, object], *, whole: bool) -> Usage:
    tally = Tally()
    tally.read("input", wire.get("promptTokenCount"))
    tally.read("cache_read", wire.get("cachedContentTokenCount"))
    tally.read("output", wire.get("candidatesTokenCount"))
    tally.read("reasoning", wire.get("thoughtsTokenCount"))
    _sum_input(tally, wire.get("toolUsePromptTokenCount"))
    _sum_output(tally, count(wire.get("totalTokenCount")), whole=whole)
    given = (*_objects(wire.get("promptTokensDetails")), *_objects(wire.get("toolUsePromptTokensDetails")))
    made = _objects(wire.get("candidatesTokensDetails"))
    for kind in ("audio", "image"):  # text, video and documents have a price in common
        _sum_modality(tally, f"{kind}_input", kind, given)
        _sum_modality(tally, f"{kind}_output", kind, made)
        tally.within(f"{kind}_input", "input")
        tally.within(f"{kind}_output", "output")
    tally.within("cache_read", "input")
    tally.within("reasoning", "output")
    return tally.usage()


def _sum_input(tally: Tally, results: object) -> None:
    """What tools gave back to the model is input beside the prompt."""
    prompt, tools = tally.get("input"), count(results)
    if results is None or prompt is None:
        return
    if tools is None:
        tally.flag("input")  # a sum with an unknown part is unknown
    else:
        tally.put("input", prompt + tools)


def _sum_output(tally: Tally, total: int | None, *, whole: bool) -> None:
    given, said, thoughts = tally.get("input"), tally.get("output"), tally.get("reasoning")
    if tally.invalid("output"):
        return
    if said is None:
        # A zero is left out, and so is a count that is yet to come: the total tells which, once there is no more to come.
        if whole and given is not None and total == given + (thoughts or 0):
            tally.put("output", thoughts or 0)
    elif tally.invalid("reasoning"):
        tally.flag("output")
    elif thoughts and not (given is not None and total == given + said):  # some versions count thoughts among the candidates' tokens
        tally.put("output", said + thoughts)


def _sum_modality(tally: Tally, field: str, kind: str, details: Sequence[Mapping[str, object]]) -> None:
    counts = [detail.get("tokenCount", 0) for detail in details if detail.get("modality") == kind.upper()]
    numbers = [number for number in map(count, counts) if number is not None]
    if len(numbers) < len(counts):
        tally.flag(field)
    elif numbers:
        tally.put(field, sum(numbers))


def _tier(usage: object) -> str | None:
    wire = lenient.mapping(usage) or {}
    return lenient.text(wire.get("serviceTier")) or lenient.text(wire.get("trafficType"))


# ---------------------------------------------------------------- streams

_NOT_OF_ENVELOPE = frozenset({"candidates", "usageMetadata"})
_NOT_OF_CANDIDATE = frozenset({"content", "index"})


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(SseDecoder):
    """Reads a stream of GenerateContentResponse in either framing: the first byte tells which. A lone object is a stream of one."""

    def __init__(self, fold_limit: int) -> None:
        super().__init__(LIMIT)
        self._fold = folding.Fold(fold_limit) if fold_limit > 0 else None
        self._envelope = folding.Envelope()
        self._candidates: dict[int, _Candidate] = {}
        self._usage: dict[str, object] = {}
        self._reported: Usage | None = None
        self._open: set[int] = set()
        self._done: set[int] = set()
        self._reason = ""
        self._refused = False  # the prompt was blocked: there will be no candidate
        self._blank = True  # nothing but white space has come

    @property
    def finished(self) -> bool:
        return self._refused or (bool(self._done) and not self._open)

    def feed(self, chunk: bytes) -> list[Event]:
        if self._blank and (first := chunk.lstrip()[:1]):
            self._blank = False
            if first in b"[{":
                self.frames = json_array.Frames(LIMIT, start=self.frames.total)
        events = super().feed(chunk)
        if isinstance(self.frames, json_array.Frames) and self.frames.closed and not self.ended:
            self.ended = True
            events.append(Ended())
        return events

    def answer(self) -> tuple[bytes, bool] | None:
        if self._fold is None or not (self._envelope.fields or self._candidates or self._usage):
            return None
        answer: dict[str, object] = {}
        if self._candidates:
            answer["candidates"] = [self._candidates[index].folded(index) for index in sorted(self._candidates)]
        answer |= self._envelope.fields
        if self._usage:
            answer["usageMetadata"] = self._usage
        truncated = self._envelope.truncated or any(candidate.envelope.truncated for candidate in self._candidates.values())
        return folding.rendered(answer), truncated or self._fold.truncated

    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        if len(data) < 16 and data.strip() == b"[DONE]":  # of servers that take Gemini for OpenAI
            return
        chunk = lenient.mapping(lenient.parse(data))
        if chunk is None:
            raise ValueError("not an object")
        if chunk.get("error"):
            events.append(failure(chunk))
            return
        usage = chunk.get("usageMetadata")
        candidates = _objects(chunk.get("candidates"))
        self._start(chunk.get("responseId"), chunk.get("modelVersion"), events)
        self._tiered(_tier(usage), events)
        if self._fold is not None:
            self._envelope.put(chunk, _NOT_OF_ENVELOPE)
        for candidate in candidates:
            self._say(candidate, events)
        reason = self._stop(chunk, candidates)
        self._count(usage, events)
        if reason != self._reason and self.finished:
            self._reason = reason
            events.append(Stopped(reason))

    def _say(self, candidate: dict[str, object], events: list[Event]) -> None:
        """What is new of a candidate."""
        content = lenient.mapping(candidate.get("content")) or {}
        parts = _objects(content.get("parts"))
        produced = sum(map(_length, parts))
        self.produced += produced
        if produced or any(part.keys() - {"text", "thought", "thoughtSignature"} for part in parts):
            self._progress(events)
        if self._fold is None:
            return
        index = _index(candidate)
        held = self._candidates.get(index)
        if held is None:
            if len(self._candidates) >= CANDIDATES:
                self._fold.truncated = True
                return
            held = self._candidates[index] = _Candidate(self._fold)
        held.add(candidate, content, parts)

    def _stop(self, chunk: Mapping[str, object], candidates: Sequence[dict[str, object]]) -> str:
        """The last reason that was given. Some models give one in each chunk, and all that begins has its own."""
        last, blocked = self._reason, _blocked(chunk)
        if blocked and not self._open and not self._done:
            self._refused, last = True, blocked
        for candidate in candidates:
            index, reason = _index(candidate), lenient.text(candidate.get("finishReason"))
            if reason:
                last = reason
                self._open.discard(index)
                if len(self._done) < CANDIDATES:
                    self._done.add(index)
            elif index not in self._done and len(self._open) < CANDIDATES:
                self._open.add(index)
        return last

    def _count(self, value: object, events: list[Event]) -> None:
        wire = lenient.mapping(value)
        if value is not None and wire is None:
            events.append(UsageReported(UNREADABLE))
            return
        merged = {**self._usage, **{name: said for name, said in (wire or {}).items() if said is not None}}
        if len(merged) > 256:
            return
        self._usage = merged
        usage = parse_usage(merged, whole=self.finished)
        if usage is not None and usage != self._reported:
            self._reported = usage
            events.append(UsageReported(usage))

    def _overlong(self, events: list[Event]) -> None:
        self._progress(events)
        if self._fold is not None:
            self._fold.truncated = True


class _Candidate:
    """One answer, from its pieces: texts grow, other parts stand where they came; of all else the last word counts."""

    def __init__(self, fold: folding.Fold) -> None:
        self.envelope = folding.Envelope()
        self._fold = fold
        self._role: str | None = None
        self._parts: list[dict[str, object]] = []

    def add(self, candidate: dict[str, object], content: Mapping[str, object], parts: Sequence[dict[str, object]]) -> None:
        self._role = self._role or lenient.text(content.get("role"))
        self.envelope.put(candidate, _NOT_OF_CANDIDATE)
        for part in parts:
            if self._fold.truncated:
                return
            last = self._parts[-1] if self._parts else None
            if last is not None and _continues(last, part):
                self._fold.merge(last, part)
            elif self._fold.take(len(lenient.render(part))):
                self._parts.append(dict(part))

    def folded(self, index: int) -> dict[str, object]:
        content = ({"parts": self._parts} if self._parts else {}) | ({"role": self._role} if self._role else {})
        return ({"content": content} if content else {}) | self.envelope.fields | {"index": index}


def _continues(last: Mapping[str, object], part: Mapping[str, object]) -> bool:
    """Whether the part goes on with the text before it. A signature seals what it stands on, so nothing is added to that."""
    return (
        isinstance(part.get("text"), str)
        and "text" in last
        and bool(last.get("thought")) is bool(part.get("thought"))
        and "thoughtSignature" not in last
        and not part.keys() - {"text", "thought", "thoughtSignature"}
        and not last.keys() - {"text", "thought"}
    )


def _length(part: Mapping[str, object]) -> int:
    """Characters of content in a part: text, thoughts, a tool call's arguments, code. Pictures and sound are no characters."""
    text = part.get("text")
    length = len(text) if isinstance(text, str) else 0
    for name, inner in (("functionCall", "args"), ("executableCode", "code")):
        said = (lenient.mapping(part.get(name)) or {}).get(inner)
        if said:
            length += len(said) if isinstance(said, str) else len(lenient.render(said))
    return length


def _index(candidate: Mapping[str, object]) -> int:
    index = candidate.get("index")
    return index if isinstance(index, int) else 0
