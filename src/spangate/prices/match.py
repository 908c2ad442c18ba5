"""Which names of a model a price is for: the clauses of genai-prices, as data. Names are compared in lower case."""

import functools
import re
from typing import Annotated, Union

import msgspec


class _Clause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    pass


class Equals(_Clause, frozen=True, tag="equals"):
    text: str

    def matches(self, name: str) -> bool:
        return name == self.text


class StartsWith(_Clause, frozen=True, tag="starts_with"):
    text: str

    def matches(self, name: str) -> bool:
        return name.startswith(self.text)


class EndsWith(_Clause, frozen=True, tag="ends_with"):
    text: str

    def matches(self, name: str) -> bool:
        return name.endswith(self.text)


class Contains(_Clause, frozen=True, tag="contains"):
    text: str

    def matches(self, name: str) -> bool:
        return self.text in name


class Regex(_Clause, frozen=True, tag="regex"):
    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None

    def matches(self, name: str) -> bool:
        return _compiled(self.pattern).search(name) is not None


class AnyOf(_Clause, frozen=True, tag="any_of"):
    of: Annotated[tuple["Match", ...], msgspec.Meta(min_length=1)]

    def matches(self, name: str) -> bool:
        return any(clause.matches(name) for clause in self.of)


class AllOf(_Clause, frozen=True, tag="all_of"):
    of: Annotated[tuple["Match", ...], msgspec.Meta(min_length=1)]

    def matches(self, name: str) -> bool:
        return all(clause.matches(name) for clause in self.of)


Match = Union[Equals, StartsWith, EndsWith, Contains, Regex, AnyOf, AllOf]  # noqa: UP007 - msgspec resolves the recursion by this form

_compiled = functools.cache(re.compile)
