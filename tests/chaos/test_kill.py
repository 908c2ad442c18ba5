"""kill -9 at random points under mixed load: whoever has an answer is in the books, once; whatever was cut off is `unknown`, once."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.databases import on_all
from tests.e2e.gateway import Gateway, until
from tests.e2e.invariant import check
from tests.upstream.process import Upstream

from .size import LOAD, POINTS, dice
from .storm import Storm, endpoints


@on_all
@pytest.mark.timeout(60 + 30 * POINTS)
@pytest.mark.parametrize("victim", ["worker", "control", "all"])
def test_kill(own: Callable[..., Gateway], upstream: Upstream, db: str | None, victim: str) -> None:
    chance = dice(f"kill-{victim}-{'sqlite' if db is None else db.partition(':')[0]}")
    gateway = own(db=db, workers=2).start()
    endpoints(gateway, upstream)
    with Storm(gateway, chance, at_once=LOAD) as storm:
        for _ in range(POINTS):
            before = storm.answered
            until(lambda before=before: storm.answered > before + 5, 60, "calls are answered")
            time.sleep(chance.uniform(0, 0.6))
            if victim == "all":
                gateway.kill()
                gateway.start()
            else:
                gateway.kill(victim)
                until(lambda: gateway.processes(victim), 20, f"a new {victim}")
        gateway.wait_ready()
        seen = storm.stop()
    # Nobody who calls notices that control died; a dead worker takes its own calls with it.
    books = check(gateway, upstream, seen, killed=victim != "control")
    cut = sum(attempt.status == "unknown" for call in books.calls for attempt in call.attempts)
    print(
        f"{POINTS} kills of {victim}: {len(books.served)} served, {len(books.calls)} calls, {cut} cut off, {storm.answered} answered whole"
    )
    assert gateway.stop() == 0
