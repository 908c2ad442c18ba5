"""How many processors of this machine nobody uses, as the kernel counts them: for work that can wait."""

import time
from collections.abc import Callable
from os import sysconf
from pathlib import Path

SPAN = 0.5  # s between two looks: the kernel counts in hundredths
_STAT = Path("/proc/stat")
# Where a container is held to a part of the machine, and what stands there if it is not. The machine's idle processors are not its own.
_LIMITS = ((Path("/sys/fs/cgroup/cpu.max"), "max"), (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), "-1"))


def idle_seconds() -> float | None:
    """Of all processors since the machine began; None: this system does not say, or what it says is not about us."""
    try:
        if any(path.exists() and not path.read_text().startswith(free) for path, free in _LIMITS):
            return None
        _, _, _, _, idle, waiting = _STAT.read_text().split(maxsplit=6)[:6]
    except (OSError, ValueError):
        return None
    return (int(idle) + int(waiting)) / sysconf("SC_CLK_TCK")


class Idle:
    """For one thread."""

    def __init__(self, seconds: Callable[[], float | None] = idle_seconds, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._before = (clock(), seconds())
        self._processors: float | None = None

    def processors(self) -> float | None:
        """On average since the last look; None: nobody says, or it is too early."""
        (then, before), now = self._before, self._clock()
        if now - then >= SPAN:
            seconds = self._seconds()
            self._processors = None if seconds is None or before is None else max(0.0, seconds - before) / (now - then)
            self._before = (now, seconds)
        return self._processors
