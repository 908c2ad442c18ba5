"""Models and prices: what there is, what it costs and who says so, and an admin's word against it, from its form to the bill."""

import datetime
import re
import uuid
from decimal import Decimal
from typing import Any

import openai
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.gateway import ADMIN_KEY, Gateway, until
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .conftest import Opened, Watch, signed_in
from .figures import NONE, price
from .sites import opened, settled

OVERRIDES = "/models?tab=overrides"
MODEL = "gpt-4.1-nano"  # of OpenAI; nothing here calls it


@pytest.fixture
def name() -> str:
    """Of an override that no other test has."""
    return f"deal-{uuid.uuid4().hex[:8]}"


def known(gateway: Gateway, model: str, provider: str = "openai") -> dict[str, Any]:
    found = gateway.rest.get("/api/v1/catalog/models", provider=provider, q=model)["models"]
    return next(one for one in found if one["model"] == model)


def kept(gateway: Gateway, name: str) -> dict[str, Any] | None:
    return next((one for one in gateway.rest.get("/api/v1/prices/overrides")["overrides"] if one["name"] == name), None)


def quoted(gateway: Gateway, at: datetime.datetime | None = None, **asked: Any) -> tuple[str | None, str | None]:
    """Who is believed, and what a million tokens of input cost."""
    moment = {} if at is None else {"at": at.isoformat()}
    (quote,) = gateway.rest.post("/api/v1/prices/quote", usage={"input": 1_000_000, "output": 0}, **moment, **asked)["quotes"]
    return quote["override"], quote["cost"]


def rows(page: Page, table: str) -> Locator:
    return page.get_by_role("grid", name=table).get_by_role("row").filter(has=page.get_by_role("rowheader"))


def choose(where: Locator, label: str, option: str) -> None:
    where.get_by_role("button", name=re.compile(label)).click()
    where.page.get_by_role("option", name=option, exact=True).click()


def adding(page: Page, gateway: Gateway, name: str) -> Locator:
    """The form of a new override."""
    opened(page, OVERRIDES, gateway)
    page.get_by_role("button", name="Add override").first.click()
    dialog = page.get_by_role("dialog", name="Add override")
    dialog.get_by_label("Name", exact=True).fill(name)
    return dialog


def save(dialog: Locator, action: str = "Add override") -> None:
    dialog.get_by_role("button", name=action).click()
    expect(dialog).to_have_count(0)


def local(at: datetime.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}"


# ---------------------------------------------------------------- what there is


def test_models_are_found_with_their_prices(page: Page, gateway: Gateway) -> None:
    opened(page, "/models", gateway)
    told = gateway.rest.get("/api/v1/catalog/models")
    expect(page.get_by_text(f"{told['total']:,} models", exact=True)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("gpt mini")
    page.get_by_role("button", name=re.compile("Any provider")).click()
    page.get_by_role("option", name="OpenAI", exact=True).click()
    expect(page).to_have_url(re.compile(r"/models\?provider=openai&q=gpt(\+|%20)mini$"))
    told = gateway.rest.get("/api/v1/catalog/models", provider="openai", q="gpt mini")
    assert 2 < told["total"] < 50
    expect(page.get_by_text(f"{told['total']} models", exact=True)).to_be_visible()
    found = rows(page, "Models")
    expect(found).to_have_count(told["total"])
    for at, one in enumerate(told["models"]):
        expect(found.nth(at).get_by_role("rowheader")).to_contain_text(one["model"])
        expect(found.nth(at).get_by_text("In use")).to_have_count(int(bool(one["model_definitions"])))
        rates, cells = one["price"], found.nth(at).get_by_role("gridcell")
        for cell, part in ((3, "input"), (4, "cache_read"), (5, "output")):
            expect(cells.nth(cell)).to_have_text(price(rates[part]) if rates and rates[part] else NONE)
        expect(cells.nth(6)).to_have_text("Price book" if rates else "unknown")
    assert {bool(one["price"]) for one in told["models"][:2]} == {True}
    page.get_by_role("searchbox").fill("no such model")
    expect(page.get_by_text("No model matches")).to_be_visible()


def test_where_the_two_sources_differ_is_listed(page: Page, gateway: Gateway) -> None:
    opened(page, "/models?tab=disagreements", gateway)
    for in_use in (True, False):
        told = gateway.rest.get("/api/v1/prices/check", in_use=in_use)
        differ = told["disagreements"]
        agreed = f"{told['source']} and {told['other_source']} say the same of {told['agreed']:,} rates, and differ in {len(differ)}."
        expect(page.get_by_text(agreed)).to_be_visible()
        if differ:
            expect(rows(page, "Disagreements")).to_have_count(min(len(differ), 200))
            row = rows(page, "Disagreements").first
            expect(row).to_contain_text(differ[0]["model"])
            expect(row.get_by_role("gridcell").nth(2)).to_have_text(price(differ[0]["usd"]))
            expect(row.get_by_role("gridcell").nth(3)).to_contain_text(price(differ[0]["other_usd"]))
        else:
            expect(page.get_by_text("Both sources say the same of every price in question.")).to_be_visible()
        if in_use:
            page.get_by_text("Only models in use here").click()
    assert len(differ) > 50


# ---------------------------------------------------------------- an admin's word against it


def test_an_override_holds_for_its_time_is_ended_and_is_forgotten(page: Page, gateway: Gateway, name: str) -> None:
    book = Decimal(known(gateway, MODEL)["price"]["input"])
    now = datetime.datetime.now(datetime.UTC)
    today, last_week = {"provider": "openai", "model": MODEL}, now - datetime.timedelta(days=7)
    dialog = adding(page, gateway, name)
    choose(dialog, "Provider", "OpenAI")
    dialog.get_by_label("Model", exact=True).fill(MODEL)
    dialog.get_by_label("From").fill(local(now - datetime.timedelta(days=1)))
    dialog.get_by_role("textbox", name="Multiplier").fill("0.5")
    save(dialog)
    row = rows(page, "Overrides").filter(has_text=name)
    expect(row).to_contain_text(f"openai · {MODEL}")
    expect(row.get_by_role("gridcell").nth(1)).to_have_text(re.compile(r"^0\.5 . the book's price$"))
    expect(row).to_contain_text("further notice")
    assert [quoted(gateway, at, **today) for at in (None, last_week)] == [(name, str(book / 2)), (None, str(book))]

    page.get_by_role("tab", name="Models").click()
    page.get_by_role("searchbox").fill(MODEL)
    listed = rows(page, "Models").filter(has=page.get_by_text(MODEL, exact=True))
    listed = listed.filter(has=page.get_by_role("gridcell", name="OpenAI", exact=True))
    expect(listed.get_by_role("gridcell").nth(6)).to_have_text("Override")
    expect(listed.get_by_role("gridcell").nth(3)).to_have_text(price(str(book / 2)))

    page.get_by_role("tab", name="Overrides").click()
    row.get_by_role("button", name=f"Change {name}").click()
    dialog = page.get_by_role("dialog", name=f"Change {name}")
    dialog.get_by_label("Name", exact=True).fill(f"{name}, ended")
    dialog.get_by_label("Until").fill(local(now - datetime.timedelta(hours=1)))
    save(dialog, "Save changes")
    expect(row).to_contain_text(f"{name}, ended")
    expect(row).not_to_contain_text("further notice")
    yesterday = now - datetime.timedelta(hours=20)
    assert [quoted(gateway, at, **today) for at in (None, yesterday)] == [(None, str(book)), (f"{name}, ended", str(book / 2))]
    page.get_by_role("tab", name="Models").click()
    expect(listed.get_by_role("gridcell").nth(6)).to_have_text("Price book")

    page.get_by_role("tab", name="Overrides").click()
    row.get_by_role("button", name=f"Delete {name}, ended").click()
    dialog = page.get_by_role("dialog", name=f"Delete {name}, ended?")
    expect(dialog).to_contain_text("as if it had never been")
    save(dialog, "Delete override")
    expect(row).to_have_count(0)
    assert quoted(gateway, yesterday, **today) == (None, str(book))


def test_a_call_to_an_endpoint_costs_what_its_override_says(page: Page, gateway: Gateway, upstream: Upstream, name: str) -> None:
    gateway.endpoint(name, upstream.base)
    dialog = adding(page, gateway, name)
    choose(dialog, "Endpoint", name)
    choose(dialog, "Credential", f"{name}-secret")
    dialog.get_by_role("radio", name="Rates").click()
    dialog.get_by_label("Input").fill("2.5")
    dialog.get_by_label("Output").fill("8")
    save(dialog)
    row = rows(page, "Overrides").filter(has_text=name)
    expect(row).to_contain_text(f"endpoint {name} · credential {name}-secret")
    expect(row).to_contain_text(re.compile(r"input \$2\.50\s*output \$8\.00"))
    assert quoted(gateway, endpoint=name) == (name, "2.5")

    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
        said = mark(name, input=1000, output=200)
        answer = client.chat.completions.with_raw_response.create(model=name, messages=[{"role": "user", "content": said}])
    trace_id = answer.headers["x-spangate-trace-id"]
    trace = until(lambda: gateway.rest.get(f"/api/v1/traces/{trace_id}"), 10, "the trace is in the database")
    override = kept(gateway, name)
    assert override is not None
    assert (trace["cost"], trace["tried"][0]["price_id"]) == ("0.0041", override["override_id"])
    opened(page, f"/traces/{trace_id}", gateway)
    expect(page.get_by_role("main").get_by_text("$0.0041").first).to_be_visible()


def test_a_model_without_a_price_is_named_until_somebody_says_one(page: Page, gateway: Gateway, name: str) -> None:
    opened(page, "/models", gateway)
    warned = page.get_by_text(re.compile("vllm / qwen3-32b-inhouse"))
    expect(warned).to_be_visible()
    dialog = adding(page, gateway, name)
    dialog.get_by_label("Model", exact=True).fill("qwen3-*")
    dialog.get_by_role("radio", name="Rates").click()
    dialog.get_by_label("Input").fill("0.2")
    save(dialog)
    expect(warned).to_have_count(0)
    assert known(gateway, "qwen3-32b-inhouse", "vllm")["price"]["overridden"]
    page.get_by_role("button", name=f"Delete {name}").click()
    save(page.get_by_role("dialog", name=f"Delete {name}?"), "Delete override")
    expect(warned).to_be_visible()


def test_what_is_wrong_with_an_override_is_said_beside_its_field(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(r"console: .*status of 400.*/api/v1/prices/overrides")
    gateway.rest.post("/api/v1/prices/overrides", name=name, model=name, multiplier="1")
    dialog = adding(page, gateway, name)

    def refused(field: Locator, words: str, action: str = "Add override") -> None:
        page.get_by_role("button", name=action).last.click()
        expect(field).to_have_accessible_description(re.compile(words))
        expect(field).to_have_attribute("aria-invalid", "true")

    multiplier = dialog.get_by_role("textbox", name="Multiplier")
    refused(multiplier, "either rates or a multiplier")
    multiplier.fill("half")
    refused(multiplier, 'a decimal such as "0.85"')
    multiplier.fill("0.85")
    page.get_by_role("button", name="Add override").last.click()
    expect(dialog.get_by_text("for an endpoint, a secret, a provider or a model")).to_be_visible()  # no one field is at fault
    dialog.get_by_label("Model", exact=True).fill(f"{name}-other")
    refused(dialog.get_by_label("Name", exact=True), f"named '{name}' already")
    dialog.get_by_label("Name", exact=True).fill(f"{name}-2")
    dialog.get_by_label("From").fill("2026-02-01T00:00")
    dialog.get_by_label("Until").fill("2026-01-01T00:00")
    refused(dialog.get_by_label("Until"), "must end after it begins")
    dialog.get_by_label("Until").fill("2026-03-01T00:00")
    dialog.get_by_role("radio", name="Rates").click()
    refused(dialog.get_by_label("Input"), "at least one class")
    dialog.get_by_label("Output").fill("a dollar")
    refused(dialog.get_by_label("Output"), "'a dollar' is no price")
    dialog.get_by_label("Output").fill("1")
    assert kept(gateway, f"{name}-2") is None
    save(dialog)

    page.get_by_role("button", name=f"Change {name}-2").click()
    dialog = page.get_by_role("dialog", name=f"Change {name}-2")
    dialog.get_by_label("Until").fill("2026-01-01T00:00")
    refused(dialog.get_by_label("Until"), "must end after it begins", "Save changes")
    found = kept(gateway, f"{name}-2")
    assert found is not None
    assert found["effective_to"] == "2026-03-01T00:00:00Z"


def test_who_is_no_admin_changes_no_price(context_of: Opened, browser: Browser, gateway: Gateway, name: str) -> None:
    gateway.rest.post("/api/v1/prices/overrides", name=name, model=name, multiplier="1")
    key = gateway.rest.post("/api/v1/keys", name=name, role="developer")["key"]
    context, _ = context_of(gateway, signed_in(browser, gateway, key))
    page = context.new_page()
    opened(page, OVERRIDES, gateway)
    expect(rows(page, "Overrides").filter(has_text=name)).to_be_visible()
    expect(page.get_by_role("button", name="Add override")).to_be_disabled()
    expect(page.get_by_role("button", name=re.compile("^(Change|Delete) "))).to_have_count(0)
    settled(page)
