"""Which target made a response that its provider keeps: known here at once for what this worker relayed, else asked of control.

So what follows its making at once works with the database away, and whatever any worker relayed is found when it is there.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from spangate.exchange import Maker
from spangate.wire.problems import Refusal

KNOWN = 20_000  # ids kept, newest; ~10 MB. Who asks for an older one waits for control


class Unanswered(Exception):
    """Control could not be asked, or could not say."""


class Responses:
    """One a worker. `ask` puts a question to control: the status and body of its answer, or Unanswered."""

    def __init__(self, ask: Callable[[str], Awaitable[tuple[int, bytes]]], *, known: int = KNOWN) -> None:
        self._ask = ask
        self._limit = known
        self._known: OrderedDict[str, Maker] = OrderedDict()

    def made(self, response_id: str, maker: Maker) -> None:
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
        try:
            status, body = await self._ask(response_id)
            if status == 404:
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
