import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.relay.peek_gemini import patch, peek
from spangate.wire.problems import Refusal

BODIES = {
    b'{"contents":[{"parts":[{"text":"model"}]}]}': None,  # nothing names a model
    b' {\n "model" : "models/chat" , "content":{"model":"x"}}': b' {\n "model" : "models/gem" , "content":{"model":"x"}}',
    b'{"generateContentRequest":{"contents":[],"model":"models/chat"}}': b'{"generateContentRequest":{"contents":[],"model":"models/gem"}}',
    b'{"generate_content_request": {"model":"chat"} }': b'{"generate_content_request": {"model":"models/gem"} }',
    b'{"requests": [ {"model":"models/chat","content":{}},\n{"content":{"model":"x"}} , {"model":"\\u0063hat"}]}': (
        b'{"requests": [ {"model":"models/gem","content":{}},\n{"content":{"model":"x"}} , {"model":"models/gem"}]}'
    ),
    b'{"requests":[]}': None,
    # What is of a wrong type is the provider's to refuse.
    b'{"model":null,"requests":{"model":"x"},"generateContentRequest":[{"model":"x"}]}': None,
    b'{"model":7,"requests":[7,null,["x"]]}': None,
}


@pytest.mark.parametrize("body", BODIES)
def test_the_model_is_replaced_where_it_is_named_and_no_other_byte(body: bytes) -> None:
    assert patch(body, peek(body, stream=False), "gem") == (BODIES[body] or body)


@pytest.mark.parametrize("stream", [False, True])
def test_the_operation_says_whether_it_streams(stream: bool) -> None:
    assert peek(b'{"stream":false}', stream=stream).stream is stream


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"contents":[NaN]}', "invalid_json"),
        (b'{"model":"a","model":"b"}', "duplicate_key"),
        (b'{"contents":[],"contents":[]}', "duplicate_key"),
        (b'{"requests":[{"model":"a"},{"model":"a","model":"b"}]}', "duplicate_key"),
        (b'{"generateContentRequest":{"model":"a","model":"b"}}', "duplicate_key"),
    ],
)
def test_what_two_parsers_could_read_as_two_requests_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(Refusal) as refused:
        peek(body, stream=False)
    assert (refused.value.status, refused.value.kind) == (400, kind)


@pytest.mark.parametrize("opening", [b'{"requests":' + b"[" * 5000, b'{"a":' + b'{"a":' * 5000])
def test_what_is_nested_deeply_is_refused(opening: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        peek(opening, stream=False)
    assert refused.value.status == 400


NAMES = st.none() | st.text()
REQUESTS = st.lists(st.fixed_dictionaries({"content": st.text()}, optional={"model": NAMES}), max_size=4)


@given(REQUESTS, NAMES, st.sampled_from([None, 2]))
def test_each_name_is_replaced_whatever_stands_around_it(requests: list[dict[str, object]], model: str | None, indent: int | None) -> None:
    asked = {"requests": requests, "model": model}
    body = json.dumps(asked, indent=indent).encode()
    named = [{**one, "model": "models/gem"} if isinstance(one.get("model"), str) else one for one in requests]
    expected = {"requests": named, "model": model if model is None else "models/gem"}
    assert json.loads(patch(body, peek(body, stream=False), "gem")) == expected
