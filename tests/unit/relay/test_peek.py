"""What is read of a request, what is refused, and that nothing but the model name changes."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.relay.peek import Peek, patch, peek
from spangate.wire.problems import Refusal

Patch = Callable[..., bytes]


def patched(body: bytes, *, model: str = "gpt", ask_usage: bool = False, by: Patch = patch) -> bytes:
    return by(body, peek(body), model=model, ask_usage=ask_usage)


@pytest.mark.parametrize(
    ("body", "model", "stream", "include_usage"),
    [
        (b"{}", None, False, None),
        (b' \r\n\t{ "model" : "a" } \n', "a", False, None),
        (b'{"model":null,"stream":null}', None, False, None),
        (b'{"stream":true,"model":"a"}', "a", True, None),
        (b'{"stream":false}', None, False, None),
        (b'{"mo\\u0064el":"\\u0061\\n"}', "a\n", False, None),
        (b'{"messages":[{"model":"x","stream":true}],"model":"a"}', "a", False, None),
        (b'{"text":"\\"model\\":\\"x\\"","model":"a"}', "a", False, None),
        (b'{"a\\\\":1,"model":"a"}', "a", False, None),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None, True, True),
        (b'{"stream_options":{"x":1,"include_usage":false}}', None, False, False),
        (b'{"stream_options":{"include_usage":null}}', None, False, None),
        (b'{"stream_options":{}}', None, False, None),
        (b'{"stream_options":5}', None, False, None),
        (b'{"n":1,"m":1,"k":12,"1":1,"12":12}', None, False, None),
    ],
)
def test_it_reads(body: bytes, model: str | None, stream: bool, include_usage: bool | None) -> None:
    seen = peek(body)
    assert (seen.model, seen.stream, seen.include_usage) == (model, stream, include_usage)


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("body", "kind", "param", "words"),
    [
        (b"", "invalid_json", None, "is not valid JSON"),
        (b"{", "invalid_json", None, "is not valid JSON"),
        (b"[]", "invalid_json", None, "must be a JSON object"),
        (b"5", "invalid_json", None, "must be a JSON object"),
        (b"null", "invalid_json", None, "must be a JSON object"),
        (b'"x"', "invalid_json", None, "must be a JSON object"),
        (b"\xef\xbb\xbf{}", "invalid_json", None, "is not valid JSON"),
        (b'{"a":1} {}', "invalid_json", None, "is not valid JSON"),
        (b'{"a":1,}', "invalid_json", None, "is not valid JSON"),
        (b'{"a":NaN}', "invalid_json", None, "NaN, Infinity or half of a surrogate pair"),
        (b'{"a":-Infinity}', "invalid_json", None, "NaN, Infinity or half of a surrogate pair"),
        (b'{"a":"\\ud800"}', "invalid_json", None, "NaN, Infinity or half of a surrogate pair"),
        (b'{"\\ud800":1}', "invalid_json", None, "NaN, Infinity or half of a surrogate pair"),
        (b'{"model":"\\udc00x"}', "invalid_json", None, "half of a surrogate pair"),
        (b'{"\xff":1}', "invalid_json", None, "it is not UTF-8"),
        (b'{"model":"\xff"}', "invalid_model", "model", "`model` must be a string"),
        (b'{"a":' + DEEP + b"}", "too_deep", None, "nested too deeply"),
        (DEEP, "too_deep", None, "nested too deeply"),
        (b'{"a":' + b"[" * 100_000, "too_deep", None, "nested too deeply"),
        (b'{"model":5}', "invalid_model", "model", "`model` must be a string"),
        (b'{"model":{}}', "invalid_model", "model", "`model` must be a string"),
        (b'{"model":["a"]}', "invalid_model", "model", "`model` must be a string"),
        (b'{"stream":"true"}', "invalid_stream", "stream", "`stream` must be true, false or null"),
        (b'{"stream":1}', "invalid_stream", "stream", "`stream` must be true, false or null"),
        (b'{"stream":[]}', "invalid_stream", "stream", "`stream` must be true, false or null"),
        (b'{"model":"a","model":"a"}', "duplicate_key", "model", 'says "model" twice'),
        (b'{"model":"a","model":"b"}', "duplicate_key", "model", 'says "model" twice'),
        (b'{"model":"a","mo\\u0064el":"b"}', "duplicate_key", "model", 'says "model" twice'),
        (b'{"stream":true,"stream":false}', "duplicate_key", "stream", 'says "stream" twice'),
        (b'{"n":12,"n":1}', "duplicate_key", "n", 'says "n" twice'),
        (b'{"n":1,"n":12}', "duplicate_key", "n", 'says "n" twice'),
        (b'{"a":[1],"b":2,"a":[1]}', "duplicate_key", "a", 'says "a" twice'),
        (b'{"stream_options":{"include_usage":true,"include_usage":false}}', "duplicate_key", "include_usage", "`stream_options` says"),
    ],
)
def test_it_refuses(body: bytes, kind: str, param: str | None, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        peek(body)
    assert (caught.value.status, caught.value.kind, caught.value.param) == (400, kind, param)
    assert words in caught.value.message


def test_a_long_duplicate_key_is_cut_in_the_words() -> None:
    key = b'"' + b"k" * 5000 + b'":1'
    with pytest.raises(Refusal) as caught:
        peek(b"{" + key + b"," + key + b"}")
    assert len(caught.value.message) < 200


def test_broken_utf8_within_a_nested_string_passes_untouched() -> None:
    body = b'{"messages":["\xff\xfe"],"model":"a"}'
    assert patched(body) == b'{"messages":["\xff\xfe"],"model":"gpt"}'


@pytest.mark.parametrize(
    ("body", "out"),
    [
        (b'{"model":"a"}', b'{"model":"gpt"}'),
        (b' { "x" : 1e5 , "model"\t:\n"a" }\n', b' { "x" : 1e5 , "model"\t:\n"gpt" }\n'),
        (b'{"mo\\u0064el":"a"}', b'{"mo\\u0064el":"gpt"}'),
        (b'{"model":null}', b'{"model":"gpt"}'),
        (b"{}", b'{"model":"gpt"}'),
        (b'{ "x":1}', b'{"model":"gpt", "x":1}'),
    ],
)
def test_the_model_name_is_spliced(body: bytes, out: bytes) -> None:
    assert patched(body) == out


def test_a_model_name_is_quoted() -> None:
    assert patched(b'{"model":"a"}', model='x"\\é\n') == '{"model":"x\\"\\\\é\\n"}'.encode()


@pytest.mark.parametrize(
    ("body", "out"),
    [
        (b'{"model":"a"}', b'{"stream_options":{"include_usage":true},"model":"gpt"}'),
        (b"{}", b'{"model":"gpt","stream_options":{"include_usage":true}}'),
        (b'{"model":"a","stream_options":null}', b'{"model":"gpt","stream_options":{"include_usage":true}}'),
        (b'{"model":"a","stream_options": { } }', b'{"model":"gpt","stream_options": {"include_usage":true } }'),
        (b'{"stream_options":{"x":1},"model":"a"}', b'{"stream_options":{"include_usage":true,"x":1},"model":"gpt"}'),
        (b'{"stream_options":{"include_usage": false}}', b'{"model":"gpt","stream_options":{"include_usage": true}}'),
        (b'{"stream_options":{"include_usage":null}}', b'{"model":"gpt","stream_options":{"include_usage":true}}'),
        (b'{"stream_options":{"include_usage":"x"}}', b'{"model":"gpt","stream_options":{"include_usage":true}}'),
        (b'{"model":"a","stream_options":{"include_usage" :true}}', b'{"model":"gpt","stream_options":{"include_usage" :true}}'),
        (b'{"model":"a","stream_options":[1]}', b'{"model":"gpt","stream_options":[1]}'),
    ],
)
def test_usage_is_asked_for(body: bytes, out: bytes) -> None:
    assert patched(body, ask_usage=True) == out


# ---------------------------------------------------------------- any body

BLANK = st.text(alphabet=" \t\n\r", max_size=3)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def strings(draw: st.DrawFn, text: st.SearchStrategy[str] = TEXT) -> str:
    """A JSON string in any spelling: raw, or escaped in either way."""
    out: list[str] = []
    for character in draw(text):
        plain = json.dumps(character)[1:-1] if character in '"\\' or ord(character) < 32 else character
        escaped = "".join(f"\\u{int.from_bytes(unit, 'big'):04x}" for unit in units(character))
        out.append(draw(st.sampled_from([plain, escaped])))
    return '"' + "".join(out) + '"'


def units(character: str) -> list[bytes]:
    wide = character.encode("utf-16-be")
    return [wide[at : at + 2] for at in range(0, len(wide), 2)]


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    """JSON text with odd blanks; nested objects may say a key twice."""
    kind = draw(st.integers(0, 5 if depth else 3))
    if kind == 0:
        return draw(st.sampled_from(["null", "true", "false", "0", "-0", "1", "12", "1e5", "-1.50E+3", "123456789012345678901234567890"]))
    if kind <= 3:
        return draw(strings())
    inner = draw(st.lists(values(depth - 1), max_size=3))
    pads = [draw(BLANK) for _ in range(6)]
    if kind == 4:
        return "[" + pads[0] + ",".join(pads[1] + item + pads[2] for item in inner) + "]"
    keys = [draw(strings(st.sampled_from(["model", "stream", "a"]))) for _ in inner]
    return "{" + pads[0] + ",".join(pads[1] + key + pads[2] + ":" + pads[3] + item for key, item in zip(keys, inner, strict=True)) + "}"


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, str]:
    """(what stands before the model's value, what stands after, the name)."""
    names = draw(st.lists(TEXT.filter(lambda name: name not in ("model", "stream", "stream_options")), unique=True, max_size=4))
    members = [(draw(strings(st.just(name))), draw(values())) for name in names]
    if draw(st.booleans()):
        members.append((draw(strings(st.just("stream"))), draw(st.sampled_from(["true", "false", "null"]))))
    members = draw(st.permutations(members))
    at = draw(st.integers(0, len(members)))
    name = draw(TEXT)
    written = [draw(BLANK) + key + draw(BLANK) + ":" + draw(BLANK) + value + draw(BLANK) for key, value in members]
    key = draw(BLANK) + draw(strings(st.just("model"))) + draw(BLANK) + ":" + draw(BLANK)
    before = draw(BLANK) + "{" + "".join(member + "," for member in written[:at]) + key
    after = draw(BLANK) + "".join("," + member for member in written[at:]) + "}" + draw(BLANK)
    return before.encode(), after.encode(), name


def check_only_the_model_changes(by: Patch, before: bytes, after: bytes, name: str) -> None:
    body = before + json.dumps(name, ensure_ascii=False).encode() + after
    assert peek(body).model == name
    assert patched(body, model="other", by=by) == before + b'"other"' + after


@given(bodies())
def test_all_bytes_but_the_model_name_are_equal(body: tuple[bytes, bytes, str]) -> None:
    check_only_the_model_changes(patch, *body)


def reencodes(body: bytes, seen: Peek, *, model: str, ask_usage: bool) -> bytes:
    return json.dumps({**json.loads(body), "model": model}).encode()


def finds_by_pattern(body: bytes, seen: Peek, *, model: str, ask_usage: bool) -> bytes:
    return re.sub(rb'("model"\s*:\s*)"[^"]*"', rb'\1"other"', body, count=1)


@pytest.mark.parametrize("mutant", [reencodes, finds_by_pattern])
def test_mutants_of_the_splice(mutant: Patch) -> None:
    with pytest.raises(AssertionError):
        check_only_the_model_changes(mutant, b'{"a": {"model":"x"},"model":', b"}", "m")


@given(bodies(), st.booleans())
def test_asking_for_usage_changes_nothing_else(body: tuple[bytes, bytes, str], asked: bool) -> None:
    before, after, _ = body
    whole = before + b'"m"' + after
    wanted = b'{"include_usage":true}'
    assert patched(whole, model="m", ask_usage=True).replace(b'"stream_options":' + wanted + b",", b"", 1) == whole
    inside = whole.index(b"{") + 1
    given_options = whole[:inside] + b'"stream_options":' + (wanted if asked else b"null") + b"," + whole[inside:]
    assert patched(given_options, model="m", ask_usage=True) == whole[:inside] + b'"stream_options":' + wanted + b"," + whole[inside:]


def check_sees_what_python_sees(see: Callable[[bytes], Peek], body: bytes) -> None:
    """Refuses, or agrees with another parser that takes note of keys said twice."""
    pairs: list[tuple[str, object]] = []
    try:
        seen = see(body)
    except Refusal:
        return
    try:
        json.loads(body.decode("utf-8", "replace"), object_pairs_hook=lambda found: pairs.clear() or pairs.extend(found))  # type: ignore[func-returns-value]
    except ValueError as error:  # only what Python does not read at all may differ: a number of thousands of digits
        raise AssertionError from error
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    assert seen.model == dict(pairs).get("model")
    assert seen.stream == bool(dict(pairs).get("stream"))


ANY = st.one_of(
    st.binary(max_size=40),
    st.text(alphabet='{}[]":,\\ truefalsn0123model\ud800u', max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.tuples(st.sampled_from(["model", "stream", "a"]), values()), max_size=3).map(
        lambda members: ("{" + ",".join(f'"{name}":{value}' for name, value in members) + "}").encode()
    ),
)


@given(ANY)
def test_any_body_is_refused_or_read_as_others_read_it(body: bytes) -> None:
    check_sees_what_python_sees(peek, body)


def test_mutant_takes_the_last_of_two() -> None:
    def mutant(body: bytes) -> Peek:
        last = json.loads(body)
        return Peek(model=last.get("model"), stream=bool(last.get("stream")), include_usage=None, inside=1, empty=False)

    with pytest.raises(AssertionError):
        check_sees_what_python_sees(mutant, b'{"model":"a","model":"b"}')
