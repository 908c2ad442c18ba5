import contextlib

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mssql, mysql, postgresql, sqlite

from spangate.store import filters, schema
from spangate.store.faults import Invalid
from spangate.store.filters import Comparison


@pytest.mark.parametrize(
    ("text", "comparisons"),
    [
        ("", []),
        ("   ", []),
        ("status = 'OK'", [Comparison("attribute", "status", "=", "OK")]),
        ("attributes.status='OK'", [Comparison("attribute", "status", "=", "OK")]),
        ("attribute.status = 'OK'", [Comparison("attribute", "status", "=", "OK")]),
        ("trace.status = 'OK'", [Comparison("attribute", "status", "=", "OK")]),
        ('trace.status = "OK"', [Comparison("attribute", "status", "=", "OK")]),
        ("`status` = 'OK'", [Comparison("attribute", "status", "=", "OK")]),
        (
            "attributes.status = 'OK' AND tags.t1 = 'v1' AND metadata.`mlflow.trace.user` = 'u1'",
            [
                Comparison("attribute", "status", "=", "OK"),
                Comparison("tag", "t1", "=", "v1"),
                Comparison("metadata", "mlflow.trace.user", "=", "u1"),
            ],
        ),
        ("request_metadata.k != 'v' and tag.x <> 'y'", [Comparison("metadata", "k", "!=", "v"), Comparison("tag", "x", "!=", "y")]),
        ("tags.mlflow.traceName = 'n'", [Comparison("tag", "mlflow.traceName", "=", "n")]),
        ("tags.\"two words\" = 'n'", [Comparison("tag", "two words", "=", "n")]),
        ("tags.`two words` = 'n'", [Comparison("tag", "two words", "=", "n")]),
        ("tags.a-b/c:d = 'n'", [Comparison("tag", "a-b/c:d", "=", "n")]),
        ("timestamp_ms>=1700000000000", [Comparison("attribute", "timestamp_ms", ">=", 1_700_000_000_000)]),
        ("execution_time < 1.5e3", [Comparison("attribute", "execution_time", "<", 1500.0)]),
        ("timestamp > -5", [Comparison("attribute", "timestamp", ">", -5)]),
        ("name = 'it''s'", [Comparison("attribute", "name", "=", "it's")]),
        ('name = "it\'s"', [Comparison("attribute", "name", "=", "it's")]),
        ("name = 'a AND b = ''c'''", [Comparison("attribute", "name", "=", "a AND b = 'c'")]),
        ("name like 'a%'", [Comparison("attribute", "name", "LIKE", "a%")]),
        ("name ILIKE 'a%'", [Comparison("attribute", "name", "ILIKE", "a%")]),
        ("name RLIKE '^a'", [Comparison("attribute", "name", "RLIKE", "^a")]),
        ("request_id IN ('a', 'b','c')", [Comparison("attribute", "request_id", "IN", ("a", "b", "c"))]),
        ("status NOT IN ('OK')", [Comparison("attribute", "status", "NOT IN", ("OK",))]),
        ("tags.x IS NULL AND metadata.y is not null", [Comparison("tag", "x", "IS NULL"), Comparison("metadata", "y", "IS NOT NULL")]),
        ("span.name = 'x'", [Comparison("span", "name", "=", "x")]),
        ("feedback.rating = 'good'", [Comparison("feedback", "rating", "=", "good")]),
    ],
)
def test_a_filter_reads_as(text: str, comparisons: list[Comparison]) -> None:
    assert filters.parse(text) == comparisons


@pytest.mark.parametrize(
    "text",
    [
        "status",
        "status =",
        "status = OK",
        "= 'OK'",
        "status = 'OK",
        "status = 'OK' OR name = 'x'",
        "status = 'OK' name = 'x'",
        "status = 'OK' AND",
        "AND status = 'OK'",
        "status = 'OK';",
        "(status = 'OK')",
        "status IN 'OK'",
        "status IN ()",
        "status IN ('OK'",
        "status IN ('OK' 'ERROR')",
        "status NOT 'OK'",
        "status IS 'OK'",
        "status IS NOT 'OK'",
        "status BETWEEN 1 AND 2",
        "params.x = 'y'",
        "tags. = 'x'",
        "tags.`` = 'x'",
        "1 = 1",
        "'x' = 'x'",
        "a -- b",
        "x" * 10_001,
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        filters.parse(text)


def test_or_is_told_to_be_missing() -> None:
    with pytest.raises(Invalid, match="OR is not supported"):
        filters.parse("status = 'OK' OR status = 'ERROR'")


@given(st.text(max_size=60) | st.text(alphabet="ab.=<>!'\"`() ,ANDINLIKEO0", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        filters.parse(text)


@given(st.text(alphabet=st.characters(exclude_characters="\x00"), max_size=30))
def test_any_value_comes_through_its_quotes(value: str) -> None:
    quoted = "'" + value.replace("'", "''") + "'"
    assert filters.parse(f"name = {quoted}") == [Comparison("attribute", "name", "=", value)]


@pytest.mark.parametrize(
    ("clause", "order"),
    [
        ("timestamp_ms DESC", ("attribute", "timestamp_ms", True)),
        ("timestamp", ("attribute", "timestamp", False)),
        ("attributes.timestamp asc", ("attribute", "timestamp", False)),
        ("tags.`a.b` desc", ("tag", "a.b", True)),
        ("metadata.x", ("metadata", "x", False)),
    ],
)
def test_an_order_reads_as(clause: str, order: tuple[str, str, bool]) -> None:
    assert filters.parse_order(clause) == order


@pytest.mark.parametrize("clause", ["", "timestamp UP", "a b c", "timestamp,name", "1", "timestamp DESC; DROP TABLE x"])
def test_what_is_no_order_is_refused(clause: str) -> None:
    with pytest.raises(Invalid):
        filters.parse_order(clause)


# ---------------------------------------------------------------- each dialect, compiled


DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect(), "mysql": mysql.dialect(), "mssql": mssql.dialect()}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("op", ["=", "!=", "LIKE", "ILIKE"])
def test_a_comparison_of_text_compiles_with_its_value_bound(dialect: str, op: str) -> None:
    condition = filters.text(dialect, schema.traces.c.name, Comparison("attribute", "name", op, "x' OR 1=1 --"))
    compiled = condition.compile(dialect=DIALECTS[dialect])
    assert "1=1" not in str(compiled)
    assert len(compiled.params) >= 1


def test_sql_server_has_no_regular_expressions() -> None:
    with pytest.raises(Invalid, match="RLIKE is not available"):
        filters.text("mssql", schema.traces.c.name, Comparison("attribute", "name", "RLIKE", "^a"))


def test_sql_servers_own_wildcard_is_shielded() -> None:
    condition = filters.text("mssql", schema.traces.c.name, Comparison("attribute", "name", "LIKE", "[a]!%"))
    assert list(condition.compile(dialect=DIALECTS["mssql"]).params.values()) == ["![a]!!%"]


@pytest.mark.parametrize(
    ("op", "value"),
    [(">", "a"), ("=", 5), ("IN", ("a", 5)), ("LIKE", 5), ("RLIKE", "("), ("=", "a\x00")],
)
def test_a_wrong_comparison_of_text_is_refused(op: str, value: object) -> None:
    with pytest.raises(Invalid):
        filters.text("sqlite", schema.traces.c.name, Comparison("attribute", "name", op, value))  # type: ignore[arg-type]


@pytest.mark.parametrize(("op", "value"), [("LIKE", 5), ("=", "5"), ("IN", (5,)), ("IS NULL", None), ("=", 2**63), (">", float("inf"))])
def test_a_wrong_comparison_of_numbers_is_refused(op: str, value: object) -> None:
    with pytest.raises(Invalid):
        filters.number(sa.column("n"), Comparison("attribute", "timestamp", op, value))  # type: ignore[arg-type]
