import contextlib
import errno
import os
import threading
from pathlib import Path

import msgspec
import pytest

from spangate.control.drain import AHEAD, Backlog, Drain, ProcessBacklog
from spangate.exchange import Begun, Content, JournalRecord, Settled, Status
from spangate.record import journal
from spangate.record.journal import Disk, FileJournal, segment_path, segments
from spangate.store.faults import Invalid, Unavailable

from .draining import OTHER, PROCESS, Ledger, damage, drain_all, exchange, write


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

    def keep(self, before, after, records, *, gaps, prepared=None):
        step = self.script.pop(0) if self.script else ""
        if step == "down":
            raise Unavailable("down")
        kept = super().keep(before, after, records, gaps=gaps, prepared=prepared)
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


class Waiting(Ledger):
    """Keeps a batch once the next one is prepared."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last
        self.prepared: set[int] = set()
        self.threads: set[int] = set()
        self.came = threading.Condition()

    def prepare(self, records):
        with self.came:
            self.prepared |= {record.seq for record in records}
            self.threads.add(threading.get_ident())
            self.came.notify_all()
        return super().prepare(records)

    def keep(self, before, after, records, *, gaps, prepared=None):
        assert prepared is not None
        with self.came:
            assert self.came.wait_for(lambda: min(after.last_seq + 1, self.last) in self.prepared, 20)
        return super().keep(before, after, records, gaps=gaps, prepared=prepared)


def test_a_backlog_is_read_on_while_the_database_is_waited_for(tmp_path: Path) -> None:
    ledger = Waiting(10)
    write(tmp_path, 10)
    drain_all(Drain(tmp_path, ledger, batch_records=3))
    assert (ledger.seqs(), ledger.batches) == (list(range(1, 11)), [3, 3, 3, 1])
    assert len(ledger.threads) == 2


def test_what_is_held_in_memory_has_a_bound_and_goes_with_its_journal(tmp_path: Path, ledger: Ledger) -> None:
    processes = [f"0194f0c2-0000-7000-8000-{number:012x}" for number in range(AHEAD + 3)]
    for process in processes:
        write(tmp_path, 5, process_id=process)
    size = segment_path(tmp_path, processes[0], 1).stat().st_size // 5
    drain = Drain(tmp_path, ledger, batch_bytes=2 * size)
    assert drain.drain_once()
    assert 1 < len(drain._ahead) < len(processes)
    drain_all(Drain(tmp_path, ledger))  # another one is quicker
    assert not drain.drain_once()
    assert drain._ahead == {}
    assert all(ledger.seqs(process) == [1, 2, 3, 4, 5] for process in processes)


class Writing(Ledger):
    """While it keeps the first batch, and what follows is read, more is written: then the process ends."""

    def __init__(self, log: FileJournal) -> None:
        super().__init__()
        self.log = log
        self.prepared = 0
        self.came = threading.Condition()

    def prepare(self, records):
        with self.came:
            self.prepared += 1
            self.came.notify_all()
        return super().prepare(records)

    def keep(self, before, after, records, *, gaps, prepared=None):
        if before is None:
            with self.came:
                assert self.came.wait_for(lambda: self.prepared == 2, 20)
            for no in range(4, 7):
                self.log.settle(exchange(no), Content())
            self.log.close()
        return super().keep(before, after, records, gaps=gaps, prepared=prepared)


def test_is_not_done_with_what_was_written_after_it_had_read_on(tmp_path: Path) -> None:
    ledger = Writing(write(tmp_path, 3, open=True))
    drain_all(Drain(tmp_path, ledger, batch_records=2))
    assert ledger.seqs() == [1, 2, 3, 4, 5, 6]
    assert (ledger.closed, list(tmp_path.iterdir())) == ([PROCESS], [])


class Unprepared(Ledger):
    def prepare(self, records):
        raise ValueError("cannot be made")


def test_what_cannot_be_prepared_is_kept_all_the_same(tmp_path: Path) -> None:
    ledger = Unprepared()
    write(tmp_path, 5)
    drain_all(Drain(tmp_path, ledger, batch_records=2))
    assert ledger.seqs() == [1, 2, 3, 4, 5]


class Picky(Ledger):
    """Refuses any batch with these records in it."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self.refused = set(refused)

    def keep(self, before, after, records, *, gaps, prepared=None):
        if self.refused & {record.seq for record in records}:
            raise Invalid("A value does not fit.")
        return super().keep(before, after, records, gaps=gaps, prepared=prepared)


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
