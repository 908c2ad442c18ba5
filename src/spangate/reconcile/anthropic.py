"""Anthropic's usage and costs, as its Admin API gives them and as the Console exports them.

Usage: `GET /v1/organizations/usage_report/messages`, grouped by model (and api_key_id)
(https://platform.claude.com/docs/en/api/admin-api/usage-cost/get-messages-usage-report); costs: `GET /v1/organizations/cost_report`,
grouped by description, in cents
(https://platform.claude.com/docs/en/api/resources/admin/subresources/usage_and_cost). The Console's CSV files name the same things
`usage_input_tokens_no_cache`, `token_type` and so on
(https://support.anthropic.com/en/articles/9534590-cost-and-usage-reporting-in-console). Input is told by class, never as a whole.
"""

from collections.abc import Iterator, Sequence

from .lines import REQUEST, Export, Line, Row
from .reading import BadExport, File, Record, Seen, pages, rounding, table, unfinished

API_TYPES = {
    "uncached_input_tokens": "input",
    "cache_read_input_tokens": "cache_read",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "output_tokens": "output",
}
CSV_TYPES = {
    "input_no_cache": "input",
    "input_cache_read": "cache_read",
    "input_cache_write_5m": "cache_write_5m",
    "input_cache_write_1h": "cache_write_1h",
    "output": "output",
}
COLUMNS = {
    "usage_input_tokens_no_cache": "input",
    "usage_input_tokens_cache_read": "cache_read",
    "usage_input_tokens_cache_write_5m": "cache_write_5m",
    "usage_input_tokens_cache_write_1h": "cache_write_1h",
    "usage_output_tokens": "output",
}


def recognises(page: Record) -> bool:
    data = page.said.get("data")
    return isinstance(data, list) and any(isinstance(item, dict) and "starting_at" in item for item in data)  # pyright: ignore[reportUnknownVariableType]


def recognises_columns(columns: frozenset[str]) -> bool:
    return "usage_date_utc" in columns


def parse(files: Sequence[File]) -> Export:
    read = {file.name: pages(file) for file in files if file.json}
    seen, decimals, lines, usage = Seen(), 0, list[Line](), False
    for file in files:
        for record in _results(read[file.name]) if file.json else table(file):
            again = seen.again(record)
            if "amount" in record.said:
                lines += _cost(record, again)
            elif "cost_usd" in record.said:
                decimals = max(decimals, record.decimals("cost_usd"))
                lines += _cost_row(record, again)
            else:
                usage = True
                lines += _usage(record, again) if file.json else _usage_row(record, again)
    return Export(
        format="anthropic",
        provider="anthropic",
        lines=tuple(lines),
        classes=frozenset(API_TYPES.values()) if usage else frozenset(),
        slack=rounding(decimals) if decimals else 1,
        notes=unfinished(files, lambda file: read[file.name]),
    )


def _results(found: Sequence[Record]) -> Iterator[Record]:
    for page in found:
        for bucket in page.listed("data"):
            for result in bucket.listed("results"):
                times = {"starting_at": bucket.said.get("starting_at"), "ending_at": bucket.said.get("ending_at")}
                yield Record(result.where, {**result.said, **times})


def _usage(record: Record, again: str) -> Iterator[Line]:
    written = record.within("cache_creation")
    tokens = {
        "input": record.count("uncached_input_tokens"),
        "cache_read": record.count("cache_read_input_tokens"),
        "cache_write_5m": written.count("ephemeral_5m_input_tokens"),
        "cache_write_1h": written.count("ephemeral_1h_input_tokens"),
        "output": record.count("output_tokens"),
    }
    row = Row(
        day=record.bucket("starting_at", "ending_at"),
        model=record.words("model"),
        key=record.words("api_key_id"),
        tier=_unusual(record.words("service_tier")),
        again=again,
    )
    yield from _tokens(record, row, tokens)


def _usage_row(record: Record, again: str) -> Iterator[Line]:
    if missing := [name for name in COLUMNS if name not in record.said]:
        raise BadExport(f"{record.where}: these columns are missing: {', '.join(missing)}")
    row = Row(
        day=record.day("usage_date_utc"),
        model=record.words("model_version"),
        key=record.words("api_key"),
        tier=_unusual(record.words("usage_type")),
        again=again,
    )
    yield from _tokens(record, row, {cls: record.count(name) for name, cls in COLUMNS.items()})


def _tokens(record: Record, row: Row, tokens: dict[str, int]) -> Iterator[Line]:
    if row.model is None and any(tokens.values()):
        record.fail("no model is named; ask for the usage with group_by[]=model")
    if row.model is not None:
        yield from (row.line(cls, tokens=count) for cls, count in tokens.items())


def _cost(record: Record, again: str) -> Iterator[Line]:
    if (currency := record.words("currency") or "USD").upper() != "USD":
        record.fail(f"the amount is in {currency}; only USD can be compared")
    cost = record.dollars("amount", cents=True)
    if cost and not record.has("description"):
        record.fail("no description is named; ask for the costs with group_by[]=description")
    day, tier = record.bucket("starting_at", "ending_at"), _unusual(record.words("service_tier"))
    if (kind := record.words("token_type")) is None:
        what = record.words("description") or record.words("cost_type") or ""
        yield Row(day=day, model=None, tier=tier, again=again).line(REQUEST, cost=cost, what=what)
    elif kind in API_TYPES:
        yield Row(day=day, model=record.words("model"), tier=tier, again=again).line(API_TYPES[kind], cost=cost)
    else:
        record.fail(f"token_type {kind!r} is not known; known are {', '.join(API_TYPES)}")


def _cost_row(record: Record, again: str) -> Iterator[Line]:
    day, tier, key, cost = (
        record.day("usage_date_utc"),
        _unusual(record.words("usage_type")),
        record.words("api_key"),
        record.dollars("cost_usd"),
    )
    if (kind := record.words("token_type")) is None:
        what = record.words("cost_type") or ""
        yield Row(day=day, model=None, key=key, tier=tier, again=again).line(REQUEST, cost=cost, what=what)
    elif kind in CSV_TYPES:
        yield Row(day=day, model=record.words("model"), key=key, tier=tier, again=again).line(CSV_TYPES[kind], cost=cost)
    else:
        record.fail(f"token_type {kind!r} is not known; known are {', '.join(CSV_TYPES)}")


def _unusual(tier: str | None) -> str | None:
    return None if tier in (None, "standard", "message") else tier
