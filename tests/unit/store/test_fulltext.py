import random
import uuid
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, make_url
from tests.unit.store.conftest import Databases
from tests.unit.store.given import exchange, trace_id

from spangate.exchange import Content, Exchange, ProcessPosition, Settled, TraceEntry
from spangate.store import deletion, fulltext, traces
from spangate.store.engine import Database
from spangate.store.filters import Comparison
from spangate.store.writer import LedgerSink

ODD = (
    "aAbBiIkK\u0130\u0131\u212a\u00df\u1e9e\u03a3\u03c3\u03c2\u00e9\u00c9e\u0301\u0307"
    "%_*?[]^-!'\"\\ \n\u84ee\u306e\u82b1\U0001f64f\u0414\u0434\u037f\u03f3\uab70\u13a0"
)


def keep(database: Database, texts: dict[int, tuple[str | None, str | None]]) -> None:
    """Traces by number, each with a question and an answer."""

    def entry(exchange: Exchange, content: Content | None) -> TraceEntry:
        asked, said = texts[int(exchange.call_id[-12:], 16)]
        return TraceEntry(name="gateway/chat", state="OK", request_preview=asked, response_preview=said)

    records = [Settled(seq=seq, exchange=exchange(number)) for seq, number in enumerate(texts, 1)]
    position = ProcessPosition(f"p-{uuid.uuid4()}", 1, 1, len(records))
    assert LedgerSink(database, entry).keep(None, position, records, gaps=[])


def found(connection: Connection, filter: str) -> list[int]:
    rows, _ = traces.search(connection, experiment_ids=["0"], filter=filter, max_results=500)
    return [int(row.call_id[-12:], 16) for row in rows]


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture
def sqlite(database: Database) -> Database:
    if database.dialect != "sqlite":
        pytest.skip("of FTS5")
    return database


def test_it_finds_what_a_look_at_every_trace_finds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(11)

    def text(longest: int) -> str:
        return "".join(rng.choices(ODD, k=rng.randrange(longest)))

    texts = {number: (rng.choice((None, text(40))), rng.choice((None, text(40)))) for number in range(1, 301)}
    keep(database, texts)
    said = [part for pair in texts.values() for part in pair if part]
    hits = 0
    for _ in range(400):
        whole = rng.choice(said)
        first = rng.randrange(len(whole))
        needle = whole[first : first + rng.randrange(1, 12)]
        needle = rng.choice((str, str.lower, str.upper, str.swapcase))(needle)
        pattern = rng.choice(("%{}%", "{}%", "%{}", "{}", "%{}_%{}%")).format(needle, text(4))
        key = rng.choice(("text", "metadata.`mlflow.traceInputs`", "metadata.`mlflow.traceOutputs`"))
        op = rng.choice(("LIKE", "LIKE", "ILIKE", "ILIKE", "="))
        filter = f"{key} {op} {quoted(whole if op == '=' else pattern)}"
        with database.read() as connection:
            indexed = found(connection, filter)
        with monkeypatch.context() as patched, database.read() as connection:
            patched.setattr(fulltext, "candidates", lambda *_: None)
            if database.dialect == "postgresql":
                connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            assert found(connection, filter) == indexed, filter
        hits += bool(indexed)
    assert hits > 100


def test_postgresql_finds_the_same_along_its_index(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("of pg_trgm")
    keep(database, {number: (f"What is {number}?", f"It is the {number}th Quokka") for number in range(1, 200)})
    for filter in ("text LIKE '%is 17%'", "text ILIKE '%QUOKKA%'", "text LIKE '%9th Qu_kka%'"):
        with database.read() as connection:
            expected = found(connection, filter)
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_indexscan = off")
            assert expected
            assert found(connection, filter) == expected


@pytest.mark.parametrize("comparison", ["LIKE '%s th%'", "ILIKE '%S TH%'", "= 'x%y'", "IN ('a', 'b')", "RLIKE '[0-9]+th'", "IS NULL"])
def test_any_comparison_with_a_preview_can_be_asked_for(database: Database, comparison: str) -> None:
    keep(database, {number: (f"What is {number}?", f"It is the {number}th Quokka") for number in range(1, 5)})
    with database.read() as connection:
        found_ = found(connection, f"metadata.`mlflow.traceOutputs` {comparison}")
    assert found_ == ([4, 3, 2, 1] if "th" in comparison.lower() else [])


def test_whatever_python_lowers_is_found_by_its_lower_case(sqlite: Database) -> None:
    cased = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF and chr(code).lower() != chr(code)]
    keep(sqlite, {number: (f"qq{character}", None) for number, character in enumerate(cased, 1)})
    asked = 0
    with sqlite.read() as connection:
        for number, character in enumerate(cased, 1):
            query = fulltext.candidates(connection, Comparison("attribute", "text", "ILIKE", f"%qq{character.lower()}%"))
            if query is not None:
                assert trace_id(number) in connection.execute(query).scalars().all(), hex(ord(character))
                asked += 1
    assert asked > 300


@pytest.mark.parametrize("op", ["LIKE", "ILIKE"])
@pytest.mark.parametrize("pattern", ["%ab%", "a%b_c", "%", "", "%\uab70\uab70\uab70%"])
def test_what_has_no_trigram_of_use_is_looked_for_without(sqlite: Database, op: str, pattern: str) -> None:
    if op == "LIKE" and "\uab70" in pattern:
        return  # heeding case, any three characters are of use
    with sqlite.read() as connection:
        assert fulltext.candidates(connection, Comparison("attribute", "text", op, pattern)) is None


def test_what_goes_is_not_in_the_index_either(sqlite: Database) -> None:
    keep(sqlite, {1: ("where is the quokka", "in the tree"), 2: ("a quokka", None), 3: (None, "no quokka"), 4: (None, None)})

    def there() -> list[str]:
        with sqlite.read() as connection:
            query = fulltext.candidates(connection, Comparison("attribute", "text", "LIKE", "%quokka%"))
            assert query is not None
            return sorted(connection.execute(query).scalars())

    assert there() == [trace_id(1), trace_id(2), trace_id(3)]
    with sqlite.write() as connection:
        deletion.content(connection, [trace_id(1)])
    assert there() == [trace_id(2), trace_id(3)]
    with sqlite.write() as connection:
        deletion.trace(connection, [trace_id(3), trace_id(2)])
    assert there() == []
    with sqlite.write() as connection:
        deletion.trace(connection, [trace_id(1), trace_id(4)])
        connection.exec_driver_sql("INSERT INTO trace_search (trace_search) VALUES ('integrity-check')")
        assert connection.exec_driver_sql("SELECT count(*) FROM trace_search_docs").scalar() == 0


def test_a_trace_in_which_nothing_is_said_is_not_in_the_index(sqlite: Database) -> None:
    keep(sqlite, {1: (None, None), 2: ("a quokka", None)})

    def documents() -> list[str]:
        with sqlite.read() as connection:
            return list(connection.exec_driver_sql("SELECT trace_id FROM trace_search_docs").scalars())

    assert documents() == [trace_id(2)]
    with sqlite.write() as connection:
        deletion.content(connection, [trace_id(2)])
    assert documents() == []


def test_the_index_is_merged_piece_by_piece_and_never_by_whoever_writes(sqlite: Database) -> None:
    def pages() -> int:
        with sqlite.read() as connection:
            return connection.exec_driver_sql("SELECT count(*) FROM trace_search_data").scalar_one()

    def fold() -> bool:
        with sqlite.write() as connection:
            return fulltext.fold(connection)

    rng = random.Random(3)
    for batch in range(12):
        texts = {batch * 20 + number: ("".join(rng.choices(ODD, k=900)), None) for number in range(20)}
        keep(sqlite, texts | {batch * 20: ("the quokka", None)})
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("SELECT v FROM trace_search_config WHERE k = 'automerge'").scalar() == 0
    before, pieces = pages(), 0
    while fold():
        pieces += 1
    assert pieces > 2
    assert pages() < before
    assert not fold()
    with sqlite.read() as connection:
        assert found(connection, "text LIKE '%quokka%'") == [batch * 20 for batch in reversed(range(12))]
    with sqlite.write() as connection:
        connection.exec_driver_sql("INSERT INTO trace_search (trace_search) VALUES ('integrity-check')")


def test_traces_keep_their_place_in_the_index_when_the_file_is_written_anew(sqlite: Database) -> None:
    keep(sqlite, {number: (f"number {number:04d}", None) for number in range(1, 50)})
    with sqlite.write() as connection:
        deletion.trace(connection, [trace_id(number) for number in range(1, 40)])
    sqlite.compact()
    with sqlite.read() as connection:
        assert found(connection, "text LIKE '%0045%'") == [45]


def test_many_traces_that_may_match_are_gone_through_in_the_order_of_time(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(sqlite, dict.fromkeys(range(1, 30), ("all alike", None)))
    monkeypatch.setattr(traces, "FEW_TEXTS", 10)
    with sqlite.read() as connection:
        assert found(connection, "text LIKE '%all%' AND text LIKE '%alike%'") == list(range(29, 0, -1))


# ---------------------------------------------------------------- where it cannot be had


@pytest.fixture
def without(open_database: Callable[..., Database]) -> Database:
    database = open_database()
    database.upgrade()
    drops = {
        "sqlite": [
            *(f"DROP TRIGGER trace_search_{when}" for when in ("added", "removed", "changed")),
            "DROP TABLE trace_search",
            "DROP TABLE trace_search_docs",
        ],
        "postgresql": ["DROP INDEX ix_traces_previews"],
    }
    with database.write() as connection:
        for statement in drops.get(database.dialect, []):
            connection.exec_driver_sql(statement)
    return database


def test_without_the_index_it_finds_the_same_and_check_says_so(without: Database) -> None:
    keep(without, {1: ("where is the quokka", None), 2: ("here", "Quokka")})
    with without.read() as connection:
        assert found(connection, "text ILIKE '%QUOKKA%'") == [2, 1]
    check = without.check()
    assert check.ok
    assert bool(check.notes) == (without.dialect in ("sqlite", "postgresql"))


@pytest.fixture
def stranger(postgresql: Databases) -> Iterator[str]:
    """The URL of a database in which its user may make tables and no extensions."""
    url = make_url(postgresql.fresh())
    name = f"spangate_stranger_{uuid.uuid4().hex[:8]}"
    owner = sa.create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
        connection.exec_driver_sql(f"GRANT USAGE, CREATE ON SCHEMA public TO {name}")
    yield url.set(username=name, password=None).render_as_string(hide_password=False)
    with owner.connect() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")
    owner.dispose()
    postgresql.drop(url.render_as_string(hide_password=False))


def test_who_may_make_no_extension_goes_without(stranger: str) -> None:
    database = Database(stranger)
    try:
        database.upgrade()
        check = database.check()
        assert check.ok
        assert "CREATE EXTENSION pg_trgm" in check.notes[0]
        keep(database, {1: ("where is the quokka", None)})
        with database.read() as connection:
            assert found(connection, "text LIKE '%quokka%'") == [1]
            assert sa.inspect(connection).has_table("traces")
    finally:
        database.close()
