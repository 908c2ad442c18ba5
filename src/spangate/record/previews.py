"""What was said, in a line: the previews that a list of traces shows."""

from collections.abc import Mapping
from typing import cast

from spangate.wire import lenient

LONGEST = 1000  # characters; MLflow's limit

# Parts of a message that are words: Anthropic's and OpenAI's chat, OpenAI's responses.
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal"})


def document(body: bytes) -> object:
    """The JSON value; the text itself where it is none any more, because it was cut."""
    try:
        return lenient.parse(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def of_request(body: bytes, asked: object) -> str:
    """The last words of the user, else the head of the body. `asked` is its `document`."""
    asked = lenient.mapping(asked) or {}
    # openai.chat, anthropic.messages; the others' own name for what they ask
    for said in (asked.get("messages"), asked.get("input"), asked.get("prompt"), _contents(asked)):
        text = _asked(said)
        if text:
            return _cut(text)
    return _cut(_readable(body))


def _contents(asked: Mapping[str, object]) -> object:
    """What Gemini is asked, put as the other formats' messages."""
    inner = lenient.mapping(asked.get("generateContentRequest")) or asked
    batch = [(lenient.mapping(request) or {}).get("content") for request in _list(asked.get("requests"))]
    contents = [lenient.mapping(content) or {} for content in (*_list(inner.get("contents")), *batch, asked.get("content"))]
    return [{"role": content.get("role", "user"), "content": content.get("parts")} for content in contents]


def _asked(said: object) -> str:
    """The last thing in a list that the user said, or a text; a list of texts is all of them."""
    if isinstance(said, str):
        return said
    items = _list(said)
    for item in reversed(items):
        one = lenient.mapping(item)
        if one is not None and one.get("role") == "user":
            text = _text(one.get("content"))
            if text:
                return text
    return "\n".join(item for item in items if isinstance(item, str))


def of_response(body: bytes) -> str:
    """The words of the answer, else the head of the body."""
    answer = lenient.mapping(document(body))
    if answer is not None:
        for choice in map(lenient.mapping, _list(answer.get("choices"))):  # openai.chat, mlflow.chat; openai.completions
            message = lenient.mapping((choice or {}).get("message")) or {}
            text = _text(message.get("content")) or lenient.text(message.get("refusal")) or lenient.text((choice or {}).get("text"))
            if text:
                return _cut(text)
        for candidate in map(lenient.mapping, _list(answer.get("candidates"))):  # gemini.generate
            text = _text((lenient.mapping((candidate or {}).get("content")) or {}).get("parts"))
            if text:
                return _cut(text)
        items = [lenient.mapping(item) or {} for item in _list(answer.get("output"))]  # openai.responses
        text = "\n".join(said for item in items if item.get("type") == "message" and (said := _text(item.get("content"))))
        text = text or _text(answer.get("content"))  # anthropic.messages
        if text:
            return _cut(text)
    return _cut(_readable(body))


def _text(content: object) -> str:
    """Content is text, or parts of which some are text. Gemini's have no type, and thoughts are marked."""
    if isinstance(content, str):
        return content
    parts = [lenient.mapping(part) or {} for part in _list(content)]
    spoken = [part for part in parts if lenient.text(part.get("type", "text")) in _TEXTS and not part.get("thought")]
    texts = (part.get("refusal") if part.get("type") == "refusal" else part.get("text") for part in spoken)
    return "\n".join(text for text in map(lenient.text, texts) if text)


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _cut(text: str) -> str:
    return lenient.mend(text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")


def _readable(body: bytes) -> str:
    return body[: 4 * LONGEST].decode("utf-8", "replace")
