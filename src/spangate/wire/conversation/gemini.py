"""Gemini: contents with parts, in either of the two spellings that Google takes. Thoughts are texts that say so."""

from collections.abc import Iterator

from spangate.wire import lenient

from . import openai
from .parts import data_url, items, json, mapping, objects, other, rest, schema
from .words import Asked, Audio, File, Image, Message, Part, Text, Thinking, Tool, ToolCall, ToolResult

_KNOWN = frozenset({"contents", "systemInstruction", "system_instruction", "tools", "generationConfig", "generation_config", "model"})
_ROLES = {"model": "assistant", "function": "tool"}


def asked(body: dict[str, object]) -> Asked:
    body = lenient.mapping(body.get("generateContentRequest")) or body  # of what is to be counted
    system = _either(body, "systemInstruction", "system_instruction")
    first = [Message(role="system", parts=tuple(_parts(mapping(system).get("parts"))))] if system else []
    settings = mapping(_either(body, "generationConfig", "generation_config"))
    return Asked(
        messages=(*first, *(_message(content, "user") for content in objects(body.get("contents")))),
        tools=tuple(_tools(body)),
        parameters=rest(settings | body, _KNOWN),
    )


def answered(body: dict[str, object]) -> tuple[Message, ...]:
    if blocked := lenient.text(mapping(body.get("promptFeedback")).get("blockReason")):
        return (Message(role="assistant", parts=(), finish_reason=blocked),)
    return tuple(
        _message(mapping(candidate.get("content")), "model", lenient.text(candidate.get("finishReason")))
        for candidate in objects(body.get("candidates"))
    )


def embedding_asked(body: dict[str, object]) -> Asked:
    requests = objects(body.get("requests")) or [body]
    said = [_message(mapping(request.get("content")), "user") for request in requests]
    return Asked(messages=tuple(message for message in said if message.parts), parameters=rest(body, {"requests", "content", "model"}))


def embedding_answered(body: dict[str, object]) -> tuple[Message, ...]:
    one = lenient.mapping(body.get("embedding"))
    return openai.vectors([entry.get("values") for entry in ([one] if one else objects(body.get("embeddings")))])


def _message(content: dict[str, object], role: str, finish_reason: str | None = None) -> Message:
    role = lenient.text(content.get("role")) or role
    return Message(role=_ROLES.get(role, role), parts=tuple(_parts(content.get("parts"))), finish_reason=finish_reason)


def _parts(value: object) -> Iterator[Part]:
    return map(_part, items(value))


def _part(value: object) -> Part:
    said = mapping(value)
    if isinstance(said.get("text"), str):
        return Thinking(str(said["text"])) if said.get("thought") is True else Text(str(said["text"]))
    for camel, snake, read in _KINDS:
        found = lenient.mapping(_either(said, camel, snake))
        if found is not None:
            return read(found)
    return other(value, next(iter(said), None))


def _inline(blob: dict[str, object]) -> Part:
    kind = _either(blob, "mimeType", "mime_type")
    return _media(data_url(kind, blob.get("data")), lenient.text(kind))


def _linked(file: dict[str, object]) -> Part:
    where = lenient.text(_either(file, "fileUri", "file_uri"))
    return _media(where, lenient.text(_either(file, "mimeType", "mime_type")))


def _media(url: str | None, kind: str | None) -> Part:
    match (kind or "").partition("/")[0]:
        case "image":
            return Image(url, kind)
        case "audio":
            return Audio(url)
        case _:
            return File(url, media_type=kind)


def _call(call: dict[str, object]) -> Part:
    return ToolCall(lenient.text(call.get("id")), lenient.text(call.get("name")) or "", json(mapping(call.get("args"))))


def _result(result: dict[str, object]) -> Part:
    said = mapping(result.get("response"))
    parts = (Text(json(said)),) if said else ()
    return ToolResult(lenient.text(result.get("id")), parts, name=lenient.text(result.get("name")), failed="error" in said)


def _code(code: dict[str, object]) -> Part:
    return ToolCall(lenient.text(code.get("id")), "code_execution", json(code))


def _ran(result: dict[str, object]) -> Part:
    outcome = lenient.text(result.get("outcome"))
    parts = (Text(lenient.text(result.get("output")) or ""),)
    return ToolResult(lenient.text(result.get("id")), parts, name="code_execution", failed=outcome not in (None, "OUTCOME_OK"))


_KINDS = (
    ("inlineData", "inline_data", _inline),
    ("fileData", "file_data", _linked),
    ("functionCall", "function_call", _call),
    ("functionResponse", "function_response", _result),
    ("executableCode", "executable_code", _code),
    ("codeExecutionResult", "code_execution_result", _ran),
)


def _tools(body: dict[str, object]) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        for kind, value in tool.items():
            if kind not in ("functionDeclarations", "function_declarations"):
                yield Tool(name=kind, kind=kind, parameters=schema(value or None))
                continue
            for function in objects(value):
                yield Tool(
                    name=lenient.text(function.get("name")) or "",
                    description=lenient.text(function.get("description")),
                    parameters=schema(function.get("parameters", function.get("parametersJsonSchema"))),
                )


def _either(said: dict[str, object], camel: str, snake: str) -> object:
    return said.get(camel, said.get(snake))
