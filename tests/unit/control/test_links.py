from spangate.control import links
from spangate.control.links import Kept, Links
from spangate.control.policy import Proof
from spangate.exchange import SealedKey

NOW = 1_700_000_000_000
PROOF = Proof(SealedKey(key_id="k-1", digest=b"digest", name="ann"), ends=NOW + 5)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def test_a_link_is_used_once() -> None:
    made = Links(now=Clock())
    link, other = made.make(PROOF), made.make(PROOF)
    assert link.ends == NOW + 600_000
    assert made.use("nonsense \udcff") is None
    assert made.use(link.token) == Kept(b"digest", NOW + 5, link.ends)
    assert made.use(link.token) is None
    assert made.use(other.token) is not None


def test_a_link_ends() -> None:
    clock = Clock()
    made = Links(now=clock)
    link, early = made.make(PROOF), made.make(PROOF)
    clock.now = link.ends - 1
    assert made.use(early.token) is not None
    clock.now = link.ends
    assert made.use(link.token) is None


def test_whoever_makes_links_without_end_fills_no_memory() -> None:
    made = Links(now=Clock())
    first, *rest = [made.make(PROOF) for _ in range(links.MOST + 1)]
    assert made.use(first.token) is None
    assert all(made.use(link.token) for link in rest)
