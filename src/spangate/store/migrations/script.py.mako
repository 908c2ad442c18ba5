"""${message}"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from spangate.store.types import TABLE, Bytes, Id, Prose, Words

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
