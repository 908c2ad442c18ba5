"""A CSV file of our own making, for bills of providers that have no format here. Any spreadsheet can write it.

Columns: `date` and `model`; then any of `key`, `generation_id`, `requests`, the token counts `input_tokens` (all of them), `output_tokens`
(all of them), `cache_read_tokens`, `cache_write_tokens`, `cache_write_5m_tokens`, `cache_write_1h_tokens`, `audio_input_tokens`,
`image_input_tokens`, `audio_output_tokens`, `image_output_tokens`, and the money: `cost_usd`, or `input_cost_usd` and `output_cost_usd`.
A column that is not one of these is refused, so that none is left out by a slip of the pen.
"""

from collections.abc import Iterator, Sequence

from .lines import INPUTS, REQUEST, TOTAL, Export, Line, Row
from .reading import BadExport, File, Record, Seen, rounding, table

TOKENS = {f"{cls}_tokens": cls for cls in (*INPUTS, "output", "audio_output", "image_output")}
COSTS = {"cost_usd": TOTAL, "input_cost_usd": "input", "output_cost_usd": "output"}
COLUMNS = ("date", "model", "key", "generation_id", "requests", *TOKENS, *COSTS)


def recognises_columns(columns: frozenset[str]) -> bool:
    return {"date", "model"} <= columns <= set(COLUMNS)


def parse(files: Sequence[File]) -> Export:
    seen, generations, decimals, lines = Seen(), set[str](), 0, list[Line]()
    classes, identified = set[str](), True
    for file in files:
        for record in table(file):
            if unknown := sorted(set(record.said) - set(COLUMNS)):
                raise BadExport(f"{record.where}: not known: {', '.join(unknown)}; the columns are {', '.join(COLUMNS)}")
            if "date" not in record.said or "model" not in record.said:
                raise BadExport(f"{record.where}: the columns date and model are needed")
            if record.has("cost_usd") and (record.has("input_cost_usd") or record.has("output_cost_usd")):
                record.fail("cost_usd is given, and its parts too; give one of them")
            for name in COSTS:
                decimals = max(decimals, record.decimals(name) if record.has(name) else 0)
            again, generation = seen.again(record), record.words("generation_id")
            identified &= generation is not None
            if generation is not None:
                again = record.where if generation in generations else ""
                generations.add(generation)
            classes |= {TOKENS[name] for name in record.said if name in TOKENS}
            lines += _lines(record, generation, again)
    return Export(
        format="csv",
        provider=None,
        lines=tuple(lines),
        classes=frozenset(classes),
        slack=rounding(decimals) if decimals else 1,
        unique=identified,
    )


def _lines(record: Record, generation: str | None, again: str) -> Iterator[Line]:
    row = Row(
        day=record.day("date"),
        model=record.words("model") or record.fail("model is empty"),
        key=record.words("key"),
        generation=generation,
        again=again,
    )
    tokens = {cls: record.count(name) for name, cls in TOKENS.items() if record.has(name)}
    for whole, parts in (("input", INPUTS[1:]), ("output", ("audio_output", "image_output"))):
        inner = sum(tokens.get(part, 0) for part in parts)
        if "cache_write" in tokens and whole == "input":
            longer = tokens.get("cache_write_5m", 0) + tokens.get("cache_write_1h", 0)
            tokens["cache_write"] -= longer
            inner -= longer
            if tokens["cache_write"] < 0:
                record.fail("cache_write_tokens is less than its parts")
        if whole in tokens:
            tokens[whole] -= inner
            if tokens[whole] < 0:
                record.fail(f"{whole}_tokens is less than its parts")
        elif inner:
            record.fail(f"{whole}_tokens is empty, and parts of it are not")
    yield from (row.line(cls, tokens=count) for cls, count in tokens.items())
    yield from (row.line(cls, cost=record.dollars(name)) for name, cls in COSTS.items() if record.has(name))
    if record.has("requests"):
        yield row.line(REQUEST, requests=record.count("requests"))
