"""A request and its answer, read as a conversation that a person can follow, whichever format they are in.

Nothing here raises for what was sent: what cannot be read is said to be missing, and the rest is shown.
"""

from collections.abc import Callable, Iterable, Mapping

from spangate.wire import cut, lenient
from spangate.wire.events import Event, Failed
from spangate.wire.formats import FORMATS

from . import anthropic, gemini, openai, openai_responses
from .parts import objects
from .words import Asked, Conversation, Message

__all__ = ["Conversation", "conversation"]

FOLD = 4 << 20  # bytes of a stream that was kept as it came

Reader = tuple[Callable[[dict[str, object]], Asked], Callable[[dict[str, object]], tuple[Message, ...]]]

# missing: raw. Nobody knows what passes there.
READERS: Mapping[str, Reader] = {
    "openai.chat": (openai.asked, openai.answered),
    "openai.completions": (openai.completion_asked, openai.completion_answered),
    "openai.embeddings": (openai.embedding_asked, openai.embedding_answered),
    "openai.responses": (openai_responses.asked, openai_responses.answered),
    "openai.responses.stored": (openai_responses.asked, openai_responses.stored),
    "anthropic.messages": (anthropic.asked, anthropic.answered),
    "anthropic.count_tokens": (anthropic.asked, anthropic.counted),
    "gemini.generate": (gemini.asked, gemini.answered),
    "gemini.embeddings": (gemini.embedding_asked, gemini.embedding_answered),
    "gemini.count_tokens": (gemini.asked, anthropic.counted),
    "mlflow.chat": (openai.asked, openai.answered),
    "mlflow.embeddings": (openai.embedding_asked, openai.embedding_answered),
}


def conversation(format: str, request: bytes | None, answer: bytes | None) -> Conversation | str:
    """The text says why there is none. None: it was not kept, or never there."""
    reader = READERS.get(format)
    if reader is None:
        return f"What is said in the format {format} is not read here."
    if not request and not answer:
        return "Nothing of what was said is here."
    read_request, read_answer = reader
    missing: list[str] = []
    asked, answers, error = Asked(), tuple[Message, ...](), None
    if request:
        try:
            asked = read_request(_document(request, "request", missing))
        except (_Unreadable, RecursionError) as fault:
            missing.append(f"The request is not shown: {_why(fault)}.")
    if answer:
        try:
            plain, events = _plain(format, answer)
            body = _document(plain, "answer", missing)
            answers = read_answer(body)
            error = _error([*events, *FORMATS[format].parse_answer(lenient.render(body))])
        except (_Unreadable, RecursionError) as fault:
            missing.append(f"The answer is not shown: {_why(fault)}.")
    if missing and not (asked.messages or answers or error):
        return " ".join(missing)
    return Conversation(
        messages=asked.messages, answers=answers, tools=asked.tools, parameters=asked.parameters, error=error, missing=tuple(missing)
    )


class _Unreadable(Exception):
    """Why what was kept is no document. Never leaves this module."""


def _why(fault: Exception) -> str:
    return str(fault) if isinstance(fault, _Unreadable) else "it is nested too deep"


def _document(body: bytes, what: str, missing: list[str]) -> dict[str, object]:
    if (found := lenient.document(body)) is not None:
        return found
    try:
        first, *_ = objects(lenient.parse(body))  # Gemini's errors, where a stream was asked for
        return first
    except (ValueError, RecursionError):
        pass
    if body.lstrip().startswith(b"{") and (found := lenient.document(cut.closed(body))) is not None:
        missing.append(f"The end of the {what} is not here.")
        return found
    raise _Unreadable("it is not a JSON object")


def _plain(format: str, answer: bytes) -> tuple[bytes, list[Event]]:
    """The plain answer, also where the stream itself was kept."""
    if answer.lstrip().startswith(b"{"):
        return answer, []
    decoder = FORMATS[format].decoder(FOLD)
    events = [*decoder.feed(answer), *decoder.close()]
    folded = decoder.answer()
    return (answer, []) if folded is None else (folded[0], events)


def _error(events: Iterable[Event]) -> str | None:
    """What the provider said went wrong."""
    return next((f"{event.kind}: {event.message}" for event in events if isinstance(event, Failed)), None)
