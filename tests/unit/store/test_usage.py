import random
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, postgresql, sqlite
from tests.unit.store.given import seeds

from spangate.store import accounts, periods, schema, usage
from spangate.store.accounts import Dimension
from spangate.store.buckets import pieces
from spangate.store.engine import Database
from spangate.store.faults import Invalid
from spangate.store.periods import DAY, HOUR, QUARTER, Step, zone_of
from spangate.store.usage import Filter, Measures, Question, Times, Usage

UTC = zone_of("UTC")
NOVEMBER = 1_793_491_200_000  # 2026-11-01: a week after Berlin's clocks are changed, on the day that New York's are


class Fact(NamedTuple):
    at: int
    who: Dimension
    measures: accounts.Measures


def dimension(**changes: str) -> Dimension:
    facts = {"endpoint_id": "e-1", "endpoint": "chat", "provider": "openai", "model": "gpt-5", "key_id": "k-1", "key_name": "laptop"}
    return Dimension(**(facts | {"owner": "ann", "team": "search", "status": "ok", "price_id": "p-1"} | changes))


def measured(pico: int = 0, durations: tuple[int, ...] = (), **counts: int) -> accounts.Measures:
    """`durations` in ms, of calls."""
    measures = accounts.Measures()
    for name, number in counts.items():
        measures.add(name, number)
    for ms in durations:
        measures.add("calls", 1)
        measures.add("duration_ms", ms)
        measures.durations.add(ms * 1_000_000)
    measures.pico = pico
    return measures


def kept(database: Database, facts: list[Fact]) -> None:
    into: accounts.Contributions = {}
    for at, who, measures in facts:
        into.setdefault((at - at % QUARTER, who), accounts.Measures()).merge(measures)
    with database.write() as connection:
        accounts.apply(connection, into)


def asked(database: Database, **question: Any) -> Usage:
    with database.read() as connection:
        return usage.usage(connection, Question(**{"since": NOVEMBER, "until": NOVEMBER + DAY, "zone": UTC, **question}))


def costs(found: Usage) -> list[tuple[Any, int | None]]:
    return [(row.group, row.measures.cost_pico) for row in found.rows]


# ---------------------------------------------------------------- every sum is exact

TEAMS, MODELS, STATUSES, PRICES = ("search", "ads", ""), ("gpt-5", "claude", "o4"), ("ok", "error"), ("p-1", "p-2", "")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana")


def random_facts(dice: random.Random, about: int) -> Iterator[Fact]:
    for _ in range(300):
        who = dimension(team=dice.choice(TEAMS), model=dice.choice(MODELS), status=dice.choice(STATUSES), price_id=dice.choice(PRICES))
        measures = measured(dice.randrange(10**14), calls=dice.randrange(3), attempts=1, input_tokens=dice.randrange(10**6))
        yield Fact(about + dice.randrange(-4 * DAY, 4 * DAY), who, measures)


def added_up(facts: list[Fact], found: Usage, starts: list[int], groups: tuple[str, ...], filters: tuple[Filter, ...]) -> dict[Any, Any]:
    sums: defaultdict[Any, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for at, who, measures in facts:
        wanted = all((who.team in filter.values) is not filter.none_of for filter in filters)
        if found.since <= at < found.until and wanted:
            place = bisect_right(starts, at) - 1, tuple(getattr(who, {"price": "price_id"}.get(noun, noun)) for noun in groups)
            numbers = measures.counts.get("calls", 0), measures.counts["attempts"], measures.counts.get("input_tokens", 0), measures.pico
            sums[place] = [mine + more for mine, more in zip(sums[place], numbers, strict=True)]
    return sums


def told(found: Usage, starts: list[int]) -> dict[Any, Any]:
    return {
        (starts.index(row.since), row.group): [
            row.measures.calls,
            row.measures.attempts,
            row.measures.input_tokens,
            row.measures.cost_pico or 0,
        ]
        for row in found.rows
        if row.measures.attempts
    }


@seeds(4)
def test_any_range_in_any_zone_by_any_group_adds_up_to_what_was_written(database: Database, seed: int) -> None:
    dice = random.Random(seed)
    # About days on which clocks are changed: Berlin's and Havana's, New York's, Lord Howe's.
    about = (1_792_890_000_000, NOVEMBER, 1_791_043_200_000, 1_775_314_800_000)[seed]
    facts = list(random_facts(dice, about))
    kept(database, facts)
    for _ in range(40):
        zone = zone_of(dice.choice(ZONES))
        since = about + dice.randrange(-4 * DAY, 3 * DAY)
        until = since + dice.choice([dice.randrange(1, 2 * HOUR), dice.randrange(1, 6 * DAY)])
        step = dice.choice([None, *Step])
        groups = tuple(dice.sample(("team", "model", "status", "price"), dice.randrange(3)))
        filters = dice.choice([(), (Filter("team", (dice.choice(TEAMS),), none_of=dice.random() < 0.5),)])
        found = asked(database, since=since, until=until, zone=zone, step=step, groups=groups, filters=filters)
        assert (found.since, found.until) == (since - since % QUARTER, until + -until % QUARTER)
        starts = [found.since] if step is None else periods.starts(found.since, found.until, step, zone)
        expected = added_up(facts, found, starts, groups, filters)
        assert told(found, starts) == expected, (str(zone), since, until, step, groups, filters)
        whole = [sum(column) for column in zip(*expected.values(), strict=True)] or [0, 0, 0, 0]
        total = found.total.measures
        assert [total.calls, total.attempts, total.input_tokens, total.cost_pico or 0] == whole


# ---------------------------------------------------------------- what is told


def test_measures_are_told_with_what_is_not_known(database: Database) -> None:
    tokens = {"input_tokens": 900, "output_tokens": 100}
    kept(
        database,
        [
            Fact(NOVEMBER, dimension(price_id=""), measured(durations=(100, 200))),
            Fact(NOVEMBER, dimension(price_id="", status="timeout"), measured(durations=(9_000,))),
            Fact(NOVEMBER, dimension(), measured(5, attempts=2, **tokens)),
            Fact(
                NOVEMBER,
                dimension(price_id=""),
                measured(
                    attempts=3, **tokens, unpriced_attempts=2, unpriced_input_tokens=900, unpriced_output_tokens=100, unknown_attempts=1
                ),
            ),
            Fact(
                NOVEMBER,
                dimension(),
                measured(7, attempts=1, input_tokens=0, output_tokens=2_000, estimated_attempts=1, estimated_output_tokens=2_000),
            ),
        ],
    )
    found = asked(database, percentiles=True).total.measures
    counts = {"calls": 3, "errors": 1, "attempts": 6, "input_tokens": 1_800, "output_tokens": 2_200}
    assert found == Measures(
        **{name: counts.get(name, 0) for name in usage.COUNTS},
        cost_pico=12,
        unpriced_attempts=2,
        unpriced_tokens=1_000,
        estimated_attempts=1,
        estimated_tokens=2_000,
        unknown_attempts=1,
        latency=found.latency,
        first_token=None,
    )
    assert found.latency is not None
    assert (found.latency.calls, found.latency.mean) == (3, 3_100)
    assert found.latency.p50 == pytest.approx(200, rel=0.1)
    assert found.latency.p99 == pytest.approx(9_000, rel=0.1)
    assert (found.unpriced_share, found.estimated_share) == (0.25, 0.5)
    assert asked(database).total.measures.latency is None


def test_what_nothing_is_priced_of_costs_nobody_knows_what_and_nothing_costs_nothing(database: Database) -> None:
    kept(
        database,
        [Fact(NOVEMBER, dimension(price_id=""), measured(attempts=1, input_tokens=9, unpriced_attempts=1, unpriced_input_tokens=9))],
    )
    assert asked(database).total.measures.cost_pico is None
    nothing = asked(database, since=NOVEMBER - DAY, until=NOVEMBER).total.measures
    assert (nothing.cost_pico, nothing.calls, nothing.unpriced_share, nothing.estimated_share) == (0, 0, None, None)


def test_sums_of_money_are_exact_beyond_what_a_databases_integer_holds(database: Database) -> None:
    most = 2**63 - 1
    kept(database, [Fact(NOVEMBER + hour * HOUR, dimension(), measured(most, attempts=1)) for hour in range(24)])
    assert asked(database).total.measures.cost_pico == 24 * most
    assert asked(database, since=NOVEMBER + QUARTER).total.measures.cost_pico == 23 * most


def test_percentiles_of_a_day_are_those_of_all_its_calls(database: Database) -> None:
    dice = random.Random(1)
    took = sorted(round(dice.lognormvariate(6, 1)) + 1 for _ in range(400))
    facts = [Fact(NOVEMBER + dice.randrange(DAY), dimension(price_id=""), measured(durations=(ms,))) for ms in took]
    kept(database, facts)
    for question in ({}, {"step": Step.day}, {"groups": ("team",), "zone": zone_of("Asia/Kolkata")}):
        (row,) = asked(database, percentiles=True, **question).rows
        times = row.measures.latency
        assert times is not None
        assert (times.calls, times.mean) == (400, sum(took) / 400)
        for name, p in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert getattr(times, name) == pytest.approx(took[int(p * 400)], rel=0.15), name
    by_hour = asked(database, percentiles=True, step=Step.hour).rows
    assert sum(row.measures.latency.calls for row in by_hour if isinstance(row.measures.latency, Times)) == 400


def test_groups_come_by_cost_and_the_rest_of_the_top_as_one(database: Database) -> None:
    models = {"a": 5, "b": 40, "c": 30, "d": 1}
    for day in range(2):
        kept(database, [Fact(NOVEMBER + day * DAY, dimension(model=name), measured(pico, attempts=1)) for name, pico in models.items()])
    both = {"groups": ("model",), "until": NOVEMBER + 2 * DAY}
    assert costs(asked(database, **both)) == [(("b",), 80), (("c",), 60), (("a",), 10), (("d",), 2)]
    assert costs(asked(database, **both, top=2)) == [(("b",), 80), (("c",), 60), (None, 12)]
    assert costs(asked(database, **both, top=4)) == costs(asked(database, **both))
    series = asked(database, **both, top=2, step=Step.day)
    assert costs(series) == [(("b",), 40), (("c",), 30), (None, 6)] * 2
    assert series.total.measures.cost_pico == 152


@pytest.mark.parametrize("groups", [("team", "model"), ("tag:env", "key")])
def test_the_top_is_of_groups_as_a_whole(database: Database, groups: tuple[str, ...]) -> None:
    facts = [Fact(NOVEMBER, dimension(team=team, model=model), measured(pico, attempts=1)) for team, model, pico in
             (("x", "1", 9), ("x", "2", 1), ("y", "1", 2), ("y", "2", 8))]  # fmt: skip
    kept(database, facts)
    found = asked(database, groups=groups, top=1, step=Step.day)
    expected = [(("x", "1"), 9), (None, 11)] if groups == ("team", "model") else [(("", "laptop"), 20)]
    assert costs(found) == expected


@pytest.mark.parametrize(("order", "first"), [("cost", "a"), ("tokens", "b"), ("calls", "c"), ("errors", "d")])
def test_an_order_can_be_asked_for(database: Database, order: str, first: str) -> None:
    facts = [
        Fact(NOVEMBER, dimension(model="a"), measured(9, attempts=1)),
        Fact(NOVEMBER, dimension(model="b"), measured(1, attempts=1, output_tokens=9)),
        Fact(NOVEMBER, dimension(model="c"), measured(1, calls=9)),
        Fact(NOVEMBER, dimension(model="d", status="error"), measured(1, calls=5)),
    ]
    kept(database, facts)
    assert asked(database, groups=("model",), order=order).rows[0].group == (first,)


def test_a_series_of_everything_has_no_gaps_and_one_of_groups_has_what_there_was(database: Database) -> None:
    kept(database, [Fact(NOVEMBER + HOUR, dimension(), measured(3, calls=1))])
    whole = asked(database, step=Step.hour, until=NOVEMBER + 3 * HOUR)
    assert [(row.since, row.until, row.measures.calls) for row in whole.rows] == [
        (NOVEMBER, NOVEMBER + HOUR, 0),
        (NOVEMBER + HOUR, NOVEMBER + 2 * HOUR, 1),
        (NOVEMBER + 2 * HOUR, NOVEMBER + 3 * HOUR, 0),
    ]
    by_team = asked(database, step=Step.hour, until=NOVEMBER + 3 * HOUR, groups=("team",))
    assert [(row.since, row.group) for row in by_team.rows] == [(NOVEMBER + HOUR, ("search",))]


def test_a_comparison_tells_of_the_period_before_also_where_nothing_is_left(database: Database) -> None:
    kept(
        database,
        [
            Fact(NOVEMBER - DAY, dimension(team="gone"), measured(7, calls=1)),
            Fact(NOVEMBER - HOUR, dimension(), measured(2, calls=1)),
            Fact(NOVEMBER, dimension(), measured(5, calls=4)),
            Fact(NOVEMBER - 31 * DAY, dimension(), measured(11, calls=1)),
        ],
    )
    found = asked(database, groups=("team",), compare=True)
    assert found.previous == (NOVEMBER - DAY, NOVEMBER)
    assert [(row.group, row.measures.calls, row.previous and row.previous.calls) for row in found.rows] == [
        (("search",), 4, 1),
        (("gone",), 0, 1),
    ]
    assert found.total.previous is not None
    assert (found.total.measures.cost_pico, found.total.previous.cost_pico) == (5, 9)
    month = asked(database, until=NOVEMBER + 30 * DAY, compare=True, step=Step.month)
    assert month.previous == (NOVEMBER - 31 * DAY, NOVEMBER)
    assert month.rows[0].previous is not None
    assert month.rows[0].previous.cost_pico == 20
    days = asked(database, since=NOVEMBER, until=NOVEMBER + 2 * DAY, compare=True, step=Step.day, groups=("team",))
    assert [(row.since, row.group, row.measures.calls, row.previous and row.previous.calls) for row in days.rows] == [
        (NOVEMBER, ("search",), 4, 0),
        (NOVEMBER + DAY, ("search",), 0, 1),
        (NOVEMBER + DAY, ("gone",), 0, 1),
    ]
    assert asked(database, groups=("team",)).rows[0].previous is None


def test_endpoints_and_keys_have_todays_names_and_keys_their_tags(database: Database) -> None:
    with database.write() as connection:
        stamp = {"created_at": 1, "updated_at": 1}
        connection.execute(schema.endpoints.insert().values(endpoint_id="e-1", name="chat-new", **stamp))
        key = {"digest": "d", "hint": "h", "role": "viewer", "scopes": "[]"}
        connection.execute(schema.api_keys.insert().values(key_id="k-1", name="desktop", **key, **stamp))
        for name, value in (("env", "prod"), ("site", "berlin")):
            connection.execute(schema.api_key_tags.insert().values(key_id="k-1", key=name, value=value))
    kept(
        database,
        [
            Fact(NOVEMBER, dimension(), measured(4, attempts=1)),
            Fact(NOVEMBER, dimension(endpoint="chat-old", key_name="laptop-old"), measured(5, attempts=1)),
            Fact(NOVEMBER, dimension(endpoint_id="e-2", endpoint="gone", key_id="k-2", key_name="lost"), measured(2, attempts=1)),
            Fact(NOVEMBER, dimension(endpoint_id="", endpoint="", key_id="", key_name=""), measured(1, attempts=1)),
        ],
    )
    assert costs(asked(database, groups=("endpoint",))) == [(("chat-new",), 9), (("gone",), 2), (("",), 1)]
    assert costs(asked(database, groups=("key",))) == [(("desktop",), 9), (("lost",), 2), (("",), 1)]
    assert costs(asked(database, groups=("tag:env", "tag:site"))) == [(("prod", "berlin"), 9), (("", ""), 3)]
    for filter, pico in (("tag:env=prod", 9), ("tag:env!=prod", 3), ("tag:env=", 3), ("endpoint=chat-new", 9), ("key!=desktop", 3)):
        assert asked(database, filters=usage.filters([filter])).total.measures.cost_pico == pico, filter
    assert asked(database, endpoints=["e-2"]).total.measures.cost_pico == 2
    assert asked(database, endpoints=[]).total.measures.cost_pico == 0


def test_filters_of_one_noun_are_any_of_its_values(database: Database) -> None:
    for number, model in enumerate(("a", "b", "c")):
        kept(database, [Fact(NOVEMBER, dimension(model=model, team=model), measured(10**number, attempts=1))])
    for said, pico in (
        (["model=a", "model=b"], 11),
        (["model!=a", "model!=b"], 100),
        (["model=a", "team=b"], 0),
        (["model=a", "model=b", "team!=b"], 1),
        (["model=' OR 1=1 --"], 0),
    ):
        assert asked(database, filters=usage.filters(said)).total.measures.cost_pico == pico, said


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("said", ["", "team", "=a", "Team=a", "tag:=a", "team>a", "team =a"])
def test_what_is_no_filter_is_refused(said: str) -> None:
    with pytest.raises(Invalid):
        usage.filters([said])


def test_a_filters_value_is_all_that_comes_after_the_sign() -> None:
    assert usage.filters(["team=a=b", "tag:cost center!=", "team=c\nd"]) == (
        Filter("team", ("a=b", "c\nd")),
        Filter("tag:cost center", ("",), none_of=True),
    )


@pytest.mark.parametrize(
    "question",
    [
        {"since": NOVEMBER, "until": NOVEMBER},
        {"groups": ("user",)},
        {"groups": ("team", "team")},
        {"groups": ("tag:",)},
        {"groups": ("tag:" + "x" * 300,)},
        {"groups": tuple(f"tag:{n}" for n in range(usage.DEEPEST + 1))},
        {"filters": (Filter("user", ("a",)),)},
        {"filters": (Filter("team", ("a\x00",)),)},
        {"filters": (Filter("team", ("a" * 300,)),)},
        {"filters": (Filter("team", tuple(map(str, range(usage.VALUES + 1)))),)},
        {"order": "beauty"},
        {"top": 0},
        {"top": usage.TOP + 1},
        {"step": Step.quarter, "until": NOVEMBER + 60 * DAY},
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(database: Database, question: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        asked(database, **question)


def test_more_than_anyone_could_read_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(database, [Fact(NOVEMBER, dimension(model=str(number), price_id=""), measured(durations=(1,))) for number in range(4)])
    monkeypatch.setattr(usage, "POINTS", 3)
    assert len(asked(database, groups=("model",), top=2).rows) == 3
    with pytest.raises(Invalid, match="points"):
        asked(database, groups=("model",))
    monkeypatch.setattr(usage, "ROWS", 3)
    with pytest.raises(Invalid, match="rows"):
        asked(database, groups=("model",))
    monkeypatch.setattr(usage, "HISTOGRAMS", 3)
    assert asked(database).total.measures.calls == 4
    with pytest.raises(Invalid, match="percentiles"):
        asked(database, percentiles=True)


# ---------------------------------------------------------------- other databases


@pytest.mark.parametrize("dialect", [mssql.dialect(), mysql.dialect(), postgresql.dialect(), sqlite.dialect()], ids=lambda one: one.name)
def test_the_queries_compile_for_every_database(dialect: sa.Dialect) -> None:
    zone = zone_of("Asia/Kolkata")
    since, until = NOVEMBER, NOVEMBER + 40 * DAY
    question = Question(
        since=since, until=until, zone=zone, groups=("endpoint", "tag:env"), filters=usage.filters(["key!=a", "tag:site=b"])
    )
    for step in (None, *Step):
        starts = [since] if step is None else periods.starts(since, until, step, zone)
        for piece in pieces(since, until, starts, step, zone):
            # Columns alone are grouped by: SQL Server and PostgreSQL take no expression there that has parameters.
            text = str(usage.added(dialect.name, question, piece, [("chat", "prod")]).limit(3).compile(dialect=dialect))
            assert re.search(r"GROUP BY wanted\.\W?key\W?, wanted\.group_0, wanted\.group_1\s*(LIMIT.*)?$", text), text
            assert "durations" in str(usage.timed(question, piece, None).limit(3).compile(dialect=dialect))
