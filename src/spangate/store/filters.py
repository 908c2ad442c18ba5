"""MLflow's filter strings: comparisons joined by AND, over attributes, tags and metadata. Text in, SQLAlchemy conditions out.

status = 'OK' AND tags.team = 'search' AND metadata.`mlflow.gateway.caller` LIKE 'codex%' AND timestamp_ms > 1700000000000
"""

import re
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from .faults import Invalid

LONGEST = 10_000  # characters; a filter is written by a person or a program, not by an attacker with patience

_ENTITIES = {
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "trace": "attribute",
    "tag": "tag",
    "tags": "tag",
    "metadata": "metadata",
    "request_metadata": "metadata",
    "span": "span",
    "feedback": "feedback",
    "expectation": "expectation",
    "issue": "issue",
}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^']|'')*' | "(?:[^"]|"")*")
    | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_](?:[\w\-/:]|\.(?=[\w`"]))*(?:`[^`]*`|(?<=\.)"[^"]*")? | `[^`]*`)
    | (?P<operator><=|>=|!=|<>|==|=|<|>)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)


class Comparison(Struct, frozen=True):
    """`op` is one of = != < <= > >= IN, NOT IN, LIKE, ILIKE, RLIKE, IS NULL, IS NOT NULL."""

    entity: str
    key: str
    op: str
    value: str | int | float | tuple[str | int | float, ...] | None = None


def parse(text: str) -> list[Comparison]:
    """The comparisons, all of which must hold. Raises Invalid with the place and the reason."""
    if len(text) > LONGEST:
        raise Invalid(f"The filter is longer than {LONGEST} characters")
    tokens = _tokens(text)
    comparisons: list[Comparison] = []
    if not tokens:
        return comparisons
    at = 0
    while True:
        comparison, at = _comparison(tokens, at)
        comparisons.append(comparison)
        if at == len(tokens):
            return comparisons
        kind, word = tokens[at]
        if kind != "name" or word.upper() != "AND":
            hint = "Only AND joins comparisons; OR is not supported." if word.upper() == "OR" else f"Expected AND before '{word}'."
            raise Invalid(f"Invalid filter '{text}'. {hint}")
        at += 1


def parse_order(clause: str) -> tuple[str, str, bool]:
    """(entity, key, descending) of an order_by clause such as `timestamp_ms DESC`."""
    tokens = _tokens(clause)
    descending = False
    if len(tokens) == 2 and tokens[1][1].upper() in ("ASC", "DESC"):
        descending = tokens.pop()[1].upper() == "DESC"
    if len(tokens) != 1 or tokens[0][0] not in ("name", "string"):
        raise Invalid(f"Invalid order_by clause '{clause}'. Write a key, then ASC or DESC.")
    entity, key = _key(tokens[0][1])
    return entity, key, descending


# ---------------------------------------------------------------- conditions


def text(dialect: str, column: sa.ColumnElement[Any], comparison: Comparison) -> sa.ColumnElement[bool]:
    """A comparison of text. LIKE heeds case, ILIKE does not, RLIKE is the database's own regular expression."""
    op, value = comparison.op, comparison.value
    match op:
        case "IS NULL":
            return column.is_(None)
        case "IS NOT NULL":
            return column.is_not(None)
        case "IN" | "NOT IN":
            values = [_string(comparison, item) for item in value] if isinstance(value, tuple) else []
            return column.in_(values) if op == "IN" else column.not_in(values)
        case "=":
            return column == _string(comparison, value)
        case "!=":
            return column != _string(comparison, value)
        case "LIKE" | "ILIKE":
            return _like(dialect, column, _string(comparison, value), heed=op == "LIKE")
        case "RLIKE":
            pattern = _string(comparison, value)
            if dialect == "mssql":
                raise Invalid("RLIKE is not available on this database. Use LIKE or ILIKE.")
            try:
                re.compile(pattern)
            except re.error as fault:
                raise Invalid(f"Invalid regular expression '{pattern}': {fault}") from None
            return column.regexp_match(pattern)
        case _:
            raise Invalid(f"Invalid comparator '{op}' for the text '{comparison.key}'. Use =, !=, IN, NOT IN, LIKE, ILIKE or RLIKE.")


def number(column: sa.ColumnElement[Any], comparison: Comparison) -> sa.ColumnElement[bool]:
    """A comparison of numbers."""
    value = comparison.value
    if not isinstance(value, int | float) or abs(value) >= 2**63:
        raise Invalid(f"'{comparison.key}' is compared with a number, not with {value!r}.")
    match comparison.op:
        case "=":
            return column == value
        case "!=":
            return column != value
        case "<":
            return column < value
        case "<=":
            return column <= value
        case ">":
            return column > value
        case ">=":
            return column >= value
        case op:
            raise Invalid(f"Invalid comparator '{op}' for the number '{comparison.key}'. Use =, !=, <, <=, > or >=.")


def tagged(dialect: str, tags: sa.Table, owner: sa.ColumnElement[bool], comparison: Comparison) -> sa.ColumnElement[bool]:
    """Whether the owner has a tag of this key whose value compares so; IS NULL: that it has none."""
    here = sa.and_(owner, tags.c.key == _storable(comparison.key))
    if comparison.op in ("IS NULL", "IS NOT NULL"):
        there = sa.exists().where(here)
        return ~there if comparison.op == "IS NULL" else there
    return sa.exists().where(here, text(dialect, tags.c.value, comparison))


def owners(dialect: str, tags: sa.Table, owner: sa.Column[str], comparison: Comparison) -> sa.Select[str]:
    """Ids of those that have a tag of this key whose value compares so."""
    here = sa.select(owner).where(tags.c.key == _storable(comparison.key))
    return here if comparison.op == "IS NOT NULL" else here.where(text(dialect, tags.c.value, comparison))


def _like(dialect: str, column: sa.ColumnElement[Any], pattern: str, *, heed: bool) -> sa.ColumnElement[bool]:
    if dialect == "sqlite":
        # SQLite's LIKE ignores the case of ASCII letters; GLOB heeds it, and has other wildcards. `lower` is ours (engine.py).
        translated = "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(character, character) for character in pattern)
        if heed:
            return column.op("GLOB", is_comparison=True)(translated)
        return sa.func.lower(column).op("GLOB", is_comparison=True)(translated.lower())
    # % and _ are the only wildcards, as in MLflow; "!" shields what else a database would read as one.
    shielded = pattern.replace("!", "!!")
    if dialect == "mssql":
        shielded = shielded.replace("[", "![")
    if heed:
        return column.like(shielded, escape="!")
    if dialect == "postgresql":  # the same, and an index over the column as it is can be used
        return column.ilike(shielded.lower(), escape="!")
    return sa.func.lower(column).like(shielded.lower(), escape="!")


def _string(comparison: Comparison, value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"'{comparison.key}' is compared with a text in quotes, not with {value!r}.")
    return _storable(value)


def _storable(value: str) -> str:
    if "\x00" in value:
        raise Invalid("A filter must not hold a NUL character.")
    return value


# ---------------------------------------------------------------- the grammar


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None or match.lastgroup is None:
            raise Invalid(f"Invalid filter '{text}'. It cannot be read from '{text[at : at + 20].strip()}' on.")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _comparison(tokens: list[tuple[str, str]], at: int) -> tuple[Comparison, int]:
    kind, word = _token(tokens, at)
    if kind != "name":
        raise Invalid(f"Invalid filter: expected a key such as status or tags.team, found {word}.")
    entity, key = _key(word)
    kind, word = _token(tokens, at + 1)
    op, at = word.upper(), at + 2
    if kind == "operator":
        op = {"<>": "!=", "==": "="}.get(op, op)
    elif kind == "name" and op == "NOT":
        if _token(tokens, at)[1].upper() != "IN":
            raise Invalid("Invalid filter: NOT must be followed by IN.")
        op, at = "NOT IN", at + 1
    elif kind == "name" and op == "IS":
        op, at = "IS NULL", at
        if _token(tokens, at)[1].upper() == "NOT":
            op, at = "IS NOT NULL", at + 1
        if _token(tokens, at)[1].upper() != "NULL":
            raise Invalid("Invalid filter: IS must be followed by NULL or NOT NULL.")
        return Comparison(entity, key, op), at + 1
    elif kind != "name" or op not in ("IN", "LIKE", "ILIKE", "RLIKE"):
        raise Invalid(f"Invalid filter: '{word}' is no comparator.")
    if op in ("IN", "NOT IN"):
        values, at = _list(tokens, at)
        return Comparison(entity, key, op, values), at
    return Comparison(entity, key, op, _value(*_token(tokens, at))), at + 1


def _list(tokens: list[tuple[str, str]], at: int) -> tuple[tuple[str | int | float, ...], int]:
    if _token(tokens, at) != ("mark", "("):
        raise Invalid("Invalid filter: IN must be followed by a list in parentheses.")
    values: list[str | int | float] = []
    while True:
        values.append(_value(*_token(tokens, at + 1)))
        closing = _token(tokens, at + 2)
        if closing == ("mark", ")"):
            return tuple(values), at + 3
        if closing != ("mark", ","):
            raise Invalid(f"Invalid filter: expected a comma or a closing parenthesis, found {closing[1]}.")
        at += 2


def _token(tokens: list[tuple[str, str]], at: int) -> tuple[str, str]:
    if at >= len(tokens):
        raise Invalid("Invalid filter: it ends in the middle of a comparison.")
    return tokens[at]


def _value(kind: str, word: str) -> str | int | float:
    if kind == "string":
        return word[1:-1].replace(word[0] * 2, word[0])
    if kind == "number":
        return float(word) if any(mark in word for mark in ".eE") else int(word)
    raise Invalid(f"Invalid filter: expected a number or a text in quotes, found {word}.")


def _key(word: str) -> tuple[str, str]:
    first, dot, rest = word.partition(".")
    entity = _ENTITIES.get(first.lower())
    if dot and entity is not None:
        return entity, _bare(rest)
    if dot and not word.startswith(("`", '"', "'")):
        raise Invalid(f"Invalid entity '{first}' in filter. Use attributes, tags or metadata.")
    return "attribute", _bare(word)


def _bare(word: str) -> str:
    if len(word) >= 2 and word[0] == word[-1] and word[0] in "`\"'":
        word = word[1:-1]
    if not word:
        raise Invalid("Invalid filter: a key is empty.")
    return word
