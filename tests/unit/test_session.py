import base64

import pytest

from spangate.envelope import Pepper
from spangate.session import Session, fetched, name, opened, ours, sealed, shown

PEPPER = Pepper(bytes(32))
NOW = 1_700_000_000_000
SESSION = Session(digest=PEPPER.digest(b"sg-key"), ends=NOW + 1)
VALUE = sealed(SESSION, PEPPER)


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": f"spangate_session={VALUE}"},
        {"cookie": f"theme=dark; spangate_session={VALUE};a=b"},
        {"cookie": f"spangate_session=of-somebody-else; spangate_session={VALUE}"},
        {"cookie": f"__Host-spangate_session={VALUE}", "x-forwarded-proto": "https"},
        {"cookie": f"__Host-spangate_session={VALUE}", "x-forwarded-proto": "HTTPS, http"},
    ],
)
def test_what_was_sealed_is_opened_wherever_it_stands(headers: dict[str, str]) -> None:
    assert shown(headers)
    assert opened(headers, PEPPER, NOW) == SESSION
    assert opened(headers, PEPPER, NOW + 1) is None, "it is over"


def test_it_is_opened_with_the_same_pepper_alone() -> None:
    assert opened({"cookie": f"spangate_session={VALUE}"}, Pepper(bytes(31) + b"1"), NOW) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cookie": ""},
        {"cookie": "spangate_session"},
        {"cookie": f"session={VALUE}"},
        {"cookie": f"__Host-spangate_session={VALUE}"},
        {"cookie": f"spangate_session={VALUE}", "x-forwarded-proto": "https"},
    ],
    ids=["nothing", "empty", "no value", "another", "https' over http", "http's over https"],
)
def test_another_cookie_is_none(headers: dict[str, str]) -> None:
    assert not shown(headers)
    assert opened(headers, PEPPER, NOW) is None


@pytest.mark.parametrize("value", ["", "x", "é" * 96, "!" * 96, "A" * 96, VALUE[:-1], VALUE + "A", VALUE + "===="])
def test_nonsense_is_no_session(value: str) -> None:
    assert opened({"cookie": f"spangate_session={value}"}, PEPPER, NOW) is None


def test_not_one_bit_of_it_can_be_another() -> None:
    whole = base64.urlsafe_b64decode(VALUE)
    for at in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        value = base64.urlsafe_b64encode(changed).decode()
        assert opened({"cookie": f"spangate_session={value}"}, PEPPER, NOW) is None, at


def test_the_digest_of_a_key_is_no_tag() -> None:
    said = base64.urlsafe_b64decode(VALUE)[:40]
    forged = base64.urlsafe_b64encode(said + PEPPER.digest(said)).decode()
    assert opened({"cookie": f"spangate_session={forged}"}, PEPPER, NOW) is None


def test_over_https_the_cookie_is_this_hosts_alone() -> None:
    assert name({"x-forwarded-proto": "https"}) == "__Host-spangate_session"
    assert name({}) == "spangate_session"


HERE = {"host": "gw:4000"}


@pytest.mark.parametrize(
    ("headers", "reads", "changes", "calls"),
    [
        ({"sec-fetch-site": "same-origin"}, True, True, True),
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}, True, True, True),
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "document"}, True, True, False),
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "script"}, True, True, False),
        ({"sec-fetch-site": "none", "sec-fetch-dest": "document"}, True, False, False),
        ({"sec-fetch-site": "same-site"}, False, False, False),
        ({"sec-fetch-site": "cross-site"}, False, False, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://gw:4000"}, False, False, False),
        ({"origin": "http://gw:4000"}, True, True, True),
        ({"origin": "HTTP://GW:4000"}, True, True, True),
        ({"origin": "http://gw:4001"}, False, False, False),
        ({"origin": "https://gw:4000"}, False, False, False),
        ({"origin": "https://gw:4000", "x-forwarded-proto": "https"}, True, True, True),
        ({"origin": "http://gw:4000", "x-forwarded-proto": "https"}, False, False, False),
        ({"origin": "null"}, False, False, False),
        ({}, True, False, False),
    ],
)
def test_who_asked_is_what_the_browser_says(headers: dict[str, str], reads: bool, changes: bool, calls: bool) -> None:
    said = HERE | headers
    assert (ours(said, safe=True), ours(said, safe=False), fetched(said)) == (reads, changes, calls)
