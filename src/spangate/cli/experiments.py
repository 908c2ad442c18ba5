"""`spangate experiments`: where traces are kept."""

from typing import Annotated, Literal

import typer

from ..client import Experiment
from .options import calling
from .there import Columns, There, when

app = typer.Typer(help="Experiments: where traces are kept.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name or id of the experiment.")]
COLUMNS: Columns[Experiment] = {
    "id": lambda experiment: experiment.experiment_id,
    "name": lambda experiment: experiment.name,
    "stage": lambda experiment: experiment.lifecycle_stage,
    "made": lambda experiment: when(experiment.creation_time),
    "tags": lambda experiment: ", ".join(f"{tag.key}={tag.value}" for tag in experiment.tags),
}


@app.command("list")
@calling
def list_(there: There, all: Annotated[bool, typer.Option("--all", help="The deleted ones too.")] = False) -> None:
    """Experiments, the newest first."""
    view: Literal["ALL", "ACTIVE_ONLY"] = "ALL" if all else "ACTIVE_ONLY"
    there.table(there.client.experiments(view=view), {**COLUMNS, "tags": own_tags}, empty="No experiments.")


@app.command()
@calling
def show(there: There, name: Name) -> None:
    """One experiment."""
    there.tell(there.experiment(name), COLUMNS)


@app.command()
@calling
def create(there: There, name: Annotated[str, typer.Argument(help="Name of the new experiment.")]) -> None:
    """Makes an experiment."""
    there.tell(there.client.experiment(there.client.create_experiment(name)), COLUMNS)


@app.command()
@calling
def rename(there: There, name: Name, to: Annotated[str, typer.Argument(help="Its new name.")]) -> None:
    """Gives an experiment another name; its id stays."""
    experiment: Experiment = there.experiment(name)
    there.client.rename_experiment(experiment.experiment_id, to)
    there.tell(there.client.experiment(experiment.experiment_id), COLUMNS)


@app.command()
@calling
def delete(there: There, name: Name) -> None:
    """Puts an experiment away; endpoints that traced into it get a fresh one and go on."""
    experiment: Experiment = there.experiment(name)
    there.client.delete_experiment(experiment.experiment_id)
    there.say(f"Experiment {experiment.name} is deleted; `spangate experiments restore {experiment.experiment_id}` brings it back.")


@app.command()
@calling
def restore(there: There, name: Name) -> None:
    """Brings a deleted experiment back."""
    experiment: Experiment = there.experiment(name)
    there.client.restore_experiment(experiment.experiment_id)
    there.tell(there.client.experiment(experiment.experiment_id), COLUMNS)


def own_tags(experiment: Experiment) -> str:
    """Without MLflow's, which would fill the screen and say the same in each row; `show` has them all."""
    return ", ".join(f"{tag.key}={tag.value}" for tag in experiment.tags if not tag.key.startswith("mlflow."))
