"""What all nouns of the client stand on: how a call is made, what comes back, and what goes wrong."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

OWN = "/api/v1"


class Calls(Protocol):
    """Someone who calls the gateway: `Client`."""

    def call(self, method: str, path: str, message: Mapping[str, Any] | None = None) -> Any:
        """The reply's JSON. A GET's message goes into the query. Raises ClientError."""
        ...

    def text(self, path: str, query: Mapping[str, Any]) -> str:
        """A GET's reply as it is. Raises ClientError."""
        ...


class ClientError(Exception):
    """The call did not do what was asked. Says why in words for a person."""


class Unreachable(ClientError):
    """No answer, or none that a gateway gives."""


class Refused(ClientError):
    """The gateway said no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A noun as the server tells it; fields that this client does not know are left out."""
