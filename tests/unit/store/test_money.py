from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql

from spangate.store import money
from spangate.store.bulk import Rows
from spangate.store.engine import Database
from spangate.store.schema import attempts

AMOUNTS = [
    [],
    [None],
    [0],
    [None, 1],
    [1_999_999],  # just below a whole: a division that rounds would count it twice
    [2**63 - 1] * 9,
    [2**63 - 1, 999_999, None, 1_000_000, 2**62 + 1],
]


def _keep(database: Database, amounts: list[int | None]) -> None:
    rows = Rows(attempts)
    given = {column.name: 0 if isinstance(column.type, sa.Integer) else "" for column in attempts.columns}
    with database.write() as connection:
        rows.insert(
            connection,
            [tuple((given | {"attempt_no": no, "cost_pico": amount}).values()) for no, amount in enumerate(amounts)],
        )


@pytest.mark.parametrize("amounts", AMOUNTS)
def test_a_sum_is_exact_however_large_its_rows_are(database: Database, amounts: list[int | None]) -> None:
    _keep(database, amounts)
    with database.read() as connection:
        micro, rest = connection.execute(sa.select(*money.total(attempts.c.cost_pico))).one()
    assert money.whole(micro, rest) == sum(amount or 0 for amount in amounts)


@pytest.mark.parametrize("pico", [0, 1, 999_999, 1_000_000, 2**63 - 1, 3 * 2**63])
def test_what_is_split_is_whole_again(pico: int) -> None:
    micro, rest = money.split(pico)
    assert 0 <= rest < money.MICRO
    assert money.whole(micro, rest) == money.whole(Decimal(micro), Decimal(rest)) == pico


@pytest.mark.parametrize("dialect", [mssql.dialect(), mysql.dialect()], ids=["mssql", "mysql"])
def test_a_sum_is_said_to_servers_that_are_not_here(dialect: sa.Dialect) -> None:
    said = str(sa.select(*money.total(attempts.c.cost_pico)).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    assert "sum(" in said
    assert "%% 1000000" in said or "% 1000000" in said
