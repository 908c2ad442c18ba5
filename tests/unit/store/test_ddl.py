import pytest
import sqlalchemy as sa

from spangate.store import ddl, schema


def test_migrations_schema_and_golden_files_agree() -> None:
    assert list(ddl.faults()) == []


def test_a_column_that_no_revision_makes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = sa.MetaData()
    for table in schema.metadata.sorted_tables:
        table.to_metadata(changed)
    changed.tables["calls"].append_column(sa.Column("colour", sa.String(10)))
    monkeypatch.setattr(ddl, "metadata", changed)
    found = list(ddl.faults())
    assert [fault for fault in found if fault.endswith(".sql is not what the schema and the migrations say")] != []
    assert any("table calls" in fault for fault in found)


def test_a_lost_unique_constraint_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = sa.MetaData()
    for table in schema.metadata.sorted_tables:
        table.to_metadata(changed)
    secrets = changed.tables["secrets"]
    secrets.constraints = {rule for rule in secrets.constraints if not isinstance(rule, sa.UniqueConstraint)}
    monkeypatch.setattr(ddl, "metadata", changed)
    assert any("table secrets" in fault for fault in ddl.faults())


@pytest.mark.parametrize("dialect", ddl.URLS)
def test_a_golden_file_holds_schema_and_revisions(dialect: str) -> None:
    text = (ddl.DIRECTORY / f"{dialect}.sql").read_text()
    for table in schema.metadata.tables:
        assert text.count(f"CREATE TABLE {table} (") == 2, table
    assert "ADD" in text.split("the revisions")[1]
    if dialect == "mssql":
        assert " VARCHAR(255)" not in text  # would lose what is not in the server's code page
    if dialect == "mysql":
        assert " BLOB" not in text  # ends at 64 KiB
