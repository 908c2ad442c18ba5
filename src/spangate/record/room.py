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
SLICE = 256 * 1024  # bytes given back at once, so that whoever else writes to the disk does not get them all
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Disk(Protocol):
    def free(self, directory: Path) -> int: ...

    def nameless(self, directory: Path) -> int: ...

    def allocate(self, fd: int, size: int) -> None: ...

    def truncate(self, fd: int, size: int) -> None: ...

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
        self._held = 0
        self._next = -1.0

    @property
    def full(self) -> bool:
        """The reserve is not whole: nothing is promised to another call."""
        return self._held < self._reserve

    def look(self) -> None:
        """Sees how much is free, at most once a second, and makes the reserve whole if that fits. Never raises."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + PAUSE
        try:
            free = self._disk.free(self._directory)
            self.low = free < self._low
            # Twice: a reserve that takes the last room would be needed at once, and made and given up by turns.
            if self.full and free >= 2 * self._reserve:
                if self._fd is None:
                    self._fd = self._disk.nameless(self._directory)
                self._disk.allocate(self._fd, self._reserve)
                self._held = self._reserve
        except OSError:
            return  # the folder is gone, say: whoever writes there hears of it

    def release(self) -> bool:
        """Gives some of the reserve to whoever writes next. False: there is none."""
        if self._fd is None or not self._held:
            return False
        self._held = max(0, self._held - SLICE)
        self._disk.truncate(self._fd, self._held)
        self.low = True
        self._next = self._clock() + PAUSE
        return True

    def close(self) -> None:
        if self._fd is not None:
            self._disk.close(self._fd)
            self._fd, self._held = None, 0


def nameless(directory: Path) -> int:
    """A file that goes with its process, however that ends."""
    path = directory / f".reserve-{os.getpid()}-{time.monotonic_ns()}"
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.unlink(path)
    return fd


def allocate(fd: int, size: int) -> None:
    """Makes the file hold so many bytes of its disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    for at in range(0, size, 1 << 20):
        if os.pwrite(fd, bytes(min(size - at, 1 << 20)), at) <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
