"""Credentials in the browser: asked for in each provider's own words, never told again, replaced in place, kept while they are needed."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.e2e.gateway import PROVIDER_SECRET, Gateway, until
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .conftest import Opened, Watch, signed_in
from .sites import opened

SECRET = "sk-canary-of-the-page-5b2d8046"
REFUSED = r"console: .*status of 400.*/(api/v1/secrets|gateway/secrets)"


@pytest.fixture
def name() -> str:
    """Of a credential that no other test has."""
    return f"c-{uuid.uuid4().hex[:8]}"


@pytest.fixture(autouse=True)
def told_nobody(page: Page) -> Iterator[None]:
    """Whatever a test does: no value of a secret is in the page, or in anything that the page was told."""
    told: list[str] = []

    def hear(request: Request) -> None:
        if "/api/" in request.url and (answer := request.response()) is not None:
            told.append(answer.text())

    page.on("requestfinished", hear)
    yield
    told += [page.content(), *page.locator("input").evaluate_all("(all) => all.map((one) => one.value)")]
    assert [text for text in told for secret in (SECRET, PROVIDER_SECRET) if secret in text] == []


def read(gateway: Gateway, name: str) -> dict[str, Any] | None:
    return next((one for one in gateway.rest.get("/api/v1/secrets")["secrets"] if one["name"] == name), None)


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("grid", name="Credentials").get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def act(page: Page, name: str, action: str) -> Locator:
    """Chooses from the row's menu; returns the dialog that it opens."""
    row(page, name).get_by_role("button", name=f"Actions for {name}").click()
    page.get_by_role("menuitem", name=action).click()
    return page.get_by_role("dialog")


def new(page: Page, gateway: Gateway, provider: str, q: str = "") -> Locator:
    opened(page, f"/credentials?q={q}", gateway)
    page.get_by_role("button", name="Add credential").click()
    dialog = page.get_by_role("dialog", name="Add a credential")
    dialog.get_by_role("combobox", name="Provider").fill(provider)
    page.get_by_role("option", name=provider, exact=True).click()
    return dialog


def sent(gateway: Gateway, upstream: Upstream, model: str) -> str | None:
    """Calls an endpoint; returns what its provider was shown."""
    call = uuid.uuid4().hex[:12]
    gateway.rest.post("/v1/chat/completions", model=model, messages=[{"role": "user", "content": mark(call)}])
    return upstream.request(call).header("authorization")


def test_a_key_of_a_provider_is_kept_and_never_told_again(page: Page, gateway: Gateway, upstream: Upstream, name: str) -> None:
    dialog = new(page, gateway, "OpenAI", name)
    expect(dialog.get_by_label("API key")).to_have_attribute("type", "password")
    dialog.get_by_label("API key").fill(f" {SECRET} ")  # as it comes with a copy
    dialog.get_by_label("Base URL").fill(upstream.base)
    dialog.get_by_label("Organization ID").fill("org-42")
    dialog.get_by_label("Name of the credential").fill(name)
    dialog.get_by_role("button", name="Add credential").click()
    expect(row(page, name)).to_contain_text(re.compile(r"OpenAI.*org-42.*api_key.*sk-\.\.\.8046.*nobody"))
    kept = read(gateway, name)
    assert kept is not None
    assert (kept["provider"], kept["auth_mode"]) == ("openai", "api_key")
    assert (kept["masked_values"], kept["auth_config"]) == (
        {"api_key": "sk-...8046"},
        {"api_base": upstream.base, "organization": "org-42"},
    )
    definition = gateway.model(name, kept["secret_id"])
    gateway.create_endpoint(name, definition)
    gateway.known(name)
    assert sent(gateway, upstream, name) == f"Bearer {SECRET}"


def test_each_way_to_sign_in_has_fields_of_its_own(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(REFUSED)
    dialog = new(page, gateway, "Azure OpenAI", name)
    expect(dialog.get_by_role("textbox", name="API key")).to_be_visible()
    dialog.get_by_role("button", name=re.compile("How it signs in")).click()
    page.get_by_role("option", name=re.compile("^Service principal")).click()
    expect(dialog.get_by_role("textbox", name="API key")).to_have_count(0)
    dialog.get_by_label("Base URL").fill("https://example.openai.azure.com")
    dialog.get_by_label("Client secret").fill(SECRET)
    dialog.get_by_label("Name of the credential").fill(name)
    dialog.get_by_role("button", name="Add credential").click()
    for field in ("Tenant ID", "Client ID"):
        expect(dialog.get_by_label(field)).to_have_accessible_description(re.compile("Azure OpenAI needs it"))
    assert read(gateway, name) is None
    dialog.get_by_label("Tenant ID").fill("11111111-2222-3333-4444-555555555555")
    dialog.get_by_label("Client ID").fill("the-client")
    dialog.get_by_role("button", name="Add credential").click()
    expect(row(page, name)).to_contain_text(re.compile("Azure OpenAI · Service principal.*tenant_id 11111111.*client_secret"))
    kept = read(gateway, name)
    assert kept is not None
    assert (kept["auth_mode"], kept["masked_values"]) == ("service_principal", {"client_secret": "sk-...8046"})
    assert kept["auth_config"] == {
        "auth_mode": "service_principal",
        "api_base": "https://example.openai.azure.com",
        "tenant_id": "11111111-2222-3333-4444-555555555555",
        "client_id": "the-client",
    }


def test_new_values_are_sent_within_a_second(page: Page, watch: Watch, gateway: Gateway, upstream: Upstream, name: str) -> None:
    watch.excuse(REFUSED)
    gateway.endpoint(name, upstream.base)
    before = sent(gateway, upstream, name)
    opened(page, "/credentials", gateway)
    page.get_by_role("searchbox", name="Search credentials").fill(f"{name}-secret")
    expect(page.get_by_role("grid").get_by_role("rowheader")).to_have_count(1)
    expect(row(page, f"{name}-secret")).to_contain_text("1 model")
    expect(row(page, f"{name}-secret").get_by_role("link", name=name)).to_have_attribute("href", f"/endpoints/{name}")
    dialog = act(page, f"{name}-secret", "Replace values")
    expect(dialog).to_contain_text("One endpoint calls with the new values within a second")
    expect(dialog.get_by_label("Base URL")).to_have_value(upstream.base)
    expect(dialog.get_by_label("API key")).to_have_value("")
    dialog.get_by_role("button", name="Replace values").click()
    expect(dialog.get_by_label("API key")).to_have_accessible_description(re.compile("OpenAI needs it"))
    assert sent(gateway, upstream, name) == before
    dialog.get_by_label("API key").fill(SECRET)
    dialog.get_by_role("button", name="Replace values").click()
    expect(dialog).to_have_count(0)
    until(lambda: sent(gateway, upstream, name) == f"Bearer {SECRET}", 10, "calls go out with the new key")
    expect(row(page, f"{name}-secret")).to_contain_text("sk-...8046")


def test_what_is_in_use_stays_and_what_is_not_goes_when_it_is_confirmed(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(REFUSED)
    definition = gateway.model(f"{name}-model", gateway.secret(name, "https://example.com/v1"))
    opened(page, f"/credentials?q={name}", gateway)
    dialog = act(page, name, "Delete")
    expect(dialog).to_contain_text(f"These models use it, so it cannot be deleted yet: {name}-model.")
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("alert")).to_contain_text(f"in use by model definitions, such as '{name}-model'")
    dialog.get_by_role("button", name="Cancel").click()
    assert read(gateway, name) is not None
    gateway.rest.delete("/api/3.0/mlflow/gateway/model-definitions/delete", model_definition_id=definition)
    page.reload()
    dialog = act(page, name, "Delete")
    expect(dialog).not_to_contain_text("These models use it")
    dialog.get_by_role("button", name="Cancel").click()
    assert read(gateway, name) is not None
    act(page, name, "Delete").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No credential matches")).to_be_visible()
    assert read(gateway, name) is None


def test_what_cannot_be_used_is_explained_beside_its_field(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(REFUSED)
    gateway.secret(name, "https://example.com/v1")
    dialog = new(page, gateway, "OpenAI-compatible server", name)
    base, named = dialog.get_by_label("Base URL"), dialog.get_by_label("Name of the credential")
    dialog.get_by_label("API key").fill(SECRET)
    for said, why in (
        ("", "needs it"),
        ("example.com", "scheme"),
        ("https:///v1", "names no host"),
        ("https://me:word@example.com/v1", "not into the URL"),
        ("https://example.com/v1?a=b", "a query"),
    ):
        base.fill(said)
        dialog.get_by_role("button", name="Add credential").click()
        expect(base).to_have_accessible_description(re.compile(why))
    base.fill("https://example.com/v1")
    named.fill(name)
    dialog.get_by_role("button", name="Add credential").click()
    expect(named).to_have_accessible_description(re.compile("already exists"))
    expect(base).not_to_have_attribute("aria-invalid", "true")
    named.fill(f"{name}-2")
    dialog.get_by_role("button", name="Add credential").click()
    expect(row(page, f"{name}-2")).to_be_visible()


def test_who_is_no_admin_is_told_so(context_of: Opened, browser: Browser, gateway: Gateway, name: str) -> None:
    key = gateway.rest.post("/api/v1/keys", name=f"viewer-{name}", role="viewer")["key"]
    context, _ = context_of(gateway, signed_in(browser, gateway, key))
    page = context.new_page()
    opened(page, "/credentials", gateway)
    expect(page.get_by_text("Credentials are for admins")).to_be_visible()
    expect(page.get_by_role("button", name="Add credential")).to_be_disabled()
    expect(page.get_by_role("grid")).to_have_count(0)
