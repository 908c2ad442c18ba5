"""Gemini's count of what a request would take. No model runs and nothing is billed: the number is an answer, never usage.

Reference: https://ai.google.dev/api/tokens
"""

from spangate.wire import lenient
from spangate.wire.events import Event

from . import gemini_generate, unstreamed
from .decoding import NO_OBJECT
from .gemini_generate import parse_problem, render_model, render_models, render_problem, render_problem_event

__all__ = [
    "NAME",
    "decoder",
    "parse_answer",
    "parse_problem",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "gemini.count_tokens"


def parse_answer(body: bytes) -> list[Event]:
    answer = lenient.document(body)
    if answer is None:
        return [NO_OBJECT]
    return [gemini_generate.failure(answer)] if answer.get("error") else []


def decoder(fold_limit: int) -> unstreamed.Decoder:
    return unstreamed.Decoder(fold_limit, parse_answer)
