"""What the store says no to, in words that may be shown to a person: never a line of SQL, never a value of a secret.

StoreFault
├── NotFound        there is no such row
├── AlreadyExists   the name or the pair is taken
├── Invalid         the request itself is wrong
│   └── Misfilled   several fields of it are, each for a reason of its own
├── InUse           something else still needs the row
├── Outdated        somebody has changed the row since it was read
└── Unavailable     the database cannot be reached, or is locked or not upgraded
"""

from collections.abc import Sequence
from typing import NamedTuple


class StoreFault(Exception):
    """A fault with a message in MLflow's words."""

    def __init__(self, message: str, *, field: str = "") -> None:
        """`field`: of the request, where one alone is at fault; steps into it are joined by dots."""
        super().__init__(message)
        self.message = message
        self.field = field


class NotFound(StoreFault):
    """There is no such row."""


class AlreadyExists(StoreFault):
    """The name or the pair is taken."""


class Invalid(StoreFault):
    """The request itself is wrong."""


class FieldFault(NamedTuple):
    field: str
    message: str


class Misfilled(Invalid):
    """Several fields of the request are wrong, each for a reason of its own."""

    def __init__(self, errors: Sequence[FieldFault]) -> None:
        super().__init__(" ".join(f"{error.field}: {error.message}" if error.field else error.message for error in errors))
        self.errors = tuple(errors)


class InUse(StoreFault):
    """Something else still needs the row."""


class Outdated(StoreFault):
    """Somebody has changed the row since it was read. Reading it again helps."""


class Unavailable(StoreFault):
    """The database cannot be reached, or is locked or not upgraded. Trying again later may help."""

    @property
    def at_length(self) -> str:
        """With what the driver said: for the log, and for the person at the machine. An API gets `message`."""
        said = str(getattr(self.__cause__, "orig", None) or self.__cause__ or "").strip()
        return f"{self.message} ({said.splitlines()[0]})" if said else self.message  # the next lines may quote SQL
