import base64
import hashlib

import pytest

from spangate.exchange import Caller, SealedKey
from spangate.worker.identity import agent, caller

KEY = b"sg-0123456789"
DIGEST = hashlib.sha256(KEY).digest()
KEYS = {DIGEST: SealedKey(key_id="k-1", digest=DIGEST, name="admin", role="admin")}


def basic(user: bytes, password: bytes) -> bytes:
    return b"Basic " + base64.b64encode(user + b":" + password)


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer " + KEY),
        (b"authorization", b"bearer  " + KEY + b" "),
        (b"authorization", basic(b"me", KEY)),
        (b"authorization", basic(b"", KEY)),
        (b"x-api-key", KEY),
        (b"x-goog-api-key", KEY),
        (b"api-key", b" " + KEY),
    ],
)
def test_finds_the_key_where_the_sdks_put_it(header: tuple[bytes, bytes]) -> None:
    assert caller([(b"accept", b"*/*"), header], KEYS) == Caller(key_id="k-1", name="admin", role="admin", agent="")


def test_the_caller_has_the_scopes_of_the_key() -> None:
    keys = {DIGEST: SealedKey(key_id="k-1", digest=DIGEST, name="ours", role="user", scopes=("proxy",))}
    assert caller([(b"x-api-key", KEY)], keys) == Caller(key_id="k-1", name="ours", role="user", scopes=("proxy",))


def test_one_known_key_among_several_is_enough() -> None:
    headers = [(b"authorization", b"Bearer the agent's own login"), (b"x-api-key", KEY)]
    assert caller(headers, KEYS) is not None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", KEY)],
        [(b"authorization", b"Bearer")],
        [(b"authorization", basic(KEY, b"wrong"))],
        [(b"authorization", b"Basic " + base64.b64encode(KEY))],
        [(b"authorization", b"Basic !!!")],
        [(b"authorization", b"Digest " + KEY)],
        [(b"x-api-key", b"")],
        [(b"cookie", b"key=" + KEY)],
        [(b"x-api-key", KEY[:-1])],
        [(b"x-api-key", hashlib.sha256(KEY).digest())],
    ],
)
def test_lets_nobody_else_in(headers: list[tuple[bytes, bytes]]) -> None:
    assert caller(headers, KEYS) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ""),
        ([(b"user-agent", b"OpenAI/Python 1.2.3")], "OpenAI"),
        ([(b"user-agent", b"curl")], "curl"),
        ([(b"user-agent", b"OpenAI/Python"), (b"x-mlflow-gateway-caller", b" judge ")], "judge"),
        ([(b"x-mlflow-gateway-caller", b" "), (b"user-agent", b"a/1")], "a"),
        ([(b"user-agent", b"\xff" * 500)], "\ufffd" * 200),
    ],
)
def test_knows_what_the_client_calls_itself(headers: list[tuple[bytes, bytes]], expected: str) -> None:
    assert agent(headers) == expected
