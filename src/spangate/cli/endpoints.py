"""`spangate endpoints`: the names that clients call, whether their calls are traced, and how patient they are."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

import msgspec
import typer

from ..client import Endpoint, EndpointSettings, ModelConfig
from .options import calling
from .there import Columns, There, when

app = typer.Typer(help="Endpoints: the names that clients call, what answers them, and whether calls are traced.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name or id of the endpoint.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="A model definition that answers; NAME:0.3 gives it a weight. Repeatable.")
]
Fallbacks = Annotated[
    list[str] | None, typer.Option("--fallback", help="A model definition for when those fail, in this order. Repeatable.")
]
Tracking = Annotated[
    bool | None,
    typer.Option("--usage-tracking/--no-usage-tracking", help="Trace calls into the experiment. New endpoints do."),
]
Experiment = Annotated[str | None, typer.Option(help="Name or id of the experiment for traces. Default: gateway/NAME.")]


def columns(there: There) -> Columns[Endpoint]:
    """Of experiments endpoints know the id alone; their names are asked for where a person looks on."""

    @cache
    def names() -> Mapping[str, str]:
        return {experiment.experiment_id: experiment.name for experiment in there.client.experiments(view="ALL")}

    def experiment(endpoint: Endpoint) -> str | None:
        held = endpoint.experiment_id
        name = names().get(held) if held else None
        return f"{name} ({held})" if name else held

    return {
        "name": lambda endpoint: endpoint.name,
        "models": lambda endpoint: models(endpoint),
        "tracking": lambda endpoint: endpoint.usage_tracking,
        "experiment": experiment,
        "tags": lambda endpoint: ", ".join(f"{tag.key}={tag.value}" for tag in endpoint.tags),
        "changed": lambda endpoint: when(endpoint.last_updated_at),
        "id": lambda endpoint: endpoint.endpoint_id,
    }


class Detailed(Endpoint, frozen=True, kw_only=True):
    """An endpoint with what our own API says of it beside MLflow's."""

    settings: EndpointSettings
    aliases: tuple[str, ...]


def details(there: There) -> Columns[Detailed]:
    return {
        **columns(there),
        "aliases": lambda endpoint: ", ".join(endpoint.aliases),
        "settings": lambda endpoint: settings(endpoint.settings),
    }


class ClientGone(StrEnum):
    close = "close"
    drain = "drain"


class Content(StrEnum):
    full = "full"
    metadata = "metadata"


class Setting(StrEnum):
    connect_timeout = "connect-timeout"
    first_byte_timeout = "first-byte-timeout"
    idle_timeout = "idle-timeout"
    total_timeout = "total-timeout"
    client_gone = "client-gone"
    proxy = "proxy"
    retention = "retention"
    content = "content"


@app.command("list")
@calling
def list_(there: There, provider: Annotated[str | None, typer.Option(help="Only those with this provider's models.")] = None) -> None:
    """All endpoints."""
    there.table(
        there.client.endpoints(provider=provider),
        columns(there),
        empty="No endpoints yet. Make one: spangate endpoints create NAME --model MODEL",
    )


@app.command()
@calling
def show(there: There, name: Name) -> None:
    """One endpoint, with its aliases and settings."""
    there.tell(detailed(there, there.endpoint(name)), details(there))


@app.command()
@calling
def create(
    there: There,
    name: Annotated[str, typer.Argument(help="Name of the new endpoint: what clients send as `model`.")],
    model: Models = None,
    fallback: Fallbacks = None,
    usage_tracking: Tracking = None,
    experiment: Experiment = None,
) -> None:
    """Makes an endpoint; its calls are traced into the experiment gateway/NAME unless you say otherwise."""
    if not model:
        raise typer.BadParameter("an endpoint needs a --model; `spangate models list` shows them")
    experiment_id = there.experiment(experiment).experiment_id if experiment else None
    made = there.client.create_endpoint(
        name, configs(there, model, fallback or ()), usage_tracking=usage_tracking, experiment_id=experiment_id
    )
    there.tell(made, columns(there))


@app.command()
@calling
def update(
    there: There,
    name: Name,
    rename: Annotated[str | None, typer.Option(help="Its new name; the experiment keeps its own.")] = None,
    model: Models = None,
    fallback: Fallbacks = None,
    usage_tracking: Tracking = None,
    experiment: Experiment = None,
) -> None:
    """Changes what is given and leaves the rest; in force in every worker within a second."""
    if fallback and not model:
        raise typer.BadParameter("--fallback replaces all models of the endpoint: name its --model too")
    if not model and rename is None and usage_tracking is None and experiment is None:
        raise typer.BadParameter("nothing to change: give --rename, --model, --usage-tracking, --no-usage-tracking or --experiment")
    endpoint: Endpoint = there.endpoint(name)
    changed = there.client.update_endpoint(
        endpoint.endpoint_id,
        name=rename,
        models=configs(there, model, fallback or ()) if model else None,
        usage_tracking=usage_tracking,
        experiment_id=there.experiment(experiment).experiment_id if experiment else None,
    )
    there.tell(changed, columns(there))


@app.command("set")
@calling
def set_(
    there: There,
    name: Name,
    connect_timeout: Annotated[float | None, typer.Option(help="Seconds to reach the provider.")] = None,
    first_byte_timeout: Annotated[float | None, typer.Option(help="Seconds from there to the status of its answer.")] = None,
    idle_timeout: Annotated[float | None, typer.Option(help="Seconds between two pieces of the answer.")] = None,
    total_timeout: Annotated[float | None, typer.Option(help="Seconds for the call as a whole, all attempts included.")] = None,
    client_gone: Annotated[
        ClientGone | None, typer.Option(help="When the client of a stream leaves: hang up, or read on to the provider's count.")
    ] = None,
    allow_proxy: Annotated[
        str | None,
        typer.Option(help='Methods and paths that the raw proxy may pass on, such as "GET,POST /files /files/*"; replaces those before.'),
    ] = None,
    retention: Annotated[
        str | None,
        typer.Option(help='Days after which something is deleted, such as "content=7 traces=30 ledger=400"; replaces those before.'),
    ] = None,
    content: Annotated[
        Content | None, typer.Option(help="What traces keep: also what was said, or metadata alone (spans, tokens, cost).")
    ] = None,
    unset: Annotated[list[Setting] | None, typer.Option(help="Leave this to the server again. Repeatable.")] = None,
) -> None:
    """Sets what is given and leaves the rest; in force in every worker within a second."""
    given: dict[str, Any] = {
        "connect_timeout": connect_timeout,
        "first_byte_timeout": first_byte_timeout,
        "idle_timeout": idle_timeout,
        "total_timeout": total_timeout,
        "client_gone": client_gone,
        "proxy": proxy(allow_proxy) if allow_proxy is not None else None,
        "retention": periods(retention) if retention is not None else None,
        "content": content,
    }
    changes = {setting: value for setting, value in given.items() if value is not None}
    for setting in unset or ():
        if setting.name in changes:
            raise typer.BadParameter(f"{setting} is both set and unset")
        changes[setting.name] = None
    if not changes:
        raise typer.BadParameter("nothing to change: give a setting, or --unset one")
    endpoint: Endpoint = there.endpoint(name)
    there.client.change_endpoint_settings(endpoint.name, changes)
    there.tell(detailed(there, there.client.endpoint(endpoint.endpoint_id)), details(there))


@app.command()
@calling
def delete(there: There, name: Name) -> None:
    """Removes an endpoint and its aliases. Its experiment, traces and ledger rows stay."""
    endpoint: Endpoint = there.endpoint(name)
    there.client.delete_endpoint(endpoint.endpoint_id)
    there.say(f"Endpoint {endpoint.name} is gone; its experiment and traces stay.")


@app.command()
@calling
def attach(there: There, name: Name, model: Annotated[str, typer.Option(help="Model definition; NAME:0.3 gives it a weight.")]) -> None:
    """Adds one more model that answers."""
    (config,) = configs(there, [model], ())
    endpoint: Endpoint = there.endpoint(name)
    there.client.attach_model(endpoint.endpoint_id, config)
    there.tell(there.client.endpoint(endpoint.endpoint_id), columns(there))


@app.command()
@calling
def detach(there: There, name: Name, model: Annotated[str, typer.Option(help="Model definition to take away.")]) -> None:
    """Takes one model away."""
    endpoint: Endpoint = there.endpoint(name)
    there.client.detach_model(endpoint.endpoint_id, there.model(model).model_definition_id)
    there.tell(there.client.endpoint(endpoint.endpoint_id), columns(there))


@app.command("tag")
@calling
def set_tag(
    there: There,
    name: Name,
    tag: Annotated[str, typer.Argument(help="Key of the tag.")],
    value: Annotated[str | None, typer.Argument(help="Without: the tag is removed.")] = None,
) -> None:
    """Sets or removes a tag."""
    endpoint: Endpoint = there.endpoint(name)
    if value is None:
        there.client.delete_endpoint_tag(endpoint.endpoint_id, tag)
    else:
        there.client.set_endpoint_tag(endpoint.endpoint_id, tag, value)
    there.tell(there.client.endpoint(endpoint.endpoint_id), columns(there))


def detailed(there: There, endpoint: Endpoint) -> Detailed:
    return Detailed(
        **msgspec.structs.asdict(endpoint),
        settings=there.client.endpoint_settings(endpoint.name),
        aliases=tuple(alias.pattern for alias in there.client.aliases(endpoint=endpoint.name)),
    )


def proxy(said: str) -> dict[str, list[str]]:
    """`GET,POST /files /files/*`"""
    methods, *paths = said.split() or [""]
    if not paths or methods.startswith("/"):
        raise typer.BadParameter(f"'{said}' is not methods and paths, such as \"GET,POST /files /files/*\"")
    return {"methods": [method for method in methods.upper().split(",") if method], "paths": paths}


def periods(said: str) -> dict[str, int]:
    """`content=7 traces=30`"""
    fields = {name.removesuffix("s"): days for name, _, days in (part.partition("=") for part in said.replace(",", " ").split())}
    if not fields or not all(name in ("content", "trace", "ledger") and days.isdecimal() for name, days in fields.items()):
        raise typer.BadParameter(f"'{said}' is not periods in days, such as \"content=7 traces=30 ledger=400\"")
    return {f"{name}_days": int(days) for name, days in fields.items()}


def settings(held: EndpointSettings) -> str:
    said = [
        f"{setting.value.replace('-', ' ')} {seconds:g} s"
        for setting in Setting
        if setting.name.endswith("timeout") and (seconds := getattr(held, setting.name)) is not None
    ]
    if held.client_gone is not None:
        said.append(f"client gone: {held.client_gone}")
    if held.proxy is not None:
        said.append(f"proxy: {','.join(held.proxy.methods)} {' '.join(held.proxy.paths)}".rstrip())
    if held.retention is not None:
        days = {"content": held.retention.content_days, "traces": held.retention.trace_days, "ledger": held.retention.ledger_days}
        said.append("retention: " + " ".join(f"{name}={number}" for name, number in days.items() if number is not None))
    if held.content is not None:
        said.append(f"content: {held.content}")
    return ", ".join(said)


def configs(there: There, primary: Sequence[str], fallback: Sequence[str]) -> list[ModelConfig]:
    chosen: list[ModelConfig] = []
    for said in primary:
        name, weight = weighted(said)
        chosen.append(ModelConfig(there.model(name).model_definition_id, "PRIMARY", weight=weight))
    for order, name in enumerate(fallback, start=1):
        chosen.append(ModelConfig(there.model(name).model_definition_id, "FALLBACK", fallback_order=order))
    return chosen


def weighted(said: str) -> tuple[str, float]:
    """`name:0.3` with its weight; a name may hold colons, as Ollama's do, so only a number after the last one counts."""
    name, separator, tail = said.rpartition(":")
    if separator and name:
        try:
            return name, float(tail)
        except ValueError:
            pass
    return said, 1.0


def models(endpoint: Endpoint) -> str:
    said: list[str] = []
    for mapping in endpoint.model_mappings:
        name = mapping.model_definition.name if mapping.model_definition else mapping.model_definition_id
        if mapping.linkage_type == "FALLBACK":
            said.append(f"{name} (fallback)")
        else:
            said.append(name if mapping.weight == 1 else f"{name} ({mapping.weight:g})")
    return ", ".join(said)
