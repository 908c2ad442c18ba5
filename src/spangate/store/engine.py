"""One database, two doors: `read()` cannot write, by construction; `write()` is one transaction, kept whole or not at all.

Whatever a driver raises leaves here as a fault of `faults.py`, without the SQL.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url

from . import fulltext, schema
from .faults import AlreadyExists, Invalid, StoreFault, Unavailable

BUSY = 10.0  # s that a writer waits for another before it says so
PATIENCE = 1.0  # s that the emptying of the write-ahead log waits for readers
BULK_CACHE = 256 * 1024  # KiB of an SQLite file that stay in memory where much is written: its indexes are written to all over
UPGRADE_LOCK = 7_305_884_122_061  # a number of ours among PostgreSQL's advisory locks
DEFAULT_EXPERIMENT = 0
MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = sa.table("alembic_version", sa.column("version_num", sa.String))

_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "mariadb+pymysql": "mysql+pymysql",
    "mssql": "mssql+pyodbc",
}


class Check(Struct, frozen=True, kw_only=True):
    """What `Database.check` found. `ok`: this program and this database fit."""

    dialect: str
    revision: str | None
    head: str
    drift: tuple[str, ...] = ()  # where the tables are not what the schema says
    broken: tuple[str, ...] = ()  # what the database itself complains of
    notes: tuple[str, ...] = ()  # what could be better

    @property
    def ok(self) -> bool:
        return self.revision == self.head and not self.drift and not self.broken


class Database:
    """Thread-safe. Opens nothing until it is used.

    `durable` False: a commit may be lost with the machine's power, and with it an SQLite file. For what can be made again.
    """

    def __init__(self, url: str, *, durable: bool = True) -> None:
        self.url = _url(url)
        self.dialect = self.url.get_backend_name()
        self._writer, self._reader = _sqlite(self.url, durable) if self.dialect == "sqlite" else _server(self.url, durable)

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)})"

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A connection that sees one moment and cannot write."""
        with self._faults(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """One transaction: committed at the end, rolled back on any exception."""
        with self._faults(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()

    # ------------------------------------------------------------ room

    def forget(self) -> bool:
        """Takes what was deleted out of SQLite's write-ahead log too. False: somebody reads yet; it goes when the log begins anew."""
        if self.dialect != "sqlite":
            return True
        with self._faults(), closing(self._writer.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")
            busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # pyright: ignore[reportOptionalMemberAccess]
            cursor.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
            return busy == 0

    def compact(self) -> None:
        """Gives free room back to the file system. Nobody can write meanwhile, and it takes as much room again while it lasts."""
        names = ", ".join(schema.metadata.tables)
        match self.dialect:
            case "sqlite":
                with self.write() as connection:
                    fulltext.merge(connection)
                with self._faults(), closing(self._writer.raw_connection()) as connection:
                    connection.cursor().execute("VACUUM")
                self.forget()
            case "postgresql" | "mysql":
                statement = f"VACUUM (FULL, ANALYZE) {names}" if self.dialect == "postgresql" else f"OPTIMIZE TABLE {names}"
                with self._faults(), self._writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql(statement)
            case other:
                raise Invalid(f"Compacting is not done from here on {other}: its own maintenance does it.")

    # ------------------------------------------------------------ revisions

    def current(self) -> str | None:
        """The revision that the database is at; None: it has none of our tables."""
        if self.dialect == "sqlite" and not Path(str(self.url.database)).exists():
            return None
        with self.read() as connection:
            return revision(connection)

    def upgrade(self, to: str = "head") -> list[str]:
        """Brings the tables to a revision and says which ones it went through.

        Each revision is one transaction, begun by taking a lock and looking again where the database is: of two
        runners at once each step is done by one, and both return when all are done.
        """
        if to == "head" and self._newest():
            return []
        from .revisions import step  # Alembic costs a third of a second, which most starts need not pay

        done: list[str] = []
        while True:
            with self._alone() as connection:
                went = step(connection, to)
                if went is None:
                    _seed(connection)
                    return done
                done.append(went)

    def _newest(self) -> bool:
        """Whether there is nothing to upgrade."""
        with self._alone() as connection:
            if revision(connection) != head():
                return False
            _seed(connection)
            return True

    @contextmanager
    def _alone(self) -> Generator[Connection]:
        """A transaction that no second runner is in: it comes after this one's end, however long that takes."""
        with self._faults(), _session_lock(self._writer), self.write() as connection:
            _lock(connection)
            yield connection

    def check(self) -> Check:
        """Whether the tables are what the schema says, and whether the database is sound."""
        from . import fulltext
        from .drift import drift

        newest, now = head(), self.current()
        if now != newest:
            return Check(dialect=self.dialect, revision=now, head=newest)
        with self.read() as connection:
            broken = ()
            if self.dialect == "sqlite":
                said = connection.exec_driver_sql("PRAGMA quick_check(20)").scalars().all()
                broken = tuple(str(line) for line in said if line != "ok")
            note = fulltext.missing(connection)
            return Check(
                dialect=self.dialect,
                revision=now,
                head=newest,
                drift=tuple(drift(connection)),
                broken=broken,
                notes=() if note is None else (note,),
            )

    # ------------------------------------------------------------ faults

    @contextmanager
    def _faults(self) -> Generator[None]:
        driver: Any = self._writer.dialect.dbapi or sqlite3
        try:
            yield
        except StoreFault:
            raise
        except (exc.IntegrityError, driver.IntegrityError) as fault:
            raise AlreadyExists("That is in conflict with what is stored already.") from fault
        except (exc.DataError, driver.DataError) as fault:
            raise Invalid("A value does not fit the database: too long, too large, or of a character that it cannot hold.") from fault
        except (
            exc.OperationalError,
            exc.InterfaceError,
            exc.TimeoutError,
            driver.OperationalError,
            driver.InterfaceError,
        ) as fault:
            raise Unavailable("The database cannot be reached right now, or is locked.") from fault
        except (exc.ProgrammingError, driver.ProgrammingError) as fault:
            raise Unavailable("The database is not what this version expects; `spangate db check` tells more.") from fault
        except (exc.DBAPIError, driver.Error) as fault:
            raise Unavailable("The database failed.") from fault


def _url(text: str) -> URL:
    try:
        url = make_url(text)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        url.get_dialect().import_dbapi()
    except (exc.ArgumentError, exc.NoSuchModuleError):
        raise Invalid(
            "The database URL must look like sqlite:////path/to/file, postgresql://user@host/name or mysql://user@host/name."
        ) from None
    except ImportError as error:
        raise Invalid(f"The driver of that database is not installed here: {error.name}.") from None
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise Invalid("An SQLite database must be a file: readers and the writer have connections of their own.")
    return url


def head() -> str:
    """The newest revision that this version knows: a revision's file begins with its name."""
    return max(file.name.partition("_")[0] for file in MIGRATIONS.glob("versions/[0-9]*_*.py"))


def revision(connection: Connection) -> str | None:
    """Where the tables are, in Alembic's own table, which holds one row."""
    if not sa.inspect(connection).has_table(VERSION_TABLE.name):
        return None
    return connection.execute(sa.select(VERSION_TABLE.c.version_num)).scalar_one_or_none()


def _sqlite(url: URL, durable: bool) -> tuple[Engine, Engine]:
    path = Path(str(url.database)).absolute()

    def connect(mode: str) -> sqlite3.Connection:
        if mode == "rwc":  # private from its first byte on: prompts will be in it. The -wal and -shm files follow it
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            path.as_uri() + f"?mode={mode}", uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII only
        connection.execute("PRAGMA foreign_keys = ON")
        if mode == "ro":
            connection.execute("PRAGMA query_only = ON")
        else:
            _write_ahead(connection)
            # What is deleted is overwritten: it was somebody's words. A third slower to delete; nothing else notices.
            connection.execute("PRAGMA secure_delete = ON")
            # A commit is on the disk when it returns: the drain removes journal segments on its word.
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
            if not durable:
                connection.execute(f"PRAGMA cache_size = -{BULK_CACHE}")
        return connection

    # One writer, as SQLite has one; the others wait here rather than in a busy loop.
    writer = create_engine(
        url, creator=lambda: connect("rwc"), poolclass=sa.QueuePool, pool_size=1, max_overflow=0, pool_timeout=BUSY, hide_parameters=True
    )
    reader = create_engine(url, creator=lambda: connect("ro"), poolclass=sa.QueuePool, pool_size=4, max_overflow=8, hide_parameters=True)
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        event.listen(engine, "begin", _sender(begin))
    return writer, reader


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Of those that open a new file at once, one gives it its log; the others are told that it is locked, and SQLite does not wait here."""
    until = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(0.005)


def _lower(text: str | int | float | bytes | None) -> str | int | float | bytes | None:
    return text.lower() if isinstance(text, str) else text


def _sender(statement: str) -> Callable[[Connection], None]:
    """The driver would begin by itself, but only before the first write: too late for a lock or for one moment's view."""

    def send(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return send


def _server(url: URL, durable: bool) -> tuple[Engine, Engine]:
    writing: dict[str, Any] = {} if "connect_timeout" in url.query else {"connect_timeout": 5}
    match url.get_backend_name():
        case "postgresql":
            # Reads follow indexes and end with their limit, which the planner's costs do not foresee: to compile one takes a second.
            # A plan that is kept for a statement knows none of its values, and took 20 times as long for a search.
            planned = ["-c jit=off", "-c plan_cache_mode=force_custom_plan"]
            options = " ".join([*planned, *url.normalized_query.get("options", ()), "-c default_transaction_read_only=on"])
            reading = {**writing, "options": options}
            if not durable:
                writing["options"] = " ".join([*url.normalized_query.get("options", ()), "-c synchronous_commit=off"])
        case "mssql":
            writing, reading = {}, {}  # pyodbc names its settings in the URL
        case _:
            reading = writing
    common: dict[str, Any] = {"pool_pre_ping": True, "pool_timeout": BUSY, "hide_parameters": True}
    # Read committed, PostgreSQL's and SQL Server's own: who has waited for a lock reads what the other wrote, not what was before it.
    writer = create_engine(url, connect_args=writing, pool_size=3, max_overflow=2, isolation_level="READ COMMITTED", **common)
    reader = create_engine(url, connect_args=reading, pool_size=4, max_overflow=8, **common)
    if url.get_backend_name() == "postgresql":
        # Repeatable read: all queries of one `read()` see the same moment, as they do on SQLite.
        reader = reader.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
    if url.get_backend_name() == "mysql":

        def only_read(connection: Any, _: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")

        event.listen(reader, "connect", only_read)
    return writer, reader


def _lock(connection: Connection) -> None:
    """Holds off a second runner until this transaction ends. On SQLite BEGIN IMMEDIATE has done that already."""
    match connection.dialect.name:
        case "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
        case "mssql":
            connection.exec_driver_sql("EXEC sp_getapplock @Resource = 'spangate.upgrade', @LockMode = 'Exclusive'")
        case _:
            pass


@contextmanager
def _session_lock(writer: Engine) -> Generator[None]:
    """What holds off a second runner on MySQL and MariaDB, whose locks by name are a session's and whose DDL commits as it goes.

    A session of its own, so that the lock outlives the transaction's commit. It ends with the session, should this process die.
    """
    if writer.dialect.name != "mysql":
        yield
        return
    with writer.connect() as connection:
        # 1: ours; 0: another's after so many seconds; NULL: an error, such as a session that was killed (MySQL manual, 14.14).
        while (got := connection.exec_driver_sql(f"SELECT GET_LOCK('spangate.upgrade', {int(BUSY)})").scalar()) != 1:
            if got is None:
                raise Unavailable("The database did not say whether somebody else upgrades it. Try again.")
        try:
            yield
        finally:
            connection.exec_driver_sql("SELECT RELEASE_LOCK('spangate.upgrade')")


def _seed(connection: Connection) -> None:
    """The rows that must be there from the start: the counters, and MLflow's Default experiment."""
    state = schema.server_state
    there = set(connection.execute(sa.select(state.c.name)).scalars())
    for name, number in (("version", 1), ("experiments", DEFAULT_EXPERIMENT)):
        if name not in there:
            connection.execute(state.insert().values(name=name, number=number))
    experiments = schema.experiments
    default = experiments.c.experiment_id == DEFAULT_EXPERIMENT
    if connection.execute(sa.select(experiments.c.experiment_id).where(default)).first() is None:
        now = time.time_ns() // 1_000_000
        connection.execute(
            experiments.insert().values(
                experiment_id=DEFAULT_EXPERIMENT, name="Default", lifecycle_stage="active", created_at=now, updated_at=now
            )
        )


def bump(connection: Connection) -> int:
    """Counts one more change and returns its number.

    Each management write calls this first. The row that it takes makes all such writes follow one another, so what
    they look up (is the name free, is the secret in use) still holds when they commit, on every database.
    """
    state = schema.server_state
    connection.execute(sa.update(state).where(state.c.name == "version").values(number=state.c.number + 1))
    return version(connection)


def take(connection: Connection) -> None:
    """Holds off every management write until this transaction ends, and counts no change."""
    state = schema.server_state
    held = sa.select(state.c.number).where(state.c.name == "version")
    connection.execute(held.with_for_update().with_hint(state, "WITH (UPDLOCK)", "mssql"))


def version(connection: Connection) -> int:
    """The number of the newest change."""
    state = schema.server_state
    return connection.execute(sa.select(state.c.number).where(state.c.name == "version")).scalar_one() or 0
