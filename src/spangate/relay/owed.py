"""A record that could not be written is owed: it is written as soon as the disk takes it, without its content.

Until then the call stands open in the journal, where its beginning is.
"""

import logging
from collections import deque

import msgspec

from spangate.exchange import Content, Exchange, Fault, Journal, Status

logger = logging.getLogger(__name__)

LIMIT = 10_000  # ~20 MB. New calls are refused while the journal takes nothing, so only calls that were open then can be owed

UNRECORDED = Fault("journal_unwritable", "The record could not be written in time, so the client was not given the end of its answer.")


class OwingJournal:
    """A Journal before another one. Faults are raised as ever: what the client is told does not change."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._owed: deque[Exchange] = deque()

    def __len__(self) -> int:
        return len(self._owed)

    def begin(self, exchange: Exchange) -> None:
        self.pay()
        self._journal.begin(exchange)

    def resume(self, exchange: Exchange) -> None:
        self._journal.resume(exchange)

    def settle(self, exchange: Exchange, content: Content | None) -> None:
        try:
            self._journal.settle(exchange, content)
        except OSError:
            if len(self._owed) < LIMIT:
                self._owed.append(as_it_came(exchange))
            raise

    async def durable(self) -> None:
        await self._journal.durable()

    def pay(self) -> None:
        """Writes what is owed, as far as the disk takes it. Never raises."""
        while self._owed:
            try:
                self._journal.settle(self._owed[0], None)
            except OSError:
                return
            paid = self._owed.popleft()
            logger.warning("The record of call %s is written now", paid.call_id)


def as_it_came(exchange: Exchange) -> Exchange:
    """An answer that was whole did not reach its client; every other ending is as it was."""
    if exchange.status is not Status.ok:
        return exchange
    status = exchange.http_status if exchange.stream else 503
    return msgspec.structs.replace(exchange, status=Status.error, http_status=status, fault=UNRECORDED)
