import datetime
import json
import re
from typing import Any

import pytest

from .conftest import Gateway
from .test_nouns import furnish


def make(gateway: Gateway, name: str, *more: str) -> dict[str, Any]:
    return gateway.json("keys", "create", name, *more)


def test_the_key_alone_is_on_stdout(gateway: Gateway) -> None:
    made = gateway.run("keys", "create", "bot", "--owner", "ann")
    assert re.fullmatch(r"sg-[\w-]{43}\n", made.stdout)
    assert "bot" in made.stderr
    assert "shown this once" in made.stderr
    assert made.stdout.strip() not in made.stderr
    for command in (("list",), ("show", "bot"), ("show", "bot", "--json"), ("update", "bot", "--team", "search"), ("revoke", "bot")):
        assert made.stdout.strip() not in gateway.run("keys", *command).output


def test_a_key_is_for_endpoints_and_experiments_by_name(gateway: Gateway) -> None:
    furnish(gateway)
    endpoint = gateway.json("endpoints", "create", "chat", "--model", "mini")
    made = make(
        gateway, "bot", "--role", "viewer", "--endpoint", "chat", "--experiment", "gateway/chat", "--experiment", "0", "--scope", "proxy",
        "--owner", "ann", "--team", "search", "--tag", "product=a=b", "--tag", "env=prod", "--expires", "2099-01-31T00:00Z",
    )  # fmt: skip
    assert re.fullmatch(r"sg-[\w-]{43}", made.pop("key"))
    assert {field: made[field] for field in ("role", "endpoints", "experiments", "scopes", "owner", "team", "tags", "expires_at")} == {
        "role": "viewer",
        "endpoints": [endpoint["endpoint_id"]],
        "experiments": [endpoint["experiment_id"], "0"],
        "scopes": ["proxy"],
        "owner": "ann",
        "team": "search",
        "tags": {"env": "prod", "product": "a=b"},
        "expires_at": "2099-01-31T00:00:00Z",
    }
    shown = gateway.run("keys", "show", "bot").stdout
    assert [words for words in ("chat", "gateway/chat, Default", "env=prod, product=a=b", "until 2099-01-3") if words not in shown] == []
    assert gateway.json("keys", "show", made["key_id"]) == made == gateway.json("keys", "show", "bot")
    gateway.run("endpoints", "delete", "chat")
    assert endpoint["endpoint_id"] in gateway.run("keys", "show", "bot").stdout, "what is gone has its id left"


def test_what_is_given_changes_and_what_is_unset_goes(gateway: Gateway) -> None:
    furnish(gateway)
    gateway.json("endpoints", "create", "chat", "--model", "mini")
    before = make(gateway, "bot", "--owner", "ann", "--team", "search", "--endpoint", "chat", "--tag", "a=b", "--expires", "30d")
    after = gateway.json("keys", "update", "bot", "--owner", "bob", "--tag", "c=d")
    assert (after["owner"], after["team"], after["tags"]) == ("bob", "search", {"a": "b", "c": "d"})
    assert (after["endpoints"], after["expires_at"]) == (before["endpoints"], before["expires_at"])
    values = ["owner", "team", "endpoints", "experiments", "tags", "scopes", "expires"]
    bare = gateway.json("keys", "update", "bot", "--role", "viewer", *(word for value in values for word in ("--unset", value)))
    assert (bare["role"], bare["owner"], bare["team"], bare["tags"], bare["scopes"]) == ("viewer", None, None, {}, [])
    assert (bare["endpoints"], bare["experiments"], bare["expires_at"]) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to change"),
        (("--owner", "a", "--unset", "owner"), "owner is both set and unset"),
        (("--expires", "30d", "--unset", "expires"), "expires is both set and unset"),
        (("--tag", "a"), "'a' is not tag=value"),
        (("--tag", "a="), "'a=' is not tag=value"),
        (("--expires", "soon"), "'soon' is neither a time from now on"),
        (("--expires", "999999w"), "'999999w' is neither a time from now on"),
        (("--expires", "0d"), "'0d' is neither a time from now on"),
    ],
)
def test_a_slip_changes_nothing(gateway: Gateway, arguments: tuple[str, ...], words: str) -> None:
    make(gateway, "bot", "--owner", "ann")
    before = gateway.json("keys", "show", "bot")
    slipped = gateway.run("keys", "update", "bot", *arguments)
    assert (slipped.exit_code, words in " ".join(slipped.output.replace("│", "").split())) == (2, True), slipped.output
    assert gateway.json("keys", "show", "bot") == before


@pytest.mark.parametrize(("said", "delta"), [("90m", {"minutes": 90}), ("12h", {"hours": 12}), ("30d", {"days": 30}), ("2w", {"weeks": 2})])
def test_a_time_from_now_on(gateway: Gateway, said: str, delta: dict[str, int]) -> None:
    before = datetime.datetime.now(datetime.UTC)
    ends = datetime.datetime.fromisoformat(make(gateway, "bot", "--expires", said)["expires_at"])
    after = datetime.datetime.now(datetime.UTC)
    rounding = datetime.timedelta(milliseconds=1)
    assert before - rounding <= ends - datetime.timedelta(**delta) <= after + rounding


def test_lists_what_is_in_force(gateway: Gateway) -> None:
    assert "spangate keys create NAME" in gateway.run("keys", "list").stdout
    for name, owner, team in (("a", "ann", "search"), ("b", "bob", "search"), ("c", "ann", "shop")):
        make(gateway, name, "--owner", owner, "--team", team)
    make(gateway, "d", "--role", "viewer")
    revoked = gateway.json("keys", "revoke", "c")
    assert revoked["revoked_at"] is not None
    assert gateway.run("keys", "revoke", "c").stdout == "Key c is revoked.\n"

    def names(*asked: str) -> list[str]:
        return [key["name"] for key in gateway.json("keys", "list", *asked)]

    assert names() == ["a", "b", "d"]
    assert names("--all") == ["a", "b", "c", "d"]
    assert names("--owner", "ann") == ["a"]
    assert names("--owner", "ann", "--all") == ["a", "c"]
    assert names("--team", "search") == ["a", "b"]
    assert names("--role", "viewer") == ["d"]
    assert "revoked 2" in gateway.run("keys", "list", "--all").stdout
    head = "name role endpoints experiments owner team state key"
    assert gateway.run("keys", "list").stdout.split("\n")[0].split() == head.split(), "what none of them has is no column"


@pytest.mark.parametrize("name", ["none", "k-" + "0" * 32])
@pytest.mark.parametrize("command", ["show", "revoke"])
def test_a_key_that_is_not_there(gateway: Gateway, name: str, command: str) -> None:
    missed = gateway.run("keys", command, name)
    assert missed.exit_code == 1
    assert "There is no key" in str(missed.exception)


def test_the_key_works_at_once_and_not_when_it_is_revoked(gateway: Gateway) -> None:
    key = gateway.run("keys", "create", "bot", "--role", "viewer").stdout.strip()
    assert json.loads(gateway.run("endpoints", "list", "--json", key=key).stdout) == []
    refused = gateway.run("keys", "list", key=key)
    assert "needs the role `admin`, the key `bot` has `viewer`" in str(refused.exception)
    gateway.run("keys", "revoke", "bot")
    assert "not known here" in str(gateway.run("endpoints", "list", key=key).exception)
