import errno
import logging
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from spangate.exchange import Target
from spangate.relay import cooling
from spangate.relay.cooling import SIZE, Cooling, Resting
from spangate.relay.health import FAILURES, PROBE

from .fakes import SECOND, TARGET

NAME = (TARGET.model_definition_id, TARGET.secret_id)


class Hands:
    """A clock whose hands are set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "health"


def fail(health: Cooling, target: Target = TARGET, times: int = FAILURES) -> None:
    for _ in range(times):
        health.failed(target)


def test_what_one_worker_saw_fail_rests_for_all(path: Path, clock: Hands) -> None:
    one, other = Cooling(path, clock=clock), Cooling(path, clock=clock)
    fail(one, times=3)
    fail(other, times=1)
    assert not one.rests(TARGET)
    fail(other, times=1)
    assert (one.rests(TARGET), other.rests(TARGET), one.rests(SECOND)) == (True, True, False)


def test_only_one_worker_gets_the_probe_and_its_success_is_for_all(path: Path, clock: Hands) -> None:
    one, other = Cooling(path, clock=clock), Cooling(path, clock=clock)
    fail(one)
    clock.now += 5
    assert (one.rests(TARGET), other.rests(TARGET)) == (False, False)
    other.tried(TARGET)
    assert (one.rests(TARGET), other.rests(TARGET)) == (True, True)
    other.well(TARGET)
    assert (one.rests(TARGET), other.rests(TARGET)) == (False, False)
    fail(one, times=FAILURES - 1)
    assert not one.rests(TARGET)


def test_a_probe_that_told_nothing_is_for_the_next_call(path: Path, clock: Hands) -> None:
    one, other = Cooling(path, clock=clock), Cooling(path, clock=clock)
    fail(one)
    clock.now += 5
    assert (one.tried(TARGET), other.tried(TARGET)) == (True, False)
    one.released(TARGET)
    assert not other.rests(TARGET)
    assert other.tried(TARGET)
    fail(other, times=1)
    assert one.rests(TARGET)


def test_one_secret_failing_says_nothing_of_another_of_the_same_model(clock: Hands) -> None:
    health = Cooling(clock=clock)
    fail(health)
    assert not health.rests(msgspec.structs.replace(TARGET, secret_id="s-9"))


def test_tells_who_rests_and_how_long(clock: Hands) -> None:
    health = Cooling(clock=clock)
    fail(health)
    clock.now += 2
    assert health.resting([("d-0", None), NAME, NAME]) == [Resting("d-1", "s-1", seconds=3.0, cooled=1)]
    clock.now += 3
    assert health.resting([NAME]) == []
    health.tried(TARGET)
    assert health.resting([NAME]) == [Resting("d-1", "s-1", seconds=0.0, cooled=1)]


@pytest.mark.parametrize("seed", range(20))
def test_rubbish_reads_as_nothing_known_and_is_written_over(path: Path, clock: Hands, seed: int) -> None:
    path.write_bytes(random.Random(seed).randbytes(SIZE))
    health = Cooling(path, clock=clock)
    assert not health.rests(TARGET)
    fail(health)
    assert health.rests(TARGET)


def test_a_slot_torn_at_any_byte_reads_as_nothing_known(path: Path, clock: Hands) -> None:
    health = Cooling(path, clock=clock)
    fail(health)
    written = path.read_bytes()
    start = next(at for at, byte in enumerate(written) if byte)
    for at in range(start, start + 36):
        if written[at]:
            path.write_bytes(written[:at] + bytes([written[at] ^ 0xFF]) + written[at + 1 :])
            assert not health.rests(TARGET), at
    path.write_bytes(written)
    assert health.rests(TARGET)


def test_of_two_that_fall_on_one_slot_the_first_keeps_it_while_it_rests(monkeypatch: pytest.MonkeyPatch, clock: Hands) -> None:
    monkeypatch.setattr(cooling, "SLOTS", 1)
    health = Cooling(clock=clock)
    fail(health)
    fail(health, SECOND)
    assert (health.rests(TARGET), health.rests(SECOND)) == (True, False)
    clock.now += 5
    fail(health, SECOND)
    assert (health.rests(TARGET), health.rests(SECOND)) == (False, True)


def test_a_shorter_file_is_filled_up_and_a_longer_one_left_as_it_is(path: Path, clock: Hands) -> None:
    path.write_bytes(b"x" * 100)
    fail(Cooling(path, clock=clock))
    assert path.stat().st_size == SIZE
    path.write_bytes(bytes(SIZE + 100))
    fail(Cooling(path, clock=clock))
    assert path.stat().st_size == SIZE + 100


def test_room_on_the_disk_is_taken_before_it_is_written_to(path: Path) -> None:
    Cooling(path)
    assert path.stat().st_blocks * 512 >= SIZE
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_a_file_each_worker_knows_what_it_saw_itself(
    tmp_path: Path, clock: Hands, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cooling, "_reserve", full)
    with caplog.at_level(logging.WARNING):
        one, other = Cooling(tmp_path / "health", clock=clock), Cooling(tmp_path / "none" / "health", clock=clock)
    assert len(caplog.records) == 2
    fail(one)
    assert (one.rests(TARGET), other.rests(TARGET)) == (True, False)


def test_a_worker_that_is_killed_with_the_probe_leaves_it_to_the_others(path: Path, clock: Hands) -> None:
    health = Cooling(path, clock=clock)
    fail(health)
    clock.now += 5
    probing = (
        "import os, signal\n"
        "from spangate.relay.cooling import Cooling\n"
        "from tests.unit.relay.fakes import TARGET\n"
        f"Cooling(__import__('pathlib').Path({str(path)!r}), clock=lambda: {clock.now}).tried(TARGET)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", probing], check=False).returncode == -signal.SIGKILL
    assert health.rests(TARGET)
    clock.now += PROBE
    assert not health.rests(TARGET)
