"""`spangate providers`: what the catalogue knows, and what a secret for each must hold."""

from collections.abc import Mapping
from typing import Any

import typer

from .options import calling
from .there import Columns, There

app = typer.Typer(help="Providers: whom this version can call, and what a secret for each holds.", no_args_is_help=True)

COLUMNS: Columns[Mapping[str, Any]] = {
    "name": lambda row: row["name"],
    "title": lambda row: row["title"],
    "formats": lambda row: ", ".join(row["formats"]),
    "--value": lambda row: fields(row, "secret_fields"),
    "--config": lambda row: fields(row, "config_fields"),
    "checked": lambda row: row["checked"],
}


@app.command("list")
@calling
def list_(there: There) -> None:
    """The catalogue of providers: what a secret for each holds, [in brackets] what can be left out, `or` between kinds of secrets."""
    there.table(there.client.providers()["providers"], COLUMNS, empty="This gateway's catalogue is empty.")


def fields(row: Mapping[str, Any], kind: str) -> str:
    """The fields of each kind of secret; kinds that hold the same are said once."""
    said = (", ".join(name if name in mode["required"] else f"[{name}]" for name in mode[kind]) for mode in row["auth_modes"])
    return " or ".join(dict.fromkeys(some or "none" for some in said))
