import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from spangate.control.drain import Backlog, Drain, ProcessBacklog
from spangate.exchange import Begun, Content, Exchange, JournalRecord, ProcessPosition, Settled, Status
from spangate.record import journal
from spangate.record.journal import Disk, FileJournal, segment_path, segments
from spangate.record.spans import trace_row
from spangate.store import ledger as rows
from spangate.store.engine import Database
from spangate.store.faults import Invalid, Unavailable
from spangate.store.writer import LedgerSink

PROCESS = "0194f0c2-0000-7000-8000-000000000001"
OTHER = "0194f0c2-0000-7000-8000-000000000002"


def exchange(no: int, status: Status = Status.ok) -> Exchange:
    return Exchange(call_id=str(no), format="f", request_type="r", path="/", server="s", received_at=no, status=status)


class Ledger:
    """A sink in memory that keeps the promise of the real one: a batch with its position, or neither."""

    def __init__(self) -> None:
        self.at: dict[str, ProcessPosition] = {}
        self.kept: dict[str, list[JournalRecord]] = {}
        self.gaps: list[tuple[str, int, int]] = []
        self.closed: list[str] = []
        self.batches: list[int] = []

    def positions(self) -> Mapping[str, ProcessPosition]:
        return dict(self.at)

    def keep(
        self, before: ProcessPosition | None, after: ProcessPosition, records: Sequence[JournalRecord], *, gaps: Sequence[tuple[int, int]]
    ) -> bool:
        if self.at.get(after.process_id) != before:
            return False
        self.at[after.process_id] = after
        self.kept.setdefault(after.process_id, []).extend(records)
        self.gaps += [(after.process_id, first, last) for first, last in gaps]
        self.batches.append(len(records))
        return True

    def close(self, process_id: str) -> int:
        self.closed.append(process_id)
        return 0

    def seqs(self, process_id: str = PROCESS) -> list[int]:
        return [record.seq for record in self.kept.get(process_id, [])]


def write(directory: Path, count: int, *, process_id: str = PROCESS, open: bool = False, segment_limit: int = 1 << 20) -> FileJournal:
    log = FileJournal(directory, process_id=process_id, segment_limit=segment_limit)
    for no in range(1, count + 1):
        log.settle(exchange(no), Content(request=b"x" * (no % 50)))
    if not open:
        log.close()
    return log


def drain_all(drain: Drain) -> None:
    while drain.drain_once():
        pass


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


# ---------------------------------------------------------------- live and dead


def test_has_nothing_to_do_without_a_folder(tmp_path: Path, ledger: Ledger) -> None:
    drain = Drain(tmp_path / "none", ledger)
    assert not drain.drain_once()
    assert drain.backlog() == Backlog((), ())


def test_follows_a_live_journal(tmp_path: Path, ledger: Ledger) -> None:
    drain = Drain(tmp_path, ledger)
    log = FileJournal(tmp_path, process_id=PROCESS)
    for no in range(1, 6):
        log.begin(exchange(no, Status.unknown))
        drain_all(drain)
        log.settle(exchange(no), None)
        drain_all(drain)
    assert ledger.kept[PROCESS] == [
        record
        for no in range(1, 6)
        for record in (Begun(seq=2 * no - 1, exchange=exchange(no, Status.unknown)), Settled(seq=2 * no, exchange=exchange(no)))
    ]
    assert ledger.closed == []
    assert len(segments(tmp_path)) == 1
    log.close()


def test_adopts_an_orphan_and_removes_what_is_kept(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 30, segment_limit=500)
    assert len(segments(tmp_path)) > 3
    drain_all(Drain(tmp_path, ledger))
    assert ledger.seqs() == list(range(1, 31))
    assert ledger.closed == [PROCESS]
    assert ledger.gaps == []
    assert list(tmp_path.iterdir()) == []


def test_removes_full_segments_of_a_live_process_but_never_its_newest(tmp_path: Path, ledger: Ledger) -> None:
    log = write(tmp_path, 30, open=True, segment_limit=500)
    numbers = [segment.number for segment in segments(tmp_path)]
    drain = Drain(tmp_path, ledger)
    drain_all(drain)
    assert [segment.number for segment in segments(tmp_path)] == numbers[-1:]
    log.settle(exchange(31), None)
    drain_all(drain)
    assert ledger.seqs() == list(range(1, 32))
    assert ledger.closed == []
    log.close()


def test_goes_on_where_the_database_is(tmp_path: Path, ledger: Ledger) -> None:
    log = write(tmp_path, 30, open=True, segment_limit=500)
    drain_all(Drain(tmp_path, ledger))
    for no in range(31, 41):
        log.settle(exchange(no), None)
    drain_all(Drain(tmp_path, ledger))
    log.close()
    drain_all(Drain(tmp_path, ledger))
    drain_all(Drain(tmp_path, ledger))
    assert ledger.seqs() == list(range(1, 41))
    assert ledger.gaps == []
    assert list(tmp_path.iterdir()) == []


def test_takes_all_processes_in_turn(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 10)
    log = write(tmp_path, 5, process_id=OTHER, open=True)
    drain_all(Drain(tmp_path, ledger, batch_records=2))
    assert (ledger.seqs(PROCESS), ledger.seqs(OTHER)) == (list(range(1, 11)), list(range(1, 6)))
    assert ledger.closed == [PROCESS]
    log.close()


def test_keeps_batches_within_their_bounds(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 25)
    drain_all(Drain(tmp_path, ledger, batch_records=10))
    assert ledger.batches == [10, 10, 5]
    write(tmp_path, 25, process_id=OTHER)
    ledger.batches.clear()
    drain_all(Drain(tmp_path, ledger, batch_bytes=1))
    assert ledger.batches == [1] * 25


def test_cuts_the_torn_tail_of_a_dead_process_only(tmp_path: Path, ledger: Ledger) -> None:
    log = write(tmp_path, 3, open=True)
    path = segments(tmp_path)[0].path
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b"\x50\x00\x00\x00torn")
    drain = Drain(tmp_path, ledger)
    drain_all(drain)
    assert path.exists()
    path.write_bytes(whole)  # it was taken back, and the next one written
    log.settle(exchange(4), None)
    drain_all(drain)
    assert ledger.seqs() == [1, 2, 3, 4]
    with path.open("ab") as file:
        file.write(b"\x50\x00\x00\x00torn")
    log.close()
    drain_all(drain)
    assert ledger.seqs() == [1, 2, 3, 4]
    assert (ledger.gaps, ledger.closed, list(tmp_path.iterdir())) == ([], [PROCESS], [])


def test_goes_from_a_torn_full_segment_to_the_next(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 4, segment_limit=1)
    with segments(tmp_path)[1].path.open("ab") as file:
        file.write(b"\x50\x00\x00\x00torn")
    drain_all(Drain(tmp_path, ledger))
    assert (ledger.seqs(), ledger.gaps) == ([1, 2, 3, 4], [])


def test_sees_a_new_segment_that_came_while_it_looked(tmp_path: Path, ledger: Ledger) -> None:
    """The old one loses its lock when the new one has its name: that is no death."""
    log = write(tmp_path, 3, open=True)

    class Rotating(Disk):
        def lock(self, fd: int) -> bool:
            if log._number == 1:
                log._limit = 1
                log.settle(exchange(4), None)  # into the second segment
                log._sync()  # which lets go of the first
            return super().lock(fd)

    drain = Drain(tmp_path, ledger, disk=Rotating())
    drain_all(drain)
    drain_all(drain)
    assert ledger.closed == []
    assert ledger.seqs() == [1, 2, 3, 4]
    log.close()


def test_removes_segments_that_never_got_their_name(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / f".{PROCESS}-00000001.journal.abcd.tmp").write_bytes(b"half a head")
    drain_all(Drain(tmp_path, ledger))
    assert list(tmp_path.iterdir()) == []


def test_lets_a_journal_make_another_segment_when_it_took_the_new_one(tmp_path: Path, ledger: Ledger) -> None:
    drain = Drain(tmp_path, ledger)
    for step in ("lock", "rename"):
        swept: list[str] = []

        class Swept(Disk):
            def sweep(self, now: str, step: str = step, swept: list[str] = swept) -> None:
                if now == step and not swept:
                    swept.append(now)
                    drain._sweep() if now == "lock" else [os.unlink(path) for path in tmp_path.glob(".*.tmp")]

            def lock(self, fd: int) -> bool:
                self.sweep("lock")
                return super().lock(fd)

            def rename(self, old: Path, new: Path) -> None:
                self.sweep("rename")
                super().rename(old, new)

        log = FileJournal(tmp_path, disk=Swept())
        log.settle(exchange(1), None)
        log.close()
        assert swept == [step]
    drain_all(drain)
    assert [len(kept) for kept in ledger.kept.values()] == [1, 1]


# ---------------------------------------------------------------- damage


def damage(path: Path, record: int) -> None:
    """Changes a byte in the middle of the n-th record of the segment."""
    ends = [journal.HEADER_SIZE] + [end for _, end in journal.read_segment(path)]
    position = (ends[record - 1] + ends[record]) // 2
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])


@pytest.mark.parametrize("batch", [500, 1])
def test_shows_a_gap_and_keeps_the_file_when_a_record_is_damaged(tmp_path: Path, ledger: Ledger, batch: int) -> None:
    write(tmp_path, 5)
    path = segment_path(tmp_path, PROCESS, 1)
    damage(path, 3)
    damaged = path.read_bytes()
    drain_all(Drain(tmp_path, ledger, batch_records=batch))
    assert (ledger.seqs(), ledger.gaps, ledger.closed) == ([1, 2, 4, 5], [(PROCESS, 3, 3)], [PROCESS])
    aside = tmp_path / (path.name + ".corrupt")
    assert list(tmp_path.iterdir()) == [aside]
    assert aside.read_bytes() == damaged
    assert Drain(tmp_path, ledger).backlog() == Backlog((), (aside.name,))


def test_shows_a_gap_where_the_last_record_of_a_dead_process_is_damaged(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 3)
    damage(segment_path(tmp_path, PROCESS, 1), 3)
    drain_all(Drain(tmp_path, ledger))
    assert (ledger.seqs(), ledger.gaps, ledger.closed) == ([1, 2], [(PROCESS, 3, 3)], [PROCESS])


def test_waits_with_a_damaged_last_record_of_a_live_process_for_what_follows(tmp_path: Path, ledger: Ledger) -> None:
    log = write(tmp_path, 3, open=True)
    damage(segments(tmp_path)[0].path, 3)
    drain = Drain(tmp_path, ledger)
    drain_all(drain)
    assert (ledger.seqs(), ledger.gaps) == ([1, 2], [])
    log.settle(exchange(4), None)
    drain_all(drain)
    assert (ledger.seqs(), ledger.gaps) == ([1, 2, 4], [(PROCESS, 3, 3)])
    log.close()


def test_counts_what_a_damaged_full_segment_lost_by_what_the_next_one_begins_with(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 6, segment_limit=1)
    for number in (2, 3):
        segment_path(tmp_path, PROCESS, number).write_bytes(b"nothing like a journal, and long enough to have a header" * 3)
    drain_all(Drain(tmp_path, ledger))
    assert (ledger.seqs(), ledger.gaps) == ([1, 4, 5, 6], [(PROCESS, 2, 3)])
    assert len(list(tmp_path.glob("*.corrupt"))) == 2


def test_shows_a_gap_where_a_segment_is_missing(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 6, segment_limit=1)
    segment_path(tmp_path, PROCESS, 3).unlink()
    drain_all(Drain(tmp_path, ledger))
    assert (ledger.seqs(), ledger.gaps) == ([1, 2, 4, 5, 6], [(PROCESS, 3, 3)])


def test_shows_a_gap_for_a_record_that_it_cannot_read_and_only_once(tmp_path: Path, ledger: Ledger) -> None:
    log = write(tmp_path, 2, open=True)
    payload = msgspec.msgpack.encode({"type": "x", "seq": 3})
    with segments(tmp_path)[0].path.open("ab") as file:
        file.write(journal.FRAME.pack(len(payload), journal._crc(payload)) + payload)
    drain = Drain(tmp_path, ledger)
    for _ in range(3):
        drain_all(drain)
    assert (ledger.seqs(), ledger.gaps) == ([1, 2], [(PROCESS, 3, 3)])
    log.seq += 1
    log.settle(exchange(4), None)
    drain_all(drain)
    assert (ledger.seqs(), ledger.gaps) == ([1, 2, 4], [(PROCESS, 3, 3)])
    log.close()


def test_copies_a_damaged_file_where_there_are_no_hard_links(tmp_path: Path, ledger: Ledger) -> None:
    class Linkless(Disk):
        def link(self, old: Path, new: Path) -> None:
            raise OSError(errno.EPERM, "no hard links")

    write(tmp_path, 3)
    path = segment_path(tmp_path, PROCESS, 1)
    damage(path, 2)
    damaged = path.read_bytes()
    drain_all(Drain(tmp_path, ledger, disk=Linkless()))
    assert (tmp_path / (path.name + ".corrupt")).read_bytes() == damaged


def test_leaves_segments_of_a_newer_version_where_they_are(tmp_path: Path, ledger: Ledger) -> None:
    path = segment_path(tmp_path, PROCESS, 1)
    header = journal.HEADER.pack(journal.MAGIC, journal.VERSION + 1, bytes(16), 1, 1)
    path.write_bytes(header + journal._U32.pack(journal._crc(header)) + b"whatever")
    write(tmp_path, 3, process_id=OTHER)
    drain_all(Drain(tmp_path, ledger))
    assert ledger.seqs(OTHER) == [1, 2, 3]
    assert (ledger.closed, list(tmp_path.iterdir())) == ([OTHER], [path])


# ---------------------------------------------------------------- the database


class Unwell(Ledger):
    """Fails as the script says: before the transaction, or after its commit."""

    def __init__(self, *script: str) -> None:
        super().__init__()
        self.script = list(script)

    def keep(self, before, after, records, *, gaps):
        step = self.script.pop(0) if self.script else ""
        if step == "down":
            raise Unavailable("down")
        kept = super().keep(before, after, records, gaps=gaps)
        if step == "commit unknown":
            raise Unavailable("the connection was lost")
        return kept


def test_loses_and_doubles_nothing_while_the_database_comes_and_goes(tmp_path: Path) -> None:
    ledger = Unwell("down", "", "commit unknown", "down", "commit unknown", "", "down")
    write(tmp_path, 20)
    drain = Drain(tmp_path, ledger, batch_records=3)
    faults = 0
    while list(tmp_path.iterdir()):
        try:
            drain_all(drain)
        except Unavailable:
            faults += 1
    assert faults == 5
    assert (ledger.seqs(), ledger.gaps) == (list(range(1, 21)), [])


def test_goes_on_with_others_when_one_journal_cannot_be_read(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, 3)
    write(tmp_path, 3, process_id=OTHER)
    segment_path(tmp_path, PROCESS, 1).rename(tmp_path / "kept")
    segment_path(tmp_path, PROCESS, 1).mkdir()
    with pytest.raises(IsADirectoryError):
        drain_all(Drain(tmp_path, ledger))
    assert ledger.seqs(OTHER) == [1, 2, 3]


def test_writes_nothing_twice_when_another_drain_is_quicker(tmp_path: Path, ledger: Ledger) -> None:
    log = write(tmp_path, 10, open=True)
    one, two = Drain(tmp_path, ledger, batch_records=2), Drain(tmp_path, ledger, batch_records=3)
    one.drain_once(), two.drain_once()
    while one.drain_once() | two.drain_once():
        pass
    log.close()
    drain_all(two)
    drain_all(one)
    assert ledger.seqs() == list(range(1, 11))
    assert list(tmp_path.iterdir()) == []


class Picky(Ledger):
    """Refuses any batch with these records in it."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self.refused = set(refused)

    def keep(self, before, after, records, *, gaps):
        if self.refused & {record.seq for record in records}:
            raise Invalid("A value does not fit.")
        return super().keep(before, after, records, gaps=gaps)


def test_sets_aside_the_one_record_that_the_database_refuses(tmp_path: Path) -> None:
    ledger = Picky(7, 8)
    write(tmp_path, 20)
    drain = Drain(tmp_path, ledger)
    for _ in range(100):
        with contextlib.suppress(Invalid):
            drain_all(drain)
    assert ledger.seqs() == [1, 2, 3, 4, 5, 6, *range(9, 21)]
    assert ledger.gaps == [(PROCESS, 7, 7), (PROCESS, 8, 8)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PROCESS}-7.refused", f"{PROCESS}-8.refused"]
    kept = msgspec.msgpack.decode((tmp_path / f"{PROCESS}-7.refused").read_bytes(), type=JournalRecord)
    assert kept == Settled(seq=7, exchange=exchange(7), content=Content(request=b"x" * 7))


# ---------------------------------------------------------------- what waits


def test_says_what_waits(tmp_path: Path, ledger: Ledger) -> None:
    log = write(tmp_path, 3, open=True)
    write(tmp_path, 3, process_id=OTHER)
    sizes = {segment.process_id: segment.path.stat().st_size for segment in segments(tmp_path)}
    drain = Drain(tmp_path, ledger)
    waiting = drain.backlog()
    assert waiting == Backlog((ProcessBacklog(PROCESS, True, 1, sizes[PROCESS]), ProcessBacklog(OTHER, False, 1, sizes[OTHER])), ())
    assert waiting.bytes == sum(sizes.values())
    drain_all(drain)
    assert drain.backlog() == Backlog((ProcessBacklog(PROCESS, True, 1, 0),), ())
    log.settle(exchange(4), None)
    assert drain.backlog().bytes > 0
    log.close()


# ---------------------------------------------------------------- faults at each step


class Faults:
    """Lets the i-th of all counted steps fail."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class FaultyDisk(Disk):
    """After the fault, either the call was not made, or (`late`) it was and only its success was lost."""

    def __init__(self, faults: Faults, *, late: bool) -> None:
        self.faults, self.late = faults, late


def _faulty(name: str) -> Callable[..., object]:
    def call(self: FaultyDisk, *arguments: object) -> object:
        if not self.late:
            self.faults.step()
        result = getattr(Disk, name)(self, *arguments)
        if self.late:
            try:
                self.faults.step()
            except OSError:
                if name == "open":
                    os.close(result)
                raise
        return result

    return call


for _name in ("open", "write", "truncate", "sync", "sync_directory", "rename", "link", "unlink"):
    setattr(FaultyDisk, _name, _faulty(_name))


class FaultySink(Ledger):
    def __init__(self, faults: Faults, *, late: bool) -> None:
        super().__init__()
        self.faults, self.late = faults, late

    def positions(self):
        self.faults.step()
        return super().positions()

    def keep(self, before, after, records, *, gaps):
        if not self.late:
            self.faults.step()
        kept = super().keep(before, after, records, gaps=gaps)
        if self.late:
            self.faults.step()
        return kept

    def close(self, process_id):
        self.faults.step()
        closed = super().close(process_id)
        self.faults.step()
        return closed


def _runs(until_quiet: Callable[[int], int]) -> Iterator[int]:
    at = 0
    while True:
        at += 1
        steps = until_quiet(at)
        yield at
        if steps < at:
            return


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("damaged", [False, True], ids=["sound", "damaged"])
def test_keeps_all_exactly_once_whichever_step_of_the_drain_fails(tmp_path: Path, late: bool, damaged: bool) -> None:
    """After the fault this drain is as good as killed: a new one takes over with what is on the disk and in the database."""

    def run(at: int) -> int:
        directory = tmp_path / str(at)
        write(directory, 12, segment_limit=400)
        write(directory, 3, process_id=OTHER)
        (directory / f".{OTHER}-00000002.journal.abcd.tmp").write_bytes(b"")
        if damaged:
            damage(segment_path(directory, PROCESS, 2), 2)
        faults = Faults(at)
        ledger = FaultySink(faults, late=late)
        with contextlib.suppress(OSError):
            drain_all(Drain(directory, ledger, batch_records=5, disk=FaultyDisk(faults, late=late)))
        steps, faults.at = faults.steps, -1
        drain_all(Drain(directory, ledger, batch_records=5))
        whole = list(range(1, 13))
        if damaged:
            lost = ledger.gaps[0][1]
            assert ledger.gaps == [(PROCESS, lost, lost)]
            whole.remove(lost)
        assert (ledger.seqs(PROCESS), ledger.seqs(OTHER)) == (whole, [1, 2, 3])
        assert {*ledger.closed} == {PROCESS, OTHER}
        assert [path.suffix for path in directory.iterdir()] == ([".corrupt"] if damaged else [])
        return steps

    assert len(list(_runs(run))) > 15


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_keeps_each_record_that_was_not_refused_whichever_step_of_the_journal_fails(tmp_path: Path, late: bool) -> None:
    def run(at: int) -> int:
        directory = tmp_path / str(at)
        directory.mkdir()
        faults, ledger = Faults(at), Ledger()
        log = FileJournal(directory, process_id=PROCESS, segment_limit=300, disk=FaultyDisk(faults, late=late), fsync_interval=3600)
        log._thread = contextlib.nullcontext()  # type: ignore[assignment]  (no thread: syncs are done here, in order)
        drain = Drain(directory, ledger)
        accepted: list[str] = []
        for no in range(1, 11):
            with contextlib.suppress(OSError):
                log.settle(exchange(no), None)
                accepted.append(str(no))
            log._sync()
            drain_all(drain)
        log._thread = None
        log.close()
        drain_all(drain)
        assert [record.exchange.call_id for record in ledger.kept[PROCESS]] == accepted
        assert ledger.gaps == []
        assert list(directory.iterdir()) == []
        return faults.steps

    assert len(list(_runs(run))) > 15


# ---------------------------------------------------------------- kill -9

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


def test_keeps_what_killed_writers_had_answered_while_it_drains_them(tmp_path: Path, ledger: Ledger) -> None:
    drain = Drain(tmp_path, ledger, batch_records=50)
    answered: dict[int, int] = {}
    for no, answers in enumerate((1, 30, 300)):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for count in range(answers):
            writer.stdout.readline()
            if count % 20 == 0:
                drain.drain_once()
        writer.send_signal(signal.SIGKILL)
        answered[no] = answers + len(writer.stdout.read().split("\n")) - 1
        writer.wait()
        writer.stdout.close()
    drain_all(drain)
    assert len(ledger.kept) == len(ledger.closed) == 3
    for kept, count in zip(sorted(map(len, ledger.kept.values())), sorted(answered.values()), strict=True):
        assert kept >= count
    for process_id in ledger.kept:
        assert ledger.seqs(process_id) == list(range(1, len(ledger.seqs(process_id)) + 1))
    assert ledger.gaps == []
    assert list(tmp_path.iterdir()) == []


DRAINER = textwrap.dedent(
    """
    import sqlite3, sys
    from pathlib import Path
    from spangate.control.drain import Drain
    from spangate.exchange import ProcessPosition

    class Sink:
        def __init__(self, path):
            self.c = sqlite3.connect(path, isolation_level=None)
            self.c.execute("create table if not exists p (id text primary key, segment int, offset int, seq int)")
            self.c.execute("create table if not exists r (id text, seq int)")
            self.c.execute("create table if not exists g (id text, first int, last int)")
        def positions(self):
            return {row[0]: ProcessPosition(*row) for row in self.c.execute("select * from p")}
        def keep(self, before, after, records, *, gaps):
            self.c.execute("begin immediate")
            if self.positions().get(after.process_id) != before:
                self.c.execute("rollback")
                return False
            self.c.execute("replace into p values (?,?,?,?)", (after.process_id, after.segment, after.offset, after.last_seq))
            self.c.executemany("insert into r values (?,?)", [(after.process_id, record.seq) for record in records])
            self.c.executemany("insert into g values (?,?,?)", [(after.process_id, *gap) for gap in gaps])
            self.c.execute("commit")
            return True
        def close(self, process_id):
            return 0

    drain = Drain(Path(sys.argv[1]), Sink(sys.argv[2]), batch_records=7)
    while True:
        more = drain.drain_once()
        sys.stdout.write("pass\\n")
        sys.stdout.flush()
        if not more and sys.argv[3:] == ["once"]:
            break
    """
)


def test_may_itself_be_killed_again_and_again(tmp_path: Path) -> None:
    directory, database = tmp_path / "journals", tmp_path / "db"
    log = write(directory, 0, open=True, segment_limit=3000)
    no = 0
    for passes in (1, 2, 5, 3, 8):
        for _ in range(100):
            no += 1
            log.settle(exchange(no), None)
        drainer = subprocess.Popen([sys.executable, "-c", DRAINER, str(directory), str(database)], stdout=subprocess.PIPE)
        assert drainer.stdout is not None
        for _ in range(passes):
            drainer.stdout.readline()
        drainer.kill()
        drainer.wait()
        drainer.stdout.close()
    log.close()
    subprocess.run([sys.executable, "-c", DRAINER, str(directory), str(database), "once"], check=True, stdout=subprocess.DEVNULL)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert [row[0] for row in connection.execute("select seq from r order by rowid")] == list(range(1, no + 1))
        assert connection.execute("select count(*) from g").fetchone() == (0,)
    assert list(directory.iterdir()) == []


# ---------------------------------------------------------------- into a real database


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upgraded") / "test.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


def test_keeps_calls_exactly_once_whichever_statement_of_the_database_fails(tmp_path: Path, upgraded: Path) -> None:
    def run(at: int) -> int:
        directory = tmp_path / str(at)
        directory.mkdir()
        shutil.copy(upgraded, directory / "test.db")
        log = FileJournal(directory / "journals", process_id=PROCESS, segment_limit=700)
        for no in range(1, 6):
            call = msgspec.structs.replace(exchange(no, Status.unknown), call_id=f"0194f0c2-0000-7000-8000-{no:012x}", experiment_id="0")
            log.begin(call)
            if no != 4:  # the process died with the fourth call open
                log.settle(msgspec.structs.replace(call, status=Status.ok, duration=5), Content(request=b"{}", response=b"{}"))
        log.close()
        database = Database(f"sqlite:///{directory / 'test.db'}")
        faults = Faults(at)

        def fail(*_: object) -> None:
            try:
                faults.step()
            except OSError as error:
                raise sqlite3.OperationalError("disk I/O error") from error

        sa.event.listen(database._writer, "before_cursor_execute", fail)
        sa.event.listen(database._writer, "commit", fail)
        with contextlib.suppress(Unavailable):
            drain_all(Drain(directory / "journals", LedgerSink(database, trace_row), batch_records=2))
        steps, faults.at = faults.steps, -1
        drain_all(Drain(directory / "journals", LedgerSink(database, trace_row), batch_records=2))
        with database.read() as connection:
            (process,) = rows.completeness(connection)
            calls = sorted((row.call_id[-1], row.status) for row in rows.calls(connection)[0])
        database.close()
        assert calls == [("1", "ok"), ("2", "ok"), ("3", "ok"), ("4", "unknown"), ("5", "ok")]
        assert (process.state, process.records, process.last_seq, process.duplicates) == ("closed", 9, 9, 0)
        assert (process.gaps, process.open_calls) == ((), 0)
        assert list((directory / "journals").iterdir()) == []
        return steps

    assert len(list(_runs(run))) > 20
