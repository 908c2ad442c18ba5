"""An option that the provider refuses is taken out of the client's bytes, and nothing else is."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.relay.asked import asked
from spangate.relay.peek import without
from spangate.relay.prepare import plan

from .fakes import TARGET, inbound


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        (b'{"a": 1, "x": {"y": ["}"]}, "b": 2}', b'{"a": 1, "b": 2}'),
        (b'{"x":1,"b":2}', b'{"b":2}'),
        (b'{"a":"x",\n "x" : null }', b'{"a":"x"}'),
        (b' {"x":"a,b"} ', b" {} "),
        (b'{"a":{"x":1}}', b'{"a":{"x":1}}'),
        (b'{"\\u0078":1,"b":","}', b'{"b":","}'),
    ],
)
def test_takes_out_one_member_with_its_comma(body: bytes, rest: bytes) -> None:
    assert without(body, "x") == rest


@given(st.dictionaries(st.text(max_size=4), st.one_of(st.none(), st.text(max_size=4), st.lists(st.integers(), max_size=2)), max_size=4))
def test_leaves_what_another_parser_leaves(members: dict[str, object]) -> None:
    for name in members:
        rest = {key: value for key, value in members.items() if key != name}
        for ascii_only in (True, False):
            body = json.dumps(members, ensure_ascii=ascii_only).encode()
            if name.isascii() and '"' not in name and "\\" not in name:
                assert list(json.loads(without(body, name)).items()) == list(rest.items())


@pytest.mark.parametrize(
    ("usage_in_stream", "sent"),
    [
        ("rejects", b'{"model":"gpt-x","stream":true}'),
        ("always", b'{"model":"gpt-x","stream":true,"stream_options":{"include_usage":false}}'),
        ("ask", b'{"model":"gpt-x","stream":true,"stream_options":{"include_usage":true}}'),
    ],
)
def test_stream_options_go_as_the_provider_takes_them(usage_in_stream: str, sent: bytes) -> None:
    call = inbound(b'{"model":"chat","stream":true,"stream_options":{"include_usage":false}}')
    target = msgspec.structs.replace(TARGET, usage_in_stream=usage_in_stream)
    planned = plan(call, asked(call), target, "openai.chat")
    assert planned.outgoing.body == sent
    assert planned.withhold_usage is (usage_in_stream == "ask")
