"""Tokens that nobody reported, guessed from what was said. A guess is kept as one (`Provenance.estimated`), never as a fact.

Text is counted with the model's own tokenizer where there is one here, else by its length: so many characters a token as the model's
reported calls had (`exchange.Calibration`), else four, the makers' own rule of thumb for English (https://platform.openai.com/tokenizer).
Pictures, sound and files are not counted, nor is what the provider keeps of earlier turns: the true number is rather higher.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import msgspec

from . import lenient
from .usage import Usage

CHARACTERS = 4.0  # a token, where nothing better is known
LARGEST = 4 << 20  # bytes of a body that is read for this: all the text that any context holds; longer ones are media, and take long
COUNTED = 32 << 10  # characters that a tokenizer is given, which takes it 2 ms; of longer texts they stand for the rest
# What OpenAI puts around each message, and before its answer: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
AROUND_MESSAGE, BEFORE_ANSWER = 3, 3


class Gauge(msgspec.Struct, frozen=True):
    """How a model's tokens are counted: characters a token, and the tokens of a text by its own tokenizer, if that is here."""

    input: float = CHARACTERS
    output: float = CHARACTERS
    count: Callable[[str], int] | None = None


RULE_OF_THUMB = Gauge()

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


# Of these keys' values no length is known that would tell their tokens.
_MEDIA = frozenset({"image_url", "input_audio", "file", "file_id", "file_data", "inlineData", "inline_data", "fileData", "source", "audio"})


def estimate(
    format: str, request: bytes, gauge: Gauge = RULE_OF_THUMB, *, produced: int | None = None, answer: bytes | None = None
) -> Usage:
    """Input and output, as far as they can be guessed. Known of the answer: the characters that it `produced`, or its body, or nothing."""
    parts = PARTS.get(format)
    if parts is None:
        return Usage()
    asked, said = parts
    if not said:
        output = None
    elif produced is not None:
        output = tokens(produced, gauge.output)
    else:
        output = None if answer is None else _tokens_in(answer, said, gauge.output, gauge.count)
    return Usage(input=_asked(format, request, asked, gauge), output=output)


def tokens(length: int, characters: float = CHARACTERS) -> int:
    return math.ceil(length / characters)


def read_characters(format: str, request: bytes) -> int | None:
    """Of what the model reads of a request, where that is text and nothing else; None: it is not."""
    parts = PARTS.get(format)
    said = None if parts is None else _document(request)
    if parts is None or said is None or _has_media(said):
        return None
    return sum(characters(said.get(name)) for name in parts[0])


def written_characters(format: str, answer: bytes) -> int | None:
    """Of what the model wrote in a plain answer, as `produced` counts them; None: the format has no words in it."""
    parts = PARTS.get(format)
    said = None if parts is None or not parts[1] else _document(answer)
    return None if parts is None or said is None else sum(characters(said.get(name)) for name in parts[1])


def _asked(format: str, request: bytes, names: tuple[str, ...], gauge: Gauge) -> int | None:
    counted = _tokens_in(request, names, gauge.input, gauge.count)
    if counted is None or gauge.count is None or format != "openai.chat":
        return counted  # by length: what stands around messages is in the calibration already
    messages = (_document(request) or {}).get("messages")
    around = len(cast("list[object]", messages)) * AROUND_MESSAGE if isinstance(messages, list) else 0
    return counted + around + BEFORE_ANSWER


def _tokens_in(body: bytes, names: tuple[str, ...], ratio: float, count: Callable[[str], int] | None) -> int | None:
    said = _document(body)
    if said is None:
        return None
    try:
        texts = [text for name in names for text in _texts(said.get(name))]
    except RecursionError:
        return None
    length = sum(map(len, texts))
    if count is None:
        return tokens(length, ratio)
    looked_at, counted = 0, 0
    for text in texts:
        some = text[: COUNTED - looked_at]
        counted += count(some)
        looked_at += len(some)
        if looked_at >= COUNTED:
            break
    return counted if looked_at == length else math.ceil(counted * length / looked_at)


def _document(body: bytes) -> Mapping[str, object] | None:
    if len(body) > LARGEST:
        return None
    try:
        return lenient.mapping(lenient.parse(body))
    except (ValueError, RecursionError):
        return None


def characters(value: object) -> int:
    """Of all texts in a JSON value, without media and identifiers."""
    return sum(map(len, _texts(value)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if not value.startswith("data:"):
            yield value
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            if name not in _NOT_TEXT:
                yield from _texts(item)


def _has_media(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_has_media, cast("list[object]", value)))
    if isinstance(value, dict):
        return any(name in _MEDIA or _has_media(item) for name, item in cast("dict[str, object]", value).items())
    return False
