import re
import time

from typer.testing import CliRunner

from spangate.cli.app import app

from .conftest import Gateway

DAY = 86_400_000


def fill(gateway: Gateway, *ages: int, user: str = "ann") -> None:
    for number, age in enumerate(ages):
        ms = int(time.time() * 1000) - age * DAY
        call_id = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{gateway.seq + number:012x}"
        gateway.keep("0", call_id, ms, user_id=user, session_id="s-1")


def test_periods_are_shown_and_changed(gateway: Gateway) -> None:
    shown = gateway.run("db", "retention")
    assert shown.output.split() == ["content", "forever", "traces", "forever", "ledger", "forever"]
    changed = gateway.json("db", "retention", "--content", "7", "--traces", "30")
    assert (changed["content_days"], changed["trace_days"], changed["ledger_days"]) == (7, 30, None)
    gateway.json("secrets", "create", "none", "--provider", "simulated")
    gateway.json("models", "create", "demo", "--provider", "simulated", "--model", "demo", "--secret", "none")
    gateway.json("endpoints", "create", "chat", "--model", "demo")
    own = gateway.json("endpoints", "set", "chat", "--retention", "content=3, traces=20")
    assert own["settings"]["retention"] == {"content_days": 3, "trace_days": 20, "ledger_days": None}
    assert "retention: content=3 traces=20" in gateway.run("endpoints", "show", "chat").output
    shown = gateway.run("db", "retention", "--traces", "forever")
    assert [line.split() for line in shown.output.splitlines() if line] == [
        ["content", "7", "days"],
        ["traces", "forever"],
        ["ledger", "forever"],
        ["endpoint", "content", "traces", "ledger"],
        ["chat", "3", "days", "20", "days", "-"],
    ]
    assert gateway.json("endpoints", "set", "chat", "--unset", "retention")["settings"]["retention"] is None


def test_what_is_no_period_is_said_and_changes_nothing(gateway: Gateway) -> None:
    for words, complaint in (
        (("db", "retention", "--content", "soon"), "neither a number of days nor `forever`"),
        (("db", "retention", "--content", "0"), "greater than or equal to 1"),
        (("db", "retention", "--traces", "3"), "no content outlives its trace"),
        (("endpoints", "set", "chat", "--retention", "3"), "is not periods in days"),
        (("endpoints", "set", "chat", "--retention", "spans=3"), "is not periods in days"),
    ):
        run = gateway.run(*words)
        said = " ".join((run.output + str(run.exception or "")).replace("│", "").split())
        assert run.exit_code != 0
        assert complaint in said
    assert gateway.json("db", "retention")["content_days"] is None


def test_size_says_what_there_is(gateway: Gateway) -> None:
    fill(gateway, 1, 1, 2)
    said = gateway.run("db", "size").output
    lines = [line.split() for line in said.splitlines() if line]
    assert ["content", "3"] in [line[:2] for line in lines]
    assert ["ledger", "3"] in [line[:2] for line in lines]
    assert any(line[0] == "usage_rollups" for line in lines)
    assert "2 calls a day lately, about " in said
    assert gateway.json("db", "size")["parts"][0]["kind"] == "content"


def test_traces_are_deleted_when_it_is_meant(gateway: Gateway) -> None:
    fill(gateway, 0, 5)
    fill(gateway, 3, user="bob")
    assert gateway.run("traces", "delete").exit_code == 2
    assert gateway.run("traces", "delete", "--before", "soon").exit_code == 2
    refused = gateway.run("traces", "delete", "--user", "ann", input="n\n")
    assert refused.exit_code == 1
    assert "cannot be had back" in refused.output
    gone = gateway.run("traces", "delete", "--user", "ann", "--before", time.strftime("%Y-%m-%d"), input="y\n")
    assert "Traces deleted: 1." in gone.output
    assert gateway.json("traces", "delete", "--experiment", "Default", "--session", "s-1")["traces_deleted"] == 2
    assert gateway.json("db", "size")["parts"][2]["rows"] == 3


def test_compacting_needs_no_gateway(gateway: Gateway) -> None:
    fill(gateway, 0)
    run = CliRunner().invoke(app, ["db", "compact", "--data-dir", str(gateway.settings.data_dir)])
    assert run.exit_code == 0
    assert re.fullmatch(r"([\d.]+ [KM]iB) before, ([\d.]+ [KM]iB) now\n", run.output)
    assert gateway.json("db", "size")["free"] == 0
