"""`spangate serve`: the gateway in the foreground."""

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from ..config import Settings
from ..observe import logs
from ..supervise import Running, StartError, Supervisor
from .options import rolling


@rolling
def serve(settings: Settings, reload: Callable[[], Settings]) -> None:
    """Runs the gateway until it is told to stop (Ctrl-C or SIGTERM: open calls finish first). SIGHUP restarts it process by process."""
    raise SystemExit(supervise(settings, lambda running: greet(running, Console(highlight=False, soft_wrap=True)), reload))


def supervise(settings: Settings, on_ready: Callable[[Running], None], reload: Callable[[], Settings] | None = None) -> int:
    """`reload` reads the settings again for a rolling restart; without it SIGHUP means stop."""
    hidden = (settings.admin_key, settings.kek, settings.pepper)
    logs.configure(level=settings.log_level, format=settings.log_format, process="supervisor", secrets=hidden)
    try:
        return Supervisor(settings, reload=reload).run(on_ready)
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
