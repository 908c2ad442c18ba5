import pytest
import sqlalchemy as sa
from tests.unit.store.given import T0

from spangate.store import experiments
from spangate.store.engine import Database, version
from spangate.store.experiments import Experiment
from spangate.store.faults import AlreadyExists, Invalid, NotFound


def test_the_default_experiment_is_there(database: Database) -> None:
    with database.read() as connection:
        default = experiments.get(connection, "0")
    assert (default.experiment_id, default.name, default.lifecycle_stage, default.tags) == ("0", "Default", "active", {})


def test_an_experiment_is_created_and_read(database: Database) -> None:
    with database.write() as connection:
        made = experiments.create(connection, name="exp é", tags={"a": "b"}, artifact_location="s3://bucket/x", now=T0)
    assert made == "1"
    whole = Experiment(
        experiment_id="1",
        name="exp é",
        artifact_location="s3://bucket/x",
        lifecycle_stage="active",
        created_at=T0,
        updated_at=T0,
        tags={"a": "b"},
    )
    with database.read() as connection:
        assert experiments.get(connection, "1") == whole
        assert experiments.get_by_name(connection, "exp é") == whole


def test_an_id_is_never_given_out_twice(database: Database) -> None:
    with database.write() as connection:
        assert [experiments.create(connection, name=name, now=T0) for name in "abc"] == ["1", "2", "3"]
        experiments.delete(connection, "3", now=T0)
        connection.execute(sa.text("DELETE FROM experiments WHERE experiment_id = 3"))  # as retention might, some day
    with database.write() as connection:
        assert experiments.create(connection, name="d", now=T0) == "4"


def test_a_taken_name_is_refused_in_words(database: Database) -> None:
    with database.write() as connection:
        experiments.create(connection, name="exp", now=T0)
        experiments.delete(connection, experiments.create(connection, name="gone", now=T0), now=T0)
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        experiments.create(connection, name="exp", now=T0)
    assert fault.value.message == "Experiment 'exp' already exists."
    with pytest.raises(AlreadyExists, match="deleted state"), database.write() as connection:
        experiments.create(connection, name="gone", now=T0)


@pytest.mark.parametrize("name", ["", "x" * 501, "a\x00"])
def test_a_name_that_cannot_be_kept_is_refused(database: Database, name: str) -> None:
    with pytest.raises(Invalid), database.write() as connection:
        experiments.create(connection, name=name, now=T0)


@pytest.mark.parametrize("missing", ["99999", "abc", "-1", "", "\u0661", "9" * 40])
def test_what_is_not_there_is_not_found(database: Database, missing: str) -> None:
    with pytest.raises(NotFound) as fault, database.read() as connection:
        experiments.get(connection, missing)
    assert fault.value.message == f"No Experiment with id={missing} exists"
    for change in (
        lambda connection: experiments.rename(connection, missing, "x", now=T0),
        lambda connection: experiments.delete(connection, missing, now=T0),
        lambda connection: experiments.restore(connection, missing, now=T0),
        lambda connection: experiments.set_tag(connection, missing, "k", "v"),
    ):
        with pytest.raises(NotFound), database.write() as connection:
            change(connection)


def test_a_name_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound) as fault, database.read() as connection:
        experiments.get_by_name(connection, "nope-missing")
    assert fault.value.message == "Could not find experiment with name 'nope-missing'"


def test_delete_and_restore(database: Database) -> None:
    with database.write() as connection:
        made = experiments.create(connection, name="exp", now=T0)
        experiments.delete(connection, made, now=T0 + 1)
        gone = experiments.get(connection, made)
        assert (gone.lifecycle_stage, gone.updated_at) == ("deleted", T0 + 1)
        assert experiments.get_by_name(connection, "exp") == gone
        with pytest.raises(NotFound):
            experiments.delete(connection, made, now=T0)
        with pytest.raises(Invalid):
            experiments.rename(connection, made, "other", now=T0)
        with pytest.raises(Invalid) as fault:
            experiments.set_tag(connection, made, "k", "v")
        assert fault.value.message == f"The experiment {made} must be in the 'active' state. Current state is deleted."
        experiments.restore(connection, made, now=T0 + 2)
        assert experiments.get(connection, made).lifecycle_stage == "active"
        with pytest.raises(NotFound):
            experiments.restore(connection, made, now=T0)


def test_rename(database: Database) -> None:
    with database.write() as connection:
        made = experiments.create(connection, name="exp", now=T0)
        experiments.rename(connection, made, "exp2", now=T0 + 1)
        experiments.rename(connection, made, "exp2", now=T0 + 2)
        assert (experiments.get(connection, made).name, experiments.get(connection, made).updated_at) == ("exp2", T0 + 2)
        with pytest.raises(AlreadyExists):
            experiments.rename(connection, made, "Default", now=T0)


def test_tags_are_set_changed_and_deleted(database: Database) -> None:
    with database.write() as connection:
        made = experiments.create(connection, name="exp", now=T0)
        experiments.set_tag(connection, made, "k", "v")
        experiments.set_tag(connection, made, "k", "w" * 20_000)
        assert experiments.get(connection, made).tags == {"k": "w" * 20_000}
        experiments.delete_tag(connection, made, "k")
        assert experiments.get(connection, made).tags == {}
        with pytest.raises(NotFound, match="No tag with name: k"):
            experiments.delete_tag(connection, made, "k")


# ---------------------------------------------------------------- search


@pytest.fixture
def named(database: Database) -> Database:
    """Default, Exp-a, exp-b (deleted), exp%c, made one millisecond after the other."""
    with database.write() as connection:
        experiments.create(connection, name="Exp-a", tags={"team": "search"}, now=T0)
        experiments.delete(connection, experiments.create(connection, name="exp-b", now=T0 + 1), now=T0 + 50)
        experiments.create(connection, name="exp%c", tags={"team": "ads", "a.b": "1"}, now=T0 + 2)
    return database


def found(database: Database, **asked: object) -> list[str]:
    with database.read() as connection:
        page, token = experiments.search(connection, **asked)  # type: ignore[arg-type]
    assert token is None
    return [experiment.name for experiment in page]


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ("name = 'Exp-a'", ["Exp-a"]),
        ("name != 'Exp-a' AND creation_time < 1700000000010", ["exp%c"]),
        ("name LIKE 'exp%'", ["exp%c"]),
        ("name LIKE 'Exp-_'", ["Exp-a"]),
        ("name ILIKE 'EXP%'", ["exp%c", "Exp-a"]),
        ("tags.team = 'search'", ["Exp-a"]),
        ("tags.team != 'search'", ["exp%c"]),
        ("tags.`a.b` = '1'", ["exp%c"]),
        ('tag."team" ILIKE "AD%"', ["exp%c"]),
        ("tags.none = 'x'", []),
        ("last_update_time >= 1700000000002 AND last_update_time <= 1700000000002", ["exp%c"]),
    ],
)
def test_a_filter_finds(named: Database, filter: str, names: list[str]) -> None:
    assert found(named, filter=filter) == names


def test_a_view_shows_the_stages_it_says(named: Database) -> None:
    older = "creation_time < 1700000000010"
    assert found(named, filter=older) == ["exp%c", "Exp-a"]
    assert found(named, filter=older, view="DELETED_ONLY") == ["exp-b"]
    assert found(named, filter=older, view="ALL") == ["exp%c", "exp-b", "Exp-a"]
    with pytest.raises(Invalid), named.read() as connection:
        experiments.search(connection, view="SOME")


@pytest.mark.parametrize(
    ("order_by", "ids"),
    [
        (["creation_time ASC"], ["1", "2", "3", "0"]),
        (["creation_time DESC"], ["0", "3", "2", "1"]),
        (["experiment_id"], ["0", "1", "2", "3"]),
        (["last_update_time DESC", "name ASC"], ["0", "2", "3", "1"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_follow_the_order(named: Database, order_by: list[str], ids: list[str], size: int) -> None:
    got: list[str] = []
    token = None
    with named.read() as connection:
        while True:
            page, token = experiments.search(connection, order_by=order_by, view="ALL", max_results=size, page_token=token)
            assert len(page) <= size
            got += [experiment.experiment_id for experiment in page]
            if token is None:
                break
    assert got == ids


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "colour = 'red'"},
        {"filter": "metadata.x = 'y'"},
        {"filter": "name > 'a'"},
        {"filter": "creation_time = 'now'"},
        {"order_by": ["colour"]},
        {"order_by": ["tags.team"]},
        {"max_results": 0},
        {"max_results": 50_001},
        {"page_token": "what"},
    ],
)
def test_a_wrong_search_is_refused(database: Database, asked: dict[str, object]) -> None:
    with pytest.raises(Invalid), database.read() as connection:
        experiments.search(connection, **asked)  # type: ignore[arg-type]


def test_each_write_is_a_change(database: Database) -> None:
    with database.write() as connection:
        before = version(connection)
        made = experiments.create(connection, name="exp", now=T0)
        experiments.rename(connection, made, "exp2", now=T0)
        experiments.set_tag(connection, made, "k", "v")
        experiments.delete_tag(connection, made, "k")
        experiments.delete(connection, made, now=T0)
        experiments.restore(connection, made, now=T0)
        assert version(connection) == before + 6
