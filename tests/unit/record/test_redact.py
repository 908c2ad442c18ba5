import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.record import redact as redact_module
from spangate.record.redact import MASK, keep, redact, redact_text

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----"
KEYS = [
    ("sk-", "sk-proj-abc123DEF456ghi789JKL"),
    ("sk-", "sk-ant-api03-abcdefghij0123456789"),
    ("sk-", "sk-" + "abcdefghij" * 3),
    ("sg-", "sg-QvO-onVIwx-lnrahJp4OwZV7Vepqz_a5ZDiz0UFSIHc"),
    ("sk_live_", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    ("AKIA", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("ghp_", "ghp_" + "a1B2" * 9),
    ("github_pat_", "github_pat_" + "11ABCDEFG0123456789_abc"),
    ("glpat-", "glpat-" + "abcdefghij0123456789"),
    ("xoxb-", "xoxb-" + "123456789012-abcdef"),
    ("AIza", "AIza" + "x" * 35),
    ("hf_", "hf_" + "a" * 34),
    ("gsk_", "gsk_" + "a1" * 26),
    ("eyJ", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"),
    ("Bearer ", "Bearer abcdefghij0123456789"),
    ("bearer ", "bearer   abcdefghij0123456789=="),
    ("-----BEGIN RSA PRIVATE KEY-----", PEM),
]


@pytest.mark.parametrize(("left", "key"), KEYS)
@pytest.mark.parametrize("around", ["{}", "my key is {}.", "a={};", "({})", "x\n{}\ny", "\u2028{}", "\t{}", '"{}"'])
def test_masks_in_text_and_in_json(left: str, key: str, around: str) -> None:
    text = around.format(key)
    expected = around.format(left + MASK.decode()) if not key.startswith("bearer ") else None
    masked = redact_text(text)
    assert key not in masked
    assert expected is None or masked == expected
    for ascii_only in (True, False):
        encoded = json.dumps({"content": text, "n": 1}, ensure_ascii=ascii_only).encode()
        decoded = json.loads(redact(encoded))
        assert decoded["n"] == 1
        assert key.splitlines()[-1] not in decoded["content"]
        assert left in decoded["content"]


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn and sk-learn-contrib are libraries",
        "a risk-averse-behaviour-of-24-people is no key",
        "task-1234567890abcdefghij",
        "bearer of very-bad-news-indeed-my-lord",
        "AKIA is short for something, AKIAIOSFODNN7EXAMPLEANDMORE is too long",
        "eyJust.a.word",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "the PRIVATE KEY is elsewhere",
        "grüße 🎉",
    ],
)
def test_leaves_plain_words_alone(text: str) -> None:
    assert redact_text(text) == text
    data = text.encode()
    assert redact(data) is data


def test_masks_a_pem_without_an_end_up_to_the_end_of_its_string() -> None:
    encoded = json.dumps({"a": PEM[:60], "b": 2}).encode()
    assert json.loads(redact(encoded)) == {"a": "-----BEGIN RSA PRIVATE KEY-----***masked***", "b": 2}
    assert redact(PEM[:60].encode()) == b"-----BEGIN RSA PRIVATE KEY-----***masked***"


def test_masks_all_of_many() -> None:
    masked = redact_text(" ".join(key for _, key in KEYS))
    assert not any(key in masked for _, key in KEYS)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_leaves_json_without_keys_as_it_is(value: object) -> None:
    encoded = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert redact(encoded) == encoded


@given(st.lists(st.sampled_from([key for _, key in KEYS]) | st.text(max_size=20), max_size=8), st.booleans())
def test_leaves_json_with_keys_whole(parts: list[str], ascii_only: bool) -> None:
    encoded = json.dumps(parts, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert len(json.loads(redact(encoded))) == len(parts)


def test_keeps_what_fits() -> None:
    assert keep(b"", 10) == (b"", False)
    assert keep(b"0123456789", 10) == (b"0123456789", False)
    assert keep(b"0123456789a", 10) == (b"0123456789", True)
    assert keep(b"x" * 10_000, 10) == (b"x" * 10, True)
    assert keep(b"abc", 0) == (b"", True)


def test_keeps_whole_characters() -> None:
    body = "aé🎉".encode()
    assert [keep(body, limit)[0] for limit in range(8)] == [
        b"",
        b"a",
        b"a",
        "aé".encode(),
        "aé".encode(),
        "aé".encode(),
        "aé".encode(),
        body,
    ]


def test_keeps_no_head_of_a_key_at_the_cut() -> None:
    key = "sk-proj-" + "a1" * 20
    body = b"x" * 90 + b" " + key.encode() + b" " + b"y" * 100
    for limit in range(85, 140):
        kept, truncated = keep(body, limit)
        assert truncated
        assert b"a1" not in kept


def test_is_whole_when_the_mask_made_it_fit() -> None:
    body = b"Bearer " + b"a1" * 40
    assert keep(body, 30) == (b"Bearer ***masked***", False)


def test_cuts_text_with_an_ellipsis() -> None:
    assert redact_text("abcdef", 6) == "abcdef"
    assert redact_text("abcdefg", 6) == "abcde…"
    assert redact_text("x" * 5000, 6) == "xxxxx…"


def test_takes_lone_surrogates() -> None:
    assert redact_text("a\ud800b") == "a���b"


def _slowly(data: bytes) -> bytes:
    for shape in (*redact_module._RUNS, *redact_module._OTHERS):
        data = shape.pattern.sub(redact_module._MASKED, data)
    return data


@given(st.lists(st.sampled_from([key for _, key in KEYS]) | st.text("sk-_AIzaeyJ.a1 /+\n", max_size=40)).map("".join))
def test_masks_what_all_patterns_would(text: str) -> None:
    assert redact(text.encode()) == _slowly(text.encode())
