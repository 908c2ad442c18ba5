"""Each provider's files are read in full, or refused with the place of what is wrong."""

import datetime
import json
from dataclasses import replace

import pytest

from spangate.reconcile import exports, reading
from spangate.reconcile.lines import REQUEST, TOTAL, Line, fold
from spangate.reconcile.reading import BadExport, File

from . import rendered
from .rendered import DAY0, Sheet, charged, page, stamp, table

OPENAI = charged(Sheet(DAY0, "gpt-5-2025-08-07", "key_abc", {"input": 600, "cache_read": 400, "output": 50}, {}, 3))
CLAUDE = charged(
    Sheet(
        DAY0,
        "claude-sonnet-5-20260401",
        "apikey_1",
        {"input": 1, "cache_read": 2, "cache_write_5m": 3, "cache_write_1h": 4, "output": 5},
        {},
        1,
    )
)


def line(sheet: Sheet, cls: str, **more: object) -> Line:
    return Line(day=sheet.day, model=sheet.model, key=sheet.key, cls=cls, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("render", [rendered.openai, rendered.openai_csv])
def test_openai(render: rendered.Render) -> None:
    export = exports.parse(render([OPENAI]))
    assert (export.format, export.provider, export.slack) == ("openai", "openai", 1 if render is rendered.openai else export.slack)
    assert export.classes == {"input", "cache_read", "output"}
    assert list(export.lines) == [
        line(OPENAI, "input", tokens=600),
        line(OPENAI, "cache_read", tokens=400),
        line(OPENAI, "output", tokens=50),
        line(OPENAI, REQUEST, requests=3),
        line(OPENAI, "input", cost=750_000_000),
        line(OPENAI, "cache_read", cost=50_000_000),
        line(OPENAI, "output", cost=500_000_000),
    ]


@pytest.mark.parametrize("render", [rendered.anthropic, rendered.anthropic_csv])
def test_anthropic(render: rendered.Render) -> None:
    export = exports.parse(render([CLAUDE]))
    assert (export.format, export.provider) == ("anthropic", "anthropic")
    assert export.classes == {"input", "cache_read", "cache_write_5m", "cache_write_1h", "output"}
    costs = replace(CLAUDE, key=None) if render is rendered.anthropic else CLAUDE  # type: ignore[arg-type]
    assert list(export.lines) == [
        *(line(CLAUDE, cls, tokens=count) for cls, count in CLAUDE.tokens.items()),
        *(line(costs, cls, cost=cost) for cls, cost in CLAUDE.costs.items()),
    ]


def test_openrouters_days() -> None:
    item = {"date": "2026-10-01", "model": "openai/gpt-4.1", "model_permaslug": "openai/gpt-4.1-2025-04-14", "usage": 0.015}
    item |= {"byok_usage_inference": 0.012, "requests": 5, "prompt_tokens": 50, "completion_tokens": 125, "reasoning_tokens": 25}
    export = exports.parse([File("activity.json", json.dumps({"data": [item]}))])
    sheet = Sheet(DAY0, "openai/gpt-4.1-2025-04-14", None, {}, {}, 5)  # type: ignore[arg-type]
    assert export.classes == {"input", "output"}
    assert list(export.lines) == [
        line(sheet, "input", tokens=50),
        line(sheet, "output", tokens=125),
        line(sheet, TOTAL, cost=15_000_000_000),
        line(sheet, REQUEST, requests=5),
    ]
    assert "byok_usage_inference" in export.notes[0]


def test_openrouters_generations() -> None:
    row = {
        "generation_id": "gen-1",
        "created_at": "2026-10-01 23:59:59.999",
        "cost_total": "0.0123",
        "tokens_prompt": 10,
        "tokens_completion": 7,
    }
    row |= {
        "native_tokens_prompt": 12,
        "tokens_cached": 4,
        "model_permaslug": "openai/gpt-4.1",
        "api_key_name": "prod",
        "cancelled": "false",
    }
    other = row | {"generation_id": "gen-2"}
    export = exports.parse([File("activity.csv", table([row, other, row | {"cost_total": "0.01"}]))])
    sheet = Sheet(DAY0, "openai/gpt-4.1", "prod", {}, {}, 1)
    first = [
        line(sheet, "input", tokens=8, generation="gen-1"),
        line(sheet, "cache_read", tokens=4, generation="gen-1"),
        line(sheet, "output", tokens=7, generation="gen-1"),
        line(sheet, TOTAL, cost=12_300_000_000, generation="gen-1"),
        line(sheet, REQUEST, requests=1, generation="gen-1"),
    ]
    assert list(export.lines[:5]) == first
    assert {one.again for one in export.lines[5:10]} == {""}, "another generation of the same size is no repetition"
    assert {one.again for one in export.lines[10:]} == {"activity.csv, line 4"}, "one generation twice is, at whatever price"
    assert export.slack == 50_000_000


def test_a_plain_table() -> None:
    row = {"date": "2026-10-01", "model": "m", "input_tokens": 100, "cache_read_tokens": 20, "cache_write_tokens": 30}
    row |= {"cache_write_1h_tokens": 10, "output_tokens": 9, "cost_usd": "1.50", "requests": 2}
    export = exports.parse([File("bill.csv", table([row]))])
    tokens = {one.cls: one.tokens for one in export.lines if one.tokens is not None}
    assert tokens == {"input": 50, "cache_read": 20, "cache_write": 20, "cache_write_1h": 10, "output": 9}
    assert {one.cls: one.cost for one in export.lines if one.cost is not None} == {TOTAL: 1_500_000_000_000}
    assert (export.provider, export.unique, export.slack) == (None, False, 5_000_000_000)


def test_a_plain_table_may_name_its_generations() -> None:
    rows = [{"date": "2026-10-01", "model": "m", "generation_id": name, "cost_usd": "1"} for name in ("a", "b", "a")]
    export = exports.parse([File("bill.csv", table(rows))])
    assert (export.unique, [one.again for one in export.lines]) == (True, ["", "", "bill.csv, line 4"])


def test_pages_one_after_another_are_one_export() -> None:
    first, second = (rendered.openai([replace(OPENAI, day=DAY0 + datetime.timedelta(days=day))])[0].text for day in (0, 1))
    one = exports.parse([File("both.json", first + "\n" + second)])
    assert one.lines == exports.parse([File("list.json", f"[{first}, {second}]")]).lines
    assert one.days == (DAY0, DAY0 + datetime.timedelta(days=1))


def test_a_page_that_has_more_after_it_is_told() -> None:
    text = rendered.openai([OPENAI])[0].text.replace('"has_more": false', '"has_more": true')
    assert "has_more" in exports.parse([File("usage.json", text)]).notes[0]


def test_a_count_that_some_results_do_not_have_stays_in_the_whole() -> None:
    said = rendered.openai_usage(OPENAI)
    rest = {name: value for name, value in said.items() if name != "input_cached_tokens"}
    bucket = {"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 86_400, "results": [said, rest]}
    export = exports.parse([File("usage.json", page([bucket]))])
    assert export.classes == {"input", "output"}
    assert sum(one.tokens or 0 for one in export.lines if one.cls == "input") == 2_000


def test_embeddings_have_input_only_and_take_no_class_from_others() -> None:
    embeddings = {"object": "organization.usage.embeddings.result", "input_tokens": 7, "num_model_requests": 1, "model": "e"}
    images = {"object": "organization.usage.images.result", "images": 2, "num_model_requests": 1, "model": "i"}
    bucket = {"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 60, "results": [rendered.openai_usage(OPENAI), embeddings, images]}
    export = exports.parse([File("usage.json", page([bucket]))])
    assert export.classes == {"input", "cache_read", "output"}
    assert [one.tokens for one in export.lines if one.model == "e" and one.cls == "input"] == [7]
    assert export.notes == ("organization.usage.images.result count no tokens and are left out",)


def test_an_account_without_usage_has_an_empty_export() -> None:
    text = "start_time,end_time,start_time_iso,end_time_iso\n1790467200,1790553600,2026-09-27T00:00:00+00:00,2026-09-28T00:00:00+00:00\n"
    assert exports.parse([File("u.csv", text)]).lines == ()


@pytest.mark.parametrize(
    ("item", "model", "cls"),
    [
        ("gpt-5.5-2026-04-23, cached input", "gpt-5.5-2026-04-23", "cache_read"),
        ("priority | gpt-5.6-sol, output, long context", "gpt-5.6-sol", "output"),
        ("gpt-audio-mini-2025-12-15 audio, input", "gpt-audio-mini-2025-12-15", "audio_input"),
        ("gpt-image-2.5 text, cached input", "gpt-image-2.5", "cache_read"),
        ("gpt-5.6-sol, cache writes", "gpt-5.6-sol", "cache_write"),
        ("web search tool calls", None, REQUEST),
    ],
)
def test_openais_line_items(item: str, model: str | None, cls: str) -> None:
    result = {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}, "line_item": item}
    bucket = {"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 86_400, "results": [result]}
    (one,) = exports.parse([File("costs.json", page([bucket]))]).lines
    assert (one.model, one.cls, one.cost) == (model, cls, 60_000_000_000)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            page(
                [{"starting_at": "2026-10-01T00:00:00Z", "results": [{"amount": "12.5", "description": "Web Search", "token_type": None}]}]
            ),
            "Web Search",
        ),
        (
            table([{"usage_date_utc": "2026-10-01", "model": "", "token_type": "", "cost_usd": "0.125", "cost_type": "web_search"}]),
            "web_search",
        ),
    ],
)
def test_what_anthropic_charges_for_no_token(text: str, what: str) -> None:
    (one,) = exports.parse([File("cost", text)]).lines
    assert (one.model, one.cls, one.cost, one.what) == (None, REQUEST, 125_000_000_000, what)


def test_results_without_any_usage_say_nothing() -> None:
    zero = rendered.openai_usage(OPENAI) | {"input_tokens": 0, "input_cached_tokens": 0, "output_tokens": 0, "model": None}
    free = {"amount": {"value": 0, "currency": "usd"}, "line_item": None}
    bucket = {"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 86_400, "results": [zero, free, {"amount": None}]}
    assert exports.parse([File("usage.json", page([bucket]))]).lines == ()
    nothing = dict.fromkeys(("uncached_input_tokens", "cache_read_input_tokens", "output_tokens"), 0)
    nothing |= {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}}
    assert exports.parse([File("usage.json", page([{"starting_at": "2026-10-01", "results": [nothing]}]))]).lines == ()


# ---------------------------------------------------------------- what is refused


def usage(**changes: object) -> str:
    result = rendered.openai_usage(OPENAI) | changes
    return page([{"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 86_400, "results": [result]}])


def costs(**changes: object) -> str:
    result = {"object": "organization.costs.result", "amount": {"value": 1, "currency": "usd"}, "line_item": "m, input"} | changes
    return page([{"start_time": stamp(DAY0), "end_time": stamp(DAY0) + 86_400, "results": [result]}])


def bill(**changes: object) -> str:
    return table([{"date": "2026-10-01", "model": "m", "input_tokens": 5, "cost_usd": "0.1"} | changes])


GENERATION = {"generation_id": "g", "created_at": "2026-10-01", "cost_total": "1", "tokens_prompt": 10, "tokens_completion": 1}
GENERATION |= {"tokens_cached": 0, "model_permaslug": "m", "api_key_name": ""}


def admin(**changes: object) -> str:
    bucket = json.loads(rendered.anthropic([CLAUDE])[0].text)["data"][0]
    return page([bucket | {"results": [bucket["results"][0] | changes]}])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no known export"),
        ("hello", "no known export"),
        ("a,b\n1,2\n", "no known export"),
        ("{", "not JSON"),
        ('{"data": NaN}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"data": [' + "9" * 5_000 + "]}", "not JSON"),
        (usage(model="\ud800"), "surrogates not allowed"),
        ("[1]", "document 1"),
        ('{"data": []}', "no known export"),
        ('{"data": [{"start_time": 1, "results": 7}]}', "results is no list"),
        ('{"data": [{"start_time": 1, "results": [7]}]}', "results[0] is no object"),
        (usage(input_tokens="many"), "input_tokens is no number: 'many'"),
        (usage(input_tokens=-1), "input_tokens is no count"),
        (usage(input_tokens=1.5), "input_tokens is no count"),
        (usage(input_tokens=True), "input_tokens is no number"),
        (usage(input_tokens=10**40), "input_tokens is no number"),
        (usage(input_tokens=399), "input_tokens is 399, and its parts are 400"),
        (usage(model=None), "group_by=model"),
        (usage(model={"name": "m"}), "model is no name"),
        (usage(model="m" * 2_000), "model is no name"),
        (usage().replace(str(stamp(DAY0) + 86_400), str(stamp(DAY0) + 604_800)), "more than one UTC day"),
        (usage().replace(str(stamp(DAY0)), '"soon"'), "start_time is no day: 'soon'"),
        (usage().replace(str(stamp(DAY0)), "99999999999999999"), "start_time is no day"),
        (usage().replace(str(stamp(DAY0)), '"0001-01-01T00:00:00+14:00"'), "start_time is no day"),
        (bill(date="9999-12-31"), "bill.csv, line 2: date is no day"),
        (bill(date="9999-12-31T23:59:59-14:00"), "bill.csv, line 2: date is no day"),
        (costs(line_item=None), "group_by=line_item"),
        (costs(amount={"value": 1, "currency": "eur"}), "only USD"),
        (costs(amount={"value": 10**12, "currency": "usd"}), "amount_value is no amount"),
        (costs(amount=5), "amount is no object"),
        (bill(cost_usd="1e999999"), "bill.csv, line 2: cost_usd is no number"),
        (bill(cost_usd="NaN"), "bill.csv, line 2: cost_usd is no number"),
        (bill(cost_usd="1,50"), "bill.csv, line 2: cost_usd is no number"),
        (bill(cost_usd="1", input_cost_usd="1"), "its parts too"),
        (bill(date="01.10.2026"), "bill.csv, line 2: date is no day"),
        (bill(model=""), "bill.csv, line 2: model is empty"),
        (bill(cache_read_tokens=6), "input_tokens is less than its parts"),
        (bill(input_tokens="", cache_read_tokens=6), "input_tokens is empty"),
        ("date,model,model\n", "a column is there twice: model"),
        ("date,model,cost_usd\n2026-10-01,m\n", "bill.csv, line 2: 2 columns, where the header has 3"),
        ('date,model,cost_usd\n2026-10-01,"m,1\n', "bill.csv, line 2"),
        (table([{"usage_date_utc": "2026-10-01", "model_version": "m"}]), "these columns are missing"),
        (table([{"usage_date_utc": "2026-10-01", "model": "m", "token_type": "thoughts", "cost_usd": "1"}]), "token_type 'thoughts'"),
        (table([{"generation_id": "g", "cost_total": "1"}]), "these columns are missing: created_at, model_permaslug"),
        (table([{"date": "2026-10-01", "model": "m", "requests": 3}]), "neither tokens nor costs"),
        (admin(uncached_input_tokens=None), "uncached_input_tokens is no number"),
        (admin(model=None), "group_by[]=model"),
        (admin(cache_creation=None), "ephemeral_5m_input_tokens is no number: None"),
        (admin(amount="100", currency="EUR"), "only USD"),
        (admin(amount="100", currency="USD"), "group_by[]=description"),
        (admin(amount="100", description="d", token_type="thoughts"), "token_type 'thoughts' is not known"),
        (bill(cache_write_tokens=1, cache_write_1h_tokens=2), "cache_write_tokens is less than its parts"),
        (table([GENERATION | {"generation_id": ""}]), "generation_id is empty"),
        (table([GENERATION | {"tokens_cached": 11}]), "tokens_cached is 11, and the prompt has 10"),
        ('{"data": [{"date": "2026-10-01", "completion_tokens": 1}]}', "no model is named"),
        ('date,model\n"2026', "bill.csv"),
        ("x" * 200_000, "field larger than field limit"),
        ('{"data": [{"start_time": 1, "results": [{"amount": {"value": 1}, "line_item": 5}]}]}', "line_item is no name"),
        (table([{"start_time": 1, "images": 3}]), "neither input_tokens nor amount_value"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(BadExport) as refused:
        exports.parse([File("bill.csv", text)])
    assert words in refused.value.message


def test_a_table_needs_a_day_and_a_model() -> None:
    with pytest.raises(BadExport, match="the columns date and model are needed"):
        exports.parse([File("bill.csv", table([{"date": "2026-10-01", "cost_usd": "1"}]))], "csv")
    with pytest.raises(BadExport, match="the file is empty"):
        exports.parse([File("bill.csv", "\n\n")], "csv")


def test_a_file_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 1)
    with pytest.raises(BadExport, match="line 3: more than 1 rows"):
        exports.parse([File("bill.csv", bill() + bill().splitlines()[1])])


def test_a_slip_of_the_pen_in_a_column_is_no_column_left_out() -> None:
    with pytest.raises(BadExport, match=r"line 2: not known: cached_tokens; the columns are date, model"):
        exports.parse([File("bill.csv", bill(cached_tokens=1))], "csv")
    with pytest.raises(BadExport, match="a column is there twice: model"):
        exports.parse([File("bill.csv", "date,model,Model\n2026-10-01,m,m\n")], "csv")


def test_formats() -> None:
    with pytest.raises(BadExport, match="no format; the formats are openai, anthropic, openrouter, csv"):
        exports.parse([File("bill.csv", bill())], "xlsx")
    with pytest.raises(BadExport, match="this is JSON"):
        exports.parse([File("bill.json", usage())], "csv")
    with pytest.raises(BadExport, match=r"several formats: bill\.csv is csv, usage\.json is openai"):
        exports.parse([File("bill.csv", bill()), File("usage.json", usage())])
    with pytest.raises(BadExport, match="no file"):
        exports.parse([])


def test_classes_fold_into_what_is_told_apart() -> None:
    assert fold("cache_write_5m", {"cache_write", "input"}) == "cache_write"
    assert fold("cache_write_5m", {"input"}) == "input"
    assert fold("audio_output", {"output"}) == "output"
    assert fold("output", {"input"}) == TOTAL
