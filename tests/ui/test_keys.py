"""Keys in the browser: each is made for somebody and for something, is found by whose it is, and ends when it is told to."""

import datetime
import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.gateway import MLFLOW2, Gateway, until
from tests.e2e.rest import Rest, RestError

from .conftest import Opened, Watch, signed_in
from .sites import opened, settled


@pytest.fixture
def name() -> str:
    """Of a key that no other test has."""
    return f"k-{uuid.uuid4().hex[:8]}"


def make(gateway: Gateway, name: str, **more: Any) -> dict[str, Any]:
    return gateway.rest.post("/api/v1/keys", **{"name": name, "role": "developer", **more})


def read(gateway: Gateway, name: str) -> dict[str, Any]:
    """What is known of a key, also of one that has ended."""
    (found,) = gateway.rest.get("/api/v1/keys", name=name, revoked="true", expired="true")["keys"]
    return found


def call(gateway: Gateway, key: str, model: str) -> int:
    """A call with a key; returns the status of its answer."""
    try:
        Rest(gateway.url, key).post("/v1/chat/completions", model=model, messages=[{"role": "user", "content": "Whose is it?"}])
    except RestError as refused:
        return refused.status
    return 200


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("grid", name="Keys").get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def cell(page: Page, name: str, column: str) -> Locator:
    table = page.get_by_role("grid", name="Keys")
    expect(table).to_be_visible()
    heads = table.get_by_role("columnheader").all_inner_texts()
    return row(page, name).locator("[role=rowheader], [role=gridcell]").nth([head.strip() for head in heads].index(column))


def act(page: Page, name: str, action: str) -> Locator:
    """Chooses from the row's menu; returns the dialog that it opens."""
    row(page, name).get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name=action).click()
    return page.get_by_role("dialog")


def test_a_key_is_for_an_experiment_that_is_found_among_many(empty: Gateway, browser: Browser, context_of: Opened, name: str) -> None:
    ids = [empty.rest.post(f"{MLFLOW2}/experiments/create", name=f"study-{number:03}")["experiment_id"] for number in range(110)]
    context, _ = context_of(empty, signed_in(browser, empty))
    page = context.new_page()
    opened(page, "/keys", empty)
    page.get_by_role("button", name="Create key").first.click()
    dialog = page.get_by_role("dialog", name="Create a key")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_role("radiogroup", name="Experiments").get_by_role("radio", name="Only these").click()
    dialog.get_by_role("searchbox", name="Search").fill("study-003")  # not among the newest hundred
    dialog.get_by_role("group", name="Experiments").get_by_text("study-003", exact=True).click()
    dialog.get_by_role("searchbox", name="Search").fill("")
    expect(dialog.get_by_role("checkbox", name="study-003")).to_be_checked()
    dialog.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("dialog", name=re.compile(name))).to_be_visible()
    assert read(empty, name)["experiments"] == [ids[3]]


def test_a_key_is_made_for_somebody_and_calls_what_it_is_for(page: Page, gateway: Gateway, name: str) -> None:
    ends = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0) + datetime.timedelta(days=3)
    opened(page, f"/keys?q={name}", gateway)
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog", name="Create a key")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_role("button", name=re.compile("Role")).click()
    expect(page.get_by_role("option")).to_have_count(3)
    page.get_by_role("option", name=re.compile("^Developer")).click()
    dialog.get_by_label("Owner").fill("grace")
    dialog.get_by_label("Team").fill("compilers")
    dialog.get_by_role("radiogroup", name="Endpoints").get_by_role("radio", name="Only these").click()
    dialog.get_by_role("searchbox", name="Search").fill("demo")
    page.keyboard.press("Enter")  # searches: the key is not made yet
    dialog.get_by_role("group", name="Endpoints").get_by_text("demo", exact=True).click()
    dialog.get_by_label("Expires").fill(ends.strftime("%Y-%m-%dT%H:%M"))
    dialog.get_by_role("button", name="Add a tag").click()
    tags = dialog.get_by_role("group", name="Tags", exact=True)
    tags.get_by_label("Name").fill("env")
    tags.get_by_label("Value").fill("ci")
    dialog.get_by_role("button", name="Create key").click()
    made = page.get_by_role("dialog", name=f"{name} is ready")
    key = made.get_by_role("region", name="Key").inner_text().strip()
    made.get_by_role("button", name="I have copied it").click()

    kept = read(gateway, name)
    demo = gateway.rest.get("/api/v1/endpoints/demo")["endpoint_id"]
    assert (kept["role"], kept["owner"], kept["team"], kept["tags"]) == ("developer", "grace", "compilers", {"env": "ci"})
    assert (kept["endpoints"], kept["experiments"], kept["scopes"]) == ([demo], None, [])
    assert datetime.datetime.fromisoformat(kept["expires_at"]) == ends
    expect(cell(page, name, "Owner and team")).to_have_text("gracecompilers")
    expect(cell(page, name, "Endpoints")).to_have_text("demo")
    expect(cell(page, name, "Last used")).to_have_text("never")
    expect(cell(page, name, "State")).to_have_text(re.compile("Active.*ends in 2d"))

    until(lambda: call(gateway, key, "demo") == 200, 10, "the key calls its endpoint")
    assert call(gateway, key, "live") == 403
    until(lambda: read(gateway, name)["last_used_at"], 10, "the use of the key is noted")
    page.reload()
    expect(cell(page, name, "Last used")).to_have_text(re.compile("now|ago"))
    assert key not in page.content()


def test_a_change_of_a_key_is_in_force_within_a_second(page: Page, gateway: Gateway, name: str) -> None:
    made = make(gateway, name, owner="grace", team="compilers", tags={"env": "ci"})
    until(lambda: call(gateway, made["key"], "demo") == 200, 10, "the key is known")
    opened(page, f"/keys?q={name}", gateway)
    dialog = act(page, name, "Edit")
    expect(dialog.get_by_label("Name", exact=True).first).to_be_disabled()  # the bill has it
    dialog.get_by_label("Owner").fill("")
    dialog.get_by_label("Team").fill("languages")
    dialog.get_by_role("button", name=re.compile("Role")).click()
    page.get_by_role("option", name=re.compile("^Viewer")).click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    until(lambda: call(gateway, made["key"], "demo") == 403, 10, "a viewer calls nothing")
    expect(cell(page, name, "Owner and team")).to_have_text("nobodylanguages")
    expect(cell(page, name, "Role")).to_have_text("Viewer")
    expected = {**made, "owner": None, "team": "languages", "role": "viewer"}
    same = set(expected) - {"key", "updated_at", "updated_by", "last_used_at"}
    assert {field: read(gateway, name)[field] for field in same} == {field: expected[field] for field in same}


def test_a_key_is_made_and_revoked_from_the_keyboard(page: Page, gateway: Gateway, name: str) -> None:
    opened(page, f"/keys?q={name}", gateway)

    def tab_to(wanted: Locator) -> None:
        for _ in range(40):
            if wanted.evaluate_all("(found) => found.includes(document.activeElement)"):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"the Tab key does not come to {wanted}")

    tab_to(page.get_by_role("button", name="Create key"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type(name)
    tab_to(dialog.get_by_label("Owner"))
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    key = dialog.get_by_role("region", name="Key").inner_text().strip()
    tab_to(dialog.get_by_role("button", name="I have copied it"))
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert read(gateway, name)["owner"] == "ada"
    until(lambda: call(gateway, key, "demo") == 200, 10, "the key is known")

    menu = row(page, name).get_by_role("button")
    asking = page.get_by_role("dialog", name=f"Revoke {name}?")

    def ask() -> None:
        expect(menu).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("menuitem", name="Edit")).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(asking).to_contain_text("cannot be taken back")

    tab_to(row(page, name))
    page.keyboard.press("ArrowLeft")  # around to the end of the row
    ask()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert call(gateway, key, "demo") == 200
    ask()
    tab_to(dialog.get_by_role("button", name="Revoke"))
    page.keyboard.press("Enter")
    until(lambda: call(gateway, key, "demo") == 401, 10, "the key is refused")
    expect(page.get_by_text("No key matches")).to_be_visible()
    assert read(gateway, name)["revoked_at"] is not None


def test_a_key_is_copied_also_where_a_page_has_no_clipboard(page: Page, gateway: Gateway, name: str) -> None:
    """Over plain HTTP, beyond loopback."""
    page.add_init_script("delete Navigator.prototype.clipboard")
    opened(page, f"/keys?q={name}", gateway)
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_role("button", name="Create key").click()
    key = dialog.get_by_role("region", name="Key").inner_text().strip()
    assert page.evaluate("navigator.clipboard") is None
    copy = dialog.get_by_role("button", name=re.compile("^Cop(y|ied)$"))
    copy.click()
    expect(copy).to_have_accessible_name("Copied")
    page.evaluate("() => { document.execCommand = () => false; }")
    copy.click()
    expect(dialog.get_by_role("alert")).to_have_text("Could not be copied: select it instead")
    dialog.get_by_role("button", name="I have copied it").click()

    page.get_by_role("button", name="Create key").click()
    dialog.get_by_label("Owner").focus()
    page.keyboard.press("Control+V")
    expect(dialog.get_by_label("Owner")).to_have_value(key)


def test_keys_are_found_by_whose_they_are_and_those_that_ended_on_request(page: Page, gateway: Gateway, name: str) -> None:
    for no, more in enumerate(({"owner": f"owner-{name}"}, {"team": f"Team-{name}"}, {"tags": {"app": f"app-{name}"}})):
        make(gateway, f"{no}-{name[2:]}", **more)
    gateway.rest.post(f"/api/v1/keys/{make(gateway, f'past-{name}')['key_id']}/revoke")
    opened(page, "/keys", gateway)
    names = page.get_by_role("grid", name="Keys").get_by_role("rowheader")
    for sought, found in ((f"owner-{name}", 0), (f"team-{name.upper()}", 1), (f"app-{name}", 2)):
        page.keyboard.press("/")
        page.keyboard.press("Control+A")
        page.keyboard.type(sought)
        expect(names).to_have_text([re.compile(f"^{found}-{name[2:]}")])
        page.keyboard.press("Tab")  # a slash in the field is a slash
    page.get_by_role("searchbox").fill(f"past-{name}")
    expect(page.get_by_text("No key matches")).to_be_visible()
    page.get_by_text("Show ended").click()
    expect(cell(page, f"past-{name}", "State")).to_have_text("Revoked")
    expect(row(page, f"past-{name}").get_by_role("button")).to_have_count(0)
    page.reload()  # what was chosen is in the address
    expect(names).to_have_text([re.compile(f"^past-{name}")])


def test_what_the_server_refuses_stands_beside_its_field(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(r"console: .*status of 400.*/api/v1/keys")
    make(gateway, name)
    opened(page, "/keys", gateway)
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog")
    field, expires = dialog.get_by_label("Name", exact=True), dialog.get_by_label("Expires")
    field.fill(name)
    dialog.get_by_label("Owner").fill("grace")
    dialog.get_by_role("button", name="Create key").click()
    expect(field).to_have_accessible_description(re.compile(f"A key is, or was, named '{name}'"))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_role("alert")).to_have_count(0)
    field.fill(f"{name}-2")
    expires.fill("2020-02-02T02:02")
    dialog.get_by_role("button", name="Create key").click()
    expect(expires).to_have_accessible_description(re.compile("has passed already"))
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expires.fill("")
    dialog.get_by_role("button", name="Add a tag").click()
    dialog.get_by_role("group", name="Tags", exact=True).get_by_label("Name").fill("empty")
    dialog.get_by_role("button", name="Create key").click()
    expect(dialog.get_by_role("alert")).to_contain_text("'tag empty'")  # which has no field of its own
    dialog.get_by_role("button", name="Remove this tag").click()
    dialog.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name=f"{name}-2 is ready")).to_be_visible()
    assert read(gateway, f"{name}-2")["owner"] == "grace"


def test_who_is_no_admin_is_told_so(context_of: Opened, browser: Browser, gateway: Gateway, name: str) -> None:
    key = make(gateway, name, role="viewer")["key"]
    context, _ = context_of(gateway, signed_in(browser, gateway, key))
    page = context.new_page()
    opened(page, "/keys", gateway)
    settled(page)
    expect(page.get_by_text("Keys are for admins")).to_be_visible()
    expect(page.get_by_role("button", name="Create key")).to_be_disabled()
    expect(page.get_by_role("grid")).to_have_count(0)
