"""OpenAI's chat completions, and what MLflow made of them; older completions; embeddings."""

from collections.abc import Iterator

from spangate.wire import lenient

from .parts import data_url, items, json, mapping, objects, other, prompt, rest, schema, texts
from .words import Asked, Audio, Embeddings, File, Image, Message, Part, Refusal, Text, Thinking, Tool, ToolCall, ToolResult

_KNOWN = frozenset({"messages", "tools", "functions", "model"})
_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "opus": "audio/ogg", "aac": "audio/aac", "pcm16": "audio/pcm"}


def asked(body: dict[str, object]) -> Asked:
    return Asked(
        messages=tuple(map(message, objects(body.get("messages")))),
        tools=tuple(tools(body)),
        parameters=rest(body, _KNOWN),
    )


def answered(body: dict[str, object]) -> tuple[Message, ...]:
    return tuple(
        message(mapping(choice.get("message")), finish_reason=lenient.text(choice.get("finish_reason")))
        for choice in objects(body.get("choices"))
    )


def message(said: dict[str, object], finish_reason: str | None = None) -> Message:
    role = lenient.text(said.get("role")) or "assistant"
    parts = tuple(_parts(said))
    if role in ("tool", "function"):
        name = lenient.text(said.get("name"))
        return Message(role="tool", parts=(ToolResult(lenient.text(said.get("tool_call_id")), parts, name=name),))
    return Message(role=role, parts=parts, name=lenient.text(said.get("name")), finish_reason=finish_reason)


def _parts(said: dict[str, object]) -> Iterator[Part]:
    thought = lenient.text(said.get("reasoning_content")) or lenient.text(said.get("reasoning"))  # DeepSeek and others; OpenRouter
    if thought:
        yield Thinking(thought)
    content = said.get("content")
    if isinstance(content, str):
        if content:
            yield Text(content)
    elif content is not None:
        yield from map(part, items(content))
    if refusal := lenient.text(said.get("refusal")):
        yield Refusal(refusal)
    if audio := lenient.mapping(said.get("audio")):
        # Which of the sounds it is, the request says; the first bytes of most tell a browser.
        yield Audio(data_url("audio/wav", audio.get("data")), lenient.text(audio.get("transcript")))
    for image in objects(said.get("images")):  # OpenRouter's
        yield part(image)
    for call in objects(said.get("tool_calls")):
        function = lenient.mapping(call.get("function")) or mapping(call.get("custom"))
        yield _call(lenient.text(call.get("id")), function)
    if older := lenient.mapping(said.get("function_call")):
        yield _call(None, older)


def part(value: object) -> Part:
    """Of a message's content."""
    if isinstance(value, str):
        return Text(value)
    said = mapping(value)
    match said.get("type"):
        case "text" if isinstance(said.get("text"), str):
            return Text(str(said["text"]))
        case "refusal" if isinstance(said.get("refusal"), str):
            return Refusal(str(said["refusal"]))
        case "thinking" | "reasoning":  # Mistral's and MLflow's
            return Thinking("".join(one.text for one in texts_of(said)))
        case "image_url":
            image = said.get("image_url")
            return Image(lenient.text(image) or lenient.text(mapping(image).get("url")))
        case "input_audio":
            audio = mapping(said.get("input_audio"))
            return Audio(data_url(_SOUNDS.get(str(audio.get("format")), "audio/wav"), audio.get("data")))
        case "file":
            file = mapping(said.get("file"))
            return File(lenient.text(file.get("file_data")) or lenient.text(file.get("file_id")), lenient.text(file.get("filename")))
        case "video_url":  # vLLM's
            return File(lenient.text(mapping(said.get("video_url")).get("url")), media_type="video/*")
        case kind:
            return other(value, kind)


def texts_of(said: dict[str, object]) -> Iterator[Text]:
    """Of a thought, which is a text or a list of parts, under one name or another."""
    for name in ("thinking", "text", "summary"):
        value = said.get(name)
        if isinstance(value, str):
            yield Text(value)
        for one in objects(value):
            if isinstance(one.get("text"), str):
                yield Text(str(one["text"]))


def _call(call_id: str | None, function: dict[str, object]) -> ToolCall:
    arguments = function.get("arguments", function.get("input"))
    return ToolCall(
        call_id,
        lenient.text(function.get("name")) or "",
        arguments if isinstance(arguments, str) else "" if arguments is None else json(arguments),
    )


def tools(body: dict[str, object]) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        kind = lenient.text(tool.get("type")) or "function"
        # Chat has what a tool is in an object of the kind's name; responses have it beside the kind.
        function = lenient.mapping(tool.get(kind)) or tool
        yield Tool(
            name=lenient.text(function.get("name")) or lenient.text(tool.get("server_label")) or kind,
            kind=kind,
            description=lenient.text(function.get("description")),
            parameters=schema(function.get("parameters")),
        )
    for function in objects(body.get("functions")):
        yield Tool(
            name=lenient.text(function.get("name")) or "",
            description=lenient.text(function.get("description")),
            parameters=schema(function.get("parameters")),
        )


# ---------------------------------------------------------------- completions


def completion_asked(body: dict[str, object]) -> Asked:
    return Asked(messages=prompt(body.get("prompt")), parameters=rest(body, {"prompt", "model"}))


def completion_answered(body: dict[str, object]) -> tuple[Message, ...]:
    return tuple(
        Message(role="assistant", parts=texts(choice.get("text")), finish_reason=lenient.text(choice.get("finish_reason")))
        for choice in objects(body.get("choices"))
    )


# ---------------------------------------------------------------- embeddings


def embedding_asked(body: dict[str, object]) -> Asked:
    return Asked(messages=prompt(body.get("input")), parameters=rest(body, {"input", "model"}))


def embedding_answered(body: dict[str, object]) -> tuple[Message, ...]:
    return vectors([entry.get("embedding") for entry in objects(body.get("data"))])


def vectors(found: list[object]) -> tuple[Message, ...]:
    if not found:
        return ()
    return (Message(role="assistant", parts=(Embeddings(len(found), len(items(found[0])) or None),)),)
