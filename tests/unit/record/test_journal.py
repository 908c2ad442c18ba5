import asyncio
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.exchange import Begun, Content, Resumed, Settled, Status
from spangate.record import journal
from spangate.record.journal import Disk, FileJournal, Torn, read_segment, segment_path, segments

from .journals import PROCESS, Failing, all_records, exchange, locked, read, written

# ---------------------------------------------------------------- what was written can be read


def test_reads_what_was_written(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, process_id=PROCESS)
    log.begin(exchange(1, status=Status.unknown))
    log.settle(exchange(1), Content(request=b"{}", response=b'{"a":1}'))
    log.settle(exchange(2), None)
    log.resume(exchange(3, status=Status.unknown))
    path = segment_path(tmp_path, PROCESS, 1)
    expected = [
        Begun(seq=1, exchange=exchange(1, status=Status.unknown)),
        Settled(seq=2, exchange=exchange(1), content=Content(request=b"{}", response=b'{"a":1}')),
        Settled(seq=3, exchange=exchange(2)),
        Resumed(seq=4, exchange=exchange(3, status=Status.unknown)),
    ]
    assert read(path) == (expected, path.stat().st_size, None)
    log.close()
    assert read(path) == (expected, path.stat().st_size, None)


def test_goes_on_at_any_offset_that_it_gave(tmp_path: Path) -> None:
    path = written(tmp_path, 5)
    ends = [end for _, end in read_segment(path)]
    for already, end in enumerate(ends, 1):
        assert [record.seq for record, _ in read_segment(path, end)] == list(range(already + 1, 6))


@given(st.integers(1, 3000))
def test_reads_through_a_window_of_any_size(tmp_path_factory: pytest.TempPathFactory, window: int) -> None:
    directory = tmp_path_factory.mktemp("journal")
    path = written(directory, 6)
    assert [record.seq for record, _ in read_segment(path, window=window)] == [1, 2, 3, 4, 5, 6]


def test_makes_no_file_before_the_first_record(tmp_path: Path) -> None:
    log = FileJournal(tmp_path / "journals")
    assert list((tmp_path / "journals").iterdir()) == []
    log.close()


def test_names_the_process_and_the_first_number_in_the_header(tmp_path: Path) -> None:
    written(tmp_path, 3, segment_limit=1)
    headers = [journal.read_header(segment.path.read_bytes()) for segment in segments(tmp_path)]
    assert headers == [journal.Header(PROCESS, number, number) for number in (1, 2, 3)]


def test_is_for_its_owner_only(tmp_path: Path) -> None:
    path = written(tmp_path / "journals", 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_refuses_records_once_closed(tmp_path: Path) -> None:
    log = FileJournal(tmp_path)
    log.begin(exchange(1))
    log.close()
    with pytest.raises(OSError, match="closed"):
        log.begin(exchange(2))


# ---------------------------------------------------------------- segments and locks


def test_starts_a_new_segment_when_one_is_full(tmp_path: Path) -> None:
    written(tmp_path, 20, segment_limit=1000)
    assert [segment.number for segment in segments(tmp_path)] == list(range(1, len(segments(tmp_path)) + 1))
    assert len(segments(tmp_path)) > 3
    assert [record.seq for record in all_records(tmp_path)] == list(range(1, 21))
    assert all(segment.path.stat().st_size < 1500 for segment in segments(tmp_path))


def test_starts_a_new_segment_when_one_is_old(tmp_path: Path) -> None:
    now = 0.0
    log = FileJournal(tmp_path, segment_age=60, clock=lambda: now)
    for seq, at in enumerate((0, 59.9, 60, 119.9, 120, 500), 1):
        now = 1e6 + at
        log.begin(exchange(seq))
    log.close()
    assert [journal.read_header(segment.path.read_bytes()).first_seq for segment in segments(tmp_path)] == [1, 3, 5, 6]
    assert [record.seq for record in all_records(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_holds_the_lock_of_the_newest_segment_until_closed(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, segment_limit=1)
    for no in range(1, 4):
        log.begin(exchange(no))
        assert locked(segments(tmp_path)[-1].path)
    log.close()
    assert [locked(segment.path) for segment in segments(tmp_path)] == [False] * 3


async def test_goes_on_syncing_after_a_full_segment_could_not_be_closed(tmp_path: Path) -> None:
    class Stuck(Disk):
        def close(self, fd):
            super().close(fd)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    log = FileJournal(tmp_path, strict=True, segment_limit=1, disk=Stuck())
    for no in range(1, 4):
        log.begin(exchange(no))
        await asyncio.wait_for(log.durable(), 10)


def test_names_a_segment_only_once_it_is_locked_and_has_its_header(tmp_path: Path) -> None:
    seen: list[tuple[bool, journal.Header | None, list[Path]]] = []

    class Watching(Disk):
        def rename(self, old, new):
            seen.append((locked(old), journal.read_header(old.read_bytes()), [segment.path for segment in segments(tmp_path)]))
            super().rename(old, new)

    FileJournal(tmp_path, process_id=PROCESS, disk=Watching()).begin(exchange(1))
    assert seen == [(True, journal.Header(PROCESS, 1, 1), [])]


def test_goes_on_with_a_full_segment_when_no_new_one_can_be_made(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, segment_limit=1, disk=Failing("open", 2, always=True))
    for no in range(1, 5):
        log.begin(exchange(no))
    assert [record.seq for record in all_records(tmp_path)] == [1, 2, 3, 4]
    log.close()


@pytest.mark.parametrize("kind", ["open", "write", "rename"])
def test_says_so_when_its_first_segment_cannot_be_made_and_tries_again(tmp_path: Path, kind: str) -> None:
    log = FileJournal(tmp_path, disk=Failing(kind, 1))
    with pytest.raises(OSError, match="space"):
        log.begin(exchange(1))
    assert list(tmp_path.iterdir()) == []
    log.begin(exchange(1))
    assert [record.seq for record in all_records(tmp_path)] == [1]
    log.close()


# ---------------------------------------------------------------- faults of the disk


@pytest.mark.parametrize("partial", [1, 7, 8, 9, 100])
def test_writes_on_when_only_a_part_was_written(tmp_path: Path, partial: int) -> None:
    log = FileJournal(tmp_path, disk=Failing("write", 2, partial=partial))
    log.begin(exchange(1))
    log.begin(exchange(2))
    assert all_records(tmp_path) == [Begun(seq=1, exchange=exchange(1)), Begun(seq=2, exchange=exchange(2))]
    log.close()


class FillsUp(Disk):
    """Writes a part of the given call, and has no room for the rest of it."""

    def __init__(self, at: int, *, truncates: bool = True) -> None:
        self.at, self.truncates, self.calls = at, truncates, 0

    def write(self, fd, data):
        self.calls += 1
        if self.calls == self.at:
            return super().write(fd, data[: len(data) // 2])
        if self.calls == self.at + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)

    def truncate(self, fd, size):
        if not self.truncates:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().truncate(fd, size)


def test_takes_back_half_a_record(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, disk=FillsUp(3))  # the header and the first record are one write each
    log.begin(exchange(1))
    with pytest.raises(OSError, match="space"):
        log.begin(exchange(2))
    log.begin(exchange(3))
    assert all_records(tmp_path) == [Begun(seq=1, exchange=exchange(1)), Begun(seq=2, exchange=exchange(3))]
    log.close()


def test_leaves_a_segment_whose_end_it_could_not_take_back(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, disk=FillsUp(3, truncates=False))
    log.begin(exchange(1))
    with pytest.raises(OSError, match="space"):
        log.begin(exchange(2))
    log.begin(exchange(3))
    first, second = segments(tmp_path)
    assert read(first.path)[0] == [Begun(seq=1, exchange=exchange(1))]
    assert isinstance(read(first.path)[2], Torn)
    assert read(second.path)[0] == [Begun(seq=2, exchange=exchange(3))]
    log.close()


def test_gives_up_the_bodies_before_the_bill(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, disk=Failing("write", 2))
    log.settle(exchange(1), Content(request=b"long"))
    assert all_records(tmp_path) == [Settled(seq=1, exchange=exchange(1), content=Content(request_truncated=True, response_truncated=True))]
    log.close()


def test_refuses_a_record_beyond_any_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "RECORD_LIMIT", 1000)
    log = FileJournal(tmp_path)
    log.settle(exchange(1), Content(request=b"x" * 2000))
    assert all_records(tmp_path) == [Settled(seq=1, exchange=exchange(1), content=Content(request_truncated=True, response_truncated=True))]
    log.close()


# ---------------------------------------------------------------- strict mode


async def test_waits_for_nothing_unless_strict(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, disk=Failing("sync", 1, always=True), fsync_interval=3600)
    log.begin(exchange(1))
    await log.durable()
    log._interval = 0
    log._closing.set()


async def test_returns_from_durable_after_the_sync_of_what_was_written(tmp_path: Path) -> None:
    synced: list[int] = []

    class Watching(Disk):
        def sync(self, fd):
            synced.append(os.fstat(fd).st_size)
            super().sync(fd)

    log = FileJournal(tmp_path, strict=True, disk=Watching())
    for no in range(1, 4):
        log.begin(exchange(no))
        await log.durable()
        assert synced[-1] == segments(tmp_path)[0].path.stat().st_size
    before = len(synced)
    await log.durable()
    assert len(synced) == before
    log.close()


async def test_shares_a_sync_among_all_who_wait(tmp_path: Path) -> None:
    disk = Failing("sync", 0)
    log = FileJournal(tmp_path, strict=True, disk=disk)

    async def call(no: int) -> None:
        log.begin(exchange(no))
        await log.durable()

    await asyncio.gather(*(call(no) for no in range(1, 201)))
    assert disk.calls <= 100
    log.close()


async def test_syncs_full_segments_too(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, strict=True, segment_limit=1)
    await asyncio.gather(*(_written_durably(log, no) for no in range(1, 30)))
    assert [record.seq for record in all_records(tmp_path)] == list(range(1, 30))
    log.close()


async def _written_durably(log: FileJournal, no: int) -> None:
    log.begin(exchange(no))
    await log.durable()


@pytest.mark.parametrize("kind", ["sync", "sync_directory"])
async def test_says_so_when_a_sync_failed_and_trusts_that_segment_no_more(tmp_path: Path, kind: str) -> None:
    log = FileJournal(tmp_path, strict=True, disk=Failing(kind, 1, code=errno.EIO))
    log.begin(exchange(1))
    with pytest.raises(OSError, match="Input/output"):
        await log.durable()
    with pytest.raises(OSError, match="Input/output"):
        await log.durable()
    log.begin(exchange(2))
    await log.durable()
    assert [segment.number for segment in segments(tmp_path)] == [1, 2]
    assert [record.seq for record in all_records(tmp_path)] == [1, 2]
    log.close()


async def test_lets_a_waiter_be_cancelled(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, strict=True)
    log.begin(exchange(1))
    waiter = asyncio.ensure_future(log.durable())
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    log.begin(exchange(2))
    await log.durable()
    log.close()
