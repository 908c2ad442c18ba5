import datetime
import re

import pytest
from tests.unit.store.test_usage import Fact, dimension, kept, measured
from typer.testing import CliRunner

from spangate.cli import usage
from spangate.cli.app import app

from .conftest import Gateway

NOVEMBER, DAY = 1_793_491_200_000, 86_400_000  # 2026-11-01, UTC
NOW = datetime.datetime.now(datetime.UTC)
LAST = NOW.replace(day=1) - datetime.timedelta(days=1)
RANGE = ("--since", "2026-11-01", "--until", "2026-11-03")


@pytest.fixture
def used(gateway: Gateway) -> Gateway:
    kept(
        gateway.control.database,
        [
            Fact(NOVEMBER, dimension(), measured(12_340_000_000_000, attempts=1, input_tokens=900, output_tokens=80)),
            Fact(NOVEMBER, dimension(price_id=""), measured(durations=(1_500,))),
            Fact(NOVEMBER + DAY, dimension(team="ads"), measured(2_500_000_000, attempts=1, calls=1, input_tokens=8)),
            Fact(
                NOVEMBER + DAY,
                dimension(team="", price_id="", status="timeout"),
                measured(
                    attempts=1,
                    calls=2,
                    input_tokens=12,
                    unpriced_attempts=1,
                    unpriced_input_tokens=12,
                    estimated_attempts=1,
                    estimated_input_tokens=12,
                    unknown_attempts=3,
                ),
            ),
            Fact(NOVEMBER - DAY, dimension(), measured(24_680_000_000_000, attempts=1, calls=1)),
        ],
    )
    return gateway


def lines(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_usage_is_a_table_with_what_is_not_known_beside_the_sums(used: Gateway) -> None:
    result = used.run("usage", "--by", "team", *RANGE)
    assert result.exit_code == 0, result.output
    assert lines(result.stdout) == [
        ["2026-11-01 00:00 to 2026-11-03 00:00, UTC"],
        ["team", "calls", "errors", "in", "out", "cost", "unpriced", "estimated"],
        ["search", "1", "0", "900", "80", "$12.34", "-", "-"],
        ["ads", "1", "0", "8", "0", "$0.0025", "-", "-"],
        ["-", "2", "2", "12", "0", "-", "100.0 %", "100.0 %"],
        ["total", "4", "2", "920", "80", "$12.34", "1.2 %", "1.2 %"],
        ["4 calls, 2 errors, 920 tokens in, 80 out; $12.34, 1.2 % unpriced, 1.2 % estimated, tokens of 3 attempts unknown"],
    ]


def test_without_groups_it_is_a_sentence(used: Gateway) -> None:
    first = "2026-11-01 00:00 to 2026-11-03 00:00, Europe/Berlin"
    result = used.run("usage", "show", *RANGE, "--zone", "Europe/Berlin", "--where", "team=search", "--compare", "--latency")
    *said, took = result.stdout.splitlines()
    assert re.fullmatch(r"took 1\.\d\d s median, 1\.\d\d s 95 %, 1\.\d\d s 99 %; first token -", took)
    assert said == [
        first,
        "1 call, 0 errors, 900 tokens in, 80 out; $12.34",
        "before (2026-10-30 00:00 to 2026-11-01 00:00): 1 call, $24.68; cost -50.0 %",
    ]


def test_days_and_a_comparison_are_columns(used: Gateway) -> None:
    result = used.run("usage", "--by", "team,model", "--top", "1", "--step", "day", "--compare", "--latency", *RANGE)
    table = lines(result.stdout)[1:-3]
    head = ["since", "team", "model", "calls", "errors", "in", "out", "cost", "unpriced", "estimated"]
    assert table[0] == [*head, "p50", "p95", "p99", "first p50", "first p95", "before", "change"]
    assert [row[:4] for row in table[1:]] == [
        ["2026-11-01 00:00", "search", "gpt-5", "1"],
        ["2026-11-02 00:00", "search", "gpt-5", "0"],
        ["2026-11-02 00:00", "(other)", "(other)", "3"],
        ["total", "4", "2", "920"],
    ]
    assert table[2][-2:] == ["$24.68", "-100.0 %"]


def test_no_figure_is_cut_on_a_narrow_terminal(used: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("usage", "--by", "team,model", "--compare", "--latency", *RANGE)
    wide = lines(used.run(*asked).stdout)[1:-3]
    monkeypatch.setattr("typer.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    narrow = re.sub(r"\x1b\[[0-9;]*m", "", used.run(*asked).stdout)  # a terminal has bold letters
    assert lines(narrow)[1:-3] == wide


def test_the_top_of_nothing_is_a_slip(used: Gateway) -> None:
    refused = used.run("usage", "--by", "team", "--top", "0", *RANGE)
    assert (refused.exit_code, "top" in str(refused.exception)) == (1, True)


def test_scripts_get_json_or_csv(used: Gateway) -> None:
    found = used.json("usage", "--by", "team", "--order", "calls", *RANGE)
    assert [row["group"]["team"] for row in found["rows"]] == ["", "search", "ads"]
    assert (found["total"]["measures"]["cost"], found["total"]["measures"]["unpriced_share"]) == ("12.3425", 0.012)
    sheet = used.run("usage", "--by", "team", "--by", "status", *RANGE, "--csv")
    assert sheet.stdout.splitlines()[0].startswith("since,until,team,status,other,calls,")
    assert len(sheet.stdout.splitlines()) == 4
    assert used.run("usage", "--csv", "--json").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--by", "user"), "Unknown group 'user'"),
        (("--last", "7d", "--since", "2026-11-01"), "Say either"),
        (("--zone", "Nowhere"), "Unknown time zone"),
    ],
)
def test_what_cannot_be_asked_is_one_line(used: Gateway, arguments: tuple[str, ...], words: str) -> None:
    result = used.run("usage", *arguments)
    assert result.exit_code == 1
    assert words in str(result.exception)


def test_months_are_listed_closed_and_reopened(gateway: Gateway) -> None:
    month = f"{LAST:%Y-%m}"
    received = int(LAST.timestamp() * 1000)
    fact = measured(1_500_000_000_000, attempts=1, calls=1, input_tokens=1_000, unpriced_attempts=1)
    kept(gateway.control.database, [Fact(received, dimension(), fact)])
    assert lines(gateway.run("usage", "months").stdout)[2] == [month, "open", "1", "1,000", "0", "$1.50", "1 unpriced", "-"]
    assert gateway.json("usage", "close", month, "--note", "sent")["events"][0]["note"] == "sent"
    kept(gateway.control.database, [Fact(received, dimension(), measured(250_000_000_000, attempts=1, calls=1))])
    assert lines(gateway.run("usage", "months").stdout)[2][-1] == "+1 call, +0.25 USD"
    assert "closed already" in str(gateway.run("usage", "close", month).exception)
    assert "open" in gateway.run("usage", "reopen", month, "--note", "a price was wrong").stdout
    assert [event["what"] for event in gateway.json("usage", "months")[1]["events"]] == ["closed", "reopened"]


def test_help_names_the_commands() -> None:
    assert "reopen" in CliRunner().invoke(app, ["usage", "--help"]).stdout


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (None, "-"),
        ("0", "$0.00"),
        ("0.000000000001", "$0.000000000001"),
        ("0.0012345", "$0.0012"),
        ("0.009999", "$0.01"),
        ("0.01", "$0.01"),
        ("1234567.891", "$1,234,567.89"),
    ],
)
def test_money_is_said_to_the_cent_or_to_what_there_is_of_it(cost: str | None, said: str) -> None:
    assert usage.dollars(cost) == said


@pytest.mark.parametrize(("share", "said"), [(None, "-"), (0.0, "-"), (0.0004, "< 0.1 %"), (0.0123, "1.2 %"), (1.0, "100.0 %")])
def test_shares_are_said_so_that_little_is_not_nothing(share: float | None, said: str) -> None:
    assert usage.percent(share) == said


def test_a_change_has_its_sign() -> None:
    assert [usage.signed(change) for change in (None, 0.25, -0.5, 0.0)] == ["-", "+25.0 %", "-50.0 %", "+0.0 %"]
