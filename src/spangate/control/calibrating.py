"""Looks, now and then, at how many characters a token the newest calls had, for the workers' estimates."""

from collections.abc import Callable

from spangate.store import calibrations
from spangate.store.engine import Database

LOOKED_AT = 200  # calls a round: enough to follow a model, and read in some tens of milliseconds


class Calibrating:
    def __init__(self, database: Database, publish: Callable[[], None], *, now: Callable[[], int]) -> None:
        self._database = database
        self._publish = publish
        self._now = now

    def look(self) -> bool:
        """One round. False: the next one is when its time has come, however much there is."""
        with self._database.read() as connection:
            newest, found = calibrations.unseen(connection, LOOKED_AT)
        if not found:
            return False
        with self._database.write() as connection:
            moved = calibrations.keep(connection, newest, found, self._now())
        if moved:
            self._publish()
        return False
