"""One step from a revision of the tables to the next. Alembic is imported here and where the schema is checked, and nowhere else."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from .faults import Unavailable


def config() -> Config:
    """Alembic's settings: no file, just where the revisions are."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def step(connection: Connection, to: str) -> str | None:
    """Goes one revision on towards `to`, in the caller's transaction and under its lock. None: the tables are there, or past it."""
    scripts = ScriptDirectory.from_config(config())
    steps = [script.revision for script in reversed(list(scripts.walk_revisions("base", to)))]
    now = MigrationContext.configure(connection).get_current_revision()
    if now is not None and now not in steps:
        if now in {script.revision for script in scripts.walk_revisions()}:
            return None  # further on than was asked for
        raise Unavailable(f"The database is at revision {now}, which this version does not know: it was written by a newer one.")
    ahead = steps if now is None else steps[steps.index(now) + 1 :]
    if not ahead:
        return None
    offered = config()
    offered.attributes["connection"] = connection
    command.upgrade(offered, ahead[0])
    return ahead[0]
