"""Anthropic's messages. Results of tools come in messages of the user, and stay there."""

from collections.abc import Iterator

from spangate.wire import lenient

from .parts import data_url, items, json, mapping, objects, other, rest, schema
from .words import Asked, File, Image, Message, Part, Text, Thinking, Tool, ToolCall, ToolResult

_KNOWN = frozenset({"messages", "system", "tools", "model"})


def asked(body: dict[str, object]) -> Asked:
    system = tuple(_parts(body.get("system")))
    first = [Message(role="system", parts=system)] if system else []
    said = [
        Message(role=lenient.text(message.get("role")) or "user", parts=tuple(_parts(message.get("content"))))
        for message in objects(body.get("messages"))
    ]
    return Asked(messages=(*first, *said), tools=tuple(_tools(body)), parameters=rest(body, _KNOWN))


def answered(body: dict[str, object]) -> tuple[Message, ...]:
    parts = tuple(_parts(body.get("content")))
    reason = lenient.text(body.get("stop_reason"))
    return (Message(role="assistant", parts=parts, finish_reason=reason),) if parts or reason else ()


def counted(body: dict[str, object]) -> tuple[Message, ...]:
    """What counting tokens, with whichever provider, is answered with."""
    return (Message(role="assistant", parts=(other(body, "count"),)),) if body else ()


def _parts(content: object) -> Iterator[Part]:
    if isinstance(content, str) and content:
        yield Text(content)
    for block in items(content):
        said = mapping(block)
        kind = lenient.text(said.get("type")) or ""
        if kind.endswith("tool_result"):  # of the provider's own tools too, which have one object for their content
            content = said.get("content")
            parts = map(_part, [content] if lenient.mapping(content) else items(content))
            inside = (Text(content),) if isinstance(content, str) else tuple(parts)
            yield ToolResult(lenient.text(said.get("tool_use_id")), inside, failed=said.get("is_error") is True)
        else:
            yield _part(block)


def _part(block: object) -> Part:
    said = mapping(block)
    match said.get("type"):
        case "text" | None if isinstance(said.get("text"), str):
            return Text(str(said["text"]))
        case "thinking":
            return Thinking(lenient.text(said.get("thinking")) or "")
        case "redacted_thinking":
            return Thinking("")
        case "image":
            source = mapping(said.get("source"))
            return Image(_where(source), lenient.text(source.get("media_type")))
        case "document":
            source = mapping(said.get("source"))
            return File(_where(source), lenient.text(said.get("title")), lenient.text(source.get("media_type")))
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return ToolCall(lenient.text(said.get("id")), lenient.text(said.get("name")) or "", _input(said.get("input")))
        case kind:
            return other(block, kind)


def _input(value: object) -> str:
    return value if isinstance(value, str) else json({} if value is None else value)


def _where(source: dict[str, object]) -> str | None:
    match source.get("type"):
        case "base64":
            return data_url(source.get("media_type"), source.get("data"))
        case "text":
            return f"data:text/plain;charset=utf-8,{_escaped(str(source.get('data')))}"
        case _:
            return lenient.text(source.get("url")) or lenient.text(source.get("file_id"))


def _escaped(text: str) -> str:
    """For a URL: every byte but letters and digits."""
    return "".join(chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02X}" for byte in lenient.mend(text).encode())


def _tools(body: dict[str, object]) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        kind = lenient.text(tool.get("type")) or "custom"
        yield Tool(
            name=lenient.text(tool.get("name")) or kind,
            kind="function" if kind == "custom" else kind,
            description=lenient.text(tool.get("description")),
            parameters=schema(tool.get("input_schema")),
        )
