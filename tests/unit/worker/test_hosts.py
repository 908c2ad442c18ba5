import pytest

from spangate.worker import hosts
from spangate.worker.hosts import Hosts, allowed_by_default


def verdict(allowed: list[str], host: bytes, **options: bool) -> int | None:
    refusal = Hosts(allowed).refusal(host, **options)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"gw.example", None),
        (b"GW.example.:4000", None),
        (b"a.b.example", None),
        (b"b.example", 421),
        (b"xb.example", 421),
        (b"[::1]:80", None),
        (b"[::2]", 421),
        (b"gw.example.evil.example", 421),
        (b"127.0.0.1", 421),
    ],
)
def test_answers_to_its_names_alone(host: bytes, status: int | None) -> None:
    assert verdict(["gw.example", " *.b.example", "[::1]"], host) == status


@pytest.mark.parametrize(
    "host", [b"", b":80", b"a b", b"a/b", b"a?b", b"a#b", b"u@a", b"a:b", b"a:123456", b"[::1", b"::1", b"a,b", b"a\xff", b"a\\b", b"a%2f"]
)
@pytest.mark.parametrize("known", [True, False])
def test_refuses_what_is_no_name(host: bytes, known: bool) -> None:
    assert verdict(["*"], host, known=known) == 400


def test_any_name_will_do_where_it_does_not_matter() -> None:
    assert verdict(["gw"], b"10.0.0.1:4000", known=False) is None


@pytest.mark.parametrize("listening", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.9", "gw.localhost"])
def test_on_loopback_it_answers_to_loopbacks_names(listening: str) -> None:
    names = Hosts(allowed_by_default(listening))
    for host in (
        b"localhost:4000",
        b"127.0.0.1:4000",
        b"[::1]:4000",
        b"app.localhost",
        listening.encode() if listening != "::1" else b"[::1]",
    ):
        assert names.refusal(host) is None
    assert names.refusal(b"rebound.example") is not None


@pytest.mark.parametrize("listening", ["0.0.0.0", "::", "10.0.0.1", "gw.example"])
def test_elsewhere_it_answers_to_any(listening: str) -> None:
    assert Hosts(allowed_by_default(listening)).refusal(b"whatever.example:80") is None


def test_keeps_no_more_verdicts_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "KNOWN", 2)
    names = Hosts(["a"])
    assert [names.refusal(host) is None for host in (b"a", b"b", b"c", b"a", b"b")] == [True, False, False, True, False]
