"""Answers that are read on for their usage when their client has left: the provider bills them to the end anyway.

Few at once and not for long; beyond that the provider's connection is closed, as it is where nobody asked for this. Each settles its call
by itself, whatever ends it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from spangate.wire.problems import Problem

logger = logging.getLogger(__name__)

MOST = 256  # a worker; more clients that leave at once are an outage of theirs, and not the time to read for nobody


class Drains:
    def __init__(self, *, seconds: float = 30.0, tokens: int = 4096, most: int = MOST) -> None:
        """`tokens`: output, by our estimate, that one answer may still bring."""
        self.tokens = tokens
        self._seconds = seconds
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def room(self) -> bool:
        return len(self._tasks) < self._most

    def take(self, rest: Callable[[], Coroutine[Any, Any, None]], end: Callable[[], None]) -> None:
        """`end` settles the call: it is called whatever became of `rest`, and even if that never began."""
        task = asyncio.get_running_loop().create_task(self._within(rest))
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            end()

        task.add_done_callback(over)

    async def close(self) -> None:
        """Ends all of them: the gateway stops, and they settle with what they have."""
        self._most = 0
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _within(self, rest: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await rest()
        except (TimeoutError, Problem):
            pass  # the provider took too long, or broke off: what came is what there is
        except Exception:
            logger.exception("The rest of an answer could not be read")
