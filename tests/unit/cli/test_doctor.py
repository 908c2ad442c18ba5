import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spangate.cli.app import app, main
from spangate.control.admin.status import Resting
from spangate.exchange import ProcessPosition

from .conftest import KEY, Gateway


def verdicts(gateway: Gateway) -> tuple[int, dict[str, str]]:
    result = gateway.run("doctor", "--json")
    return result.exit_code, {finding["check"]: finding["verdict"] for finding in json.loads(result.stdout)}


def test_a_sound_gateway_is_found_sound(gateway: Gateway) -> None:
    gateway.keep("0", "01a20326-4e61-77b6-9456-28ed818b56a6")
    code, found = verdicts(gateway)
    assert (code, set(found.values())) == (0, {"ok"}), gateway.run("doctor").stdout
    assert {"health", "ready", "clock", "management", "completeness", "backlog", "database"} <= found.keys()


def test_a_database_that_only_the_gateway_knows_is_as_it_sees_it(gateway: Gateway, tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path / "elsewhere"), "--url", gateway.url, "--key", KEY)
    result = CliRunner().invoke(app, ["doctor", "--json", *folder])
    found = {finding["check"]: (finding["verdict"], finding["detail"]) for finding in json.loads(result.stdout)}
    assert found["database"] == ("ok", "sqlite, the gateway reaches it")


def test_a_gap_is_wrong(gateway: Gateway) -> None:
    gateway.keep("0", "01a20326-4e61-77b6-9456-28ed818b56a6")
    assert gateway.control.sink.keep(ProcessPosition("p", 1, 2, 2), ProcessPosition("p", 1, 9, 9), [], gaps=[(3, 9)])
    code, found = verdicts(gateway)
    assert (code, found["completeness"]) == (1, "wrong")
    assert "3 to 9" in gateway.run("doctor").stdout


def test_what_is_degraded_is_told(gateway: Gateway) -> None:
    gateway.degraded.append("control: does not answer")
    assert verdicts(gateway) == (0, verdicts(gateway)[1] | {"ready": "note"})
    assert "control: does not answer" in gateway.run("doctor").stdout


def test_a_model_that_rests_is_told_and_nothing_is_wrong(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = Resting(endpoints=["chat", "talk"], provider="openai", model="gpt-x", model_definition_id="d-1", seconds=4.6, cooled=1)
    monkeypatch.setattr(gateway.control, "resting", lambda: [rest])
    assert verdicts(gateway) == (0, verdicts(gateway)[1] | {"models": "note"})
    assert "gpt-x of openai failed and is passed over for 5 s (chat, talk)" in gateway.run("doctor").stdout


def test_a_key_file_that_others_can_read_is_wrong(gateway: Gateway) -> None:
    kek: Path = gateway.settings.kek_file
    kek.chmod(0o640)
    code, found = verdicts(gateway)
    assert (code, found["kek.key"]) == (1, "wrong")
    assert f"chmod 600 {kek}" in gateway.run("doctor").stdout


def test_a_wrong_key_is_told_from_a_missing_gateway(gateway: Gateway) -> None:
    refused = gateway.run("doctor", key="sg-wrong")
    assert (refused.exit_code, "key from --key" in refused.stdout) == (1, True)


def test_a_key_that_is_nowhere_is_not_said_to_be_in_a_file(gateway: Gateway, tmp_path: Path) -> None:
    nowhere = tmp_path / "elsewhere"
    result = CliRunner().invoke(app, ["doctor", "--data-dir", str(nowhere), "--url", gateway.url])
    assert (result.exit_code, str(nowhere) in result.stdout) == (1, False)
    assert "give one with --key or SPANGATE_KEY" in result.stdout


def test_without_a_gateway_each_thing_is_said_once_and_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json", "--url", "http://127.0.0.1:9", "--data-dir", str(tmp_path)])
    (finding,) = json.loads(result.stdout)
    assert (finding["check"], finding["verdict"]) == ("health", "wrong")
    assert finding["detail"].startswith("No gateway answers at http://127.0.0.1:9")
    assert finding["detail"].endswith("; `spangate up` starts one")


@pytest.mark.parametrize("arguments", [("endpoints", "list"), ("doctor",)])
def test_no_gateway_is_one_sentence(arguments: tuple[str, ...], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["spangate", *arguments, "--url", "http://127.0.0.1:9", "--key", "k", "--data-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr()
    assert caught.value.code == 1
    assert "No gateway answers at http://127.0.0.1:9" in said.out + said.err
    assert "Traceback" not in said.err
