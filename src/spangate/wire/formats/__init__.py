"""The formats that clients and providers speak, by name."""

from collections.abc import Mapping

from . import anthropic_messages, mlflow_chat, openai_chat
from .protocol import Decoder, Format

__all__ = ["FORMATS", "Decoder", "Format"]

# missing: openai.responses, openai.completions, openai.embeddings, gemini.generate, cohere.chat, bedrock.converse
FORMATS: Mapping[str, Format] = {
    openai_chat.NAME: openai_chat,
    anthropic_messages.NAME: anthropic_messages,
    mlflow_chat.NAME: mlflow_chat,
}
