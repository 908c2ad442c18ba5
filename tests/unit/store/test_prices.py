from decimal import Decimal

import msgspec
import pytest
from tests.unit.store.given import KEYRING, T0, house

from spangate.prices import Billed, genai
from spangate.prices.book import Override, Price, Rate
from spangate.prices.match import Equals, StartsWith
from spangate.store import endpoints, prices, secrets
from spangate.store.engine import Database, version
from spangate.store.faults import AlreadyExists, Invalid, NotFound
from spangate.store.prices import State
from spangate.wire.usage import Usage

NAMES = {"openai": "openai"}
DAY = 86_400_000
LATER = T0 + 10 * DAY
LATEST = T0 + 20 * DAY


def price(model: str, rate: int, **said: object) -> Price:
    known: dict[str, object] = {"provider": "openai", "match": Equals(model), "source": "genai-prices", "rates": {"input": Rate(rate)}}
    return Price(model=model, **(known | said))  # type: ignore[arg-type]


def history(database: Database) -> list[tuple[str, int, int | None, int | None]]:
    """Model, rate, from, to; by model and time."""
    with database.read() as connection:
        found = [(p.model, p.rates["input"].base, p.effective_from, p.effective_to) for p in prices.prices(connection)]
    return sorted(found, key=lambda row: (row[0], row[2] or 0, row[1]))


def replace(database: Database, *edition: Price, now: int, **how: bool) -> prices.Changes:
    with database.write() as connection:
        return prices.replace(connection, edition, f"edition of {now}", now=now, **how)


def rate(database: Database, at: int, model: str = "a") -> int | None:
    """What a token of the model cost then."""
    with database.read() as connection:
        cost = prices.book(connection, NAMES).cost(Billed(at=at, provider="openai", model=model, usage=Usage(input=1, output=0)))
    return None if cost is None else cost.total


def test_the_first_edition_is_in_force_since_ever(database: Database) -> None:
    with database.read() as connection:
        assert prices.state(connection) == State(0, None)
        before = version(connection)
    changes = replace(database, price("a", 5), price("b", 7, effective_from=LATER), now=T0)
    assert [p.model for p in changes.added] == ["a", "b"]
    assert (changes.ended, changes.kept) == ((), 0)
    assert history(database) == [("a", 5, None, None), ("b", 7, LATER, None)]
    with database.read() as connection:
        assert prices.state(connection) == State(1, f"edition of {T0}")
        assert version(connection) == before + 1


def test_the_same_edition_changes_nothing(database: Database) -> None:
    edition = (price("a", 5, effective_to=LATER), price("a", 6, effective_from=LATER), price("b", 7))
    replace(database, *edition, now=T0)
    before = history(database)
    changes = replace(database, *edition, now=T0 + DAY)
    assert (changes.added, changes.ended, changes.kept) == ((), (), 3)
    assert history(database) == before
    assert replace(database, *edition, now=LATEST).added == ()
    assert history(database) == before


def test_a_new_price_of_a_known_model_leaves_the_past_alone(database: Database) -> None:
    replace(database, price("a", 5), price("b", 7), now=T0)
    changes = replace(database, price("a", 6), price("b", 7), price("c", 8), now=LATER)
    assert [(p.model, p.rates["input"].base) for p in changes.added] == [("a", 6), ("c", 8)]
    assert [(p.model, p.rates["input"].base) for p in changes.ended] == [("a", 5)]
    assert changes.kept == 1
    assert history(database) == [("a", 5, None, LATER), ("a", 6, LATER, None), ("b", 7, None, None), ("c", 8, None, None)]
    assert (rate(database, LATER - 1), rate(database, LATER)) == (5, 6)


def test_a_model_that_the_edition_has_no_more_has_no_price_from_then_on(database: Database) -> None:
    replace(database, price("a", 5), price("b", 7), now=T0)
    changes = replace(database, price("b", 7), now=LATER)
    assert [p.model for p in changes.ended] == ["a"]
    assert history(database) == [("a", 5, None, LATER), ("b", 7, None, None)]
    assert (rate(database, LATER - 1), rate(database, LATER)) == (5, None)


def test_a_price_that_returns_is_in_force_again(database: Database) -> None:
    replace(database, price("a", 5), now=T0)
    replace(database, price("a", 6), now=LATER)
    replace(database, price("a", 5), now=LATEST)
    assert history(database) == [("a", 5, None, LATER), ("a", 6, LATER, LATEST), ("a", 5, LATEST, None)]
    assert replace(database, price("a", 5), now=LATEST + DAY).added == ()


def test_a_date_that_the_edition_gives_holds_for_the_past_too(database: Database) -> None:
    replace(database, price("a", 5), now=T0)
    dated = (price("a", 5, effective_to=T0 + DAY), price("a", 6, effective_from=T0 + DAY))
    replace(database, *dated, now=LATER)
    assert history(database) == [("a", 5, None, T0 + DAY), ("a", 6, T0 + DAY, None)]
    assert replace(database, *dated, now=LATEST).added == ()
    # The same price with the date of its beginning told later: it was believed then already.
    assert replace(database, price("a", 6, effective_from=T0 + 2 * DAY), now=LATEST).added == ()
    assert history(database) == [("a", 5, None, T0 + DAY), ("a", 6, T0 + DAY, None)]


def test_what_was_priced_between_is_kept_for_who_asks_when_a_date_undoes_it(database: Database) -> None:
    replace(database, price("a", 5), now=T0)
    (wrong,) = replace(database, price("a", 6), now=LATER).added
    replace(database, price("a", 5, effective_to=T0 + DAY), price("a", 7, effective_from=T0 + DAY), now=LATEST)
    assert history(database) == [("a", 5, None, T0 + DAY), ("a", 7, T0 + DAY, None)]
    with database.read() as connection:
        assert prices.price(connection, wrong.price_id).rates == {"input": Rate(6)}
        with pytest.raises(NotFound, match="p-none"):
            prices.price(connection, "p-none")


def test_an_announced_price_comes_and_may_be_called_off_and_announced_again(database: Database) -> None:
    announced = (price("a", 5, effective_to=LATEST), price("a", 6, effective_from=LATEST))
    replace(database, price("a", 5), now=T0)
    replace(database, *announced, now=T0 + DAY)
    assert history(database) == [("a", 5, None, LATEST), ("a", 6, LATEST, None)]
    replace(database, price("a", 5), now=T0 + 2 * DAY)
    assert history(database) == [("a", 5, None, None)]
    changes = replace(database, *announced, now=T0 + 3 * DAY)
    assert [p.rates["input"].base for p in changes.added] == [6]
    assert history(database) == [("a", 5, None, LATEST), ("a", 6, LATEST, None)]


def test_a_correction_says_that_the_past_was_wrong(database: Database) -> None:
    replace(database, price("a", 5), price("b", 7), now=T0)
    replace(database, price("a", 6), price("b", 7), now=LATER)
    changes = replace(database, price("a", 6), price("b", 7), now=LATEST, correct=True)
    assert history(database) == [("a", 6, None, None), ("b", 7, None, None)]
    assert {(p.rates["input"].base, p.effective_from) for p in changes.ended} == {(5, None), (6, LATER)}
    assert [p.effective_from for p in changes.added] == [None]
    assert changes.kept == 1
    assert rate(database, T0) == 6
    replace(database, price("a", 5), price("b", 7), now=LATEST, correct=True)
    assert history(database) == [("a", 5, None, None), ("b", 7, None, None)]


def test_conditions_have_prices_of_their_own(database: Database) -> None:
    flex = price("a", 2, when={"service_tier": "flex"})
    replace(database, price("a", 5), flex, now=T0)
    replace(database, price("a", 6), flex, now=LATER)
    assert history(database) == [("a", 2, None, None), ("a", 5, None, LATER), ("a", 6, LATER, None)]


def test_names_and_order_are_the_newest_editions_and_a_model_that_went_keeps_its_place(database: Database) -> None:
    wide = StartsWith("gpt")
    first = (price("gpt-x", 1, match=Equals("gpt-old"), order=0), price("gpt", 2, match=wide, order=1), price("z", 3, order=2))
    replace(database, *first, now=T0)
    assert rate(database, T0, "gpt-old") == 1
    replace(database, price("gpt", 2, match=StartsWith("gpt-"), order=0), price("z", 3, order=1), now=LATER)
    assert (rate(database, T0, "gpt-old"), rate(database, LATER, "gpt-old"), rate(database, T0, "gpt5")) == (1, 2, None)
    with database.read() as connection:
        assert sorted((p.order, p.model) for p in prices.prices(connection)) == [(0, "gpt-x"), (1, "gpt"), (2, "z")]


def test_an_edition_that_lost_most_of_its_prices_is_refused_unless_it_is_meant(database: Database) -> None:
    replace(database, *(price(f"m{n}", n) for n in range(10)), now=T0)
    for few in (0, 4):
        with pytest.raises(Invalid, match=f"{few} prices, and 10 are in force"):
            replace(database, *(price(f"m{n}", n) for n in range(few)), now=LATER)
    assert len(history(database)) == 10
    assert len(replace(database, price("m1", 1), now=LATER, force=True).ended) == 9
    with pytest.raises(Invalid):
        replace(database, now=LATER, force=True)


def test_what_is_in_the_book_is_what_was_put_in(database: Database) -> None:
    whole = price("a", 5, match=StartsWith("a"), when={"processing": "batch"}, uncounted=("web_searches",), of="openai")
    replace(database, whole, now=T0)
    with database.read() as connection:
        assert prices.prices(connection) == [whole]
        assert prices.price(connection, whole.price_id) == whole


def test_all_that_the_installed_package_knows_is_kept_and_is_the_same_when_it_is_read_again(database: Database) -> None:
    edition = genai.installed()
    with database.write() as connection:
        assert len(prices.replace(connection, edition, "genai-prices", now=T0).added) == len(edition) > 2000
        kept = {price.price_id: price for price in prices.prices(connection)}
        assert kept == {price.price_id: price for price in edition}
        again = prices.replace(connection, edition, "genai-prices", now=LATEST)
        assert (again.added, again.ended) == ((), ())
        assert {price.price_id: price for price in prices.prices(connection)} == kept


# ---------------------------------------------------------------- overrides


def half(name: str = "half", **said: object) -> Override:
    return Override(name=name, **({"model": "gpt-*", "multiplier": Decimal("0.5")} | said))  # type: ignore[arg-type]


def test_an_override_is_in_the_book_until_it_is_deleted(database: Database) -> None:
    replace(database, price("a", 5), now=T0)
    with database.write() as connection:
        number, before = prices.state(connection).number, version(connection)
        made = prices.create(connection, half(model="a"), by="ann", now=T0)
        assert made == prices.Kept(override=half(model="a"), created_at=T0, updated_at=T0, created_by="ann", updated_by="ann")
        assert prices.overrides(connection) == [made]
        assert (prices.state(connection), version(connection)) == (State(number + 1, f"edition of {T0}"), before + 1)
    assert rate(database, T0) == 2  # half to even
    with database.write() as connection:
        prices.delete(connection, made.override.override_id)
        assert (prices.overrides(connection), prices.state(connection).number) == ([], number + 2)
        with pytest.raises(NotFound, match=made.override.override_id):
            prices.delete(connection, made.override.override_id)
    assert rate(database, T0) == 5


def test_an_override_is_for_an_endpoint_or_a_contract_that_is_there(database: Database) -> None:
    with database.write() as connection:
        there = house(connection)
        ids = {"endpoint_id": there.endpoint.endpoint_id, "secret_id": there.secret.secret_id}
        for field, id in ids.items():
            made = prices.create(connection, half(field, model=None, **{field: id}), now=T0)
            assert getattr(made.override, field) == id
            with pytest.raises(NotFound, match=f"no {field.removesuffix('_id')} 'x-1'"):
                prices.create(connection, half("other", **{field: "x-1"}), now=T0)
        # It outlives both: what was priced by it can be priced again.
        endpoints.delete(connection, there.endpoint.endpoint_id)
        unused = secrets.create(connection, KEYRING, name="unused", values={}, now=T0)
        kept = prices.create(connection, half("contract", model=None, secret_id=unused.secret_id), now=T0)
        secrets.delete(connection, unused.secret_id)
        assert prices.override(connection, kept.override.override_id) == kept
        assert len(prices.overrides(connection)) == 3


def test_a_provider_goes_by_any_of_its_names(database: Database) -> None:
    with database.write() as connection:
        made = prices.create(connection, half(provider="together_ai"), now=T0)
        assert made.override == half(provider="togetherai")
        with pytest.raises(Invalid, match="no provider 'openia'"):
            prices.create(connection, half("other", provider="openia"), now=T0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": ""}, "name"),
        ({"name": " a"}, "white space"),
        ({"name": "a\nb"}, "control characters"),
        ({"name": "n" * 256}, "255"),
        ({"model": "a\x00b"}, "model"),
        ({"model": "m" * 257}, "256"),
        ({"model": "gpt "}, "white space"),
    ],
)
def test_an_override_that_cannot_be_meant_is_refused(database: Database, said: dict[str, str], words: str) -> None:
    with database.write() as connection, pytest.raises(Invalid, match=words):
        prices.create(connection, half(**said), now=T0)


def test_no_two_overrides_have_one_name_or_say_the_same(database: Database) -> None:
    with database.write() as connection:
        first = prices.create(connection, half("a"), now=T0).override
        second = prices.create(connection, half("b", effective_from=LATER), now=T0).override
        with pytest.raises(AlreadyExists, match="named 'a'"):
            prices.create(connection, half("a", model="other"), now=T0)
        with pytest.raises(AlreadyExists, match="'a' says the same"):
            prices.create(connection, half("c"), now=T0)
        with pytest.raises(AlreadyExists, match="named 'a'"):
            prices.update(connection, second.override_id, name="a", now=T0)
        with pytest.raises(AlreadyExists, match="'a' says the same"):
            prices.update(connection, second.override_id, effective_from=None, now=T0)
        assert prices.update(connection, first.override_id, name="a", now=T0).override == first


def test_an_override_gets_another_name_or_time(database: Database) -> None:
    with database.write() as connection:
        made = prices.create(connection, half(), by="ann", now=T0)
        number = prices.state(connection).number
        ended = prices.update(connection, made.override.override_id, name="was half", effective_to=LATER, by="bob", now=T0 + 5)
        expected = msgspec.structs.replace(made.override, name="was half", effective_to=LATER)
        assert ended == prices.Kept(override=expected, created_at=T0, updated_at=T0 + 5, created_by="ann", updated_by="bob")
        assert prices.state(connection).number == number + 1
        open_ = prices.update(connection, made.override.override_id, effective_to=None, now=T0)
        assert (open_.override.effective_to, open_.override.name) == (None, "was half")
        moved = prices.update(connection, made.override.override_id, effective_from=T0, now=T0).override
        assert moved.override_id != made.override.override_id
        assert [kept.override for kept in prices.overrides(connection)] == [moved]
        with pytest.raises(Invalid, match="after"):
            prices.update(connection, moved.override_id, effective_to=T0, now=T0)
        with pytest.raises(NotFound):
            prices.update(connection, "o-none", name="x", now=T0)
