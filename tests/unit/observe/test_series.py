"""Numbers that outlive their process, added up over all of them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spangate.observe.series import OTHER, PAST, SUFFIX, Bounded, Kind, Living, Metric, Numbers, gather, wipe

CALLS = Metric("calls_total", Kind.counter, "Calls.", ("endpoint",))
OPEN = Metric("open", Kind.gauge, "Open.")
SECONDS = Metric("seconds", Kind.histogram, "Seconds.", (), (0.1, 1.0))
METRICS = (CALLS, OPEN, SECONDS)

# Counts in a process of its own, says so, and waits to be killed.
COUNTING = """
import sys
from pathlib import Path
from tests.unit.observe.test_series import *
numbers = Numbers(Path(sys.argv[1]), "worker")
numbers.add(CALLS, ("a",), 5)
numbers.add(OPEN, amount=3)
numbers.observe(SECONDS, 0.5)
print("counted", flush=True)
sys.stdin.read()
"""


def killed(folder: Path) -> None:
    """Runs a process that counts, and kills it."""
    run = subprocess.Popen([sys.executable, "-c", COUNTING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdin is not None
    assert run.stdout.readline() == b"counted\n"
    run.send_signal(signal.SIGKILL)
    run.wait(30)
    run.stdout.close()
    run.stdin.close()


def test_counts_are_added_up_over_processes_and_survive_kill_9(tmp_path: Path) -> None:
    mine = Numbers(tmp_path, "control")
    mine.add(CALLS, ("a",))
    mine.add(CALLS, ("b",), 2)
    mine.add(OPEN)
    mine.observe(SECONDS, 0.1)
    mine.observe(SECONDS, 7)
    killed(tmp_path)
    killed(tmp_path)
    expected = {
        ("calls_total", ("a",)): [11.0],
        ("calls_total", ("b",)): [2.0],
        ("open", ()): [1.0],  # the dead have nothing open
        ("seconds", ()): [1.0, 2.0, 1.0, 8.1],
    }
    for _ in range(3):  # the dead are counted once, however often they are looked at
        assert gather(tmp_path, METRICS) == (expected, [Living("control", os.getpid())])
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 1
    mine.close()
    del expected["open", ()]
    assert gather(tmp_path, METRICS) == (expected, [])


def test_the_dead_are_counted_once_although_their_burial_was_cut_short(tmp_path: Path) -> None:
    killed(tmp_path)
    (file,) = tmp_path.glob(f"*{SUFFIX}")
    content = file.read_bytes()
    sums, _ = gather(tmp_path, METRICS)
    file.write_bytes(content)  # as if it had not been removed yet when the reader died
    assert gather(tmp_path, METRICS)[0] == sums
    assert not file.exists()
    killed(tmp_path)
    assert gather(tmp_path, METRICS)[0]["calls_total", ("a",)] == [10.0]


def test_nothing_is_made_before_something_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    Numbers(folder, "worker").close()
    assert not folder.exists()
    assert gather(folder, METRICS) == ({}, [])


def test_without_a_folder_it_counts_in_vain_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics").write_text("no folder")
    numbers = Numbers(tmp_path / "metrics", "worker")
    numbers.add(CALLS, ("a",))
    numbers.add(CALLS, ("a",))
    numbers.close()
    assert [record.message for record in caplog.records] == ["No file for metrics: File exists. This process is missing in GET /metrics."]


def test_a_full_file_takes_no_more_series_and_goes_on_with_those_it_has(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, "worker", capacity=5)
    numbers.observe(SECONDS, 0.5)  # takes four
    numbers.add(CALLS, ("a",))
    numbers.add(CALLS, ("b",))
    numbers.observe(SECONDS, 0.5)
    numbers.set(OPEN, 9)
    numbers.add(CALLS, ("a",))
    assert gather(tmp_path, METRICS)[0] == {("calls_total", ("a",)): [2.0], ("seconds", ()): [0.0, 2.0, 0.0, 1.0]}
    numbers.close()


def test_a_gauge_is_what_was_set_last(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, "worker")
    numbers.set(OPEN, 4)
    numbers.set(OPEN, 2)
    assert gather(tmp_path, METRICS)[0] == {("open", ()): [2.0]}
    numbers.close()


def test_metrics_of_another_version_are_left_out(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, "worker")
    numbers.add(CALLS, ("a",))
    numbers.close()
    assert gather(tmp_path, METRICS)[0] == {("calls_total", ("a",)): [1.0]}
    assert gather(tmp_path, (OPEN,))[0] == {}


def test_files_that_are_no_series_count_nothing(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"junk", b"SPANSRS1" + bytes(8), b"x" * 5000)):
        (tmp_path / f"worker-1-{number}{SUFFIX}").write_bytes(content)
    assert gather(tmp_path, METRICS) == ({}, [])


def test_a_new_gateway_begins_at_zero(tmp_path: Path) -> None:
    killed(tmp_path)
    gather(tmp_path, METRICS)
    assert (tmp_path / PAST).exists()
    killed(tmp_path)
    wipe(tmp_path)
    assert list(tmp_path.iterdir()) == []
    wipe(tmp_path / "nowhere")


def test_names_that_callers_make_up_are_told_apart_up_to_a_limit() -> None:
    bounded = Bounded(2)
    assert [bounded(name) for name in ("a", "b", "c", "a", None, "d", "b", "c")] == ["a", "b", OTHER, "a", "", OTHER, "b", OTHER]
