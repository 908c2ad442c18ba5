"""Settings in the browser: what is told of the gateway is so, and a period that is changed is in force."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.gateway import ADMIN_KEY, Gateway, until
from tests.e2e.rest import Rest, RestError

from .conftest import DAYS, Opened, Watch, signed_in
from .sites import opened, settled

FOREVER = {"content_days": None, "trace_days": None, "ledger_days": None}


@pytest.fixture(scope="module")
def mortal(
    built: None, browser: Browser, past: Callable[[Path], AbstractContextManager[str | None]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway whose history may be deleted."""
    data_dir = tmp_path_factory.mktemp("mortal") / "data"
    with past(data_dir) as db, Gateway(data_dir, db=db) as running:
        yield running


@pytest.fixture
def periods(context_of: Opened, browser: Browser, mortal: Gateway) -> tuple[Page, Watch]:
    """Its periods, all of them for good."""
    mortal.rest.call("PATCH", "/api/v1/retention", FOREVER)
    context, watch = context_of(mortal, signed_in(browser, mortal))
    page = context.new_page()
    opened(page, "/settings?tab=retention", mortal)
    return page, watch


def fact(page: Page, term: str) -> Locator:
    """The first of that name."""
    return page.locator("dl > div").filter(has=page.get_by_role("term").get_by_text(term, exact=True)).get_by_role("definition").first


def cells(page: Page, table: str) -> list[list[str]]:
    rows = page.get_by_role("grid", name=table).get_by_role("row").filter(has=page.get_by_role("rowheader"))
    return [row.locator("[role=rowheader], [role=gridcell]").all_inner_texts() for row in rows.all()]


def call(gateway: Gateway) -> None:
    gateway.rest.post("/v1/chat/completions", model="demo", messages=[{"role": "user", "content": "One more."}])


def whole(number: int) -> str:
    return f"{number:,}"


def stored(gateway: Gateway) -> dict[str, Any]:
    held = gateway.rest.get("/api/v1/retention")
    return {kind: held[kind] for kind in FOREVER}


def test_what_runs_is_told_as_it_is(page: Page, gateway: Gateway) -> None:
    opened(page, "/settings", gateway)
    server, status = gateway.rest.get("/api/v1/server"), gateway.rest.get("/api/v1/status")
    expect(fact(page, "Version")).to_have_text(status["version"])
    expect(fact(page, "Runs on")).to_have_text(f"Python {server['python']}, {server['platform']}")
    expect(fact(page, "Host")).to_have_text(server["host"])
    expect(fact(page, "Data folder")).to_have_text(str(gateway.data_dir))
    expect(fact(page, "Database")).to_have_text(re.compile(rf"^sqlite, \d[\d.]* MB .*{re.escape(str(gateway.data_dir))}/spangate\.db$"))
    expect(fact(page, "Snapshot")).to_have_text(whole(status["snapshot"]["published"]))
    expect(fact(page, "Prices of")).to_have_text(status["prices"]["edition"])
    running = {(gateway.kind(process), str(process.pid)) for process in gateway.processes()} - {("other", "")}
    assert {(kind, pid) for kind, pid, *_ in cells(page, "Processes")} == {one for one in running if one[0] != "other"}


def test_the_books_and_the_journals_are_told_as_they_are(page: Page, gateway: Gateway) -> None:
    call(gateway)  # a worker has a journal from its first one on
    until(lambda: gateway.rest.get("/api/v1/status")["drain"]["backlog_bytes"] == 0, 10, "the journals are drained")
    opened(page, "/settings", gateway)
    server, books = gateway.rest.get("/api/v1/server"), gateway.completeness()
    assert (books["missing"], books["duplicates"], books["aside"]) == (0, 0, [])
    expect(page.get_by_text("Nothing is missing")).to_be_visible()
    for term, value in {
        "Waiting in journals": "0 B",
        "For": "Nothing waits",
        "Calls under way": whole(books["open_calls"]),
        "Records missing": "0",
        "Records twice": "0",
        "Damaged files": "0",
    }.items():
        expect(fact(page, term)).to_have_text(value)
    told = [[one["process_id"], "Live" if one["live"] else "Being taken", whole(one["segments"]), "0 B"] for one in server["journals"]]
    assert cells(page, "Journals") == told
    assert [one["live"] for one in server["journals"]].count(True) == gateway.workers


def test_the_size_of_the_database_is_counted_when_asked_for(page: Page, gateway: Gateway) -> None:
    opened(page, "/settings", gateway)
    page.get_by_role("tab", name="Health").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Storage")).to_have_attribute("aria-selected", "true")
    settled(page)
    before = gateway.rest.get("/api/v1/database/size")

    def rows(kind: str, size: dict[str, Any]) -> int:
        return next(part["rows"] for part in size["parts"] if part["kind"] == kind)

    assert [row[:2] for row in cells(page, "By period")] == [
        [word, whole(rows(kind, before))] for word, kind in (("Content", "content"), ("Traces", "trace"), ("Ledger", "ledger"))
    ]
    told = {name: int(count.replace(",", "")) for name, count, _ in cells(page, "Tables")}
    assert told == {table["name"]: table["rows"] for table in before["tables"]}
    call(gateway)
    until(lambda: rows("ledger", gateway.rest.get("/api/v1/database/size")) == rows("ledger", before) + 1, 20, "the call is in the ledger")
    page.get_by_role("button", name="Count again").click()
    expect(page.get_by_role("grid", name="By period").get_by_role("row", name="Ledger")).to_contain_text(whole(rows("ledger", before) + 1))


def test_a_period_that_is_changed_is_in_force(periods: tuple[Page, Watch], mortal: Gateway) -> None:
    page, _ = periods
    content = page.get_by_role("textbox", name="Content")
    asked = page.get_by_role("dialog", name="Delete what is older?")
    expect(content).to_have_value("")
    content.fill("3")
    content.press("Enter")
    expect(asked).to_contain_text("Content: 3 days, until now for good")
    asked.get_by_role("button", name="Cancel").click()
    assert stored(mortal) == FOREVER
    page.get_by_role("button", name="Save periods").click()
    asked.get_by_role("button", name="Save and delete").click()
    expect(page.get_by_text("The periods are in force")).to_be_visible()
    assert stored(mortal) == FOREVER | {"content_days": 3}

    def swept() -> int:
        done = mortal.rest.get("/api/v1/retention")["swept"]
        return 0 if done["under_way"] or not done["at"] else done["content"]

    deleted = until(swept, 30, "what is older is gone")
    kept = next(part for part in mortal.rest.get("/api/v1/database/size")["parts"] if part["kind"] == "content")
    assert kept["due_rows"] <= 1  # that came of age a moment ago
    page.reload()
    settled(page)
    expect(content).to_have_value("3")
    expect(fact(page, "Content")).to_have_text(re.compile(f"{whole(deleted)}|{whole(deleted + 1)}"))
    expect(fact(page, "Ledger")).to_have_text("0")
    content.fill("")
    page.get_by_role("button", name="Save periods").click()  # nothing is lost, so nobody is asked
    expect(page.get_by_text("The periods are in force")).to_be_visible()
    assert stored(mortal) == FOREVER


def test_a_period_that_cannot_be_is_explained_beside_its_field(periods: tuple[Page, Watch], mortal: Gateway) -> None:
    page, watch = periods
    watch.excuse(r"console: .*status of 400.*/api/v1/retention")
    content, traces, ledger = (page.get_by_role("textbox", name=name) for name in ("Content", "Traces", "Ledger"))

    def save() -> None:
        page.get_by_role("button", name="Save periods").click()
        page.get_by_role("dialog").get_by_role("button", name="Save and delete").click()

    traces.fill(str(DAYS * 2))
    save()
    expect(content).to_have_accessible_description(re.compile(f"no content outlives its trace. Set content_days to {DAYS * 2} or less"))
    expect(traces).not_to_have_attribute("aria-invalid", "true")
    content.fill(str(DAYS * 2))
    ledger.fill("40000")
    save()
    expect(ledger).to_have_accessible_description(re.compile("36500"))
    expect(content).not_to_have_attribute("aria-invalid", "true")
    assert stored(mortal) == FOREVER
    ledger.fill("0")
    ledger.press("Tab")
    expect(ledger).to_have_value("1")  # nothing is kept for less
    ledger.fill(str(DAYS * 4))
    save()
    expect(page.get_by_text("The periods are in force")).to_be_visible()
    assert stored(mortal) == {"content_days": DAYS * 2, "trace_days": DAYS * 2, "ledger_days": DAYS * 4}


def test_periods_that_are_being_written_outlast_a_look_that_fails(periods: tuple[Page, Watch], mortal: Gateway) -> None:
    page, watch = periods
    watch.excuse(r"console: .*status of 418.*/api/v1/retention")
    page.clock.install()
    opened(page, "/settings?tab=retention", mortal)
    content = page.get_by_role("textbox", name="Content")
    content.fill("3")
    page.route("**/api/v1/retention", lambda route: route.fulfill(status=418, json={"message": "Not now."}))
    for _ in range(2):  # looked at again by itself
        with page.expect_response("**/api/v1/retention"):
            page.clock.fast_forward(10_000)
    expect(page.get_by_role("alert")).to_have_text(re.compile("This could not be loaded.*Not now", re.DOTALL))
    expect(content).to_have_value("3")
    page.unroute("**/api/v1/retention")
    with page.expect_response("**/api/v1/retention"):
        page.clock.fast_forward(10_000)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(content).to_have_value("3")


def test_a_count_that_fails_leaves_the_one_before_in_sight(page: Page, watch: Watch, gateway: Gateway) -> None:
    watch.excuse(r"console: .*status of 418.*/api/v1/database/size")
    opened(page, "/settings?tab=storage", gateway)
    before = cells(page, "Tables")
    page.route("**/api/v1/database/size", lambda route: route.fulfill(status=418, json={"message": "Not now."}))
    page.get_by_role("button", name="Count again").click()
    expect(page.get_by_role("alert")).to_contain_text("Not now.")
    assert cells(page, "Tables") == before != []


def test_an_endpoint_with_periods_of_its_own_is_named(page: Page, gateway: Gateway) -> None:
    name = f"own-{uuid.uuid4().hex[:8]}"
    primaries = [{"provider": "simulated", "model": "simulated"}]
    gateway.rest.post("/api/v1/endpoints", name=name, primaries=primaries, settings={"retention": {"content_days": 30}})
    opened(page, "/settings?tab=retention", gateway)
    assert [name, "30 days", "as the server", "as the server"] in cells(page, "Endpoints with periods of their own")
    page.get_by_role("link", name=name).click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")


def test_settings_are_told_with_where_they_were_said_and_secrets_are_not(page: Page, gateway: Gateway) -> None:
    opened(page, "/settings?tab=settings", gateway)
    settings = gateway.rest.get("/api/v1/server")["settings"]
    rows = page.get_by_role("grid", name="Settings").get_by_role("row").filter(has=page.get_by_role("rowheader"))
    expect(rows).to_have_count(len(settings))
    page.keyboard.press("/")
    page.keyboard.type("SPANGATE_ADMIN_KEY")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(re.compile("hidden.*environment"))
    assert ADMIN_KEY not in page.content()
    page.get_by_role("searchbox").fill("")
    page.get_by_text("Only those that were said").click()
    said = {one["name"]: one for one in settings if one["source"] != "default"}
    expect(rows).to_have_count(len(said))
    assert (said["host"]["is_default"], said["port"]["value"]) == (True, gateway.port)
    port = rows.filter(has=page.get_by_role("rowheader", name=re.compile("^port")))
    expect(port).to_contain_text(re.compile(rf"{gateway.port}.*flag.*--port.*SPANGATE_PORT"))


def test_who_is_no_admin_neither_sees_nor_changes_them(context_of: Opened, browser: Browser, gateway: Gateway) -> None:
    key = gateway.rest.post("/api/v1/keys", name=f"viewer-{uuid.uuid4().hex[:8]}", role="viewer")["key"]
    context, _ = context_of(gateway, signed_in(browser, gateway, key))
    page = context.new_page()
    opened(page, "/settings?tab=retention", gateway)
    expect(page.get_by_text("These are for admins")).to_be_visible()
    expect(page.get_by_role("tab")).to_have_count(0)
    with pytest.raises(RestError, match=r"^403"):
        Rest(gateway.url, key).call("PATCH", "/api/v1/retention", {"content_days": 1})
    assert stored(gateway) == FOREVER
