"""What a management call works with: the database, the keyring, the clock, and the publisher that tells the workers."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from ..envelope import Keyring, Pepper
from ..exchange import Caller
from ..store.engine import Database

NOBODY = Caller(key_id="", name="")


@dataclass(frozen=True)
class Desk:
    database: Database
    keyring: Keyring
    pepper: Pepper
    publish: Callable[[], None]  # returns when the snapshot file is in place; must not raise
    now: Callable[[], int]  # wall clock, ms
    ready: Callable[[], None]  # raises Unavailable until the database is open: upgraded, and sealed with our key
    allow_private: bool = False
    caller: Caller = NOBODY  # for MLflow's operations, which get nothing but a desk and a message

    @property
    def by(self) -> str:
        """For created_by and updated_by, where the message leaves them out."""
        return self.caller.name

    @contextmanager
    def read(self) -> Generator[Connection]:
        self.ready()
        with self.database.read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """One transaction; once it is kept, every worker has it within its next look at the snapshot file."""
        with self.write_quietly() as connection:
            yield connection
        self.publish()

    @contextmanager
    def write_quietly(self) -> Generator[Connection]:
        """One transaction that no worker needs to know of."""
        self.ready()
        with self.database.write() as connection:
            yield connection
