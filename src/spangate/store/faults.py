"""What the store says no to, in words that may be shown to a person: never a line of SQL, never a value of a secret.

StoreFault
├── NotFound        there is no such row
├── AlreadyExists   the name or the pair is taken
├── Invalid         the request itself is wrong
├── InUse           something else still needs the row
└── Unavailable     the database cannot be reached, or is locked or not upgraded
"""


class StoreFault(Exception):
    """A fault with a message in MLflow's words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(StoreFault):
    """There is no such row."""


class AlreadyExists(StoreFault):
    """The name or the pair is taken."""


class Invalid(StoreFault):
    """The request itself is wrong."""


class InUse(StoreFault):
    """Something else still needs the row."""


class Unavailable(StoreFault):
    """The database cannot be reached, or is locked or not upgraded. Trying again later may help."""

    @property
    def at_length(self) -> str:
        """With what the driver said: for the log, and for the person at the machine. An API gets `message`."""
        said = str(getattr(self.__cause__, "orig", None) or self.__cause__ or "").strip()
        return f"{self.message} ({said.splitlines()[0]})" if said else self.message  # the next lines may quote SQL
