import pytest
from tests.unit.store.given import T0, house

from spangate.exchange import EndpointSettings, ProxyRules, Retention
from spangate.store import endpoints, settings
from spangate.store.engine import Database, version
from spangate.store.faults import Invalid, NotFound

ALL = EndpointSettings(
    connect_timeout=2.5,
    first_byte_timeout=30,
    idle_timeout=60,
    total_timeout=600,
    client_gone="drain",
    proxy=ProxyRules(methods=("GET", "POST"), paths=("/files", "/files/*")),
    content="metadata",
)


def changes(given: EndpointSettings) -> dict[str, object]:
    return {field: getattr(given, field) for field in given.__struct_fields__}


def test_an_endpoint_has_none_until_some_are_set(database: Database) -> None:
    with database.write() as connection:
        house(connection)
        assert settings.get(connection, "chat") == EndpointSettings()
        assert settings.update(connection, "chat", changes(ALL), by="bob", now=T0 + 1) == ALL
        assert settings.get(connection, "chat") == ALL
        endpoint = endpoints.get(connection, name="chat")
    assert (endpoint.updated_at, endpoint.updated_by, endpoint.created_by) == (T0 + 1, "bob", "ann")


def test_an_update_changes_what_it_names(database: Database) -> None:
    with database.write() as connection:
        house(connection)
        settings.update(connection, "chat", changes(ALL), now=T0)
        changed = settings.update(connection, "chat", {"idle_timeout": None, "client_gone": "close"}, now=T0)
        before = version(connection)
        assert settings.update(connection, "chat", {}, now=T0) == changed
        assert version(connection) == before + 1
    assert changed == EndpointSettings(
        connect_timeout=2.5, first_byte_timeout=30, total_timeout=600, client_gone="close", proxy=ALL.proxy, content="metadata"
    )


def test_settings_follow_a_renamed_endpoint(database: Database) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        settings.update(connection, "chat", {"idle_timeout": 5.0}, now=T0)
        endpoints.update(connection, endpoint.endpoint_id, name="talk", now=T0)
        assert settings.get(connection, "talk") == EndpointSettings(idle_timeout=5.0)
        for ask in (lambda: settings.get(connection, "chat"), lambda: settings.update(connection, "chat", {}, now=T0)):
            with pytest.raises(NotFound, match="chat"):
                ask()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"connect_timeout": 0.0}, "connect_timeout 0"),
        ({"idle_timeout": -1.0}, "idle_timeout -1"),
        ({"first_byte_timeout": float("nan")}, "first_byte_timeout nan"),
        ({"total_timeout": float("inf")}, "total_timeout inf"),
        ({"total_timeout": 86_401.0}, "at most 86400"),
        ({"client_gone": "wait"}, "client_gone 'wait'"),
        ({"proxy": ProxyRules(methods=("get",), paths=("/a",))}, "method 'get'"),
        ({"proxy": ProxyRules(methods=("CONNECT",), paths=("/a",))}, "method 'CONNECT'"),
        ({"proxy": ProxyRules(methods=("GET",))}, "with one of them alone"),
        ({"proxy": ProxyRules(paths=("/a",))}, "with one of them alone"),
        ({"proxy": ProxyRules(methods=("GET",) * 8, paths=("/a",))}, "at most 7 methods"),
        ({"proxy": ProxyRules(methods=("GET",), paths=("/a",) * 101)}, "100 paths"),
        *(
            ({"proxy": ProxyRules(methods=("GET",), paths=("/fine", path))}, words)
            for path, words in [
                ("", "begins with a slash"),
                ("files", "begins with a slash"),
                ("https://other/", "begins with a slash"),
                ("//other/v1", "empty"),
                ("/files//x", "empty"),
                ("/../v1", "dot segments"),
                ("/files/..", "dot segments"),
                ("/./files", "dot segments"),
                ("/files/../*", "dot segments"),
                ("/files*", "only at its end"),
                ("/*/content", "only at its end"),
                ("/files/*/*", "only at its end"),
                ("/files?a=b", "plain path"),
                ("/files#a", "plain path"),
                ("/%2e%2e/v1", "plain path"),
                ("/a b", "plain path"),
                ("/a\\b", "plain path"),
                ("/é", "plain path"),
                ("/a\x00", "plain path"),
                ("/" + "a" * 500, "longer than 500"),
            ]
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(database: Database, wrong: dict[str, object], words: str) -> None:
    with database.write() as connection:
        house(connection)
        settings.update(connection, "chat", changes(ALL), now=T0)
    with pytest.raises(Invalid) as refused, database.write() as connection:
        settings.update(connection, "chat", wrong, now=T0)
    assert words in refused.value.message
    with database.read() as connection:
        assert settings.get(connection, "chat") == ALL


@pytest.mark.parametrize("path", ["/*", "/", "/files", "/files/*", "/v1/fine-tuning.jobs/a:b", "/..a/b.."])
def test_a_plain_path_or_a_prefix_is_taken(database: Database, path: str) -> None:
    rules = ProxyRules(methods=("GET",), paths=(path,))
    with database.write() as connection:
        house(connection)
        assert settings.update(connection, "chat", {"proxy": rules}, now=T0) == EndpointSettings(proxy=rules)


def test_rules_that_let_nothing_through_are_not_the_same_as_none(database: Database) -> None:
    with database.write() as connection:
        house(connection)
        settings.update(connection, "chat", {"proxy": ProxyRules()}, now=T0)
        assert settings.get(connection, "chat").proxy == ProxyRules()


def test_those_that_say_anything_are_told_together(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        house(connection, "silent")
        settings.update(connection, "chat", changes(ALL), now=T0)
        assert settings.of_all(connection) == {home.endpoint.endpoint_id: ALL}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"idle_timeout": -1.0}, "idle_timeout"),
        ({"client_gone": "wait"}, "client_gone"),
        ({"content": "some"}, "content"),
        ({"proxy": ProxyRules(methods=("GET",))}, "proxy"),
        ({"proxy": ProxyRules(methods=("get",), paths=("/a",))}, "proxy.methods"),
        ({"proxy": ProxyRules(methods=("GET",), paths=("/a", "b"))}, "proxy.paths.1"),
        ({"retention": Retention(content_days=9, trace_days=3)}, "retention"),
    ],
)
def test_a_refusal_names_the_field(database: Database, said: dict[str, object], field: str) -> None:
    with database.write() as connection:
        house(connection)
        with pytest.raises(Invalid) as refused:
            settings.update(connection, "chat", said, now=T0)
    assert refused.value.field == field
