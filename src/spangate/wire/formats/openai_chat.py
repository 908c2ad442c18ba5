"""OpenAI chat completions. `prompt_tokens` includes cached tokens already; `completion_tokens` includes reasoning, but not with everyone.

Reference: https://platform.openai.com/docs/api-reference/chat. Where compatible servers differ, it is said.
"""

from collections.abc import Sequence
from typing import cast

import msgspec

from spangate.wire import estimate, folding, lenient
from spangate.wire.counting import UNREADABLE, Tally
from spangate.wire.events import Ended, Event, Failed, Started, Stopped, Tiered, UsageReported
from spangate.wire.framing import sse
from spangate.wire.framing.sse import LIMIT, Frame
from spangate.wire.problems import Problem, UpstreamProblem
from spangate.wire.usage import Usage

from . import problem_text
from .decoding import NO_OBJECT, SseDecoder

NAME: str = "openai.chat"

CHOICES = 1024  # open choices that are watched; OpenAI's own limit of `n` is 128

# Which `type` OpenAI's own server gives, by status.
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 408: "timeout_error", 429: "rate_limit_error"}

# What a chunk has at its top and the plain answer has not, or has in another way.
_CHUNK_ONLY = frozenset({"object", "choices", "usage", "obfuscation"})


# ---------------------------------------------------------------- problems


def parse_problem(status: int, body: bytes) -> UpstreamProblem:
    # {"error": {"message", "type", "param", "code"}}; also {"error": "text"}, {"message"} (vLLM), {"detail"} (FastAPI)
    said = problem_text.parse(body)
    error = lenient.mapping(said.get("error")) if said else None
    if said and error is None:
        error = said
    error = error or {}
    message = (
        lenient.text(error.get("message"))
        or lenient.text(error.get("error"))
        or lenient.text(error.get("detail"))
        or problem_text.plain(status, body, said)
    )
    kind = lenient.text(error.get("code")) or lenient.text(error.get("type")) or problem_text.KIND
    return UpstreamProblem(status, problem_text.word(kind), problem_text.short(message), param=lenient.text(error.get("param")))


def render_problem(problem: Problem, call_id: str) -> bytes:
    return lenient.render({"error": error(problem, call_id)})


def error(problem: Problem, call_id: str) -> dict[str, object]:
    """OpenAI's error object."""
    fault = _TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "server_error")
    return {"message": problem.message, "type": fault, "param": problem.param, "code": problem.kind, "call_id": call_id}


def render_problem_event(problem: Problem, call_id: str) -> bytes:
    # The SDKs look for `error` in the data of any frame and raise; they know no error event name.
    return sse.encode(render_problem(problem, call_id))


# ---------------------------------------------------------------- models


def render_models(models: Sequence[tuple[str, int]], owner: str = "spangate") -> bytes:
    return lenient.render({"object": "list", "data": [_model(name, created, owner) for name, created in models]})


def render_model(name: str, created_ms: int, owner: str = "spangate") -> bytes:
    return lenient.render(_model(name, created_ms, owner))


def _model(name: str, created_ms: int, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created_ms // 1000, "owned_by": owner}


# ---------------------------------------------------------------- plain answers


def parse_answer(body: bytes) -> list[Event]:
    answer = lenient.document(body)
    if answer is None:
        return [NO_OBJECT]
    return answer_events(answer)


def answer_events(answer: dict[str, object]) -> list[Event]:
    """The events of a plain answer that is parsed already."""
    if answer.get("error"):
        return [failure(answer)]
    events: list[Event] = []
    response_id, model = lenient.text(answer.get("id")), lenient.text(answer.get("model"))
    if response_id or model:
        events.append(Started(response_id, model))
    tier = lenient.text(answer.get("service_tier"))
    if tier:
        events.append(Tiered(tier))
    reported = parse_usage(answer.get("usage"))
    if reported is not None:
        events.append(UsageReported(reported))
    for choice in objects(answer.get("choices")):
        reason = lenient.text(choice.get("finish_reason"))
        if reason:
            events.append(Stopped(reason))
            break
    return events


def parse_usage(value: object) -> Usage | None:
    """None: the provider said nothing of usage (absent or null)."""
    if value is None:
        return None
    wire = lenient.mapping(value)
    return UNREADABLE if wire is None else _usage(wire)


def _usage(wire: dict[str, object]) -> Usage:
    prompt = lenient.mapping(wire.get("prompt_tokens_details")) or {}
    completion = lenient.mapping(wire.get("completion_tokens_details")) or {}
    tally = Tally()
    tally.read("input", wire.get("prompt_tokens"))
    tally.read("output", wire.get("completion_tokens"))
    tally.read("cache_read", _first((prompt, "cached_tokens"), *((wire, name) for name in _CACHE_READ)))
    tally.read("cache_write", _first((prompt, "cache_write_tokens"), (wire, "cache_creation_input_tokens")))
    tally.read("audio_input", prompt.get("audio_tokens"))
    tally.read("audio_output", completion.get("audio_tokens"))
    # OpenRouter's and xAI's.
    tally.read("image_input", prompt.get("image_tokens"))
    tally.read("image_output", completion.get("image_tokens"))
    tally.read("reasoning", completion.get("reasoning_tokens"))
    _add_reasoning(tally, wire.get("total_tokens"))
    for part in ("cache_read", "cache_write", "audio_input", "image_input"):
        tally.within(part, "input")
    for part in ("reasoning", "audio_output", "image_output"):
        tally.within(part, "output")
    return tally.usage()


# DeepSeek's name; Moonshot's; that of gateways to Anthropic.
_CACHE_READ = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")


def _first(*places: tuple[dict[str, object], str]) -> object:
    return next((wire[name] for wire, name in places if wire.get(name) is not None), None)


def _add_reasoning(tally: Tally, total: object) -> None:
    # xAI leaves reasoning out of completion_tokens and has it in total_tokens: the sum tells.
    given, answer, reasoning = tally.get("input"), tally.get("output"), tally.get("reasoning")
    if given is not None and answer is not None and reasoning and total == given + answer + reasoning:
        tally.put("output", answer + reasoning)


def objects(value: object) -> list[dict[str, object]]:
    """The JSON objects of a list; nothing if it is no list."""
    if not isinstance(value, list):
        return []
    return [item for item in map(lenient.mapping, cast("list[object]", value)) if item is not None]


def failure(said: dict[str, object]) -> Failed:
    """The provider's error, in a frame or in an answer that came with 200."""
    error = lenient.mapping(said.get("error"))
    if error is None:
        return Failed("error", problem_text.short(str(said.get("error"))))
    kind = lenient.text(error.get("type")) or lenient.text(error.get("code")) or "error"
    return Failed(problem_text.word(kind), problem_text.short(lenient.text(error.get("message")) or problem_text.IN_STREAM))


# ---------------------------------------------------------------- streams


class _Choice(msgspec.Struct):
    index: object = 0
    finish_reason: object = None
    delta: object = None
    text: object = None  # completions have it where chat has a delta


class _Chunk(msgspec.Struct):
    """What must be known of each chunk when nothing is folded; all else is skipped unread."""

    choices: list[_Choice] | None = None
    usage: object = None
    error: object = None
    service_tier: object = None


_thin_chunk = msgspec.json.Decoder(_Chunk)


def said(delta: object, text: object) -> int:
    """Characters that the model wrote: words, reasoning (which some servers say twice, by two names) and the arguments of calls."""
    written = lenient.mapping(delta)
    if not written:
        return len(text) if isinstance(text, str) else 0
    content = written.get("content")
    if isinstance(content, str) and content:  # the usual chunk
        return len(content)
    functions = [*(call.get("function") for call in objects(written.get("tool_calls"))), written.get("function_call")]
    thought = written.get("reasoning_content") or written.get("reasoning")
    spoken = (lenient.mapping(written.get("audio")) or {}).get("transcript")
    return estimate.characters([content, thought, written.get("refusal"), spoken, functions])


def _plain(choice: dict[str, object]) -> dict[str, object]:
    """The choice, its tool calls without the index that only deltas have."""
    message = lenient.mapping(choice.get("message")) or {}
    if not message.get("tool_calls"):
        return choice
    calls = [{name: value for name, value in call.items() if name != "index"} for call in objects(message["tool_calls"])]
    return {**choice, "message": {**message, "tool_calls": calls}}


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(SseDecoder):
    """Reads a stream of chat.completion.chunk."""

    OBJECT = "chat.completion"  # of the plain answer

    def __init__(self, fold_limit: int, frame_limit: int = LIMIT) -> None:
        super().__init__(frame_limit)
        self._fold = folding.Fold(fold_limit) if fold_limit > 0 else None
        self._envelope = folding.Envelope()
        self._choices: dict[int, dict[str, object]] = {}
        self._usage: object = None
        self._open: set[int] = set()
        self._done: set[int] = set()

    @property
    def finished(self) -> bool:
        # Usage and even deltas may follow the reason to stop; of several choices each has its own.
        return self.ended or (bool(self._done) and not self._open)

    def answer(self) -> tuple[bytes, bool] | None:
        if self._fold is None or not (self._envelope.fields or self._choices):
            return None
        return folding.rendered(self.folded()), self._fold.truncated or self._envelope.truncated

    def folded(self) -> dict[str, object]:
        """The plain answer so far, as values."""
        answer = {"id": None, "object": self.OBJECT, **self._envelope.fields}
        answer["choices"] = [_plain(self._choices[index]) for index in sorted(self._choices)]
        if self._usage is not None:
            answer["usage"] = self._usage
        return answer

    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        if len(data) < 16 and data.strip() == b"[DONE]":
            if not self.ended:
                self.ended = True
                events.append(Ended())
            return
        if self._thin():
            try:
                thin = _thin_chunk.decode(data)
            except (ValueError, RecursionError):
                pass  # perhaps only odd: read in full below
            else:
                if not thin.error and thin.choices is not None:
                    self._tiered(thin.service_tier, events)
                    if thin.usage is not None:
                        self._note(frame, thin.usage, events, empty=not thin.choices)
                    for choice in thin.choices:
                        self.produced += said(choice.delta, choice.text)
                        self._stop(choice.index, choice.finish_reason, events)
                    return
        try:
            chunk = lenient.mapping(lenient.parse(data))
            if chunk is None:
                raise ValueError("not an object")
        except (ValueError, RecursionError):
            # A named event that we do not know may hold what it likes.
            if frame.event in (None, b"", b"message", b"error"):
                raise
            return
        self._chunk(frame, chunk, events)

    def _thin(self) -> bool:
        """Only usage, errors and reasons to stop are still of interest."""
        return self._fold is None and self._started and self._progressed

    def _chunk(self, frame: Frame, chunk: dict[str, object], events: list[Event]) -> None:
        if chunk.get("error") or frame.event == b"error":
            events.append(failure(chunk if chunk.get("error") else {"error": chunk}))
            return
        self._start(chunk.get("id"), chunk.get("model"), events)
        self._tiered(chunk.get("service_tier"), events)
        choices, usage = chunk.get("choices"), chunk.get("usage")
        listed = objects(choices)
        if self._fold is not None:
            self._envelope.put(chunk, _CHUNK_ONLY)
        for choice in listed:
            self.produced += said(choice.get("delta"), choice.get("text"))
            if not self._progressed and self._says(choice):
                self._progress(events)
            if self._fold is not None:
                self._fold_choice(self._fold, choice)
        if usage is not None:
            self._note(frame, usage, events, empty=choices == [])
        for choice in listed:
            self._stop(choice.get("index"), choice.get("finish_reason"), events)

    def _note(self, frame: Frame, usage: object, events: list[Event], *, empty: bool) -> None:
        """Usage of a frame. It may sit in a frame that also has choices, in each frame, or after [DONE]."""
        wire = lenient.mapping(usage)
        if empty and wire is not None:
            self.usage_frames.append((frame.start, frame.end))
        if usage != self._usage:
            self._usage = usage
            events.append(UsageReported(UNREADABLE if wire is None else _usage(wire)))

    def _stop(self, index: object, reason: object, events: list[Event]) -> None:
        place = index if isinstance(index, int) else 0
        if place in self._done or (reason is None and place in self._open):
            return
        if isinstance(reason, str) and reason:
            if len(self._done) < CHOICES:
                self._done.add(place)
            self._open.discard(place)
            if not self._open:
                events.append(Stopped(reason))
        elif len(self._open) < CHOICES:
            self._open.add(place)

    def _says(self, choice: dict[str, object]) -> bool:
        """Whether there is anything of the answer in it."""
        delta = lenient.mapping(choice.get("delta")) or {}
        return any(value for name, value in delta.items() if name != "role")

    def _fold_choice(self, fold: folding.Fold, choice: dict[str, object]) -> None:
        index = choice.get("index")
        place = index if isinstance(index, int) else 0
        held = self._choices.get(place)
        if held is None:
            if len(self._choices) >= CHOICES:
                fold.truncated = True
                return
            held = self._choices[place] = {"index": place, **self._begun(), "finish_reason": None}
        reason = lenient.text(choice.get("finish_reason"))
        if reason:
            held["finish_reason"] = reason[:100]
        delta = lenient.mapping(choice.get("delta"))
        if delta:
            message = lenient.mapping(held.get("message"))
            if message is None:  # not said yet; or a `message` beside the delta was no object
                message = held["message"] = {}
            fold.merge(message, delta)
        rest = {name: value for name, value in choice.items() if name not in ("index", "delta", "finish_reason")}
        if rest:
            fold.merge(held, rest)

    def _begun(self) -> dict[str, object]:
        """What a choice of the plain answer holds before anything is said."""
        return {"message": {"role": "assistant"}}

    def _overlong(self, events: list[Event]) -> None:
        self._progress(events)
        if self._fold is not None:
            self._fold.truncated = True
