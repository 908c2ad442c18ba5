import asyncio
import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.exchange import LEFT_OUT, Begun, Content, Exchange, JournalRecord, Resumed, Settled, Status
from spangate.record import journal, room
from spangate.record.journal import Corrupt, Disk, FileJournal, Newer, Torn, read_segment, segment_path, segments

PROCESS = "0194f0c2-0000-7000-8000-000000000001"


def exchange(no: int = 1, **changes: object) -> Exchange:
    plain = Exchange(
        call_id=f"0194f0c2-0000-7000-8000-{no:012x}",
        format="openai.chat",
        request_type="passthrough/model/openai-chat",
        path="/v1/chat/completions",
        server="gw:4000",
        received_at=1_700_000_000_000_000_000 + no,
        status=Status.ok,
    )
    return msgspec.structs.replace(plain, **changes)


def read(path: Path, offset: int = 0, window: int = journal.WINDOW) -> tuple[list[JournalRecord], int, Exception | None]:
    records: list[JournalRecord] = []
    try:
        for record, end in read_segment(path, offset, window=window):
            records.append(record)
            offset = end
    except (Torn, Corrupt, Newer) as ending:
        return records, offset, ending
    return records, offset, None


def all_records(directory: Path) -> list[JournalRecord]:
    return [record for segment in segments(directory) for record in read(segment.path)[0]]


def written(directory: Path, count: int, **options: object) -> Path:
    journal = FileJournal(directory, process_id=PROCESS, **options)
    for no in range(1, count + 1):
        journal.begin(exchange(no))
    journal.close()
    return segment_path(directory, PROCESS, 1)


class Failing(Disk):
    """Fails the n-th call of the named kind, once or from then on."""

    def __init__(self, kind: str, at: int = 1, *, code: int = errno.ENOSPC, always: bool = False, partial: int = 0) -> None:
        self.kind, self.at, self.code, self.always, self.partial = kind, at, code, always, partial
        self.calls = 0

    def fails(self, kind: str) -> bool:
        if kind != self.kind:
            return False
        self.calls += 1
        return self.calls == self.at or (self.always and self.calls > self.at)

    def check(self, kind: str) -> None:
        if self.fails(kind):
            raise OSError(self.code, os.strerror(self.code))

    def open(self, path, flags, mode=0o600):
        self.check("open")
        return super().open(path, flags, mode)

    def write(self, fd, data):
        if self.fails("write"):
            if self.partial and len(data) > self.partial:
                return super().write(fd, data[: self.partial])
            raise OSError(self.code, os.strerror(self.code))
        return super().write(fd, data)

    def truncate(self, fd, size):
        self.check("truncate")
        super().truncate(fd, size)

    def sync(self, fd):
        self.check("sync")
        super().sync(fd)

    def sync_directory(self, path):
        self.check("sync_directory")
        super().sync_directory(path)

    def rename(self, old, new):
        self.check("rename")
        super().rename(old, new)


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


def locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


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


# ---------------------------------------------------------------- torn tails and damage


def test_calls_each_unfinished_end_torn(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    whole = path.read_bytes()
    ends = [journal.HEADER_SIZE] + [end for _, end in read_segment(path)]
    for length in range(journal.HEADER_SIZE, len(whole)):
        path.write_bytes(whole[:length])
        records, offset, ending = read(path)
        complete = sum(end <= length for end in ends) - 1
        assert (len(records), offset) == (complete, ends[complete] if complete else 0)
        assert ending is None if length in ends else isinstance(ending, Torn) and ending.at == ends[complete]


@pytest.mark.parametrize("zeros", [1, 7, 8, 9, 5000])
def test_calls_zeros_at_the_end_torn(tmp_path: Path, zeros: int) -> None:
    path = written(tmp_path, 2)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(zeros))
    records, offset, ending = read(path)
    assert (len(records), offset) == (2, size)
    assert isinstance(ending, Torn)


@pytest.mark.parametrize("length", range(journal.HEADER_SIZE))
def test_calls_a_file_without_a_whole_header_torn(tmp_path: Path, length: int) -> None:
    path = written(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:length])
    assert isinstance(read(path)[2], Torn)


def test_finds_the_next_record_behind_any_changed_byte(tmp_path: Path) -> None:
    """Each byte of the second of three records, and of the header."""
    path = written(tmp_path, 3)
    whole = path.read_bytes()
    first, second, _ = (end for _, end in read_segment(path))
    for position in [*range(journal.HEADER_SIZE), *range(first, second)]:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        records, _, ending = read(path)
        assert isinstance(ending, Corrupt), position
        in_header = position < journal.HEADER_SIZE
        assert [record.seq for record in records] == ([] if in_header else [1])
        assert (ending.at, ending.resumes) == ((0, journal.HEADER_SIZE) if in_header else (first, second))
        assert [record.seq for record, _ in read_segment(path, ending.resumes)] == ([1, 2, 3] if in_header else [3])


def test_calls_a_changed_last_record_corrupt(tmp_path: Path) -> None:
    path = written(tmp_path, 2)
    whole = path.read_bytes()
    first, _ = (end for _, end in read_segment(path))
    path.write_bytes(whole[:-1] + b"\xff")
    records, offset, ending = read(path)
    assert ([record.seq for record in records], offset) == ([1], first)
    assert isinstance(ending, Corrupt)
    assert (ending.at, ending.resumes) == (first, None)


def test_goes_on_behind_a_record_that_it_does_not_know(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    size = path.stat().st_size
    payload = msgspec.msgpack.encode({"type": "x", "seq": 2})
    frame = journal.FRAME.pack(len(payload), journal._crc(payload)) + payload
    with path.open("ab") as file:
        file.write(frame)
    _, _, ending = read(path)
    assert isinstance(ending, Corrupt)
    assert (ending.at, ending.resumes) == (size, size + len(frame))
    assert list(read_segment(path, ending.resumes)) == []


def test_leaves_a_newer_version_alone(tmp_path: Path) -> None:
    path = written(tmp_path, 1)
    header = journal.HEADER.pack(journal.MAGIC, journal.VERSION + 1, bytes(16), 1, 1)
    path.write_bytes(header + journal._U32.pack(journal._crc(header)) + b"whatever")
    assert isinstance(read(path)[2], Newer)


@given(st.binary(max_size=400))
def test_takes_any_bytes_without_another_exception(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = written(tmp_path_factory.mktemp("journal"), 1)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(junk)
    records, offset, _ = read(path)
    assert ([record.seq for record in records], offset) == ([1], size)


# ---------------------------------------------------------------- the death of the process


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from spangate.exchange import Content, Exchange, Status
    from spangate.record.journal import FileJournal
    journal = FileJournal(Path(sys.argv[1]), segment_limit=20_000)
    for no in range(1, 10**9):
        exchange = Exchange(call_id=str(no), format="f", request_type="r", path="/", server="s", received_at=no, status=Status.ok)
        journal.settle(exchange, Content(request=b"x" * (no % 900)))
        sys.stdout.write(f"{no}\\n")
        sys.stdout.flush()
    """
)


@pytest.mark.parametrize("answers", [1, 57, 400])
def test_has_each_answered_record_after_kill_9(tmp_path: Path, answers: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    answered = [int(writer.stdout.readline()) for _ in range(answers)]
    writer.send_signal(signal.SIGKILL)
    answered += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    writer.wait()
    writer.stdout.close()
    kept = [record.seq for record in all_records(tmp_path)]
    assert kept == list(range(1, len(kept) + 1))
    assert kept[: len(answered)] == answered
    assert not any(locked(segment.path) for segment in segments(tmp_path))


# ---------------------------------------------------------------- a disk that runs full


class Small(Disk):
    """A disk with so much room, shared by the segments and the reserve. A write may be cut short, as on a real one."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.reserved = 0

    def free(self, directory):
        return self.room

    def nameless(self, directory):
        return os.open(os.devnull, os.O_RDONLY)

    def allocate(self, fd, size):
        if self.room < size - self.reserved:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room += self.reserved - size
        self.reserved = size

    def write(self, fd, data):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = super().write(fd, data[: self.room])
        self.room -= done
        return done

    def truncate(self, fd, size):
        if stat.S_ISCHR(os.fstat(fd).st_mode):  # the reserve
            self.room, self.reserved = self.room + self.reserved - size, size
            return
        self.room += os.fstat(fd).st_size - size
        super().truncate(fd, size)


SAID = Content(request=b"x" * 5000, response=b"y" * 5000)


def test_leaves_out_what_was_said_when_the_disk_has_little_room(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, disk=Small(1 << 20), low=2 << 20)
    log.begin(exchange(1))
    log.settle(exchange(1), SAID)
    log.settle(exchange(2), None)
    log.close()
    assert all_records(tmp_path)[1:] == [
        Settled(seq=2, exchange=exchange(1), content=LEFT_OUT),
        Settled(seq=3, exchange=exchange(2)),
    ]


@pytest.mark.parametrize("size", range(30_000, 60_000, 1009))
def test_on_a_full_disk_every_call_that_began_is_settled_and_no_other_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Wherever in a write the room ends."""
    monkeypatch.setattr(room, "SLICE", 1000)
    disk = Small(size)
    log = FileJournal(tmp_path, disk=disk, reserve=12_000)
    begun: list[int] = []
    for no in range(1, 100):
        try:
            log.begin(exchange(no, status=Status.unknown))
        except OSError:
            break
        begun.append(no)
        if no % 2 == 0 and no < 8:
            log.settle(exchange(no), SAID)
    else:
        pytest.fail("the disk was never full")
    disk.room = min(disk.room, 40)  # others write too
    waiting = [no for no in begun if no % 2 or no >= 8][:20]
    for no in waiting:
        log.settle(exchange(no), SAID)
    assert log.room.full
    with pytest.raises(OSError, match="no room"):
        log.begin(exchange(100))
    log.close()
    records = all_records(tmp_path)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    settled = [record for record in records if isinstance(record, Settled)]
    assert {record.exchange.call_id for record in settled} >= {exchange(no).call_id for no in waiting}
    assert {record.content for record in settled} <= {SAID, LEFT_OUT}


def test_takes_calls_again_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE", 0.0)
    disk = Small(50_000)
    log = FileJournal(tmp_path, disk=disk, reserve=12_000)
    log.begin(exchange(1))
    disk.room = 10
    log.settle(exchange(1), SAID)
    with pytest.raises(OSError, match="no room"):
        log.begin(exchange(2))
    disk.room = 50_000
    log.begin(exchange(2))
    log.settle(exchange(2), SAID)
    log.close()
    assert [record.content for record in all_records(tmp_path) if isinstance(record, Settled)] == [LEFT_OUT, SAID]


def test_a_disk_that_is_broken_and_not_full_does_not_cost_the_reserve(tmp_path: Path) -> None:
    log = FileJournal(tmp_path, disk=Failing("write", at=3, code=errno.EIO, always=True), reserve=1 << 20)
    log.begin(exchange(1))
    with pytest.raises(OSError, match="Input/output"):
        log.settle(exchange(1), SAID)
    assert not log.room.full
    log.close()
