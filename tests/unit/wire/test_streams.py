"""Passthrough and Translate: what leaves, when, and what is told before it."""

import json

import pytest
from tests.contract.recorded import recorded

from spangate.wire.events import Ended, Event, Failed
from spangate.wire.formats import anthropic_messages, mlflow_chat, openai_chat
from spangate.wire.framing.sse import LIMIT
from spangate.wire.problems import UpstreamProblem
from spangate.wire.streams import Passthrough, Translate

TEXT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"


def ignore(_: Event) -> None: ...


def withholding() -> Passthrough:
    return Passthrough(openai_chat.decoder(0), ignore, withhold_usage=True)


def test_an_event_is_told_before_its_bytes_leave() -> None:
    told: list[object] = []
    stream = Passthrough(openai_chat.decoder(0), told.append)
    told.append(stream.feed(DONE))
    assert told == [Ended(), DONE]


def test_a_failing_observer_stops_the_bytes() -> None:
    """The journal could not be written: the terminal frame must not leave."""

    def full(_: Event) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Passthrough(openai_chat.decoder(0), full).feed(DONE)


def test_bytes_leave_at_once() -> None:
    stream = Passthrough(openai_chat.decoder(0), ignore)
    assert stream.feed(TEXT[:10]) == TEXT[:10]
    assert not stream.at_boundary
    assert stream.feed(TEXT[10:]) == TEXT[10:]
    assert stream.at_boundary
    assert stream.close() == b""
    assert stream.at_boundary


def test_an_open_frame_waits_when_usage_is_withheld() -> None:
    stream = withholding()
    assert stream.feed(TEXT + USAGE[:20]) == TEXT
    assert stream.at_boundary
    assert stream.feed(USAGE[20:]) == b""
    assert stream.feed(b"\n\n" + DONE) == DONE
    assert stream.close() == b""
    assert stream.at_boundary


def test_a_usage_frame_without_its_blank_line_is_withheld_too() -> None:
    stream = withholding()
    assert stream.feed(TEXT + USAGE[:-1]) == TEXT
    assert stream.close() == b""
    assert stream.at_boundary


def test_what_was_cut_off_leaves_at_the_end() -> None:
    stream = withholding()
    assert stream.feed(TEXT + b"data: {") == TEXT
    assert stream.close() == b"data: {"
    assert not stream.at_boundary


def test_a_stream_torn_within_a_frame_is_at_no_boundary() -> None:
    stream = Passthrough(openai_chat.decoder(0), ignore)
    stream.feed(b"data: {")
    assert stream.close() == b""
    assert not stream.at_boundary


def test_an_overlong_frame_passes_as_it_comes() -> None:
    stream = withholding()
    big = b"data: " + b"x" * (LIMIT + 10)
    out = stream.feed(TEXT + big)
    assert out == TEXT + big
    assert not stream.at_boundary
    assert stream.feed(b"yy") == b"yy"
    assert stream.feed(b"z\n\n" + USAGE + DONE) == b"z\n\n" + DONE
    assert stream.at_boundary


def test_an_overlong_frame_that_ends_with_the_stream_is_torn() -> None:
    stream = withholding()
    stream.feed(b"data: " + b"x" * (LIMIT + 10))
    assert stream.close() == b""
    assert not stream.at_boundary


def test_the_stream_shows_its_decoder() -> None:
    decoder = anthropic_messages.decoder(0)
    assert Passthrough(decoder, ignore).decoder is decoder
    unified = mlflow_chat.decoder(0)
    assert Translate(unified, ignore, provider="p").decoder is unified


# ---------------------------------------------------------------- unified


def translated(body: bytes, *, withhold_usage: bool = False) -> bytes:
    stream = Translate(mlflow_chat.decoder(0), ignore, provider="openai", withhold_usage=withhold_usage)
    assert stream.at_boundary
    return stream.feed(body) + stream.close()


def frames(body: bytes) -> list[object]:
    data = [frame.removeprefix(b"data: ") for frame in body.split(b"\n\n") if frame]
    return [json.loads(item) if item.startswith(b"{") else item for item in data]


def chunk(delta: dict[str, object] | None, reason: str | None = None, usage: object = None) -> dict[str, object]:
    choices = (
        []
        if delta is None
        else [{"index": 0, "finish_reason": reason, "delta": {"role": None, "content": None, "tool_calls": None, **delta}}]
    )
    head = {"id": "chatcmpl-AbC1", "object": "chat.completion.chunk", "created": 1763800000, "model": "gpt-4o-mini-2024-07-18"}
    return {**head, "choices": choices, "usage": usage, "provider": "openai"}


def test_every_null_is_spelled_out() -> None:
    assert translated(b'data: {"id":"i","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n') == (
        b'data: {"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"finish_reason":null,'
        b'"delta":{"role":null,"content":"a","tool_calls":null}}],"usage":null,"provider":"openai"}\n\n'
    )


def test_a_recorded_stream_is_normalised() -> None:
    usage = {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    whole = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hello"}),
        chunk({"content": ", wörld 🌍"}),
        chunk({}, "stop"),
        chunk(None, usage=usage),
        b"[DONE]",
    ]
    assert frames(translated(recorded("openai/text.sse"))) == whole
    assert frames(translated(recorded("openai/text.sse"), withhold_usage=True)) == whole[:4] + whole[5:]


def test_tool_calls_are_normalised() -> None:
    def call(index: int, **fields: object) -> dict[str, object]:
        function = {"name": None, "arguments": None, **fields.pop("function", {})}  # type: ignore[dict-item]
        return chunk({"tool_calls": [{"index": index, "id": None, "type": None, **fields, "function": function}]})

    assert frames(translated(recorded("openai/tools.sse")))[1:5] == [
        call(0, function={"arguments": '{"city":'}),
        call(0, function={"arguments": ' "Köln"}'}),
        call(1, id="call_b", type="function", function={"name": "get_time", "arguments": ""}),
        call(1, function={"arguments": "{}"}),
    ]


def test_usage_beside_choices_stays_where_it_was() -> None:
    out = frames(translated(recorded("openai/no_done.sse"), withhold_usage=True))
    assert out[-1]["usage"] == {"completion_tokens": 2, "prompt_tokens": 9, "total_tokens": 11}  # type: ignore[index, call-overload]
    assert b"[DONE]" not in out


def test_comments_keep_the_connection_alive() -> None:
    assert translated(b": PROCESSING\n\n") == b": keep-alive\n\n"
    assert translated(b": PROCESSING") == b""


@pytest.mark.parametrize(
    ("body", "out"),
    [
        (b'data: {"error":{"message":"m"}}\n\n', [{"error": {"message": "m"}}]),
        (b'event: error\ndata: {"message":"m"}\n\n', [{"error": {"message": "m"}}]),
        (b"data: {}\n\n", []),
        (b"data: nope\n\n", []),
        (b"data: [DONE]\n\ndata: [DONE]\n\n", [b"[DONE]"]),
        (b"data: [DONE]", [b"[DONE]"]),
    ],
)
def test_what_is_no_chunk(body: bytes, out: list[object]) -> None:
    assert frames(translated(body)) == out


def test_odd_chunks_are_still_normalised() -> None:
    body = (
        b'data: {"choices":[{"delta":{"refusal":"no","tool_calls":[{"thought_signature":"s","function":5}]}}],"usage":{}}\n\n'
        b'data: {"usage":{"prompt_tokens":1,"cost":2,"prompt_tokens_details":{"a":1}}}\n\n'
    )
    nulls = {"id": None, "object": "chat.completion.chunk", "created": None, "model": None}
    call = {"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": None}, "thought_signature": "s"}
    assert frames(translated(body)) == [
        {
            **nulls,
            "choices": [
                {"index": 0, "finish_reason": None, "delta": {"role": None, "content": None, "tool_calls": [call], "refusal": "no"}}
            ],
            "usage": None,
            "provider": "openai",
        },
        {
            **nulls,
            "choices": [],
            "usage": {
                "prompt_tokens": 1,
                "completion_tokens": None,
                "total_tokens": None,
                "prompt_tokens_details": {"cached_tokens": None, "a": 1},
                "cost": 2,
            },
            "provider": "openai",
        },
    ]


def test_a_frame_too_long_for_a_passthrough_is_still_translated() -> None:
    content = "x" * (LIMIT + 10)
    body = b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": content}}]}).encode() + b"\n\n"
    assert json.loads(translated(body)[6:])["choices"][0]["delta"]["content"] == content


def test_a_frame_too_long_to_hold_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_chat, "LIMIT", 100)
    events: list[Event] = []
    stream = Translate(mlflow_chat.decoder(10), events.append, provider="p")
    assert stream.feed(b"data: " + b"x" * 200 + b"\n\n") == b""
    assert [event for event in events if isinstance(event, Failed)] == [
        Failed("malformed", "A frame of the provider's stream is too long to be translated")
    ]


def test_the_fold_is_the_normalised_plain_answer() -> None:
    stream = Translate(mlflow_chat.decoder(1 << 20), ignore, provider="openai")
    stream.feed(recorded("openai/tools.sse"))
    folded = stream.decoder.answer()
    assert folded is not None
    assert json.loads(folded[0]) == {
        "id": "chatcmpl-AbC1",
        "object": "chat.completion",
        "created": 1763800000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Köln"}'}},
                        {"id": "call_b", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
                    ],
                    "refusal": None,
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 81, "completion_tokens": 32, "total_tokens": 113},
        "provider": "openai",
    }


def test_a_plain_answer_is_normalised() -> None:
    answer = json.loads(mlflow_chat.render_answer(recorded("openai/text.json"), "openai"))
    assert list(answer) == ["id", "object", "created", "model", "choices", "usage", "provider"]
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello, wörld 🌍", "tool_calls": None, "refusal": None},
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 1920, "audio_tokens": 0}
    assert answer["provider"] == "openai"


def test_a_plain_answer_without_usage_spells_it_out() -> None:
    answer = json.loads(mlflow_chat.render_answer(b'{"choices":[{}]}', "p"))
    assert answer["usage"] == {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"choices":5}', b"[" * 100_000])
def test_what_is_no_plain_answer(body: bytes) -> None:
    with pytest.raises(UpstreamProblem) as caught:
        mlflow_chat.render_answer(body, "p")
    assert (caught.value.status, caught.value.kind) == (502, "malformed_answer")
