import base64
import io
import os
from pathlib import Path

import pytest

from spangate.config import ConfigError, Found, Place, Settings, load, place, provider_keys, receive

KEK = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests, and a home of its own."""
    for name in list(os.environ):
        if name.startswith(("SPANGATE_", "OPENAI_", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def test_the_default_is_loopback_and_a_folder_of_the_person(tmp_path: Path) -> None:
    settings = load()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 4000, 1)
    assert settings.data_dir == tmp_path / "spangate"
    assert settings.database_url == f"sqlite:///{tmp_path}/spangate/spangate.db"


def test_flags_win_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "spangate.toml"
    file.write_text('port = 1\nworkers = 2\ngrace = 3\nlog_level = "error"\n')
    monkeypatch.setenv("SPANGATE_CONFIG", str(file))
    monkeypatch.setenv("SPANGATE_PORT", "4")
    monkeypatch.setenv("SPANGATE_WORKERS", "5")
    settings = load({"port": 6, "workers": None})
    assert (settings.port, settings.workers, settings.grace, settings.log_level, settings.idle_timeout) == (6, 5, 3.0, "error", 60.0)
    said = [settings.source(name) for name in ("port", "workers", "grace", "log_level", "idle_timeout", "config")]
    assert said == ["flag", "environment", "file", "file", "default", "environment"]


def test_every_setting_can_be_said_in_a_file(tmp_path: Path) -> None:
    said = {
        "host": '"0.0.0.0"', "port": "1", "data_dir": f'"{tmp_path}"', "db": '"postgresql://u@h/d"', "workers": "2", "config": '"/c.toml"',
        "admin_key": '"0123456789abcdef"', "kek": f'"{KEK}"', "pepper": f'"{KEK}"', "strict": "true", "grace": "1.5",
        "allow_private_upstreams": "true", "body_limit": '"2MiB"', "content_limit": "0", "connect_timeout": "1",
        "first_byte_timeout": "2", "idle_timeout": "3",
        "total_timeout": "4", "fsync_interval": "0.5", "log_level": '"debug"', "log_format": '"json"', "access_log": "false",
        "retire_grace": "60", "allowed_hosts": '"a.example"', "max_connections": "9", "head_timeout": "5", "body_idle_timeout": "6",
        "write_timeout": "7", "drain_seconds": "8", "drain_tokens": "9",
        "journal_reserve": "0", "disk_low": '"1MiB"', "tokenizer": "false", "prices_refresh_hours": "12", "prices_url": '"https://p.example"',
    }  # fmt: skip
    assert said.keys() == Settings.model_fields.keys()
    file = tmp_path / "all.toml"
    file.write_text("".join(f"{name} = {value}\n" for name, value in said.items()))
    loaded = load({"config": file})
    assert {name: loaded.source(name) for name in said} == {name: "flag" if name == "config" else "file" for name in said}
    assert loaded.model_dump() == Settings(
        host="0.0.0.0", port=1, data_dir=tmp_path, db="postgresql://u@h/d", workers=2, config=file, admin_key="0123456789abcdef",
        kek=KEK, pepper=KEK, strict=True, allow_private_upstreams=True, grace=1.5, body_limit=2 * 1024**2, content_limit=0,
        connect_timeout=1, first_byte_timeout=2, idle_timeout=3,
        total_timeout=4, fsync_interval=0.5, log_level="debug", log_format="json", access_log=False,
        retire_grace=60, allowed_hosts="a.example", max_connections=9, head_timeout=5, body_idle_timeout=6, write_timeout=7,
        drain_seconds=8, drain_tokens=9, journal_reserve=0, disk_low=1024**2, tokenizer=False,
        prices_refresh_hours=12, prices_url="https://p.example",
    ).model_dump()  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"port": 65536}, "port: Input should be less than or equal to 65535"),
        ({"kek": "AAAA"}, "kek: is 3 bytes long, must be 32"),
        ({"kek": "not base64!"}, "kek: not base64"),
        ({"body_limit": "much"}, "body_limit: could not parse value and unit from byte string"),
        ({"admin_key": "short"}, "admin_key: String should have at least 16 characters"),
        ({"db": "hunter2@h/d"}, "db: must look like postgresql://user@host/name, mysql://user@host/name or sqlite:////path/to/file"),
        (
            {"db": "foo://u:hunter2@h/d"},
            "db: must look like postgresql://user@host/name, mysql://user@host/name or sqlite:////path/to/file",
        ),
        ({"colour": "red"}, "colour: there is no such setting; `spangate serve --help` lists the settings"),
        ({"config": "/no/such/file.toml"}, "config: there is no file /no/such/file.toml"),
    ],
)
def test_a_wrong_setting_is_named(flags: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("SPANGATE_WORKER", "; did you mean SPANGATE_WORKERS?"),
        ("SPANGATE_BODYLIMIT", "; did you mean SPANGATE_BODY_LIMIT?"),
        ("SPANGATE_KEYS", "; did you mean SPANGATE_KEY?"),
        ("SPANGATE_42", "; `spangate serve --help` lists the settings"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_name_that_may_be_meant(variable: str, near: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value) == f"{variable}: there is no such setting{near}"


def test_a_wrong_variable_is_named_as_it_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "spangate.toml"
    file.write_text("grace = -1\n")
    monkeypatch.setenv("SPANGATE_PORT", "x")
    monkeypatch.setenv("SPANGATE_WORKERS", "-1")
    with pytest.raises(ConfigError) as caught:
        load({"config": file, "workers": -2})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["SPANGATE_PORT", "workers", "grace"]
    assert "Kubernetes" not in str(caught.value)


def test_the_port_that_kubernetes_sets_is_told_for_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANGATE_PORT", "tcp://10.0.0.7:4000")
    with pytest.raises(ConfigError, match=r"SPANGATE_PORT: .*Kubernetes .* service named `spangate`.* `enableServiceLinks: false`"):
        load()
    assert load({"port": 1}).port == 1


def test_variables_of_the_client_of_the_tests_and_of_kubernetes_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "TEST_POSTGRES", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_4000_TCP_ADDR"):
        monkeypatch.setenv(f"SPANGATE_{name}", "x")
    assert load().model_dump() == Settings().model_dump()


def test_as_many_workers_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spangate.config.cores", lambda: 6)
    assert (load({"workers": 0}).relays, load({"workers": 3}).relays) == (6, 3)


def test_an_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "typo.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(ConfigError, match=r"prot: there is no such setting; did you mean port\?"):
        load({"config": file})


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("port: 1\n")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        load({"config": file})


def test_a_wrong_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"admin_key": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_child_gets_the_same_settings_whatever_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load({"port": 1, "kek": KEK, "db": "postgresql://u:p@h/d", "body_limit": "1MiB"})
    monkeypatch.setenv("SPANGATE_PORT", "2")
    assert receive(io.StringIO(settings.to_json() + "\nrest")) == settings
    assert "\n" not in settings.to_json()
    older = receive(io.StringIO(settings.model_dump_json()))
    assert (older.model_dump(), older.source("port")) == (settings.model_dump(), "default")


def test_what_cannot_change_while_it_runs_keeps_its_source_too(monkeypatch: pytest.MonkeyPatch) -> None:
    running = load({"port": 1, "grace": 2.0})
    monkeypatch.setenv("SPANGATE_WORKERS", "3")
    monkeypatch.setenv("SPANGATE_HOST", "0.0.0.0")
    renewed = receive(io.StringIO(load().keeping(running, ("host", "port")).to_json()))
    assert (renewed.host, renewed.port, renewed.grace, renewed.workers) == ("127.0.0.1", 1, Settings().grace, 3)
    assert [renewed.source(name) for name in ("host", "port", "grace", "workers")] == ["default", "flag", "default", "environment"]


def test_a_child_without_settings_says_who_starts_it() -> None:
    with pytest.raises(ConfigError, match="spangate serve"):
        receive(io.StringIO(""))


def test_secrets_are_not_in_the_repr() -> None:
    said = repr(load({"admin_key": "0123456789abcdef", "kek": KEK, "db": "postgresql://u:hunter2@h/d"}))
    assert not [secret for secret in ("0123456789abcdef", KEK, "hunter2") if secret in said]


def test_a_relative_folder_stays_where_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({"data_dir": "here"}).data_dir == tmp_path / "here"


def test_the_cli_finds_key_and_url_in_the_folder(tmp_path: Path) -> None:
    settings = load({"data_dir": tmp_path})
    assert place(settings) == Place(url="http://127.0.0.1:4000", key=None, found=f"{tmp_path}/admin.key")
    (tmp_path / "admin.key").write_text("sg-file\n")
    (tmp_path / "serve.url").write_text("http://127.0.0.1:4999\n")
    assert place(settings) == Place(url="http://127.0.0.1:4999", key="sg-file", found=f"{tmp_path}/admin.key")


def test_the_cli_prefers_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "admin.key").write_text("sg-file\n")
    monkeypatch.setenv("SPANGATE_ADMIN_KEY", "sg-admin-0123456789")
    assert place(load({"data_dir": tmp_path})).key == "sg-admin-0123456789"
    monkeypatch.setenv("SPANGATE_URL", "http://there")
    monkeypatch.setenv("SPANGATE_KEY", "sg-environment")
    settings = load({"data_dir": tmp_path})
    assert place(settings) == Place(url="http://there", key="sg-environment", found="SPANGATE_KEY")
    assert place(settings, url="http://flag", key="sg-flag") == Place(url="http://flag", key="sg-flag", found="--key")


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:4000"), ("::1", "http://[::1]:4000"), ("10.0.0.1", "http://10.0.0.1:4000")]
)
def test_the_cli_calls_an_address_that_can_be_called(host: str, url: str) -> None:
    assert place(load({"host": host})).url == url


def test_provider_keys_come_with_the_place_that_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert provider_keys() == []
    monkeypatch.setenv("OPENAI_API_KEY", "sk-o")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-a")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://proxy.example/")
    assert provider_keys() == [
        Found(provider="openai", variable="OPENAI_API_KEY", key="sk-o", api_base=None),
        Found(provider="anthropic", variable="ANTHROPIC_API_KEY", key="sk-a", api_base="https://proxy.example/v1"),
    ]
