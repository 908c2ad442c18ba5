"""`spangate serve`: the gateway in the foreground."""

import logging
import sys
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from ..config import Settings
from ..supervise import Running, StartError, Supervisor
from .options import configured


@configured
def serve(settings: Settings) -> None:
    """Runs the gateway until it is told to stop (Ctrl-C or SIGTERM: open calls finish first)."""
    raise SystemExit(supervise(settings, lambda running: greet(running, Console(highlight=False, soft_wrap=True))))


def supervise(settings: Settings, on_ready: Callable[[Running], None]) -> int:
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request that `up` makes
    try:
        return Supervisor(settings).run(on_ready)
    except StartError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"spangate cannot start: {error}", style="red"))
        return 1


def key_on_file(settings: Settings) -> bool:
    """Whether the admin key is the one in the data folder, and not another that a setting gave."""
    try:
        return settings.admin_key_file.read_text().strip() == settings.admin_key
    except OSError:
        return False


def greet(running: Running, console: Console) -> None:
    settings = running.settings
    console.print(Text.assemble("Spangate answers at ", (running.url, "bold green")))
    if running.key_made:
        console.print(Text.assemble("Admin key, shown this once: ", (settings.admin_key or "", "bold")))
        console.print(Text(f"  kept in {settings.admin_key_file}", style="dim"))
    elif key_on_file(settings):
        console.print(Text(f"  admin key: in {settings.admin_key_file}", style="dim"))
    if settings.host not in {"127.0.0.1", "::1", "localhost"}:
        console.print(Text(f"  listens on {settings.host}: plain HTTP, so put TLS in front of it", style="yellow"))
