from spangate.client.reprice import together
from spangate.exchange import AttemptRecord, Status
from spangate.wire.usage import Provenance, Usage

from .conftest import Gateway

DAY = 86_400_000
NOVEMBER = 1_698_796_800_000  # 2023-11-01, ms


def keep(gateway: Gateway, number: int, model: str) -> None:
    attempt = AttemptRecord(
        no=1,
        provider="openai",
        model=model,
        format="openai.chat",
        started=0,
        ended=1,
        status=Status.ok,
        usage=Usage(input=1_000_000, output=0),
        provenance=Provenance.reported,
    )
    gateway.keep("0", f"01a20326-4e61-77b6-9456-{number:012x}", NOVEMBER + number * DAY, attempts=(attempt,))


def reprice(gateway: Gateway, *more: str) -> str:
    result = gateway.run("reprice", "--since", "2023-11", "--until", "2024-01", *more)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_tells_what_would_change_and_changes_it(gateway: Gateway) -> None:
    for number in range(3):
        keep(gateway, number, "in-house")
    keep(gateway, 3, "nobody-knows")
    assert "4 calls looked at; 0 changed, with 0 attempts." in reprice(gateway)
    gateway.run("prices", "override", "set", "ours", "--model", "in-house", "--rate", "input=0.1", "--rate", "output=0.2")
    told, done = reprice(gateway, "--dry-run"), reprice(gateway)
    assert "4 calls looked at; 3 would change, with 3 attempts." in told
    assert "3 attempts had no price, and would have one now." in told
    row = told.splitlines()[1].split()
    assert (row[:2], row[3:]) == (["openai/in-house", "unknown"], ["3", "0", "0.3", "0.3"])
    assert "4 calls looked at; 3 changed, with 3 attempts." in done
    assert "USD 0 before, 0.3 after; difference 0.3." in done
    assert "Tokens of 1 attempt still have no price." in done
    assert "0 changed" in reprice(gateway)


def test_for_scripts_the_requests_are_added_up(gateway: Gateway) -> None:
    for number in range(5):
        keep(gateway, number, "in-house")
    gateway.run("prices", "override", "set", "ours", "--model", "in-house", "--rate", "input=0.000001", "--rate", "output=0.2")
    whole = gateway.json("reprice", "--since", "2023-11", "--dry-run")
    with gateway.client() as client:
        parts = [client.repricing.some(since="2023-11", dry_run=True, limit=2)]
        while parts[-1].cursor is not None:
            parts.append(client.repricing.some(since="2023-11", dry_run=True, limit=2, cursor=parts[-1].cursor))
    added = together(parts)
    assert len(parts) == 3
    assert (added.calls, added.changed_attempts, added.cost_after, added.difference) == (5, 5, "0.000005", "0.000005")
    assert (whole["calls"], whole["changed_attempts"], whole["cost_after"]) == (5, 5, "0.000005")
    assert [change["attempts"] for change in whole["changes"]] == [5] == [change.attempts for change in added.changes]


def test_a_closed_month_is_named(gateway: Gateway) -> None:
    keep(gateway, 0, "in-house")
    assert gateway.run("usage", "close", "2023-11").exit_code == 0
    assert "Closed, so left as they are: 2023-11." in reprice(gateway)


def test_a_bad_range_is_told_in_words(gateway: Gateway) -> None:
    result = gateway.run("reprice", "--since", "yesterday")
    assert result.exit_code == 1
