"""Which model the two sides mean. A provider answers for `gpt-5` as `gpt-5-2025-08-07`, and bills one of the two."""

import re
from collections.abc import Set

import msgspec

DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")


class Alike(msgspec.Struct, frozen=True):
    """Names that are taken for one model."""

    model: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


def plain(name: str) -> str:
    """Without what only one side writes: the maker (`openai/gpt-5`), the variant (`:free`), capitals, spaces and dots."""
    if name.startswith("ft:"):  # a model of one's own; each part of its name counts
        return name
    return re.sub(r"[ ._]+", "-", name.rsplit("/", 1)[-1].split(":", 1)[0].lower())


def undated(name: str) -> str:
    return DATE.sub("", name)


def match(ours: Set[str], theirs: Set[str]) -> tuple[dict[str, str], list[Alike]]:
    """What each name is called from here on, and which were put together.

    Names that differ in spelling only are one. Of a model's snapshots each stands for itself; but where a name without a date is on one
    side only, nobody can say which of them it was, and all of them are compared together.
    """
    families: dict[str, list[str]] = {}
    for name in sorted(ours | theirs):
        families.setdefault(undated(plain(name)), []).append(name)
    called: dict[str, str] = {}
    alike: list[Alike] = []
    for family, names in families.items():
        here, there = {plain(name) for name in names if name in ours}, {plain(name) for name in names if name in theirs}
        loose = bool(here and there) and any(undated(name) == name for name in here ^ there)
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(family if loose else plain(name), []).append(name)
        for group in groups.values():
            known = [name for name in group if name in theirs]
            label = known[0] if len(known) == 1 else min(known or group, key=lambda name: (len(name), name))
            called |= dict.fromkeys(group, label)
            if len(group) > 1:
                alike.append(Alike(label, tuple(name for name in group if name in ours), tuple(known)))
    return called, alike
