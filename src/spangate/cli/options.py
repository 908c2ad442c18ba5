"""Where options come from: every setting is a flag by being a setting, and every command that calls a gateway takes the same four."""

import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ByteSize

from ..client import Client
from ..config import Settings, flag, load, place, said
from .there import There

Command = Callable[..., Any]


def configured(command: Command) -> Command:
    """Gives `command(settings, ...)` one flag for each setting, read with the file and the environment."""
    first, *own = inspect.signature(command).parameters.values()
    names = tuple(Settings.model_fields)

    def run(**given: Any) -> Any:
        flags = {name: given.pop(name) for name in names}
        return command(**{first.name: load(flags)}, **given)

    flags = [_parameter(name, _flag_type(name), None) for name in names]
    return _shaped(run, command, [*own, *flags])


def rolling(command: Command) -> Command:
    """`configured`, with a second argument that reads the same sources again: the flags stay, the file may have changed."""
    first, second, *own = inspect.signature(command).parameters.values()
    names = tuple(Settings.model_fields)

    def run(**given: Any) -> Any:
        flags = {name: given.pop(name) for name in names}
        return command(**{first.name: load(flags), second.name: lambda: load(flags)}, **given)

    return _shaped(run, command, [*own, *(_parameter(name, _flag_type(name), None) for name in names)])


def database(command: Command) -> Command:
    """Gives `command(settings, ...)` the flags that say which database, for work that needs no server."""
    first, *own = inspect.signature(command).parameters.values()
    names = ("data_dir", "db", "config")

    def run(**given: Any) -> Any:
        flags = {name: given.pop(name) for name in names}
        return command(**{first.name: load(flags)}, **given)

    return _shaped(run, command, [*own, *(_parameter(name, _flag_type(name), None) for name in names)])


def calling(command: Command) -> Command:
    """Gives `command(there, ...)` a gateway: --url and --key, else what the environment or the data folder says."""
    first, *own = inspect.signature(command).parameters.values()
    text = Annotated[str | None, typer.Option("--url", help="Where the gateway is. Default: the one of the data folder.")]
    key = Annotated[str | None, typer.Option("--key", help="The key to show. Default: the admin key of the data folder.")]
    folder = Annotated[Path | None, typer.Option("--data-dir", help="Data folder to find URL and key in.", show_default=False)]
    json = Annotated[bool, typer.Option("--json", help="JSON for scripts instead of a table.")]

    def run(url: str | None, key: str | None, data_dir: Path | None, json: bool, **given: Any) -> Any:
        settings = load({"data_dir": data_dir})
        found = place(settings, url=url, key=key)
        with Client(found.url, found.key) as client:
            return command(**{first.name: There(client, settings, found, json)}, **given)

    options = [
        _parameter("url", text, None),
        _parameter("key", key, None),
        _parameter("data_dir", folder, None),
        _parameter("json", json, False),
    ]
    return _shaped(run, command, [*own, *options])


def _flag_type(name: str) -> Any:
    field = Settings.model_fields[name]
    kinds = [kind for kind in typing.get_args(field.annotation) if kind is not type(None)]
    kind: Any = kinds[0] if type(None) in typing.get_args(field.annotation) else field.annotation
    if kind is ByteSize or typing.get_origin(kind) is Literal:
        kind = str  # the settings parse and refuse it, so that a flag and a variable fail in the same words
    names = f"{flag(name)}/--no-{flag(name)[2:]}" if kind is bool else flag(name)
    about = field.description if kind is bool or field.default is None else f"{field.description} Default: {said(name)}."
    return Annotated[kind | None, typer.Option(names, help=about, show_default=False)]


def _parameter(name: str, kind: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _shaped(run: Command, like: Command, parameters: list[inspect.Parameter]) -> Command:
    """`run` with the name and words of `like` and a signature that typer reads options from."""
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__name__, run.__doc__, run.__module__ = like.__name__, like.__doc__, like.__module__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in keywords}
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return run
