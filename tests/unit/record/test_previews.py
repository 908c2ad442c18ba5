import json
from typing import Any

import pytest

from spangate.record import previews
from spangate.record.previews import LONGEST


def of_request(body: bytes) -> str:
    return previews.of_request(body, previews.document(body))


@pytest.mark.parametrize(
    ("body", "preview"),
    [
        (b'{"messages":[{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":"three"}]}', "three"),
        (b'{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}]}]}', "a\nb"),
        (b'{"messages":[{"role":"user","content":"q"},{"role":"user","content":[{"type":"tool_result","content":"r"}]}]}', "q"),
        (b'{"messages":[{"role":"system","content":"only this"}]}', '{"messages":[{"role":"system","content":"only this"}]}'),
        (b'{"messages":[{"role":"user","content":null}]}', '{"messages":[{"role":"user","content":null}]}'),
        (b'{"messages":[{"role":"user","content":"cut of', '{"messages":[{"role":"user","content":"cut of'),
        (b'{"messages":7}', '{"messages":7}'),
        (b'{"input":"to embed"}', "to embed"),
        (b'{"input":["one","two"]}', "one\ntwo"),
        (b'{"input":[1,2]}', '{"input":[1,2]}'),
        (b'{"prompt":"Once upon"}', "Once upon"),
        (b'{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call_output","output":"b"}]}', "a"),
        (b'{"contents":[{"role":"user","parts":[{"text":"a"},{"inlineData":{}}]},{"role":"model","parts":[{"text":"b"}]}]}', "a"),
        (b'{"contents":[{"parts":[{"text":"a"},{"text":"b"}]}]}', "a\nb"),
        (b'{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"a"}]}]}}', "a"),
        (b'{"content":{"parts":[{"text":"to embed"}]}}', "to embed"),
        (b'{"requests":[{"content":{"parts":[{"text":"one"}]}},{"content":{"parts":[{"text":"two"}]}},7]}', "two"),
        (b'{"messages":[7,null,[]]}', '{"messages":[7,null,[]]}'),
        (b"[]", "[]"),
        (b"", ""),
        (b'{"messages":[{"role":"user","content":"\\ud83d\\ude00 \\ud800"}]}', "😀 \ufffd"),
    ],
)
def test_previews_the_last_words_of_the_user(body: bytes, preview: str) -> None:
    assert of_request(body) == preview


@pytest.mark.parametrize(
    ("body", "preview"),
    [
        (b'{"id":"chatcmpl-1","choices":[{"message":{"role":"assistant","content":"Hello there."}}]}', "Hello there."),
        (b'{"choices":[{"message":{"content":null,"refusal":"No."}}]}', "No."),
        (b'{"choices":[{"message":{"content":[{"type":"text","text":"a"}]}},{"message":{"content":"b"}}]}', "a"),
        (b'{"choices":[{"message":{"content":null,"tool_calls":[]}}]}', '{"choices":[{"message":{"content":null,"tool_calls":[]}}]}'),
        (b'{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"Hi"},{"type":"text","text":"you"}]}', "Hi\nyou"),
        (b'{"choices":null}', '{"choices":null}'),
        (b'{"choices":[{"text":" there was"}]}', " there was"),
        (b'{"output":[{"type":"reasoning","content":[]},{"type":"message","content":[{"type":"output_text","text":"Hi"}]}]}', "Hi"),
        (b'{"output":[{"type":"message","content":[{"type":"refusal","refusal":"No."}]}]}', "No."),
        (b'{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Hi"}]}},{"content":null}]}', "Hi"),
        (b'{"candidates":[{"finishReason":"SAFETY"}]}', '{"candidates":[{"finishReason":"SAFETY"}]}'),
        (b'{"output":[{"type":"function_call"}]}', '{"output":[{"type":"function_call"}]}'),
        (b"null", "null"),
    ],
)
def test_previews_the_words_of_the_answer(body: bytes, preview: str) -> None:
    assert previews.of_response(body) == preview


@pytest.mark.parametrize("preview", [of_request, previews.of_response])
def test_cuts_previews(preview: Any) -> None:
    assert preview(b"x" * 5000) == "x" * (LONGEST - 3) + "..."
    body = json.dumps({"messages": [{"role": "user", "content": "é" * 5000}], "content": "é" * 5000}).encode()
    assert preview(body) == "é" * (LONGEST - 3) + "..."
    assert preview(b"x" * LONGEST) == "x" * LONGEST
