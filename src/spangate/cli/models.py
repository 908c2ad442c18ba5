"""`spangate models`: a provider's model with the secret to call it by, ready for any endpoint."""

from typing import Annotated

import typer

from ..client import ModelDefinition
from .options import calling
from .there import Columns, There, when

app = typer.Typer(help="Model definitions: a provider's model and the secret to call it by.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name or id of the model definition.")]
COLUMNS: Columns[ModelDefinition] = {
    "name": lambda model: model.name,
    "provider": lambda model: model.provider,
    "model": lambda model: model.model_name,
    "secret": lambda model: model.secret_name,
    "changed": lambda model: when(model.last_updated_at),
    "id": lambda model: model.model_definition_id,
}


@app.command("list")
@calling
def list_(there: There, provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None) -> None:
    """All model definitions."""
    empty = "No models yet. Make one: spangate models create NAME --provider openai --model gpt-5-mini --secret SECRET"
    there.table(there.client.models(provider=provider), COLUMNS, empty=empty)


@app.command()
@calling
def show(there: There, name: Name) -> None:
    """One model definition."""
    there.tell(there.model(name), COLUMNS)


@app.command()
@calling
def create(
    there: There,
    name: Annotated[str, typer.Argument(help="Name of the new model definition.")],
    provider: Annotated[str, typer.Option(help="One of `spangate providers list`.")],
    model: Annotated[str, typer.Option(help="The provider's own name of the model.")],
    secret: Annotated[str, typer.Option(help="Name or id of the secret.")],
) -> None:
    """Names a provider's model."""
    secret_id = there.secret(secret).secret_id
    there.tell(there.client.create_model(name, secret_id=secret_id, provider=provider, model_name=model), COLUMNS)


@app.command()
@calling
def update(
    there: There,
    name: Name,
    rename: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    model: Annotated[str | None, typer.Option(help="Another of the provider's models.")] = None,
    secret: Annotated[str | None, typer.Option(help="Another secret.")] = None,
) -> None:
    """Changes what is given and leaves the rest; in force in every worker within a second."""
    if rename is None and model is None and secret is None:
        raise typer.BadParameter("nothing to change: give --rename, --model or --secret")
    definition: ModelDefinition = there.model(name)
    secret_id = there.secret(secret).secret_id if secret else None
    there.tell(there.client.update_model(definition.model_definition_id, name=rename, secret_id=secret_id, model_name=model), COLUMNS)


@app.command()
@calling
def delete(there: There, name: Name) -> None:
    """Forgets a model definition that no endpoint uses."""
    definition: ModelDefinition = there.model(name)
    there.client.delete_model(definition.model_definition_id)
    there.say(f"Model {definition.name} is gone.")
