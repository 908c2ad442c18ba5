"""`spangate usage`: calls, tokens and cost, by whom and when; and the months of the bill. What is not known is said beside each sum."""

import datetime
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, cast

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from ..client.usage import Line, Month, OrderName, Question, StepName, Times, UsageReport, UsageRow
from .options import calling
from .there import Columns, There, counted, write_json

CENT = Decimal("0.01")
UNBOUNDED = 10_000  # columns


class _Shows(TyperGroup):
    """`spangate usage --by team` is `spangate usage show --by team`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Shows, help="Usage: calls, tokens and cost. Without a command: `show`.")


class Step(StrEnum):
    quarter = "15m"
    hour = "hour"
    day = "day"
    week = "week"
    month = "month"


class Order(StrEnum):
    cost = "cost"
    tokens = "tokens"
    calls = "calls"
    errors = "errors"


@app.command()
@calling
def show(
    there: There,
    by: Annotated[
        list[str] | None,
        typer.Option(help="endpoint, provider, model, key, owner, team, status, price, tag:NAME; several with commas between."),
    ] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only these: team=search, model!=gpt-5, tag:env=prod. Repeatable.")] = None,
    since: Annotated[str | None, typer.Option(help="2026-11, 2026-11-01 or 2026-11-01T08:30. Default: this month's beginning.")] = None,
    until: Annotated[str | None, typer.Option(help="As with --since, and not counted itself. Default: now.")] = None,
    last: Annotated[
        str | None,
        typer.Option(help="Instead of both: 24h until now; 7d with today; day, week or month: the one before this one."),
    ] = None,
    step: Annotated[Step | None, typer.Option(help="A row for each so long.")] = None,
    zone: Annotated[str | None, typer.Option(help="Whose days and months, such as Europe/Berlin. Default: UTC.")] = None,
    order: Annotated[Order | None, typer.Option(help="The most of this first. Default: cost.")] = None,
    top: Annotated[int | None, typer.Option(help="So many groups by name, and the rest as one.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="With the period before.")] = False,
    latency: Annotated[bool, typer.Option("--latency", help="How long calls took: median, 95th and 99th percentile.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV for a spreadsheet.")] = False,
) -> None:
    """Calls, tokens and cost of a range, by group and by step; the total last."""
    question = Question(
        by=[name.strip() for names in by or () for name in names.split(",")],
        where=where or (),
        since=since,
        until=until,
        last=last,
        step=cast("StepName | None", step and step.value),
        zone=zone,
        order=cast("OrderName | None", order and order.value),
        top=top,
        compare=compare,
        percentiles=latency,
    )
    if csv:
        if there.json:
            raise typer.BadParameter("say either --csv or --json")
        sys.stdout.write(there.client.usage.csv(**question))
        return
    report = there.client.usage.ask(**question)
    if there.json:
        write_json(report)
        return
    there.say(f"{_minute(report.since)} to {_minute(report.until)}, {report.zone}")
    if report.step or report.group_by:
        table = _table(report, compare=compare, latency=latency)
        # A figure that is cut is another figure: where all do not fit beside the names, the terminal wraps the line.
        needed = there.console.measure(table, options=there.console.options.update_width(UNBOUNDED)).minimum
        there.console.width = max(there.console.width, needed)
        there.console.print(table)
    for sentence in _sentences(report, latency=latency):
        there.say(sentence)


MONTHS: Columns[Month] = {
    "month": lambda month: month.month,
    "state": lambda month: month.state,
    "calls": lambda month: f"{month.total.calls:,}",
    "in": lambda month: f"{month.total.input_tokens:,}",
    "out": lambda month: f"{month.total.output_tokens:,}",
    "cost": lambda month: dollars(month.total.cost),
    "not known": lambda month: _doubts(month.total),
    "since it was closed": lambda month: _drift(month),
}

Named = Annotated[str, typer.Argument(help="A year and a month, such as 2026-10; months are in UTC.")]
Note = Annotated[str, typer.Option(help="Why; kept with the month.")]


@app.command()
@calling
def months(there: There) -> None:
    """Each month with what it came to, and whether it is closed."""
    there.table(there.client.usage.months(), MONTHS, empty="No usage yet.")


@app.command()
@calling
def close(there: There, month: Named, note: Note = "") -> None:
    """Keeps what a month that is over came to: its calls are not priced anew from then on."""
    there.tell(there.client.usage.close(month, note=note), MONTHS)


@app.command()
@calling
def reopen(there: There, month: Named, note: Note = "") -> None:
    """Lets a closed month's calls be priced anew; what was kept of it stays until it is closed again."""
    there.tell(there.client.usage.reopen(month, note=note), MONTHS)


# ---------------------------------------------------------------- in words

Cells = Mapping[str, Callable[[UsageRow], str]]

SUMS: Cells = {
    "calls": lambda row: f"{row.measures.calls:,}",
    "errors": lambda row: f"{row.measures.errors:,}",
    "in": lambda row: f"{row.measures.input_tokens:,}",
    "out": lambda row: f"{row.measures.output_tokens:,}",
    "cost": lambda row: dollars(row.measures.cost),
    "unpriced": lambda row: percent(row.measures.unpriced_share),
    "estimated": lambda row: percent(row.measures.estimated_share),
}
LATENCY: Cells = {
    "p50": lambda row: _ms(row.measures.latency, "p50"),
    "p95": lambda row: _ms(row.measures.latency, "p95"),
    "p99": lambda row: _ms(row.measures.latency, "p99"),
    "first p50": lambda row: _ms(row.measures.first_token, "p50"),
    "first p95": lambda row: _ms(row.measures.first_token, "p95"),
}
BEFORE: Cells = {
    "before": lambda row: dollars(row.previous.cost) if row.previous else "-",
    "change": lambda row: signed(row.change.cost) if row.change else "-",
}


def _table(report: UsageReport, *, compare: bool, latency: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True, footer_style="bold")
    cells: Cells = {**SUMS, **(LATENCY if latency else {}), **(BEFORE if compare else {})}
    named = [*(["since"] if report.step else []), *report.group_by]
    for number, name in enumerate(named):
        table.add_column(Text(name), footer="total" if number == 0 else "", overflow="fold")
    for name, cell in cells.items():
        widest = max(len(figure) for figure in (name, cell(report.total), *map(cell, report.rows)))
        table.add_column(name, footer=cell(report.total), justify="right", no_wrap=True, min_width=widest)
    for row in report.rows:
        period = [_minute(row.since)] if report.step else []
        group = ["(other)" if row.other else row.group[name] or "-" for name in report.group_by]
        table.add_row(*map(Text, [*period, *group, *(cell(row) for cell in cells.values())]))
    return table


def _sentences(report: UsageReport, *, latency: bool) -> Sequence[str]:
    total = report.total
    of = total.measures
    doubts = [f"{percent(share)} {what}" for share, what in ((of.unpriced_share, "unpriced"), (of.estimated_share, "estimated")) if share]
    if of.unknown_attempts:
        doubts.append(f"tokens of {counted(of.unknown_attempts, 'attempt')} unknown")
    money = ", ".join([dollars(of.cost) if of.cost is not None else "cost unknown", *doubts])
    tokens = f"{counted(of.input_tokens, 'token')} in, {of.output_tokens:,} out"
    said = [f"{counted(of.calls, 'call')}, {counted(of.errors, 'error')}, {tokens}; {money}"]
    if total.previous is not None and total.change is not None and report.previous is not None:
        then = f"{_minute(report.previous.since)} to {_minute(report.previous.until)}"
        said.append(
            f"before ({then}): {counted(total.previous.calls, 'call')}, {dollars(total.previous.cost)}; cost {signed(total.change.cost)}"
        )
    if latency:
        said.append(f"took {_took(of.latency)}; first token {_took(of.first_token)}")
    return said


def dollars(cost: str | None) -> str:
    """To the cent, or if it is less than that, to its first two digits."""
    if cost is None:
        return "-"
    amount = Decimal(cost)
    if amount == 0 or abs(amount) >= CENT:
        return f"${amount:,.2f}"
    return f"${amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1)).normalize():f}"


def percent(share: float | None) -> str:
    if not share:
        return "-"
    return f"{share:.1%}".replace("%", " %") if share >= 0.001 else "< 0.1 %"


def signed(change: float | None) -> str:
    return "-" if change is None else f"{change:+.1%}".replace("%", " %")


def _doubts(line: Line) -> str:
    said = (
        f"{count:,} {what}"
        for count, what in (
            (line.unpriced_attempts, "unpriced"),
            (line.estimated_attempts, "estimated"),
            (line.unknown_attempts, "unknown"),
        )
        if count
    )
    return ", ".join(said)


def _drift(month: Month) -> str:
    if month.drift is None:
        return ""
    return f"{counted(month.drift.calls, 'call', '+')}, {'' if month.drift.cost.startswith('-') else '+'}{month.drift.cost} USD"


def _took(times: Times | None) -> str:
    return "-" if times is None else f"{_ms(times, 'p50')} median, {_ms(times, 'p95')} 95 %, {_ms(times, 'p99')} 99 %"


def _ms(times: Times | None, part: str) -> str:
    if times is None:
        return "-"
    ms: float = getattr(times, part)
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def _minute(moment: str) -> str:
    return datetime.datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M")
