"""One provider's prices, found by what it calls its models."""

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping

from .match import AnyOf, Equals, Match
from .rows import Price

_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Shelf:
    def __init__(self, prices: Iterable[Price]) -> None:
        models: dict[str, list[Price]] = {}
        for price in prices:
            models.setdefault(price.model, []).append(price)
        # What was read last says which names are meant and which model goes first.
        self._models = sorted(models.values(), key=lambda of: of[-1].order)
        self._equal: dict[str, list[int]] = {}  # most names are matched as they are; a provider has up to a thousand models
        self._others: list[tuple[int, Match]] = []
        for index, of in enumerate(self._models):
            for clause in _alternatives(of[-1].match):
                if isinstance(clause, Equals):
                    self._equal.setdefault(clause.text, []).append(index)
                else:
                    self._others.append((index, clause))

    def prices(self, name: str, circumstances: Mapping[str, str]) -> Iterator[Price]:
        """All prices at any time of the models that a name may mean, the first of them first, under these circumstances."""
        name = name.lower()
        # LiteLLM and OpenRouter write gpt-5.2-20251211 for gpt-5.2-2025-12-11.
        for index in self._matching(name) or self._matching(_COMPACT_DATE.sub(_dashed, name)):
            lately_read = reversed(self._models[index])
            fitting = [price for price in lately_read if price.when.items() <= circumstances.items()]
            yield from sorted(fitting, key=_precedence, reverse=True)

    def _matching(self, name: str) -> list[int]:
        return sorted({*self._equal.get(name, ()), *(index for index, clause in self._others if clause.matches(name))})


def _precedence(price: Price) -> tuple[int, bool, float]:
    # No provider sells a batch in another tier: what it says of the tier then is "default", or "batch".
    return len(price.when), "processing" in price.when, float("-inf") if price.effective_from is None else price.effective_from


def _alternatives(match: Match) -> Iterator[Match]:
    if isinstance(match, AnyOf):
        for clause in match.of:
            yield from _alternatives(clause)
    else:
        yield match


def _dashed(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        datetime.date(int(year), int(month), int(day))
    except ValueError:
        return found[0]
    return f"-{year}-{month}-{day}"
