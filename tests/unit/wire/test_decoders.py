"""What single frames mean, in each format; and that nothing a provider sends raises."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spangate.wire.events import Ended, Event, Failed, Progressed, Started, Stopped, UsageReported
from spangate.wire.formats import FORMATS, Decoder, anthropic_messages, mlflow_chat, openai_chat
from spangate.wire.framing.sse import LIMIT
from spangate.wire.usage import Usage

Frame = object


def stream(*frames: Frame) -> bytes:
    """Bytes as they are, all else as a frame of JSON."""
    return b"".join(frame if isinstance(frame, bytes) else b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)


def read(name: str, *frames: Frame, fold_limit: int = 1 << 20) -> tuple[Decoder, list[Event]]:
    decoder = FORMATS[name].decoder(fold_limit)
    return decoder, decoder.feed(stream(*frames)) + decoder.close()


def openai(*frames: Frame, fold_limit: int = 1 << 20) -> list[Event]:
    return read("openai.chat", *frames, fold_limit=fold_limit)[1]


def anthropic(*frames: Frame, fold_limit: int = 1 << 20) -> list[Event]:
    return read("anthropic.messages", *frames, fold_limit=fold_limit)[1]


def answer(name: str, *frames: Frame, fold_limit: int = 1 << 20) -> tuple[Any, bool]:
    folded = read(name, *frames, fold_limit=fold_limit)[0].answer()
    assert folded is not None
    return json.loads(folded[0]), folded[1]


def chunk(delta: object = None, reason: object = None, index: object = 0, **more: object) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": {} if delta is None else delta, "finish_reason": reason}], **more}


MALFORMED = Failed("malformed", "A frame of the provider's stream is not JSON: JSONDecodeError")
ODD = Failed("malformed", "A frame of the provider's stream is not JSON: ValueError")
BEGUN = [Started("x", None), Progressed()]
FIRST = chunk({"content": "a"}, id="x")


@pytest.mark.parametrize("fold_limit", [0, 1 << 20])
@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([b"data: {nope\n\n", b"data: {nope\n\n"], [MALFORMED]),
        ([b"data: 5\n\n"], [ODD]),
        ([b"event: debug\ndata: 5\n\n"], []),
        ([b"event: message\ndata: 5\n\n"], [ODD]),
        ([b"data: " + b"[" * 100_000 + b"\n\n"], [Failed("malformed", "A frame of the provider's stream is not JSON: RecursionError")]),
        ([{}], []),
        ([{"choices": None}], []),
        ([{"choices": "x"}], []),
        ([{"choices": [5, None]}], []),
        ([{"choices": [{"delta": "x"}]}], []),
        ([chunk({"role": "assistant", "content": ""})], []),
        ([chunk({"tool_calls": [{"index": 0}]})], [Progressed()]),
        ([chunk({"novelty": {"x": 1}})], [Progressed()]),
        ([chunk(id="", model="")], []),
        ([chunk(id=5, model=["m"])], []),
        ([chunk(id=5, model="m")], [Started(None, "m")]),
        ([chunk(id="a"), chunk(id="b", model="m")], [Started("a", None)]),
        ([chunk(reason=5)], []),
        ([chunk(reason=5, index="x"), chunk(reason="stop")], [Stopped("stop")]),
        ([chunk(reason="stop"), chunk(reason="stop"), chunk({})], [Stopped("stop")]),
        ([FIRST, chunk(reason="stop"), b"data: [DONE]\n\n", b"data: [DONE]\n\n"], [*BEGUN, Stopped("stop"), Ended()]),
        ([b"data:  [DONE] \n\n"], [Ended()]),
        ([b"data: [DONE]"], [Ended()]),
        ([b"data: {"], []),
        ([FIRST, b"data: {"], BEGUN),
        ([FIRST, b"data: {\n\n"], [*BEGUN, MALFORMED]),
        ([FIRST, {"error": "gone"}], [*BEGUN, Failed("error", "gone")]),
        ([FIRST, {"error": {"code": "Too Many"}}], [*BEGUN, Failed("too_many", "The provider reported an error in its stream.")]),
        ([FIRST, b'event: error\ndata: {"message": "bad", "type": "t"}\n\n'], [*BEGUN, Failed("t", "bad")]),
        ([FIRST, {"choices": [5]}], BEGUN),
        ([FIRST, b'data: {"choices":[{"index":0,"finish_reason":"stop","x":NaN}]}\n\n'], [*BEGUN, Stopped("stop")]),
        ([FIRST, {"usage": {"prompt_tokens": 1}}], [*BEGUN, UsageReported(Usage(input=1))]),
        ([FIRST, chunk(usage="x")], [*BEGUN, UsageReported(Usage(invalid=("usage",)))]),
        (
            [FIRST, chunk(usage={"prompt_tokens": 1}), chunk(usage={"prompt_tokens": 1}), chunk(usage={"prompt_tokens": 2})],
            [*BEGUN, UsageReported(Usage(input=1)), UsageReported(Usage(input=2))],
        ),
        ([b"data: [DONE]\n\n", {"choices": [], "usage": {"completion_tokens": 1}}], [Ended(), UsageReported(Usage(output=1))]),
        ([b"data: " + b"x" * LIMIT + b"\n\n", b"data: " + b"x" * LIMIT + b"\n\n"], [Progressed()]),
    ],
)
def test_openai_frames(frames: list[Frame], events: list[Event], fold_limit: int) -> None:
    assert openai(*frames, fold_limit=fold_limit) == events


def test_finished_waits_for_each_choice() -> None:
    decoder = FORMATS["openai.chat"].decoder(0)
    told = [
        (decoder.feed(stream(frame)), decoder.finished)
        for frame in [
            chunk({"content": "a"}, index=0, id="x"),
            chunk({"content": "b"}, index=1),
            chunk(reason="stop", index=0),
            chunk(reason="length", index=1),
            chunk({"content": "c"}, index=2),
            b"data: [DONE]\n\n",
        ]
    ]
    assert told == [(BEGUN, False), ([], False), ([], False), ([Stopped("length")], True), ([], False), ([Ended()], True)]


def test_usage_frames_are_those_without_choices() -> None:
    decoder = FORMATS["openai.chat"].decoder(0)
    usage = {"prompt_tokens": 1}
    told: list[list[tuple[int, int]]] = []
    for frame in [
        {"choices": [], "usage": usage},
        chunk(usage=usage),
        {"usage": usage},
        {"choices": [], "usage": None},
        {"choices": [], "usage": 5},
    ]:
        at = decoder.frames.total
        decoder.feed(stream(frame))
        told.append([(start - at, end - at) for start, end in decoder.usage_frames])
    assert told == [[(0, len(stream({"choices": [], "usage": usage})))], [], [], [], []]


def test_an_answer_needs_a_chunk() -> None:
    assert read("openai.chat", b": hi\n\n", b"data: [DONE]\n\n")[0].answer() is None
    assert read("anthropic.messages", {"type": "ping"})[0].answer() is None


def test_content_beyond_the_limit_is_marked_and_the_rest_still_read() -> None:
    frames = [chunk({"content": "0123456789" * 3}, id="x"), chunk({"content": "more"}), chunk(reason="stop", usage={"prompt_tokens": 1})]
    folded, truncated = answer("openai.chat", *frames, fold_limit=25)
    assert truncated
    assert folded == {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "0123456789"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1},
    }


def test_a_frame_too_long_to_read_marks_the_fold() -> None:
    big = b"data: " + b"x" * LIMIT + b"\n\n"
    assert answer("openai.chat", FIRST, big)[1]
    assert answer("anthropic.messages", START, big)[1]
    assert read("openai.chat", FIRST, big, fold_limit=0)[0].answer() is None


def test_choices_and_reasons_are_bounded() -> None:
    many = {"choices": [{"index": index, "delta": {}, "finish_reason": None} for index in range(openai_chat.CHOICES + 5)]}
    folded, truncated = answer("openai.chat", many)
    assert (len(folded["choices"]), truncated) == (openai_chat.CHOICES, True)
    ends = {"choices": [{"index": index, "finish_reason": "stop" * 100} for index in range(openai_chat.CHOICES + 5)]}
    decoder, _ = read("openai.chat", many, ends)
    assert len(cast("Any", decoder)._done) == openai_chat.CHOICES
    assert answer("openai.chat", ends)[0]["choices"][0]["finish_reason"] == ("stop" * 100)[:100]


def test_an_envelope_beyond_its_room_is_marked() -> None:
    assert answer("openai.chat", chunk(id="x", pad="x" * 100_000)) == (
        {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant"}, "finish_reason": None}]},
        True,
    )


# ---------------------------------------------------------------- anthropic

START = {"type": "message_start", "message": {"id": "m", "model": "c"}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}


@pytest.mark.parametrize("fold_limit", [0, 1 << 20])
@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([START, START], [Started("m", "c")]),
        ([{"type": "message_start"}], [ODD]),
        ([{"type": "message_start", "message": 5}], [ODD]),
        ([{"type": "message_start", "message": {"usage": 5}}], [UsageReported(Usage(invalid=("usage",)))]),
        ([{"type": "message_start", "message": {"usage": None}}], []),
        ([{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}], []),
        ([{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}}], [Progressed()]),
        ([{"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}}, DELTA], [Progressed()]),
        ([DELTA, DELTA, b'data: {"type":5}\n\n'], [Progressed()]),
        ([{"type": "content_block_delta"}], []),
        ([DELTA, b"data: {\n\n"], [Progressed(), MALFORMED]),
        ([DELTA, b"event: ping\ndata: {\n\n"], [Progressed()]),
        ([b"event: message_stop\ndata: {\n\n"], [MALFORMED]),
        ([b"data: []\n\n"], [ODD]),
        ([{"type": "message_stop"}, {"type": "message_stop"}], [Ended()]),
        ([{"type": "message_delta"}], []),
        ([{"type": "message_delta", "delta": {"stop_reason": 5}}], []),
        (
            [{"type": "message_delta", "delta": {"stop_reason": "a"}}, {"type": "message_delta", "delta": {"stop_reason": "b"}}],
            [Stopped("a")],
        ),
        (
            [{"type": "message_delta", "usage": {"output_tokens": 1}}, {"type": "message_delta", "usage": {"output_tokens": 1}}],
            [UsageReported(Usage(output=1))],
        ),
        (
            [{"type": "message_delta", "usage": {"input_tokens": 5}}, {"type": "message_delta", "usage": {"input_tokens": None}}],
            [UsageReported(Usage(input=5))],
        ),
        ([{"type": "message_delta", "usage": {str(number): 1 for number in range(300)}}], []),
        ([{"type": "error", "error": {"message": "m"}}], [Failed("error", "m")]),
        ([{"error": {"type": "T", "message": "m"}}], [Failed("t", "m")]),
        ([b'event: error\ndata: {"message":"m"}\n\n'], [Failed("error", "m")]),
        ([{"type": "error"}], [Failed("error", "The provider reported an error in its stream.")]),
        ([{}], []),
        ([b"data: " + b"x" * LIMIT + b"\n\n"], [Progressed()]),
    ],
)
def test_anthropic_frames(frames: list[Frame], events: list[Event], fold_limit: int) -> None:
    assert anthropic(*frames, fold_limit=fold_limit) == events


def block(index: object, **fields: object) -> dict[str, object]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def delta(index: object, kind: str, **fields: object) -> dict[str, object]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


@pytest.mark.parametrize(
    ("frames", "content"),
    [
        (
            [block(1, type="text", text="b"), block(0, type="text", text="a")],
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        ),
        ([delta("x", "text_delta", text="a")], [{"text": "a"}]),
        ([block(0, type="tool_use", input={}), delta(0, "input_json_delta", partial_json='{"a')], [{"type": "tool_use", "input": '{"a'}]),
        ([block(0, type="tool_use", input={}), delta(0, "input_json_delta", partial_json=5)], [{"type": "tool_use", "input": {}}]),
        ([block(0, type="tool_use", input={}), delta(0, "input_json_delta", partial_json="[" * 100_000)], None),
        ([delta(0, "signature_delta", signature="s"), delta(0, "signature_delta", signature="t")], [{"signature": "t"}]),
        ([delta(0, "signature_delta")], [{"signature": None}]),
        ([delta(0, "citations_delta", citation={"a": 1})], [{"citations": [{"a": 1}]}]),
    ],
)
def test_anthropic_blocks(frames: list[Frame], content: object) -> None:
    folded, truncated = answer("anthropic.messages", START, *frames)
    assert not truncated
    if content is None:
        assert folded["content"][0]["input"] == "[" * 100_000
    else:
        assert folded["content"] == content


@pytest.mark.parametrize(
    "frames",
    [
        [block(0, type="text", text="0123456789" * 10)],
        [delta(0, "signature_delta", signature="0123456789" * 10)],
        [delta(0, "input_json_delta", partial_json="0123456789" * 10)],
        [delta(0, "text_delta", text="0123456789" * 10), delta(0, "text_delta", text="more")],
    ],
)
def test_anthropic_content_beyond_the_limit_is_marked(frames: list[Frame]) -> None:
    folded, truncated = answer(
        "anthropic.messages", START, *frames, {"type": "message_delta", "delta": {"stop_reason": "end"}}, fold_limit=50
    )
    assert truncated
    assert (folded["id"], folded["stop_reason"]) == ("m", "end")
    assert len(json.dumps(folded["content"])) < 120


def test_anthropic_blocks_are_bounded() -> None:
    frames = [delta(index, "text_delta") for index in range(anthropic_messages.BLOCKS + 1)]
    folded, truncated = answer("anthropic.messages", *frames)
    assert (len(folded["content"]), truncated) == (anthropic_messages.BLOCKS, True)
    frames = [block(index) for index in range(anthropic_messages.BLOCKS + 1)]
    assert len(answer("anthropic.messages", *frames)[0]["content"]) == anthropic_messages.BLOCKS


# ---------------------------------------------------------------- openai.responses


def item(text: object = "", **more: object) -> dict[str, object]:
    return {"id": "m", "type": "message", "content": [{"type": "output_text", "text": text}], **more}


def test_a_response_is_what_its_last_event_repeats() -> None:
    whole = {"id": "r", "status": "completed", "output": [item("all of it")], "novelty": [1]}
    steps = [
        {"type": "response.created", "response": {"id": "r", "status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": "something else"},
        {"type": "response.completed", "response": whole},
    ]
    assert answer("openai.responses", *steps) == (whole, False)


def test_a_response_too_large_to_be_kept_is_what_its_deltas_said_so_far() -> None:
    steps = [
        {"type": "response.output_text.delta", "delta": "abc"},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [item("x" * 300)]}},
    ]
    folded, truncated = answer("openai.responses", *steps, fold_limit=200)
    assert (folded["id"], folded["output"], truncated) == ("r", [{"content": [{"type": "output_text", "text": "abc"}]}], True)


def test_the_items_of_a_cut_response_are_as_large_as_there_is_room() -> None:
    added = [{"type": "response.output_item.added", "output_index": place, "item": item("x" * 40)} for place in range(9)]
    folded, truncated = answer("openai.responses", *added, fold_limit=300)
    assert (len(folded["output"]), truncated) == (2, True)


def test_an_item_that_is_done_replaces_its_deltas() -> None:
    steps = [
        {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}},
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 0, "delta": "N"},
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 0, "delta": "o"},
    ]
    said = [{"type": "refusal", "refusal": "No"}]
    assert answer("openai.responses", *steps)[0]["output"] == [{"type": "message", "content": said}]
    done = {"type": "response.output_item.done", "output_index": 1, "item": item("Yes")}
    assert answer("openai.responses", *steps, done)[0]["output"] == [item("Yes")]


@pytest.mark.parametrize("fold_limit", [0, 1 << 20])
@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([{"type": "response.completed"}], [ODD]),
        ([b"event: response.novelty\ndata: 5\n\n"], [ODD]),
        ([b"event: novelty\ndata: 5\n\n"], []),
        ([b"data: [DONE]\n\n"], []),
        ([{"error": {"message": "m", "type": "t"}}], [Failed("t", "m")]),
        ([b'event: error\ndata: {"message": "m"}\n\n'], [Failed("error", "m")]),
        ([{"type": "response.failed", "response": {"id": "r", "error": "text"}}], [Started("r", None), Failed("error", "text"), Ended()]),
        (
            [{"type": "response.completed", "response": {"id": "r"}}, {"type": "error", "message": "too late"}],
            [Started("r", None), Stopped("completed"), Ended()],
        ),
        (
            [{"type": "response.output_item.added", "item": {"type": "function_call"}}, {"type": "response.novelty.delta", "delta": "x"}],
            [Progressed()],
        ),
    ],
)
def test_steps_of_a_response(frames: list[Frame], events: list[Event], fold_limit: int) -> None:
    assert read("openai.responses", *frames, fold_limit=fold_limit)[1] == events


def test_the_last_event_of_a_response_may_be_larger_than_any_step() -> None:
    picture = {"type": "response.completed", "response": {"id": "r", "usage": {"input_tokens": 1}, "output": ["x" * (LIMIT + 1)]}}
    decoder, events = read("openai.responses", picture, fold_limit=0)
    assert (decoder.finished, UsageReported(Usage(input=1)) in events) == (True, True)


# ---------------------------------------------------------------- openai.embeddings


@pytest.mark.parametrize("fold_limit", [0, 1 << 20])
def test_embeddings_that_come_as_a_stream_are_read_all_the_same(fold_limit: int) -> None:
    frames = [{"data": [], "model": "m"}, {"data": []}, b"data: [DONE]\n\n"]
    decoder, events = read("openai.embeddings", *frames, fold_limit=fold_limit)
    assert events == [Progressed(), Started(None, "m"), Ended()]
    assert decoder.finished
    assert decoder.answer() == ((b'{"data":[],"model":"m"}', False) if fold_limit else None)


# ---------------------------------------------------------------- plain


READING = sorted(FORMATS.keys() - {"raw"})  # which takes any bytes for an answer


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b"\xff", b"[" * 100_000])
def test_a_plain_answer_that_is_none(name: str, body: bytes) -> None:
    assert FORMATS[name].parse_answer(body) == [Failed("malformed", "The provider's answer is not a JSON object")]


@pytest.mark.parametrize(
    ("name", "body", "events"),
    [
        ("openai.chat", {}, []),
        ("openai.chat", {"id": "a", "usage": None, "choices": []}, [Started("a", None)]),
        ("openai.chat", {"choices": [{"finish_reason": None}, {"finish_reason": "stop"}]}, [Stopped("stop")]),
        ("openai.chat", {"error": {"message": "m", "type": "t"}}, [Failed("t", "m")]),
        ("openai.chat", {"usage": {"prompt_tokens": -1}}, [UsageReported(Usage(invalid=("input",)))]),
        ("openai.completions", {"id": "a", "choices": [{"text": "x", "finish_reason": "stop"}]}, [Started("a", None), Stopped("stop")]),
        ("openai.embeddings", {"data": [], "model": "m"}, [Started(None, "m")]),
        ("openai.embeddings", {"data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}}, [UsageReported(Usage(input=1, output=0))]),
        ("openai.embeddings", {"error": {"message": "m", "type": "t"}}, [Failed("t", "m")]),
        ("openai.responses", {}, []),
        ("openai.responses", {"id": "r", "status": "queued"}, [Started("r", None)]),
        ("openai.responses", {"id": "r", "status": "cancelled"}, [Started("r", None), Stopped("cancelled")]),
        ("openai.responses", {"id": "r", "status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
         [Started("r", None), Stopped("content_filter")]),
        ("openai.responses", {"id": "r", "status": "failed", "error": {"code": "c", "message": "m"}},
         [Started("r", None), Failed("c", "m")]),
        ("openai.responses", {"id": "r", "status": "failed", "error": None},
         [Started("r", None), Failed("error", "The provider reported an error in its stream.")]),
        ("openai.responses", {"error": {"message": "m", "type": "t"}}, [Failed("t", "m")]),
        ("openai.responses", {"object": "response.compaction", "usage": {"input_tokens": 1}}, [UsageReported(Usage(input=1))]),
        ("anthropic.messages", {}, []),
        ("anthropic.messages", {"model": "m", "stop_reason": None}, [Started(None, "m")]),
        ("anthropic.messages", {"id": "i", "stop_reason": "x", "usage": {"input_tokens": 1}},
         [Started("i", None), UsageReported(Usage(input=1)), Stopped("x")]),
        ("anthropic.messages", {"type": "error", "error": {"type": "t", "message": "m"}}, [Failed("t", "m")]),
    ],
)  # fmt: skip
def test_plain_answers(name: str, body: object, events: list[Event]) -> None:
    assert FORMATS[name].parse_answer(json.dumps(body).encode()) == events


# ---------------------------------------------------------------- models


def test_models_in_each_shape() -> None:
    models = [("b", 1763800000123), ("a", 0)]
    openai_b = {"id": "b", "object": "model", "created": 1763800000, "owned_by": "spangate"}
    anthropic_b = {"type": "model", "id": "b", "display_name": "b", "created_at": "2025-11-22T08:26:40Z"}
    mlflow_b = {**openai_b, "owned_by": "mlflow"}
    assert json.loads(FORMATS["openai.chat"].render_models(models)) == {
        "object": "list",
        "data": [openai_b, {**openai_b, "id": "a", "created": 0}],
    }
    assert json.loads(FORMATS["mlflow.chat"].render_models(models)) == {
        "object": "list",
        "data": [{**mlflow_b, "id": "a", "created": 0}, mlflow_b],
    }
    assert json.loads(FORMATS["anthropic.messages"].render_models(models)) == {
        "data": [anthropic_b, {**anthropic_b, "id": "a", "display_name": "a", "created_at": "1970-01-01T00:00:00Z"}],
        "has_more": False,
        "first_id": "b",
        "last_id": "a",
    }
    assert json.loads(FORMATS["anthropic.messages"].render_models([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert json.loads(FORMATS["openai.chat"].render_model(*models[0])) == openai_b
    assert json.loads(FORMATS["mlflow.chat"].render_model(*models[0])) == mlflow_b
    assert json.loads(FORMATS["anthropic.messages"].render_model(*models[0])) == anthropic_b


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_knows_its_name(name: str) -> None:
    assert name == FORMATS[name].NAME


# ---------------------------------------------------------------- nothing raises

WORDS = [
    "type", "message_start", "message", "content_block_start", "content_block", "content_block_delta", "message_delta",
    "message_stop", "error", "index", "delta", "text", "text_delta", "thinking", "input_json_delta", "partial_json", "signature_delta",
    "signature", "citations_delta", "citation", "stop_reason", "usage", "input_tokens", "output_tokens", "choices", "finish_reason",
    "content", "tool_calls", "function", "name", "arguments", "role", "id", "model", "prompt_tokens", "prompt_tokens_details", "logprobs",
    "ping", "[DONE]", "refusal", "created", "response", "output", "status", "item", "part", "completed", "text", "data", "embedding",
]  # fmt: skip
WORD = st.sampled_from(WORDS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORD | st.text(st.characters(exclude_categories=[]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=6),
    max_leaves=30,
)
TYPED = st.fixed_dictionaries(
    {"type": WORD}, optional=dict.fromkeys(["message", "delta", "usage", "content_block", "index", "error"], VALUES)
)
CHOSEN = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries({"delta": VALUES, "index": VALUES | st.just(0), "finish_reason": VALUES}) | VALUES, max_size=3
        )
    },
    optional=dict.fromkeys(["id", "model", "usage", "error", "created"], VALUES),
)
STEPS = [
    "created", "in_progress", "completed", "incomplete", "failed", "output_item.added", "output_item.done", "content_part.added",
    "output_text.delta", "refusal.delta", "function_call_arguments.delta", "reasoning_summary_text.delta", "novelty.delta", "novelty",
]  # fmt: skip
STEP = st.fixed_dictionaries(
    {"type": st.sampled_from(STEPS).map("response.".__add__)},
    optional={
        "response": st.fixed_dictionaries({}, optional=dict.fromkeys(["id", "status", "output", "usage", "error", "model"], VALUES))
        | VALUES,
        **dict.fromkeys(["item", "part", "delta", "error"], VALUES),
        **dict.fromkeys(["output_index", "content_index"], st.integers(0, 3) | VALUES),
    },
)
FRAMES = st.lists(
    st.tuples(
        st.sampled_from([b"", b"event: message_start\n", b"event: error\n", b"event: x\n"]),
        (VALUES | TYPED | CHOSEN | STEP).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20),
    ).map(lambda pair: pair[0] + b"data: " + pair[1] + b"\n\n"),
    max_size=6,
)


def check_never_raises(decoder: Decoder, body: bytes, at: int) -> None:
    try:
        decoder.feed(body[:at])
        decoder.feed(body[at:])
        decoder.close()
        folded = decoder.answer()
        if folded is not None:
            json.loads(folded[0])
    except Exception as error:
        raise AssertionError from error


@settings(max_examples=150)
@given(FRAMES, st.sampled_from(READING), st.sampled_from([0, 30, 1 << 20]), st.integers(0, 200))
def test_nothing_that_a_provider_sends_raises(frames: list[bytes], name: str, fold_limit: int, at: int) -> None:
    check_never_raises(FORMATS[name].decoder(fold_limit), b"".join(frames), at)


def test_mutant_trusts_the_provider() -> None:
    class Mutant(openai_chat.Decoder):
        def _chunk(self, frame: Any, chunk: dict[str, Any], events: list[Event]) -> None:
            chunk["choices"][0]["delta"]

    with pytest.raises(AssertionError):
        check_never_raises(Mutant(0), stream({}), 0)


@settings(max_examples=100)
@given(FRAMES, st.sampled_from(sorted(set(FORMATS) - {"mlflow.chat"})))
def test_folding_changes_no_event(frames: list[bytes], name: str) -> None:
    check_folding_changes_no_event(FORMATS[name].decoder, b"".join(frames))


def check_folding_changes_no_event(make: Callable[[int], Decoder], body: bytes) -> None:
    plain, folding = make(0), make(1 << 20)
    # A number of thousands of digits, skipped unread without folding, is malformed with it: nothing else may differ.
    assert plain.feed(body) == folding.feed(body)
    assert plain.finished == folding.finished


def test_mutant_without_folding_errors_are_missed() -> None:
    class Mutant(openai_chat.Decoder):
        def _chunk(self, frame: Any, chunk: dict[str, Any], events: list[Event]) -> None:
            if self._fold is not None:
                super()._chunk(frame, chunk, events)

    with pytest.raises(AssertionError):
        check_folding_changes_no_event(Mutant, stream({"error": "x"}))


def test_a_translating_decoder_reads_each_chunk_in_full() -> None:
    assert not mlflow_chat.decoder(0)._thin()
