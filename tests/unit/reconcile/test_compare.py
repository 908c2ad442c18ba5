"""Whatever is done to a true bill, in any provider's shape, is found, named, and measured; and nothing is found in a true one."""

import datetime
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spangate.reconcile import exports
from spangate.reconcile.compare import compare
from spangate.reconcile.lines import fold
from spangate.reconcile.reading import File
from spangate.reconcile.report import Cause, Finding, Report

from . import rendered
from .rendered import DAY0, PRICES, Call, Sheet, added, booked, charged, sheets

ONE_DAY = datetime.timedelta(days=1)
DAYS = 5
Place = tuple[datetime.date, str, str]


@dataclass(frozen=True)
class Shape:
    """A format, and what of a bill it can show."""

    render: Callable[[Sequence[Sheet]], list[File]]
    models: tuple[str, ...]
    keyed: bool
    cached: bool  # it tells what was read from a cache


GPT, CLAUDE = ("gpt-5-2025-08-07", "small-2026-01-01"), ("claude-sonnet-5-20260401",)
SHAPES = {
    "openai": Shape(rendered.openai, GPT, keyed=True, cached=True),
    "openai-csv": Shape(rendered.openai_csv, GPT, keyed=True, cached=True),
    "anthropic": Shape(rendered.anthropic, CLAUDE, keyed=False, cached=True),
    "anthropic-csv": Shape(rendered.anthropic_csv, CLAUDE, keyed=True, cached=True),
    "openrouter": Shape(rendered.openrouter, ("openai/gpt-4.1-2025-04-14",), keyed=False, cached=False),
    "openrouter-csv": Shape(rendered.openrouter_csv, ("openai/gpt-4.1-2025-04-14",), keyed=True, cached=True),
    "csv": Shape(rendered.generic, GPT, keyed=True, cached=True),
}
FAULTS = ("dropped", "unseen", "doubled", "price", "cache", "estimate", "boundary")


@dataclass
class World:
    """What each side has, and what must be found."""

    ours: list[Call]
    theirs: list[Call]
    estimated: set[int] = field(default_factory=set[int])
    prices: dict[Place, float] = field(default_factory=dict[Place, float])
    moved: dict[Place, int] = field(default_factory=dict[Place, int])
    twice: set[Place] = field(default_factory=set[Place])
    expected: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])

    def expect(self, cause: Cause, place: Place, tokens: dict[str, int], cost: int) -> None:
        self.expected.append((cause, place, {cls: count for cls, count in tokens.items() if count}, cost))

    def bill(self) -> list[Sheet]:
        found: list[Sheet] = []
        for sheet in sheets(self.theirs):
            place = (sheet.day, sheet.model, sheet.key)
            if count := self.moved.get(place, 0):
                tokens = {**sheet.tokens, "cache_read": sheet.tokens["cache_read"] - count, "input": sheet.tokens["input"] + count}
                sheet = charged(replace(sheet, tokens=tokens))
            sheet = charged(sheet, self.prices.get(place, 1))
            found += [sheet, sheet] if place in self.twice else [sheet]
        return found


def true_calls(dice: random.Random, shape: Shape) -> list[Call]:
    calls: list[Call] = []
    for day in range(DAYS):
        for model in shape.models:
            for secret in ("main", "spare") if shape.keyed else ("main",):
                for _ in range(dice.randint(2, 5)):
                    tokens = {cls: dice.randint(1_000, 900_000) for cls in PRICES[model]}
                    calls.append(Call(len(calls), DAY0 + day * ONE_DAY, model, secret, tokens))
    return calls


def minus(tokens: dict[str, int]) -> dict[str, int]:
    return {cls: -count for cls, count in tokens.items()}


def inject(world: World, fault: str, place: Place, dice: random.Random) -> None:
    """One fault in one cell, of which the cell is large enough for all."""
    day, model, key = place
    calls = [call for call in world.ours if (call.day, call.model, call.secret) == place]
    one = dice.choice(calls)
    whole = added(*(call.tokens for call in calls))
    match fault:
        case "dropped":
            world.theirs.remove(one)
            world.expect(Cause.missing_there, place, minus(one.tokens), -one.cost)
        case "unseen":
            more = replace(one, number=10_000 + one.number, tokens={cls: dice.randint(1_000, 900_000) for cls in one.tokens})
            world.theirs.append(more)
            world.expect(Cause.missing_here, place, more.tokens, more.cost)
        case "doubled":
            world.twice.add(place)
            world.expect(Cause.doubled, place, whole, sum(call.cost for call in calls))
        case "price":
            world.prices[place] = dice.choice((0.5, 1.5, 1.25, 3.0))
            paid = sum(charged(sheet, world.prices[place]).costs[cls] for sheet in sheets(calls) for cls in whole)
            world.expect(Cause.price, place, {}, paid - sum(call.cost for call in calls))
        case "cache":
            count = dice.randint(whole["cache_read"] // 10, whole["cache_read"])
            world.moved[place] = count
            cost = count * (PRICES[model]["input"] - PRICES[model]["cache_read"])
            world.expect(Cause.cache_class, place, {"input": count, "cache_read": -count}, cost)
        case "estimate":
            guess = {cls: max(1, int(count * dice.choice((0.6, 0.8, 1.3, 1.9)))) for cls, count in one.tokens.items()}
            world.ours[world.ours.index(one)] = replace(one, tokens=guess)
            world.estimated.add(one.number)
            off = {cls: one.tokens[cls] - guess[cls] for cls in guess}
            world.expect(Cause.estimate, place, off, one.cost - replace(one, tokens=guess).cost)
        case "boundary":
            world.theirs[world.theirs.index(one)] = replace(one, day=day + ONE_DAY)
            world.expect(Cause.day_boundary, place, minus(one.tokens), -one.cost)
            world.expect(Cause.day_boundary, (day + ONE_DAY, model, key), one.tokens, one.cost)


def told(finding: Finding) -> tuple[object, ...]:
    return finding.cause, (finding.day, finding.model, finding.key), finding.tokens, finding.cost


def reconciled(world: World, shape: Shape) -> tuple[Report, frozenset[str]]:
    export = exports.parse(shape.render(world.bill()))
    report = compare(
        export,
        booked(world.ours, frozenset(world.estimated)),
        since=DAY0,
        until=DAY0 + (DAYS + 1) * ONE_DAY,
        tolerance=0,
        keys={"main": "main", "spare": "spare"} if shape.keyed else None,
    )
    return report, export.classes


def as_told(world: World, shape: Shape, classes: frozenset[str]) -> list[tuple[object, ...]]:
    """What must be found, in the classes of the export."""
    found: list[tuple[object, ...]] = []
    for cause, (day, model, key), tokens, cost in world.expected:  # type: ignore[misc]
        told: dict[str, int] = {}
        for cls, count in tokens.items():  # type: ignore[attr-defined]
            told[fold(cls, classes)] = told.get(fold(cls, classes), 0) + count
        told = {cls: count for cls, count in told.items() if count}
        found.append((cause, (day, model, key if shape.keyed else ""), told, cost))
    return found


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_faults_are_found_named_and_measured(shape: Shape, seed: int, data: st.DataObject) -> None:
    dice = random.Random(seed)
    calls = true_calls(dice, shape)
    world = World(list(calls), list(calls))
    free = sorted({(call.day, call.model, call.secret) for call in calls})
    for fault in data.draw(st.lists(st.sampled_from(FAULTS), max_size=4)):
        places = [place for place in free if place[0] < DAY0 + (DAYS - 1) * ONE_DAY] if fault == "boundary" else list(free)
        places = [place for place in places if (place[0] + ONE_DAY, *place[1:]) in free] if fault == "boundary" else places
        if not places or (fault == "cache" and not shape.cached):
            continue
        place = dice.choice(places)
        inject(world, fault, place, dice)
        near = {place, (place[0] + ONE_DAY, *place[1:])} if fault == "boundary" else {place}
        free = [one for one in free if one not in near]
    report, classes = reconciled(world, shape)
    expected = as_told(world, shape, classes)
    key = repr
    assert sorted(map(told, report.findings), key=key) == sorted(expected, key=key)
    assert report.agrees == all(one[0] is Cause.day_boundary for one in expected)
    assert report.drift == sum(one[3] for one in expected)  # type: ignore[misc]
    assert sum(one.cost for one in report.causes) == report.drift
