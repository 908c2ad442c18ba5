"""Who can be called, where, in which formats, with which proof of who we are: one TOML row a provider, and no code that names one.

A provider that differs by a URL is a new file in `catalog/`. `access` makes a row and a credential into something that can be called.
"""

from .access import ADDRESSES, Access, ClientCredentials, access, lacking, mode_of
from .catalogue import canonical, catalog
from .rows import AuthMode, Names, Provider

__all__ = [
    "ADDRESSES",
    "Access",
    "AuthMode",
    "ClientCredentials",
    "Names",
    "Provider",
    "access",
    "canonical",
    "catalog",
    "lacking",
    "mode_of",
]
