"""The formats that clients and providers speak, by name."""

from collections.abc import Callable, Mapping

from . import (
    anthropic_count_tokens,
    anthropic_messages,
    gemini_count_tokens,
    gemini_embeddings,
    gemini_generate,
    mlflow_chat,
    mlflow_embeddings,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
    openai_stored,
    raw,
)
from .protocol import Decoder, Format

__all__ = ["FORMATS", "RENDERERS", "Decoder", "Format"]

# missing: cohere.chat, bedrock.converse
FORMATS: Mapping[str, Format] = {
    openai_chat.NAME: openai_chat,
    openai_completions.NAME: openai_completions,
    openai_embeddings.NAME: openai_embeddings,
    openai_responses.NAME: openai_responses,
    openai_stored.NAME: openai_stored,
    anthropic_messages.NAME: anthropic_messages,
    anthropic_count_tokens.NAME: anthropic_count_tokens,
    gemini_generate.NAME: gemini_generate,
    gemini_embeddings.NAME: gemini_embeddings,
    gemini_count_tokens.NAME: gemini_count_tokens,
    mlflow_chat.NAME: mlflow_chat,
    mlflow_embeddings.NAME: mlflow_embeddings,
    raw.NAME: raw,
}

# Formats that no provider speaks: how a provider's plain answer, in the format that they are asked in, becomes theirs.
RENDERERS: Mapping[str, Callable[[bytes, str], bytes]] = {
    mlflow_chat.NAME: mlflow_chat.render_answer,
    mlflow_embeddings.NAME: mlflow_embeddings.render_answer,
}
