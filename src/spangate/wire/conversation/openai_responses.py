"""OpenAI's responses: items in, items out. What an earlier response said is not here: only its id is."""

from collections.abc import Iterable, Iterator

from spangate.wire import lenient

from . import openai
from .parts import data_url, items, json, mapping, objects, other, rest
from .words import Asked, File, Image, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult

_KNOWN = frozenset({"input", "instructions", "tools", "model"})


def asked(body: dict[str, object]) -> Asked:
    instructions = body.get("instructions")
    first = [Message(role="system", parts=(Text(instructions),))] if isinstance(instructions, str) and instructions else []
    given = body.get("input")
    said: list[dict[str, object]] = [{"role": "user", "content": given}] if isinstance(given, str) else objects(given)
    return Asked(messages=(*first, *_messages(said)), tools=tuple(openai.tools(body)), parameters=rest(body, _KNOWN))


def answered(body: dict[str, object]) -> tuple[Message, ...]:
    """All items of an answer are one message: that is how they were said."""
    parts = [part for message in _messages(objects(body.get("output"))) for part in message.parts]
    if not parts:
        return ()
    reason = lenient.text(mapping(body.get("incomplete_details")).get("reason")) or lenient.text(body.get("status"))
    return (Message(role="assistant", parts=tuple(parts), finish_reason=reason),)


def stored(body: dict[str, object]) -> tuple[Message, ...]:
    """What a call about a response is told: the response, or a list of what it was asked, the newest first."""
    if body.get("object") == "list":
        return tuple(_messages(reversed(objects(body.get("data")))))
    return answered(body)


def _messages(said: Iterable[dict[str, object]]) -> Iterator[Message]:
    for item in said:
        kind = lenient.text(item.get("type")) or "message"
        match kind:
            case "message":
                yield Message(role=lenient.text(item.get("role")) or "assistant", parts=tuple(_content(item.get("content"))))
            case "reasoning":
                texts = [*openai.texts_of({"text": item.get("content")}), *openai.texts_of({"summary": item.get("summary")})]
                yield Message(role="assistant", parts=(Thinking("\n\n".join(one.text for one in texts)),))
            case "function_call" | "custom_tool_call":
                yield Message(role="assistant", parts=(_call(item),))
            case "image_generation_call":
                yield Message(role="assistant", parts=(Image(data_url("image/png", item.get("result")), "image/png"),))
            case _ if kind.endswith("_output"):
                result = ToolResult(lenient.text(item.get("call_id")), tuple(_content(item.get("output"))))
                yield Message(role="tool", parts=(result,))
            case _ if kind.endswith("_call"):  # the provider's own: web_search_call, mcp_call, …
                arguments = {name: value for name, value in item.items() if name not in ("type", "id", "status")}
                yield Message(role="assistant", parts=(ToolCall(lenient.text(item.get("id")), kind, json(arguments)),))
            case _:
                yield Message(role="assistant", parts=(other(item, kind),))


def _call(item: dict[str, object]) -> ToolCall:
    arguments = item.get("arguments", item.get("input"))
    return ToolCall(
        lenient.text(item.get("call_id")) or lenient.text(item.get("id")),
        lenient.text(item.get("name")) or "",
        arguments if isinstance(arguments, str) else json(arguments),
    )


def _content(value: object) -> Iterator[Part]:
    if isinstance(value, str):
        yield Text(value)
    for entry in items(value):
        said = mapping(entry)
        match said.get("type"):
            case "input_text" | "output_text" | "summary_text" | "reasoning_text" if isinstance(said.get("text"), str):
                yield Text(str(said["text"]))
            case "refusal" if isinstance(said.get("refusal"), str):
                yield Refusal(str(said["refusal"]))
            case "input_image":
                yield Image(lenient.text(said.get("image_url")) or lenient.text(said.get("file_id")))
            case "input_file":
                where = lenient.text(said.get("file_data")) or lenient.text(said.get("file_url")) or lenient.text(said.get("file_id"))
                yield File(where, lenient.text(said.get("filename")))
            case _:
                yield openai.part(entry)  # chat's own parts are taken too
