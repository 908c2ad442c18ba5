"""GET /metrics, as Prometheus asks for it."""

import os

import httpx
from prometheus_client.parser import text_string_to_metric_families

from spangate import __version__
from spangate.observe.metrics import CALLS, CONTENT_TYPE
from spangate.observe.series import Numbers

from ..conftest import Gateway


def samples(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name + "".join(f"/{value}" for value in sample.labels.values())] = sample.value
    return found


def test_tells_what_all_processes_counted_and_how_control_is_doing(gateway: Gateway, http: httpx.Client) -> None:
    worker = Numbers(gateway.settings.metrics_dir, "worker")
    worker.add(CALLS, ("chat", "openai.chat", "ok"), 3)
    reply = http.get("/metrics", headers={"x-api-key": "", "authorization": f"Bearer {gateway.key}"})
    assert (reply.status_code, reply.headers["content-type"]) == (200, CONTENT_TYPE)
    told = samples(reply.text)
    published, current = gateway.versions
    assert {name: told[name] for name in told if not name.startswith("spangate_process_")} == {
        "spangate_calls_total/chat/openai.chat/ok": 3.0,
        "spangate_unidentified_total": 0.0,
        "spangate_targets_cooling": 0.0,
        "spangate_database_up": 1.0,
        "spangate_journal_backlog_bytes": 0.0,
        "spangate_journal_lag_seconds": 0.0,
        "spangate_journals/live": 0.0,
        "spangate_journals/orphan": 0.0,
        "spangate_journal_files_aside": 0.0,
        "spangate_snapshot_version/current": float(current),
        "spangate_snapshot_version/published": float(published or 0),
        "spangate_snapshot_age_seconds": told["spangate_snapshot_age_seconds"],
        f"spangate_build_info/{__version__}": 1.0,
    }
    assert 0 <= told["spangate_snapshot_age_seconds"] < 60
    if os.path.exists("/proc/self/statm"):
        assert told[f"spangate_process_resident_memory_bytes/worker/{os.getpid()}"] > 10 << 20
    worker.close()


def test_shows_nothing_without_a_key(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.url, trust_env=False) as stranger:
        reply = stranger.get("/metrics")
    assert reply.status_code == 401
    assert "spangate_" not in reply.text
