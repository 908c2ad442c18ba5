"""Anthropic's count of what a request would take. No model runs and nothing is billed: the number is an answer, never usage.

Reference: https://docs.anthropic.com/en/api/messages-count-tokens
"""

from spangate.wire import lenient
from spangate.wire.events import Event

from . import anthropic_messages, unstreamed
from .anthropic_messages import parse_problem, render_model, render_models, render_problem, render_problem_event
from .decoding import NO_OBJECT

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

NAME: str = "anthropic.count_tokens"


def parse_answer(body: bytes) -> list[Event]:
    answer = lenient.document(body)
    if answer is None:
        return [NO_OBJECT]
    if answer.get("type") == "error" or answer.get("error"):
        return anthropic_messages.parse_answer(body)
    return []


def decoder(fold_limit: int) -> unstreamed.Decoder:
    return unstreamed.Decoder(fold_limit, parse_answer)
