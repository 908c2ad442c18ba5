"""The overview: its figures are those of the ledger in its range, whatever they are split by, and each of them leads to its traces."""

import datetime
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.e2e.gateway import Gateway, until

from .conftest import Opened, signed_in
from .figures import NONE, change, duration, money
from .sites import opened, settled
from .test_mission import call, traced

DAY = 86_400_000
TILES = ("Calls", "Errors", "Tokens", "Cost", "Latency · p50", "First token · p50")
LEFT, RIGHT, BOTTOM = 68, 8, 22  # series-chart.tsx: MARGIN


def asked(gateway: Gateway, range: dict[str, Any], **more: Any) -> dict[str, Any]:
    return gateway.rest.get("/api/v1/usage", **range, zone="UTC", **more)


def past(days: float = 4, length: float = 3) -> dict[str, int]:
    """A range in the middle of the history: nothing is added to it any more."""
    midnight = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000) // DAY * DAY
    return {"since": int(midnight - days * DAY), "until": int(midnight - (days - length) * DAY)}


def address(range: dict[str, int], **more: str) -> str:
    return "/?" + "&".join(f"{name}={value}" for name, value in (range | more).items())


def tile(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def whole(page: Page, name: str) -> str:
    """What a figure is without being cut short: it is said on focus."""
    tile(page, name).get_by_role("note").focus()
    said = page.get_by_role("tooltip").inner_text()
    tile(page, name).get_by_role("note").blur()
    expect(page.get_by_role("tooltip")).to_have_count(0)
    return said


def test_its_figures_are_those_of_its_range_and_of_the_one_before(page: Page, gateway: Gateway) -> None:
    opened(page, address(past()), gateway)
    usage = asked(gateway, past(), compare=True, percentiles=True)
    total, before, changed = (usage["total"][name] for name in ("measures", "previous", "change"))
    assert total["errors"] > 0
    assert before["calls"] > 0
    tokens = [of["input_tokens"] + of["output_tokens"] for of in (total, before)]
    assert whole(page, "Calls") == f"{total['calls']:,}"
    assert whole(page, "Errors") == f"{total['errors']:,}"
    assert whole(page, "Tokens").splitlines()[0] == f"{tokens[0]:,}"
    # Some of it has no price, and the sum says so.
    assert whole(page, "Cost").splitlines()[0] == f"${total['cost']}"
    assert "have no price" in whole(page, "Cost")
    expect(tile(page, "Cost")).to_contain_text(f"~{money(total['cost'])}")
    for name, grown in (("Calls", changed["calls"]), ("Cost", changed["cost"]), ("Tokens", tokens[0] / tokens[1] - 1)):
        expect(tile(page, name).get_by_title("Against the period before")).to_have_text(change(grown))
    for name, measure in (("Latency · p50", "latency"), ("First token · p50", "first_token")):
        times = total[measure]
        expect(tile(page, name).get_by_role("note")).to_have_text(duration(times["p50"]))
        expect(tile(page, name)).to_contain_text(f"p95 {duration(times['p95'])} · p99 {duration(times['p99'])}")


def test_the_range_is_in_the_address(page: Page, gateway: Gateway) -> None:
    def counted(range: dict[str, Any]) -> None:
        expect(tile(page, "Calls").get_by_role("note")).to_have_text(f"{asked(gateway, range)['total']['measures']['calls']:,}")

    opened(page, "/", gateway)
    for name, last in (("7 d", "7d"), ("30 d", "30d"), ("1 h", "1h")):
        page.get_by_role("radio", name=name, exact=True).click()
        expect(page).to_have_url(f"{gateway.url}/?range={last}")
        counted({"last": last})
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    page.get_by_role("button", name="Custom range").click()
    dialog = page.get_by_role("dialog", name="Custom range")
    since, until = (datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M") for at in past().values())
    dialog.get_by_label("From").fill(until)
    dialog.get_by_label("Until").fill(since)
    expect(dialog.get_by_label("Until")).to_have_accessible_description("Until must be after from.")
    expect(dialog.get_by_role("button", name="Show")).to_be_disabled()
    dialog.get_by_label("From").fill(since)
    dialog.get_by_label("Until").fill(until)
    page.keyboard.press("Enter")
    expect(page).to_have_url(gateway.url + address(past()))
    expect(page.get_by_text("Live", exact=True)).to_have_count(0)
    counted(past())
    page.get_by_role("radio", name="Model", exact=True).click()
    page.get_by_role("radio", name="Cost", exact=True).click()
    page.reload()
    counted(past())
    page.get_by_role("link", name="Traces", exact=True).click()
    page.go_back()
    expect(page.get_by_role("radio", name="Custom", exact=True)).to_be_checked()
    expect(page.get_by_role("application", name="Cost over time, by Model")).to_be_visible()
    counted(past())


@pytest.mark.parametrize("noun", ["endpoint", "model", "provider", "key", "team"])
def test_a_split_names_its_groups_the_most_first(page: Page, gateway: Gateway, noun: str) -> None:
    opened(page, address(past()), gateway)
    page.get_by_role("radio", name=noun.capitalize(), exact=True).click()
    page.get_by_role("radio", name="Cost", exact=True).click()
    usage = asked(gateway, past(), group_by=noun, order="cost", top=7, compare=True, percentiles=True)
    rows = page.get_by_role("table").get_by_role("row").filter(has=page.get_by_role("cell"))
    names = ["All others" if row["other"] else row["group"][noun] or "None" for row in usage["rows"]]
    assert len(names) > 2
    expect(rows.get_by_role("rowheader")).to_have_text(names)
    for at, row in enumerate(usage["rows"]):
        of = row["measures"]
        cells = rows.nth(at).get_by_role("cell")
        expect(cells.nth(0)).to_have_text(f"{of['calls']:,}")
        expect(cells.nth(2)).to_have_text(f"{of['errors']:,}")
        unknown, uncounted = of["unknown_attempts"], of["unknown_attempts"] or of["estimated_share"]
        no_tokens = unknown and not of["input_tokens"] + of["output_tokens"]
        expect(cells.nth(3)).to_have_text(re.compile(f"^{NONE}$" if no_tokens else r"^~\d" if uncounted else r"^\d"))
        no_cost = of["cost"] is None or (unknown and not float(of["cost"]))
        doubt = "~" if of["unpriced_share"] or uncounted else ""
        expect(cells.nth(4)).to_have_text(NONE if no_cost else f"{doubt}{money(of['cost'])}")
        expect(cells.nth(6)).to_have_text(NONE if of["latency"] is None else duration(of["latency"]["p95"]))
        expect(cells.nth(7)).to_have_text(NONE if of["first_token"] is None else duration(of["first_token"]["p95"]))
    legend = page.get_by_role("list").filter(has=page.get_by_text(names[0], exact=True)).get_by_role("listitem")
    expect(legend).to_have_text(
        [name for name, row in zip(names, usage["rows"], strict=True) if row["measures"]["calls"] or row["measures"]["attempts"]]
    )
    opens = next(row for row in usage["rows"] if row["group"].get(noun))["group"][noun]
    page.get_by_role("table").get_by_role("link", name=opens, exact=True).click()
    expect(page).to_have_url(re.compile(rf"/traces\?.*\b{noun}="))
    expect(page.get_by_role("button", name=f"Remove {noun.capitalize()} {opens}")).to_be_visible()


def test_what_nobody_knows_is_a_dash_and_no_zero(page: Page, gateway: Gateway) -> None:
    unknown = {"input_tokens": 0, "output_tokens": 0, "cost": "0", "unpriced_share": None, "estimated_share": None, "unknown_attempts": 2}

    def answer(route: Route) -> None:
        usage = route.fetch().json()
        for row in (usage["total"], *usage["rows"]):
            row["measures"] |= unknown
        route.fulfill(json=usage)

    page.route("**/api/v1/usage?**", answer)
    opened(page, address(past()), gateway)
    cells = page.get_by_role("table").get_by_role("row").filter(has=page.get_by_role("cell")).first.get_by_role("cell")
    for name, column in (("Tokens", 3), ("Cost", 4)):
        expect(tile(page, name).get_by_role("note")).to_have_text(NONE)
        expect(tile(page, name).get_by_title("Against the period before")).to_have_count(0)
        expect(tile(page, name).locator("polyline")).to_have_count(0)
        expect(cells.nth(column)).to_have_text(NONE)
        assert "Of 2 attempts nobody knows the tokens" in whole(page, name)


# ---------------------------------------------------------------- to the traces


def led_to(page: Page, gateway: Gateway) -> tuple[dict[str, list[str]], int]:
    """What the address of the list asks for, and how many traces that are, which are those in sight."""
    expect(page).to_have_url(re.compile(r"/traces\?"))
    settled(page)
    question = {name: re.findall(r'[^\[\]",]+', ",".join(said)) for name, said in parse_qs(urlsplit(page.url).query).items()}
    found = gateway.rest.get("/api/v1/traces", **question, max_results=200)["traces"]
    links = page.get_by_role("grid", name="Traces").get_by_role("link")
    if found:
        expect(links.first).to_have_attribute("href", re.compile(f"^/traces/{found[0]['trace_id']}"))
    return question, len(found)


def busiest(gateway: Gateway, measure: str) -> tuple[dict[str, Any], float]:
    """The period in which the endpoint with the most had the most, and where its middle is in the chart, 0 to 1."""
    first = asked(gateway, past(), group_by="endpoint", order=measure, top=1)["rows"][0]["group"]["endpoint"]
    rows = asked(gateway, past(), group_by="endpoint", step="hour", where=f"endpoint={first}")["rows"]
    row = max(rows, key=lambda row: row["measures"][measure])
    since, until = (datetime.datetime.fromisoformat(row[end]).timestamp() * 1000 for end in ("since", "until"))
    row |= {"since_ms": [str(int(since))], "until_ms": [str(int(until))]}
    return row, ((since + until) / 2 - past()["since"]) / (past()["until"] - past()["since"])


@pytest.mark.parametrize("measure", ["calls", "errors"])
def test_a_bar_leads_to_the_traces_of_its_group_and_time(page: Page, gateway: Gateway, measure: str) -> None:
    opened(page, address(past(), metric=measure), gateway)
    row, place = busiest(gateway, measure)
    chart = page.get_by_role("application")
    box = chart.bounding_box()
    assert box is not None
    # The group with the most stands at the bottom.
    chart.click(position={"x": LEFT + place * (box["width"] - LEFT - RIGHT), "y": box["height"] - BOTTOM - 3})
    question, found = led_to(page, gateway)
    statuses = question.pop("status", [])
    assert question == {"endpoint": [row["group"]["endpoint"]], "since_ms": row["since_ms"], "until_ms": row["until_ms"]}
    assert ("ok" in statuses, bool(statuses)) == (False, measure == "errors")
    assert found == row["measures"][measure] > 0


def test_the_chart_is_walked_through_by_keyboard(page: Page, gateway: Gateway) -> None:
    opened(page, address(past()), gateway)
    rows = asked(gateway, past(), step="hour")["rows"]
    chart = page.get_by_role("application", name="Calls over time, by Endpoint")
    page.get_by_role("radio", name="Nothing").click()
    chart = page.get_by_role("application", name="Calls over time")
    chart.focus()
    for keys, at in ((["Home"], 0), (["End"], -1), (["Home", "ArrowRight", "ArrowRight"], 2), (["ArrowLeft"], 1)):
        for key in keys:
            page.keyboard.press(key)
        since = datetime.datetime.fromisoformat(rows[at]["since"])
        calls = f"{rows[at]['measures']['calls']:,}"
        expect(chart).to_have_accessible_description(re.compile(rf"^{since.day} \w+ {since:%Y, %H:%M:%S}: Calls {calls}$"))
    page.keyboard.press("Enter")
    question, _ = led_to(page, gateway)
    ends = (str(int(datetime.datetime.fromisoformat(rows[1][end]).timestamp() * 1000)) for end in ("since", "until"))
    assert question == dict(zip(("since_ms", "until_ms"), ([end] for end in ends), strict=True))


@pytest.mark.parametrize("noun", ["endpoint", "model", "provider", "key"])
def test_a_group_leads_to_its_traces_in_the_range(page: Page, gateway: Gateway, noun: str) -> None:
    opened(page, address(past(days=2, length=1), split=noun), gateway)
    first = asked(gateway, past(days=2, length=1), group_by=noun, order="calls")["rows"][0]
    page.get_by_role("table").get_by_role("link", name=first["group"][noun], exact=True).click()
    question, found = led_to(page, gateway)
    ends = past(days=2, length=1)
    assert question == {noun: [first["group"][noun]], "since_ms": [str(ends["since"])], "until_ms": [str(ends["until"])]}
    traced = asked(gateway, ends, where=[f"{noun}={first['group'][noun]}", "endpoint!=batch-labels", "endpoint!="])  # neither is traced
    assert found == min(traced["total"]["measures"]["calls"], 200) > 0


# ---------------------------------------------------------------- as it happens


def test_a_new_gateway_says_what_to_do_and_shows_its_first_call_by_itself(browser: Browser, context_of: Opened, empty: Gateway) -> None:
    context, _ = context_of(empty, signed_in(browser, empty))
    page = context.new_page()
    opened(page, "/", empty)
    expect(page.get_by_role("heading", name="No calls in this range")).to_be_visible()
    expect(page.get_by_role("link", name="See how to call an endpoint")).to_have_attribute("href", "/endpoints")
    expect(tile(page, "Calls").get_by_role("note")).to_have_text("0")
    expect(tile(page, "Latency · p50").get_by_role("note")).to_have_text(NONE)

    secret = empty.rest.post("/api/3.0/mlflow/gateway/secrets/create", secret_name="s", secret_value={}, provider="simulated")
    empty.create_endpoint("first", empty.model("m", secret["secret"]["secret_id"], "simulated", "simulated"))
    empty.known("first")
    traced(empty, call(empty, "first", "Is anybody there?"))
    until(lambda: empty.usage()["calls"] == 1, 10, "usage knows of it")
    expect(tile(page, "Calls").get_by_role("note")).to_have_text("1")
    expect(page.get_by_role("table").get_by_role("rowheader").get_by_role("link")).to_have_text(["first"])
    # The chart is of the whole day, though something happened in one quarter of an hour only.
    chart = page.get_by_role("application")
    chart.focus()
    for key, calls in (("Home", 0), ("End", 1)):
        page.keyboard.press(key)
        expect(chart).to_have_accessible_description(re.compile(f": first {calls}$"))


def test_a_call_is_counted_while_it_is_looked_at(page: Page, gateway: Gateway) -> None:
    def calls() -> int:  # older ones leave the hour meanwhile
        return asked(gateway, {"last": "1h"})["total"]["measures"]["calls"]

    opened(page, "/?range=1h", gateway)
    until(lambda: whole(page, "Calls") == f"{calls():,}", 20, "the page says what usage says")
    before = calls()
    traced(gateway, call(gateway, "demo", "Is that counted?"))
    until(lambda: calls() != before, 10, "usage knows of it")
    until(lambda: whole(page, "Calls") == f"{calls():,}", 20, "the call is counted")
