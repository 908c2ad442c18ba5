"""SIGTERM with open streams, and a drain that is interrupted again and again."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from tests.e2e.client import Client, Seen
from tests.e2e.gateway import ADMIN_KEY, Gateway, until
from tests.e2e.invariant import check
from tests.upstream.process import Upstream

from .size import POINTS, STREAMS, dice
from .storm import Storm, endpoints

pytestmark = pytest.mark.timeout(120 + 10 * POINTS)


def test_sigterm_with_open_streams(own: Callable[..., Gateway], upstream: Upstream, db: str | None) -> None:
    """All of them end as they should, and the gateway is gone soon after the last."""
    gateway = own(db=db, workers=2, grace=30).start()
    endpoints(gateway, upstream)

    async def open_and_term() -> list[Seen]:
        async with Client(gateway.url, ADMIN_KEY) as client:
            kinds = [("chat", "openai.chat"), ("claude", "anthropic.messages")]
            calls = [
                asyncio.create_task(client.call(name, f"t-{i}", format=format, stream=True, n=40, delay=0.06))
                for i in range(STREAMS)
                for name, format in [kinds[i % 2]]
            ]
            while sum(row.outcome == "open" and row.events > 0 for row in await asyncio.to_thread(upstream.served)) < STREAMS:
                await asyncio.sleep(0.05)
            gateway.terminate()
            await asyncio.gather(*calls)
            return client.seen

    seen = asyncio.run(open_and_term())
    assert [row for row in seen if not row.whole] == []
    assert gateway.stop() == 0
    gateway.start()
    check(gateway, upstream, seen)
    assert gateway.stop() == 0


def test_grace_ends(own: Callable[..., Gateway], upstream: Upstream) -> None:
    """Who is still open when grace is over is cut off, and that is in the books too."""
    gateway = own(grace=1).start()
    endpoints(gateway, upstream)

    async def open_and_term() -> list[Seen]:
        async with Client(gateway.url, ADMIN_KEY) as client:
            calls = [asyncio.create_task(client.call("chat", f"g-{i}", stream=True, n=400, delay=0.1)) for i in range(10)]
            while sum(row.outcome == "open" and row.events > 0 for row in await asyncio.to_thread(upstream.served)) < 10:
                await asyncio.sleep(0.05)
            gateway.terminate()
            await asyncio.gather(*calls)
            return client.seen

    seen = asyncio.run(open_and_term())
    assert gateway.stop() == 0
    assert not [row for row in seen if row.whole]
    gateway.start()
    check(gateway, upstream, seen, killed=True)
    assert gateway.stop() == 0


def test_interrupted_again_and_again(own: Callable[..., Gateway], upstream: Upstream, db: str | None) -> None:
    """A backlog is made while control sleeps; then control wakes, and is killed after a moment, until the backlog is gone."""
    chance = dice("interrupted")
    gateway = own(db=db).start()
    endpoints(gateway, upstream)
    (control,) = gateway.processes("control")
    os.kill(control.pid, signal.SIGSTOP)
    with Storm(gateway, chance, at_once=16) as storm:
        until(lambda: storm.answered > 300, 60, "a backlog")
        seen = storm.stop()
    os.kill(control.pid, signal.SIGCONT)
    for _ in range(POINTS):
        time.sleep(chance.uniform(0, 0.12))
        gateway.kill("control")
        until(lambda: gateway.processes("control"), 20, "a new control")
    gateway.wait_ready()
    check(gateway, upstream, seen, seconds=60)
    assert gateway.stop() == 0


def test_workers_that_died_with_control_asleep(own: Callable[..., Gateway], upstream: Upstream) -> None:
    """Orphaned journals of several dead processes are all adopted."""
    chance = dice("orphans")
    gateway = own(workers=2).start()
    endpoints(gateway, upstream)
    (control,) = gateway.processes("control")
    os.kill(control.pid, signal.SIGSTOP)
    wake = threading.Timer(60, os.kill, (control.pid, signal.SIGCONT))
    wake.start()
    with Storm(gateway, chance, at_once=12) as storm:
        for _ in range(3):
            before = storm.answered
            until(lambda before=before: storm.answered > before + 20, 30, "calls are answered")
            gateway.kill("worker")
        seen = storm.stop()
    wake.cancel()
    os.kill(control.pid, signal.SIGCONT)
    gateway.wait_ready()
    check(gateway, upstream, seen, killed=True, seconds=60)
    assert gateway.stop() == 0
