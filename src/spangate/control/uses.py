"""Which keys called this API, and when last: in memory first, as no call to it may wait for a write."""

import threading

from ..store import keys
from ..store.engine import Database


class Uses:
    """Any thread may note, one keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._noted: dict[str, int] = {}

    def note(self, key_id: str, at: int) -> None:
        """`at`: wall clock, ms."""
        with self._lock:
            self._noted[key_id] = max(at, self._noted.get(key_id, 0))

    def keep(self) -> None:
        """Into the database; what cannot be kept now is kept the next time."""
        with self._lock:
            noted, self._noted = self._noted, {}
        try:
            if noted:
                with self._database.write() as connection:
                    keys.used(connection, noted)
        except BaseException:
            for key_id, at in noted.items():
                self.note(key_id, at)
            raise
