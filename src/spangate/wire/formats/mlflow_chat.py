"""MLflow's unified chat: OpenAI's shape cut to a fixed set of fields, each null spelled out, and `provider` said.

No provider speaks it. The relay asks in openai.chat and renders here; fields that MLflow drops (system_fingerprint,
service_tier, logprobs, annotations) are dropped. `usage` is null until the chunk that has it. Errors are in OpenAI's shape.
"""

from collections.abc import Sequence

from spangate.wire import lenient
from spangate.wire.events import Event
from spangate.wire.framing import sse
from spangate.wire.framing.sse import Frame
from spangate.wire.problems import UpstreamProblem

from . import openai_chat
from .openai_chat import objects, parse_answer, parse_problem, render_problem, render_problem_event

__all__ = [
    "NAME",
    "Decoder",
    "decoder",
    "parse_answer",
    "parse_problem",
    "render_answer",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "mlflow.chat"

# A frame past the limit cannot be translated, and what cannot be translated is lost: so the limit is the largest that we hold at all.
LIMIT = 64 << 20


def render_models(models: Sequence[tuple[str, int]]) -> bytes:
    return openai_chat.render_models(sorted(models), "mlflow")


def render_model(name: str, created_ms: int) -> bytes:
    return openai_chat.render_model(name, created_ms, "mlflow")


# ---------------------------------------------------------------- plain answers


def render_answer(body: bytes, provider: str) -> bytes:
    """An openai.chat answer, normalised. UpstreamProblem if it is none."""
    try:
        answer = lenient.mapping(lenient.parse(body))
        if answer is None or not isinstance(answer.get("choices"), list):
            raise ValueError("no choices")
        return lenient.render(_answer(answer, provider))
    except (ValueError, RecursionError) as error:
        raise UpstreamProblem(502, "malformed_answer", "The provider's answer is not a chat completion.") from error


def _answer(answer: dict[str, object], provider: str) -> dict[str, object]:
    return {
        "id": answer.get("id"),
        "object": "chat.completion",
        "created": answer.get("created"),
        "model": answer.get("model"),
        "choices": [
            {
                "index": place,
                "message": _message(lenient.mapping(choice.get("message")) or {}),
                "finish_reason": choice.get("finish_reason"),
            }
            for place, choice in enumerate(objects(answer.get("choices")))
        ],
        "usage": _usage(answer.get("usage")) or {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
        "provider": provider,
    }


def _message(message: dict[str, object]) -> dict[str, object]:
    calls = [
        _with_signature({"id": call.get("id"), "type": call.get("type", "function"), "function": _function(call)}, call)
        for call in objects(message.get("tool_calls"))
    ]
    return {
        "role": message.get("role", "assistant"),
        "content": message.get("content"),
        "tool_calls": calls or None,
        "refusal": message.get("refusal"),
    }


def _function(call: dict[str, object]) -> dict[str, object]:
    function = lenient.mapping(call.get("function")) or {}
    return {"name": function.get("name"), "arguments": function.get("arguments")}


def _with_signature(rendered: dict[str, object], call: dict[str, object]) -> dict[str, object]:
    # Gemini's thinking models want it back in the next turn; left out when there is none.
    if call.get("thought_signature") is not None:
        rendered["thought_signature"] = call["thought_signature"]
    return rendered


def _usage(value: object) -> dict[str, object] | None:
    usage = lenient.mapping(value)
    if not usage:
        return None
    rendered: dict[str, object] = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    details = lenient.mapping(usage.get("prompt_tokens_details"))
    if details is not None:
        rendered["prompt_tokens_details"] = {"cached_tokens": None, **details}
    rendered.update({name: value for name, value in usage.items() if name not in rendered and name != "prompt_tokens_details"})
    return rendered


# ---------------------------------------------------------------- streams


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(openai_chat.Decoder):
    """Reads openai.chat chunks; `translated` holds, after each feed, what they are for the client. One parse serves both."""

    def __init__(self, fold_limit: int) -> None:
        super().__init__(fold_limit, LIMIT)
        self.provider = ""
        self.translated: list[tuple[bytes, bool]] = []  # (frame, whether it holds usage and nothing else)

    def feed(self, chunk: bytes) -> list[Event]:
        self.translated = []
        return super().feed(chunk)

    def close(self) -> list[Event]:
        self.translated = []
        return super().close()

    def folded(self) -> dict[str, object]:
        return _answer(super().folded(), self.provider)

    def _take(self, frame: Frame, events: list[Event]) -> None:
        if not frame.data and frame.whole and not frame.overlong:
            self.translated.append((b": keep-alive\n\n", False))  # a comment keeps connections open that would time out
            return
        done = self.ended
        super()._take(frame, events)
        if self.ended and not done:
            self.translated.append((sse.encode(b"[DONE]"), False))

    def _overlong(self, events: list[Event]) -> None:
        super()._overlong(events)
        self._fail_malformed("A frame of the provider's stream is too long to be translated", events)

    def _thin(self) -> bool:
        return False  # each chunk is rendered, so each is read

    def _chunk(self, frame: Frame, chunk: dict[str, object], events: list[Event]) -> None:
        alone = len(self.usage_frames)
        super()._chunk(frame, chunk, events)
        if chunk.get("error") or frame.event == b"error":
            self.translated.append((sse.encode(lenient.render({"error": chunk.get("error") or chunk})), False))
        elif isinstance(chunk.get("choices"), list) or chunk.get("usage") is not None:
            self.translated.append((sse.encode(lenient.render(_chunk(chunk, self.provider))), len(self.usage_frames) > alone))


def _chunk(chunk: dict[str, object], provider: str) -> dict[str, object]:
    return {
        "id": chunk.get("id"),
        "object": "chat.completion.chunk",
        "created": chunk.get("created"),
        "model": chunk.get("model"),
        "choices": [
            {
                "index": choice.get("index", place),
                "finish_reason": choice.get("finish_reason"),
                "delta": _delta(lenient.mapping(choice.get("delta")) or {}),
            }
            for place, choice in enumerate(objects(chunk.get("choices")))
        ],
        "usage": _usage(chunk.get("usage")),
        "provider": provider,
    }


def _delta(delta: dict[str, object]) -> dict[str, object]:
    calls = [
        _with_signature(
            {"index": call.get("index", place), "id": call.get("id"), "type": call.get("type"), "function": _function(call)},
            call,
        )
        for place, call in enumerate(objects(delta.get("tool_calls")))
    ]
    rendered: dict[str, object] = {"role": delta.get("role"), "content": delta.get("content"), "tool_calls": calls or None}
    # MLflow loses a streamed refusal; it is the model's answer, so it is said when there is one.
    if delta.get("refusal") is not None:
        rendered["refusal"] = delta["refusal"]
    return rendered
