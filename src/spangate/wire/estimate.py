"""Tokens that nobody reported, guessed from the length of what was said. A guess is kept as one (`Provenance.estimated`), never as a fact.

Four characters a token: the makers' own rule of thumb for English (https://platform.openai.com/tokenizer). Other scripts take more tokens.
Pictures, sound and files are not counted, nor is what the provider keeps of earlier turns: the true number is rather higher.
"""

from collections.abc import Mapping
from typing import cast

from . import lenient
from .usage import Usage

CHARACTERS = 4  # a token
LARGEST = 4 << 20  # bytes of a body that is read for this: all the text that any context holds; longer ones are media, and take long

# By the format that the provider was asked in: what of the request is read by the model, what of the plain answer it wrote.
# missing: what costs no tokens (count_tokens, stored responses), and what nobody reads (raw)
PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "openai.chat": (("messages", "tools", "functions", "response_format"), ("choices",)),
    "openai.completions": (("prompt", "suffix"), ("choices",)),
    "openai.responses": (("input", "instructions", "tools", "text"), ("output",)),
    "openai.embeddings": (("input",), ()),
    "anthropic.messages": (("messages", "system", "tools"), ("content",)),
    "gemini.generate": (("contents", "systemInstruction", "system_instruction", "tools"), ("candidates",)),
    "gemini.embeddings": (("content", "requests"), ()),
}
# What stands beside the text: names of things, media, and what only a provider can read.
_NOT_TEXT = frozenset(
    {
        *("id", "type", "role", "object", "model", "status", "index", "call_id", "tool_call_id", "tool_use_id", "item_id"),
        *("finish_reason", "stop_reason", "finishReason", "phase", "detail", "format", "cache_control"),
        *("data", "url", "image_url", "file_data", "file_id", "file_url", "fileUri", "b64_json", "mime_type", "mimeType", "media_type"),
        *("signature", "thought_signature", "thoughtSignature", "encrypted_content", "logprobs", "reasoning_details"),
    }
)


def estimate(format: str, request: bytes, *, produced: int | None = None, answer: bytes | None = None) -> Usage:
    """Input and output, as far as they can be guessed. Known of the answer: the characters that it `produced`, or its body, or nothing."""
    parts = PARTS.get(format)
    if parts is None:
        return Usage()
    asked, said = parts
    if not said:
        output = None
    elif produced is not None:
        output = tokens(produced)
    else:
        output = None if answer is None else _tokens_in(answer, said)
    return Usage(input=_tokens_in(request, asked), output=output)


def tokens(length: int) -> int:
    return -(-length // CHARACTERS)


def _tokens_in(body: bytes, names: tuple[str, ...]) -> int | None:
    if len(body) > LARGEST:
        return None
    try:
        said = lenient.mapping(lenient.parse(body))
        return None if said is None else tokens(sum(characters(said.get(name)) for name in names))
    except (ValueError, RecursionError):
        return None


def characters(value: object) -> int:
    """Of all texts in a JSON value, without media and identifiers."""
    if isinstance(value, str):
        return 0 if value.startswith("data:") else len(value)
    if isinstance(value, list):
        return sum(map(characters, cast("list[object]", value)))
    if isinstance(value, dict):
        named = cast("dict[str, object]", value).items()
        return sum(characters(item) for name, item in named if name not in _NOT_TEXT)
    return 0
