"""What usage tells of real calls is what the ledger has of them, whoever asks and however it is cut."""

import contextlib
import csv
import io
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import openai

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import Gateway, until
from .invariant import check
from .test_keys import endpoint_id, keys

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
Sums = Counter[str]  # dollars too, as a Decimal


def chat(gateway: Gateway, key: str, endpoint: str, call: str, **knobs: object) -> None:
    """One call; also one that is refused is in the ledger."""
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=30, default_headers={CALLER: call})
    with client, contextlib.suppress(openai.BadRequestError, openai.NotFoundError):
        client.chat.completions.create(model=endpoint, messages=[{"role": "user", "content": mark(call, **knobs)}])


def added_up(calls: list[dict[str, Any]], noun: str) -> dict[str, Sums]:
    """By what is in a column of the ledger."""
    found: defaultdict[str, Sums] = defaultdict(Counter)
    for call in calls:
        sums = found[call[noun] or ""]
        sums.update(calls=1, errors=int(call["status"] != "ok"))
        for attempt in call["attempts"]:
            unpriced = attempt["cost"] is None and attempt["input_tokens"] is not None
            sums.update({name: attempt[name] or 0 for name in TOKENS})
            sums.update(attempts=1, unpriced_attempts=int(unpriced), cost=Decimal(attempt["cost"] or 0))  # type: ignore[arg-type]
    return {group: +sums for group, sums in found.items()}


def told(rows: list[dict[str, Any]], noun: str) -> dict[str, Sums]:
    """The same by group, over all periods."""
    found: defaultdict[str, Sums] = defaultdict(Counter)
    for row in rows:
        of = row["measures"]
        found[row["group"][noun]].update({name: of[name] for name in ("calls", "errors", "attempts", "unpriced_attempts", *TOKENS)})
        found[row["group"][noun]].update(cost=Decimal(of["cost"] or 0))  # type: ignore[arg-type]
    return {group: +sums for group, sums in found.items()}


def test_usage_is_the_ledgers_by_whom_and_in_any_zone(own: Callable[..., Gateway], alone: Upstream, call: str) -> None:
    gateway = own(workers=2).start()
    gateway.endpoint("priced", alone.base, model_name="gpt-4o-mini")
    gateway.endpoint("unheard-of", alone.base, model_name="never-sold")
    ann = keys(gateway, owner="ann", team="search", tags={"product": "shop"})
    ben = keys(gateway, owner="ben", team="search", tags={"product": "=HYPERLINK(1)"})
    eve = keys(gateway, team="ads")
    numbers = itertools.count()
    asked = 0
    for key, endpoint, knobs in [
        (ann, "priced", {"cached": 7}),
        (ann, "priced", {"reasoning": 3}),
        (ann, "unheard-of", {}),
        (ben, "priced", {}),
        (ben, "priced", {"status": 400}),
        (eve, "unheard-of", {}),
        (eve, "nowhere", {}),
    ]:
        chat(gateway, key["key"], endpoint, f"{call}-{next(numbers)}", **knobs)
        asked += 1
    until(lambda: len(gateway.calls()) == asked, 20, "all calls are in the ledger")
    calls = gateway.rest.get("/api/v1/calls", max_results=500)["calls"]

    by_key = gateway.rest.get("/api/v1/usage", last="48h", group_by="key")
    assert told(by_key["rows"], "key") == added_up(calls, "caller")
    assert by_key["total"]["measures"]["calls"] == len(calls)
    assert Decimal(by_key["total"]["measures"]["cost"]) > 0
    assert 0 < by_key["total"]["measures"]["unpriced_share"] < 1
    for zone, step in (("Asia/Kolkata", "day"), ("America/New_York", "hour"), ("Australia/Lord_Howe", "month"), ("UTC", "15m")):
        series = gateway.rest.get("/api/v1/usage", last="48h", group_by="team", step=step, zone=zone)
        assert told(series["rows"], "team") == added_up(calls, "team"), (zone, step)

    sheet = httpx.get(
        f"{gateway.url}/api/v1/usage",
        params={"last": "48h", "group_by": ["tag:product", "owner"]},
        headers={"authorization": f"Bearer {ann['key']}", "accept": "text/csv"},
    )
    found = {(row["tag:product"], row["owner"]): int(row["calls"]) for row in csv.DictReader(io.StringIO(sheet.text, newline=""))}
    assert found == {("shop", "ann"): 3, ("'=HYPERLINK(1)", "ben"): 2, ("", ""): 2}
    assert (
        gateway.cli("usage", "--last", "48h", "--by", "owner", "--where", "team=search", "--order", "calls")["total"]["measures"]["calls"]
        == 5
    )
    check(gateway, alone)


def test_a_key_for_one_endpoint_sees_what_that_used(own: Callable[..., Gateway], alone: Upstream, call: str) -> None:
    gateway = own().start()
    gateway.endpoint("one", alone.base)
    gateway.endpoint("two", alone.base)
    key = keys(gateway, role="developer", endpoints=[endpoint_id(gateway, "one")])
    for number, endpoint in enumerate(("one", "two", "one")):
        chat(gateway, gateway.rest.key or "", endpoint, f"{call}-{number}")
    until(lambda: len(gateway.calls()) == 3, 20, "all calls are in the ledger")
    mine = {"authorization": f"Bearer {key['key']}"}
    rows = httpx.get(f"{gateway.url}/api/v1/usage", params={"last": "48h", "group_by": "endpoint"}, headers=mine).json()["rows"]
    assert [(row["group"], row["measures"]["calls"]) for row in rows] == [({"endpoint": "one"}, 2)]
    months = httpx.get(f"{gateway.url}/api/v1/usage/months", headers=mine).json()["months"]
    assert sum(month["total"]["calls"] for month in months) == 2
