"""Files into rows and values. What cannot be read is refused with its place; nothing is guessed."""

import contextlib
import csv
import datetime
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, cast

import msgspec

from ..prices.cost import PICO

MOST_TOKENS = 10**15
MOST_DOLLARS = 10**9
EARLIEST, LATEST = 1970, 2200  # years: what is outside was meant otherwise
MOST_ROWS = 250_000  # of a file; they take some seconds
LONGEST = 1_000  # characters of a name or an id


class BadExport(Exception):
    """What is wrong with the file and where, in words for the person who gave it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class File(msgspec.Struct, frozen=True):
    """One file of an export."""

    name: str
    text: str

    @property
    def json(self) -> bool:
        return self.text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


class Record(msgspec.Struct, frozen=True):
    """A row of a table or an object of JSON, and where it stands."""

    where: str
    said: Mapping[str, Any]

    def fail(self, words: str) -> NoReturn:
        raise BadExport(f"{self.where}: {words}")

    def has(self, name: str) -> bool:
        return self.said.get(name) not in (None, "")

    def words(self, name: str) -> str | None:
        """None: it is empty or not there."""
        if not self.has(name):
            return None
        value = self.said[name]
        if not isinstance(value, str) or len(value) > LONGEST:
            self.fail(f"{name} is no name: {_shown(value)}")
        return value.strip() or None

    def count(self, name: str) -> int:
        value = self._decimal(name)
        if value != value.to_integral_value() or not 0 <= value <= MOST_TOKENS:
            self.fail(f"{name} is no count: {_shown(self.said[name])}")
        return int(value)

    def dollars(self, name: str, *, cents: bool = False) -> int:
        """Picodollars."""
        value = self._decimal(name)
        if abs(value) > MOST_DOLLARS:
            self.fail(f"{name} is no amount: {_shown(self.said[name])}")
        return int((value * (PICO // 100 if cents else PICO)).to_integral_value())

    def decimals(self, name: str) -> int:
        """Digits behind the point."""
        exponent = self._decimal(name).as_tuple().exponent
        return max(0, -exponent) if isinstance(exponent, int) else 0

    def day(self, name: str) -> datetime.date:
        """The UTC day of a date, a moment of ISO 8601 (without a zone: UTC), or Unix seconds."""
        return self.moment(name).date()

    def moment(self, name: str) -> datetime.datetime:
        value = self.said.get(name)
        try:
            if isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) > 8):
                moment = datetime.datetime.fromtimestamp(int(value), datetime.UTC)
            else:
                said = datetime.datetime.fromisoformat(value) if isinstance(value, str) else None
                moment = said and (said.replace(tzinfo=datetime.UTC) if said.tzinfo is None else said.astimezone(datetime.UTC))
        except (ValueError, OverflowError, OSError):
            moment = None
        if moment is None or not EARLIEST <= moment.year < LATEST:
            self.fail(f"{name} is no day: {_shown(value)}")
        return moment

    def bucket(self, start: str, end: str) -> datetime.date:
        """The day of a span of time that is in one."""
        first = self.moment(start)
        if self.has(end) and self.moment(end) > datetime.datetime.combine(first.date(), datetime.time(), datetime.UTC) + ONE_DAY:
            self.fail("the row is of more than one UTC day; export by day (bucket_width=1d)")
        return first.date()

    def within(self, name: str) -> "Record":
        """An object in the object; empty where there is none."""
        value = self.said.get(name)
        if value is None:
            return Record(f"{self.where}.{name}", {})
        if not isinstance(value, dict):
            self.fail(f"{name} is no object")
        return Record(f"{self.where}.{name}", cast("dict[str, Any]", value))

    def listed(self, name: str) -> "Iterator[Record]":
        value = self.said.get(name)
        if not isinstance(value, list):
            self.fail(f"{name} is no list")
        for number, item in enumerate(cast("list[object]", value)):
            if not isinstance(item, dict):
                self.fail(f"{name}[{number}] is no object")
            yield Record(f"{self.where}.{name}[{number}]", cast("dict[str, Any]", item))

    @property
    def identity(self) -> str:
        """Equal for rows that say the same."""
        return json.dumps(self.said, sort_keys=True, default=str)

    def _decimal(self, name: str) -> Decimal:
        value = self.said.get(name)
        number = Decimal("NaN")
        if isinstance(value, int | str | Decimal) and not isinstance(value, bool) and len(str(value)) <= 64:
            with contextlib.suppress(InvalidOperation):
                number = Decimal(value)
        # Bounded on both sides before anything is computed with it: 1e999999 is a short text.
        if not number.is_finite() or not -40 <= number.adjusted() <= 15 or _long(number):
            self.fail(f"{name} is no number: {_shown(value)}")
        return number


ONE_DAY = datetime.timedelta(days=1)


class Seen:
    """Tells rows that were there before."""

    def __init__(self) -> None:
        self._rows: set[str] = set()

    def again(self, record: Record) -> str:
        """Where the record stands, if one that says the same was there before; else nothing."""
        if (identity := record.identity) in self._rows:
            return record.where
        self._rows.add(identity)
        return ""


def table(file: File) -> Iterator[Record]:
    """The rows of a CSV file with a header. Columns are told by name, in any case; those of empty rows are left out."""
    reader = csv.reader(io.StringIO(file.text.removeprefix("\ufeff"), newline=""), strict=True)
    names: Sequence[str] | None = None
    rows = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise BadExport(f"{file.name}, line {reader.line_num}: {error}") from None
        if cells is None:
            break
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{file.name}, line {reader.line_num}"
        if names is None:
            names = [cell.strip().lower() for cell in cells]
            if len(set(names)) < len(names):
                raise BadExport(f"{where}: a column is there twice: {', '.join(sorted({n for n in names if names.count(n) > 1}))}")
            continue
        if (rows := rows + 1) > MOST_ROWS:
            raise BadExport(f"{where}: more than {MOST_ROWS:,} rows; compare the bill in parts, a week or a day at a time")
        if len(cells) != len(names):
            raise BadExport(f"{where}: {len(cells)} columns, where the header has {len(names)}")
        yield Record(where, {name: cell.strip() for name, cell in zip(names, cells, strict=True)})
    if names is None:
        raise BadExport(f"{file.name}: the file is empty")


def header(file: File) -> frozenset[str]:
    """The names of a CSV file's columns."""
    try:
        first = next(csv.reader(io.StringIO(file.text.lstrip("\ufeff \t\r\n"), newline="")), list[str]())
    except csv.Error as error:
        raise BadExport(f"{file.name}, line 1: {error}") from None
    return frozenset(name.strip().lower() for name in first)


def pages(file: File) -> list[Record]:
    """The JSON documents of a file, one after another or in a list: an API's pages, as they were fetched."""
    decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_number)
    text, found, at = file.text.removeprefix("\ufeff"), list[object](), 0
    try:
        while at < len(text):
            if text[at].isspace():
                at += 1
                continue
            said, at = decoder.raw_decode(text, at)
            found += cast("list[object]", said) if isinstance(said, list) else [said]
        if "\\ud" in text.lower():  # perhaps half of a surrogate pair, which is read and cannot be written
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError) as error:
        raise BadExport(f"{file.name}: not JSON: {error if isinstance(error, ValueError) else 'it is nested too deep'}") from None
    for number, page in enumerate(found, 1):
        if not isinstance(page, dict):
            raise BadExport(f"{file.name}, document {number}: an object with `data` is expected")
    return [Record(f"{file.name}, document {number}", cast("dict[str, Any]", page)) for number, page in enumerate(found, 1)]


def unfinished(files: Sequence[File], read: Callable[[File], Sequence[Record]] = pages) -> tuple[str, ...]:
    """A note a JSON file whose last page says that there is more."""
    cut = [file.name for file in files if file.json and (found := read(file)) and found[-1].said.get("has_more") is True]
    return tuple(f"{name}: its last page says has_more; what follows is not in the file, and shows as missing there" for name in cut)


def rounding(decimals: int) -> int:
    """Picodollars that a number of so many decimals may be off: half of its last digit."""
    return max(1, 10 ** max(0, 12 - decimals) // 2)


def _long(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return not isinstance(exponent, int) or exponent < -40


def _no_number(said: str) -> NoReturn:
    raise ValueError(f"{said} is no number")


def _shown(value: object) -> str:
    return repr(value if not isinstance(value, str) else value[:60])[:80]
