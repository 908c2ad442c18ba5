"""The price book in memory: the drain prices with it, and whoever asks is answered from it. Nothing here is on a request's path.

A change by any host is in it within a second. New editions come from the installed package, from a document that an admin sends, or from
where the project publishes them; the last only if a person says so.
"""

import datetime
import importlib.metadata
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

import httpx

from ..prices import Billed, Cost
from ..prices.book import Book, Price
from ..prices.genai import Unreadable, installed, parse
from ..providers import catalog
from ..relay.upstream import public
from ..store import prices as store
from ..store.engine import Database
from ..store.faults import Invalid, StoreFault, Unavailable
from ..store.prices import Changes, State
from ..wire.usage import Usage

log = logging.getLogger("spangate.control")

PACKAGE = "genai-prices"
PATIENCE = 30.0  # s for one fetch as a whole; the list has 2 MB
LARGEST = 32 * 1024 * 1024  # bytes of an edition
AGAIN = 900.0  # s from a fetch that failed to the next one


def names() -> dict[str, str]:
    """The price book's id of each provider that it knows, by the catalogue's name."""
    return {name: provider.names.prices for name, provider in catalog().items() if provider.names.prices is not None}


class Pricing:
    """Thread-safe: a book is never changed, another takes its place."""

    def __init__(
        self,
        database: Database,
        *,
        url: str,
        hours: float,
        allow_private: bool,
        now: Callable[[], int],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.book = Book((), names=names())
        self.state: State = State()
        self.hours = hours  # between two fetches; 0: none
        self._database = database
        self._url = url
        self._allow_private = allow_private
        self._now = now
        self._transport = transport
        self._opening = threading.Lock()
        self._looking = threading.Lock()
        self.opened = False
        self._failed: StoreFault | None = None
        self._retry = 0.0

    def __call__(self, billed: Billed) -> Cost | None:
        return self.book.cost(billed)

    def knows(self, provider: str, model: str, *, endpoint_id: str | None = None, secret_id: str | None = None) -> bool:
        """Whether a call to the model has a price now."""
        some = Billed(
            at=self._now(), provider=provider, model=model, endpoint_id=endpoint_id, secret_id=secret_id, usage=Usage(input=1, output=0)
        )
        return self.book.cost(some) is not None

    # ------------------------------------------------------------ from the database

    def open(self) -> None:
        """Before the first call is priced; after the first time it does nothing. A database without a book, or with that of an older
        package, gets the installed package's. With a book that cannot be read calls cost what nobody knows, until `look` can read it."""
        with self._opening:
            if self.opened:
                return
            try:
                self._seed()
                self.look()
            except StoreFault:
                raise
            except Exception:
                log.exception("the price book cannot be read: calls are kept without their cost, and can be priced anew")
            self.opened = True

    def _seed(self) -> None:
        version = importlib.metadata.version(PACKAGE)
        with self._database.read() as connection:
            outdated = _outdated(store.state(connection).edition, version)
        if outdated:
            edition = installed()
            with self._database.write() as connection:
                if _outdated(store.state(connection).edition, version):  # another host may have been quicker
                    store.replace(connection, edition, f"{PACKAGE} {version}", now=self._now(), force=True)

    def look(self) -> bool:
        """Reads the book again if it has changed. A chore."""
        # One at a time: who began before a change and ends after it would put an older book in a newer one's place.
        with self._looking, self._database.read() as connection:
            state = store.state(connection)
            if state.number != self.state.number:
                self.book, self.state = store.book(connection, names()), state
        return False

    # ------------------------------------------------------------ new editions

    def take_installed(self, *, correct: bool = False, force: bool = False) -> Changes:
        return self._take(installed(), f"{PACKAGE} {importlib.metadata.version(PACKAGE)}", correct=correct, force=force)

    def take(self, document: bytes, *, correct: bool = False, force: bool = False) -> Changes:
        """An edition in the form in which genai-prices publishes it."""
        return self._take(_read(document), f"a document, {self._minute()}", correct=correct, force=force)

    def fetch(self, url: str | None = None, *, correct: bool = False, force: bool = False) -> Changes:
        """`url`: other than the settings say. Raises Invalid if we may not or need not ask there, Unavailable if there is no answer."""
        url = url or self._url
        document = _fetched(url, allow_private=self._allow_private, transport=self._transport)
        return self._take(_read(document), f"{without_secrets(url)}, {self._minute()}", correct=correct, force=force, fetched=True)

    def fetch_if_due(self) -> bool:
        """A chore. What went wrong stays told until it goes well, but is not asked for at each look."""
        if self._failed is not None and time.monotonic() < self._retry:
            raise self._failed
        with self._database.read() as connection:
            last = store.fetched_at(connection)
        if last is not None and self._now() - last < self.hours * 3_600_000:  # by this host or another
            self._failed = None
            return False
        try:
            changes = self.fetch()
        except StoreFault as fault:
            self._failed, self._retry = fault, time.monotonic() + AGAIN
            raise
        self._failed = None
        log.info("prices: %s: %d new, %d ended, %d as before", self.state.edition, len(changes.added), len(changes.ended), changes.kept)
        return False

    def _take(self, edition: list[Price], source: str, *, correct: bool, force: bool, fetched: bool = False) -> Changes:
        now = self._now()
        with self._database.write() as connection:
            changes = store.replace(connection, edition, source, now=now, correct=correct, force=force)
            if fetched:
                store.note_fetch(connection, now)
        self.look()
        return changes

    def _minute(self) -> str:
        return datetime.datetime.fromtimestamp(self._now() / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _outdated(edition: str | None, version: str) -> bool:
    """Whether the installed package takes the place of what is there: nothing, or what an older one brought."""
    if edition is None:
        return True
    name, _, recorded = edition.partition(" ")
    return name == PACKAGE and _numbers(recorded) < _numbers(version)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _read(document: bytes) -> list[Price]:
    try:
        return parse(document)
    except Unreadable as error:
        said = str(error)
        raise Invalid(f"{said[:1].upper()}{said[1:]}.") from None


def _fetched(url: str, *, allow_private: bool, transport: httpx.BaseTransport | None) -> bytes:
    parts = _destination(url, allow_private)
    deadline = time.monotonic() + PATIENCE
    pieces: list[bytes] = []
    size = 0
    try:
        if not allow_private and transport is None:
            _public(parts)
        # trust_env off: only settings say where we go. Redirects could lead to where we would not have gone.
        with (
            httpx.Client(timeout=10.0, trust_env=False, follow_redirects=False, transport=transport) as client,
            client.stream("GET", url, headers={"accept": "application/json", "user-agent": "spangate"}) as response,
        ):
            if response.status_code != 200:
                raise Unavailable(f"{without_secrets(url)} answered {response.status_code}.")
            for piece in response.iter_bytes(65_536):
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST:
                    raise Invalid(f"{without_secrets(url)} sent more than {LARGEST // 1024 // 1024} MiB, which is no list of prices.")
                if time.monotonic() > deadline:
                    raise Unavailable(f"{without_secrets(url)} had not sent its prices after {PATIENCE:.0f} s.")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise Invalid(f"{without_secrets(url)} is no address: {error}.") from None
    except (httpx.HTTPError, OSError) as error:
        raise Unavailable(f"{without_secrets(url)} cannot be reached: {str(error) or type(error).__name__}.") from None
    return b"".join(pieces)


def _destination(url: str, allow_private: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named, parts = False, urlsplit("")
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not named:
        hint = "" if allow_private else " SPANGATE_ALLOW_PRIVATE_UPSTREAMS=true permits http and private addresses."
        raise Invalid(f"Prices are fetched from a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}.{hint}")
    return parts


def _public(parts: SplitResult) -> None:
    """A name of the open internet that leads into our own network does not lead us there."""
    found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    if not all(public(str(address[4][0])) for address in found):
        raise Invalid(f"{parts.hostname} is not a public address. SPANGATE_ALLOW_PRIVATE_UPSTREAMS=true permits private ones.")


def without_secrets(url: str) -> str:
    """A URL, but for what may be a secret in it."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"[:200]
