"""When an endpoint was last changed. Of two changes the second is later, also within one millisecond or when the clock was set back:
who read the endpoint between them can be told that it is another one now."""

import sqlalchemy as sa
from sqlalchemy import Connection

from .schema import endpoints as table


def later(before: int, now: int) -> int:
    return max(now, before + 1)


def touch(connection: Connection, endpoint_id: str, now: int) -> None:
    """Something that belongs to the endpoint has changed, in another table."""
    before = table.c.updated_at
    moment = sa.case((before >= now, before + 1), else_=now)
    connection.execute(table.update().where(table.c.endpoint_id == endpoint_id).values(updated_at=moment))
