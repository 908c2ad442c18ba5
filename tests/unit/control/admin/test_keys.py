"""Keys over HTTP: shown once, and in force, changed and revoked before the answer is sent."""

import datetime
import re
from typing import Any

import httpx
import msgspec
import pytest

from spangate.exchange import Snapshot
from spangate.store import keys
from spangate.store.engine import Database

PATH = "/api/v1/keys"


def made(http: httpx.Client, name: str = "bot", **said: Any) -> dict[str, Any]:
    answered = http.post(PATH, json={"name": name, **said})
    assert answered.status_code == 200, answered.text
    return answered.json()


def asked(gateway: Any, key: str, path: str = "/api/v1/providers") -> httpx.Response:
    return httpx.get(gateway.url + path, headers={"x-api-key": key}, trust_env=False)


def snapshot(gateway: Any) -> Snapshot:
    return msgspec.msgpack.decode(gateway.settings.snapshot_file.read_bytes(), type=Snapshot)


def test_a_key_is_told_when_it_is_made_and_never_again(gateway: Any, http: httpx.Client) -> None:
    told = made(http, role="viewer", owner="ann", team="search", tags={"a": "b"}, experiments=["0"], expires_at="2099-01-01T01:00:00+01:00")
    assert re.fullmatch(r"sg-[\w-]{43}", told["key"])
    key = told.pop("key")
    assert told == {
        "key_id": told["key_id"],
        "name": "bot",
        "hint": f"{key[:7]}...{key[-4:]}",
        "role": "viewer",
        "scopes": [],
        "endpoints": None,
        "experiments": ["0"],
        "owner": "ann",
        "team": "search",
        "tags": {"a": "b"},
        "expires_at": "2099-01-01T00:00:00Z",
        "revoked_at": None,
        "last_used_at": None,
        "created_at": told["created_at"],
        "updated_at": told["created_at"],
        "created_by": "admin",
        "updated_by": "admin",
    }
    assert http.get(f"{PATH}/{told['key_id']}").json() == told
    assert http.get(PATH).json() == {"keys": [told]}
    assert asked(gateway, key).status_code == 200


def test_the_key_is_in_no_file(gateway: Any, http: httpx.Client) -> None:
    key = made(http)["key"].encode()
    asked(gateway, key.decode())
    gateway.control.noting.once()
    written = {path: path.read_bytes() for path in gateway.settings.data_dir.rglob("*") if path.is_file()}
    assert [path for path, content in written.items() if key in content] == []
    assert b"bot" in written[gateway.settings.snapshot_file], "it was looked for where it would be"


def test_the_snapshot_has_what_workers_judge_by(gateway: Any, http: httpx.Client) -> None:
    told = made(http, scopes=["proxy"], endpoints=[], owner="ann", team="search", expires_at="2099-01-01T00:00:00Z")
    admin, key = snapshot(gateway).keys
    assert admin.name == "admin"
    assert key == msgspec.structs.replace(
        admin,
        key_id=told["key_id"],
        name="bot",
        digest=gateway.control.pepper.digest(told["key"].encode()),
        role="developer",
        scopes=("proxy",),
        endpoints=frozenset(),
        owner="ann",
        team="search",
        expires_at=round(datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000),
    )
    assert snapshot(gateway).pepper == gateway.control.pepper.fingerprint


def test_a_revoked_key_is_out_of_the_snapshot_when_the_answer_comes(gateway: Any, http: httpx.Client) -> None:
    told = made(http)
    revoked = http.post(f"{PATH}/{told['key_id']}/revoke").json()
    assert [key.name for key in snapshot(gateway).keys] == ["admin"]
    refused = asked(gateway, told["key"])
    assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert "not known here" in refused.json()["message"]
    assert revoked["revoked_at"] is not None
    assert http.get(PATH).json() == {"keys": []}
    assert http.get(PATH, params={"revoked": True}).json() == {"keys": [revoked]}
    again = http.post(PATH, json={"name": "bot"})
    assert (again.status_code, again.json()["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")


def test_a_key_may_revoke_itself_and_the_admins_own_goes_on(gateway: Any, http: httpx.Client) -> None:
    told = made(http, role="admin")
    with httpx.Client(base_url=gateway.url, headers={"x-api-key": told["key"]}, trust_env=False) as itself:
        assert itself.post(f"{PATH}/{told['key_id']}/revoke").json()["updated_by"] == "bot"
        assert itself.get(PATH).status_code == 401
    assert http.get(PATH).status_code == 200


def test_what_another_host_revoked_is_refused_once_it_is_seen(gateway: Any, http: httpx.Client) -> None:
    told = made(http)
    elsewhere = Database(gateway.settings.database_url)
    with elsewhere.write() as connection:
        keys.revoke(connection, told["key_id"], now=1)
    elsewhere.close()
    gateway.control.publishing.once()
    assert asked(gateway, told["key"]).status_code == 401


def test_the_chore_looks_more_than_once_a_second(gateway: Any) -> None:
    assert gateway.control.publishing._pause <= 0.5


def test_in_a_change_absent_is_not_null(gateway: Any, http: httpx.Client) -> None:
    told = made(http, owner="ann", team="search", tags={"a": "b"}, endpoints=[], expires_at="2099-01-01T00:00:00Z")
    path = f"{PATH}/{told['key_id']}"
    changed = http.patch(path, json={"owner": None, "role": "viewer"}).json()
    assert (changed["owner"], changed["role"]) == (None, "viewer")
    assert {field: changed[field] for field in ("team", "tags", "endpoints", "expires_at")} == {
        field: told[field] for field in ("team", "tags", "endpoints", "expires_at")
    }
    changed = http.patch(path, json={"endpoints": None, "tags": {}, "expires_at": None}).json()
    assert (changed["endpoints"], changed["tags"], changed["expires_at"], changed["role"]) == (None, {}, None, "viewer")
    assert snapshot(gateway).keys[1].role == "viewer"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": "b", "role": "root"}, "role"),
        ({"name": "b", "role": None}, "role"),
        ({"name": "b", "scopes": ["all"]}, "scopes"),
        ({"name": "b", "endpoints": ["e-none"]}, "There is no endpoint with id 'e-none'"),
        ({"name": "b", "experiments": ["12"]}, "There is no experiment with id '12'"),
        ({"name": "b", "expires_at": "2001-01-01T00:00:00Z"}, "has passed already"),
        ({"name": "b", "expires_at": "2099-01-01T00:00:00"}, "timezone"),
        ({"name": "b", "tags": {"a": 1}}, "tags"),
        ({"name": "b", "owners": "x"}, "owners"),
        ({"owner": "ann"}, "name"),
        ({"name": "admin"}, "'admin'"),
    ],
)
def test_a_slip_is_a_clear_400_and_no_key(bare: httpx.Client, said: dict[str, Any], words: str) -> None:
    refused = bare.post(PATH, json=said)
    assert (refused.status_code, words in refused.json()["message"]) == (400, True), refused.text
    assert bare.get(PATH).json() == {"keys": []}


def test_a_key_that_is_not_there(http: httpx.Client) -> None:
    for answered in (http.get(f"{PATH}/k-1"), http.patch(f"{PATH}/k-1", json={"owner": "a"}), http.post(f"{PATH}/k-1/revoke")):
        assert (answered.status_code, answered.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_an_expired_key_is_told_so_and_is_listed_when_asked_for(gateway: Any, http: httpx.Client) -> None:
    told = made(http, expires_at="2099-01-01T00:00:00Z")
    with gateway.control.database.write() as connection:
        keys.update(connection, told["key_id"], expires_at=2, now=1)
    gateway.control.publishing.once()
    refused = asked(gateway, told["key"])
    assert (refused.status_code, "has expired" in refused.json()["message"]) == (401, True)
    assert http.get(PATH).json() == {"keys": []}
    assert [key["name"] for key in http.get(PATH, params={"expired": True}).json()["keys"]] == ["bot"]


def test_the_last_use_is_noted_in_memory_and_kept_by_the_chore(gateway: Any, http: httpx.Client) -> None:
    told = made(http)
    asked(gateway, told["key"])
    assert http.get(f"{PATH}/{told['key_id']}").json()["last_used_at"] is None
    gateway.control.noting.once()
    assert http.get(f"{PATH}/{told['key_id']}").json()["last_used_at"] >= told["created_at"]
