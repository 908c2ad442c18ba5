"""A journal to drain, and a sink in memory to drain it into."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from spangate.control.drain import Drain
from spangate.exchange import Content, Exchange, JournalRecord, ProcessPosition, Status
from spangate.record import journal
from spangate.record.journal import FileJournal

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

    def prepare(self, records: Sequence[JournalRecord]) -> list[int]:
        return [record.seq for record in records]

    def keep(
        self,
        before: ProcessPosition | None,
        after: ProcessPosition,
        records: Sequence[JournalRecord],
        *,
        gaps: Sequence[tuple[int, int]],
        prepared: object = None,
    ) -> bool:
        assert prepared in (None, [record.seq for record in records])
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


def damage(path: Path, record: int) -> None:
    """Changes a byte in the middle of the n-th record of the segment."""
    ends = [journal.HEADER_SIZE] + [end for _, end in journal.read_segment(path)]
    position = (ends[record - 1] + ends[record]) // 2
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
