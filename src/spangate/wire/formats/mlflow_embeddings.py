"""MLflow's unified embeddings: OpenAI's shape cut to a fixed set of fields. The vectors pass as the bytes that the provider wrote.

No provider speaks it. The relay asks in openai.embeddings and renders here. There is no stream of it.
"""

import msgspec

from spangate.wire import lenient
from spangate.wire.problems import UpstreamProblem

from .mlflow_chat import render_model, render_models
from .openai_embeddings import Decoder, decoder, parse_answer, parse_problem, render_problem, render_problem_event

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

NAME: str = "mlflow.embeddings"


class _Vector(msgspec.Struct):
    embedding: msgspec.Raw  # numbers, or base64 text where the client asked for that
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Vector]
    model: object = None
    usage: object = None


_answer = msgspec.json.Decoder(_Answer)


def render_answer(body: bytes, provider: str) -> bytes:
    """An openai.embeddings answer, normalised. UpstreamProblem if it is none. MLflow names no provider here."""
    try:
        answer = _answer.decode(body)
    except (ValueError, RecursionError) as error:
        raise UpstreamProblem(502, "malformed_answer", "The provider's answer is not a list of embeddings.") from error
    usage = lenient.mapping(answer.usage) or {}
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "embedding": one.embedding, "index": place if one.index is None else one.index}
                for place, one in enumerate(answer.data)
            ],
            "model": answer.model,
            "usage": {"prompt_tokens": usage.get("prompt_tokens"), "total_tokens": usage.get("total_tokens")},
        }
    )
