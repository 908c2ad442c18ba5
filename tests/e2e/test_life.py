"""Start, restart, replacement of the dead, and the end, on each database."""

import asyncio
import time
from collections.abc import Callable

from tests.upstream.process import Upstream

from .client import Client
from .databases import on_all
from .gateway import ADMIN_KEY, Gateway, until
from .invariant import check


def some(gateway: Gateway, count: int, prefix: str) -> list:
    """Calls of all kinds, one after the other started."""

    async def run() -> list:
        async with Client(gateway.url, ADMIN_KEY) as client:
            kinds = [("chat", "openai.chat"), ("claude", "anthropic.messages"), ("chat", "mlflow.chat")]
            await asyncio.gather(
                *(client.call(kinds[i % 3][0], f"{prefix}-{i}", format=kinds[i % 3][1], stream=i % 2 == 0, n=4) for i in range(count))
            )
            return client.seen

    return asyncio.run(run())


def endpoints(gateway: Gateway, upstream: Upstream) -> None:
    gateway.endpoint("chat", upstream.base)
    gateway.endpoint("claude", upstream.base, provider="anthropic", model_name="claude-replay")


@on_all
def test_a_restart_forgets_nothing(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own(workers=2).start()
    endpoints(gateway, alone)
    seen = some(gateway, 30, "first")
    assert gateway.stop() == 0
    gateway.start()
    seen += some(gateway, 30, "second")
    assert all(row.whole for row in seen)
    books = check(gateway, alone, seen)
    assert len(books.calls) == len(books.traces) == 60
    assert gateway.stop() == 0


@on_all
def test_the_dead_are_replaced(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own(strict="true").start()
    endpoints(gateway, alone)
    seen = some(gateway, 10, "life")
    for kind in ("worker", "control"):
        (dead,) = gateway.processes(kind)
        gateway.kill(kind)
        until(lambda kind=kind, dead=dead: [p for p in gateway.processes(kind) if p.pid != dead.pid], 20, f"a new {kind}")
        gateway.wait_ready()
        seen += some(gateway, 10, f"after-{kind}")
    check(gateway, alone, seen, killed=True)
    assert gateway.stop() == 0


def test_children_do_not_outlive_the_supervisor(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own(workers=2).start()
    endpoints(gateway, alone)
    children = [p for p in gateway.processes() if gateway.kind(p) != "supervisor"]
    assert len(children) >= 3
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait(10)
    until(lambda: not any(p.is_running() and p.status() != "zombie" for p in children), 40, "the children are gone")


def test_calls_go_on_while_control_is_down(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own().start()
    endpoints(gateway, alone)
    (control,) = gateway.processes("control")
    control.suspend()
    try:
        started = time.monotonic()
        seen = some(gateway, 20, "down")
        assert all(row.whole for row in seen)
        assert time.monotonic() - started < 20
    finally:
        control.resume()
    check(gateway, alone, seen)
    assert gateway.stop() == 0
