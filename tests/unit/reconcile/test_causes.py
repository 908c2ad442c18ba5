"""Each cause by itself, with what it says; and those of one cell told apart."""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from spangate.reconcile import exports
from spangate.reconcile.cells import Booked
from spangate.reconcile.compare import TOLERANCE, compare
from spangate.reconcile.reading import File
from spangate.reconcile.report import Cause, Report

from . import rendered
from .rendered import DAY0, PRICES, Call, booked, charged, page, sheets, stamp, table

ONE_DAY = datetime.timedelta(days=1)
GPT = "gpt-5-2025-08-07"
TOKENS = {"input": 1_000, "cache_read": 3_000, "output": 500}


def call(number: int = 0, day: int = 0, model: str = GPT, secret: str = "main", **tokens: int) -> Call:
    return Call(number, DAY0 + day * ONE_DAY, model, secret, TOKENS | tokens)


def against(files: Sequence[File], ours: Sequence[Booked], **more: Any) -> Report:
    return compare(exports.parse(files), ours, since=DAY0, until=DAY0 + 10 * ONE_DAY, **({"tolerance": 0} | more))


def found(report: Report) -> list[tuple[str, dict[str, int], int | None]]:
    return [(finding.cause.value, finding.tokens, finding.cost) for finding in report.findings]


def said(report: Report) -> str:
    return " | ".join(words for finding in report.findings for words in finding.evidence)


def bill(rows: Sequence[Mapping[str, object]]) -> list[File]:
    return [File("bill.csv", table([dict(row) for row in rows]))]


def row(day: int = 0, **more: object) -> dict[str, object]:
    return {"date": DAY0 + day * ONE_DAY, "model": GPT, "input_tokens": 4_000, "cache_read_tokens": 3_000, "output_tokens": 500, **more}


def test_a_true_bill_agrees() -> None:
    report = against(rendered.openai(sheets([call()])), booked([call()]))
    assert (report.findings, report.causes, report.agrees, report.drift) == ((), (), True, 0)
    assert report.theirs == report.ours
    assert report.theirs.tokens == TOKENS


# ---------------------------------------------------------------- several in one cell


@pytest.mark.parametrize("times", [0.5, 2.5])
@pytest.mark.parametrize("fault", ["dropped", "unseen", "cache", "doubled"])
def test_a_wrong_price_is_told_from_what_else_is_wrong_there(fault: str, times: float) -> None:
    ours = [call(1), call(2, input=2_000, cache_read=1_000)]
    theirs = list(ours)
    if fault == "dropped":
        theirs = theirs[:1]
    elif fault == "unseen":
        theirs.append(call(3, input=77, output=9))
    elif fault == "cache":
        theirs[1] = call(2, input=2_500, cache_read=500)
    (sheet,) = sheets(theirs)
    (true,) = sheets(ours)
    sheet = charged(sheet, times)
    report = against(rendered.openai([sheet, sheet] if fault == "doubled" else [sheet]), booked(ours))
    list_price, paid = sum(charged(sheet).costs.values()), sum(sheet.costs.values())
    other, price = sorted(report.findings, key=lambda finding: finding.cause is Cause.price)
    assert (price.cause, price.cost, price.tokens) == (Cause.price, paid - list_price, {})
    expected = {"dropped": Cause.missing_there, "unseen": Cause.missing_here, "cache": Cause.cache_class, "doubled": Cause.doubled}
    assert other.cause is expected[fault]
    assert other.cost == (paid if fault == "doubled" else list_price - sum(true.costs.values()))


def test_missing_and_reclassed_input_of_one_cell() -> None:
    (sheet,) = sheets([call()])
    sheet = charged(replace(sheet, tokens={"input": 1_400, "cache_read": 2_900, "output": 500}))
    report = against(rendered.openai([sheet]), booked([call()]))
    assert {finding.cause: finding.tokens for finding in report.findings} == {
        Cause.cache_class: {"input": 100, "cache_read": -100},
        Cause.missing_here: {"input": 300},
    }
    assert report.drift == sum(finding.cost or 0 for finding in report.findings)


# ---------------------------------------------------------------- doubled


def test_whole_multiples_are_something_counted_so_often() -> None:
    (sheet,) = sheets([call()])
    thrice = charged(replace(sheet, tokens={cls: 3 * count for cls, count in TOKENS.items()}))
    report = against(rendered.openai([thrice]), booked([call()]))
    assert found(report) == [("doubled", {cls: 2 * count for cls, count in TOKENS.items()}, 2 * call().cost)]
    assert "exactly 3 times" in said(report)


def test_a_usage_that_is_there_twice_costs_nothing_if_its_costs_are_not() -> None:
    usage, costs = rendered.openai(sheets([call()]))
    report = against([usage, replace_name(usage), costs], booked([call()]))
    assert found(report) == [("doubled", TOKENS, 0)]
    assert "again.json" in said(report)


def replace_name(file: File) -> File:
    return File("again.json", file.text)


def test_equal_rows_without_a_name_may_be_two_calls() -> None:
    assert against(bill([row(), row()]), booked([call(1), call(2)])).agrees
    report = against(bill([row(), row()]), booked([call(1)]))
    assert [finding.cause for finding in report.findings] == [Cause.doubled]
    assert "bill.csv, line 3" in said(report)


def test_a_row_that_is_there_again_is_no_fault_where_both_sides_agree() -> None:
    """Even where each row should have a name of its own: the Console writes none for two kinds of calls of one size."""
    sheet = sheets([claude()])[0]
    usage, costs = rendered.anthropic_csv([sheet, sheet])
    assert against([usage, costs], booked([claude(), claude()])).agrees


# ---------------------------------------------------------------- estimates, unknown calls, prices


def test_an_estimate_explains_no_more_than_it_counts() -> None:
    ours = booked([call(1, input=100, cache_read=0, output=0)], frozenset({1}))
    (sheet,) = sheets([call(1, input=1_000, cache_read=0, output=0)])
    report = against(rendered.openai([sheet]), ours)
    assert {finding.cause: finding.tokens for finding in report.findings} == {
        Cause.estimate: {"input": 100},
        Cause.missing_here: {"input": 800},
    }
    assert "1 of our 1 calls are estimates (100 tokens)" in said(report)


def test_input_that_only_changed_its_class_is_no_error_of_an_estimate() -> None:
    ours = booked([call(1)], frozenset({1}))
    (sheet,) = sheets([call(1, input=1_500, cache_read=2_500)])
    report = against(rendered.openai([sheet]), ours)
    assert [(finding.cause, finding.tokens) for finding in report.findings] == [(Cause.cache_class, {"input": 500, "cache_read": -500})]


def test_calls_whose_tokens_nobody_knows_are_candidates() -> None:
    unknown = Booked(day=DAY0, model=GPT, secret="main", attempts=2, unknown=2, calls=("call-1", "call-2"))
    report = against(rendered.openai(sheets([call(1), call(2)])), [*booked([call(1)]), unknown])
    assert found(report) == [("missing_here", TOKENS, call(2).cost)], "not twice the first one"
    assert "2 reached the provider and have no known tokens: call-1, call-2" in said(report)
    assert report.unknown == 2


def test_calls_of_ours_without_a_price() -> None:
    unpriced = [msgspec.structs.replace(one, cost=None, price_id=None, rates={}) for one in booked([call()])]
    report = against(rendered.openai(sheets([call()])), unpriced)
    assert found(report) == [("price", {}, call().cost)]
    assert "1 of our 1 calls have no known price" in said(report)
    assert (report.ours.cost, report.drift, report.unpriced) == (None, None, 1)


def test_the_class_whose_price_is_wrong_is_named() -> None:
    (sheet,) = sheets([call()])
    wrong = replace(sheet, costs=sheet.costs | {"cache_read": sheet.costs["cache_read"] * 10})
    report = against(rendered.openai([wrong]), booked([call()]))
    assert found(report) == [("price", {}, sheet.costs["cache_read"] * 9)]
    assert said(report) == f"cache_read: they charge $1.25 a million tokens, our price is $0.125 (p-{GPT})"


def test_a_price_with_tiers_is_not_taken_for_a_wrong_one() -> None:
    """Its rates do not come to what the ledger has, so nothing is concluded from them."""
    ours = [msgspec.structs.replace(one, cost=(one.cost or 0) * 2) for one in booked([call(1), call(2, input=5)])]
    sheet = charged(sheets([call(1)])[0], 2)
    report = against(rendered.openai([sheet]), ours)
    assert found(report) == [("missing_there", {cls: -count for cls, count in (TOKENS | {"input": 5}).items()}, -2 * call(2, input=5).cost)]


# ---------------------------------------------------------------- days, keys, money only


def test_days_that_begin_elsewhere_agree_together() -> None:
    theirs = [call(1), call(2, day=1, input=5), call(3, day=2, input=9)]
    ours = [replace(one, day=one.day) for one in theirs] + [call(4, day=0, input=77), call(5, day=1, input=88)]
    theirs += [call(4, day=1, input=77), call(5, day=2, input=88)]
    report = against(rendered.openai(sheets(theirs)), booked(ours))
    assert {finding.cause for finding in report.findings} == {Cause.day_boundary}
    assert [finding.tokens["input"] for finding in sorted(report.findings, key=lambda one: one.day)] == [-77, 77 - 88, 88]
    assert report.agrees
    assert report.drift == 0


def test_a_shift_is_seen_that_is_small_on_one_of_its_days() -> None:
    ours = [call(1, input=10_000_000), call(2, input=100, cache_read=0, output=0), call(3, day=1, input=100)]
    theirs = [ours[0], replace(ours[1], day=DAY0 + ONE_DAY), ours[2]]
    report = against(rendered.openai(sheets(theirs)), booked(ours), tolerance=TOLERANCE)
    assert {finding.cause for finding in report.findings} == {Cause.day_boundary}


def test_a_key_that_goes_around_the_gateway() -> None:
    theirs = [call(1), call(2, secret="key_stray")]
    report = against(rendered.openai(sheets(theirs)), booked(theirs[:1]), keys={"main": "main"})
    (finding,) = report.findings
    assert (finding.cause, finding.key, finding.cost) == (Cause.missing_here, "key_stray", call().cost)
    assert "no call of gpt-5-2025-08-07 on 2026-10-01 with the credential 'key_stray'" in said(report)
    report = against(rendered.openai(sheets(theirs)), booked([call(1, input=3)]))
    assert (report.keyed, report.findings[0].key) == (False, "")
    assert "their keys: key_stray, main" in said(report)


def test_a_bill_without_keys_is_compared_without_them() -> None:
    report = against(rendered.anthropic(sheets([claude()])), booked([claude()]), keys={"main": "main"})
    assert (report.keyed, report.agrees) == (False, True)
    assert any("not every line of the file names a key" in note for note in report.notes)


def claude() -> Call:
    model = "claude-sonnet-5-20260401"
    return Call(1, DAY0, model, "main", dict.fromkeys(PRICES[model], 1_000))


def test_usage_without_costs_is_valued_at_our_prices() -> None:
    usage, _ = rendered.openai(sheets([call(1), call(2, input=7)]))
    report = against([usage], booked([call(1)]))
    assert found(report) == [("missing_here", TOKENS | {"input": 7}, call(2, input=7).cost)]
    assert (report.priced, report.theirs.cost, report.drift) == (False, None, None)
    assert found(against([usage], [])) == [("missing_here", {"input": 1_007, "cache_read": 6_000, "output": 1_000}, None)]


def costs(calls: Sequence[Call], times: float = 1) -> list[File]:
    return rendered.openai([charged(sheet, times) for sheet in sheets(calls)])[1:]


def test_costs_without_usage() -> None:
    days = [call(1), call(2, day=1), call(3, day=2)]
    assert against(costs(days), booked(days)).agrees
    assert found(against(costs(days[1:]), booked(days))) == [("missing_there", {}, -call().cost)]
    assert found(against(costs(days), booked(days[1:]))) == [("missing_here", {}, call().cost)]
    assert found(against(costs(days, 2), booked(days))) == [("doubled", {}, call().cost)] * 3
    moved = [days[0], replace(days[1], day=days[2].day), days[2]]
    assert {cause for cause, _, _ in found(against(costs(moved), booked(days)))} == {"day_boundary"}


def test_costs_without_usage_are_a_price_only_if_each_day_is_off_by_the_same() -> None:
    days = [call(1), call(2, day=1)]
    report = against(costs(days, 1.5), booked(days))
    assert found(report) == [("price", {}, call().cost // 2)] * 2
    report = against(costs(days[:1], 1.5), booked(days[:1]))
    assert found(report) == [("unexplained", {}, call().cost // 2)]
    assert "give the export of the usage too" in said(report)


def test_what_is_no_token_is_a_fee() -> None:
    usage, costs = rendered.openai(sheets([call()]))
    item = {"amount": {"value": 0.5, "currency": "usd"}, "line_item": "web search tool calls"}
    fee = page([{"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 86_400, "results": [item]}])
    report = against([usage, costs, File("fee.json", fee)], booked([call()]))
    assert found(report) == [("fee", {}, 500_000_000_000)]
    assert (report.drift, "web search tool calls" in said(report)) == (500_000_000_000, True)


def test_cents_are_rounded_and_no_difference() -> None:
    (sheet,) = sheets([call()])
    files = rendered.anthropic_csv([replace(sheet, model="m", key="k")])
    rounded = files[1].text.replace("0.00125", "0.00").replace("0.000375", "0.00").replace("0.005", "0.01")
    ours = [msgspec.structs.replace(one, model="m") for one in booked([call()])]
    report = against([files[0], File("cost.csv", rounded)], ours)
    assert report.agrees, report.findings


def test_within_the_tolerance_nothing_differs() -> None:
    usage, _ = rendered.openai(sheets([call(input=1_000_400)]))
    assert against([usage], booked([call(input=1_000_000)]), tolerance=TOLERANCE).agrees
    assert not against([usage], booked([call(input=1_000_000)])).agrees


def test_generations_that_the_ledger_has_not_are_named() -> None:
    model = "openai/gpt-4.1-2025-04-14"
    theirs = [replace(call(number, input=number), model=model) for number in (1, 2)]
    ours = booked(theirs[:1])
    report = against(rendered.openrouter_csv(sheets(theirs)), ours, known=frozenset({"gen-1"}))
    assert "1 of their 2 generations are not in the ledger: gen-2" in said(report)
    assert "they count 2 calls, the ledger has 1" in said(report)


def test_batches_are_named() -> None:
    text = rendered.openai(sheets([call()]))[0].text.replace('"batch": false', '"batch": true')
    assert "4500 of their tokens are at the terms 'batch'" in said(against([File("usage.json", text)], []))


def test_names_that_are_taken_for_one_are_told() -> None:
    ours = [msgspec.structs.replace(one, model="gpt-5") for one in booked([call()])]
    report = against(rendered.openai(sheets([call()])), ours)
    assert (report.agrees, report.alike[0].ours, report.alike[0].theirs) == (True, ("gpt-5",), (GPT,))


def test_other_days_of_the_file_are_left_out_and_told() -> None:
    calls = [call(1), call(2, day=3)]
    export = exports.parse(rendered.openai(sheets(calls)))
    report = compare(export, booked(calls), since=DAY0, until=DAY0 + ONE_DAY)
    assert (report.agrees, report.attempts) == (True, 1)
    assert report.notes == ("the file has other days too, from 2026-10-04 to 2026-10-04, which are left out",)


def test_the_order_is_by_money_and_always_the_same() -> None:
    theirs = [call(number, day=number, output=1_000 * number) for number in range(1, 5)]
    report = against(rendered.openai(sheets(theirs)), [])
    report_again = against(rendered.openai(sheets(theirs[::-1])), [])
    assert report == report_again
    assert [abs(finding.cost or 0) for finding in report.findings] == sorted((abs(one.cost or 0) for one in report.findings), reverse=True)
    assert json.loads(msgspec.json.encode(report))["findings"]
