import json
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from spangate.cli.app import app
from spangate.store import money
from spangate.store.engine import Database
from spangate.store.faults import AlreadyExists
from spangate.store.schema import api_keys, attempts, calls, endpoints, journals, traces, usage_rollups

from .conftest import KEY, Gateway


def seed(folder: Path, *words: str) -> str:
    run = CliRunner().invoke(app, ["dev", "seed", "--data-dir", str(folder), *words])
    if run.exception is not None:
        raise run.exception
    return run.output


def one(database: Database, *columns: sa.ColumnElement[object]) -> tuple[object, ...]:
    with database.read() as connection:
        return tuple(connection.execute(sa.select(*columns)).one())


def test_seed_fills_a_database_whose_books_agree(tmp_path: Path) -> None:
    assert seed(tmp_path, "--calls", "700", "--days", "3").startswith("700 calls over 3 days")
    database = Database(f"sqlite:///{tmp_path}/spangate.db")
    tokens = sa.func.sum(attempts.c.input_tokens), sa.func.sum(attempts.c.output_tokens)
    assert one(database, sa.func.count(calls.c.call_id)) == (700,)
    assert one(database, *tokens) == one(database, sa.func.sum(calls.c.input_tokens), sa.func.sum(calls.c.output_tokens))
    kept = usage_rollups.c
    with database.read() as connection:
        cost = money.whole(*connection.execute(sa.select(*money.total(attempts.c.cost_pico))).one())
        for width in (900, 3_600, 86_400):
            sums = (kept.calls, kept.input_tokens, kept.output_tokens, kept.cost_micro, kept.cost_rest)
            query = sa.select(*(sa.func.sum(column) for column in sums)).where(kept.width == width)
            called, asked, said, micro, rest = connection.execute(query).one()
            assert (called, asked, said, money.whole(micro, rest)) == (700, *connection.execute(sa.select(*tokens)).one(), cost)
        assert cost > 0
        assert connection.execute(sa.select(sa.func.count()).select_from(traces)).scalar_one() > 600
        assert connection.execute(sa.select(sa.func.count()).select_from(endpoints)).scalar_one() == 12
        assert connection.execute(sa.select(sa.func.count()).select_from(api_keys)).scalar_one() > 35
        assert {tuple(row) for row in connection.execute(sa.select(journals.c.state, journals.c.duplicates))} == {("closed", 0)}
    database.close()


def test_seed_leaves_a_database_with_calls_alone(tmp_path: Path) -> None:
    seed(tmp_path, "--calls", "30")
    with pytest.raises(AlreadyExists, match="--force"):
        seed(tmp_path, "--calls", "30")
    database = Database(f"sqlite:///{tmp_path}/spangate.db")
    assert one(database, sa.func.count(calls.c.call_id)) == (30,)
    database.close()


def test_openapi_is_what_a_gateway_serves(gateway: Gateway) -> None:
    said = CliRunner().invoke(app, ["dev", "openapi"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout) == httpx.get(f"{gateway.url}/api/v1/openapi.json", headers={"x-api-key": KEY}, trust_env=False).json()
