import base64

import pytest

from spangate import session
from spangate.envelope import Pepper
from spangate.exchange import Caller, SealedKey
from spangate.worker.identity import Nobody, agent, caller

KEY = b"sg-0123456789"
PEPPER = Pepper(bytes(32))
DIGEST = PEPPER.digest(KEY)
NOW = 1_700_000_000_000
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
    assert caller([(b"accept", b"*/*"), header], KEYS, PEPPER, NOW) == Caller(key_id="k-1", name="admin", role="admin", agent="")


def test_the_caller_has_all_that_the_key_has() -> None:
    has = {
        "role": "developer",
        "scopes": ("proxy",),
        "endpoints": frozenset({"e-1"}),
        "experiments": frozenset({"7"}),
        "owner": "ann",
        "team": "search",
    }
    keys = {DIGEST: SealedKey(key_id="k-1", digest=DIGEST, name="ours", **has)}
    headers = [(b"x-api-key", KEY), (b"user-agent", b"OpenAI/Python")]
    assert caller(headers, keys, PEPPER, NOW) == Caller(key_id="k-1", name="ours", agent="OpenAI", **has)


@pytest.mark.parametrize(("left", "known"), [(1, True), (0, False), (-1, False)])
def test_a_key_ends_with_the_moment_that_it_expires_at(left: int, known: bool) -> None:
    keys = {DIGEST: SealedKey(key_id="k-1", digest=DIGEST, name="ours", expires_at=NOW + left)}
    found = caller([(b"x-api-key", KEY)], keys, PEPPER, NOW)
    assert found == (Caller(key_id="k-1", name="ours") if known else Nobody.expired)


def test_an_expired_key_stands_in_no_others_way() -> None:
    old = SealedKey(key_id="k-0", digest=PEPPER.digest(b"old"), name="old", expires_at=NOW)
    found = caller([(b"authorization", b"Bearer old"), (b"x-api-key", KEY)], {old.digest: old, **KEYS}, PEPPER, NOW)
    assert isinstance(found, Caller)


def test_one_known_key_among_several_is_enough() -> None:
    headers = [(b"authorization", b"Bearer the agent's own login"), (b"x-api-key", KEY)]
    assert isinstance(caller(headers, KEYS, PEPPER, NOW), Caller)


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
        [(b"x-api-key", DIGEST)],
    ],
)
def test_lets_nobody_else_in(headers: list[tuple[bytes, bytes]]) -> None:
    assert caller(headers, KEYS, PEPPER, NOW) is Nobody.unknown


COOKIE = (b"cookie", b"spangate_session=" + session.sealed(session.Session(DIGEST, NOW + 1), PEPPER).encode())
OURS = (b"sec-fetch-site", b"same-origin")
ADMIN = Caller(key_id="k-1", name="admin", role="admin", agent="Mozilla")


@pytest.mark.parametrize(
    ("headers", "calls", "reads"),
    [
        ([OURS], ADMIN, ADMIN),
        ([OURS, (b"sec-fetch-dest", b"empty")], ADMIN, ADMIN),
        ([OURS, (b"sec-fetch-dest", b"document")], Nobody.elsewhere, ADMIN),
        ([(b"sec-fetch-site", b"none")], Nobody.elsewhere, ADMIN),
        ([], Nobody.elsewhere, ADMIN),
        ([(b"sec-fetch-site", b"same-site")], Nobody.elsewhere, Nobody.elsewhere),
        ([(b"sec-fetch-site", b"cross-site")], Nobody.elsewhere, Nobody.elsewhere),
        ([(b"origin", b"http://gw:4000")], ADMIN, ADMIN),
        ([(b"origin", b"http://elsewhere")], Nobody.elsewhere, Nobody.elsewhere),
        ([OURS, (b"x-api-key", b"wrong")], Nobody.unknown, Nobody.unknown),
    ],
)
def test_a_session_counts_where_no_key_is_shown_and_a_page_of_ours_asks(
    headers: list[tuple[bytes, bytes]], calls: Caller | Nobody, reads: Caller | Nobody
) -> None:
    said = [(b"host", b"gw:4000"), (b"user-agent", b"Mozilla/5.0"), COOKIE, *headers]
    assert caller(said, KEYS, PEPPER, NOW) == calls
    assert caller(said, KEYS, PEPPER, NOW, reads=True) == reads


def test_a_session_is_over_with_its_time_and_with_its_key() -> None:
    assert caller([COOKIE, OURS], KEYS, PEPPER, NOW + 1) is Nobody.signed_out
    assert caller([COOKIE, OURS], {}, PEPPER, NOW) is Nobody.signed_out
    assert caller([(b"cookie", b"spangate_session=x"), OURS], KEYS, PEPPER, NOW) is Nobody.signed_out
    ended = {DIGEST: SealedKey(key_id="k-1", digest=DIGEST, name="ours", expires_at=NOW)}
    assert caller([COOKIE, OURS], ended, PEPPER, NOW) is Nobody.expired


def test_calls_that_show_a_key_pay_nothing_for_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(session, "shown")
    assert isinstance(caller([COOKIE, OURS, (b"x-api-key", KEY)], KEYS, PEPPER, NOW), Caller)
    assert caller([COOKIE, OURS, (b"x-api-key", b"wrong")], KEYS, PEPPER, NOW) is Nobody.unknown


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
