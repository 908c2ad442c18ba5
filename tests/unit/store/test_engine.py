import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy import event

from spangate.store import engine, fulltext, revisions, schema
from spangate.store.engine import Check, Database
from spangate.store.faults import AlreadyExists, Invalid, StoreFault, Unavailable
from spangate.store.filters import Comparison

SECRET = "DROP-THE-ROW-0123456789"  # stands for what a statement may hold and a message may not

Open = Callable[..., Database]

EVERY = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"]


def secret_row(secret_id: str, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {"secret_id": secret_id, "name": secret_id, "sealed": b"x", "masked_values": "{}", "auth_config": "{}"}
    return row | {"created_at": 1, "updated_at": 1} | changes


def test_read_cannot_write(database: Database) -> None:
    for statement in (schema.secrets.insert().values(secret_row(SECRET)), schema.experiments.delete()):
        with pytest.raises(StoreFault) as fault, database.read() as connection:
            connection.execute(statement)
        assert SECRET not in fault.value.message
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.secrets)).scalar() == 0
        assert connection.execute(sa.select(schema.experiments.c.name)).scalars().all() == ["Default"]


def test_read_cannot_be_talked_into_writing(database: Database) -> None:
    talk = "PRAGMA query_only = OFF" if database.dialect == "sqlite" else "SET default_transaction_read_only = off"

    def write() -> None:
        with database.read() as connection:
            connection.exec_driver_sql(talk)
            connection.execute(schema.experiments.delete())
            connection.commit()

    with pytest.raises(StoreFault):
        write()
    with database.read() as connection:
        assert connection.execute(sa.select(schema.experiments.c.name)).scalars().all() == ["Default"]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_postgresql_compiles_no_reads(database: Database) -> None:
    with database.read() as connection:
        assert connection.exec_driver_sql("SHOW jit").scalar() == "off"
        assert connection.exec_driver_sql("SHOW plan_cache_mode").scalar() == "force_custom_plan"


def test_read_sees_one_moment(database: Database) -> None:
    count = sa.select(sa.func.count()).select_from(schema.secrets)
    with database.read() as reader:
        assert reader.execute(count).scalar() == 0
        with database.write() as writer:
            writer.execute(schema.secrets.insert().values(secret_row("s-1")))
        assert reader.execute(count).scalar() == 0
    with database.read() as reader:
        assert reader.execute(count).scalar() == 1


def test_write_is_kept_whole_or_not_at_all(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.execute(schema.secrets.insert().values(secret_row("s-1")))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with database.read() as connection:
        assert connection.execute(sa.select(schema.secrets)).all() == []


def test_a_conflict_is_told_without_the_statement(database: Database) -> None:
    with database.write() as connection:
        connection.execute(schema.secrets.insert().values(secret_row("s-1", name=SECRET)))
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        connection.execute(schema.secrets.insert().values(secret_row("s-2", name=SECRET)))
    assert SECRET not in str(fault.value)
    assert "INSERT" not in str(fault.value)


def test_names_differ_by_case(database: Database) -> None:
    with database.write() as connection:
        connection.execute(schema.secrets.insert().values(secret_row("s-1", name="Prod")))
        connection.execute(schema.secrets.insert().values(secret_row("s-2", name="prod")))
        rows = connection.execute(sa.select(schema.secrets.c.secret_id).where(schema.secrets.c.name == "prod")).scalars().all()
    assert rows == ["s-2"]


def test_a_database_that_was_not_upgraded_says_so(open_database: Open) -> None:
    database = open_database()
    with pytest.raises(Unavailable), database.read() as connection:
        connection.execute(sa.select(schema.secrets))


def test_bump_counts_each_change_once(database: Database) -> None:
    with database.read() as connection:
        before = engine.version(connection)

    def many() -> None:
        for _ in range(10):
            with database.write() as connection:
                engine.bump(connection)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert engine.version(connection) == before + 40


def test_a_rolled_back_change_is_not_counted(database: Database) -> None:
    with database.read() as connection:
        before = engine.version(connection)

    def fail() -> None:
        with database.write() as connection:
            engine.bump(connection)
            raise Invalid("no")

    with pytest.raises(Invalid):
        fail()
    with database.read() as connection:
        assert engine.version(connection) == before


# ---------------------------------------------------------------- revisions


def test_upgrade_goes_through_each_revision_once(open_database: Open) -> None:
    database = open_database()
    assert database.current() is None
    assert database.upgrade() == EVERY
    assert database.current() == EVERY[-1]
    assert database.upgrade() == []
    assert database.check() == Check(dialect=database.dialect, revision=EVERY[-1], head=EVERY[-1])
    assert database.check().ok


def test_the_newest_revision_is_the_one_that_alembic_knows() -> None:
    assert engine.head() == ScriptDirectory.from_config(revisions.config()).get_current_head()


def test_a_start_on_tables_that_are_there_does_without_alembic(tmp_path: Path) -> None:
    script = (
        "import sys; from spangate.store.engine import Database; database = Database(sys.argv[1]);"
        "print(database.upgrade(), 'alembic' in sys.modules)"
    )
    run = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/store.db"]
    said = [subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert said == [f"{EVERY} True\n", "[] False\n"]


def test_an_older_database_is_not_ok(open_database: Open) -> None:
    database = open_database()
    assert not database.check().ok
    database.upgrade("0001")
    assert database.check() == Check(dialect=database.dialect, revision="0001", head=EVERY[-1])
    assert not database.check().ok


def test_usage_tracking_comes_to_endpoints_that_are_there(open_database: Open) -> None:
    database = open_database()
    database.upgrade("0001")
    with database.write() as connection:
        connection.execute(schema.secrets.insert().values(secret_row("s-1")))
        connection.exec_driver_sql(
            "INSERT INTO model_definitions (model_definition_id, name, secret_id, provider, model_name, created_at, updated_at)"
            " VALUES ('d-1', 'm', 's-1', 'openai', 'gpt', 1, 1)"
        )
        connection.exec_driver_sql("INSERT INTO endpoints (endpoint_id, name, created_at, updated_at) VALUES ('e-1', 'old', 1, 1)")
        connection.exec_driver_sql(
            "INSERT INTO endpoint_models (mapping_id, endpoint_id, model_definition_id, ordinal, weight, linkage_type, created_at)"
            " VALUES ('m-1', 'e-1', 'd-1', 0, 0.25, 'PRIMARY', 1)"
        )
        connection.execute(schema.endpoint_tags.insert().values(endpoint_id="e-1", key="team", value="search"))
    assert database.upgrade("0002") == ["0002"]
    with database.read() as connection:
        assert connection.execute(
            sa.select(schema.endpoints.c.name, schema.endpoints.c.usage_tracking, schema.endpoints.c.experiment_id)
        ).all() == [("old", False, None)]
        assert connection.execute(sa.select(schema.endpoint_models.c.mapping_id, schema.endpoint_models.c.weight)).all() == [("m-1", 0.25)]
        assert connection.execute(sa.select(schema.endpoint_tags)).all() == [("e-1", "team", "search")]
    assert database.check() == Check(dialect=database.dialect, revision="0002", head=EVERY[-1])


def test_settings_and_new_counts_come_to_rows_that_are_there(open_database: Open) -> None:
    database = open_database()
    database.upgrade("0002")
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO endpoints (endpoint_id, name, created_at, updated_at, usage_tracking, experiment_id)"
            " VALUES ('e-1', 'old', 1, 1, TRUE, 7)"
        )
        connection.execute(schema.endpoint_tags.insert().values(endpoint_id="e-1", key="team", value="search"))
        connection.exec_driver_sql(
            "INSERT INTO attempts (call_id, attempt_no, provider, model, format, started_ns, status, response_id, input_tokens, provenance)"
            " VALUES ('c-1', 1, 'openai', 'gpt', 'openai.responses', 5, 'ok', 'resp_1', 11, 'reported')"
        )
    assert database.upgrade() == EVERY[2:]
    columns, counts = schema.endpoints.c, schema.attempts.c
    with database.read() as connection:
        assert connection.execute(sa.select(columns.name, columns.usage_tracking, columns.experiment_id, columns.settings)).all() == [
            ("old", True, 7, None)
        ]
        assert connection.execute(sa.select(schema.endpoint_tags)).all() == [("e-1", "team", "search")]
        assert connection.execute(
            sa.select(counts.response_id, counts.input_tokens, counts.image_input_tokens, counts.image_output_tokens, counts.service_tier)
        ).all() == [("resp_1", 11, None, None, None)]
        assert connection.execute(sa.select(schema.responses)).all() == []
    assert database.check().ok


def test_traces_that_are_there_are_found_by_whose_key_and_by_what_was_said(open_database: Open) -> None:
    database = open_database()
    database.upgrade("0004")
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO calls (call_id, process_id, received_ns, format, request_type, stream, caller, request_bytes, status, attempts)"
            " VALUES ('c-1', 'p', 1, 'openai.chat', 'x', FALSE, 'ann', 1, 'ok', 0)"
        )
        for trace_id, call_id in (("tr-1", "c-1"), ("tr-2", "c-gone")):
            connection.exec_driver_sql(
                "INSERT INTO traces (trace_id, experiment_id, call_id, name, state, request_time_ms, request_preview, exchange)"
                f" VALUES ('{trace_id}', 0, '{call_id}', 'n', 'OK', 1, 'where is the quokka', '')"
            )
    assert database.upgrade() == EVERY[4:]
    columns = schema.traces.c
    with database.read() as connection:
        rows = connection.execute(sa.select(columns.trace_id, columns.username).order_by(columns.trace_id)).all()
        assert rows == [("tr-1", "ann"), ("tr-2", None)]
        if database.dialect == "sqlite":
            query = fulltext.candidates(connection, Comparison("attribute", "text", "LIKE", "%quokka%"))
            assert query is not None
            assert sorted(connection.execute(query).scalars()) == ["tr-1", "tr-2"]
    assert database.check().ok


def test_two_runners_upgrade_one_database(open_database: Open) -> None:
    first = open_database()
    others = [open_database(first.url.render_as_string(hide_password=False)) for _ in range(3)]
    done: list[list[str]] = []
    ready = threading.Barrier(4)

    def run(database: Database) -> None:
        ready.wait()
        done.append(database.upgrade())

    threads = [threading.Thread(target=run, args=(database,)) for database in (first, *others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(step for steps in done for step in steps) == EVERY
    assert len(done) == 4
    assert first.check().ok


LOCKS = {
    "postgresql": (f"SELECT pg_advisory_lock({engine.UPGRADE_LOCK})", f"SELECT pg_advisory_unlock({engine.UPGRADE_LOCK})"),
    "mysql": ("SELECT GET_LOCK('spangate.upgrade', 0)", "SELECT RELEASE_LOCK('spangate.upgrade')"),
}


@pytest.mark.parametrize("dialect", ["postgresql", "mariadb"], indirect=True)
def test_an_upgrade_waits_for_another_one_however_long_it_takes(open_database: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY", 1.0)
    database = open_database()
    take, give = LOCKS[database.dialect]
    with database.write() as another, ThreadPoolExecutor(1) as pool:
        another.exec_driver_sql(take)
        upgrade = pool.submit(database.upgrade)
        with pytest.raises(TimeoutError):
            upgrade.result(timeout=2.5)
        assert database.current() is None
        another.exec_driver_sql(give)
        assert upgrade.result(timeout=60) == EVERY


@pytest.mark.parametrize("dialect", ["mariadb"], indirect=True)
def test_the_next_runner_sees_what_the_one_before_did(open_database: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """MySQL's lock is not the transaction's: it must be held until the step is committed."""
    database = open_database()
    seen: list[int | None] = []

    def before_commit(connection: sa.Connection) -> None:
        with database.read() as other:  # whose lock it is, as another session sees it
            seen.append(other.exec_driver_sql("SELECT IS_USED_LOCK('spangate.upgrade')").scalar())

    event.listen(database._writer, "commit", before_commit)  # pyright: ignore[reportPrivateUsage]
    assert database.upgrade() == EVERY
    assert len(seen) >= len(EVERY)
    assert None not in seen


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    ready = threading.Barrier(8)

    def write(database: Database) -> str:
        ready.wait()
        with database.write() as connection:
            return connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()

    with ThreadPoolExecutor(ready.parties) as pool:
        for number in range(20):  # most of which failed before they waited for one another
            databases = [Database(f"sqlite:///{tmp_path}/{number}.db") for _ in range(ready.parties)]
            assert set(pool.map(write, databases)) == {"wal"}
            for database in databases:
                database.close()


def test_a_failed_revision_leaves_nothing_in_the_way(open_database: Open, dialect: str) -> None:
    database = open_database()
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE open_calls (other INTEGER)")  # in the way of the last table of the first revision
    with pytest.raises(Unavailable):
        database.upgrade()
    with database.read() as connection:
        left = [name for name in sa.inspect(connection).get_table_names() if name != "open_calls"]
    assert left == [] or dialect == "mariadb"  # its DDL commits as it goes
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE open_calls")
    assert database.upgrade() == EVERY
    assert database.check().ok


@pytest.mark.parametrize("dialect", ["mariadb"], indirect=True)
@pytest.mark.parametrize("stops_at", range(1, 50, 7))
def test_a_revision_that_stopped_half_way_goes_on_where_it_was(open_database: Open, stops_at: int) -> None:
    database = open_database()
    made = 0

    def stop(_: object, __: object, statement: str, *___: object) -> None:
        nonlocal made
        if statement.lstrip().startswith(("CREATE", "ALTER")):
            made += 1
            if made == stops_at:
                raise Unavailable("the server went away")

    event.listen(database._writer, "before_cursor_execute", stop)
    with pytest.raises(Unavailable):
        database.upgrade()
    sa.event.remove(database._writer, "before_cursor_execute", stop)
    database.upgrade()
    assert database.check().ok


def test_a_newer_database_is_refused(open_database: Open) -> None:
    database = open_database()
    database.upgrade()
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match="9999"):
        database.upgrade()
    assert not database.check().ok


def test_check_names_what_drifted(open_database: Open) -> None:
    database = open_database()
    database.upgrade()
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE secrets ADD COLUMN plain_text VARCHAR(10)")
    check = database.check()
    assert not check.ok
    assert any("plain_text" in line for line in check.drift)


# ---------------------------------------------------------------- URLs and files


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg"),
        ("mysql://u@h/d", "mysql+pymysql"),
        ("mariadb://u@h/d", "mysql+pymysql"),
        ("sqlite:////tmp/x.db", "sqlite"),
    ],
)
def test_a_url_gets_the_driver_that_we_ship(given: str, driver: str) -> None:
    assert Database(given).url.drivername == driver


@pytest.mark.parametrize("given", ["sqlite://", "sqlite:///:memory:", "not a url", "foo://u@h/d", "postgresql+nope://u@h/d"])
def test_a_url_that_cannot_serve_is_refused(given: str) -> None:
    with pytest.raises(Invalid):
        Database(given)


def test_what_the_driver_said_is_for_the_log_alone_and_without_the_statement(open_database: Open) -> None:
    database = open_database()
    database.upgrade()
    with pytest.raises(Unavailable) as caught, database.read() as connection:
        connection.exec_driver_sql("SELECT no_such_column FROM calls")
    assert "no_such_column" not in caught.value.message
    assert "no_such_column" in caught.value.at_length
    assert "FROM calls" not in caught.value.at_length
    assert Unavailable("It is away.").at_length == "It is away."


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Database("postgresql://u:hunter2@h/d"))


def test_the_file_is_private(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/private.db")
    database.upgrade()
    with database.write():
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    database.close()
    assert modes.keys() >= {"private.db", "private.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_locked_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY", 0.05)
    database = Database(f"sqlite:///{tmp_path}/locked.db")
    database.upgrade()
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable), database.write():
        pass
    with database.read() as connection:  # readers never wait for a writer
        assert engine.version(connection) == 1
    other.execute("ROLLBACK")
    other.close()
    with database.write() as connection:
        assert engine.bump(connection) == 2
    database.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable), database.read():
        pass
    database.close()
