"""What was said, out of every format, whole, streamed or cut."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spangate.wire.conversation import READERS, Conversation, conversation
from spangate.wire.conversation.words import (
    Audio,
    Embeddings,
    File,
    Image,
    Message,
    Other,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from spangate.wire.formats import FORMATS

RECORDINGS = Path(__file__).parents[2] / "contract" / "recordings"
PNG = "data:image/png;base64,iVBORw0KGgo="


def read(format: str, request: Any = None, answer: Any = None) -> Conversation:
    found = conversation(format, *(None if said is None else json.dumps(said).encode() for said in (request, answer)))
    assert isinstance(found, Conversation), found
    return found


def messages(format: str, request: Any) -> tuple[Message, ...]:
    return read(format, request).messages


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def assistant(*parts: Part, finish_reason: str | None = None) -> Message:
    return Message(role="assistant", parts=parts, finish_reason=finish_reason)


def test_every_format_is_read_but_what_nobody_can_read() -> None:
    assert READERS.keys() == FORMATS.keys() - {"raw"}
    assert conversation("raw", b"{}", b"{}") == "What is said in the format raw is not read here."


# ---------------------------------------------------------------- OpenAI's chat


def test_openai_chat_is_asked() -> None:
    found = read(
        "openai.chat",
        {
            "model": "chat",
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "name": "ann",
                    "content": [
                        "plain",
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": PNG}},
                        {"type": "image_url", "image_url": "https://example.com/a.png"},
                        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
                        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
                        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
                        {"type": "reasoning", "summary": [{"text": "Hmm."}, {"text": "Ah."}]},
                        {"type": "thinking", "thinking": "So."},
                        {"type": "refusal", "refusal": "No."},
                        {"type": "sticker", "n": 1},
                        7,
                    ],
                },
                {
                    "role": "assistant",
                    "content": "",
                    "reasoning_content": "Look.",
                    "refusal": "No.",
                    "audio": {"data": "AA==", "transcript": "No!"},
                    "images": [{"type": "image_url", "image_url": {"url": PNG}}],
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1'}},
                        {"id": "c2", "type": "custom", "custom": {"name": "write", "input": "words"}},
                        {"type": "function", "function": {"arguments": {"x": 1}}},
                    ],
                },
                {"role": "assistant", "function_call": {"name": "older"}},
                {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "A cat."}]},
                {"role": "function", "name": "older", "content": "42"},
                "no message",
            ],
            "tools": [
                {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}},
                {"type": "web_search"},
            ],
            "functions": [{"name": "older", "parameters": {}}],
            "temperature": 0.5,
            "stop": None,
        },
    )
    assert found.messages == (
        Message(role="developer", parts=(Text("Be brief."),)),
        Message(
            role="user",
            name="ann",
            parts=(
                Text("plain"),
                Text("What is it?"),
                Image(PNG),
                Image("https://example.com/a.png"),
                Audio("data:audio/mpeg;base64,AA=="),
                File("data:application/pdf;base64,AA==", "a.pdf"),
                File("https://example.com/a.mp4", media_type="video/*"),
                Thinking("Hmm.Ah."),
                Thinking("So."),
                Refusal("No."),
                Other("sticker", '{"type":"sticker","n":1}'),
                Other("unknown", "7"),
            ),
        ),
        assistant(
            Thinking("Look."),
            Refusal("No."),
            Audio("data:audio/wav;base64,AA==", "No!"),
            Image(PNG),
            ToolCall("c1", "look", '{"at": 1'),
            ToolCall("c2", "write", "words"),
            ToolCall(None, "", '{"x":1}'),
        ),
        assistant(ToolCall(None, "older", "")),
        Message(role="tool", parts=(ToolResult("c1", (Text("A cat."),)),)),
        Message(role="tool", parts=(ToolResult(None, (Text("42"),), name="older"),)),
    )
    assert found.tools == (
        Tool(name="look", description="Looks.", parameters='{"type":"object"}'),
        Tool(name="web_search", kind="web_search"),
        Tool(name="older", parameters="{}"),
    )
    assert found.parameters == {"temperature": "0.5"}


@pytest.mark.parametrize("format", ["openai.chat", "mlflow.chat"])
def test_openai_chat_answers(format: str) -> None:
    answer = {
        "choices": [
            {"message": {"role": "assistant", "content": "A", "reasoning": "Hm."}, "finish_reason": "stop"},
            {"message": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "B"}]}},
        ]
    }
    assert read(format, None, answer).answers == (
        assistant(Thinking("Hm."), Text("A"), finish_reason="stop"),
        assistant(Thinking("Hm."), Text("B")),
    )


def test_completions() -> None:
    found = read("openai.completions", {"prompt": ["Once", [1, 2]], "n": 2}, {"choices": [{"text": " upon", "finish_reason": "length"}]})
    assert found.messages == (user(Text("Once"), Other("unknown", "[1,2]")),)
    assert (found.answers, found.parameters) == ((assistant(Text(" upon"), finish_reason="length"),), {"n": "2"})
    assert messages("openai.completions", {"prompt": "Once"}) == (user(Text("Once")),)


# ---------------------------------------------------------------- OpenAI's responses


def test_responses_are_asked() -> None:
    found = read(
        "openai.responses",
        {
            "instructions": "Be brief.",
            "previous_response_id": "r-0",
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What?"},
                        {"type": "input_image", "image_url": PNG},
                        {"type": "input_file", "file_url": "https://example.com/a.pdf", "filename": "a.pdf"},
                        {"type": "text", "text": "chat's"},
                    ],
                },
                {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "A"}],
                    "content": [{"type": "reasoning_text", "text": "B"}],
                },
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "42"},
                {"type": "custom_tool_call", "id": "i", "name": "g", "input": "words"},
                {"type": "computer_call_output", "call_id": "d", "output": [{"type": "input_image", "file_id": "file-1"}]},
                {"type": "item_reference", "id": "x"},
            ],
            "tools": [{"type": "function", "name": "f", "parameters": {"a": 1}}, {"type": "mcp", "server_label": "wiki"}],
        },
    )
    assert found.messages == (
        Message(role="system", parts=(Text("Be brief."),)),
        user(Text("What?"), Image(PNG), File("https://example.com/a.pdf", "a.pdf"), Text("chat's")),
        assistant(Refusal("No.")),
        assistant(Thinking("B\n\nA")),
        assistant(ToolCall("c", "f", "{}")),
        Message(role="tool", parts=(ToolResult("c", (Text("42"),)),)),
        assistant(ToolCall("i", "g", "words")),
        Message(role="tool", parts=(ToolResult("d", (Image("file-1"),)),)),
        assistant(Other("item_reference", '{"type":"item_reference","id":"x"}')),
    )
    assert found.tools == (Tool(name="f", parameters='{"a":1}'), Tool(name="wiki", kind="mcp"))
    assert found.parameters == {"previous_response_id": '"r-0"'}
    assert messages("openai.responses", {"input": "Hi"}) == (user(Text("Hi")),)


def test_responses_answer() -> None:
    answer = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"query": "cats"}},
            {"type": "image_generation_call", "result": "iVBORw0KGgo="},
            {"type": "function_call", "id": "i", "name": "f", "arguments": {"a": 1}},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Cats."}]},
        ],
    }
    said = assistant(
        ToolCall("ws", "web_search_call", '{"action":{"query":"cats"}}'),
        Image(PNG, "image/png"),
        ToolCall("i", "f", '{"a":1}'),
        Text("Cats."),
        finish_reason="max_output_tokens",
    )
    assert read("openai.responses", None, answer).answers == (said,)
    assert read("openai.responses.stored", None, answer).answers == (said,)
    assert read("openai.responses", None, {"status": "queued", "output": []}).answers == ()


def test_what_a_stored_response_was_asked_comes_the_oldest_first() -> None:
    items = {"object": "list", "data": [{"role": "user", "content": "B"}, {"role": "user", "content": "A"}]}
    assert read("openai.responses.stored", None, items).answers == (user(Text("A")), user(Text("B")))


# ---------------------------------------------------------------- Anthropic


def test_anthropic_messages_are_asked() -> None:
    request = {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "max_tokens": 10,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                    {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "a é"}},
                    {"type": "document", "source": {"type": "file", "file_id": "file-1"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "redacted_thinking", "data": "x"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
                    {"type": "server_tool_use", "id": "s", "name": "web_search"},
                    {"type": "mcp_tool_use", "id": "m", "name": "g", "input": '{"cut'},
                    {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "web_search_tool_result_error"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": "Broken."},
                    {"type": "tool_result", "tool_use_id": "m", "content": [{"type": "text", "text": "42"}, {"type": "tool_result"}]},
                    {"type": "tool_result", "tool_use_id": "n"},
                    "odd",
                ],
            },
            {"role": "user", "content": "Well?"},
            {"role": "user", "content": ""},
        ],
        "tools": [
            {"name": "f", "description": "F.", "input_schema": {"type": "object"}},
            {"type": "custom", "name": "g", "input_schema": {}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
    }
    for format in ("anthropic.messages", "anthropic.count_tokens"):
        found = read(format, request)
        assert found.messages == (
            Message(role="system", parts=(Text("Be brief."),)),
            user(
                Text("What?"),
                Image(PNG, "image/png"),
                Image("https://example.com/a.png"),
                File("data:text/plain;charset=utf-8,a%20%C3%A9", "T", "text/plain"),
                File("file-1"),
            ),
            assistant(
                Thinking("Hm."),
                Thinking(""),
                ToolCall("t", "f", '{"a":1}'),
                ToolCall("s", "web_search", "{}"),
                ToolCall("m", "g", '{"cut'),
                ToolResult("s", (Other("web_search_tool_result_error", '{"type":"web_search_tool_result_error"}'),)),
            ),
            user(
                ToolResult("t", (Text("Broken."),), failed=True),
                ToolResult("m", (Text("42"), Other("tool_result", '{"type":"tool_result"}'))),
                ToolResult("n", ()),
                Other("unknown", '"odd"'),
            ),
            user(Text("Well?")),
            user(),
        )
        assert found.tools == (
            Tool(name="f", description="F.", parameters='{"type":"object"}'),
            Tool(name="g", parameters="{}"),
            Tool(name="web_search", kind="web_search_20250305"),
        )
        assert found.parameters == {"max_tokens": "10"}
    assert messages("anthropic.messages", {"system": "S", "messages": []}) == (Message(role="system", parts=(Text("S"),)),)


def test_anthropic_messages_answer() -> None:
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Cats."}], "stop_reason": "end_turn"}
    assert read("anthropic.messages", None, answer).answers == (assistant(Text("Cats."), finish_reason="end_turn"),)
    assert read("anthropic.messages", None, {"content": []}).answers == ()


@pytest.mark.parametrize("format", ["anthropic.count_tokens", "gemini.count_tokens"])
def test_counts_of_tokens_are_shown_as_they_are(format: str) -> None:
    assert read(format, None, {"n": 3}).answers == (assistant(Other("count", '{"n":3}')),)
    assert read(format, None, {}).answers == ()


# ---------------------------------------------------------------- Gemini


def test_gemini_is_asked_in_either_spelling() -> None:
    camel = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "parts": [
                    {"text": "What?"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
                    {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
                    {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://a.mp4"}},
                ]
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}},
                    {"executableCode": {"language": "PYTHON", "code": "1"}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "!"}},
                ],
            },
            {"role": "function", "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"error": "none"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "g", "response": {}}}, {"new": 1}, {}, "odd"]},
        ],
        "generationConfig": {"temperature": 0},
        "safetySettings": [],
        "tools": [
            {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}, {"parametersJsonSchema": {}}]},
            {"googleSearch": {}},
        ],
    }
    expected = (
        Message(role="system", parts=(Text("Be brief."),)),
        user(Text("What?"), Image(PNG, "image/png"), Audio("data:audio/wav;base64,AA=="), File("gs://a.mp4", media_type="video/mp4")),
        assistant(
            Thinking("Hm."),
            ToolCall("c", "f", '{"a":1}'),
            ToolCall(None, "code_execution", '{"language":"PYTHON","code":"1"}'),
            ToolResult(None, (Text("!"),), name="code_execution", failed=True),
        ),
        Message(role="tool", parts=(ToolResult("c", (Text('{"error":"none"}'),), name="f", failed=True),)),
        user(ToolResult(None, (), name="g"), Other("new", '{"new":1}'), Other("unknown", "{}"), Other("unknown", '"odd"')),
    )
    found = read("gemini.generate", camel)
    assert found.messages == expected
    assert found.parameters == {"temperature": "0", "safetySettings": "[]"}
    assert found.tools == (
        Tool(name="f", parameters='{"type":"OBJECT"}'),
        Tool(name="", parameters="{}"),
        Tool(name="googleSearch", kind="googleSearch"),
    )
    assert read("gemini.count_tokens", {"generateContentRequest": camel}).messages == expected
    assert read("gemini.generate", _snake(camel)).messages == expected


def _snake(value: Any) -> Any:
    if isinstance(value, dict):
        kept = ("executableCode", "code")
        return {
            "".join(f"_{c.lower()}" if c.isupper() else c for c in name): item if name in kept else _snake(item)
            for name, item in value.items()
        }
    return list(map(_snake, value)) if isinstance(value, list) else value


def test_gemini_answers() -> None:
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Cats."}]}, "finishReason": "STOP"}, {"finishReason": "SAFETY"}]
    }
    assert read("gemini.generate", None, answer).answers == (
        assistant(Text("Cats."), finish_reason="STOP"),
        assistant(finish_reason="SAFETY"),
    )
    blocked = {"promptFeedback": {"blockReason": "OTHER"}}
    assert read("gemini.generate", None, blocked).answers == (assistant(finish_reason="OTHER"),)


# ---------------------------------------------------------------- embeddings


def test_embeddings() -> None:
    for format in ("openai.embeddings", "mlflow.embeddings"):
        found = read(format, {"input": ["a", "b"]}, {"data": [{"embedding": [0.1, 0.2]}, {"embedding": [0.3, 0.4]}]})
        assert (found.messages, found.answers) == ((user(Text("a"), Text("b")),), (assistant(Embeddings(2, 2)),))
        assert read(format, {"input": "a"}, {"data": [{"embedding": "AAAA"}]}).answers == (assistant(Embeddings(1)),)
    one = read("gemini.embeddings", {"content": {"parts": [{"text": "a"}]}}, {"embedding": {"values": [1, 2, 3]}})
    assert (one.messages, one.answers) == ((user(Text("a")),), (assistant(Embeddings(1, 3)),))
    many = {"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {}}, {"content": {"parts": [{"text": "b"}]}}]}
    two = read("gemini.embeddings", many, {"embeddings": [{"values": [1]}, {"values": [2]}]})
    assert (two.messages, two.answers) == ((user(Text("a")), user(Text("b"))), (assistant(Embeddings(2, 1)),))
    assert read("gemini.embeddings", many, {}).answers == ()


# ---------------------------------------------------------------- what is odd, missing or in pieces


def test_a_stream_that_was_kept_as_it_came_is_folded() -> None:
    stream = (RECORDINGS / "anthropic" / "thinking_tools.sse").read_bytes()
    found = conversation("anthropic.messages", None, stream)
    assert isinstance(found, Conversation)
    (answer,) = found.answers
    assert answer.parts[:2] == (Thinking("Let me see."), Text("Asking."))
    assert isinstance(answer.parts[2], ToolCall)


def test_what_went_wrong_is_said() -> None:
    for format, name in (
        ("openai.chat", "openai/error.json"),
        ("anthropic.messages", "anthropic/error.json"),
        ("gemini.generate", "gemini/error.json"),
    ):
        found = conversation(format, None, (RECORDINGS / name).read_bytes())
        assert isinstance(found, Conversation)
        assert (found.answers, bool(found.error)) == ((), True)
    found = conversation("anthropic.messages", None, (RECORDINGS / "anthropic" / "error.sse").read_bytes())
    assert isinstance(found, Conversation)
    assert (found.answers[0].parts, found.error) == ((Text("Hel"),), "overloaded_error: Overloaded")


FORMAT_OF = {
    "openai": "openai.chat",
    "anthropic": "anthropic.messages",
    "gemini": "gemini.generate",
    "responses": "openai.responses",
    "completions": "openai.completions",
}


def recordings() -> Iterator[tuple[str, Path]]:
    for folder, format in FORMAT_OF.items():
        for path in sorted((RECORDINGS / folder).iterdir()):
            if path.suffix in (".sse", ".json", ".array"):
                yield format, path


@pytest.mark.parametrize(("format", "path"), [pytest.param(*one, id=f"{one[1].parent.name}/{one[1].name}") for one in recordings()])
def test_whatever_a_provider_sent_is_read_and_can_be_written(format: str, path: Path) -> None:
    """Cut anywhere too."""
    whole = path.read_bytes()
    for end in range(len(whole), 0, -max(1, len(whole) // 40)):
        found = conversation(format, None, whole[:end])
        assert isinstance(found, str | Conversation)
        msgspec.to_builtins(found)


def test_of_what_was_cut_the_beginning_is_shown() -> None:
    request = json.dumps({"messages": [{"role": "user", "content": "One"}, {"role": "user", "content": "Two or three"}]}).encode()
    found = conversation("openai.chat", request[: request.index(b" or")], b'{"choices": [{"message": {"content": "Ye')
    assert isinstance(found, Conversation)
    assert found.messages == (user(Text("One")), user(Text("Two")))
    assert found.answers == (assistant(Text("Ye")),)
    assert found.missing == ("The end of the request is not here.", "The end of the answer is not here.")


def test_of_what_cannot_be_read_the_rest_is_shown() -> None:
    found = conversation("openai.chat", b"\xff\xfe", b'{"choices": [{"message": {"content": "Yes"}}]}')
    assert isinstance(found, Conversation)
    assert (found.answers, found.missing) == ((assistant(Text("Yes")),), ("The request is not shown: it is not a JSON object.",))
    assert conversation("openai.chat", b"1", b"nope") == (
        "The request is not shown: it is not a JSON object. The answer is not shown: it is not a JSON object."
    )
    assert conversation("openai.chat", None, None) == conversation("openai.chat", b"", b"") == "Nothing of what was said is here."


def test_a_stranger_in_every_place_is_no_fault() -> None:
    """Each value of a request and an answer in turn is replaced by what nobody expects."""
    request = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "tools": [{"function": {"name": "f"}}],
        "input": "x",
    }
    answer = {"choices": [{"message": {"content": "x", "tool_calls": [{"function": {"name": "f"}}]}}], "content": [{"type": "text"}]}
    for format in READERS:
        for stranger in (None, 1, "x", [], {}, [[1]], [None], {"type": []}, {"type": {}, "text": {}, "parts": 3}):
            for asked in _with(request, stranger):
                for told in _with(answer, stranger):
                    msgspec.to_builtins(conversation(format, json.dumps(asked).encode(), json.dumps(told).encode()))


def _with(value: Any, stranger: Any) -> Iterator[Any]:
    yield stranger
    if isinstance(value, dict):
        for name in value:
            for changed in _with(value[name], stranger):
                yield {**value, name: changed}
    elif isinstance(value, list):
        for at in range(len(value)):
            for changed in _with(value[at], stranger):
                yield [*value[:at], changed, *value[at + 1 :]]


def test_a_request_that_is_nested_too_deep_is_not_shown() -> None:
    deep = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert isinstance(conversation("openai.chat", deep, None), str)
