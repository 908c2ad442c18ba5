"""Experiments: where traces are kept together, who traces into them, and what becomes of both when one is deleted."""

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.gateway import Gateway, until

from .conftest import Opened, Watch, signed_in
from .sites import opened, settled
from .test_endpoints import make, read
from .test_mission import call, traced


@pytest.fixture
def name() -> str:
    """Of an experiment that no other test has."""
    return f"exp-{uuid.uuid4().hex[:8]}"


def create(gateway: Gateway, name: str) -> str:
    return gateway.rest.post("/api/2.0/mlflow/experiments/create", name=name)["experiment_id"]


def found(gateway: Gateway, q: str, lifecycle: str = "all") -> list[dict[str, Any]]:
    return gateway.rest.get("/api/v1/experiments", q=q, lifecycle=lifecycle)["experiments"]


def rows(page: Page) -> Locator:
    return page.get_by_role("grid", name="Experiments").get_by_role("row").filter(has=page.get_by_role("rowheader"))


def act(page: Page, name: str, action: str) -> None:
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name=action).click()


def test_the_list_tells_what_goes_into_each(page: Page, gateway: Gateway, name: str) -> None:
    create(gateway, name)
    opened(page, "/experiments", gateway)
    told = found(gateway, "", "active")
    expect(rows(page).get_by_role("rowheader")).to_have_text([one["name"] for one in told])
    shared = next(one for one in told if one["name"] == "assistants")
    traces = gateway.rest.get("/api/v1/traces", experiment_id=shared["experiment_id"], max_results=1)["traces"]
    row = rows(page).filter(has=page.get_by_role("link", name="assistants", exact=True))
    expect(row.get_by_role("gridcell").first.get_by_role("link")).to_have_text(["sales-assistant", "support"])
    expect(row.get_by_role("gridcell").nth(1)).to_have_text(f"{shared['traces']:,}{'+' if shared['more_traces'] else ''}")
    moment = row.get_by_role("gridcell").nth(2).locator("time").get_attribute("datetime")
    assert moment is not None
    assert moment.replace("Z", "")[:23] == traces[0]["received_at"].replace("Z", "")[:23]
    fresh = rows(page).filter(has_text=name)
    for at, said in enumerate(("^none$", "^0$", "^never$", "^(now|.+ ago)$")):
        expect(fresh.get_by_role("gridcell").nth(at)).to_have_text(re.compile(said))


def test_an_experiment_is_found_and_leads_to_its_traces(page: Page, gateway: Gateway, name: str) -> None:
    make(gateway, name)
    gateway.known(name)
    trace_id = call(gateway, name, f"What is {name}?")
    traced(gateway, trace_id)
    opened(page, "/experiments", gateway)
    page.keyboard.press("/")
    page.keyboard.type(name.upper())
    expect(page).to_have_url(f"{gateway.url}/experiments?q={name.upper()}")
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(rows(page).get_by_role("gridcell").nth(1)).to_have_text("1")
    rows(page).get_by_role("link", name=f"gateway/{name}").click()
    (experiment,) = found(gateway, name)
    expect(page).to_have_url(re.compile(rf"/traces\?experiment_id=.*{experiment['experiment_id']}"))
    settled(page)
    links = page.get_by_role("grid", name="Traces").get_by_role("link")
    expect(links).to_have_count(1)
    expect(links).to_have_attribute("href", re.compile(f"^/traces/{trace_id}"))
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value(name.upper())
    page.get_by_role("searchbox").fill(f"{name}-nobody")
    expect(page.get_by_text("No experiment matches")).to_be_visible()


def test_an_experiment_is_made_and_renamed_and_no_two_have_a_name(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(r"console: .*status of 400.*/mlflow/experiments/(create|update)")
    create(gateway, f"{name}-taken")
    opened(page, f"/experiments?q={name}", gateway)
    page.get_by_role("button", name="Create experiment").first.click()
    dialog = page.get_by_role("dialog", name="Create an experiment")
    field = dialog.get_by_label("Name")
    expect(dialog.get_by_role("button", name="Create experiment")).to_be_disabled()
    field.fill(f"{name}-taken")
    page.keyboard.press("Enter")
    expect(field).to_have_accessible_description(re.compile(f"'{name}-taken' already exists"))
    field.fill(f" {name}-new ")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(rows(page).get_by_role("rowheader")).to_have_text([f"{name}-new", f"{name}-taken"])
    (made,) = found(gateway, f"{name}-new", "active")

    act(page, f"{name}-new", "Rename")
    dialog = page.get_by_role("dialog", name=f"Rename {name}-new")
    field = dialog.get_by_label("Name")
    expect(field).to_have_value(f"{name}-new")
    field.fill(f"{name}-taken")
    dialog.get_by_role("button", name="Rename").click()
    expect(field).to_have_accessible_description(re.compile(f"'{name}-taken' already exists"))
    field.fill(f"{name}-other")
    dialog.get_by_role("button", name="Rename").click()
    expect(rows(page).get_by_role("rowheader")).to_have_text([f"{name}-other", f"{name}-taken"])
    assert [one["experiment_id"] for one in found(gateway, f"{name}-other")] == [made["experiment_id"]]


def test_a_deleted_one_is_told_of_before_and_comes_back_with_its_traces(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(r"console: .*status of 400.*/mlflow/experiments/create")
    make(gateway, name)
    gateway.known(name)
    traced(gateway, call(gateway, name, "Where does that go?"))
    (before,) = found(gateway, name)
    opened(page, f"/experiments?q={name}", gateway)
    act(page, f"gateway/{name}", "Delete")
    dialog = page.get_by_role("dialog", name=f"Delete gateway/{name}?")
    expect(dialog).to_contain_text("It is hidden with its traces, and can be restored. The bill stays.")
    expect(dialog).to_contain_text(f"These endpoints trace into it: {name}. Each then goes on in one of its own.")
    dialog.get_by_role("button", name="Cancel").click()
    assert found(gateway, name)[0]["lifecycle"] == "active"
    act(page, f"gateway/{name}", "Delete")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(rows(page).get_by_role("link", name=f"gateway/{name}-2")).to_be_visible()
    expect(rows(page)).to_have_count(1)
    assert read(gateway, name)["experiment"]["name"] == f"gateway/{name}-2"
    assert [(one["name"], one["lifecycle"]) for one in found(gateway, name, "deleted")] == [(f"gateway/{name}", "deleted")]
    assert gateway.rest.get("/api/v1/traces", endpoint=name)["traces"] == []

    page.get_by_role("button", name="Create experiment").click()
    dialog = page.get_by_role("dialog", name="Create an experiment")
    dialog.get_by_label("Name").fill(f"gateway/{name}")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Name")).to_have_accessible_description(re.compile("already exists in deleted state. You can restore"))
    dialog.get_by_role("button", name="Cancel").click()

    page.get_by_role("radio", name="Deleted").click()
    expect(page).to_have_url(f"{gateway.url}/experiments?q={name}&lifecycle=deleted")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).get_by_role("link")).to_have_count(0)
    act(page, f"gateway/{name}", "Restore")
    expect(page.get_by_text("No experiment matches")).to_be_visible()
    page.get_by_role("radio", name="Active").click()
    rows(page).get_by_role("link", name=f"gateway/{name}", exact=True).click()
    settled(page)
    expect(page.get_by_role("grid", name="Traces").get_by_role("link")).to_have_count(1)
    until(lambda: found(gateway, name, "active")[-1]["experiment_id"] == before["experiment_id"], 20, "it is the one that was there")


@pytest.mark.parametrize(("role", "creates"), [("developer", True), ("viewer", False)])
def test_who_is_no_admin_deletes_none(context_of: Opened, browser: Browser, gateway: Gateway, name: str, role: str, creates: bool) -> None:
    key = gateway.rest.post("/api/v1/keys", name=name, role=role)["key"]
    context, _ = context_of(gateway, signed_in(browser, gateway, key))
    page = context.new_page()
    opened(page, "/experiments?q=assistants", gateway)
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("button", name=re.compile("^Actions for"))).to_have_count(0)
    button = page.get_by_role("button", name="Create experiment")
    if not creates:
        expect(button).to_be_disabled()
        return
    button.click()
    page.get_by_role("dialog").get_by_label("Name").fill(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert [one["name"] for one in found(gateway, name)] == [name]
