"""Which target made a response that its provider keeps: known here at once for what this worker relayed, else asked of control.

So what follows its making at once works with the database away, and whatever any worker relayed is found when it is there.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from spangate.exchange import Maker
from spangate.wire.problems import Refusal

KNOWN = 20_000  # ids kept, newest; ~10 MB. Who asks for an older one waits for control
# s that nobody's id stays nobody's: control empties the journals for each question. What it says is true when it says it, as all that had
# ended was in the database then.
NOBODY = 1.0
STRANGE = 1000  # such ids kept, newest


class Unanswered(Exception):
    """Control could not be asked, or could not say."""


class Responses:
    """One a worker. `ask` puts a question to control: the status and body of its answer, or Unanswered."""

    def __init__(
        self, ask: Callable[[str], Awaitable[tuple[int, bytes]]], *, known: int = KNOWN, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._limit = known
        self._clock = clock
        self._known: OrderedDict[str, Maker] = OrderedDict()
        self._strange: OrderedDict[str, float] = OrderedDict()  # id -> until when nobody made it

    def made(self, response_id: str, maker: Maker) -> None:
        self._strange.pop(response_id, None)
        self._known[response_id] = maker
        self._known.move_to_end(response_id)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)

    async def maker(self, response_id: str) -> Maker | None:
        """None: nobody that is known. Raises Refusal(503) if that cannot be said now."""
        known = self._known.get(response_id)
        if known is not None:
            self._known.move_to_end(response_id)
            return known
        if self._clock() < self._strange.get(response_id, 0.0):
            return None
        try:
            status, body = await self._ask(response_id)
            if status == 404:
                self._nobody(response_id)
                return None
            if status != 200:
                raise Unanswered(f"status {status}")
            maker = msgspec.json.decode(body, type=Maker)
        except (Unanswered, msgspec.MsgspecError):
            raise Refusal(
                503, "response_lookup", "Which model made this response cannot be looked up right now. Try again.", retry_after="1"
            ) from None
        self.made(response_id, maker)
        return maker

    def _nobody(self, response_id: str) -> None:
        self._strange[response_id] = self._clock() + NOBODY
        self._strange.move_to_end(response_id)
        if len(self._strange) > STRANGE:
            self._strange.popitem(last=False)
