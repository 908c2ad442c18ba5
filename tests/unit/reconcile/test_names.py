import pytest

from spangate.reconcile.names import Alike, match, plain, undated


@pytest.mark.parametrize(
    ("name", "as_"),
    [
        ("openai/gpt-4.1-2025-04-14", "gpt-4-1-2025-04-14"),
        ("openai/gpt-oss-120b:free", "gpt-oss-120b"),
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("ft:gpt-4o:acme::1", "ft:gpt-4o:acme::1"),
    ],
)
def test_spelling_is_no_difference(name: str, as_: str) -> None:
    assert plain(name) == as_


@pytest.mark.parametrize("name", ["m-2025-04-14", "m-20250414", "m-latest", "m"])
def test_dates_come_off(name: str) -> None:
    assert undated(name) == "m"


def test_an_alias_is_taken_for_the_snapshot_that_it_was_billed_as() -> None:
    assert match({"gpt-5"}, {"gpt-5-2025-08-07"}) == (
        {"gpt-5": "gpt-5-2025-08-07", "gpt-5-2025-08-07": "gpt-5-2025-08-07"},
        [Alike("gpt-5-2025-08-07", ("gpt-5",), ("gpt-5-2025-08-07",))],
    )


def test_names_that_both_sides_have_stand_for_themselves() -> None:
    names = {"gpt-5", "gpt-5-2025-08-07"}
    assert match(names, names) == ({name: name for name in names}, [])


def test_two_snapshots_are_two_models() -> None:
    called, alike = match({"m-2025-01-01"}, {"m-2025-02-02"})
    assert (len(set(called.values())), alike) == (2, [])


def test_an_alias_that_may_be_any_of_several_snapshots_is_compared_with_all() -> None:
    called, alike = match({"m"}, {"m-2025-01-01", "m-2025-02-02"})
    assert len(set(called.values())) == 1
    assert alike[0].theirs == ("m-2025-01-01", "m-2025-02-02")


def test_a_model_of_one_side_only_is_left_alone() -> None:
    assert match({"a"}, {"b", "b-2025-01-01"}) == ({"a": "a", "b": "b", "b-2025-01-01": "b-2025-01-01"}, [])
