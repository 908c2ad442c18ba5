"""`spangate traces`: calls as they were, live (`tail`), one by one (`show`) and by filter (`list`)."""

import datetime
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, cast

import msgspec
import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ..client import Client, Span, Trace, TraceInfo, Unreachable
from ..prices.cost import PICO, usd
from .options import calling
from .there import There, write_json
from .usage import dollars

app = typer.Typer(help="Traces: calls as they were, with content, tokens and times.", no_args_is_help=True)

POLL = 1.0  # s between two looks of `tail`
OVERLAP = 60_000  # ms that each look goes back: a drain that was held up brings calls that ended a while ago
REMEMBERED = 20_000  # traces that `tail` knows it has shown; more than one overlap brings at 300 calls a second
PAGE = 500  # the most that the server gives at once
BATCH = 10  # traces fetched with their spans in one call, as mlflow's own client does

ENDPOINT = "mlflow.gateway.endpointId"
NAME = "mlflow.traceName"
USAGE = "mlflow.trace.tokenUsage"
SPAN_USAGE = "mlflow.chat.tokenUsage"
COST, ESTIMATED_COST, UNPRICED = "mlflow.trace.cost", "spangate.cost.estimated", "spangate.cost.unpriced"
MODEL = "mlflow.llm.model"
INPUTS, OUTPUTS = "mlflow.spanInputs", "mlflow.spanOutputs"
PROVENANCE = "spangate.usage.provenance"
ESTIMATED_INPUT, ESTIMATED_OUTPUT = "spangate.usage.estimated_input", "spangate.usage.estimated_output"
TOKENS = frozenset({"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", ESTIMATED_INPUT, ESTIMATED_OUTPUT})
UNSURE_FIRST = ("estimated", "unknown", "drained", "reported")
FIRST_TOKEN = "spangate.time_to_first_token_ms"  # noqa: S105  a time, no secret


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A trace as one line."""

    trace_id: str
    time: str
    endpoint: str
    model: str | None
    state: str
    input_tokens: int | None
    output_tokens: int | None
    provenance: str | None  # who counted them: reported, drained, estimated or unknown; of several, the least sure
    cost: str | None  # USD, exactly, of the attempts that have a price; None: none has
    cost_estimated: bool  # some of it is of tokens that we estimated
    unpriced: int  # attempts with tokens and no price
    first_token_ms: float | None
    duration_ms: float | None


COLUMNS: dict[str, tuple[int, Callable[[Line], str]]] = {
    "time": (12, lambda line: clock(line.time)),
    "endpoint": (20, lambda line: line.endpoint),
    "model": (28, lambda line: line.model or "-"),
    "state": (5, lambda line: line.state),
    "in": (8, lambda line: counted(line, line.input_tokens)),
    "out": (8, lambda line: counted(line, line.output_tokens)),
    "cost": (11, lambda line: cost(line)),
    "first": (8, lambda line: seconds(line.first_token_ms)),
    "whole": (8, lambda line: seconds(line.duration_ms)),
    "trace": (35, lambda line: line.trace_id),
}
RIGHT = {"in", "out", "cost", "first", "whole"}

Experiment = Annotated[list[str] | None, typer.Option("--experiment", "-e", help="Name or id; repeatable. Default: all.")]
Endpoint = Annotated[str | None, typer.Option("--endpoint", help="Only the calls of this endpoint.")]


@app.command("list")
@calling
def list_(
    there: There,
    experiment: Experiment = None,
    endpoint: Endpoint = None,
    filter: Annotated[str | None, typer.Option(help="MLflow's filter, such as: status = 'ERROR' AND tags.team = 'a'")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 20,
) -> None:
    """The newest traces, one a line."""
    chosen = _chosen(there, experiment)
    infos: list[TraceInfo] = []
    token: str | None = None
    while chosen and len(infos) < limit:
        page, token = there.client.search_traces(
            chosen, filter=both(filter, endpoint), max_results=min(PAGE, limit - len(infos)), page_token=token
        )
        infos += page
        if not token:
            break
    found = list(lines(there.client, infos))
    if there.json:
        write_json(found)
    elif not found:
        asked = experiment or endpoint or filter
        there.say("No trace matches." if asked else "No traces yet: call an endpoint that has usage tracking on.")
    else:
        _head(there.console)
        for line in reversed(found):  # the newest next to the prompt, as in tail
            _print(there.console, line)


@app.command()
@calling
def tail(
    there: There,
    experiment: Experiment = None,
    endpoint: Endpoint = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many of the past to begin with.")] = 10,
) -> None:
    """Follows new traces until Ctrl-C. With --json: one object a line."""
    if not there.json:
        _head(there.console)
    try:
        for line in follow(there.client, lambda: _chosen(there, experiment), both(None, endpoint), limit, there.say):
            if there.json:
                there.console.file.write(msgspec.json.encode(line).decode() + "\n")
                there.console.file.flush()
            else:
                _print(there.console, line)
    except KeyboardInterrupt:
        return


@app.command()
@calling
def show(there: There, trace_id: Annotated[str, typer.Argument(help="tr-..., or a call id as x-spangate-call-id had it.")]) -> None:
    """One trace: its spans with their attributes, tokens, request and answer."""
    if not trace_id.startswith("tr-"):
        trace_id = "tr-" + trace_id.replace("-", "")
    trace = there.client.trace(trace_id)
    if there.json:
        write_json(trace)
        return
    (line,) = lines(there.client, [trace.trace_info], {trace_id: trace})
    there.console.print(Text.assemble((trace_id, "bold"), "  ", (line.state, _style(line.state)), f"  {trace.trace_info.request_time}"))
    usage = _usage(trace.trace_info) or {"input": line.input_tokens, "output": line.output_tokens}
    said = ", ".join(f"{name.removesuffix('_tokens').replace('_', ' ')} {value}" for name, value in usage.items() if value is not None)
    by = f" ({line.provenance})" if said and line.provenance else ""
    there.console.print(f"first token {seconds(line.first_token_ms)}, whole {seconds(line.duration_ms)}; tokens: {said or 'unknown'}{by}")
    there.console.print(f"cost: {'unknown' if line.cost is None else f'USD {line.cost}'}{_doubt(line)}")
    there.console.print(tree(trace))
    roots = [span for span in trace.spans if not span.parent_span_id]
    for words, key in (("request", INPUTS), ("answer", OUTPUTS)):
        for span in roots:
            if (value := span.values.get(key)) is not None:
                there.console.print(Text(f"\n{words}", style="bold"))
                there.console.print_json(msgspec.json.encode(value).decode())


@app.command()
@calling
def delete(
    there: There,
    user: Annotated[str | None, typer.Option(help="Of this user.")] = None,
    session: Annotated[str | None, typer.Option(help="Of this session.")] = None,
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="In this experiment: name or id.")] = None,
    before: Annotated[str | None, typer.Option(help="Received before this date or time, such as 2026-11-01.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    """Deletes traces for good, with all that was said: those that meet everything that is given. The bill stays."""
    if user is None and session is None and experiment is None and before is None:
        raise typer.BadParameter("say which traces: --user, --session, --experiment or --before")
    before_ms = None if before is None else beginning(before)
    if not yes and not there.json:
        typer.confirm("They cannot be had back. Delete them?", abort=True)
    gone = there.client.retention.delete_traces(
        user=user,
        session=session,
        experiment_id=there.experiment(experiment).experiment_id if experiment is not None else None,
        before_ms=before_ms,
    )
    if there.json:
        write_json(gone)
        return
    there.say(f"Traces deleted: {gone.traces_deleted:,}. Their calls stay in the ledger, without a word of what was said.")
    if gone.backlog_bytes or gone.open_calls:
        there.say("Some calls are under way or not in the database yet: run it again for what is in them.")


def beginning(said: str) -> int:
    """ms. A date is its first moment in the person's own time zone."""
    try:
        return max(int(datetime.datetime.fromisoformat(said).astimezone().timestamp() * 1000), 0)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"'{said}' is no date or time, such as 2026-11-01 or 2026-11-01T08:30") from None


# ---------------------------------------------------------------- following


def follow(
    client: Client,
    experiments: Callable[[], Sequence[str]],
    filter: str | None,
    past: int,
    say: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Line]:
    """New traces as they come. By the time of their end: a long stream began before calls that were shown long ago."""
    shown: OrderedDict[str, None] = OrderedDict()
    since: int | None = None
    while True:
        try:
            chosen = experiments()
            if since is None:
                infos = client.search_traces(chosen, filter=filter, max_results=max(1, min(past, PAGE)))[0] if chosen else []
                infos = infos[::-1]
                news = infos if past else []
                shown.update(dict.fromkeys(info.trace_id for info in infos))
                since = max((ended(info) for info in infos), default=0)
            else:
                infos = list(_since(client, chosen, filter, since - OVERLAP)) if chosen else []
                news = [info for info in infos if info.trace_id not in shown]
                since = max((ended(info) for info in infos), default=since)
                shown.update(dict.fromkeys(info.trace_id for info in news))
                while len(shown) > REMEMBERED:
                    shown.popitem(last=False)
            yield from lines(client, news)
        except Unreachable as error:
            say(f"{error}; trying on")
        sleep(POLL)


def _since(client: Client, experiments: Sequence[str], filter: str | None, ms: int) -> Iterator[TraceInfo]:
    token: str | None = None
    while True:
        page, token = client.search_traces(
            experiments,
            filter=" AND ".join(filter_ for filter_ in (f"end_time_ms >= {max(ms, 0)}", filter) if filter_),
            order_by=["end_time_ms ASC"],
            max_results=PAGE,
            page_token=token,
        )
        yield from page
        if not token:
            return


def _chosen(there: There, named: Sequence[str] | None) -> list[str]:
    if named:
        return [there.experiment(name).experiment_id for name in named]
    return [experiment.experiment_id for experiment in there.client.experiments()]


def both(filter: str | None, endpoint: str | None) -> str | None:
    by_name = "name = 'gateway/" + endpoint.replace("'", "''") + "'" if endpoint else None
    return " AND ".join(part for part in (filter, by_name) if part) or None


# ---------------------------------------------------------------- a trace in words


def lines(client: Client, infos: Sequence[TraceInfo], known: Mapping[str, Trace] | None = None) -> Iterator[Line]:
    for start in range(0, len(infos), BATCH):
        batch = infos[start : start + BATCH]
        traces = known or {trace.trace_info.trace_id: trace for trace in client.traces([info.trace_id for info in batch])}
        for info in batch:
            yield line(info, traces[info.trace_id].spans if info.trace_id in traces else ())


def line(info: TraceInfo, spans: Sequence[Span]) -> Line:
    root = next((span for span in spans if not span.parent_span_id), None)
    attempts = [span for span in spans if span.parent_span_id]
    usage = _usage(info)
    known, guessed = _pico(info, COST), _pico(info, ESTIMATED_COST)
    name = info.tags.get(NAME, "")
    return Line(
        trace_id=info.trace_id,
        time=info.request_time,
        endpoint=name.removeprefix("gateway/"),
        model=attempts[-1].values.get(MODEL) if attempts else None,
        state=info.state,
        input_tokens=_guessed(attempts, usage.get("input_tokens"), ESTIMATED_INPUT),
        output_tokens=_guessed(attempts, usage.get("output_tokens"), ESTIMATED_OUTPUT),
        provenance=provenance(attempts),
        cost=None if known is None and guessed is None else usd((known or 0) + (guessed or 0)),
        cost_estimated=guessed is not None,
        unpriced=int(info.trace_metadata.get(UNPRICED, "0")),
        first_token_ms=next((span.values[FIRST_TOKEN] for span in (root, *attempts) if span and FIRST_TOKEN in span.values), None),
        duration_ms=milliseconds(info.execution_duration),
    )


def tree(trace: Trace) -> Tree:
    """The spans under each other, the attributes that are not content beside them."""
    under: dict[str, list[Span]] = {}
    for span in trace.spans:
        under.setdefault(span.parent_span_id or "", []).append(span)

    def add(branch: Tree, span: Span) -> None:
        taken = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 if span.end_time_unix_nano else None
        failed = span.status.code.endswith("ERROR")
        label = Text.assemble((span.name, "bold red" if failed else "bold"), f"  {seconds(taken)}")
        if span.status.message:
            label.append(f"  {span.status.message}", style="red")
        node = branch.add(label)
        for key, value in span.values.items():
            if key not in (INPUTS, OUTPUTS):
                said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                node.add(Text.assemble((f"{key} ", "dim"), said))
        for event in span.events:
            node.add(Text(f"{event.name}: {event.values.get('exception.message', event.values)}", style="red" if failed else ""))
        for child in under.get(span.span_id, ()):
            add(node, child)

    top = Tree(Text("spans", style="dim"))
    for root in under.get("", ()):
        add(top, root)
    return top


def _usage(info: TraceInfo) -> dict[str, Any]:
    return _said(info, USAGE)


def _pico(info: TraceInfo, key: str) -> int | None:
    dollars = _said(info, key).get("total_cost")
    return None if dollars is None else round(dollars * PICO)


def _said(info: TraceInfo, key: str) -> dict[str, Any]:
    try:
        said: object = msgspec.json.decode(info.trace_metadata.get(key, "{}"))
    except msgspec.DecodeError:
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _guessed(attempts: Sequence[Span], counted: int | None, estimated: str) -> int | None:
    """With what only we counted, which no trace shows as its usage."""
    guesses = [span.values[estimated] for span in attempts if estimated in span.values]
    return (counted or 0) + sum(guesses) if guesses else counted


def ended(info: TraceInfo) -> int:
    """When a trace ended, in ms."""
    begun = datetime.datetime.fromisoformat(info.request_time).timestamp() * 1000
    return int(begun + (milliseconds(info.execution_duration) or 0))


def milliseconds(duration: str | None) -> float | None:
    """protobuf's "0.152s"."""
    return float(duration.removesuffix("s")) * 1000 if duration else None


def seconds(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def provenance(attempts: Sequence[Span]) -> str | None:
    """Of the attempts that have tokens, or None."""
    said = {span.values.get(PROVENANCE) for span in attempts if not TOKENS.isdisjoint(span.values)}
    return next((word for word in UNSURE_FIRST if word in said), None)


def counted(line: Line, tokens: int | None) -> str:
    """What we estimated is never shown as a fact."""
    return ("~" if tokens is not None and line.provenance == "estimated" else "") + number(tokens)


def cost(line: Line) -> str:
    """~: some of the tokens are estimated; +: and some have no price."""
    if line.cost is None:
        return "-"
    return f"{'~' if line.cost_estimated else ''}{dollars(line.cost)}{'+' if line.unpriced else ''}"


def _doubt(line: Line) -> str:
    doubts = ["of tokens that are partly estimated"] if line.cost_estimated else []
    doubts += [f"{line.unpriced} attempt{'s' if line.unpriced > 1 else ''} without a price"] if line.unpriced else []
    return f" ({'; '.join(doubts)})" if doubts else ""


def number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def clock(time: str) -> str:
    return datetime.datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S.%f")[:12]


def _style(state: str) -> str:
    return {"OK": "green", "ERROR": "red"}.get(state, "yellow")


def _head(console: Console) -> None:
    console.print(
        Text("  ".join(name.rjust(width) if name in RIGHT else name.ljust(width) for name, (width, _) in COLUMNS.items()), "bold")
    )


def _print(console: Console, line: Line) -> None:
    text = Text()
    for name, (width, value) in COLUMNS.items():
        said = value(line)
        style = _style(line.state) if name == "state" else ""
        text.append((said.rjust(width) if name in RIGHT else said.ljust(width)) + "  ", style)
    text.rstrip()
    console.print(text)
