"""`spangate keys`: what clients show, and whose name is on the bill for it."""

import datetime
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ..client import Refused
from ..client.keys import Key
from .options import calling
from .there import Columns, There, write_json

app = typer.Typer(help="Keys: what clients show, what each may do, and whose name is on the bill.", no_args_is_help=True)

ID = re.compile(r"k-[0-9a-f]{32}")
AHEAD = re.compile(r"([1-9]\d{0,4})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Name = Annotated[str, typer.Argument(help="Name or id of the key.")]


class Roles(StrEnum):
    admin = "admin"
    developer = "developer"
    viewer = "viewer"


class Scopes(StrEnum):
    proxy = "proxy"


class Value(StrEnum):
    scopes = "scopes"
    endpoints = "endpoints"
    experiments = "experiments"
    owner = "owner"
    team = "team"
    tags = "tags"
    expires = "expires"


EMPTY: Mapping[Value, object] = {Value.scopes: (), Value.tags: {}}  # of what cannot be null

Rank = Annotated[
    Roles | None,
    typer.Option(help="viewer reads and calls nothing; developer calls endpoints, makes experiments and tags; admin may do all."),
]
Scope = Annotated[list[Scopes] | None, typer.Option(help="What it may do beyond calling, such as `proxy`. Repeatable.")]
Endpoints = Annotated[
    list[str] | None, typer.Option("--endpoint", help="An endpoint that it may call and read of, by name or id. Repeatable; without: all.")
]
Experiments = Annotated[
    list[str] | None,
    typer.Option("--experiment", help="An experiment that it may see with its traces, by name or id. Repeatable; without: all."),
]
Owner = Annotated[str | None, typer.Option(help="Whose it is, as the bill shall say.")]
Team = Annotated[str | None, typer.Option(help="Of which team, as the bill shall say.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag, such as product=search. Repeatable.")]
Expires = Annotated[
    str | None, typer.Option(help="When it ends: 12h, 30d, 8w, a date, or a time with its offset such as 2027-01-31T18:00Z.")
]


def columns(there: There) -> Columns[Key]:
    """Keys know ids alone; names are asked for where a person looks on."""

    @cache
    def endpoints() -> Mapping[str, str]:
        return {endpoint.endpoint_id: endpoint.name for endpoint in there.client.endpoints()}

    @cache
    def experiments() -> Mapping[str, str]:
        return {experiment.experiment_id: experiment.name for experiment in there.client.experiments(view="ALL")}

    return {
        "name": lambda key: key.name,
        "role": lambda key: key.role,
        "scopes": lambda key: ", ".join(key.scopes),
        "endpoints": lambda key: named(key.endpoints, endpoints),
        "experiments": lambda key: named(key.experiments, experiments),
        "owner": lambda key: key.owner,
        "team": lambda key: key.team,
        "tags": lambda key: ", ".join(f"{tag}={value}" for tag, value in key.tags.items()),
        "state": state,
        "last used": lambda key: moment(key.last_used_at),
        "key": lambda key: key.hint,
        "id": lambda key: key.key_id,
    }


@app.command()
@calling
def create(
    there: There,
    name: Annotated[str, typer.Argument(help="Name of the new key: what the bill calls it. It is never given twice.")],
    role: Rank = Roles.developer,
    endpoint: Endpoints = None,
    experiment: Experiments = None,
    scope: Scope = None,
    owner: Owner = None,
    team: Team = None,
    tag: Tags = None,
    expires: Expires = None,
) -> None:
    """Makes a key and says it, this once: on stdout, all else on stderr."""
    made = there.client.keys.create(
        name,
        role=role.value if role else None,
        scopes=[each.value for each in scope] if scope else None,
        endpoints=endpoint_ids(there, endpoint),
        experiments=experiment_ids(there, experiment),
        owner=owner,
        team=team,
        tags=pairs(tag) if tag else None,
        expires_at=ending(expires) if expires else None,
    )
    if there.json:
        write_json(made)
        return
    sys.stdout.write(f"{made.key}\n")
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        Text(f"Key {made.name} ({made.key_id}) is in force, {state(made)}. It is shown this once: keep it now.", style="dim")
    )


@app.command("list")
@calling
def list_(
    there: There,
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    role: Annotated[Roles | None, typer.Option(help="Only those with this role.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Also those that are revoked or have expired.")] = False,
) -> None:
    """Keys that are in force, oldest first."""
    found = there.client.keys.list(owner=owner, team=team, role=role.value if role else None, revoked=all, expired=all)
    # They are many columns: those that say nothing of any of these are left out, and ids; `show` and --json have all.
    told = {name: value for name, value in columns(there).items() if name != "id" and any(value(key) not in (None, "") for key in found)}
    there.table(found, told, empty="No such keys. Make one: spangate keys create NAME --owner SOMEBODY")


@app.command()
@calling
def show(there: There, name: Name) -> None:
    """One key, also one that is revoked; never the key itself."""
    there.tell(key(there, name), columns(there))


@app.command()
@calling
def update(
    there: There,
    name: Name,
    role: Rank = None,
    endpoint: Endpoints = None,
    experiment: Experiments = None,
    scope: Scope = None,
    owner: Owner = None,
    team: Team = None,
    tag: Tags = None,
    expires: Expires = None,
    unset: Annotated[list[Value] | None, typer.Option(help="Take this away; of endpoints and experiments: all again. Repeatable.")] = None,
) -> None:
    """Changes what is given and leaves the rest; in force in every worker within a second. Tags are added to those that it has."""
    found = key(there, name)
    given: dict[str, Any] = {
        "role": role.value if role else None,
        "scopes": [each.value for each in scope] if scope else None,
        "endpoints": endpoint_ids(there, endpoint),
        "experiments": experiment_ids(there, experiment),
        "owner": owner,
        "team": team,
        "tags": found.tags | pairs(tag) if tag else None,
        "expires_at": ending(expires) if expires else None,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    for value in unset or ():
        field = "expires_at" if value is Value.expires else value.value
        if field in changes:
            raise typer.BadParameter(f"{value} is both set and unset")
        changes[field] = EMPTY.get(value)
    if not changes:
        raise typer.BadParameter("nothing to change: say what, or --unset it")
    there.tell(there.client.keys.update(found.key_id, changes), columns(there))


@app.command()
@calling
def revoke(there: There, name: Name) -> None:
    """Ends a key for good, in every worker within a second. The bill keeps its name."""
    revoked = there.client.keys.revoke(key(there, name).key_id)
    if there.json:
        write_json(revoked)
    else:
        there.say(f"Key {revoked.name} is revoked.")


def key(there: There, named: str) -> Key:
    if ID.fullmatch(named):
        return there.client.keys.get(named)
    for found in there.client.keys.list(name=named, revoked=True, expired=True):
        return found
    raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"There is no key named '{named}'; `spangate keys list --all` shows all.")


def endpoint_ids(there: There, named: Sequence[str] | None) -> list[str] | None:
    return [there.endpoint(name).endpoint_id for name in named] if named else None


def experiment_ids(there: There, named: Sequence[str] | None) -> list[str] | None:
    return [there.experiment(name).experiment_id for name in named] if named else None


def named(ids: Sequence[str] | None, names: Callable[[], Mapping[str, str]]) -> str:
    """`all`, or the names; what is gone has its id left."""
    if ids is None:
        return "all"
    return ", ".join(names().get(held, held) for held in ids) or "none"


def pairs(given: Sequence[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for item in given:
        tag, separator, value = item.partition("=")
        if not separator or not tag or not value:
            raise typer.BadParameter(f"'{item}' is not tag=value")
        said[tag] = value
    return said


def ending(said: str) -> str:
    """RFC 3339. A date is its first moment in the person's own time zone."""
    now = datetime.datetime.now().astimezone()
    try:
        if found := AHEAD.fullmatch(said):
            return (now + datetime.timedelta(**{UNITS[found[2]]: int(found[1])})).isoformat()
        return datetime.datetime.fromisoformat(said).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"'{said}' is neither a time from now on, such as 30d, nor a date or time, such as 2027-01-31") from None


def state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {moment(key.revoked_at)}"
    if key.expires_at is None:
        return "without an end"
    past = datetime.datetime.fromisoformat(key.expires_at) <= datetime.datetime.now(datetime.UTC)
    return f"{'expired' if past else 'until'} {moment(key.expires_at)}"


def moment(said: str | None) -> str:
    """In the person's own time zone."""
    return datetime.datetime.fromisoformat(said).astimezone().strftime("%Y-%m-%d %H:%M:%S") if said else ""
