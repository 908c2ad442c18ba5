"""A gateway as a command sees it: someone to call, and a way to say the answer to a person or to a script."""

import datetime
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..client import Client, Endpoint, Experiment, ModelDefinition, Refused, Secret
from ..config import Place, Settings

T = TypeVar("T")
Columns = Mapping[str, Callable[[T], object]]

UNFOLDED = 240  # columns
ID = re.compile(r"[sdem]-[0-9a-f]{32}")


class There:
    """`say` is for people and silent under --json; `tell` and `table` speak to either."""

    def __init__(self, client: Client, settings: Settings, found: Place, json: bool) -> None:
        self.client = client
        self.settings = settings
        self.found = found
        self.json = json
        # Where nobody looks on, such as in a pipe, rich would fold rows at 80 columns.
        self.console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else UNFOLDED)

    def say(self, words: str) -> None:
        if not self.json:
            self.console.print(Text(words))

    def table(self, rows: Iterable[T], columns: "Columns[T]", *, empty: str) -> None:
        """`empty` says what to do next."""
        rows = list(rows)
        if self.json:
            write_json(rows)
        elif rows:
            self.console.print(grid(rows, columns))
        else:
            self.console.print(Text(empty, style="dim"))

    def tell(self, row: T, columns: "Columns[T]") -> None:
        """One row, its columns one under the other."""
        if self.json:
            write_json(row)
            return
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in columns.items():
            table.add_row(Text(name, style="dim"), Text(words(value(row))))
        self.console.print(table)

    # ------------------------------------------------------------ a person names things; the API wants ids

    def secret(self, named: str) -> Secret:
        return self.client.secret(named) if ID.fullmatch(named) else self.client.secret(name=named)

    def model(self, named: str) -> ModelDefinition:
        if ID.fullmatch(named):
            return self.client.model(named)
        for model in self.client.models():
            if model.name == named:
                return model
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"There is no model definition named '{named}'; `spangate models list` shows all.")

    def endpoint(self, named: str) -> Endpoint:
        return self.client.endpoint(named) if ID.fullmatch(named) else self.client.endpoint(name=named)

    def experiment(self, named: str) -> Experiment:
        return self.client.experiment(named) if named.isdigit() else self.client.experiment(name=named)


def grid(rows: Sequence[T], columns: "Columns[T]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(words(value(row))) for value in columns.values()))
    return table


def counted(count: int, what: str, sign: str = "-") -> str:
    """`1 call`, `1,234 calls`; with `+` for a sign, `+1 call`."""
    return f"{count:{sign},} {what}" if abs(count) == 1 else f"{count:{sign},} {what}s"


def words(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case True:
            return "yes"
        case False:
            return "no"
        case _:
            return str(value)


def write_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def when(ms: int) -> str:
    """A moment in the person's own time zone."""
    return datetime.datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
