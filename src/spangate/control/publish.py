"""The snapshot file is always one whole snapshot, and never older than the last one that was published.

Workers look at it each 200 ms; a management write publishes before it is answered, and whatever another host's control
wrote is found by the version counter.
"""

import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from spangate.exchange import SealedKey, SealedRoute, Snapshot
from spangate.record.journal import Disk
from spangate.store.engine import Database
from spangate.store.snapshot import snapshot, version


class Publisher:
    """Any thread may publish; one does at a time. `fixed`: keys that are in force whatever the database says; `pepper`: fingerprint."""

    def __init__(
        self, database: Database, path: Path, fixed: Sequence[SealedKey], *, pepper: str | None = None, disk: Disk | None = None
    ) -> None:
        self.keys: Mapping[bytes, SealedKey] = {key.digest: key for key in fixed}  # in force, by their digests
        self._database = database
        self._path = path
        self._fixed = tuple(fixed)
        self._pepper = pepper
        self._disk = disk or Disk()
        self._one = threading.Lock()
        self._published: Snapshot | None = None
        self._written: tuple[int, int, int] | None = None  # which file that was

    @property
    def version(self) -> int | None:
        """Of the file that this process wrote last; None before the first."""
        return None if self._published is None else self._published.version

    @property
    def routes(self) -> tuple[SealedRoute, ...]:
        """What that file says of endpoints."""
        return () if self._published is None else self._published.routes

    def publish(self) -> bool:
        """Writes the file if the database has moved on, or if it is not the one that this process wrote last. Returns whether it did.

        When it has returned, all that was committed before the call is in the file. The first one is written even if the file
        has the same version: the keys may be others.
        """
        with self._one, self._database.read() as connection:
            if self._published is not None and version(connection) == self._published.version and self._there() == self._written:
                return False
            current = snapshot(connection, self._fixed, pepper=self._pepper)
            self.keys = {key.digest: key for key in current.keys}  # here a revoked key has no force any more, whatever the disk does
            self._write(msgspec.msgpack.encode(current))
            self._published, self._written = current, self._there()
            return True

    def _there(self) -> tuple[int, int, int] | None:
        """The file that the workers see. It may be gone, damaged, or of a control that outlived its supervisor for a moment."""
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # made with mode 0600
        temporary = Path(name)
        try:
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[self._disk.write(fd, rest) :]
                self._disk.sync(fd)
            finally:
                self._disk.close(fd)
            self._disk.rename(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise
        self._disk.sync_directory(self._path.parent)
