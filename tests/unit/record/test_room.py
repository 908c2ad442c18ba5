import errno
import os
from pathlib import Path

import pytest

from spangate.record import room
from spangate.record.room import Room, allocate, nameless

FOLDER = Path("/journals")


class Disk:
    """A disk of so many bytes, of which others take what they want."""

    def __init__(self, free: int) -> None:
        self.left = free
        self.looks = 0
        self.held = 0
        self.fault: OSError | None = None

    def free(self, directory: Path) -> int:
        assert directory == FOLDER
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        return self.left

    def nameless(self, directory: Path) -> int:
        return 9

    def allocate(self, fd: int, size: int) -> None:
        if self.left < size - self.held:
            raise OSError(errno.ENOSPC, "full")
        self.truncate(fd, size)

    def truncate(self, fd: int, size: int) -> None:
        assert fd == 9
        self.left += self.held - size
        self.held = size

    def close(self, fd: int) -> None:
        self.truncate(fd, 0)


class Watch:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Watch:
    return Watch()


def test_holds_a_reserve_back_while_there_is_room(clock: Watch) -> None:
    disk = Disk(100)
    it = Room(FOLDER, disk, reserve=10, low=50, clock=clock)
    assert it.full, "until it has looked"
    it.look()
    assert (it.full, it.low, disk.left) == (False, False, 90)
    it.close()
    assert disk.left == 100


def test_looks_once_a_second(clock: Watch) -> None:
    disk = Disk(100)
    it = Room(FOLDER, disk, reserve=10, low=50, clock=clock)
    for _ in range(5):
        it.look()
    assert disk.looks == 1
    clock.now += room.PAUSE
    it.look()
    assert disk.looks == 2


def test_says_when_little_is_left_and_when_there_is_more_again(clock: Watch) -> None:
    disk = Disk(100)
    it = Room(FOLDER, disk, reserve=10, low=50, clock=clock)
    seen: list[tuple[bool, bool]] = []
    for free in (90, 50, 49, 0, 50):
        disk.left = free
        it.look()
        seen.append((it.low, it.full))
        clock.now += room.PAUSE
    assert seen == [(False, False), (False, False), (True, False), (True, False), (False, False)]


def test_the_reserve_is_given_piece_by_piece_and_made_anew_only_when_there_is_room_for_more_than_it(
    clock: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SLICE", 4)
    disk = Disk(100)
    it = Room(FOLDER, disk, reserve=10, low=0, clock=clock)
    it.look()
    disk.left = 0
    assert it.release()
    assert (it.full, it.low, disk.left) == (True, True, 4)
    disk.left = 0
    assert [it.release() for _ in range(3)] == [True, True, False]
    assert disk.left == 6
    disk.left = 10
    clock.now += room.PAUSE
    it.look()
    assert it.full, "it would only go round and round"
    disk.left = 20
    it.look()
    assert it.full, "not before the next look"
    clock.now += room.PAUSE
    it.look()
    assert (it.full, it.low, disk.held) == (False, False, 10)


def test_without_a_reserve_it_is_never_full(clock: Watch) -> None:
    it = Room(FOLDER, Disk(0), reserve=0, low=0, clock=clock)
    it.look()
    assert (it.full, it.release()) == (False, False)


def test_a_disk_that_cannot_be_asked_changes_nothing(clock: Watch) -> None:
    disk = Disk(100)
    it = Room(FOLDER, disk, reserve=10, low=50, clock=clock)
    it.look()
    disk.fault = OSError(errno.ENOENT, "gone")
    clock.now += room.PAUSE
    it.look()
    assert (it.full, it.low) == (False, False)


def test_a_reserve_that_another_took_the_room_of_is_tried_again(clock: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(100)

    def lost(fd: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    it = Room(FOLDER, disk, reserve=10, low=50, clock=clock)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "allocate", lost)
        it.look()
    assert it.full
    clock.now += room.PAUSE
    it.look()
    assert not it.full


@pytest.mark.parametrize("native", [True, False])
def test_the_reserve_is_a_file_without_a_name_that_takes_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    if not native:
        monkeypatch.delattr(os, "posix_fallocate")
    fd = nameless(tmp_path)
    try:
        allocate(fd, 3 << 20)
        assert list(tmp_path.iterdir()) == []
        assert os.fstat(fd).st_blocks * 512 >= 3 << 20
    finally:
        os.close(fd)


def test_a_reserve_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    fd = nameless(tmp_path)
    with pytest.raises(OSError, match=r".*"):
        allocate(fd, 1 << 62)
    os.close(fd)
