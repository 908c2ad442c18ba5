import errno

import msgspec
import pytest

from spangate.exchange import Content, Exchange, Fault, Status
from spangate.relay import owed
from spangate.relay.owed import UNRECORDED, OwingJournal

from .fakes import FakeJournal

FULL = OSError(errno.ENOSPC, "No space left on device")
OK = Exchange(
    call_id="c-1",
    format="openai.chat",
    request_type="t",
    path="/",
    server="s",
    received_at=1,
    status=Status.ok,
    http_status=200,
    duration=2,
)


@pytest.fixture
def disk() -> FakeJournal:
    return FakeJournal([])


def test_is_the_journal_as_long_as_the_disk_takes_all(disk: FakeJournal) -> None:
    journal = OwingJournal(disk)
    journal.begin(OK)
    journal.settle(OK, Content(request=b"{}"))
    assert (disk.begun, disk.settled, len(journal)) == ([OK], [(OK, Content(request=b"{}"))], 0)


@pytest.mark.parametrize(
    ("stream", "http_status"), [(False, 503), (True, 200)], ids=["plain: the client got a 503", "stream: it was cut after its 200"]
)
def test_writes_later_what_could_not_be_written_and_says_what_the_client_got(disk: FakeJournal, stream: bool, http_status: int) -> None:
    journal = OwingJournal(disk)
    disk.settle_fault = FULL
    exchange = msgspec.structs.replace(OK, stream=stream)
    with pytest.raises(OSError, match="No space"):
        journal.settle(exchange, Content(request=b"{}"))
    journal.pay()
    assert (disk.settled, len(journal)) == ([], 1)
    disk.settle_fault = None
    journal.begin(OK)
    late = msgspec.structs.replace(exchange, status=Status.error, http_status=http_status, fault=UNRECORDED)
    assert (disk.settled, disk.begun, len(journal)) == ([(late, None)], [OK], 0)
    assert disk.log == ["settle error", "begin"], "debts are paid first"


def test_hands_on_what_is_tried_again(disk: FakeJournal) -> None:
    journal = OwingJournal(disk)
    journal.resume(OK)
    assert disk.resumed == [OK]
    disk.resume_fault = FULL
    with pytest.raises(OSError, match="No space"):
        journal.resume(OK)
    assert len(journal) == 0


def test_other_endings_stay_as_they_were(disk: FakeJournal) -> None:
    journal = OwingJournal(disk)
    disk.settle_fault = FULL
    gone = msgspec.structs.replace(OK, status=Status.client_gone, http_status=499, fault=Fault("client_gone", "Left."))
    with pytest.raises(OSError, match="No space"):
        journal.settle(gone, None)
    disk.settle_fault = None
    journal.pay()
    assert disk.settled == [(gone, None)]


def test_owes_no_more_than_it_can_hold(disk: FakeJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "LIMIT", 2)
    journal = OwingJournal(disk)
    disk.settle_fault = FULL
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            journal.settle(OK, None)
    assert len(journal) == 2


async def test_durable_is_the_journals_own(disk: FakeJournal) -> None:
    disk.durable_fault = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        await OwingJournal(disk).durable()
