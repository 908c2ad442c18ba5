import re
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import Connection
from tests.unit.store.given import T0, house

from spangate.envelope import Pepper
from spangate.exchange import SealedKey
from spangate.store import endpoints, experiments, keys, schema
from spangate.store.engine import Database, version
from spangate.store.faults import AlreadyExists, Invalid, NotFound
from spangate.store.keys import Key

PEPPER = Pepper(bytes(range(32)))
OTHER = Pepper(bytes(32))


def make(connection: Connection, name: str = "bot", **said: Any) -> Key:
    return keys.create(connection, PEPPER, **({"name": name, "now": T0} | said))[0]


def test_a_key_is_told_once_and_kept_as_a_digest(database: Database) -> None:
    with database.write() as connection:
        endpoint_id = house(connection).endpoint.endpoint_id
        made, key = keys.create(
            connection,
            PEPPER,
            name="bot",
            role="viewer",
            scopes=["proxy", "proxy"],
            endpoints=[endpoint_id, endpoint_id],
            experiments=["1", "0"],
            owner="ann",
            team="search",
            tags={"product": "böt", "env": "prod"},
            expires_at=T0 + 1,
            by="root",
            now=T0,
        )
    assert re.fullmatch(r"sg-[A-Za-z0-9_-]{43}", key)
    assert made == Key(
        key_id=made.key_id,
        name="bot",
        hint=f"{key[:7]}...{key[-4:]}",
        role="viewer",
        scopes=("proxy",),
        endpoints=(endpoint_id,),
        experiments=("1", "0"),
        owner="ann",
        team="search",
        tags={"env": "prod", "product": "böt"},
        expires_at=T0 + 1,
        revoked_at=None,
        last_used_at=None,
        created_at=T0,
        updated_at=T0,
        created_by="root",
        updated_by="root",
    )
    with database.read() as connection:
        assert keys.get(connection, made.key_id) == made
        rows = [*connection.execute(sa.select(schema.api_keys)), *connection.execute(sa.select(schema.api_key_tags))]
        assert key not in str(rows)
        assert keys.sealed(connection) == [
            SealedKey(
                key_id=made.key_id,
                digest=PEPPER.digest(key.encode()),
                name="bot",
                role="viewer",
                scopes=("proxy",),
                endpoints=frozenset({endpoint_id}),
                experiments=frozenset({"0", "1"}),
                owner="ann",
                team="search",
                expires_at=T0 + 1,
            )
        ]


def test_a_key_of_which_only_a_name_is_said_is_a_developers_for_everything(database: Database) -> None:
    with database.write() as connection:
        made = make(connection)
    assert (made.role, made.scopes, made.endpoints, made.experiments, made.tags) == ("developer", (), None, None, {})


def test_no_two_keys_are_alike(database: Database) -> None:
    with database.write() as connection:
        assert len({keys.create(connection, PEPPER, name=f"k{no}", now=T0)[1] for no in range(20)}) == 20


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": ""}, "Missing value for required parameter 'name'"),
        ({"name": "x" * 256}, "'name' exceeds"),
        ({"name": " bot"}, "'name' must not begin"),
        ({"name": "b\not"}, "'name' must not begin or end with white space, or hold control"),
        ({"role": "root"}, "There is no role 'root'. Roles are admin, developer, viewer."),
        ({"scopes": ["proxy", "all"]}, "There is no scope 'all'. Scopes are proxy."),
        ({"endpoints": ["e-none"]}, "There is no endpoint with id 'e-none'."),
        ({"endpoints": ["x"] * 2 + [str(no) for no in range(501)]}, "at most 500 endpoints"),
        ({"experiments": ["0", "77"]}, "There is no experiment with id '77'."),
        ({"experiments": ["00"]}, "There is no experiment with id '00'."),
        ({"experiments": ["x"]}, "There is no experiment with id 'x'."),
        ({"experiments": ["9" * 30]}, "There is no experiment with id '999"),
        ({"owner": ""}, "'owner'"),
        ({"owner": "a\x00"}, "'owner'"),
        ({"team": "x" * 256}, "'team' exceeds"),
        ({"tags": {"": "x"}}, "'tag'"),
        ({"tags": {"a": ""}}, "'tag a'"),
        ({"tags": {"a": "x" * 256}}, "'tag a' exceeds"),
        ({"tags": {str(no): "x" for no in range(101)}}, "at most 100 tags"),
        ({"expires_at": T0}, "has passed already"),
        ({"expires_at": 253_402_351_199_000}, "must be before 2200"),  # 9999-12-31T23:59:59-14:00: no calendar of UTC has it
        ({"role": "admin", "endpoints": []}, "cannot be limited"),
        ({"role": "admin", "experiments": ["0"]}, "cannot be limited"),
    ],
)
def test_what_cannot_be_is_refused_whole(database: Database, said: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=re.escape(words)), database.write() as connection:
        make(connection, **said)
    with database.write() as connection:
        assert keys.list_(connection, now=T0) == []
        before = make(connection, "there", owner="ann", tags={"a": "b"})
    if "name" not in said:
        with pytest.raises(Invalid, match=re.escape(words)), database.write() as connection:
            keys.update(connection, before.key_id, now=T0, **said)
        with database.read() as connection:
            assert keys.get(connection, before.key_id) == before


def test_what_is_limited_does_not_become_an_admins_key_by_the_way(database: Database) -> None:
    with database.write() as connection:
        made = make(connection, endpoints=[])
    with pytest.raises(Invalid, match="cannot be limited"), database.write() as connection:
        keys.update(connection, made.key_id, role="admin", now=T0)
    with database.write() as connection:
        assert keys.update(connection, made.key_id, role="admin", endpoints=None, now=T0).role == "admin"


@pytest.mark.parametrize("name", ["bot", "admin"])
def test_a_name_is_never_given_twice(database: Database, name: str) -> None:
    with database.write() as connection:
        keys.revoke(connection, make(connection).key_id, now=T0)
    with pytest.raises(AlreadyExists, match=f"is, or was, named '{name}'"), database.write() as connection:
        make(connection, name)


def test_lists_those_in_force_unless_asked_for_more(database: Database) -> None:
    with database.write() as connection:
        make(connection, "b", owner="ann", team="search")
        make(connection, "a", owner="bob", team="search", now=T0 - 1)
        make(connection, "past", owner="ann", expires_at=T0 + 5)
        make(connection, "yet", role="viewer", expires_at=T0 + 11)
        gone = make(connection, "gone", owner="ann", now=T0 + 1)
        keys.revoke(connection, gone.key_id, now=T0 + 2)

    def names(**asked: Any) -> list[str]:
        with database.read() as connection:
            return [key.name for key in keys.list_(connection, now=T0 + 5, **asked)]

    assert sorted(names()) == ["a", "b", "yet"]
    assert names()[0] == "a"
    assert sorted(names(revoked=True, expired=True)) == ["a", "b", "gone", "past", "yet"]
    assert names(owner="ann") == ["b"]
    assert names(owner="ann", revoked=True) == ["b", "gone"]
    assert sorted(names(owner="ann", expired=True)) == ["b", "past"]
    assert names(team="search", owner="bob") == ["a"]
    assert names(role="viewer") == ["yet"]
    assert names(name="past") == []
    assert names(name="past", expired=True) == ["past"]


def test_a_list_has_an_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST", 2)
    with database.write() as connection:
        for no in range(3):
            make(connection, f"k{no}", now=T0 + no)
        assert [key.name for key in keys.list_(connection, now=T0)] == ["k0", "k1"]


def test_only_what_is_said_changes_and_null_is_said(database: Database) -> None:
    with database.write() as connection:
        endpoint_id = house(connection).endpoint.endpoint_id
        whole = make(
            connection,
            scopes=["proxy"],
            endpoints=[endpoint_id],
            experiments=["0"],
            owner="ann",
            team="search",
            tags={"a": "b", "c": "d"},
            expires_at=T0 + 9,
            by="ann",
        )
        assert keys.update(connection, whole.key_id, owner="bob", by="eve", now=T0 + 1) == Key(
            **{field: getattr(whole, field) for field in Key.__struct_fields__ if field not in ("owner", "updated_at", "updated_by")},
            owner="bob",
            updated_at=T0 + 1,
            updated_by="eve",
        )
        bare = keys.update(
            connection,
            whole.key_id,
            role="viewer",
            scopes=[],
            endpoints=None,
            experiments=None,
            owner=None,
            team=None,
            tags={"c": "e"},
            expires_at=None,
            now=T0 + 2,
        )
        assert (bare.role, bare.scopes, bare.endpoints, bare.experiments) == ("viewer", (), None, None)
        assert (bare.owner, bare.team, bare.tags, bare.expires_at) == (None, None, {"c": "e"}, None)
        assert keys.update(connection, whole.key_id, tags=UNSET, now=T0 + 2).tags == {"c": "e"}


def test_a_revoked_key_is_kept_and_calls_no_more(database: Database) -> None:
    with database.write() as connection:
        made, other = make(connection), make(connection, "other")
        keys.revoke(connection, made.key_id, by="eve", now=T0 + 5)
        again = keys.revoke(connection, made.key_id, by="bob", now=T0 + 9)
        assert (again.revoked_at, again.updated_by) == (T0 + 5, "eve")
        assert keys.get(connection, made.key_id) == again
        assert [key.key_id for key in keys.sealed(connection)] == [other.key_id]


def test_an_expired_key_stays_in_the_snapshot_to_be_told_apart(database: Database) -> None:
    with database.write() as connection:
        make(connection, expires_at=T0 + 1)
        (sealed,) = keys.sealed(connection)
    assert [sealed.expired(T0), sealed.expired(T0 + 1)] == [False, True]


def test_each_change_is_a_new_version_and_a_use_is_none(database: Database) -> None:
    with database.write() as connection:
        made = make(connection)
        seen = [version(connection)]
        keys.update(connection, made.key_id, owner="ann", now=T0)
        seen.append(version(connection))
        keys.revoke(connection, made.key_id, now=T0)
        seen.append(version(connection))
        keys.used(connection, {made.key_id: T0})
        assert [seen[0] + 1, seen[0] + 2, seen[0] + 2] == [*seen[1:], version(connection)]


def test_the_last_use_only_moves_on(database: Database) -> None:
    with database.write() as connection:
        first, second, third = (make(connection, name) for name in ("a", "b", "c"))
        keys.used(connection, {})
        keys.used(connection, {second.key_id: 0, first.key_id: T0 + 5, "admin": T0})
        keys.used(connection, {first.key_id: T0 + 4, second.key_id: T0 + 6})

        assert [keys.get(connection, key.key_id).last_used_at for key in (first, second, third)] == [T0 + 5, T0 + 6, None]
        assert keys.get(connection, first.key_id).updated_at == T0


def test_what_is_not_there_is_told(database: Database) -> None:
    for act in (keys.get, lambda c, k: keys.update(c, k, owner="a", now=T0), lambda c, k: keys.revoke(c, k, now=T0)):
        with pytest.raises(NotFound, match="no key with id 'k-none'"), database.write() as connection:
            act(connection, "k-none")


def test_a_key_outlives_what_it_names(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        made = make(connection, endpoints=[home.endpoint.endpoint_id], experiments=["1"])
        endpoints.delete(connection, home.endpoint.endpoint_id)
        experiments.delete(connection, "1", now=T0)
        assert keys.update(connection, made.key_id, owner="ann", now=T0).endpoints == (home.endpoint.endpoint_id,)
        (sealed,) = keys.sealed(connection)
    assert (sealed.caller().may_call(home.endpoint.endpoint_id), sealed.caller().may_call("e-other")) == (True, False)


def test_a_database_belongs_to_one_pepper(database: Database) -> None:
    with database.write() as connection:
        keys.bind(connection, PEPPER)
        keys.bind(connection, PEPPER)
    with pytest.raises(Invalid, match=f"another pepper: {PEPPER.fingerprint}, not {OTHER.fingerprint}"), database.write() as connection:
        keys.bind(connection, OTHER)
