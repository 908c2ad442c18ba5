"""Which keys a database belongs to: the fingerprint of each is written down at the first start, and tells a wrong one ever after."""

import sqlalchemy as sa
from sqlalchemy import Connection

from .engine import bump
from .schema import server_state


def first(connection: Connection, name: str, own: str) -> str:
    """What is written down under the name; if nothing was, it is `own` from now on."""
    bump(connection)
    known = connection.execute(sa.select(server_state.c.text).where(server_state.c.name == name)).scalar()
    if known is None:
        connection.execute(server_state.insert().values(name=name, text=own))
    return known or own
