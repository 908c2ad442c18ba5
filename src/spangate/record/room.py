"""Room on the journal's disk: whether there is enough to keep what was said, and a reserve that only the records of open calls may use.

When the disk runs full, content goes first, then new calls are refused, and the usage of those that are open is written last, into the
reserve. When there is room again the reserve is made anew, and calls are taken as before.
"""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

PAUSE = 1.0  # s between two looks
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Disk(Protocol):
    def free(self, directory: Path) -> int: ...

    def allocate(self, directory: Path, size: int) -> int: ...

    def close(self, fd: int) -> None: ...


class Room:
    """`low`: bytes free below which content is not kept. `reserve`: bytes held back; 0 for none."""

    def __init__(self, directory: Path, disk: Disk, *, reserve: int, low: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.low = False
        self._directory = directory
        self._disk = disk
        self._reserve = reserve
        self._low = low
        self._clock = clock
        self._fd: int | None = None
        self._next = -1.0

    @property
    def full(self) -> bool:
        """There is no reserve for another call."""
        return self._reserve > 0 and self._fd is None

    def look(self) -> None:
        """Sees how much is free, at most once a second, and makes the reserve if it is missing and fits. Never raises."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + PAUSE
        try:
            free = self._disk.free(self._directory)
        except OSError:
            return  # the folder is gone, say: whoever writes there hears of it
        self.low = free < self._low
        # Twice: a reserve that takes the last room would be needed at once, and made and given up by turns.
        if self.full and free >= 2 * self._reserve:
            try:
                self._fd = self._disk.allocate(self._directory, self._reserve)
            except OSError:
                return

    def release(self) -> bool:
        """Gives the reserve to whoever writes next. False: there is none."""
        if self._fd is None:
            return False
        self._disk.close(self._fd)
        self._fd = None
        self.low = True
        self._next = self._clock() + PAUSE
        return True

    def close(self) -> None:
        self.release()


def allocate(directory: Path, size: int) -> int:
    """A file without a name that holds so much of the disk: it goes with its process, however that ends."""
    path = directory / f".reserve-{os.getpid()}-{time.monotonic_ns()}"
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        os.unlink(path)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:
            for _ in range(0, size, 1 << 20):
                if os.write(fd, bytes(min(size, 1 << 20))) <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except BaseException:
        os.close(fd)
        raise
    return fd
