"""Deltas become the value they describe: strings grow, objects merge, lists with an `index` merge by it, all else is replaced.

Unknown fields are folded like known ones, so a field that a provider adds tomorrow is in the trace tomorrow.
The room is bounded; past it `truncated` is true and nothing more is added.
"""

from typing import cast

from . import lenient

# Names whose string is said once or repeated, never continued.
IDENTITY = frozenset({"id", "type", "role", "index", "format", "object", "model"})


class Growing:
    """A string that is still being said: its pieces, so that a long answer is not copied at each delta."""

    __slots__ = ("pieces",)

    def __init__(self, *pieces: str) -> None:
        self.pieces = list(pieces)

    def __str__(self) -> str:
        return "".join(self.pieces)


class Envelope:
    """The few fields around the content: what is said later replaces what was said before; all together are bounded."""

    ROOM = 64 << 10

    def __init__(self) -> None:
        self.fields: dict[str, object] = {}
        self.truncated = False
        self._sizes: dict[str, int] = {}
        self._room = self.ROOM

    def put(self, fields: dict[str, object], leave_out: frozenset[str]) -> None:
        for name, value in fields.items():
            if name in leave_out or (name in self.fields and (value is None or self.fields[name] == value)):
                continue
            size = len(name) + (len(value) if isinstance(value, str) else len(lenient.render(value)))
            left = self._room + self._sizes.get(name, 0) - size
            if left < 0:
                self.truncated = True
                continue
            self.fields[name], self._sizes[name], self._room = value, size, left


class Fold:
    """Merges deltas into values until `room` bytes are used."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.truncated = False
        # Lists merged by index, with their entries by it; holding the list keeps its id its own.
        self._places: dict[int, tuple[list[object], dict[int, dict[str, object]]]] = {}

    def merge(self, into: dict[str, object], delta: dict[str, object]) -> None:
        for name, value in delta.items():
            if self.truncated or (name not in into and not self.take(len(name) + 8)):
                return
            if isinstance(value, str):
                self._say(into, name, value)
            elif value is None:
                into.setdefault(name, None)
            elif isinstance(value, dict):
                held = lenient.mapping(into.get(name))
                if held is None:
                    held = into[name] = {}
                self.merge(held, cast("dict[str, object]", value))
            elif isinstance(value, list):
                self._extend(into, name, cast("list[object]", value))
            elif self.take(8):
                into[name] = value

    def take(self, size: int) -> bool:
        """Uses up room; False if there is too little, and from then on nothing fits."""
        if self.truncated or size > self.room:
            self.truncated = True
            return False
        self.room -= size
        return True

    def take_text(self, value: str) -> str:
        """As much of the text as there is room for."""
        size = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
        if size <= self.room:
            self.room -= size
            return value
        self.truncated = True
        # Each character is at most four bytes: what fits for certain.
        value, self.room = value[: self.room // 4 if not value.isascii() else self.room], 0
        return value

    def _say(self, into: dict[str, object], name: str, value: str) -> None:
        held = into.get(name)
        if not value:
            if held is None:
                into[name] = ""
        elif name in IDENTITY:
            if not held:
                into[name] = self.take_text(value)
        elif name == "name" and str(held) == value:
            pass  # some servers repeat the function's name in each delta, others say it in pieces
        elif isinstance(held, Growing):
            held.pieces.append(self.take_text(value))
        elif isinstance(held, str) and held:
            into[name] = Growing(held, self.take_text(value))
        else:
            into[name] = self.take_text(value)

    def _extend(self, into: dict[str, object], name: str, items: list[object]) -> None:
        held = into.get(name)
        if not isinstance(held, list):
            held = into[name] = []
        entries = cast("list[object]", held)
        for item in items:
            entry = lenient.mapping(item)
            index = entry.get("index") if entry else None
            if entry is None or type(index) is not int:
                if not self.take(len(lenient.render(item))):
                    return
                entries.append(item)
                continue
            place = self._place(entries, index)
            if place is not None:
                self.merge(place, entry)

    def _place(self, entries: list[object], index: int) -> dict[str, object] | None:
        """The entry with that index; None if there is no room for a new one."""
        _, places = self._places.setdefault(id(entries), (entries, {}))
        place = places.get(index)
        if place is None and self.take(8):
            place = places[index] = {}
            entries.append(place)
        return place


def said(value: object) -> object:
    """The encoder's hook: a growing string is a string."""
    return str(value)


def rendered(value: object) -> bytes:
    """The folded value as JSON."""
    return lenient.render(value, said)
