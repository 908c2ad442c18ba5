"""Requests and answers as they went over the wire, or as a stream's fold, in the formats of the clients."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..wire.usage import Usage

Turn = tuple[str, str]  # what the user asked, what the model answered
Request = Callable[[str, str, Sequence[Turn], str, bool], dict[str, Any]]  # of model, prompt, turns before, what is asked, stream
Answer = Callable[[str, str, str, str | None, Usage], dict[str, Any]]  # of model, id, text, why it stopped, usage

encoded = msgspec.json.Encoder().encode


def _openai(model: str, prompt: str, turns: Sequence[Turn], asked: str, stream: bool) -> dict[str, Any]:
    messages = [{"role": "system", "content": prompt}]
    for user, assistant in turns:
        messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    body = {"model": model, "messages": [*messages, {"role": "user", "content": asked}], "temperature": 0.2, "max_tokens": 1024}
    return body | {"stream": True, "stream_options": {"include_usage": True}} if stream else body


def _openai_answer(model: str, id: str, text: str, stop: str | None, usage: Usage) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    counted = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    choice = {"index": 0, "message": message, "finish_reason": stop}
    return {"id": id, "object": "chat.completion", "model": model, "choices": [choice], "usage": counted}


def _anthropic(model: str, prompt: str, turns: Sequence[Turn], asked: str, stream: bool) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for user, assistant in turns:
        messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    messages.append({"role": "user", "content": [{"type": "text", "text": asked}]})
    system = [{"type": "text", "text": prompt, "cache_control": {"type": "ephemeral"}}]
    body = {"model": model, "max_tokens": 1024, "system": system, "messages": messages}
    return body | {"stream": True} if stream else body


def _anthropic_answer(model: str, id: str, text: str, stop: str | None, usage: Usage) -> dict[str, Any]:
    written, read = usage.cache_write or 0, usage.cache_read or 0
    counted = {
        "input_tokens": (usage.input or 0) - written - read,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output,
    }
    said = [{"type": "text", "text": text}]
    return {"id": id, "type": "message", "role": "assistant", "model": model, "content": said, "stop_reason": stop, "usage": counted}


def _gemini(model: str, prompt: str, turns: Sequence[Turn], asked: str, stream: bool) -> dict[str, Any]:
    contents: list[dict[str, Any]] = []
    for user, answer in turns:
        contents += [{"role": "user", "parts": [{"text": user}]}, {"role": "model", "parts": [{"text": answer}]}]
    contents.append({"role": "user", "parts": [{"text": asked}]})
    return {"systemInstruction": {"parts": [{"text": prompt}]}, "contents": contents, "generationConfig": {"maxOutputTokens": 1024}}


def _gemini_answer(model: str, id: str, text: str, stop: str | None, usage: Usage) -> dict[str, Any]:
    thoughts = usage.reasoning or 0
    counted = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": (usage.output or 0) - thoughts,
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": usage.cache_read,
        "totalTokenCount": usage.total,
    }
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": stop, "index": 0}
    return {"candidates": [candidate], "usageMetadata": counted, "modelVersion": model, "responseId": id}


def _embedded(model: str, prompt: str, turns: Sequence[Turn], asked: str, stream: bool) -> dict[str, Any]:
    return {"model": model, "input": [asked], "encoding_format": "base64"}


def _embedding(model: str, id: str, text: str, stop: str | None, usage: Usage) -> dict[str, Any]:
    data = [{"object": "embedding", "index": 0, "embedding": "k+KqvGwm7DwfC5A8xPSWu9Jz"}]
    return {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": usage.input, "total_tokens": usage.input}}


REQUESTS: dict[str, Request] = {
    "openai.chat": _openai,
    "anthropic.messages": _anthropic,
    "gemini.generate": _gemini,
    "openai.embeddings": _embedded,
}
ANSWERS: dict[str, Answer] = {
    "openai.chat": _openai_answer,
    "anthropic.messages": _anthropic_answer,
    "gemini.generate": _gemini_answer,
    "openai.embeddings": _embedding,
}
STOPS = {"openai.chat": "stop", "anthropic.messages": "end_turn", "gemini.generate": "STOP"}
