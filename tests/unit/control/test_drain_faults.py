"""The drain with a fault at each of its steps, killed again and again, and over a real database: each record once."""

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from spangate.control.drain import Drain
from spangate.exchange import Content, Status
from spangate.record.journal import Disk, FileJournal, segment_path
from spangate.record.spans import trace_row
from spangate.store import ledger as rows
from spangate.store.engine import Database
from spangate.store.faults import Unavailable
from spangate.store.writer import LedgerSink

from .draining import OTHER, PROCESS, Ledger, damage, drain_all, exchange, write


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


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

    def keep(self, before, after, records, *, gaps, prepared=None):
        if not self.late:
            self.faults.step()
        kept = super().keep(before, after, records, gaps=gaps, prepared=prepared)
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
        def prepare(self, records):
            return None
        def keep(self, before, after, records, *, gaps, prepared=None):
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
