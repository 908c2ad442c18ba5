import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from spangate.envelope import Keyring
from spangate.exchange import Alias, Route, SealedKey, SealedRoute, SealedTarget, Snapshot, Target
from spangate.providers import catalog
from spangate.store import secrets as stored
from spangate.worker import snapshots
from spangate.worker.snapshots import Snapshots

KEYRING = Keyring(bytes(32))
ADMIN = SealedKey(key_id="k-1", digest=b"d" * 32, name="admin")


def sealed(name: str, key: str, keyring: Keyring = KEYRING) -> SealedTarget:
    value = keyring.seal(json.dumps({"api_key": key}).encode(), row=f"s-{name}", field=snapshots.FIELD)
    return SealedTarget(
        model_definition_id=f"d-{name}", provider="openai", model="gpt", weight=2.0, fallback_order=1, secret_id=f"s-{name}", sealed=value
    )


def publish(path: Path, version: int, *routes: SealedRoute, aliases: tuple[Alias, ...] = ()) -> None:
    snapshot = Snapshot(version=version, published_at=0, routes=routes, keys=(ADMIN,), aliases=aliases)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.msgpack.encode(snapshot))
    temporary.rename(path)


def route(name: str, *targets: SealedTarget, **changes: object) -> SealedRoute:
    return msgspec.structs.replace(
        SealedRoute(endpoint_id=f"e-{name}", name=name, targets=targets, max_attempts=2, experiment_id="7", created_at=5), **changes
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshot.msgpack"


def test_opens_routes_with_their_credentials(path: Path) -> None:
    publish(path, 3, route("chat", sealed("a", "sk-a")))
    it = Snapshots(path, KEYRING, catalog(), allow_private=True)
    assert it.refresh()
    assert it.routes == {
        "chat": Route(
            endpoint_id="e-chat",
            name="chat",
            targets=(
                Target(
                    model_definition_id="d-a",
                    provider="openai",
                    model="gpt",
                    formats={format: f"https://api.openai.com/v1{end}" for format, end in catalog()["openai"].formats.items()},
                    headers={"authorization": "Bearer sk-a"},
                    base_url="https://api.openai.com/v1",
                    usage_in_stream="ask",
                    weight=2.0,
                    fallback_order=1,
                    secret_id="s-a",
                    allow_private=True,
                ),
            ),
            max_attempts=2,
            experiment_id="7",
            created_at=5,
        )
    }
    assert it.keys == {ADMIN.digest: ADMIN}
    assert (it.version, it.fault) == (3, None)


def test_seals_and_opens_for_the_same_place_as_the_store() -> None:
    assert snapshots.FIELD == stored.FIELD


def test_without_a_file_there_is_nothing_and_no_fault(path: Path) -> None:
    it = Snapshots(path, KEYRING, catalog())
    assert not it.refresh()
    assert (it.version, it.routes, it.fault) == (None, {}, None)


def test_reads_again_only_what_was_replaced(path: Path) -> None:
    publish(path, 1, route("chat", sealed("a", "sk-a")))
    it = Snapshots(path, KEYRING, catalog())
    assert it.refresh()
    assert not it.refresh()
    publish(path, 2)
    assert it.refresh()
    assert (it.version, it.routes) == (2, {})


def test_opens_only_what_is_new(path: Path) -> None:
    opened: list[str] = []

    class Counting(Keyring):
        def open(self, sealed: bytes, *, row: str, field: str) -> bytes:
            opened.append(row)
            return super().open(sealed, row=row, field=field)

    a, b = sealed("a", "sk-a"), sealed("b", "sk-b")
    publish(path, 1, route("one", a), route("two", a), route("three", b))
    it = Snapshots(path, Counting(bytes(32)), catalog())
    it.refresh()
    assert opened == ["s-a", "s-b"]
    before = it.routes
    publish(path, 2, route("one", a), route("two", sealed("a", "sk-new")), route("three", b, experiment_id=None))
    it.refresh()
    assert opened == ["s-a", "s-b", "s-a"]
    assert it.routes["one"] is before["one"], "an endpoint that did not change is not made again"
    assert it.routes["two"].targets[0].headers == {"authorization": "Bearer sk-new"}
    assert it.routes["three"].experiment_id is None
    assert before["two"].targets[0].headers == {"authorization": "Bearer sk-a"}, "calls that are under way keep what they have"


def test_an_alias_means_an_endpoint_as_long_as_the_snapshot_says_so(path: Path) -> None:
    it = Snapshots(path, KEYRING, catalog())
    aliases = (Alias(pattern="gpt-*", endpoint="one"), Alias(pattern="claude", endpoint="two"))
    publish(path, 1, route("one", sealed("a", "sk-a")), aliases=aliases)
    it.refresh()
    assert (it.routes.find("gpt-5"), it.routes.find("claude")) == (it.routes["one"], None)
    publish(path, 2, route("one", sealed("a", "sk-a")), route("two", sealed("a", "sk-a")), aliases=aliases[1:])
    it.refresh()
    assert (it.routes.find("gpt-5"), it.routes.find("claude")) == (None, it.routes["two"])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (sealed("a", "sk-a", Keyring(b"x" * 32)), "cannot be opened"),
        (msgspec.structs.replace(sealed("a", "sk-a"), secret_id="s-other"), "cannot be opened"),
        (msgspec.structs.replace(sealed("a", "sk-a"), sealed=b"short"), "cannot be opened"),
        (msgspec.structs.replace(sealed("a", "sk-a"), sealed=b"", secret_id=None), "no secret"),
        (msgspec.structs.replace(sealed("a", "sk-a"), provider="nobody"), "nobody"),
    ],
    ids=["other key", "other row", "damaged", "no secret", "unknown provider"],
)
def test_what_cannot_be_called_says_why_and_harms_no_other(path: Path, target: SealedTarget, words: str) -> None:
    publish(path, 1, route("bad", target), route("good", sealed("b", "sk-b")))
    it = Snapshots(path, KEYRING, catalog())
    assert it.refresh()
    bad = it.routes["bad"].targets[0]
    assert words in (bad.problem or "")
    assert "authorization" not in bad.headers
    assert it.routes["good"].targets[0].problem is None


def test_a_damaged_file_leaves_the_routes_in_force(path: Path) -> None:
    publish(path, 1, route("chat", sealed("a", "sk-a")))
    it = Snapshots(path, KEYRING, catalog())
    it.refresh()
    path.write_bytes(b"\xc1 no msgpack")
    assert not it.refresh()
    assert it.routes.keys() == {"chat"}
    assert (it.fault or "").startswith("snapshot: damaged")
    publish(path, 2, route("chat", sealed("a", "sk-a")))
    assert it.refresh()
    assert it.fault is None


def test_an_unreadable_file_is_a_fault(path: Path) -> None:
    path.mkdir()
    it = Snapshots(path, KEYRING, catalog())
    assert not it.refresh()
    assert (it.fault or "").startswith("snapshot: cannot be read")


async def test_follows_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "INTERVAL", 0.0)
    it = Snapshots(path, KEYRING, catalog())
    following = asyncio.create_task(it.follow())
    publish(path, 9)
    async with asyncio.timeout(5):
        while it.version != 9:
            await asyncio.sleep(0)
    following.cancel()
