"""Clients that leave, on all streaming routes, before the first byte and at any point of the answer, by FIN and by RST: each call is
settled, its provider's connection closed within a second or read to its end, and nothing of it is left behind."""

import asyncio
import json
import math
import random
from collections.abc import Callable

import pytest

from tests.e2e.client import CALLER, Seen, body, ended, path
from tests.e2e.gateway import ADMIN_KEY, Gateway, until
from tests.e2e.invariant import Books, check
from tests.e2e.wire import ask
from tests.upstream.faults import Client
from tests.upstream.process import Upstream

from .size import ABORTS, dice
from .storm import endpoints

pytestmark = pytest.mark.timeout(120 + ABORTS)

ROUTES = [
    ("chat", "openai.chat"),
    ("chat", "openai.completions"),
    ("chat", "openai.responses"),
    ("chat", "mlflow.chat"),
    ("claude", "anthropic.messages"),
    ("gemini", "gemini.generate"),
    ("quiet", "openai.chat"),
]
DRAINED = {"gemini"}  # where the provider's row says that hanging up stops nothing: these are read to their end
ROUNDS = 4 if ABORTS >= 400 else 2  # the first warms up
AT_ONCE = 20
EVENTS = 40  # of each answer
PROMPT = 1.0  # s in which a provider must see that nobody listens any more
GROWTH = 8 << 20  # bytes that a worker may have grown by over all rounds but the first; a leaked call of these holds some 50 KB


class Left:
    """A call whose client has left."""

    def __init__(self, seen: Seen, at: float | None) -> None:
        self.seen = seen
        self.at = at  # wall clock; None: the answer was over before


async def leaves(gateway: Gateway, chance: random.Random, name: str, route: tuple[str, str]) -> Left:
    endpoint, format = route
    early = chance.random() < 0.25
    asked = body(format, endpoint, name, True, n=EVENTS, delay=0.02, first=5 if early else 0)
    took = await ask(
        gateway.port,
        path(format, endpoint, stream=True),
        json.dumps(asked).encode(),
        {"authorization": f"Bearer {ADMIN_KEY}", "anthropic-version": "2023-06-01", "content-type": "application/json", CALLER: name},
        client=Client("fin" if chance.random() < 0.5 else "rst", "head" if early else "midway"),
        midway=chance.randint(1, 8000),
        wait=chance.uniform(0.02, 0.2),
    )
    seen = Seen(
        id=name,
        format=format,
        stream=True,
        status=took.status,
        call_id=took.headers.get("x-spangate-call-id"),
        trace_id=took.headers.get("x-spangate-trace-id"),
        left=took.left is not None,
        body=took.body,
    )
    seen.whole = ended(seen)
    return Left(seen, took.left)


async def storm(gateway: Gateway, chance: random.Random, names: list[str]) -> list[Left]:
    some = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, name: str) -> Left:
        async with some:
            return await leaves(gateway, random.Random(f"{chance.random()}/{name}"), name, ROUTES[number % len(ROUTES)])

    return await asyncio.gather(*(one(number, name) for number, name in enumerate(names)))


def test_aborts(own: Callable[..., Gateway], upstream: Upstream) -> None:
    chance = dice("aborts")
    gateway = own().start()
    endpoints(gateway, upstream)
    (worker,) = gateway.processes("worker")
    left: list[Left] = []
    sizes: list[int] = []
    sockets: list[int] = []
    for round in range(ROUNDS):
        left += asyncio.run(storm(gateway, chance, [f"a-{round}-{number}" for number in range(ABORTS // ROUNDS)]))
        books = check(gateway, upstream, [row.seen for row in left])
        # Connections that nobody uses are closed after a few seconds, ours and the provider's.
        until(lambda: len(worker.net_connections("tcp")) <= 1, 20, "only the listening socket is left to the worker")
        sizes.append(worker.memory_info().rss)
        sockets.append(worker.num_fds())
    settled(books, left, upstream)
    assert len(set(sockets)) == 1, f"open files of the worker after each round: {sockets}"
    assert sizes[-1] - sizes[0] < GROWTH, f"memory of the worker after each round: {sizes}"
    assert worker.is_running()
    assert "Traceback" not in gateway.log_text()
    assert gateway.stop() == 0


def settled(books: Books, left: list[Left], upstream: Upstream) -> None:
    """All calls are there; who left is `client_gone`; its provider was let go at once, or read on."""
    calls = {call.agent: call for call in books.calls}
    served = {row.id: row for row in upstream.served()}
    gone = [row for row in left if row.at is not None and not row.seen.whole]
    # Of some the end was on its way when they left.
    over = {row.seen.id for row in gone if calls[row.seen.id].status == "ok"}
    assert {served[name].outcome for name in over} <= {"whole"}
    gone = [row for row in gone if row.seen.id not in over]
    assert len(gone) > len(left) * 0.6, "too many answers were over before their clients left"
    assert {calls[row.seen.id].status for row in gone} == {"client_gone"}
    drained = {row.seen.id for row in gone if calls[row.seen.id].endpoint in DRAINED and row.seen.id in served}
    assert {served[name].events for name in drained} <= {EVENTS}, "answers that were not read to their last event"
    assert {calls[name].attempts[-1].provenance for name in drained} <= {"drained"}
    there = [row for row in gone if row.seen.id in served and row.seen.id not in drained]
    assert {served[row.seen.id].outcome for row in there} <= {"client_gone", "whole"}, "a provider that still answers, or was cut"
    # What had been said whole before its client left needs no closing.
    closed = {row.seen.id: (served[row.seen.id], row.at) for row in there if served[row.seen.id].outcome != "whole"}
    assert len(closed) > len(there) * 0.8
    waits = {name: (row.closed or math.inf) - (at or 0) for name, (row, at) in closed.items()}
    slow = {name: wait for name, wait in waits.items() if wait > PROMPT}
    assert slow == {}, "providers that went on for more than a second"
    print(f"{len(left)} clients, {len(gone)} left before the end, {len(closed)} providers let go at once, {len(drained)} read on")
