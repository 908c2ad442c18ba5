"""A rolling restart."""

import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from spangate.config import Settings

from .supervised import CHILD, CONTROL, WORKER, House, answer, house, until

ROLLING = WORKER.replace(
    'signal.signal(signal.SIGTERM',
    'signal.signal(signal.SIGHUP, lambda *_: (note(f"retired worker {os.getpid()}"), os._exit(0)))\nsignal.signal(signal.SIGTERM',
) .replace(
    "while True: signal.pause()",
    'os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"\\n")\nwhile True: signal.pause()',
)  # fmt: skip
ROLLING_CONTROL = CONTROL.replace(
    "while True: signal.pause()",
    """signal.signal(signal.SIGHUP, lambda *_: (note(f"retired control {os.getpid()}"), os._exit(0)))
os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"\\n")
while True: signal.pause()""",
)


def rolled(there: House, times: int = 1) -> bool:
    assert there.process is not None
    return told(there).count("rolling restart: done") == times


def told(there: House) -> str:
    return (there.folder / "log").read_text()


def test_a_roll_replaces_control_then_each_worker_once_its_successor_serves(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start(workers=2)
        url = there.wait_ready()
        until(lambda: len(there.pids("worker")) == 2)
        (control,), workers = there.pids("control"), there.pids("worker")
        (tmp_path / "reload.json").write_text('{"workers": 2, "idle_timeout": 7}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        until(lambda: len([event for event in there.events() if event.startswith("retired")]) == 3)
        assert len(answer(url)) == 3
        new_control, new_workers = there.pids("control")[1:], there.pids("worker")[2:]
        assert (len(new_control), len(new_workers)) == (1, 2)
        events = [event for event in there.events() if str(control) in event or any(str(new) in event for new in new_control)]
        assert events[-2:] == [f"control {new_control[0]}", f"retired control {control}"]
        # No worker goes before one more has come.
        came = gone = 0
        for event in there.events():
            came += event in [f"worker {new}" for new in new_workers]
            gone += event in [f"retired worker {old}" for old in workers]
            assert gone <= came
        assert (came, gone) == (2, 2)
        assert there.stop()[0] == 0


def test_a_roll_takes_over_what_the_settings_say_now(tmp_path: Path) -> None:
    control = '(folder / f"given-{os.getpid()}").write_text(json.dumps(settings))\n' + ROLLING_CONTROL
    with house(tmp_path, control=control, worker=ROLLING, rolls=True) as there:
        there.start(workers=1)
        url = there.wait_ready()
        (tmp_path / "reload.json").write_text('{"workers": 3, "idle_timeout": 7, "port": 1, "db": "postgresql://u@h/d"}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        given = Settings.from_json((tmp_path / f"given-{there.pids('control')[1]}").read_text())
        assert (given.idle_timeout, given.workers, given.db, url) == (7, 3, None, f"http://127.0.0.1:{given.port}")
        assert "port, db: changed, which needs a stop and a start" in told(there)
        assert len(there.pids("worker")) == 4
        (tmp_path / "reload.json").write_text('{"workers": 1}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there, 2))
        until(lambda: len([event for event in there.events() if event.startswith("retired worker")]) == 4)
        assert len(there.pids("worker")) == 5
        assert len(answer(url)) == 3
        assert there.stop()[0] == 0


@pytest.mark.parametrize(
    ("kind", "words"), [("control", "the new control ended with code 3"), ("worker", "the new worker 1 ended with code 3")]
)
def test_a_successor_that_dies_leaves_the_old_one_at_work(tmp_path: Path, kind: str, words: str) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        url = there.wait_ready()
        (worker,) = there.pids("worker")
        (tmp_path / "reload.json").write_text("{}")
        good = (tmp_path / f"{kind}.py").read_text()
        (tmp_path / f"{kind}.py").write_text("raise SystemExit(3)")
        there.send(signal.SIGHUP)
        until(lambda: f"rolling restart given up: {words}" in told(there))
        assert answer(url) == b"%03d" % (worker % 1000)
        assert f"retired worker {worker}" not in there.events()
        (tmp_path / f"{kind}.py").write_text(good)
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        assert there.stop()[0] == 0


def test_a_successor_that_never_serves_is_killed(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        url = there.wait_ready()
        (worker,) = there.pids("worker")
        (tmp_path / "reload.json").write_text("{}")
        (tmp_path / "worker.py").write_text(CHILD + 'note(f"worker {os.getpid()}")\nsys.stdin.read()')
        there.send(signal.SIGHUP)
        until(lambda: "the new worker 1 did not serve within 2 s" in told(there))
        assert answer(url) == b"%03d" % (worker % 1000)
        assert not psutil.pid_exists(there.pids("worker")[1])
        assert there.stop()[0] == 0


def test_settings_that_are_wrong_start_nothing(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        there.wait_ready()
        (tmp_path / "reload.json").write_text('{"port": 70000}')
        there.send(signal.SIGHUP)
        until(lambda: "rolling restart given up: port:" in told(there))
        assert (len(there.pids("control")), len(there.pids("worker"))) == (1, 1)
        assert there.stop()[0] == 0


def test_a_roll_to_fewer_workers_says_who_ends_and_the_log_ends_with_a_last_word(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start(workers=2)
        there.wait_ready()
        until(lambda: len(there.pids("worker")) == 2)
        (tmp_path / "reload.json").write_text('{"workers": 1}')
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        assert there.stop()[0] == 0
        assert "rolling restart: 1 relay process\n" in told(there)
        (ends,) = re.findall(r"worker 2: pid (\d+) ends, as fewer are wanted\n", told(there))
        assert int(ends) in there.pids("worker")
        assert told(there).splitlines()[-1].endswith("stopped")


def test_signals_during_a_roll_make_one_more(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        there.start()
        there.wait_ready()
        (tmp_path / "reload.json").write_text("{}")
        there.send(signal.SIGHUP)
        until(lambda: "rolling restart: 1 relay" in told(there))
        for _ in range(5):
            there.send(signal.SIGHUP)
        until(lambda: rolled(there, 2))
        time.sleep(0.3)
        assert told(there).count("rolling restart: 1 relay") == 2
        assert there.stop()[0] == 0


def test_who_was_replaced_and_does_not_end_is_told_then_killed(tmp_path: Path) -> None:
    stubborn = ROLLING.replace('(note(f"retired worker {os.getpid()}"), os._exit(0))', 'note(f"retired worker {os.getpid()}")')
    stubborn = stubborn.replace('(note("worker ends"), os._exit(0))', 'note("worker hangs")')
    with house(tmp_path, control=ROLLING_CONTROL, worker=stubborn, rolls=True) as there:
        there.start(retire_grace=0.2, grace=0)
        there.wait_ready()
        (worker,) = there.pids("worker")
        (tmp_path / "reload.json").write_text('{"grace": 0}')
        there.send(signal.SIGHUP)
        until(lambda: f"(pid {worker}), which was replaced, does not end and is killed" in told(there))
        assert there.events().index(f"retired worker {worker}") < there.events().index("worker hangs")
        assert there.stop()[0] == 0


def test_a_closed_terminal_means_stop_and_a_signal_on_an_open_one_means_roll(tmp_path: Path) -> None:
    with house(tmp_path, control=ROLLING_CONTROL, worker=ROLLING, rolls=True) as there:
        (tmp_path / "reload.json").write_text("{}")
        there.start(on_terminal=True)
        there.wait_ready()
        there.send(signal.SIGHUP)
        until(lambda: rolled(there))
        assert there.terminal is not None
        os.close(there.terminal)
        there.terminal = None
        assert there.process is not None
        there.process.wait(60)
        assert there.events()[-1] == "control ends"
        assert told(there).count("rolling restart: done") == 1
