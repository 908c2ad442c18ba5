from pathlib import Path

import pytest

from spangate.control import idle
from spangate.control.idle import Idle


class Machine:
    def __init__(self) -> None:
        self.now = 100.0
        self.idle: float | None = 5_000.0


def test_it_tells_how_many_processors_were_idle_since_the_last_look() -> None:
    machine = Machine()
    looking = Idle(lambda: machine.idle, lambda: machine.now)
    assert looking.processors() is None
    machine.now, machine.idle = 102.0, 5_003.0
    assert looking.processors() == 1.5
    machine.now, machine.idle = 102.4, 5_003.0
    assert looking.processors() == 1.5  # too early to tell
    machine.now, machine.idle = 104.0, 5_003.5
    assert looking.processors() == 0.25
    machine.now, machine.idle = 105.0, 5_003.0
    assert looking.processors() == 0.0  # of those that wait for a disk the kernel takes some back
    machine.now, machine.idle = 106.0, None
    assert looking.processors() is None
    machine.now, machine.idle = 107.0, 5_004.0
    assert looking.processors() is None


def test_the_kernel_counts_what_is_idle_of_all_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat, limit = tmp_path / "stat", tmp_path / "cpu.max"
    monkeypatch.setattr(idle, "_STAT", stat)
    monkeypatch.setattr(idle, "_LIMITS", ((limit, "max"),))
    monkeypatch.setattr(idle, "sysconf", lambda name: 100)
    assert idle.idle_seconds() is None  # not Linux
    stat.write_text("cpu  10132153 290696 3084719 46828483 16683 0 25195 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n")
    assert idle.idle_seconds() == 468_451.66
    limit.write_text("max 100000\n")
    assert idle.idle_seconds() == 468_451.66
    limit.write_text("150000 100000\n")  # of the idle ones none is ours
    assert idle.idle_seconds() is None
