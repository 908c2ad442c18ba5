"""OpenAI's usage and costs, as its API gives them and as its dashboard exports them.

Usage: `GET /v1/organization/usage/completions` (and `/embeddings`), grouped by model; costs: `GET /v1/organization/costs`, grouped by
line_item (https://platform.openai.com/docs/api-reference/usage; field by field in openai-python's
types/admin/organization/usage_completions_response.py). The dashboard's CSV files have the same names as columns
(https://help.openai.com/en/articles/8554956). `input_tokens` includes all input; audio and images are told without their cached tokens.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from .lines import REQUEST, Export, Line, Row
from .reading import BadExport, File, Record, Seen, pages, rounding, table, unfinished

INPUT = {
    "cache_read": "input_cached_tokens",
    "cache_write": "input_cache_write_tokens",
    "audio_input": "input_audio_tokens",
    "image_input": "input_image_tokens",
}
OUTPUT = {"audio_output": "output_audio_tokens", "image_output": "output_image_tokens"}

# "gpt-5.5-2026-04-23, cached input"; "priority | gpt-5.6-sol, output, long context"; "gpt-audio-mini-2025-12-15 audio, input".
ITEM = re.compile(
    r"(?:(?P<tier>[^|]+?) \| )?(?P<model>\S+?)(?: (?P<kind>audio|text|image))?, (?P<what>cached input|cache writes|input|output)\b"
)
ITEM_CLASSES = {"cached input": "cache_read", "cache writes": "cache_write", "input": "input", "output": "output"}

OUTER = ("input", "output")

Records = Callable[[], Iterator[Record]]


def recognises(page: Record) -> bool:
    data = page.said.get("data")
    return isinstance(data, list) and any(isinstance(item, dict) and "start_time" in item for item in data)  # pyright: ignore[reportUnknownVariableType]


def recognises_columns(columns: frozenset[str]) -> bool:
    return "start_time" in columns


def parse(files: Sequence[File]) -> Export:
    read = {file.name: pages(file) for file in files if file.json}

    def records() -> Iterator[Record]:
        for file in files:
            yield from _results(read[file.name]) if file.json else _rows(file)

    told = _told(records)
    seen, skipped, decimals = Seen(), set[str](), 0
    lines: list[Line] = []
    usage = False
    for record in records():
        again = seen.again(record)
        if "amount_value" in record.said:
            decimals = max(decimals, record.decimals("amount_value")) if record.has("amount_value") else decimals
            lines += _cost(record, again)
        elif "input_tokens" in record.said:
            usage = True
            lines += _usage(record, told, again)
        else:
            skipped.add(str(record.said.get("object", "results")))
    return Export(
        format="openai",
        provider="openai",
        lines=tuple(lines),
        classes=frozenset({"input", "output", *told}) if usage else frozenset(),
        slack=1 if read else rounding(decimals),
        notes=(
            *unfinished(files, lambda file: read[file.name]),
            *(f"{what} count no tokens and are left out" for what in sorted(skipped)),
        ),
    )


def _results(found: Sequence[Record]) -> Iterator[Record]:
    """Each result of each bucket, with the bucket's times; an amount's value and currency are brought up."""
    for page in found:
        for bucket in page.listed("data"):
            for result in bucket.listed("results"):
                said = {**result.said, "start_time": bucket.said.get("start_time"), "end_time": bucket.said.get("end_time")}
                if said.get("object") == "organization.costs.result" or "amount" in said:
                    amount = result.within("amount")
                    said |= {"amount_value": amount.said.get("value"), "amount_currency": amount.said.get("currency")}
                yield Record(result.where, said)


def _rows(file: File) -> Iterator[Record]:
    for row in table(file):
        if "input_tokens" not in row.said and "amount_value" not in row.said:
            if row.said.keys() <= {"start_time", "end_time", "start_time_iso", "end_time_iso"}:
                continue  # the export of an account without usage
            raise BadExport(f"{row.where}: neither input_tokens nor amount_value is a column")
        if any(row.has(name) for name in ("input_tokens", "num_model_requests", "amount_value")):  # else: a time without usage
            yield row


def _told(records: Records) -> frozenset[str]:
    """The classes that each result tells apart. What only some of them do is left in the whole: a count that is not there is no zero."""
    told = set(INPUT) | set(OUTPUT)
    for record in records():
        if "output_tokens" in record.said:  # embeddings have no classes
            told -= {cls for cls, name in (INPUT | OUTPUT).items() if not record.has(name)}
    return frozenset(told)


def _usage(record: Record, told: frozenset[str], again: str) -> Iterator[Line]:
    chat = "output_tokens" in record.said
    tokens = _split(record, "input", "input_tokens", {c: n for c, n in INPUT.items() if c in told and chat})
    if chat:
        tokens |= _split(record, "output", "output_tokens", {c: n for c, n in OUTPUT.items() if c in told})
    model = record.words("model")
    if model is None and any(tokens.values()):
        record.fail("no model is named; ask for the usage with group_by=model")
    row = Row(
        day=record.bucket("start_time", "end_time"),
        model=model,
        key=record.words("api_key_id"),
        tier="batch" if record.said.get("batch") in (True, "true", "True") else _unusual(record.words("service_tier")),
        again=again,
    )
    if model is not None:
        yield from (row.line(cls, tokens=count) for cls, count in tokens.items())
        if record.has("num_model_requests"):
            yield row.line(REQUEST, requests=record.count("num_model_requests"))


def _split(record: Record, whole: str, name: str, parts: dict[str, str]) -> dict[str, int]:
    tokens = {cls: record.count(part) for cls, part in parts.items()}
    rest = record.count(name) - sum(tokens.values())
    if rest < 0:
        record.fail(f"{name} is {record.count(name)}, and its parts are {sum(tokens.values())}")
    return {whole: rest, **tokens}


def _cost(record: Record, again: str) -> Iterator[Line]:
    if not record.has("amount_value"):
        return
    if (currency := record.words("amount_currency") or "usd").lower() != "usd":
        record.fail(f"the amount is in {currency}; only USD can be compared")
    cost, item = record.dollars("amount_value"), record.words("line_item")
    if item is None and cost:
        record.fail("no line_item is named; ask for the costs with group_by=line_item")
    if item is None:
        return
    found = ITEM.match(item)
    row = Row(
        day=record.bucket("start_time", "end_time"),
        model=found["model"] if found else None,
        key=record.words("api_key_id"),
        tier=_unusual(found["tier"]) if found else None,
        again=again,
    )
    if found is None:
        yield row.line(REQUEST, cost=cost, what=item)
        return
    cls = ITEM_CLASSES[found["what"]]
    yield row.line(f"{found['kind']}_{cls}" if found["kind"] in ("audio", "image") and cls in OUTER else cls, cost=cost)


def _unusual(tier: str | None) -> str | None:
    return None if tier is None or tier.lower() in ("default", "standard", "auto") else tier.lower()
