import csv
import datetime
import io
from typing import Any

import httpx
import pytest
from tests.unit.control.conftest import Gateway
from tests.unit.store.test_usage import Fact, dimension, kept, measured

from spangate.control.admin.usage import Measures, Usage
from spangate.store import schema
from spangate.store import usage as store

OCTOBER, NOVEMBER = 1_790_812_800_000, 1_793_491_200_000  # 2026, UTC
DAY = 86_400_000
RANGE = {"since": "2026-11-01", "until": "2026-11-03"}


@pytest.fixture
def used(gateway: Gateway, http: httpx.Client) -> httpx.Client:
    kept(
        gateway.control.database,
        [
            Fact(NOVEMBER, dimension(team="search"), measured(1_250_000_000_000, attempts=1, input_tokens=90, output_tokens=10)),
            Fact(NOVEMBER, dimension(team="search", price_id=""), measured(durations=(100, 200))),
            Fact(NOVEMBER + DAY, dimension(team="ads", endpoint_id="e-2"), measured(250_000_000_000, attempts=1, calls=2, input_tokens=50)),
            Fact(
                NOVEMBER + DAY,
                dimension(team="", price_id="", status="error"),
                measured(attempts=1, calls=1, input_tokens=50, unpriced_attempts=1, unpriced_input_tokens=50),
            ),
            Fact(NOVEMBER - DAY, dimension(team="search"), measured(500_000_000_000, attempts=1, calls=4)),
        ],
    )
    return http


def ask(http: httpx.Client, **query: Any) -> dict[str, Any]:
    response = http.get("/api/v1/usage", params={**RANGE, **query})
    assert response.status_code == 200, response.text
    Usage.model_validate(response.json())
    return response.json()


def test_usage_is_told_with_what_is_not_known(used: httpx.Client) -> None:
    found = ask(used)
    assert (found["since"], found["until"], found["zone"], found["previous"]) == (
        "2026-11-01T00:00:00Z",
        "2026-11-03T00:00:00Z",
        "UTC",
        None,
    )
    measures = found["total"]["measures"]
    assert {name: measures[name] for name in ("calls", "errors", "attempts", "input_tokens", "output_tokens", "cost")} == {
        "calls": 5,
        "errors": 1,
        "attempts": 3,
        "input_tokens": 190,
        "output_tokens": 10,
        "cost": "1.5",
    }
    assert (measures["unpriced_attempts"], measures["unpriced_tokens"], measures["unpriced_share"]) == (1, 50, 0.25)
    assert (measures["estimated_share"], measures["latency"]) == (0, None)
    assert found["rows"] == [found["total"]]


def test_usage_is_grouped_compared_and_cut_into_days_of_a_zone(used: httpx.Client) -> None:
    by_team = ask(used, group_by="team")
    assert [(row["group"], row["measures"]["cost"]) for row in by_team["rows"]] == [
        ({"team": "search"}, "1.25"),
        ({"team": "ads"}, "0.25"),
        ({"team": ""}, None),
    ]
    series = ask(used, group_by=["team", "endpoint"], step="day", zone="Europe/Berlin", top=1)
    assert [(row["since"], row["group"], row["other"], row["measures"]["calls"]) for row in series["rows"]] == [
        ("2026-11-01T00:00:00+01:00", {"team": "search", "endpoint": "chat"}, False, 2),
        ("2026-11-02T00:00:00+01:00", {}, True, 3),
    ]
    compared = ask(used, until="2026-11-02", compare=True)
    assert compared["previous"] == {"since": "2026-10-31T00:00:00Z", "until": "2026-11-01T00:00:00Z"}
    assert compared["total"]["previous"]["cost"] == "0.5"
    assert compared["total"]["change"] == {
        "calls": -0.5,
        "errors": None,
        "attempts": 0,
        "input_tokens": None,
        "output_tokens": None,
        "cost": 1.5,
    }


def test_times_are_told_where_they_are_asked_for(used: httpx.Client) -> None:
    latency = ask(used, percentiles=True)["total"]["measures"]["latency"]
    assert (latency["calls"], latency["mean"]) == (2, 150)
    assert latency["p50"] == pytest.approx(100, rel=0.1)
    assert latency["p99"] == pytest.approx(200, rel=0.1)


def test_filters_are_repeated(used: httpx.Client) -> None:
    assert ask(used, where=["team=ads", "team=search", "endpoint=chat"])["total"]["measures"]["cost"] == "1.5"
    assert ask(used, where="team!=search")["total"]["measures"]["calls"] == 3


def test_without_a_range_it_is_this_month_so_far(gateway: Gateway, http: httpx.Client) -> None:
    now = datetime.datetime.now(datetime.UTC)
    found = http.get("/api/v1/usage").json()
    assert datetime.datetime.fromisoformat(found["since"]) == now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert datetime.timedelta(0) <= datetime.datetime.fromisoformat(found["until"]) - now <= datetime.timedelta(minutes=15)
    days = http.get("/api/v1/usage", params={"last": "7d", "step": "day"}).json()
    assert len(days["rows"]) in (7, 8)  # at the last moment before midnight


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_row_for_each_row_and_empty_cells_for_what_is_unknown(used: httpx.Client) -> None:
    asked = {**RANGE, "group_by": ["team", "tag:env"], "compare": True, "percentiles": True}
    response = used.get("/api/v1/usage", params=asked, headers={"accept": "text/csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="usage-20261101T0000-20261103T0000.csv"'
    assert all(line.endswith("\r\n") for line in response.text.splitlines(keepends=True))
    found = rows(response.text)
    assert [(row["since"], row["team"], row["tag:env"], row["other"], row["calls"], row["cost"]) for row in found] == [
        ("2026-11-01T00:00:00+00:00", "search", "", "no", "2", "1.25"),
        ("2026-11-01T00:00:00+00:00", "ads", "", "no", "2", "0.25"),
        ("2026-11-01T00:00:00+00:00", "", "", "no", "1", ""),
    ]
    assert [row["previous_cost"] for row in found] == ["0.5", "0", "0"]
    assert float(found[0]["latency_mean_ms"]) == 150
    assert found[1]["latency_mean_ms"] == ""
    assert used.get("/api/v1/usage", params={**asked, "format": "csv"}).text == response.text
    for accept in ("*/*", "application/json", "text/csv, application/json"):
        assert used.get("/api/v1/usage", params=asked, headers={"accept": accept}).json()["rows"], accept
    assert used.get("/api/v1/usage", params={**asked, "format": "json"}, headers={"accept": "text/csv"}).json()["rows"]


def test_a_name_in_a_sheet_is_never_a_formula(gateway: Gateway, http: httpx.Client) -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "plain", 'a "quoted", name\nof two lines']
    kept(gateway.control.database, [Fact(NOVEMBER, dimension(team=name), measured(calls=1)) for name in names])
    text = http.get("/api/v1/usage", params={**RANGE, "group_by": "team", "format": "csv"}).text
    found = {row["team"] for row in rows(text)}
    assert found == {"'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "'\r=1", "plain", 'a "quoted", name\nof two lines'}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"group_by": "user"}, "Unknown group 'user'"),
        ({"group_by": ["team", "team"]}, "once"),
        ({"where": "user=a"}, "Unknown group 'user'"),
        ({"where": "team"}, "Invalid filter 'team'"),
        ({"where": "team=a\x00"}, "NUL"),
        ({"zone": "Mars/Olympus"}, "Unknown time zone 'Mars/Olympus'"),
        ({"zone": "../../etc/passwd"}, "Unknown time zone"),
        ({"since": "2026-11-03", "until": "2026-11-01"}, "must be before"),
        ({"since": "2026-11-01", "until": "2026-11-01"}, "must be before"),
        ({"since": "soon"}, "Invalid time 'soon'"),
        ({"since": "1793491200"}, "milliseconds"),
        ({"since": "99999999999999999999"}, "between 1970 and 2200"),
        ({"last": "7d"}, "either"),
        ({"since": "", "until": "", "last": "7y"}, "Invalid value for last"),
        ({"step": "year"}, "step"),
        ({"step": "15m", "until": "2027-03-01"}, "points"),
        ({"since": "1970-01-01", "until": "2199-12-31", "step": "day"}, "points"),
        ({"top": 0}, "top"),
        ({"top": 101}, "top"),
        ({"order": "beauty"}, "order"),
        ({"compare": "perhaps"}, "compare"),
        ({"format": "xml"}, "format"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_a_400_that_says_why(bare: httpx.Client, query: dict[str, Any], said: str) -> None:
    response = bare.get("/api/v1/usage", params={**RANGE, **query})
    assert (response.status_code, response.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert said in response.json()["message"]


def test_a_century_and_more_is_an_answer_too(http: httpx.Client) -> None:
    assert ask(http, since="1970-01-01", until="2199-12-31", compare=True)["total"]["measures"]["calls"] == 0


def test_a_key_for_some_endpoints_sees_what_these_used(gateway: Gateway, used: httpx.Client) -> None:
    said = {"name": "ads", "role": "viewer", "endpoints": ["e-2"]}
    with gateway.control.database.write() as connection:
        connection.execute(schema.endpoints.insert().values(endpoint_id="e-2", name="ads-chat", created_at=1, updated_at=1))
    made = used.post("/api/v1/keys", json=said)
    assert made.status_code == 200, made.text
    scoped = {"x-api-key": made.json()["key"]}
    found = used.get("/api/v1/usage", params={**RANGE, "group_by": "endpoint"}, headers=scoped).json()
    assert [(row["group"], row["measures"]["calls"]) for row in found["rows"]] == [({"endpoint": "ads-chat"}, 2)]
    assert found["total"]["measures"]["calls"] == 2
    months = used.get("/api/v1/usage/months", headers=scoped).json()["months"]
    assert sum(month["total"]["calls"] for month in months) == 2
    assert used.get("/api/v1/months/2026-10", headers=scoped).status_code == 403
    assert used.post("/api/v1/months/2026-10/close", headers=scoped).status_code == 403


def test_every_measure_of_the_store_is_told() -> None:
    tokens = {name for name in store.ADDED if name.endswith("_tokens")}
    assert {name for name in tokens if not name.startswith(("unpriced_", "estimated_"))} <= set(store.COUNTS)
    assert tuple(Measures.model_fields)[: len(store.COUNTS)] == store.COUNTS
