"""OpenAI responses. `input_tokens` includes cached tokens already, `output_tokens` includes reasoning.

The last event of a stream (completed, incomplete, failed) repeats the whole answer, so a whole stream folds into what it says; one that
was cut folds into the items and deltas that came. There is no [DONE]; some compatible servers send one, and it says nothing.
Reference: https://platform.openai.com/docs/api-reference/responses, https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from spangate.wire import estimate, folding, lenient
from spangate.wire.counting import UNREADABLE, Tally
from spangate.wire.events import Ended, Event, Failed, Started, Stopped, Tiered, UsageReported
from spangate.wire.framing import sse
from spangate.wire.framing.sse import Frame
from spangate.wire.problems import Problem
from spangate.wire.usage import Usage

from . import openai_chat, problem_text
from .decoding import NO_OBJECT, SseDecoder
from .openai_chat import parse_problem, render_model, render_models, render_problem

__all__ = [
    "NAME",
    "Decoder",
    "decoder",
    "parse_answer",
    "parse_problem",
    "parse_usage",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "openai.responses"

# The last event holds all that was said, pictures too; unread, the answer would have neither tokens nor an end.
LIMIT = 16 << 20
ITEMS = 4096  # output items, and parts of each, that are folded; more is a fault of the sender

# How a response may stand when the model has done with it.
_OVER = frozenset({"completed", "incomplete", "cancelled"})


# ---------------------------------------------------------------- problems


def render_problem_event(problem: Problem, call_id: str) -> bytes:
    """OpenAI's own error event says it at its top; the SDKs raise only where there is an `error` in it, so both are there."""
    top = {"type": "error", "code": problem.kind, "message": problem.message, "param": problem.param, "sequence_number": 0}
    return sse.encode(lenient.render({**top, "error": openai_chat.error(problem, call_id)}), "error")


# ---------------------------------------------------------------- plain answers


def parse_answer(body: bytes) -> list[Event]:
    answer = lenient.document(body)
    if answer is None:
        return [NO_OBJECT]
    if answer.get("error") and not lenient.text(answer.get("id")):
        return [openai_chat.failure(answer)]  # an error and no response at all
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
    ending = _ending(answer)
    if ending is not None:
        events.append(ending)
    return events


def _ending(response: Mapping[str, object]) -> Stopped | Failed | None:
    """How the response ended, by its own status; None while it goes on in the background, and for a compaction, which has none."""
    status = lenient.text(response.get("status"))
    if status == "failed" or response.get("error"):
        return _failure(response.get("error"))
    if status not in _OVER:
        return None
    details = lenient.mapping(response.get("incomplete_details")) or {}
    return Stopped(lenient.text(details.get("reason")) or status)


def _failure(error: object) -> Failed:
    """Of a response it is {"code", "message"}, of an error event at its top or in `error`."""
    said = lenient.mapping(error)
    if said is None:
        return Failed("error", problem_text.short(str(error)) if error else problem_text.IN_STREAM)
    kind = lenient.text(said.get("code")) or lenient.text(said.get("type")) or "error"
    return Failed(problem_text.word(kind), problem_text.short(lenient.text(said.get("message")) or problem_text.IN_STREAM))


def parse_usage(value: object) -> Usage | None:
    """None: the provider said nothing of usage (absent or null)."""
    if value is None:
        return None
    wire = lenient.mapping(value)
    return UNREADABLE if wire is None else _usage(wire)


def _usage(wire: dict[str, object]) -> Usage:
    given = lenient.mapping(wire.get("input_tokens_details")) or {}
    made = lenient.mapping(wire.get("output_tokens_details")) or {}
    tally = Tally()
    tally.read("input", wire.get("input_tokens"))
    tally.read("output", wire.get("output_tokens"))
    tally.read("cache_read", given.get("cached_tokens"))
    tally.read("cache_write", given.get("cache_write_tokens"))
    tally.read("audio_input", given.get("audio_tokens"))
    tally.read("audio_output", made.get("audio_tokens"))
    tally.read("image_input", given.get("image_tokens"))
    tally.read("image_output", made.get("image_tokens"))
    tally.read("reasoning", made.get("reasoning_tokens"))
    for part in ("cache_read", "cache_write", "audio_input", "image_input"):
        tally.within(part, "input")
    for part in ("reasoning", "audio_output", "image_output"):
        tally.within(part, "output")
    return tally.usage()


# ---------------------------------------------------------------- streams


class _Thin(msgspec.Struct):
    type: str = ""
    delta: object = None


_thin = msgspec.json.Decoder(_Thin)

# Deltas of an item's own field, by event.
_OF_ITEM = {
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.code_interpreter_call_code.delta": "code",
}
# Deltas of a part of an item: the item's list, the index in it, the part's type and field.
_OF_PART = {
    "response.output_text.delta": ("content", "content_index", "output_text", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text", "text"),
}
# Events that bring a part as it is when it begins.
_PARTS = {
    "response.content_part.added": ("content", "content_index"),
    "response.reasoning_summary_part.added": ("summary", "summary_index"),
}
_BEGINNINGS = frozenset({"response.created", "response.queued", "response.in_progress"})
_ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_READ = _BEGINNINGS | _ENDINGS | {"error"}  # what is read also when nothing is folded

_NOT_OF_ENVELOPE = frozenset({"output", "usage"})


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(SseDecoder):
    """Reads response.* events. Those that it does not know are nobody's business: the item's own end repeats what they said."""

    def __init__(self, fold_limit: int) -> None:
        super().__init__(LIMIT)
        self._limit = fold_limit
        self._fold = folding.Fold(fold_limit) if fold_limit > 0 else None
        self._envelope = folding.Envelope()
        self._items: dict[int, dict[str, object]] = {}
        self._parts: dict[int, dict[tuple[str, int], dict[str, object]]] = {}
        self._sizes: dict[int, int] = {}  # room that an item was given as it began
        self._usage: object = None
        self._whole: dict[str, object] | None = None  # the answer, as the last event repeats it

    @property
    def finished(self) -> bool:
        return self.ended

    def answer(self) -> tuple[bytes, bool] | None:
        if self._fold is None or not (self._whole or self._envelope.fields or self._items):
            return None
        if self._whole is not None:
            return lenient.render(self._whole), False
        answer = {"id": None, "object": "response", **self._envelope.fields}
        answer["output"] = [self._items[place] for place in sorted(self._items)]
        if self._usage is not None:
            answer["usage"] = self._usage
        return folding.rendered(answer), self._fold.truncated or self._envelope.truncated

    def _observe(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        if self.ended or (len(data) < 16 and data.strip() == b"[DONE]"):
            return
        if self._fold is None and self._progressed:
            try:
                thin = _thin.decode(data)
                kind = thin.type
            except (ValueError, RecursionError):
                pass  # perhaps only odd: read in full below
            else:
                if kind.startswith("response.") and kind not in _READ:
                    self._wrote(kind, thin.delta)
                    return
        named = (frame.event or b"").decode("latin-1")
        try:
            said = lenient.mapping(lenient.parse(data))
            if said is None:
                raise ValueError("not an object")
        except (ValueError, RecursionError):
            if named in ("", "message", "error") or named.startswith("response."):
                raise
            return
        kind = lenient.text(said.get("type")) or named
        if kind == "error" or (said.get("error") and not kind.startswith("response.")):
            events.append(_failure(said.get("error") or said))
        elif kind in _BEGINNINGS or kind in _ENDINGS:
            response = lenient.mapping(said.get("response"))
            if response is None:
                raise ValueError("an event of a response without the response")
            self._start(response.get("id"), response.get("model"), events)
            self._tiered(response.get("service_tier"), events)
            self._report(response.get("usage"), events)
            if kind in _ENDINGS:
                self._end(kind, response, len(data), events)
            elif self._fold is not None:
                self._envelope.put(response, _NOT_OF_ENVELOPE)
        else:
            self._step(kind, said, events)

    def _step(self, kind: str, said: dict[str, object], events: list[Event]) -> None:
        """What comes between beginning and end: items, their parts, and deltas of both."""
        delta = said.get("delta")
        self._wrote(kind, delta)
        item = lenient.mapping(said.get("item"))
        called = kind == "response.output_item.added" and item is not None and item.get("type") not in ("message", "reasoning")
        if called or (delta and kind.endswith(".delta")):
            self._progress(events)
        if self._fold is None or self._fold.truncated:
            return
        fold, place = self._fold, _index(said, "output_index")
        if kind in ("response.output_item.added", "response.output_item.done") and item is not None:
            self._put_item(fold, place, item)
        elif kind in _PARTS:
            field, index = _PARTS[kind]
            part, known = lenient.mapping(said.get("part")), self._part(fold, place, field, _index(said, index))
            if part is not None and known is not None:
                fold.merge(known, part)
        elif kind in _OF_PART and isinstance(delta, str):
            field, index, sort, name = _OF_PART[kind]
            part = self._part(fold, place, field, _index(said, index))
            if part is not None:
                part.setdefault("type", sort)
                fold.merge(part, {name: delta})
        elif kind in _OF_ITEM and isinstance(delta, str):
            held = self._item(fold, place)
            if held is not None:
                fold.merge(held, {_OF_ITEM[kind]: delta})

    def _wrote(self, kind: str, delta: object) -> None:
        if isinstance(delta, str) and (kind in _OF_ITEM or kind in _OF_PART):
            self.produced += len(delta)

    def _end(self, kind: str, response: dict[str, object], size: int, events: list[Event]) -> None:
        if response.get("output"):
            self._progress(events)
            self.produced = self.produced or estimate.characters(response["output"])
        # One that failed may repeat nothing of what it had said.
        if size <= self._limit and (response.get("output") or not self._items):
            self._whole = response
        elif self._fold is not None:
            self._envelope.put(response, _NOT_OF_ENVELOPE)
            self._fold.truncated = self._fold.truncated or size > self._limit
        if kind == "response.failed":
            events.append(_failure(response.get("error")))
        else:
            events.append(_ending({"status": kind.removeprefix("response."), **response}) or Stopped(kind.removeprefix("response.")))
        self.ended = True
        events.append(Ended())

    def _report(self, usage: object, events: list[Event]) -> None:
        if usage is not None and usage != self._usage:
            self._usage = usage
            wire = lenient.mapping(usage)
            events.append(UsageReported(UNREADABLE if wire is None else _usage(wire)))

    # ------------------------------------------------------------ folding

    def _put_item(self, fold: folding.Fold, place: int, item: dict[str, object]) -> None:
        """The item as its own event says it; when it is done that is all of it, whatever its deltas were."""
        size = len(lenient.render(item))
        if (place not in self._items and len(self._items) >= ITEMS) or not fold.take(max(0, size - self._sizes.get(place, 0))):
            fold.truncated = True
            return
        self._sizes[place] = max(size, self._sizes.get(place, 0))
        self._items[place] = item
        self._parts.pop(place, None)

    def _item(self, fold: folding.Fold, place: int) -> dict[str, object] | None:
        """The item at that place; None if there is no room for a new one."""
        held = self._items.get(place)
        if held is None and len(self._items) < ITEMS and fold.take(8):
            held = self._items[place] = {}
        return held

    def _part(self, fold: folding.Fold, place: int, field: str, index: int) -> dict[str, object] | None:
        """The part of the item; None if there is no room for a new one."""
        item = self._item(fold, place)
        parts = self._parts.setdefault(place, {})
        part = parts.get((field, index))
        if item is None or part is not None:
            return part
        listed = item.get(field)
        if not isinstance(listed, list):
            listed = item[field] = []
        entries = cast("list[object]", listed)
        if len(entries) < ITEMS and fold.take(8):
            part = parts[field, index] = {}
            entries.append(part)
        return part

    def _overlong(self, events: list[Event]) -> None:
        self._progress(events)
        if self._fold is not None:
            self._fold.truncated = True


def _index(said: dict[str, object], name: str) -> int:
    index = said.get(name)
    return index if isinstance(index, int) else 0
