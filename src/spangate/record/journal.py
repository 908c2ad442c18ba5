"""A record is in the journal when `begin`, `resume` or `settle` has returned: it then survives the death of this process, and in strict
mode, once `durable` has returned, the loss of power too.

One file a segment, `<process id>-<number>.journal`; the highest number is locked (flock) as long as its process lives:

    header  = magic (8) | version u16 | process UUID (16) | segment u32 | first sequence number u64 | CRC-32C of all before u32
    record  = length u32 | CRC-32C of the payload u32 | payload: msgpack of exchange.JournalRecord

Integers are little-endian. Sequence numbers count from 1 without a hole through all segments of a process.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import google_crc32c
import msgspec

from spangate.exchange import LEFT_OUT, Begun, Content, Exchange, JournalRecord, Resumed, Settled

from .room import FULL, Room, allocate, nameless

if google_crc32c.implementation != "c":  # the pure Python fallback takes milliseconds for what takes microseconds
    raise ImportError("google-crc32c has no C extension here; install it from a wheel for this platform")

MAGIC = b"SPANJRNL"
VERSION = 1
HEADER = struct.Struct("<8sH16sIQ")
HEADER_SIZE = HEADER.size + 4
FRAME = struct.Struct("<II")
SEGMENT_LIMIT = 64 << 20
SEGMENT_AGE = 3600.0  # s; what was said leaves the disk here with its segment, and is not to outlive its deletion elsewhere by much
RECORD_LIMIT = 256 << 20  # past any body limit that makes sense; a longer length on disk is damage
WINDOW = 1 << 20  # read at once; a longer record is read whole
SUFFIX = ".journal"

_U32 = struct.Struct("<I")
_crc = cast(Callable[[bytes], int], google_crc32c.value)  # pyright: ignore[reportUnknownMemberType]  (it has no types)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(JournalRecord)
# How each payload goes on after its map header: the key and the start of the tag, by which records are found again behind damage.
# Never inside a body, which is UTF-8: A4 after an ASCII byte or A1 after `e` is no character.
_SYNC = b"\xa4type\xa1"


class Disk:
    """The few calls that touch the disk, in one place, so that a test can let each one fail."""

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        return os.open(path, flags, mode)

    def lock(self, fd: int) -> bool:
        """Whether the lock is ours now."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        if hasattr(os, "fdatasync"):
            os.fdatasync(fd)
            return
        # macOS: fsync leaves the data in the drive's cache, F_FULLFSYNC does not, but not every file system knows it.
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, full)
                return
        os.fsync(fd)

    def sync_directory(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        os.link(old, new)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def close(self, fd: int) -> None:
        os.close(fd)

    def free(self, directory: Path) -> int:
        """Bytes that this process may still write there."""
        about = os.statvfs(directory)
        return about.f_bavail * about.f_frsize

    def nameless(self, directory: Path) -> int:
        return nameless(directory)

    def allocate(self, fd: int, size: int) -> None:
        allocate(fd, size)


class SegmentFile(NamedTuple):
    """A segment by its name."""

    process_id: str
    number: int
    path: Path


def segment_path(directory: Path, process_id: str, number: int) -> Path:
    return directory / f"{process_id}-{number:08d}{SUFFIX}"


def segments(directory: Path) -> list[SegmentFile]:
    """All segments in the directory, by process and number."""
    found: list[SegmentFile] = []
    for name in os.listdir(directory):
        process_id, dash, number = name.removesuffix(SUFFIX).rpartition("-")
        if name.endswith(SUFFIX) and dash and number.isdigit() and not name.startswith("."):
            found.append(SegmentFile(process_id, int(number), directory / name))
    return sorted(found)


# ---------------------------------------------------------------- writing


class FileJournal:
    """The journal of this process. `begin` and `settle` are for one thread; `durable` for the event loop of that thread.

    No file is made before the first record. Unless `strict`, written records reach the disk within `fsync_interval` seconds.
    In strict mode a sync starts as soon as somebody waits for it, and whoever comes meanwhile shares the next one.
    `reserve` bytes of the disk are held back for the settling of calls that have begun; with less than `low` free, content is left out.
    """

    def __init__(
        self,
        directory: Path,
        *,
        strict: bool = False,
        fsync_interval: float = 0.02,
        process_id: str | None = None,
        segment_limit: int = SEGMENT_LIMIT,
        segment_age: float = SEGMENT_AGE,
        reserve: int = 0,
        low: int = 0,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self.process_id = str(uuid.UUID(process_id)) if process_id else str(uuid.uuid4())
        self.seq = 0  # of the last record written
        self.fault: OSError | None = None  # the last sync that failed
        self._strict = strict
        self._interval = fsync_interval
        self._limit = segment_limit
        self._age = segment_age
        self._clock = clock
        self._begun = 0.0  # the current segment
        self._disk = disk or Disk()
        self.room = Room(directory, self._disk, reserve=reserve, low=low)
        self._number = 0
        self._fd: int | None = None
        self._size = 0  # of the current segment, whole records only
        self._spoiled = False  # the segment's end cannot be trusted: the next record opens a new one
        # Counts of bytes over all segments; the loop's thread moves `written`, the sync thread the other two.
        self._written = 0
        self._synced = 0
        self._lost = 0  # a sync failed for the bytes up to here: whether they are on the disk is not known
        self._directory_synced = True
        self._retired: deque[int] = deque()  # descriptors of full segments, to be synced and closed
        self._waiters: deque[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, exchange: Exchange) -> None:
        self.room.look()
        if self.room.full:
            raise OSError(errno.ENOSPC, "the journal's disk has no room for another call")
        self._append(Begun(seq=self.seq + 1, exchange=exchange))

    def resume(self, exchange: Exchange) -> None:
        self._append(Resumed(seq=self.seq + 1, exchange=exchange))

    def settle(self, exchange: Exchange, content: Content | None) -> None:
        if content is not None and not self.room.low:
            # A full disk often has room for a small record yet: the bill goes before the bodies.
            with contextlib.suppress(OSError):
                self._append(Settled(seq=self.seq + 1, exchange=exchange, content=content))
                return
        bare = None if content is None else LEFT_OUT
        while True:
            try:
                self._append(Settled(seq=self.seq + 1, exchange=exchange, content=bare))
                return
            except OSError as error:
                if error.errno not in FULL or not self.room.release():
                    raise

    async def durable(self) -> None:
        """In strict mode: returns when all that was written before this call is on the disk. Raises OSError if that is not known.

        To hold for a record it must be awaited right after the record was written, with no await between.
        """
        if not self._strict:
            return
        target = self._written
        if target <= self._lost:
            raise self.fault or OSError(errno.EIO, "the journal could not be synced")
        if target <= self._synced:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiters.append((target, loop, future))
        self._wake.set()
        await future

    def close(self) -> None:
        """Syncs, and gives up the lock: from now on the segments are an orphan's."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._sync()
        self.room.close()
        if self._fd is not None:
            self._disk.close(self._fd)
            self._fd = None

    def _append(self, record: JournalRecord) -> None:
        payload = _encoder.encode(record)
        if len(payload) > RECORD_LIMIT:
            raise OSError(errno.EMSGSIZE, f"a record of {len(payload)} bytes is too long for the journal")
        if self._closing.is_set():
            raise OSError(errno.EBADF, "the journal is closed")
        if self._fd is None or self._spoiled or self._size >= self._limit or self._clock() - self._begun >= self._age:
            self._rotate()
        assert self._fd is not None
        data = memoryview(FRAME.pack(len(payload), _crc(payload)) + payload)
        done = 0
        try:
            while done < len(data):
                count = self._disk.write(self._fd, data[done:])
                if count <= 0:
                    raise OSError(errno.EIO, "nothing could be written to the journal")
                done += count
        except BaseException:
            self._take_back(record.seq, len(data))
            raise
        self.seq = record.seq
        self._size += done
        self._written += done
        if not self._wake.is_set() and not self._strict:
            self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_syncing, name="journal-sync", daemon=True)
            self._thread.start()

    def _take_back(self, seq: int, length: int) -> None:
        """Cuts what may have been written of a record that is refused."""
        assert self._fd is not None
        try:
            self._disk.truncate(self._fd, self._size)
        except OSError:
            # What is torn is seen to be, and its number is used again; what is there whole keeps its number.
            self._spoiled = True
            if os.fstat(self._fd).st_size >= self._size + length:
                self.seq = seq

    def _rotate(self) -> None:
        """Opens the next segment. If that fails and the present one is only full, it goes on being used."""
        try:
            fd = self._make_segment(self._number + 1)
        except OSError:
            if self._fd is None or self._spoiled:
                raise
            return
        # The order matters to the drain and to the sync thread: the new segment has its name before the old one loses its lock,
        # and no descriptor with unsynced bytes is ever in neither place.
        if self._fd is not None:
            self._retired.append(self._fd)
        self._fd = fd
        self._number += 1
        self._size = HEADER_SIZE
        self._begun = self._clock()
        self._spoiled = False
        self._directory_synced = False

    def _make_segment(self, number: int) -> int:
        for _ in range(3):
            with contextlib.suppress(_Swept):
                return self._try_segment(number)
        raise OSError(errno.EAGAIN, "the journal's new segment was removed again and again")

    def _try_segment(self, number: int) -> int:
        path = segment_path(self.directory, self.process_id, number)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        fd = self._disk.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            if not self._disk.lock(fd):
                raise _Swept
            header = HEADER.pack(MAGIC, VERSION, uuid.UUID(self.process_id).bytes, number, self.seq + 1)
            header += _U32.pack(_crc(header))
            if self._disk.write(fd, header) != len(header):
                raise OSError(errno.ENOSPC, "the journal's header could not be written")
            try:
                self._disk.rename(temporary, path)
            except FileNotFoundError:
                raise _Swept from None
        except BaseException:
            self._disk.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        return fd

    # ------------------------------------------------------------ the sync thread

    def _keep_syncing(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            if not self._strict:
                time.sleep(self._interval)  # the group gathers
            self._wake.clear()
            self._sync()

    def _sync(self) -> None:
        # Read in this order: a descriptor that is retired meanwhile is then seen in one of the two places.
        target, fd = self._written, self._fd
        fault: OSError | None = None
        retired = [self._retired.popleft() for _ in range(len(self._retired))]
        try:
            for each in {fd, *retired} if target > self._synced else set(retired):
                if each is not None:
                    self._disk.sync(each)
            if not self._directory_synced:
                self._directory_synced = True
                self._disk.sync_directory(self.directory)
        except OSError as error:
            # After a failed fsync the kernel may forget the pages: asking again would be told a lie. So: a new segment.
            self.fault = fault = error
            self._lost = max(self._lost, target)
            self._directory_synced = False
            self._spoiled = True
        finally:
            for each in retired:
                with contextlib.suppress(OSError):  # what matters was said by its sync
                    self._disk.close(each)
        self._synced = max(self._synced, target)
        again: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        for _ in range(len(self._waiters)):
            waiter = self._waiters.popleft()
            if waiter[0] > target:
                again.append(waiter)
                continue
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                waiter[1].call_soon_threadsafe(_tell, waiter[2], fault)
        if again:
            self._waiters.extend(again)
            self._wake.set()


class _Swept(Exception):
    """A drain took the new segment for one of a dead process, between its making and its locking."""


def _tell(future: asyncio.Future[None], fault: OSError | None) -> None:
    if future.done():  # the waiter was cancelled
        return
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)


# ---------------------------------------------------------------- reading


class Torn(Exception):
    """The segment ends within a record at `at`: of a live process a record on its way, of a dead one its last, unfinished write."""

    def __init__(self, at: int) -> None:
        super().__init__(f"ends within a record at {at}")
        self.at = at


class Corrupt(Exception):
    """The bytes at `at` are no record and were not left by an unfinished write. Whole records go on at `resumes`, if at all.

    `whole`: it is one record, which ends at `resumes`, but not one that this program knows.
    """

    def __init__(self, at: int, resumes: int | None, why: str, *, whole: bool = False) -> None:
        super().__init__(f"{why} at {at}, " + (f"goes on at {resumes}" if resumes is not None else "nothing readable after it"))
        self.at = at
        self.resumes = resumes
        self.whole = whole


class Newer(Exception):
    """The segment was written by a newer version of this program: it is whole, but not for us to read."""


class Header(NamedTuple):
    process_id: str
    number: int
    first_seq: int


def read_header(data: bytes) -> Header | None:
    """What the first bytes of a segment say; None if they are no header."""
    if len(data) < HEADER_SIZE or _U32.unpack_from(data, HEADER.size)[0] != _crc(data[: HEADER.size]):
        return None
    magic, version, process, number, first_seq = HEADER.unpack_from(data)
    if magic != MAGIC:
        return None
    if version > VERSION:
        raise Newer(f"written in version {version}, this program knows version {VERSION}")
    return Header(str(uuid.UUID(bytes=process)), number, first_seq)


def read_segment(path: Path, offset: int = 0, *, window: int = WINDOW) -> Iterator[tuple[JournalRecord, int]]:
    """The records from `offset` (0: the first one) with the offset after each. Returns where the file ends with a whole record.

    Else it raises, after the last whole record: Torn, or Corrupt with the place where to go on, or Newer.
    """
    with path.open("rb") as file:
        if offset < HEADER_SIZE:
            header = file.read(HEADER_SIZE)
            if read_header(header) is None:
                raise _judge(header + file.read(), 0, "no header")
            offset = HEADER_SIZE
        file.seek(offset)
        buffer, start, position = file.read(window), offset, 0  # `start` is where in the file the buffer begins
        while True:
            end = len(buffer) - position
            length, crc = FRAME.unpack_from(buffer, position) if end >= FRAME.size else (0, 0)
            if end < FRAME.size or (length <= RECORD_LIMIT and end < FRAME.size + length):
                more = file.read(max(window, FRAME.size + length - end))
                if more:
                    start, buffer, position = start + position, buffer[position:] + more, 0
                    continue
                if end == 0:
                    return
            payload = buffer[position + FRAME.size : position + FRAME.size + length]
            if not 0 < length == len(payload) or _crc(payload) != crc:
                raise _judge(buffer[position:] + file.read(), start + position, "no whole record")
            position += FRAME.size + length
            try:
                record = _decoder.decode(payload)
            except msgspec.MsgspecError as error:  # whole, but not ours: go on behind it
                raise Corrupt(start + position - FRAME.size - length, start + position, f"unknown record ({error})", whole=True) from None
            yield record, start + position


def _judge(rest: bytes, at: int, why: str) -> Torn | Corrupt:
    """Why no record could be read at `at`, where `rest` is all that follows."""
    resumes = _next_record(rest)
    if resumes is not None:
        return Corrupt(at, at + resumes, why)
    # A write that was cut leaves a prefix; a power cut may leave zeros where data should have been.
    if not rest.strip(b"\x00"):
        return Torn(at)
    if at == 0:
        return Torn(at) if len(rest) < HEADER_SIZE else Corrupt(at, None, why)
    if len(rest) < FRAME.size:
        return Torn(at)
    length = FRAME.unpack_from(rest)[0]
    if 0 < length <= RECORD_LIMIT and (len(rest) < FRAME.size + length or rest.endswith(b"\x00" * 8)):
        return Torn(at)
    return Corrupt(at, None, why)


def _next_record(rest: bytes) -> int | None:
    found = rest.find(_SYNC)
    while found >= 0:
        start = found - 1 - FRAME.size  # one byte of map header goes before
        if start > 0:
            length, crc = FRAME.unpack_from(rest, start)
            payload = rest[start + FRAME.size : start + FRAME.size + length] if length <= len(rest) else b""
            if 0 < length == len(payload) and _crc(payload) == crc:
                return start
        found = rest.find(_SYNC, found + 1)
    return None
