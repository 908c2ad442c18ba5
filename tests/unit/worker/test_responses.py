import msgspec
import pytest

from spangate.exchange import Maker
from spangate.wire.problems import Refusal
from spangate.worker.responses import NOBODY, STRANGE, Responses, Unanswered

ONE, TWO = Maker("e-1", "d-1"), Maker("e-1", "d-2")


class Control:
    """Knows what it is told, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: tuple[int, bytes] | Unanswered = (404, b"{}")

    async def __call__(self, response_id: str) -> tuple[int, bytes]:
        self.asked.append(response_id)
        if isinstance(self.answer, Unanswered):
            raise self.answer
        return self.answer


async def test_what_this_worker_relayed_is_known_without_asking() -> None:
    control = Control()
    it = Responses(control)
    it.made("resp_1", ONE)
    assert await it.maker("resp_1") == ONE
    assert control.asked == []


async def test_what_another_worker_relayed_is_asked_for_once() -> None:
    control = Control()
    control.answer = (200, msgspec.json.encode({"response_id": "resp_1", "endpoint_id": "e-1", "model_definition_id": "d-2", "new": 1}))
    it = Responses(control)
    assert [await it.maker("resp_1"), await it.maker("resp_1")] == [TWO, TWO]
    assert control.asked == ["resp_1"]


async def test_what_nobody_made_is_not_asked_for_again_at_once() -> None:
    """Each question makes control empty the journals, and whoever has a key can ask in a loop."""
    control, now = Control(), [0.0]
    it = Responses(control, clock=lambda: now[0])
    assert [await it.maker("resp_1"), await it.maker("resp_1"), await it.maker("resp_2")] == [None, None, None]
    assert control.asked == ["resp_1", "resp_2"]
    now[0] += NOBODY
    control.answer = (200, msgspec.json.encode({"endpoint_id": "e-1", "model_definition_id": "d-1"}))
    assert await it.maker("resp_1") == ONE, "it was on its way into the database"
    assert control.asked == ["resp_1", "resp_2", "resp_1"]


async def test_what_nobody_made_yet_is_known_as_soon_as_this_worker_relays_it() -> None:
    control = Control()
    it = Responses(control, clock=lambda: 0.0)
    assert await it.maker("resp_1") is None
    it.made("resp_1", ONE)
    assert await it.maker("resp_1") == ONE


async def test_ids_that_nobody_made_do_not_pile_up() -> None:
    control = Control()
    it = Responses(control, clock=lambda: 0.0)
    for number in range(STRANGE + 1):
        await it.maker(f"resp_{number}")
    control.asked.clear()
    await it.maker("resp_1")
    await it.maker("resp_0")
    assert control.asked == ["resp_0"]


async def test_what_could_not_be_told_is_asked_for_again_at_once() -> None:
    control = Control()
    control.answer = Unanswered()
    it = Responses(control, clock=lambda: 0.0)
    with pytest.raises(Refusal):
        await it.maker("resp_1")
    control.answer = (200, msgspec.json.encode({"endpoint_id": "e-1", "model_definition_id": "d-1"}))
    assert await it.maker("resp_1") == ONE


@pytest.mark.parametrize("answer", [Unanswered(), (503, b"{}"), (401, b"{}"), (200, b"<html>"), (200, b'{"endpoint_id": 1}')])
async def test_what_cannot_be_told_now_is_to_be_asked_again(answer: tuple[int, bytes] | Unanswered) -> None:
    control = Control()
    control.answer = answer
    with pytest.raises(Refusal) as refused:
        await Responses(control).maker("resp_1")
    assert (refused.value.status, refused.value.kind, refused.value.retry_after) == (503, "response_lookup", "1")


async def test_it_forgets_what_was_not_asked_for_longest() -> None:
    control = Control()
    it = Responses(control, known=2)
    it.made("a", ONE)
    it.made("b", ONE)
    await it.maker("a")
    it.made("c", TWO)
    assert [await it.maker(each) for each in "abc"] == [ONE, None, TWO]
    assert control.asked == ["b"]
