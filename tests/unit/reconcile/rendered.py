"""A ledger drawn at random, and a provider's export of it in the provider's own shape: what the exporters of a provider would write."""

import csv
import datetime
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from spangate.prices.cost import usd
from spangate.reconcile.cells import Booked
from spangate.reconcile.reading import File

DAY0 = datetime.date(2026, 10, 1)
PRICES = {  # picodollars a token
    "gpt-5-2025-08-07": {"input": 1_250_000, "cache_read": 125_000, "output": 10_000_000},
    "claude-sonnet-5-20260401": {
        "input": 3_000_000,
        "cache_read": 300_000,
        "cache_write_5m": 3_750_000,
        "cache_write_1h": 6_000_000,
        "output": 15_000_000,
    },
    "openai/gpt-4.1-2025-04-14": {"input": 2_000_000, "cache_read": 500_000, "output": 8_000_000},
    "small-2026-01-01": {"input": 100_000, "cache_read": 10_000, "output": 400_000},
}


@dataclass(frozen=True)
class Call:
    """One attempt, as it truly was, and as each side has it."""

    number: int
    day: datetime.date
    model: str
    secret: str
    tokens: dict[str, int]

    @property
    def cost(self) -> int:
        return sum(count * PRICES[self.model][cls] for cls, count in self.tokens.items())


def booked(calls: Sequence[Call], estimated: frozenset[int] = frozenset()) -> list[Booked]:
    """As the ledger groups them."""
    groups: dict[tuple[datetime.date, str, str, bool], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.day, call.model, call.secret, call.number in estimated), []).append(call)
    return [
        Booked(
            day=day,
            model=model,
            secret=secret,
            price_id=f"p-{model}",
            estimated=guessed,
            attempts=len(some),
            tokens=added(*(call.tokens for call in some)),
            cost=sum(call.cost for call in some),
            rates=dict(PRICES[model]),
        )
        for (day, model, secret, guessed), some in groups.items()
    ]


def added(*tokens: dict[str, int]) -> dict[str, int]:
    return {cls: sum(one.get(cls, 0) for one in tokens) for one in tokens for cls in one}


@dataclass(frozen=True)
class Sheet:
    """What the provider's books have of one day, model and key: its own counts, and what it asks for them."""

    day: datetime.date
    model: str
    key: str
    tokens: dict[str, int]
    costs: dict[str, int]  # picodollars by class
    requests: int
    calls: tuple[Call, ...] = field(default=())


def sheets(calls: Sequence[Call]) -> list[Sheet]:
    groups: dict[tuple[datetime.date, str, str], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.day, call.model, call.secret), []).append(call)
    return [
        charged(Sheet(day, model, secret, added(*(call.tokens for call in some)), {}, len(some), tuple(some)))
        for (day, model, secret), some in sorted(groups.items())
    ]


def charged(sheet: Sheet, times: float = 1) -> Sheet:
    """At list price, or at so many times it."""
    costs = {cls: int(count * PRICES[sheet.model][cls] * times) for cls, count in sheet.tokens.items()}
    return replace(sheet, costs=costs)


# ---------------------------------------------------------------- in each provider's shape

Render = Callable[[Sequence[Sheet]], list[File]]


def stamp(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def page(buckets: Sequence[object]) -> str:
    return json.dumps({"object": "page", "data": buckets, "has_more": False, "next_page": None})


def whole(tokens: dict[str, int]) -> int:
    return sum(count for cls, count in tokens.items() if cls != "output")


def openai_usage(sheet: Sheet) -> dict[str, object]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": whole(sheet.tokens),
        "input_cached_tokens": sheet.tokens.get("cache_read", 0),
        "output_tokens": sheet.tokens.get("output", 0),
        "num_model_requests": sheet.requests,
        "project_id": "proj_1",
        "api_key_id": sheet.key,
        "model": sheet.model,
        "batch": False,
    }


OPENAI_ITEMS = {"input": "input", "cache_read": "cached input", "output": "output"}


def openai(sheets: Sequence[Sheet]) -> list[File]:
    usage, costs = [], []
    for sheet in sheets:
        times = {"object": "bucket", "start_time": stamp(sheet.day), "end_time": stamp(sheet.day) + 86_400}
        usage.append({**times, "results": [openai_usage(sheet)]})
        items = [
            {
                "object": "organization.costs.result",
                "amount": {"value": float(usd(cost)), "currency": "usd"},
                "line_item": f"{sheet.model}, {OPENAI_ITEMS[cls]}",
                "api_key_id": sheet.key,
            }
            for cls, cost in sheet.costs.items()
        ]
        costs.append({**times, "results": items})
    return [File("usage.json", page(usage)), File("costs.json", page(costs))]


def openai_csv(sheets: Sequence[Sheet]) -> list[File]:
    usage, costs = [], []
    for sheet in sheets:
        iso = datetime.datetime.combine(sheet.day, datetime.time(), datetime.UTC).isoformat()
        times = {"start_time": stamp(sheet.day), "end_time": stamp(sheet.day) + 86_400, "start_time_iso": iso}
        said = openai_usage(sheet)
        usage.append({**times, **said, "num_model_requests": f"{sheet.requests}.0"})
        for cls, cost in sheet.costs.items():
            item = {"amount_value": usd(cost), "amount_currency": "usd", "line_item": f"{sheet.model}, {OPENAI_ITEMS[cls]}"}
            costs.append({**times, **item, "api_key_id": sheet.key})
    empty = dict.fromkeys(usage[0], "") | {"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 60}
    return [File("completions_usage.csv", table([*usage, empty])), File("cost.csv", table(costs))]


ANTHROPIC_TYPES = {
    "input": "uncached_input_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write_5m": "cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h": "cache_creation.ephemeral_1h_input_tokens",
    "output": "output_tokens",
}


def anthropic(sheets: Sequence[Sheet]) -> list[File]:
    usage, costs = [], []
    for sheet in sheets:
        times = {"starting_at": f"{sheet.day}T00:00:00Z", "ending_at": f"{sheet.day + datetime.timedelta(days=1)}T00:00:00Z"}
        said = {
            "uncached_input_tokens": sheet.tokens.get("input", 0),
            "cache_creation": {
                "ephemeral_5m_input_tokens": sheet.tokens.get("cache_write_5m", 0),
                "ephemeral_1h_input_tokens": sheet.tokens.get("cache_write_1h", 0),
            },
            "cache_read_input_tokens": sheet.tokens.get("cache_read", 0),
            "output_tokens": sheet.tokens.get("output", 0),
            "server_tool_use": {"web_search_requests": 0},
            "api_key_id": sheet.key,
            "workspace_id": None,
            "model": sheet.model,
            "service_tier": "standard",
            "context_window": "0-200k",
        }
        usage.append({**times, "results": [said]})
        items = [
            {
                "currency": "USD",
                "amount": usd(cost * 100),
                "workspace_id": sheet.key,
                "description": f"{sheet.model} Usage - {cls}",
                "cost_type": "tokens",
                "model": sheet.model,
                "token_type": ANTHROPIC_TYPES[cls],
                "service_tier": "standard",
            }
            for cls, cost in sheet.costs.items()
        ]
        costs.append({**times, "results": items})
    return [File("usage_report.json", page(usage)), File("cost_report.json", page(costs))]


CONSOLE_TYPES = {
    "input": "input_no_cache",
    "cache_read": "input_cache_read",
    "cache_write_5m": "input_cache_write_5m",
    "cache_write_1h": "input_cache_write_1h",
    "output": "output",
}


def anthropic_csv(sheets: Sequence[Sheet]) -> list[File]:
    usage, costs = [], []
    for sheet in sheets:
        usage.append(
            {
                "usage_date_utc": sheet.day,
                "model_version": sheet.model,
                "api_key": sheet.key,
                "workspace": "Default",
                "usage_type": "standard",
                "context_window": "≤ 200k",
                "usage_input_tokens_no_cache": sheet.tokens.get("input", 0),
                "usage_input_tokens_cache_write_5m": sheet.tokens.get("cache_write_5m", 0),
                "usage_input_tokens_cache_write_1h": sheet.tokens.get("cache_write_1h", 0),
                "usage_input_tokens_cache_read": sheet.tokens.get("cache_read", 0),
                "usage_output_tokens": sheet.tokens.get("output", 0),
                "web_search_count": 0,
            }
        )
        costs += [
            {
                "usage_date_utc": sheet.day,
                "model": sheet.model,
                "workspace": "Default",
                "api_key": sheet.key,
                "usage_type": "message",
                "context_window": "≤ 200k",
                "token_type": CONSOLE_TYPES[cls],
                "cost_usd": usd(cost),
                "cost_type": "token",
            }
            for cls, cost in sheet.costs.items()
        ]
    return [File("claude_api_tokens.csv", table(usage)), File("claude_api_cost.csv", table(costs))]


def openrouter(sheets: Sequence[Sheet]) -> list[File]:
    items = [
        {
            "date": str(sheet.day),
            "model": sheet.model.rsplit("-", 3)[0],
            "model_permaslug": sheet.model,
            "endpoint_id": f"550e8400-{sheet.key}",
            "provider_name": "OpenAI",
            "usage": float(usd(sum(sheet.costs.values()))),
            "byok_usage_inference": 0,
            "requests": sheet.requests,
            "prompt_tokens": whole(sheet.tokens),
            "completion_tokens": sheet.tokens.get("output", 0),
            "reasoning_tokens": 0,
        }
        for sheet in sheets
    ]
    return [File("activity.json", json.dumps({"data": items}))]


def openrouter_csv(sheets: Sequence[Sheet]) -> list[File]:
    """A row a generation: the sheet's numbers, its first call having what its other calls have not."""
    rows = []
    for sheet in sheets:
        left, cost = dict(sheet.tokens), sum(sheet.costs.values())
        for at, call in enumerate(sheet.calls):
            last = at == len(sheet.calls) - 1
            tokens = left if last else {cls: min(count, left.get(cls, 0)) for cls, count in call.tokens.items()}
            left = {cls: count - tokens.get(cls, 0) for cls, count in left.items()}
            paid = cost if last else min(cost, call.cost)
            cost -= paid
            rows.append(
                {
                    "generation_id": f"gen-{call.number}",
                    "created_at": f"{sheet.day} 03:46:57.713",
                    "cost_total": usd(paid),
                    "tokens_prompt": whole(tokens),
                    "tokens_completion": tokens.get("output", 0),
                    "tokens_cached": tokens.get("cache_read", 0),
                    "model_permaslug": sheet.model,
                    "api_key_name": sheet.key,
                }
            )
    return [File("openrouter_activity.csv", table(rows))]


def generic(sheets: Sequence[Sheet]) -> list[File]:
    rows = [
        {
            "date": sheet.day,
            "model": sheet.model,
            "key": sheet.key,
            "input_tokens": whole(sheet.tokens),
            "cache_read_tokens": sheet.tokens.get("cache_read", 0),
            "output_tokens": sheet.tokens.get("output", 0),
            "requests": sheet.requests,
            "cost_usd": usd(sum(sheet.costs.values())),
        }
        for sheet in sheets
    ]
    return [File("bill.csv", table(rows))]


def table(rows: Sequence[dict[str, object]]) -> str:
    text = io.StringIO()
    names = list(rows[0])
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
