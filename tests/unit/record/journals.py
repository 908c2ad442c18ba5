"""Journals to write, to fail and to read back."""

import errno
import fcntl
import os
from pathlib import Path

import msgspec

from spangate.exchange import Exchange, JournalRecord, Status
from spangate.record import journal
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


def locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
