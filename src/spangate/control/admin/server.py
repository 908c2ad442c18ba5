"""The gateway itself, over HTTP: what it was told to be, what runs of it, and where its data is. No key and no password is ever in it."""

import datetime
import platform
import socket
import time
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import URL

from ... import __version__
from ...config import FIXED, PREFIX, Settings, Source, flag
from ...observe import metrics
from ...observe.series import gather
from ...store import sizes
from ...store.engine import revision
from ...store.faults import StoreFault
from ..desk import Desk
from ..policy import Policy, allows
from ..pricing import without_secrets
from .status import Progress


class SettingRow(BaseModel):
    name: str
    value: str | int | float | bool | None = Field(description="In force. null: none, or it is a secret.")
    default: str | int | float | bool | None
    is_default: bool
    source: Source = Field(description="Where it was said.")
    secret: bool = Field(description="Its value is told to nobody.")
    fixed: bool = Field(description="A new value needs a stop and a start; any other, a SIGHUP.")
    description: str
    flag: str
    environment: str = Field(description="The variable that says it.")


class ProcessRow(BaseModel):
    """One process of this host. null: the system does not say."""

    kind: str = Field(description="worker, control or supervisor.")
    pid: int
    memory_bytes: int | None
    open_files: int | None
    cpu_seconds: float | None


class JournalRow(BaseModel):
    """What one worker wrote on this host."""

    process_id: str
    live: bool = Field(description="false: the process is gone, and the rest of its journal is being taken.")
    segments: int
    backlog_bytes: int = Field(description="Not in the database yet.")


class DatabaseRow(BaseModel):
    dialect: str
    place: str = Field(description="Its URL without user, password and options.")
    revision: str | None = Field(description="Of its tables; null: it cannot be asked now.")
    bytes: int | None = Field(description="All of it, what is free included. null: it cannot be asked now.")


class SnapshotRow(BaseModel):
    published: int | None = Field(description="Version of the snapshot that the workers are given.")
    current: int | None = Field(description="Version of the database, when it was last asked.")


class Server(BaseModel):
    version: str
    python: str
    platform: str
    host: str = Field(description="The name of this machine.")
    started_at: datetime.datetime = Field(description="Of control, which answers this; after a rolling restart, its.")
    uptime_seconds: float
    data_dir: str
    settings: list[SettingRow]
    processes: list[ProcessRow]
    journals: list[JournalRow]
    backlog_bytes: int = Field(description="Of all journals together.")
    database: DatabaseRow
    snapshot: SnapshotRow


def mount(app: FastAPI, desk: Desk, progress: Progress, settings: Settings) -> None:
    began, began_at = time.monotonic(), desk.now()

    @app.get("/api/v1/server", tags=["status"], response_model=Server)
    @allows(Policy.admin)
    def get_server() -> Server:  # pyright: ignore[reportUnusedFunction]
        """What this gateway was told to be, what runs of it on this host, and where its data is. Answers also without the database."""
        waiting = progress.backlog()
        return Server(
            version=__version__,
            python=platform.python_version(),
            platform=platform.platform(terse=True),
            host=socket.gethostname(),
            started_at=datetime.datetime.fromtimestamp(began_at / 1000, datetime.UTC),
            uptime_seconds=round(time.monotonic() - began, 3),
            data_dir=str(settings.data_dir),
            settings=[_setting(settings, name) for name in Settings.model_fields],
            processes=_processes(settings.metrics_dir),
            journals=[
                JournalRow(process_id=one.process_id, live=one.live, segments=one.segments, backlog_bytes=one.bytes)
                for one in waiting.processes
            ],
            backlog_bytes=waiting.bytes,
            database=_database(desk),
            snapshot=SnapshotRow(published=progress.published(), current=progress.current()),
        )


def _setting(settings: Settings, name: str) -> SettingRow:
    field = Settings.model_fields[name]
    value, default = getattr(settings, name), field.get_default(call_default_factory=True)
    source = settings.source(name)
    secret = field.repr is False  # what pydantic does not print either
    return SettingRow(
        name=name,
        value=None if secret else _plain(value),
        default=None if secret else _plain(default),
        is_default=value == default if not secret else source == "default",
        source=source,
        secret=secret,
        fixed=name in FIXED,
        description=field.description or "",
        flag=flag(name),
        environment=PREFIX + name.upper(),
    )


def _plain(value: object) -> str | int | float | bool | None:
    match value:
        case bool() | float() | None:
            return value
        case int():  # also a number of bytes
            return int(value)
        case Path():
            return str(value)
        case _:
            return without_secrets(str(value)) if "://" in str(value) else str(value)


def _processes(directory: Path) -> list[ProcessRow]:
    living = gather(directory, metrics.METRICS)[1]
    used = metrics.processes(living)
    rows: list[ProcessRow] = []
    for who, pid in sorted(living):
        memory, files, cpu = (used.get((metric.name, (who, str(pid)))) for metric in (metrics.MEMORY, metrics.FILES, metrics.CPU))
        rows.append(
            ProcessRow(
                kind=who,
                pid=pid,
                memory_bytes=None if memory is None else int(memory[0]),
                open_files=None if files is None else int(files[0]),
                cpu_seconds=None if cpu is None else cpu[0],
            )
        )
    return rows


def _database(desk: Desk) -> DatabaseRow:
    try:
        with desk.read() as connection:
            now, size = revision(connection), sizes.total(connection)
    except StoreFault:
        now, size = None, None
    return DatabaseRow(dialect=desk.database.dialect, place=_place(desk.database.url), revision=now, bytes=size)


def _place(url: URL) -> str:
    """What stands before @ and after ? may be a password."""
    return URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database).render_as_string()
