"""Endpoints in the browser: made and changed in one form, listed, tried, and deleted with a word on who would miss them."""

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, StorageState, expect

from tests.e2e.gateway import Gateway
from tests.upstream.process import Upstream

from .conftest import Opened, Watch, signed_in
from .sites import opened, settled


@pytest.fixture
def name() -> str:
    """Of an endpoint that no other test has."""
    return f"e-{uuid.uuid4().hex[:8]}"


def simulated(model: str = "simulated", **more: Any) -> dict[str, Any]:
    return {"provider": "simulated", "model": model, **more}


def make(gateway: Gateway, name: str, **more: Any) -> dict[str, Any]:
    return gateway.rest.post("/api/v1/endpoints", **{"name": name, "primaries": [simulated()], **more})


def read(gateway: Gateway, name: str) -> dict[str, Any]:
    return gateway.rest.get(f"/api/v1/endpoints/{name}")


def choose(where: Page | Locator, label: str, typed: str, option: str | re.Pattern[str], nth: int = 0) -> None:
    where.get_by_role("combobox", name=label).nth(nth).fill(typed)
    page = where if isinstance(where, Page) else where.page
    page.get_by_role("option", name=option).first.click()


def fallbacks(page: Page) -> Locator:
    return page.get_by_role("grid", name="Fallbacks").get_by_role("row")


def test_a_new_credential_a_split_and_fallbacks_are_made_in_one_form(page: Page, gateway: Gateway, upstream: Upstream, name: str) -> None:
    opened(page, "/endpoints/new", gateway)
    choose(page, "Provider", "OpenAI-comp", re.compile("OpenAI-compatible"))
    page.get_by_role("combobox", name="Model").fill("gpt-replay")
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value("gpt-replay")
    page.get_by_role("textbox", name="Name", exact=True).fill(name)
    page.get_by_role("button", name=re.compile("Credential")).click()  # where there is one of this provider, it is chosen
    page.get_by_role("option", name="New credential…").click()
    page.get_by_label("Base URL").fill(upstream.base)
    page.get_by_text("May be a private address").click()
    page.get_by_label("Name of the credential").fill(name)

    page.get_by_role("button", name="Add a model").click()
    choose(page, "Provider", "Simulated", re.compile("Simulated"), nth=1)
    page.get_by_role("combobox", name="Model").nth(1).fill("simulated")
    page.keyboard.press("Tab")
    page.get_by_label("Share").nth(0).fill("80")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Share").nth(1)).to_have_value("20")

    page.get_by_role("button", name=re.compile("^Fallbacks")).click()
    page.get_by_role("button", name="Add a fallback").click()
    dialog = page.get_by_role("dialog")
    choose(dialog, "Provider", "OpenAI-comp", re.compile("OpenAI-compatible"))
    dialog.get_by_role("combobox", name="Model").fill("gpt-spare")
    page.keyboard.press("Tab")
    dialog.get_by_role("button", name=re.compile("Credential")).click()
    page.get_by_role("option", name=re.compile(f"{name}.*New in this form", re.DOTALL)).click()
    dialog.get_by_role("button", name="Add", exact=True).click()

    page.get_by_role("button", name=re.compile("^Timeouts")).click()
    page.get_by_label("First byte").fill("12.5")
    page.get_by_role("button", name=re.compile("^Tracing")).click()
    page.get_by_role("combobox", name="Experiment").fill(f"own-{name}")
    page.keyboard.press("Tab")
    page.get_by_role("button", name=re.compile("Content of traces")).click()
    page.get_by_role("option", name=re.compile("^None")).click()
    page.get_by_role("button", name=re.compile("^Aliases")).click()
    page.get_by_role("textbox", name="Aliases").fill(f"{name}-a, {name}-b-*")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add a tag").click()
    tags = page.get_by_role("group", name="Tags", exact=True)
    tags.get_by_label("Name").fill("team")
    tags.get_by_label("Value").fill("search")
    page.get_by_role("button", name="Create endpoint").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")

    made = read(gateway, name)
    (secret,) = [one for one in gateway.rest.get("/api/v1/secrets")["secrets"] if one["name"] == name]
    assert [(one["model"], one["secret_id"], one["share"]) for one in made["primaries"]] == [
        ("gpt-replay", secret["secret_id"], 80),
        ("simulated", None, 20),
    ]
    assert [(one["model"], one["secret_id"]) for one in made["fallbacks"]] == [("gpt-spare", secret["secret_id"])]
    assert secret["auth_config"] == {"api_base": upstream.base, "allow_private": "true"}
    assert made["experiment"]["name"] == f"own-{name}"
    assert (made["settings"]["first_byte_timeout"], made["settings"]["content"]) == (12.5, "metadata")
    assert (made["aliases"], made["tags"]) == ([f"{name}-a", f"{name}-b-*"], {"team": "search"})


def test_what_is_wrong_stands_beside_its_field_and_has_the_keyboard(page: Page, watch: Watch, gateway: Gateway) -> None:
    watch.excuse(r"console: .*status of 400.*/api/v1/endpoints")
    opened(page, "/endpoints/new", gateway)
    choose(page, "Provider", "Anthropic", re.compile("Anthropic"))
    page.get_by_role("button", name=re.compile("Credential")).click()
    page.get_by_role("option", name="New credential…").click()
    page.get_by_role("combobox", name="Model").fill("claude-x")
    page.keyboard.press("Tab")
    page.get_by_role("textbox", name="Name", exact=True).fill("two words")
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("alert").filter(has_text="The endpoint was not created")).to_be_visible()
    wrong = page.get_by_role("textbox", name="Name", exact=True)
    expect(wrong).to_be_focused()
    expect(wrong).to_have_accessible_description(re.compile("Invalid endpoint name 'two words'"))
    key = page.get_by_label("API key", exact=True)
    expect(key).to_have_accessible_description(re.compile("Anthropic needs it"))
    key.press_sequentially("sk-ant-one")  # key by key: each of them lands where it was meant to
    expect(key).to_have_value("sk-ant-one")
    expect(key).not_to_have_attribute("aria-invalid", "true")
    expect(wrong).to_have_value("two words")
    wrong.press_sequentially("-more")
    expect(wrong).to_have_value(re.compile("-more"))
    expect(key).to_have_value("sk-ant-one")


def test_a_section_that_a_fault_has_opened_stays_open(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(rf"console: .*status of 400.*/api/v1/endpoints/{name}")
    gone = gateway.rest.post("/api/2.0/mlflow/experiments/create", name=f"gone-{name}")
    gateway.rest.post("/api/2.0/mlflow/experiments/delete", experiment_id=gone["experiment_id"])
    make(gateway, name)
    opened(page, f"/endpoints/{name}/edit", gateway)
    section = page.get_by_role("button", name=re.compile("^Tracing"))
    section.click()
    experiment = page.get_by_role("combobox", name="Experiment")
    experiment.fill(f"gone-{name}")
    page.keyboard.press("Tab")
    section.click()
    expect(section).to_have_attribute("aria-expanded", "false")
    page.get_by_role("button", name="Save changes").click()
    expect(experiment).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type("-no-more")
    expect(experiment).to_have_value(f"gone-{name}-no-more")
    page.keyboard.press("Tab")
    expect(section).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")
    assert read(gateway, name)["experiment"]["name"] == f"gone-{name}-no-more"


def test_numbers_are_read_as_they_are_shown_whatever_the_browser_speaks(
    context_of: Opened, session: StorageState, gateway: Gateway, name: str
) -> None:
    make(gateway, name)
    context, _ = context_of(gateway, session, locale="de-DE")
    page = context.new_page()
    opened(page, f"/endpoints/{name}/edit", gateway)
    page.get_by_role("button", name=re.compile("^Timeouts")).click()
    field = page.get_by_role("textbox", name="First byte")
    field.press_sequentially("2.5")
    page.keyboard.press("Tab")
    expect(field).to_have_value("2.5")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")
    assert read(gateway, name)["settings"]["first_byte_timeout"] == 2.5
    opened(page, f"/endpoints?q={name}", gateway)
    expect(page.get_by_role("button", name="Clear search")).to_be_visible()  # and so are React Aria's own words


def test_a_form_stays_in_sight_while_its_endpoint_is_renamed(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    """Its old name is looked at once more, and is gone."""
    watch.excuse(rf"console: .*status of 404.*/api/v1/endpoints/{name}")
    make(gateway, name)
    opened(page, f"/endpoints/{name}/edit", gateway)
    field = page.get_by_role("textbox", name="Name", exact=True)
    field.fill(f"{name}-new")
    held: list[Route] = []
    page.route("**/api/v1/secrets", lambda route: held.append(route))
    with page.expect_response(lambda answer: answer.url.endswith(f"/endpoints/{name}") and answer.status == 404):
        page.get_by_role("button", name="Save changes").click()
    for _ in range(3):
        page.evaluate("() => new Promise(requestAnimationFrame)")  # what it brings about is drawn
    assert (page.get_by_text("This could not be loaded").count(), field.input_value()) == (0, f"{name}-new")
    for route in held:
        route.continue_()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}-new")


def test_fallbacks_are_put_in_order_from_the_keyboard_by_dragging_and_by_menu(page: Page, gateway: Gateway, name: str) -> None:
    make(gateway, name, fallbacks=[simulated(f"{name}-{n}") for n in "abc"])
    opened(page, f"/endpoints/{name}/edit", gateway)
    page.get_by_role("button", name=re.compile("^Fallbacks")).click()

    def order(said: str) -> None:
        expect(fallbacks(page)).to_contain_text([f"{name}-{n}" for n in said])

    order("abc")
    page.keyboard.press("Tab")  # from the section's head into the list
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name=f"Insert after {name}-c")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    order("acb")
    fallbacks(page).nth(2).get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Move up").click()
    order("abc")
    fallbacks(page).nth(2).drag_to(fallbacks(page).nth(0), source_position={"x": 16, "y": 20}, target_position={"x": 80, "y": 3})
    order("cab")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")
    assert [one["model"] for one in read(gateway, name)["fallbacks"]] == [f"{name}-{n}" for n in "cab"]


def test_shares_must_come_to_all_of_the_calls(page: Page, gateway: Gateway, name: str) -> None:
    make(gateway, name, primaries=[simulated(f"{name}-{n}", weight=1) for n in "abc"])
    opened(page, f"/endpoints/{name}/edit", gateway)
    shares = page.get_by_label("Share")
    assert [shares.nth(n).input_value() for n in range(3)] == ["33.34", "33.33", "33.33"]
    shares.nth(0).fill("20")
    page.keyboard.press("Tab")
    expect(page.get_by_text("86.66% of the calls: 13.34% are left to give")).to_be_visible()
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("The shares must come to 100%")).to_be_visible()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}/edit")
    assert len({one["share"] for one in read(gateway, name)["primaries"]}) == 1  # nothing was sent
    page.get_by_role("button", name="Make it 100%").click()
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")
    assert sum(one["share"] for one in read(gateway, name)["primaries"]) == pytest.approx(100)
    assert read(gateway, name)["primaries"][0]["share"] == pytest.approx(23.08)


def test_the_share_that_makes_it_whole_is_saved_with_the_first_press(page: Page, gateway: Gateway, name: str) -> None:
    make(gateway, name, primaries=[simulated(f"{name}-{n}", weight=1) for n in "abc"])
    opened(page, f"/endpoints/{name}/edit", gateway)
    shares = page.get_by_label("Share")
    shares.nth(0).fill("50")
    shares.nth(1).fill("30")
    shares.nth(2).fill("20")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")
    assert [one["share"] for one in read(gateway, name)["primaries"]] == [50, 30, 20]


def test_what_somebody_else_has_changed_is_not_written_over_unasked(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(r"console: .*status of 409.*/api/v1/endpoints")
    made = make(gateway, name)
    opened(page, f"/endpoints/{name}/edit", gateway)
    gateway.rest.call("PUT", f"/api/v1/endpoints/{name}", {**made, "tags": {"theirs": "yes"}})
    page.get_by_role("button", name=re.compile("^Tracing")).click()
    page.get_by_text("Usage tracking", exact=True).click()
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("alert").filter(has_text="Somebody has changed it meanwhile")).to_be_visible()
    assert read(gateway, name)["usage_tracking"] is True
    page.get_by_role("button", name="Show it as it is now").click()
    expect(page.get_by_role("button", name=re.compile("theirs: yes"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Tracing")).click()
    page.get_by_text("Usage tracking", exact=True).click()
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")
    assert (read(gateway, name)["usage_tracking"], read(gateway, name)["tags"]) == (False, {"theirs": "yes"})


def test_what_was_written_is_not_left_behind_by_accident(page: Page, gateway: Gateway) -> None:
    opened(page, "/endpoints/support/edit", gateway)
    page.get_by_role("textbox", name="Name", exact=True).fill("elsewhere")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Traces").click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value("elsewhere")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Traces").click()
    dialog.get_by_role("button", name="Leave").click()
    expect(page).to_have_url(re.compile("/traces"))


def test_the_list_is_searched_filtered_and_leads_to_traces(page: Page, gateway: Gateway) -> None:
    opened(page, "/endpoints", gateway)
    table = page.get_by_role("grid", name="Endpoints")
    expect(table.get_by_role("row").filter(has_text="support").get_by_role("img", name="Calls by hour")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("mistral transl")
    rows = table.get_by_role("row").filter(has=page.get_by_role("rowheader"))
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("translate")
    expect(page).to_have_url(re.compile(r"\?q=mistral(\+|%20)transl$"))
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name=re.compile("Provider")).click()
    page.get_by_role("option", name="Ollama").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("laptop")
    page.reload()
    expect(rows).to_have_count(1)
    rows.get_by_role("button", name="View traces").click()
    expect(page).to_have_url(re.compile(r"/traces\?endpoint=.*laptop"))


def test_the_page_tells_how_to_call_it_and_calls_it(page: Page, gateway: Gateway) -> None:
    opened(page, "/endpoints/demo", gateway)
    page.get_by_role("tab", name="anthropic").click()
    snippet = page.get_by_role("region", name="anthropic")
    expect(snippet).to_contain_text(f'base_url="{gateway.url}"')
    expect(snippet).to_contain_text('model="demo"')
    page.get_by_role("textbox", name="What to send").fill("Are you there?")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("200 answered")).to_be_visible()
    expect(page.get_by_text(re.compile("simulated answer", re.IGNORECASE))).to_be_visible()
    expect(page.get_by_role("link", name="See its trace")).to_have_attribute("href", re.compile("^/traces/tr-"))


def test_a_duplicate_has_all_but_the_name_and_the_aliases(page: Page, gateway: Gateway, name: str) -> None:
    made = make(gateway, name, fallbacks=[simulated("spare")], max_attempts=3, aliases=[f"{name}-alias"], tags={"a": "b"})
    opened(page, f"/endpoints/{name}", gateway)
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name="Duplicate").click()
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value(f"{name}-copy")
    page.get_by_role("button", name="Create endpoint").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}-copy")
    copied = read(gateway, f"{name}-copy")
    same = ("fallbacks", "max_attempts", "settings", "tags", "usage_tracking")
    assert {field: copied[field] for field in same} == {field: made[field] for field in same}
    assert (copied["aliases"], copied["experiment"]["name"]) == ([], f"gateway/{name}-copy")


def test_who_deletes_an_endpoint_is_told_who_would_miss_it(page: Page, gateway: Gateway, name: str) -> None:
    made = make(gateway, name, aliases=[f"{name}-alias"])
    gateway.rest.post("/api/v1/keys", name=f"key-{name}", role="developer", endpoints=[made["endpoint_id"]])
    opened(page, f"/endpoints?q={name}", gateway)
    page.get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog", name=f"Delete {name}?")
    expect(dialog).to_contain_text(f"Its aliases go with it: {name}-alias.")
    expect(dialog).to_contain_text(f"The key key-{name} may call nothing else")
    dialog.get_by_role("button", name="Delete endpoint").click()
    expect(page.get_by_text("No endpoint is like that")).to_be_visible()
    settled(page)
    assert name not in [one["name"] for one in gateway.rest.get("/api/v1/endpoints")["endpoints"]]


def test_who_is_no_admin_sees_endpoints_and_cannot_change_them(context_of: Opened, browser: Browser, gateway: Gateway, name: str) -> None:
    key = gateway.rest.post("/api/v1/keys", name=f"viewer-{name}", role="viewer")["key"]
    context, _ = context_of(gateway, signed_in(browser, gateway, key))
    page = context.new_page()
    opened(page, "/endpoints", gateway)
    expect(page.get_by_role("button", name="New endpoint")).to_have_count(0)
    page.get_by_role("button", name="Actions for support").click()
    expect(page.get_by_role("menuitem", name="Delete")).to_have_attribute("aria-disabled", "true")
    opened(page, "/endpoints/support/edit", gateway)
    expect(page.get_by_text("Your key may not change endpoints")).to_be_visible()
