"""Every recording costs what a person worked out. A recording without a row fails: add one, worked out by hand."""

from decimal import Decimal

import pytest

from spangate.prices import genai
from spangate.prices.book import Book
from spangate.prices.cost import Billed
from spangate.providers import catalog
from spangate.wire.events import Event, Started, Tiered, UsageReported
from spangate.wire.formats import FORMATS
from spangate.wire.usage import Usage, later
from tests.contract.costs import HELD, PAGES, RECORDED, ROWS, Row
from tests.contract.recorded import HERE, format_of, recorded

RECORDINGS = sorted(f"{path.parent.name}/{path.name}" for path in HERE.glob("*/*.*"))
PLAIN = {"gemini/embeddings.json": "gemini.embeddings", "gemini/tokens.json": "gemini.count_tokens"}


@pytest.fixture(scope="module")
def book() -> Book:
    names = {name: row.names.prices for name, row in catalog().items() if row.names.prices}
    return Book(genai.installed(), names=names)


def events(name: str) -> list[Event]:
    if name.endswith(".json"):
        return FORMATS[PLAIN.get(name) or format_of(name)].parse_answer(recorded(name))
    decoder = FORMATS[format_of(name)].decoder(0)
    return [*decoder.feed(recorded(name)), *decoder.close()]


def billed(name: str, row: Row) -> Billed:
    usage, model, tier = Usage(), None, None
    for event in events(name):
        match event:
            case UsageReported(said):
                usage = later(usage, said)
            case Started(_, said_model):
                model = said_model or model
            case Tiered(said_tier):
                tier = said_tier
            case _:
                pass
    at = HELD.get(name, RECORDED)
    return Billed(at=at, provider=row.provider, model=row.asked, response_model=model, service_tier=tier, usage=usage)


def by_hand(arithmetic: str) -> int:
    """Picodollars of "86 x 0.15 + 1920 x 0.075"."""
    factors = [part.split(" x ") for part in arithmetic.split(" + ")] if arithmetic else []
    return int(sum((int(tokens) * Decimal(rate) for tokens, rate in factors), Decimal()) * 1_000_000)


def test_every_recording_has_a_row() -> None:
    assert sorted(ROWS) == RECORDINGS, "work out by hand what it cost, in tests/contract/costs.py"


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_has_the_tokens_and_the_cost_that_were_worked_out(name: str, book: Book) -> None:
    row = ROWS[name]
    call = billed(name, row)
    assert call.usage == Usage(**row.usage)
    cost = book.cost(call)
    assert (cost and (cost.input, cost.output)) == row.pays


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_table_adds_up(name: str) -> None:
    row = ROWS[name]
    assert (by_hand(row.input), by_hand(row.output)) == (row.pays or (0, 0))
    assert row.pays is None or row.provider in PAGES, "who says so"
