"""The ledger's side of a bill: what a provider may bill, by day, model, credential and price."""

import datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from spangate.exchange import AttemptRecord, Exchange, Fault, ProcessPosition, Settled, Status
from spangate.prices.cost import Billed, Cost, cost
from spangate.prices.match import Equals
from spangate.prices.rates import Rate, Tier
from spangate.prices.rows import Override, Price
from spangate.store import prices, reconcile
from spangate.store.engine import Database
from spangate.store.faults import Invalid
from spangate.store.reconcile import Booked
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage

from . import given

DAY = datetime.date(2026, 10, 1)
NEXT = DAY + datetime.timedelta(days=1)
MIDNIGHT = int(datetime.datetime(2026, 10, 2, tzinfo=datetime.UTC).timestamp()) * 1_000_000_000
PRICE = Price(
    provider="openai",
    model="gpt-4o-mini",
    match=Equals("gpt-4o-mini"),
    rates={"input": Rate(100), "cache_read": Rate(10), "output": Rate(1_000)},
    source="test",
)
TIERED = Price(
    provider="openai",
    model="gpt-tiered",
    match=Equals("gpt-tiered"),
    rates={"input": Rate(100, (Tier(5, 200),)), "output": Rate(1_000)},
    source="test",
)


def cost_of(billed: Billed) -> Cost | None:
    price = {"gpt-4o-mini": PRICE, "gpt-tiered": TIERED}.get(billed.model)
    return None if price is None else cost(price.price_id, price.rates, billed.usage)


def keep(database: Database, *exchanges: Exchange) -> None:
    records = [Settled(seq=seq, exchange=exchange) for seq, exchange in enumerate(exchanges, 1)]
    LedgerSink(database, given.entry, cost_of=cost_of).keep(None, ProcessPosition("p-1", 0, 1, len(records)), records, gaps=[])


def call(n: int, *attempts: AttemptRecord, at: int = MIDNIGHT - 1, **changes: object) -> Exchange:
    return given.exchange(n, received_at=at, attempts=attempts or (given.attempt(secret_id="s-gone"),), **changes)


def booked(database: Database, provider: str = "openai", since: datetime.date = DAY, until: datetime.date = NEXT) -> list[Booked]:
    with database.read() as connection:
        return reconcile.booked(connection, provider, since=since, until=until)


def test_each_token_is_in_one_class_and_on_its_day(database: Database) -> None:
    with database.write() as connection:
        prices.replace(connection, [PRICE, TIERED], "test", now=1)
    usage = Usage(
        input=1_000,
        cache_read=100,
        cache_write=70,
        cache_write_5m=20,
        cache_write_1h=10,
        audio_input=5,
        image_input=3,
        output=50,
        reasoning=30,
        audio_output=7,
        image_output=2,
    )
    keep(
        database,
        call(1, given.attempt(usage=usage, secret_id="s-gone")),
        call(2, given.attempt(secret_id="s-gone"), at=MIDNIGHT - 4_000_000_000),  # 23:59:56 is no rounding away from tomorrow
        call(3, given.attempt(secret_id="s-gone"), at=MIDNIGHT),
    )
    today, tomorrow = booked(database, until=NEXT + datetime.timedelta(days=1))
    assert (today.day, today.attempts, tomorrow.day, tomorrow.attempts) == (DAY, 2, NEXT, 1)
    assert today.tokens == {
        "input": 822 + 7,
        "cache_read": 104,
        "cache_write": 40,
        "cache_write_5m": 20,
        "cache_write_1h": 10,
        "audio_input": 5,
        "image_input": 3,
        "output": 41 + 7,
        "audio_output": 7,
        "image_output": 2,
    }
    assert (today.secret, today.price_id, today.estimated, today.unknown) == ("s-gone", PRICE.price_id, False, 0)
    assert today.rates == {"input": 100, "cache_read": 10, "output": 1_000}
    assert today.cost == sum(count * today.rates.get(cls, 1_000 if "output" in cls else 100) for cls, count in today.tokens.items())
    assert booked(database, until=NEXT) == [today]
    assert booked(database, "anthropic") == []


def test_who_answered_and_who_counted_are_told_apart(database: Database) -> None:
    keep(
        database,
        call(1, given.attempt(response_model="gpt-4o-mini-2024-07-18")),
        call(2, given.attempt(provenance=Provenance.estimated)),
        call(3, given.attempt(provenance=Provenance.drained)),
        call(4, given.attempt(secret_id="s-1")),
        call(5, given.attempt(model="unheard-of")),
        call(6, given.attempt(model="gpt-tiered")),
    )
    rows = {(row.model, row.secret, row.estimated, row.price_id): row for row in booked(database)}
    assert set(rows) == {
        ("gpt-4o-mini-2024-07-18", "", False, PRICE.price_id),
        ("gpt-4o-mini", "", True, PRICE.price_id),
        ("gpt-4o-mini", "", False, PRICE.price_id),
        ("gpt-4o-mini", "s-1", False, PRICE.price_id),
        ("unheard-of", "", False, None),
        ("gpt-tiered", "", False, TIERED.price_id),
    }
    assert rows["unheard-of", "", False, None].cost is None
    assert rows["gpt-tiered", "", False, TIERED.price_id].rates == {}


def test_what_may_have_cost_something_is_in_it_and_what_cost_nothing_is_not(database: Database) -> None:
    nothing = {"usage": Usage(), "provenance": Provenance.unknown}
    keep(
        database,
        call(1, given.attempt(1, status=Status.error, http_status=429, **nothing), given.attempt(2)),
        call(2, given.attempt(status=Status.provider_gone, fault=Fault("upstream_connect", "no"), **nothing)),
        call(3, given.attempt(status=Status.error, http_status=500)),  # it failed, and said its tokens
        call(4, given.attempt(status=Status.timeout, **nothing), at=MIDNIGHT - 2),
        call(5, given.attempt(format="anthropic.count_tokens", **nothing)),
    )
    told = {row.unknown: row for row in booked(database)}
    assert {unknown: (row.attempts, row.tokens, row.calls) for unknown, row in told.items()} == {
        0: (2, {"input": 14, "cache_read": 8, "output": 14}, ()),
        1: (1, {}, (given.call_id(4),)),
    }


def test_a_price_that_was_scaled_by_an_override(database: Database) -> None:
    with database.write() as connection:
        prices.replace(connection, [PRICE], "test", now=1)
        half = prices.create(connection, Override(name="half", provider="openai", multiplier=Decimal("0.5")), now=1).override
        flat = prices.create(connection, Override(name="flat", provider="openai", model="m", rates={"input": Rate(7)}), now=1).override
    ids = [PRICE.price_id, f"{half.override_id}.{PRICE.price_id}", flat.override_id, "p-gone", f"o-gone.{PRICE.price_id}"]
    with database.read() as connection:
        assert reconcile._rates(connection, ids) == {
            PRICE.price_id: {"input": 100, "cache_read": 10, "output": 1_000},
            f"{half.override_id}.{PRICE.price_id}": {"input": Fraction(50), "cache_read": Fraction(5), "output": Fraction(500)},
            flat.override_id: {"input": 7},
        }


def test_ids_of_responses(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(database, call(1, given.attempt(response_id="gen-1")), call(2, given.attempt(response_id="gen-2")), call(3))
    with database.read() as connection:
        assert reconcile.generations(connection, "openai", since=DAY, until=NEXT) == {"gen-1", "gen-2"}
        monkeypatch.setattr(reconcile, "GENERATIONS", 1)
        assert reconcile.generations(connection, "openai", since=DAY, until=NEXT) == frozenset()


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        (DAY, DAY, "that is none"),
        (NEXT, DAY, "that is none"),
        (datetime.date(1, 1, 1), DAY, "that is none"),
        (DAY, datetime.date(9999, 1, 1), "that is none"),
        (DAY, DAY + datetime.timedelta(days=93), "93 days; at most 92"),
    ],
)
def test_days_that_are_none_or_too_many(database: Database, since: datetime.date, until: datetime.date, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        booked(database, since=since, until=until)
