"""Opening the gateway's pages in a browser without showing it a key."""

from .calling import OWN, Calls, Known


class SignInLink(Known, frozen=True, kw_only=True):
    """Signs in whoever has it, once."""

    path: str  # behind the gateway's address
    expires_at: str  # RFC 3339


class Sessions:
    def __init__(self, gateway: Calls) -> None:
        self._gateway = gateway

    def link(self) -> SignInLink:
        """As who the key of these calls belongs to. Needs the role admin."""
        said = self._gateway.call("POST", f"{OWN}/session/links")
        return SignInLink(path=said["path"], expires_at=said["expires_at"])
