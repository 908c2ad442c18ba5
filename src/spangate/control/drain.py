"""Each record of each journal reaches the database once, whatever dies in between; no segment goes before the database is past it.

A position says how far the database is with a journal, and moves in the transaction that keeps the records. All else here may be
done twice: reading on, setting a damaged file aside, closing a dead process, deleting what is kept.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import msgspec

from spangate.exchange import JournalRecord, ProcessPosition, Sink
from spangate.record.journal import SUFFIX, Corrupt, Disk, Newer, SegmentFile, Torn, read_segment, segments
from spangate.store.faults import AlreadyExists, Invalid, StoreFault

log = logging.getLogger("spangate.drain")

BATCH_RECORDS = 2_000  # a rollup that calls of a batch share is written once: in batches of 500 a backlog takes half as long again
BATCH_BYTES = 8 << 20
AHEAD = 4  # batches, if they are of full size, that are held in memory while others are kept
REFUSALS = 12  # more than it takes to come from a full batch down to one record; a conflict with another drain passes sooner
ASIDE = ".corrupt"
REFUSED = ".refused"


class ProcessBacklog(msgspec.Struct, frozen=True):
    """What of one process's journal is not in the database yet."""

    process_id: str
    live: bool
    segments: int
    bytes: int


class Backlog(msgspec.Struct, frozen=True):
    """What waits on this host. `aside`: damaged files and refused records that a person should look at."""

    processes: tuple[ProcessBacklog, ...]
    aside: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(process.bytes for process in self.processes)


class _Batch(msgspec.Struct):
    """Some records, with the positions before and behind them. `done`: they are the last of a process that is dead."""

    before: ProcessPosition | None
    after: ProcessPosition
    records: list[JournalRecord] = []
    gaps: list[tuple[int, int]] = []
    size: int = 0
    full: bool = False
    done: bool = False
    prepared: object = None  # by the sink


class Drain:
    """For one thread. Another drain of the same folder, in another process, is no danger: the slower one finds its positions taken."""

    def __init__(
        self,
        directory: Path,
        sink: Sink,
        *,
        batch_records: int = BATCH_RECORDS,
        batch_bytes: int = BATCH_BYTES,
        disk: Disk | None = None,
    ) -> None:
        self._directory = directory
        self._sink = sink
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._disk = disk or Disk()
        self._positions: dict[str, ProcessPosition] | None = None  # as the database has them; None: to be asked
        self._small: dict[str, int] = {}  # batch sizes, where a batch was refused
        self._refusals: dict[str, int] = {}  # one after the other
        self._strange: set[Path] = set()  # segments of a newer version
        self._ahead: dict[str, _Batch] = {}  # of a backlog, what comes next
        self._pool = ThreadPoolExecutor(1, "drain-ahead")

    def drain_once(self) -> bool:
        """Takes a batch of each process; returns whether more is waiting.

        A fault of one process's journal does not keep the others waiting. Raises the first fault in the end: call again later.
        """
        if not self._directory.is_dir():
            return False
        if self._positions is None:
            self._positions = dict(self._sink.positions())
        self._sweep()
        more, fault = False, None
        processes = list(self._processes())
        self._ahead = {process_id: self._ahead[process_id] for process_id in processes if process_id in self._ahead}
        for process_id in processes:
            try:
                more = self._drain(process_id) or more
            except Exception as error:
                fault = fault or error
                self._positions = None  # whether the transaction was committed is not known: ask
                with contextlib.suppress(Exception):
                    self._positions = dict(self._sink.positions())
                if self._positions is None:
                    break
        if fault is not None:
            raise fault
        return more

    def backlog(self) -> Backlog:
        """May be asked from any thread."""
        positions: Mapping[str, ProcessPosition] = self._positions or {}
        found: list[ProcessBacklog] = []
        if not self._directory.is_dir():
            return Backlog((), ())
        for process_id, files in self._processes().items():
            position = positions.get(process_id)
            waiting = 0
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    size = file.path.stat().st_size
                    if position is None or file.number > position.segment:
                        waiting += size
                    elif file.number == position.segment:
                        waiting += max(0, size - position.offset)
            with self._dead(process_id) as dead:
                found.append(ProcessBacklog(process_id, not dead, len(files), waiting))
        aside = sorted(name for name in os.listdir(self._directory) if name.endswith((ASIDE, REFUSED)))
        return Backlog(tuple(found), tuple(aside))

    def size(self) -> int:
        """Bytes of all files, those set aside included. May be asked from any thread."""
        whole = 0
        for file in self._directory.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                whole += file.stat().st_size
        return whole

    # ------------------------------------------------------------ one process

    def _drain(self, process_id: str) -> bool:
        # In this order: only what is listed after the lock was had is all that the dead process wrote, and only a segment
        # that had a successor before it was read is read to its end.
        with self._dead(process_id) as dead:
            files = self._processes().get(process_id, [])
            assert self._positions is not None
            before = self._positions.get(process_id)
            batch, ahead = self._next(process_id, files, before, dead)
            if batch.records or batch.gaps:
                with self._reading_on(process_id, files, batch, dead):
                    kept = self._keep(before, batch)
                if not kept:
                    return True
                before = batch.after
                self._positions[process_id] = before
            if batch.full or (ahead and not batch.done):  # more may have been written since it was read
                return True
            if batch.done:
                self._sink.close(process_id)
                for file in files:
                    if file.path not in self._strange:
                        self._remove(file.path)
                return False
            for file in files:
                # A segment is done with when the database is in a later one; the newest of a live process never is.
                if before is not None and file.number < before.segment:
                    self._remove(file.path)
            return False

    def _next(self, process_id: str, files: list[SegmentFile], before: ProcessPosition | None, dead: bool) -> tuple[_Batch, bool]:
        """A batch, and whether it was read ahead."""
        ahead = self._ahead.pop(process_id, None)
        if ahead is not None and ahead.before == before:
            return ahead, True
        return self._read(process_id, files, before, dead), False

    @contextlib.contextmanager
    def _reading_on(self, process_id: str, files: list[SegmentFile], batch: _Batch, dead: bool) -> Generator[None]:
        """Of a backlog the next batch is read and prepared meanwhile: a database that is being waited for leaves a processor free."""
        reading: Future[_Batch] | None = None
        held = sum(other.size for other in self._ahead.values())
        if batch.full and process_id not in self._small and held < AHEAD * self._batch_bytes:
            with contextlib.suppress(RuntimeError):  # no thread can be had
                reading = self._pool.submit(self._read, process_id, files, batch.after, dead)
        try:
            yield
        finally:
            if reading is not None:
                wait([reading])
                if reading.exception() is None:  # else it is met again when that batch is read
                    self._ahead[process_id] = reading.result()

    def _read(self, process_id: str, files: list[SegmentFile], before: ProcessPosition | None, dead: bool) -> _Batch:
        """The next batch behind the position."""
        position = before or ProcessPosition(process_id, 0, 0, 0)
        batch = _Batch(before, position, done=dead)
        files = [file for file in files if file.number >= position.segment]
        for file in files:
            offset = position.offset if file.number == position.segment else 0
            newest = file is files[-1]
            if not self._read_file(file, offset, batch, complete=dead or not newest, final=dead and newest):
                break
        with contextlib.suppress(Exception):  # `keep` meets it again, and finds out which record it is
            batch.prepared = self._sink.prepare(batch.records)
        return batch

    def _read_file(self, file: SegmentFile, offset: int, batch: _Batch, *, complete: bool, final: bool) -> bool:
        """Adds the file's records to the batch; returns whether to go on with the next file.

        `complete`: nothing will be added to the file any more; `final`: nor to the process's journal.
        """
        limit = self._small.get(file.process_id, self._batch_records)
        last = batch.after.last_seq
        while True:
            try:
                for record, end in read_segment(file.path, offset):
                    if record.seq > last + 1:
                        batch.gaps.append((last + 1, record.seq - 1))
                        log.error("%s: records %d to %d are missing", file.path.name, last + 1, record.seq - 1)
                    if record.seq > last:
                        batch.records.append(record)
                        last = record.seq
                    batch.size += end - offset
                    offset = end
                    batch.after = ProcessPosition(file.process_id, file.number, offset, last)
                    if len(batch.records) >= limit or batch.size >= self._batch_bytes:
                        batch.full, batch.done = True, False
                        return False
            except Torn as torn:
                if complete:
                    log.warning("%s: its process died while it wrote the record at %d", file.path.name, torn.at)
            except Corrupt as damage:
                if damage.resumes is None and not complete:
                    return False  # it may be on its way yet
                log.error("%s: %s; the file is kept as *%s", file.path.name, damage, ASIDE)
                self._set_aside(file.path)
                if damage.whole or (final and damage.resumes is None):  # what it was is not known; that it was is
                    last += 1
                    batch.gaps.append((last, last))
                    end = file.path.stat().st_size if damage.resumes is None else damage.resumes
                    batch.after = ProcessPosition(file.process_id, file.number, end, last)
                if damage.resumes is not None:
                    offset = damage.resumes
                    continue
            except Newer as newer:
                if file.path not in self._strange:
                    log.error("%s: %s; it is left where it is", file.path.name, newer)
                self._strange.add(file.path)
                batch.done = False
                return False
            return True

    def _keep(self, before: ProcessPosition | None, batch: _Batch) -> bool:
        """Whether the batch is in the database now, and by us."""
        process_id = batch.after.process_id
        try:
            kept = self._sink.keep(before, batch.after, batch.records, gaps=batch.gaps, prepared=batch.prepared)
        except Exception as fault:
            if not _refused(fault):
                raise
            # The database is well, but not with these records. One bad record must not stop all that come after it.
            self._refusals[process_id] = self._refusals.get(process_id, 0) + 1
            if len(batch.records) > 1:
                self._small[process_id] = max(1, len(batch.records) // 2)
                return False
            if not batch.records or self._refusals[process_id] < REFUSALS:
                raise
            record = batch.records[0]
            log.exception("record %d of %s is refused by the database; it is kept as *%s", record.seq, process_id, REFUSED)
            self._set_record_aside(process_id, record)
            kept = self._sink.keep(before, batch.after, [], gaps=[*batch.gaps, (record.seq, record.seq)])
        self._refusals.pop(process_id, None)
        if not kept:
            self._positions = dict(self._sink.positions())
            return False
        if process_id in self._small:
            self._small[process_id] *= 2
            if self._small[process_id] >= self._batch_records:
                del self._small[process_id]
        return True

    # ------------------------------------------------------------ files

    def _processes(self) -> dict[str, list[SegmentFile]]:
        found: dict[str, list[SegmentFile]] = {}
        for file in segments(self._directory):
            found.setdefault(file.process_id, []).append(file)
        return found

    @contextlib.contextmanager
    def _dead(self, process_id: str) -> Generator[bool]:
        """Whether the process is dead. If so its newest segment is locked by us meanwhile: nobody else adopts it."""
        newest = self._processes().get(process_id, [])[-1:]
        try:
            fd = self._disk.open(newest[0].path, os.O_RDONLY) if newest else -1
        except FileNotFoundError:  # another drain was quicker
            fd = -1
        if fd < 0:
            yield False
            return
        try:
            # A live process gives its next segment its name before it lets go of this one.
            yield self._disk.lock(fd) and self._processes().get(process_id, [])[-1:] == newest
        finally:
            self._disk.close(fd)

    def _set_aside(self, path: Path) -> None:
        """A second name for the damaged file, which stays when the first one goes."""
        aside = path.with_name(path.name + ASIDE)
        try:
            self._disk.link(path, aside)
        except FileExistsError:
            pass
        except OSError:  # no hard links here
            shutil.copyfile(path, aside)

    def _set_record_aside(self, process_id: str, record: JournalRecord) -> None:
        path = self._directory / f"{process_id}-{record.seq}{REFUSED}"
        fd = self._disk.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            rest = memoryview(msgspec.msgpack.encode(record))
            while rest:
                rest = rest[self._disk.write(fd, rest) :]
            self._disk.sync(fd)
        finally:
            self._disk.close(fd)

    def _sweep(self) -> None:
        """Removes segments that died before they had a name: they hold no record."""
        for name in os.listdir(self._directory):
            if not (name.startswith(".") and name.endswith(".tmp") and SUFFIX in name):
                continue
            with contextlib.suppress(FileNotFoundError):
                fd = self._disk.open(self._directory / name, os.O_RDONLY)
                try:
                    if self._disk.lock(fd):  # its maker, if it lives, sees that it lost the file and makes another
                        self._remove(self._directory / name)
                finally:
                    self._disk.close(fd)

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(path)


def _refused(fault: Exception) -> bool:
    """Whether the fault is of the records, not of the database: then it does not pass with time."""
    if isinstance(fault, StoreFault):
        return isinstance(fault, Invalid | AlreadyExists)
    return isinstance(fault, ValueError | TypeError | LookupError | OverflowError | msgspec.MsgspecError)
