"""The books that must say the same, each added up from its own rows: attempts, calls, traces, the rollups of each width, usage as asked."""

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection
from tests.unit.store.given import T0
from tests.unit.store.mix import SPREAD

from spangate.prices.cost import PICO
from spangate.record import spans
from spangate.store import accounts, money, schema, traces
from spangate.store.accounts import Contributions, Measures
from spangate.store.periods import DAY, Step, zone_of
from spangate.store.restating import seen
from spangate.store.usage import Question, Row, usage


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    calls: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    pico: int = 0
    unpriced: int = 0
    estimated: int = 0


WHOLE = {"since": T0 - DAY, "until": T0 + SPREAD + DAY}
KEPT = (*accounts.WIDTHS, *(-width for width in accounts.JOINED))
ASKED = (
    Question(**WHOLE, zone=zone_of("UTC")),
    Question(**WHOLE, zone=zone_of("Europe/Berlin"), step=Step.month, groups=("model",), top=1),
    Question(**WHOLE, zone=zone_of("America/New_York"), step=Step.week, groups=("endpoint", "key", "status")),
    Question(**WHOLE, zone=zone_of("Asia/Kolkata"), step=Step.day, groups=("price", "provider")),
)


def books(connection: Connection) -> dict[str, Totals]:
    """All calls: `attempts`, `calls`, `rollups/<width>`, `usage/<what was asked>`. Those that have a trace: `traced`, `traces`."""
    calls, attempts = schema.calls.c, schema.attempts.c
    has_tokens = attempts.input_tokens.is_not(None) | attempts.output_tokens.is_not(None)
    count = sa.func.count
    found = {
        "attempts": _totals(
            connection,
            sa.select(
                count(attempts.call_id.distinct()).label("calls"),
                count().label("attempts"),
                sa.func.sum(attempts.input_tokens).label("input_tokens"),
                sa.func.sum(attempts.output_tokens).label("output_tokens"),
                *_money(attempts.cost_pico),
                count(sa.case((has_tokens & attempts.price_id.is_(None), 1))).label("unpriced"),
                count(sa.case((has_tokens & (attempts.provenance == "estimated"), 1))).label("estimated"),
            ),
        )
    }
    of_calls = sa.select(
        count().label("calls"),
        *(sa.func.sum(calls[name]).label(name) for name in ("attempts", "input_tokens", "output_tokens", "unpriced", "estimated")),
        *_money(calls.cost_pico),
    )
    found["calls"] = _totals(connection, of_calls)
    refused = connection.execute(sa.select(count()).select_from(schema.calls).where(calls.attempts == 0)).scalar_one()
    found["attempts"] = msgspec.structs.replace(found["attempts"], calls=found["attempts"].calls + refused)
    rollups = schema.usage_rollups.c
    for width in KEPT:
        found[f"rollups/{width}"] = _totals(
            connection,
            sa.select(
                *(sa.func.sum(rollups[name]).label(name) for name in ("calls", "attempts", "input_tokens", "output_tokens")),
                sa.func.sum(rollups.unpriced_attempts).label("unpriced"),
                sa.func.sum(rollups.estimated_attempts).label("estimated"),
                sa.func.sum(rollups.cost_micro).label("micro"),
                sa.func.sum(rollups.cost_rest).label("rest"),
            ).where(rollups.width == width),
        )
    for question in ASKED:
        name = f"usage/{question.step}/{question.zone}/{','.join(question.groups)}"
        answer = usage(connection, question)
        found[name], found[f"{name}/total"] = _used(answer.rows), _used([answer.total])
    found["traced"] = _totals(connection, of_calls.where(calls.experiment_id.is_not(None)))
    found["traces"] = _shown(traces.batch(connection, connection.execute(sa.select(schema.traces.c.trace_id)).scalars().all()))
    return found


def disagreements(connection: Connection) -> list[str]:
    """Where the books differ: in their totals, or in any row of the rollups from what the ledger's rows come to."""
    totals = books(connection)
    faults = [f"{name}: {totals[name]}, attempts: {totals['attempts']}" for name in totals if name not in ("traced", "traces")]
    faults = [fault for fault, name in zip(faults, totals, strict=False) if totals[name] != totals["attempts"]]
    if totals["traces"] != totals["traced"]:
        faults.append(f"traces: {totals['traces']}, their calls: {totals['traced']}")
    for width in KEPT:
        kept, counted = _kept(connection, width), _counted(connection, width)
        faults += [
            f"{width} {key}: kept {kept.get(key)}, counted {counted.get(key)}"
            for key in {**kept, **counted}
            if kept.get(key) != counted.get(key)
        ]
    return faults


def _money(column: sa.ColumnElement[Any]) -> Iterable[sa.ColumnElement[Any]]:
    micro, rest = money.total(column)
    return micro.label("micro"), rest.label("rest")


def _totals(connection: Connection, query: sa.Select[Any]) -> Totals:
    row = dict(connection.execute(query).mappings().one())
    pico = money.whole(row.pop("micro"), row.pop("rest"))
    return Totals(**{name: int(number or 0) for name, number in row.items()}, pico=pico)


def _used(rows: Iterable[Row]) -> Totals:
    sums = Totals()
    for of in (row.measures for row in rows):
        sums = Totals(
            calls=sums.calls + of.calls,
            attempts=sums.attempts + of.attempts,
            input_tokens=sums.input_tokens + of.input_tokens,
            output_tokens=sums.output_tokens + of.output_tokens,
            pico=sums.pico + (of.cost_pico or 0),
            unpriced=sums.unpriced + of.unpriced_attempts,
            estimated=sums.estimated + of.estimated_attempts,
        )
    return sums


def _shown(rows: Iterable[traces.TraceRow]) -> Totals:
    """What the spans say, as a client of MLflow would add it up, with what is marked as a guess."""
    sums = dict.fromkeys(Totals.__struct_fields__, 0)
    for row in rows:
        sums["calls"] += 1
        _, *children = spans.spans(row.exchange, None, costs=row.costs)
        for child in children:
            said = child.attributes
            sums["attempts"] += 1
            tokens: Any = said.get("mlflow.chat.tokenUsage", {})
            cost: Any = said.get("mlflow.llm.cost") or said.get("spangate.cost.estimated") or {"total_cost": 0}
            for kind in ("input", "output"):
                sums[f"{kind}_tokens"] += tokens.get(f"{kind}_tokens", 0) + said.get(f"spangate.usage.estimated_{kind}", 0)
            sums["pico"] += round(cost["total_cost"] * PICO)
            sums["unpriced"] += "spangate.cost.unpriced" in said
            sums["estimated"] += "spangate.usage.estimated_input" in said or "spangate.usage.estimated_output" in said
    return Totals(**sums)


Sums = tuple[dict[str, int], int, bytes, bytes]


def _kept(connection: Connection, width: int) -> dict[tuple[object, ...], Sums]:
    rollups, dimensions = schema.usage_rollups, schema.usage_dimensions
    query = (
        sa.select(rollups, dimensions).join(dimensions, dimensions.c.dimension_id == rollups.c.dimension_id).where(rollups.c.width == width)
    )
    found: dict[tuple[object, ...], Sums] = {}
    names = [column.name for column in rollups.columns if column.name not in ("width", "bucket", "dimension_id")]
    for row in connection.execute(query).mappings():
        key = (row["bucket"], *(row[column.name] for column in dimensions.columns if column.name != "dimension_id"))
        assert key not in found
        counts = {name: row[name] for name in names if isinstance(row[name], int) and row[name] and not name.startswith("cost_")}
        found[key] = counts, money.whole(row["cost_micro"], row["cost_rest"]), bytes(row["durations"]), bytes(row["first_tokens"])
    return found


def _counted(connection: Connection, width: int) -> dict[tuple[object, ...], Sums]:
    contributions: Contributions = {}
    for call, tried in seen(connection, connection.execute(sa.select(schema.calls.c.call_id)).scalars().all()):
        accounts.count(contributions, call, tried)
    whole: dict[tuple[object, ...], Measures] = {}
    for (begins, dimension), measures in contributions.items():
        told = dimension._replace(key_id="", key_name="", owner="", team="") if width < 0 else dimension
        whole.setdefault((accounts.bucket(begins, abs(width)), *told), Measures()).merge(measures)
    return {
        key: ({name: number for name, number in one.counts.items() if number}, one.pico, bytes(one.durations), bytes(one.first_tokens))
        for key, one in whole.items()
        if not one.nothing
    }
