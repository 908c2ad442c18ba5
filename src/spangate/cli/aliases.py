"""`spangate aliases`: the model names that clients already send, and which endpoint each means."""

import datetime
from typing import Annotated

import typer

from ..client import Alias, Endpoint
from .options import calling
from .there import Columns, There, when

app = typer.Typer(help="Aliases: model names that clients already send, or patterns of them, and the endpoint meant.", no_args_is_help=True)

Pattern = Annotated[
    str, typer.Argument(help="A model name; each * stands for any characters. Quote it, so that the shell leaves it alone.")
]
COLUMNS: Columns[Alias] = {
    "pattern": lambda alias: alias.pattern,
    "endpoint": lambda alias: alias.endpoint,
    "changed": lambda alias: when(int(datetime.datetime.fromisoformat(alias.updated_at).timestamp() * 1000)),
    "by": lambda alias: alias.updated_by,
}


@app.command("list")
@calling
def list_(there: There, endpoint: Annotated[str | None, typer.Option(help="Only those of this endpoint, by name or id.")] = None) -> None:
    """All aliases."""
    name = there.endpoint(endpoint).name if endpoint else None
    there.table(
        there.client.aliases(endpoint=name), COLUMNS, empty="No aliases yet. Make one: spangate aliases set 'claude-sonnet-*' ENDPOINT"
    )


@app.command("set")
@calling
def set_(
    there: There, pattern: Pattern, endpoint: Annotated[str, typer.Argument(help="Name or id of the endpoint that is meant.")]
) -> None:
    """Makes a name mean an endpoint, whatever it meant before; in force in every worker within a second."""
    meant: Endpoint = there.endpoint(endpoint)
    there.tell(there.client.set_alias(pattern, meant.name), COLUMNS)


@app.command()
@calling
def delete(there: There, pattern: Pattern) -> None:
    """Forgets the alias that is written exactly so."""
    there.client.delete_alias(pattern)
    there.say(f"Alias {pattern} is gone.")
