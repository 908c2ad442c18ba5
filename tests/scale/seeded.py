"""Databases that are full, each made once and copied for whoever needs it: SQLite's as a file, PostgreSQL's as a template.

They are kept in .scale/ and on the server, by what they were made of: the tables, the history and its size.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from spangate import seed
from spangate.store import ddl
from tests.e2e.databases import POSTGRES
from tests.e2e.gateway import ROOT

CACHE = ROOT / ".scale"
FILE = "spangate.db"


@contextlib.contextmanager
def copied(kind: str, calls: int, days: int, data_dir: Path, until: str = "") -> Iterator[str | None]:
    """Makes `data_dir` with the keys that fit; yields the URL for --db, None for SQLite. With another `until`, the history is made anew."""
    tables = (ddl.DIRECTORY / f"{kind}.sql").read_bytes()
    made_of = hashlib.sha256(b"%s %d %d %d%s" % (tables, seed.VERSION, calls, days, until.encode())).hexdigest()[:12]
    folder = CACHE / f"{kind}-{calls}-{made_of}"
    if kind == "sqlite":
        with _alone(kind):
            if not folder.exists():
                _forget(kind, calls)
                with _making(folder) as new:
                    _seed(new, calls, days)
            shutil.copytree(folder, data_dir)
        yield None
        (data_dir / FILE).unlink()
        return
    try:
        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        said = f"no PostgreSQL at SPANGATE_TEST_POSTGRES ({error})"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    server = POSTGRES.rpartition("/")[0]
    template, name = _template(folder), f"spangate_scale_{uuid.uuid4().hex[:12]}"
    with admin:
        with _alone(kind):
            known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).fetchone()
            if known is None or not folder.exists():
                for old in (folder, *_forget(kind, calls)):
                    shutil.rmtree(old, ignore_errors=True)
                    _run(admin, f'DROP DATABASE IF EXISTS "{_template(old)}" WITH (FORCE)')
                making = f"{name}_making"
                _run(admin, f'CREATE DATABASE "{making}"')
                try:
                    with _making(folder) as new:
                        _seed(new, calls, days, f"{server}/{making}")
                        with psycopg.connect(f"{server}/{making}", autocommit=True) as own:
                            own.execute("VACUUM ANALYZE")  # as the server does by itself after a while
                        _run(admin, f'ALTER DATABASE "{making}" RENAME TO "{template}"')
                finally:
                    _run(admin, f'DROP DATABASE IF EXISTS "{making}" WITH (FORCE)')
        _run(admin, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        try:
            shutil.copytree(folder, data_dir)
            yield f"{server}/{name}"
        finally:
            _run(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    admin.close()


@contextlib.contextmanager
def _alone(kind: str) -> Iterator[None]:
    """One process of this checkout at a time: others find what it made."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f".{kind}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _template(folder: Path) -> str:
    return f"spangate_scale_{folder.name.replace('-', '_')}"


def _forget(kind: str, calls: int) -> list[Path]:
    """Folders of this size and of what was made otherwise: they are gone then."""
    old = list(CACHE.glob(f"{kind}-{calls}-*"))
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)  # another run may be at it too
    return old


@contextlib.contextmanager
def _making(folder: Path) -> Iterator[Path]:
    """A folder that has its name when it is whole."""
    new = folder.with_name(f".{folder.name}-{os.getpid()}")
    new.mkdir(parents=True)
    try:
        yield new
        with contextlib.suppress(OSError):  # another run was quicker
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _seed(data_dir: Path, calls: int, days: int, db: str | None = None) -> None:
    command = [
        sys.executable,
        "-m",
        "spangate.cli.app",
        "dev",
        "seed",
        "--calls",
        str(calls),
        "--days",
        str(days),
        "--data-dir",
        str(data_dir),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPANGATE_")}
    run = subprocess.run([*command, *(["--db", db] if db else [])], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    print(f"\nseeded {'PostgreSQL' if db else 'SQLite'}: {run.stdout.strip()}")


def _run(admin: psycopg.Connection, statement: str) -> None:
    admin.execute(statement.encode())
