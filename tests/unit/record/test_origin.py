import pytest

from spangate.record.origin import LONGEST, NOWHERE, Origin, kept, of_body, of_headers

HASH = "c4d2" * 16
ACCOUNT, SESSION = "0b5f7c1e-91d2-4a7e-8a55-6d3c2b1a0f9e", "7f3e9a10-5c44-4e7b-9b1d-2f0c8d6e4a31"


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ([], NOWHERE),
        ([(b"host", b"gw"), (b"user-agent", b"x")], NOWHERE),
        ([(b"x-spangate-session", b"s-1"), (b"x-spangate-user", b"ann@example.com")], Origin("s-1", "ann@example.com")),
        ([(b"x-spangate-user", "Zoë 🙂".encode())], Origin(None, "Zoë 🙂")),
        ([(b"x-claude-code-session-id", SESSION.encode())], Origin(SESSION)),
        ([(b"session-id", b"codex-1"), (b"thread-id", b"t-1")], Origin("codex-1")),
        ([(b"session_id", b"codex-0")], Origin("codex-0")),
        ([(b"session-id", b"theirs"), (b"x-spangate-session", b"ours")], Origin("ours")),
        ([(b"session-id", b"theirs"), (b"x-spangate-session", b"  ")], Origin("theirs")),
        ([(b"x-gemini-api-privileged-user-id", b"install-1")], Origin(None, "install-1")),
        ([(b"x-spangate-session", b"\xff\xfe")], Origin("��")),
    ],
)
def test_headers_say(headers: list[tuple[bytes, bytes]], origin: Origin) -> None:
    assert of_headers(headers) == origin


@pytest.mark.parametrize(
    ("body", "origin"),
    [
        ({}, NOWHERE),
        ({"user": "ann"}, Origin(None, "ann")),
        ({"user": "ann", "safety_identifier": "hash-1"}, Origin(None, "hash-1")),
        ({"metadata": {"user_id": "u-1", "session_id": "s-1"}}, Origin("s-1", "u-1")),
        ({"session_id": "s-2", "user": "ann"}, Origin("s-2", "ann")),
        ({"conversation": "conv_1"}, Origin("conv_1")),
        ({"conversation": {"id": "conv_2"}}, Origin("conv_2")),
        ({"prompt_cache_key": "prefix-1"}, NOWHERE),
        ({"metadata": {"user_id": f"user_{HASH}_account_{ACCOUNT}_session_{SESSION}"}}, Origin(SESSION, ACCOUNT)),
        ({"metadata": {"user_id": f"user_{HASH}_account__session_{SESSION}"}}, Origin(SESSION, HASH)),
        (
            {"metadata": {"user_id": f'{{"device_id":"{HASH}","account_uuid":"{ACCOUNT}","session_id":"{SESSION}"}}'}},
            Origin(SESSION, ACCOUNT),
        ),
        ({"metadata": {"user_id": f'{{"device_id":"{HASH}","account_uuid":"","session_id":"{SESSION}"}}'}}, Origin(SESSION, HASH)),
        ({"metadata": {"user_id": "{not json"}}, Origin(None, "{not json")),
        ({"metadata": {"user_id": '{"name": "ann"}'}}, Origin(None, '{"name": "ann"}')),
        ({"metadata": {"user_id": 7, "session_id": ["s"]}, "user": None, "conversation": 3, "session_id": {}}, NOWHERE),
        ({"metadata": "text", "user": " \t"}, NOWHERE),
        ({"user": "a\x00b\ud83d"}, Origin(None, "ab�")),
    ],
)
def test_a_body_says(body: dict[str, object], origin: Origin) -> None:
    assert of_body(body) == origin


def test_it_is_bounded_and_holds_nobodys_key() -> None:
    key = "sk-ant-api03-" + "a1B2" * 10
    assert of_headers([(b"x-spangate-session", b"s" * 1000)]).session_id == "s" * (LONGEST - 1) + "…"
    said = of_body({"user": key, "metadata": {"session_id": f"x {key} y"}})
    assert said == Origin("x sk-***masked*** y", "sk-***masked***")
    assert (kept(key), kept("ann"), kept(" ")) == ("sk-***masked***", "ann", None)
