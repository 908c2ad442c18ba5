"""What Prometheus reads."""

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from spangate.observe import metrics
from spangate.observe.metrics import CALL_SECONDS, CALLS, METRICS, OPEN_CALLS, REFUSALS, exposition, processes
from spangate.observe.series import Kind, Living, Sums

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = 'a"b\\c\nd{e="f"} 1'


def read(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """As Prometheus' own client reads it: sample by name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_a_parser_of_others_reads_it() -> None:
    sums: Sums = {
        (CALLS.name, (HOSTILE, "openai.chat", "ok")): [3.0],
        (CALL_SECONDS.name, ("chat", "openai.chat")): [1.0, 0.0, 2.0, *[0.0] * 11, 4.0, 99.5],
        (OPEN_CALLS.name, ()): [0.0],
    }
    told = read(exposition(sums))
    assert told["spangate_calls_total"] == {(("endpoint", HOSTILE), ("format", "openai.chat"), ("status", "ok")): 3.0}
    assert told["spangate_open_calls"] == {(): 0.0}
    named = (("endpoint", "chat"), ("format", "openai.chat"))
    assert told["spangate_call_duration_seconds_count"] == {named: 7.0}
    assert told["spangate_call_duration_seconds_sum"] == {named: 99.5}
    buckets = {dict(labels)["le"]: value for labels, value in told["spangate_call_duration_seconds_bucket"].items()}
    assert buckets == {"0.01": 1.0, "0.02": 1.0} | {str(bound): 3.0 for bound in metrics.DURATIONS[2:]} | {"+Inf": 7.0}


def test_each_metric_is_told_of_before_it_is_counted() -> None:
    families = {family.name: (family.type, family.documentation) for family in text_string_to_metric_families(exposition({}))}
    assert families == {metric.name.removesuffix("_total"): (str(metric.kind), metric.about) for metric in METRICS}


def test_names_are_as_prometheus_wants_them() -> None:
    for metric in METRICS:
        assert metric.name.startswith(("spangate_", "gen_ai_")), metric.name
        assert metric.name.endswith("_total") == (metric.kind is Kind.counter), metric.name
        assert list(metric.bounds) == sorted(metric.bounds), metric.name
        assert bool(metric.bounds) == (metric.kind is Kind.histogram), metric.name
        assert not {"le", "quantile"} & {*metric.labels}, metric.name
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_page_is_what_is_registered() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text()
    assert page == metrics.reference(), "python -m spangate.observe.metrics > docs/reference/metrics.md"


def test_every_metric_that_is_defined_is_registered() -> None:
    defined = {value.name for value in vars(metrics).values() if isinstance(value, metrics.Metric)}
    assert defined == {metric.name for metric in METRICS}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_a_process_is_measured_while_it_lives() -> None:
    found = processes([Living("worker", os.getpid()), Living("worker", 2**30)])
    who = ("worker", str(os.getpid()))
    assert set(found) == {(metric.name, who) for metric in (metrics.MEMORY, metrics.FILES, metrics.CPU)}
    assert found[metrics.MEMORY.name, who][0] > 10 << 20
    assert found[metrics.FILES.name, who][0] >= 3


def test_an_unlabelled_counter_starts_at_zero() -> None:
    assert read(exposition({}))["spangate_unidentified_total"] == {(): 0.0}
    assert REFUSALS.name not in read(exposition({}))
