"""The command line, composed in one place. What fails for a reason is one red line and exit code 1, never a traceback."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from .. import __version__
from ..client import ClientError, Refused
from ..config import ConfigError
from ..store.faults import StoreFault, Unavailable
from . import aliases, db, dev, endpoints, experiments, keys, models, prices, providers, secrets, traces, usage
from .doctor import doctor
from .reconcile import reconcile
from .reprice import reprice
from .serve import serve
from .ui import ui
from .up import up

app = typer.Typer(
    name="spangate",
    help="An AI gateway that accounts for every token.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"spangate {__version__}\n")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")] = False) -> None:
    pass


app.command()(up)
app.command()(serve)
app.command()(ui)
app.command()(doctor)
app.command()(reconcile)
app.command()(reprice)
app.add_typer(keys.app, name="keys")
app.add_typer(endpoints.app, name="endpoints")
app.add_typer(aliases.app, name="aliases")
app.add_typer(models.app, name="models")
app.add_typer(secrets.app, name="secrets")
app.add_typer(providers.app, name="providers")
app.add_typer(prices.app, name="prices")
app.add_typer(experiments.app, name="experiments")
app.add_typer(traces.app, name="traces")
app.add_typer(usage.app, name="usage")
app.add_typer(db.app, name="db")
app.add_typer(dev.app, name="dev")


def main() -> None:
    try:
        app()
    except (ClientError, ConfigError, StoreFault) as error:
        words = error.at_length if isinstance(error, Unavailable) else str(error)
        if isinstance(error, Refused) and error.status == 401:
            words += "\nThe key comes from --key, SPANGATE_KEY, or admin.key in the data folder (--data-dir)."
        Console(stderr=True, soft_wrap=True).print(Text(words, style="red"))
        raise SystemExit(1) from None
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
