"""Reads counts out of a provider's usage object. Odd ones are named in `invalid` and are None; nothing raises."""

from .usage import CEILING, Usage, count

# The provider said something of usage that is no object.
UNREADABLE = Usage(invalid=("usage",))


class Tally:
    """Collects the fields of one Usage."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._invalid: list[str] = []

    def read(self, field: str, value: object) -> None:
        """Takes the wire's value for the field; null and absent say nothing."""
        if value is None:
            return
        number = count(value)
        if number is None:
            self.flag(field)
        else:
            self._counts[field] = number

    def flag(self, field: str) -> None:
        """The field's value on the wire is no plausible count."""
        self._counts.pop(field, None)
        self._invalid.append(field)

    def get(self, field: str) -> int | None:
        return self._counts.get(field)

    def put(self, field: str, number: int) -> None:
        """A sum that we made; it too must be plausible."""
        if number > CEILING:
            self.flag(field)
        else:
            self._counts[field] = number

    def invalid(self, field: str) -> bool:
        return field in self._invalid

    def within(self, part: str, whole: str) -> None:
        """A part larger than its whole is no fact."""
        inner, outer = self.get(part), self.get(whole)
        if inner is not None and outer is not None and inner > outer:
            self.flag(part)

    def usage(self) -> Usage:
        return Usage(**self._counts, invalid=tuple(self._invalid))
