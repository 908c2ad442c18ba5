"""What is left of a journal after a crash, a fault or a full disk."""

import errno
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

from spangate.exchange import LEFT_OUT, Content, Settled, Status
from spangate.record import journal, room
from spangate.record.journal import Corrupt, Disk, FileJournal, Newer, Torn, read_segment, segments

from .journals import Failing, all_records, exchange, locked, read, written

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
