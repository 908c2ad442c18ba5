import datetime
from collections.abc import Callable

import httpx
import pytest
from tests.unit.control.conftest import Gateway
from tests.unit.store.test_usage import Fact, dimension, kept, measured

NOW = datetime.datetime.now(datetime.UTC)
LAST = NOW.replace(day=1) - datetime.timedelta(days=1)
MONTH, THIS = f"{LAST:%Y-%m}", f"{NOW:%Y-%m}"
RECEIVED = int(LAST.timestamp() * 1000)


@pytest.fixture
def used(gateway: Gateway, http: httpx.Client) -> httpx.Client:
    kept(gateway.control.database, [Fact(RECEIVED, dimension(), measured(250_000_000_000, attempts=2, calls=1, input_tokens=10))])
    return http


def test_a_month_is_closed_reopened_and_listed(gateway: Gateway, used: httpx.Client) -> None:
    assert [(month["month"], month["state"]) for month in used.get("/api/v1/usage/months").json()["months"]] == [
        (THIS, "open"),
        (MONTH, "open"),
    ]
    closed = used.post(f"/api/v1/months/{MONTH}/close", json={"note": "sent"}).json()
    assert (closed["state"], closed["total"]["cost"], closed["total"]["calls"], closed["drift"]) == ("closed", "0.25", 1, None)
    assert closed["closed_total"] == closed["total"]
    assert [line["group"] for line in closed["by"]["team"]] == ["search"]
    assert [(event["what"], event["by"], event["note"]) for event in closed["events"]] == [("closed", "admin", "sent")]
    kept(gateway.control.database, [Fact(RECEIVED, dimension(), measured(500_000_000_000, attempts=1, calls=1))])
    (month,) = [month for month in used.get("/api/v1/usage/months").json()["months"] if month["month"] == MONTH]
    assert month["drift"] == {"calls": 1, "attempts": 1, "input_tokens": 0, "output_tokens": 0, "cost": "0.5"}
    assert (month["total"]["cost"], month["closed_total"]["cost"]) == ("0.75", "0.25")
    reopened = used.post(f"/api/v1/months/{MONTH}/reopen").json()
    assert (reopened["state"], reopened["drift"], len(reopened["events"])) == ("open", None, 2)
    assert used.get(f"/api/v1/months/{MONTH}").json() == reopened


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{THIS}/close", 400, "is not over"),
        (f"{MONTH}/reopen", 404, "never closed"),
        ("2026-13/close", 400, "Invalid month"),
        ("october/reopen", 400, "Invalid month"),
    ],
)
def test_what_cannot_be_closed_or_reopened_says_why(used: httpx.Client, path: str, status: int, said: str) -> None:
    response = used.post(f"/api/v1/months/{path}")
    assert response.status_code == status
    assert said in response.json()["message"]


def test_a_month_is_not_closed_twice_nor_with_what_nobody_asked_for(used: httpx.Client) -> None:
    assert used.post(f"/api/v1/months/{MONTH}/close", json={"force": True}).status_code == 400
    assert used.post(f"/api/v1/months/{MONTH}/close").status_code == 200
    again = used.post(f"/api/v1/months/{MONTH}/close")
    assert (again.status_code, again.json()["error_code"]) == (400, "INVALID_STATE")


@pytest.mark.parametrize(
    ("name", "result"), [("drained", lambda: "the disk is full"), ("backlog_age", lambda: 60.0)], ids=["it failed", "there was too much"]
)
def test_a_month_stays_open_while_the_journals_cannot_be_drained(
    gateway: Gateway, used: httpx.Client, monkeypatch: pytest.MonkeyPatch, name: str, result: Callable[[], object]
) -> None:
    monkeypatch.setattr(gateway.control, name, result)
    response = used.post(f"/api/v1/months/{MONTH}/close")
    assert (response.status_code, response.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "journals are not drained" in response.json()["message"]
    assert used.get(f"/api/v1/months/{MONTH}").json()["state"] == "open"
