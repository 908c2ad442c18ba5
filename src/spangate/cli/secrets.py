"""`spangate secrets`: providers' credentials. They go in and are never read back."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ..client import Secret
from .options import calling
from .there import Columns, There, when

app = typer.Typer(help="Providers' credentials: encrypted at rest, masked on read.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name or id of the secret.")]
Values = Annotated[
    list[str] | None, typer.Option("--value", help="A secret field, such as api_key=sk-...; `api_key=-` reads it from stdin.")
]
Config = Annotated[list[str] | None, typer.Option("--config", help="A setting in the open, such as api_base=https://host/v1.")]
COLUMNS: Columns[Secret] = {
    "name": lambda secret: secret.secret_name,
    "provider": lambda secret: secret.provider,
    "value": lambda secret: pairs(secret.masked_values),
    "settings": lambda secret: pairs(secret.auth_config),
    "changed": lambda secret: when(secret.last_updated_at),
    "id": lambda secret: secret.secret_id,
}


@app.command("list")
@calling
def list_(there: There, provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None) -> None:
    """All secrets, masked."""
    there.table(
        there.client.secrets(provider=provider), COLUMNS, empty="No secrets yet. Make one: spangate secrets create NAME --provider openai"
    )


@app.command()
@calling
def show(there: There, name: Name) -> None:
    """One secret, masked."""
    there.tell(there.secret(name), COLUMNS)


@app.command()
@calling
def create(
    there: There,
    name: Annotated[str, typer.Argument(help="Name of the new secret.")],
    provider: Annotated[str, typer.Option(help="One of `spangate providers list`.")],
    value: Values = None,
    config: Config = None,
) -> None:
    """Keeps a credential. Without --value, asks for what the provider needs."""
    row = catalogued(there, provider)
    auth_config = fields(config)
    values = fields(value) if value is not None else asked(row, auth_config)
    if more := lacking(row, values, auth_config):
        raise typer.BadParameter(f"{row['title']} needs {' '.join(more)} too")
    there.tell(there.client.create_secret(name, provider=provider, values=values, auth_config=auth_config or None), COLUMNS)


@app.command()
@calling
def update(there: There, name: Name, value: Values = None, config: Config = None) -> None:
    """Replaces the credential, its settings, or both."""
    if not value and not config:
        raise typer.BadParameter("nothing to change: give --value, --config or both")
    secret = there.secret(name)
    changed = there.client.update_secret(secret.secret_id, values=fields(value) or None, auth_config=fields(config) or None)
    there.tell(changed, COLUMNS)


@app.command()
@calling
def delete(there: There, name: Name) -> None:
    """Forgets a credential that no model definition uses."""
    secret: Secret = there.secret(name)
    there.client.delete_secret(secret.secret_id)
    there.say(f"Secret {secret.secret_name} is gone.")


def catalogued(there: There, provider: str) -> Mapping[str, Any]:
    """The gateway's row of the provider: a typo would make a secret that no model can use."""
    rows = {name: row for row in there.client.providers()["providers"] for name in (row["name"], *row["names"]["also"])}
    if provider not in rows:
        raise typer.BadParameter(f"there is no provider '{provider}'; there are {', '.join(sorted(rows))}")
    return rows[provider]


def asked(row: Mapping[str, Any], auth_config: Mapping[str, str]) -> dict[str, str]:
    """The sealed fields of the auth mode that the settings mean, from whoever sits at the terminal."""
    modes: list[Mapping[str, Any]] = row["auth_modes"]
    named = auth_config.get("auth_mode")
    fitting = [
        mode for mode in modes if (mode["mode"] == named if named else auth_config.keys() <= {*mode["config_fields"], "allow_private"})
    ]
    mode = (fitting or modes)[0]
    sealed: list[str] = mode["secret_fields"]
    required = [field for field in sealed if field in mode["required"]]
    if not sys.stdin.isatty():
        if required:
            field = required[0]
            raise typer.BadParameter(f"the credential is missing: --value {field}=..., or --value {field}=- to read it from stdin")
        return {}
    said = {field: typer.prompt(f"{field} of {row['title']}", hide_input=True) for field in required}
    if row["key_optional"] and sealed:
        question = f"{sealed[0]} of {row['title']} (Enter for none)"
        said[sealed[0]] = typer.prompt(question, hide_input=True, default="", show_default=False)
    return {field: value for field, value in said.items() if value}


def lacking(row: Mapping[str, Any], values: Mapping[str, str], auth_config: Mapping[str, str]) -> list[str]:
    """The options that the auth mode that is meant still needs: the gateway would keep the secret, and refuse each call by it."""
    modes: list[Mapping[str, Any]] = row["auth_modes"]
    named = auth_config.get("auth_mode")
    gaps = [
        [f"--{'value' if field in mode['secret_fields'] else 'config'} {field}=..." for field in mode["required"] if not given.get(field)]
        for mode in modes
        if (named is None or mode["mode"] == named) and values.keys() <= {*mode["secret_fields"]}
        for given in [{**values, **auth_config}]
    ]
    return min(gaps, key=len, default=list[str]())


def fields(given: list[str] | None) -> dict[str, str]:
    said: dict[str, str] = {}
    for item in given or ():
        name, separator, value = item.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"'{item}' is not name=value")
        said[name] = sys.stdin.readline().rstrip("\n") if value == "-" else value
    return said


def pairs(values: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
