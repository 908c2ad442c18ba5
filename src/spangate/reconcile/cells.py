"""Both sides in one table: a cell a day, model and key."""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import msgspec

from .lines import REQUEST, Export, Line, fold, folded
from .names import Alike, match

Place = tuple[datetime.date, str, str]  # day, model ("": none), key ("": they are not told apart)
NO_MODEL = ""


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the ledger's side: attempts of one day, model, credential and price, counted by us or by the provider."""

    day: datetime.date  # UTC, on which the calls were received
    model: str  # that answered, else that was asked for
    secret: str  # the credential's name
    price_id: str | None = None  # None: no price is known
    estimated: bool = False  # we counted the tokens
    attempts: int = 0
    unknown: int = 0  # of them, that reached the provider and whose tokens nobody knows
    tokens: dict[str, int] = {}  # by class, each token in one
    cost: int | None = None  # picodollars
    rates: dict[str, int | Fraction] = {}  # picodollars a token by class, where the price has one rate for each
    calls: tuple[str, ...] = ()  # some of those with unknown tokens


@dataclass
class Cell:
    """`theirs` and `ours` by token class, as finely as the export tells them apart; money in picodollars."""

    theirs: Counter[str] = field(default_factory=Counter[str])
    their_cost: int = 0
    their_costs: Counter[str] = field(default_factory=Counter[str])  # by class, where the export says
    their_requests: int | None = None
    repeated: Counter[str] = field(default_factory=Counter[str])  # of theirs, what rows say that were there before
    repeated_cost: int = 0
    repeats: list[str] = field(default_factory=list[str])  # where these rows are
    fees: Counter[str] = field(default_factory=Counter[str])  # what is charged for no token, by the provider's words
    tiers: Counter[str] = field(default_factory=Counter[str])  # of theirs, tokens at unusual terms
    names: set[str] = field(default_factory=set[str])  # their keys
    generations: list[str] = field(default_factory=list[str])
    slack: int = 0
    ours: Counter[str] = field(default_factory=Counter[str])
    fine: Counter[str] = field(default_factory=Counter[str])  # ours as finely as we know
    our_cost: int = 0
    attempts: int = 0
    unknown: int = 0
    unpriced: int = 0
    estimates: int = 0  # attempts
    estimated: Counter[str] = field(default_factory=Counter[str])
    calls: list[str] = field(default_factory=list[str])
    prices: set[str] = field(default_factory=set[str])
    rates: dict[str, int | Fraction] | None = None  # {}: several, or not known

    def charge(self, line: Line, slack: int, classes: frozenset[str]) -> None:
        if line.key:
            self.names.add(line.key)
        if line.requests is not None:
            self.their_requests = (self.their_requests or 0) + line.requests
        if line.tokens:
            cls = fold(line.cls, classes)
            self.theirs[cls] += line.tokens
            if line.tier:
                self.tiers[line.tier] += line.tokens
            if line.again:
                self.repeated[cls] += line.tokens
        if line.cost is not None and line.cls == REQUEST:
            self.fees[line.what] += line.cost
        elif line.cost is not None:
            self.their_cost += line.cost
            self.their_costs[line.cls] += line.cost
            self.slack += slack
            if line.again:
                self.repeated_cost += line.cost
        if line.again and (line.tokens or line.cost) and self.repeats[-1:] != [line.again]:  # the lines of a row follow one another
            self.repeats.append(line.again)
        if line.generation is not None and line.requests is not None:
            self.generations.append(line.generation)

    def book(self, booked: Booked, classes: frozenset[str]) -> None:
        tokens = folded(booked.tokens.items(), classes) if classes else {}
        self.ours.update(tokens)
        self.fine.update(booked.tokens)
        self.attempts += booked.attempts
        self.unknown += booked.unknown
        self.calls += booked.calls
        if booked.estimated:
            self.estimates += booked.attempts
            self.estimated.update(tokens)
        if booked.cost is not None:
            self.our_cost += booked.cost
        if booked.price_id is not None:
            self.prices.add(booked.price_id)
        elif booked.tokens:
            self.unpriced += booked.attempts - booked.unknown
        if booked.tokens:
            self.rates = booked.rates if self.rates in (None, booked.rates) else {}


class Table(msgspec.Struct, frozen=True):
    cells: dict[Place, Cell]
    alike: tuple[Alike, ...]
    keyed: bool
    notes: tuple[str, ...]


def table(export: Export, ours: Iterable[Booked], *, since: datetime.date, until: datetime.date, keys: Mapping[str, str]) -> Table:
    """The days from `since` to before `until`. `keys`: their key's id or name → our credential's; without any they are not told apart."""
    lines = [line for line in export.lines if since <= line.day < until]
    booked = [one for one in ours if since <= one.day < until]
    called, alike = match({one.model for one in booked}, {line.model for line in lines if line.model is not None})
    keyless = any(line.key is None for line in lines if line.tokens or line.cost)
    keyed = bool(keys) and not keyless
    notes: list[str] = []
    if others := sorted({line.day for line in export.lines} - {line.day for line in lines}):
        notes.append(f"the file has other days too, from {others[0]} to {others[-1]}, which are left out")
    if keys and keyless:
        notes.append("not every line of the file names a key, so that keys are not told apart")
    cells: dict[Place, Cell] = {}

    def cell(day: datetime.date, model: str | None, key: str) -> Cell:
        place = (day, NO_MODEL if model is None else called[model], key if keyed else "")
        if (found := cells.get(place)) is None:
            found = cells[place] = Cell()
        return found

    for line in lines:
        cell(line.day, line.model, keys.get(line.key or "", line.key or "")).charge(line, export.slack, export.classes)
    for one in booked:
        cell(one.day, one.model, one.secret).book(one, export.classes)
    return Table(cells, tuple(alike), keyed, tuple(notes))
