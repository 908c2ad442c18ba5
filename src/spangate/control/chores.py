"""What control does without being asked: open the database, drain the journals, publish snapshots. Each chore is a thread of its own.

A chore that fails says so in `/api/v1/status` and is tried again; none of them can stop another, or a request.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..store.faults import StoreFault, Unavailable

log = logging.getLogger("spangate.control")

LONGEST_PAUSE = 5.0  # s between two tries of a chore that fails


@dataclass
class Health:
    """How a chore is doing; written by its thread, read by any."""

    fault: str | None = None  # why the last try failed; None: it did not
    failing_since: float | None = None  # wall clock, s
    last_done: float | None = None

    @property
    def silent(self) -> float:
        """Seconds since it last was done; 0 before the first time."""
        return 0.0 if self.last_done is None else max(0.0, time.time() - self.last_done)


class Chore:
    """Calls `work` again and again until it is stopped. `work` returns whether there is more to do at once."""

    def __init__(self, name: str, work: Callable[[], bool], *, pause: float) -> None:
        self.name = name
        self.health = Health()
        self._work = work
        self._pause = pause
        self._one = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"spangate-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """For `work` itself: this was the last time."""
        self._stopped.set()

    def stop(self, timeout: float) -> None:
        """Returns when the try that is under way has ended, or after `timeout` seconds."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def once(self) -> bool:
        """One try, after the one that may be under way; never raises. Returns whether there is more to do at once."""
        with self._one:
            return self._try()

    def _try(self) -> bool:
        try:
            more = self._work()
        except Exception as error:
            # Only a fault of the store has words that may be shown.
            words = error.message if isinstance(error, StoreFault) else f"{type(error).__name__}: see the log"
            if words != self.health.fault:
                said = error.at_length if isinstance(error, Unavailable) else error
                log.warning("%s: %s", self.name, said, exc_info=not isinstance(error, StoreFault | OSError))
            self.health.fault = words
            self.health.failing_since = self.health.failing_since or time.time()
            return False
        if self.health.fault is not None:
            log.info("%s: works again", self.name)
        self.health.fault, self.health.failing_since, self.health.last_done = None, None, time.time()
        return more

    def _run(self) -> None:
        pause = self._pause
        while not self._stopped.is_set():
            if self.once():
                pause = self._pause
                continue
            pause = self._pause if self.health.fault is None else min(max(pause * 2, 0.1), LONGEST_PAUSE)
            self._stopped.wait(pause)
