"""OpenRouter's activity: sums a day from its API, or a row a generation from the Activity page.

`GET /api/v1/activity` (https://openrouter.ai/docs/client-sdks/typescript/models/activityitem): sums by day, model and endpoint, in UTC
and of days that are over. The Activity page's CSV (https://openrouter.ai/docs/cookbook/administration/activity-export) has a
row a generation: generation_id, created_at, cost_total, tokens_prompt, tokens_completion, tokens_cached, model_permaslug, api_key_name.
Tokens are the model's own (https://openrouter.ai/docs/use-cases/usage-accounting); the prompt's include cached ones, the completion's
reasoning. Money is told for all classes together.
"""

from collections.abc import Iterator, Sequence

from .lines import REQUEST, TOTAL, Export, Line, Row
from .reading import BadExport, File, Record, Seen, pages, rounding, table, unfinished

NEEDED = ("generation_id", "created_at", "cost_total", "model_permaslug")


def recognises(page: Record) -> bool:
    data = page.said.get("data")
    return isinstance(data, list) and any(isinstance(item, dict) and "completion_tokens" in item for item in data)  # pyright: ignore[reportUnknownVariableType]


def recognises_columns(columns: frozenset[str]) -> bool:
    return "generation_id" in columns and "cost_total" in columns


def parse(files: Sequence[File]) -> Export:
    read = {file.name: pages(file) for file in files if file.json}
    seen, generations, decimals, lines = Seen(), set[str](), 0, list[Line]()
    cached, elsewhere = True, False
    for file in files:
        for record in _items(read[file.name]) if file.json else table(file):
            elsewhere |= record.has("byok_usage_inference") and record.dollars("byok_usage_inference") > 0
            if file.json:
                cached = False
                lines += _day(record, seen.again(record))
                continue
            if missing := [name for name in NEEDED if name not in record.said]:
                raise BadExport(f"{record.where}: these columns are missing: {', '.join(missing)}")
            cached &= "tokens_cached" in record.said
            decimals = max(decimals, record.decimals("cost_total"))
            generation = record.words("generation_id") or record.fail("generation_id is empty")
            lines += _generation(record, generation, record.where if generation in generations else "")
            generations.add(generation)
    return Export(
        format="openrouter",
        provider="openrouter",
        lines=tuple(lines),
        classes=frozenset({"input", "cache_read", "output"} if cached else {"input", "output"}),
        slack=rounding(decimals) if decimals else 1,
        notes=(
            *unfinished(files, lambda file: read[file.name]),
            *(("what your own keys cost at other providers (byok_usage_inference) is not on this bill and left out",) if elsewhere else ()),
        ),
    )


def _items(found: Sequence[Record]) -> Iterator[Record]:
    for page in found:
        yield from page.listed("data")


def _day(record: Record, again: str) -> Iterator[Line]:
    row = Row(day=record.day("date"), model=record.words("model_permaslug") or record.words("model"), again=again)
    if row.model is None:
        record.fail("no model is named")
    yield row.line("input", tokens=record.count("prompt_tokens"))
    yield row.line("output", tokens=record.count("completion_tokens"))
    yield row.line(TOTAL, cost=record.dollars("usage"))
    yield row.line(REQUEST, requests=record.count("requests"))


def _generation(record: Record, generation: str, again: str) -> Iterator[Line]:
    model = record.words("model_permaslug") or record.fail("model_permaslug is empty")
    row = Row(day=record.day("created_at"), model=model, key=record.words("api_key_name"), generation=generation, again=again)
    prompt, completion = (record.count(_native(record, name)) for name in ("tokens_prompt", "tokens_completion"))
    cached = record.count("tokens_cached") if record.has("tokens_cached") else 0
    if cached > prompt:
        record.fail(f"tokens_cached is {cached}, and the prompt has {prompt}")
    yield row.line("input", tokens=prompt - cached)
    yield row.line("cache_read", tokens=cached)
    yield row.line("output", tokens=completion)
    yield row.line(TOTAL, cost=record.dollars("cost_total"))
    yield row.line(REQUEST, requests=1)


def _native(record: Record, name: str) -> str:
    """The model's own count, where the file has it beside another one."""
    return f"native_{name}" if record.has(f"native_{name}") else name
