import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from spangate.control import pricing as module
from spangate.control.pricing import Pricing
from spangate.prices import Billed
from spangate.prices.book import Override, Price, Rate
from spangate.prices.match import Equals
from spangate.store import prices as store
from spangate.store import schema
from spangate.store.engine import Database
from spangate.store.faults import Invalid, Unavailable
from spangate.wire.usage import Usage

NOW = 1_800_000_000_000  # ms
HOUR = 3_600_000
URL = "https://prices.test/list.json?token=hidden"


def listed(*models: tuple[str, float], provider: str = "openai") -> bytes:
    """A list in genai-prices' form: models and what a million tokens of input cost."""
    rows = [{"id": name, "match": {"equals": name}, "prices": {"input_mtok": usd}} for name, usd in models]
    return json.dumps([{"id": provider, "name": provider, "api_pattern": "x", "models": rows}]).encode()


class Site:
    """Where prices are published. `answer` may raise what a network raises."""

    def __init__(self) -> None:
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200, content=listed(("a", 1.0)))
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer(request)


class Clock:
    def __init__(self) -> None:
        self.now = NOW


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/prices.db")
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pricing(database: Database, site: Site, clock: Clock) -> Pricing:
    return Pricing(database, url=URL, hours=24, allow_private=False, now=lambda: clock.now, transport=httpx.MockTransport(site))


def small(*models: str, usd: int = 5) -> list[Price]:
    return [
        Price(provider="openai", model=model, match=Equals(model), order=order, rates={"input": Rate(usd)}, source="test")
        for order, model in enumerate(models)
    ]


def cost(pricing: Pricing, model: str = "a", at: int = NOW) -> int | None:
    """Of one token."""
    found = pricing(Billed(at=at, provider="openai", model=model, usage=Usage(input=1, output=0)))
    return None if found is None else found.total


def kept(database: Database, edition: list[Price], source: str) -> None:
    with database.write() as connection:
        store.replace(connection, edition, source, now=NOW, force=True)


def packaged(monkeypatch: pytest.MonkeyPatch, version: str, *models: str) -> None:
    """The installed package is of this version and knows these models."""
    monkeypatch.setattr(module.importlib.metadata, "version", lambda _: version)
    monkeypatch.setattr(module, "installed", lambda: small(*models, usd=7))


# ---------------------------------------------------------------- what is there at the start


def test_a_database_without_prices_gets_the_installed_ones_once(pricing: Pricing, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged(monkeypatch, "0.2.3", "a")
    assert cost(pricing) is None
    pricing.open()
    assert (cost(pricing), cost(pricing, at=0), pricing.state) == (7, 7, store.State(1, "genai-prices 0.2.3"))
    pricing.open()
    assert pricing.state.number == 1


@pytest.mark.parametrize(
    ("edition", "replaced"),
    [
        ("genai-prices 0.2.3", True),
        ("genai-prices 0.9.12", True),
        ("genai-prices 0.10.0", False),
        ("genai-prices 0.11", False),
        ("https://prices.test/list.json, 2026-01-01 00:00 UTC", False),
        ("a document, 2026-01-01 00:00 UTC", False),
    ],
)
def test_a_newer_package_replaces_what_an_older_one_brought(
    pricing: Pricing, database: Database, monkeypatch: pytest.MonkeyPatch, edition: str, replaced: bool
) -> None:
    kept(database, small("a", "b", "c", "d", "e"), edition)
    packaged(monkeypatch, "0.10.0", "a")
    pricing.open()
    assert cost(pricing) == (7 if replaced else 5)
    assert pricing.state.edition == ("genai-prices 0.10.0" if replaced else edition)
    assert cost(pricing, at=NOW - 1) == 5


def test_what_another_host_changes_is_read_at_the_next_look(pricing: Pricing, database: Database) -> None:
    kept(database, small("a"), "genai-prices 99")
    pricing.open()
    book = pricing.book
    pricing.look()
    assert pricing.book is book
    kept(database, small("a", usd=6), "genai-prices 100")
    assert cost(pricing) == 5
    pricing.look()
    assert (cost(pricing), pricing.state.edition) == (6, "genai-prices 100")


def test_a_look_that_began_before_a_change_does_not_undo_it(pricing: Pricing, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(database, small("a"), "genai-prices 99")
    read, reading, go_on = store.book, threading.Event(), threading.Event()

    def slow(*asked: Any) -> Any:
        book = read(*asked)
        if not reading.is_set():
            reading.set()
            assert go_on.wait(10)
        return book

    monkeypatch.setattr(store, "book", slow)
    early, late = threading.Thread(target=pricing.look), threading.Thread(target=pricing.look)
    early.start()
    assert reading.wait(10)
    kept(database, small("a", usd=6), "genai-prices 100")
    late.start()
    late.join(0.2)  # were it not to wait for the other, it would be done by now
    go_on.set()
    for look in (early, late):
        look.join(10)
    assert (cost(pricing), pricing.state.edition) == (6, "genai-prices 100")


def test_every_name_of_the_catalogue_that_the_book_knows_is_known() -> None:
    names = module.names()
    assert names["gemini"] == "google"
    assert "openai-compatible" not in names


def test_what_is_simulated_costs_nothing_unless_somebody_says_so(pricing: Pricing, database: Database) -> None:
    kept(database, small("a"), "genai-prices 99")
    pricing.open()
    usage = Usage(input=1, output=1, cache_read=1, reasoning=1)
    billed = Billed(at=0, provider="simulated", model="demo", response_model="simulated-1", usage=usage)
    found = pricing(billed)
    assert found is not None
    with database.read() as connection:
        price = store.price(connection, found.price_id)
    assert (found.total, price.provider, price.source) == (0, "simulated", "spangate")
    with database.write() as connection:
        store.create(connection, Override(name="practice", provider="simulated", rates={"input": Rate(3), "output": Rate(4)}), now=NOW)
    pricing.look()
    found = pricing(billed)
    assert found is not None
    assert found.total == 7


def test_a_book_that_cannot_be_read_keeps_no_call_from_the_ledger(
    pricing: Pricing, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    kept(database, small("a"), "genai-prices 99")
    with database.read() as connection:
        ((price_id, document),) = connection.execute(sa.select(schema.prices.c.price_id, schema.prices.c.document))
    row = schema.prices.update().where(schema.prices.c.price_id == price_id)
    with database.write() as connection:  # of a version to come
        connection.execute(row.values(document=f'{document[:-1]},"vat":19}}'))
    pricing.open()
    assert "the price book cannot be read" in caplog.text
    assert cost(pricing) is None
    with pytest.raises(msgspec.ValidationError):  # the chore says so, and nothing is priced anew
        pricing.look()
    with database.write() as connection:
        connection.execute(row.values(document=document))
    pricing.look()
    assert cost(pricing) == 5


def test_a_new_edition_takes_the_place_of_a_price_that_cannot_be_read(pricing: Pricing, database: Database) -> None:
    kept(database, small("a"), "genai-prices 99")
    with database.write() as connection:
        connection.execute(schema.prices.update().values(document="{}"))
    changes = pricing.take_installed()
    assert len(changes.added) > 1_000
    assert pricing.book.prices
    with database.read() as connection:  # its row stays: calls were priced by it
        assert connection.execute(sa.select(sa.func.count()).where(schema.prices.c.document == "{}")).scalar_one() == 1


def test_a_database_that_is_away_is_no_book_that_cannot_be_read(pricing: Pricing, database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE prices RENAME TO gone")
    with pytest.raises(Unavailable):
        pricing.open()
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO prices")
    pricing.open()
    assert pricing.state.number == 1


# ---------------------------------------------------------------- fetching


def test_a_fetched_list_is_in_force_and_says_where_it_is_from(pricing: Pricing, site: Site) -> None:
    changes = pricing.fetch()
    assert [price.model for price in changes.added] == ["a"]
    assert (cost(pricing), pricing.state.edition) == (1_000_000, "https://prices.test/list.json, 2027-01-15 08:00 UTC")
    assert [str(request.url) for request in site.asked] == [URL]
    pricing.fetch("https://other.test/x")
    assert str(site.asked[-1].url) == "https://other.test/x"


def raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (lambda _: httpx.Response(404, text="no"), Unavailable, "https://prices.test/list.json answered 404"),
        (lambda _: httpx.Response(302, headers={"location": "http://10.0.0.1/"}), Unavailable, "answered 302"),
        (raising(httpx.ConnectError("refused")), Unavailable, "cannot be reached: refused"),
        (raising(httpx.ReadTimeout("")), Unavailable, "cannot be reached: ReadTimeout"),
        (lambda _: httpx.Response(200, text="<html>"), Invalid, "no price list"),
        (lambda _: httpx.Response(200, content=b" " * 200), Invalid, "sent more than 0 MiB"),
        (lambda _: httpx.Response(200, content=listed()), Invalid, "0 prices, and 1 are in force"),
    ],
)
def test_what_goes_wrong_is_said_and_changes_nothing(
    pricing: Pricing, database: Database, site: Site, monkeypatch: pytest.MonkeyPatch, answer: Any, fault: type[Exception], words: str
) -> None:
    monkeypatch.setattr(module, "LARGEST", 150)
    kept(database, small("a"), "genai-prices 99")
    pricing.look()
    site.answer = answer
    with pytest.raises(fault, match=words) as said:
        pricing.fetch()
    assert "hidden" not in str(said.value)
    assert (cost(pricing), pricing.state.number) == (5, 1)


@pytest.mark.parametrize("url", ["http://prices.test/x", "ftp://prices.test", "prices.test", "https://", "https://[", "https://h:x/", ""])
def test_only_https_is_asked(pricing: Pricing, site: Site, url: str) -> None:
    with pytest.raises(Invalid, match="https://"):
        pricing.fetch(url or "file:///x")
    assert site.asked == []


def test_http_is_asked_where_private_addresses_are_allowed(database: Database, site: Site) -> None:
    pricing = Pricing(database, url="http://10.0.0.1/x", hours=0, allow_private=True, now=lambda: NOW, transport=httpx.MockTransport(site))
    assert len(pricing.fetch().added) == 1


def test_a_real_site_is_read_in_pieces_and_not_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(listed(*((f"m{n}", 1.0) for n in range(2000))))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/list.json"
        pricing = Pricing(database, url=url, hours=0, allow_private=True, now=lambda: NOW)
        assert len(pricing.fetch().added) == 2000
        monkeypatch.setattr(module, "PATIENCE", -1.0)
        with pytest.raises(Unavailable, match="had not sent its prices"):
            pricing.fetch()
        server.shutdown()


@pytest.mark.parametrize("url", ["https://.prices.test/", f"https://{'a' * 64}.test/x"])
def test_what_is_no_name_of_a_host_is_refused(database: Database, url: str) -> None:
    pricing = Pricing(database, url=url, hours=0, allow_private=False, now=lambda: NOW)
    with pytest.raises(Invalid, match="is no address"):
        pricing.fetch()


def test_an_address_is_told_without_what_may_be_a_secret_in_it() -> None:
    assert module.without_secrets("https://u:p@prices.test:x/list?token=1#f") == "https://prices.test:x/list"


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://[::1]/x", "https://10.1.2.3/x", "https://localhost/x"])
def test_our_own_network_is_not_asked(database: Database, url: str) -> None:
    pricing = Pricing(database, url=url, hours=0, allow_private=False, now=lambda: NOW)
    with pytest.raises(Invalid, match="not a public address"):
        pricing.fetch()


# ---------------------------------------------------------------- by schedule


def test_prices_are_fetched_when_they_are_due_by_whichever_host(pricing: Pricing, database: Database, site: Site, clock: Clock) -> None:
    other = Pricing(database, url=URL, hours=24, allow_private=False, now=lambda: clock.now, transport=httpx.MockTransport(site))
    pricing.fetch_if_due()
    assert len(site.asked) == 1
    clock.now += 24 * HOUR - 1
    pricing.fetch_if_due()
    other.fetch_if_due()
    assert len(site.asked) == 1
    clock.now += 1
    other.fetch_if_due()
    pricing.fetch_if_due()
    assert len(site.asked) == 2


def test_a_fetch_that_failed_stays_told_and_is_tried_again_later(pricing: Pricing, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: moment)
    well, site.answer = site.answer, lambda _: httpx.Response(503)
    for _ in range(3):
        with pytest.raises(Unavailable, match="answered 503"):
            pricing.fetch_if_due()
    assert len(site.asked) == 1
    moment += module.AGAIN
    site.answer = well
    pricing.fetch_if_due()
    assert (len(site.asked), cost(pricing)) == (2, 1_000_000)
    pricing.fetch_if_due()
    assert len(site.asked) == 2


def test_a_command_is_no_fetch_by_schedule(pricing: Pricing, site: Site) -> None:
    pricing.take(listed(("a", 2.0)))
    assert (cost(pricing), pricing.state.edition) == (2_000_000, "a document, 2027-01-15 08:00 UTC")
    pricing.fetch_if_due()
    assert len(site.asked) == 1
