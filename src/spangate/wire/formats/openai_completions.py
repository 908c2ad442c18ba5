"""OpenAI's legacy text completions: chat's envelope, usage and errors, with a `text` in each choice where chat has a message.

Reference: https://platform.openai.com/docs/api-reference/completions. Chunks and the plain answer are one shape, cut in pieces.
"""

from . import openai_chat
from .openai_chat import parse_answer, parse_problem, render_model, render_models, render_problem, render_problem_event

__all__ = [
    "NAME",
    "Decoder",
    "decoder",
    "parse_answer",
    "parse_problem",
    "render_model",
    "render_models",
    "render_problem",
    "render_problem_event",
]

NAME: str = "openai.completions"


def decoder(fold_limit: int) -> "Decoder":
    return Decoder(fold_limit)


class Decoder(openai_chat.Decoder):
    """Reads a stream of text_completion."""

    OBJECT = "text_completion"

    def _says(self, choice: dict[str, object]) -> bool:
        return bool(choice.get("text"))

    def _begun(self) -> dict[str, object]:
        return {"text": ""}
