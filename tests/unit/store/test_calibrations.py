import json
import random

import pytest

from spangate.exchange import Calibration, Content, ProcessPosition, Settled, Status
from spangate.store import calibrations, engine
from spangate.store.calibrations import ENOUGH, MOST, Sums
from spangate.store.engine import Database
from spangate.store.snapshot import snapshot
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage

from .given import attempt, entry, exchange


class Ledger:
    """Calls of one worker, written as the drain writes them."""

    def __init__(self, database: Database) -> None:
        self._sink = LedgerSink(database, entry)
        self._at: ProcessPosition | None = None
        self._calls = 0

    def call(
        self, asked: object, said: object, usage: Usage, *, provenance: Provenance = Provenance.reported, cut: bool = False, **tried: object
    ) -> None:
        self._calls += 1
        n = self._calls
        tries = (attempt(1, usage=usage, provenance=provenance, **{"format": "openai.chat"} | tried),)
        call = exchange(n, attempts=tries, format="openai.chat", status=Status.ok, received_at=n * 1_000_000_000, request_bytes=100)
        content = Content(request=json.dumps(asked).encode(), response=json.dumps(said).encode(), response_truncated=cut)
        after = ProcessPosition("p-1", 1, n, n)
        assert self._sink.keep(self._at, after, [Settled(seq=n, exchange=call, content=content)], gaps=())
        self._at = after


def asked(characters: int) -> object:
    return {"model": "m", "messages": [{"role": "user", "content": "x" * characters}]}


def said(characters: int) -> object:
    return {"choices": [{"message": {"role": "assistant", "content": "y" * characters}, "finish_reason": "stop"}]}


def look(database: Database, limit: int = 200) -> bool:
    with database.read() as connection:
        newest, found = calibrations.unseen(connection, limit)
    if not found:
        return False
    with database.write() as connection:
        return calibrations.keep(connection, newest, found, now=1)


def known(database: Database) -> tuple[Calibration, ...]:
    with database.read() as connection:
        return calibrations.calibrations(connection)


@pytest.mark.parametrize(("read", "written"), [(3.0, 5.0), (1.2, 2.7)])
def test_a_model_is_known_by_its_calls(database: Database, read: float, written: float) -> None:
    ledger, dice = Ledger(database), random.Random(3)
    for n in range(ENOUGH):
        if n == ENOUGH - 1:
            assert look(database) is False
            assert known(database) == ()
        i, o = dice.randint(50, 900), dice.randint(50, 900)
        ledger.call(asked(round(i * read)), said(round(o * written)), Usage(input=i, output=o))
    assert look(database) is True
    (found,) = known(database)
    assert (found.provider, found.model) == (attempt().provider, attempt().model)
    assert found.input == pytest.approx(read, rel=0.01)
    assert found.output == pytest.approx(written, rel=0.01)
    with database.read() as connection:
        assert snapshot(connection, ()).calibrations == (found,)


def test_each_call_is_looked_at_once_and_the_workers_hear_only_of_news(database: Database) -> None:
    ledger = Ledger(database)
    for _ in range(ENOUGH):
        ledger.call(asked(300), said(300), Usage(input=100, output=100))
    assert look(database) is True
    with database.read() as connection:
        version = engine.version(connection)
    assert look(database) is False
    ledger.call(asked(301), said(301), Usage(input=100, output=100))
    assert look(database) is False  # no news: the same ratio
    with database.read() as connection:
        assert engine.version(connection) == version


@pytest.mark.parametrize(
    "changes",
    [
        {"provenance": Provenance.estimated},
        {"provenance": Provenance.drained},
        {"usage": Usage(input=0, output=0)},
        {"usage": Usage(input=100, output=100, audio_input=50)},
        {"usage": Usage(input=100_000, output=100_000)},  # of something else than the words: a kept conversation, thinking
        {"asked": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/"}}]}]}},
        {"cut": True},
        {"format": "mlflow.chat"},
    ],
    ids=["estimated", "drained", "nothing", "sound", "implausible", "picture", "truncated", "translated"],
)
def test_what_says_nothing_of_words_is_left_out(database: Database, changes: dict[str, object]) -> None:
    ledger = Ledger(database)
    usual: dict[str, object] = {"asked": asked(300), "said": said(300), "usage": Usage(input=100, output=100)}
    for _ in range(ENOUGH):
        ledger.call(**usual | changes)  # type: ignore[arg-type]
    assert look(database) is False
    assert known(database) == ()


def test_what_is_old_weighs_less() -> None:
    sums, hundred = Sums(), Sums(400, 100, 400, 100, 100)
    for _ in range(MOST // 100):
        sums.add(hundred)
    sums.add(hundred)
    assert sums.samples > MOST
    sums.halve()
    assert (sums.samples, sums.input_characters / sums.input_tokens) == ((MOST + 100) // 2, 4)
