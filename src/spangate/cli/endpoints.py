"""`spangate endpoints`: the names that clients call, and whether their calls are traced."""

from collections.abc import Sequence
from typing import Annotated

import typer

from ..client import Endpoint, ModelConfig
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
    typer.Option("--usage-tracking/--no-usage-tracking", help="Trace calls, with content, into the experiment. New endpoints do."),
]
Experiment = Annotated[str | None, typer.Option(help="Name or id of the experiment for traces. Default: gateway/NAME.")]
COLUMNS: Columns[Endpoint] = {
    "name": lambda endpoint: endpoint.name,
    "models": lambda endpoint: models(endpoint),
    "tracking": lambda endpoint: endpoint.usage_tracking,
    "experiment": lambda endpoint: endpoint.experiment_id,
    "tags": lambda endpoint: ", ".join(f"{tag.key}={tag.value}" for tag in endpoint.tags),
    "changed": lambda endpoint: when(endpoint.last_updated_at),
    "id": lambda endpoint: endpoint.endpoint_id,
}


@app.command("list")
@calling
def list_(there: There, provider: Annotated[str | None, typer.Option(help="Only those with this provider's models.")] = None) -> None:
    """All endpoints."""
    there.table(
        there.client.endpoints(provider=provider), COLUMNS, empty="No endpoints yet. Make one: spangate endpoints create NAME --model MODEL"
    )


@app.command()
@calling
def show(there: There, name: Name) -> None:
    """One endpoint."""
    there.tell(there.endpoint(name), COLUMNS)


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
    there.tell(made, COLUMNS)


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
    there.tell(changed, COLUMNS)


@app.command()
@calling
def delete(there: There, name: Name) -> None:
    """Removes an endpoint. Its experiment, traces and ledger rows stay."""
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
    there.tell(there.client.endpoint(endpoint.endpoint_id), COLUMNS)


@app.command()
@calling
def detach(there: There, name: Name, model: Annotated[str, typer.Option(help="Model definition to take away.")]) -> None:
    """Takes one model away."""
    endpoint: Endpoint = there.endpoint(name)
    there.client.detach_model(endpoint.endpoint_id, there.model(model).model_definition_id)
    there.tell(there.client.endpoint(endpoint.endpoint_id), COLUMNS)


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
    there.tell(there.client.endpoint(endpoint.endpoint_id), COLUMNS)


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
