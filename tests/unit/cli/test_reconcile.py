"""`spangate reconcile`, and the guide to it: each command there is run here, and says what the guide says."""

import csv
import io
import re
import shlex
from pathlib import Path

import pytest

from spangate.exchange import AttemptRecord, Status
from spangate.wire.usage import Provenance, Usage

from .conftest import Gateway
from .test_nouns import furnish

BILLS = Path(__file__).parent / "bills"
GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "reconcile.md"
T0 = 1_790_812_800_000  # ms; 2026-10-01
DAY = 86_400_000
MODEL = "gpt-5-mini-2025-08-07"


@pytest.fixture
def there(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """Three days of forty calls each, through the credential `acme`, and the bills of them in the working folder."""
    furnish(gateway)
    gateway.control.pricing.open()
    with gateway.client() as client:
        acme = client.secret(name="acme").secret_id
    for n in range(120):
        attempt = AttemptRecord(
            no=1,
            provider="openai",
            model="gpt-5-mini",
            response_model=MODEL,
            format="openai.chat",
            secret_id=acme,
            started=0,
            ended=1,
            status=Status.ok,
            usage=Usage(input=2_500, cache_read=1_500, output=500),
            provenance=Provenance.reported,
        )
        gateway.keep("0", f"01890000-0000-7000-8000-{n:012x}", T0 + n // 40 * DAY + n, attempts=(attempt,))
    monkeypatch.chdir(BILLS)
    return gateway


def test_what_differs_is_said_with_its_reason(there: Gateway) -> None:
    result = there.run("reconcile", "usage.json", "costs.json", "--provider-key", "key_acme=acme")
    assert result.exit_code == 3, result.output
    assert "2026-10-03  gpt-5-mini-2025-08-07  key_stray  missing here  input +30,000, output +5,000  +0.017500 USD" in result.stdout
    told = there.run("reconcile", "usage.json", "costs.json", "--provider-key", "key_acme=acme", "--json")
    assert told.exit_code == 3
    assert '"cause": "missing_here"' in told.stdout
    rows = list(csv.DictReader(io.StringIO(there.run("reconcile", "bill.csv", "--provider", "openai", "--csv").stdout)))
    assert [(row["day"], row["cause"], row["token_class"], row["tokens"], row["cost_usd"]) for row in rows] == [
        ("2026-10-03", "missing_here", "input", "30000", "0.0175"),
        ("2026-10-03", "missing_here", "output", "5000", ""),
        ("2026-10-02", "cache_class", "cache_read", "-10000", "0.00225"),
        ("2026-10-02", "cache_class", "input", "10000", ""),
    ]


def test_a_bill_that_agrees_ends_well(there: Gateway) -> None:
    result = there.run("reconcile", "usage.json", "--until", "2026-10-02")
    assert result.exit_code == 0, result.output
    assert "They agree." in result.stdout
    assert "causes are valued at our prices" in result.stdout
    assert there.json("reconcile", "usage.json", "--until", "2026-10-02")["agrees"] is True


def test_what_cannot_be_read(there: Gateway, tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        result = there.run("reconcile", *arguments)
        assert result.exit_code == 1
        return str(result.exception)

    assert refused("none.csv") == "none.csv: No such file or directory"
    (tmp_path / "bill.zip").write_bytes(b"PK\x03\x04\xff\xfe")
    assert "is not UTF-8 text" in refused(str(tmp_path / "bill.zip"))
    assert "THEIRS=SECRET is expected" in refused("bill.csv", "--provider-key", "key_acme")
    assert "There is no secret named 'none'" in refused("usage.json", "--provider-key", "key_acme=none")
    month = there.run("reconcile", "usage.json", "--since", "2026-12")
    assert (month.exit_code, "'2026-12' is no day" in month.output) == (2, True)
    (tmp_path / "bill.csv").write_text((BILLS / "bill.csv").read_text().replace("0.017500", "much"))
    assert refused("bill.csv", "--provider", "openai", "--format", "openai") == "bill.csv, line 2: start_time is no day: None"
    assert refused(str(tmp_path / "bill.csv"), "--provider", "openai") == "bill.csv, line 5: cost_usd is no number: 'much'"


def test_the_guide_says_what_the_commands_say(there: Gateway) -> None:
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    ran = 0
    for at, (kind, text) in enumerate(blocks):
        if kind == "sh" and text.startswith("spangate reconcile"):
            result = there.run(*shlex.split(text.replace("\\\n", ""))[1:])
            assert result.exit_code in (0, 3), result.output
            if at + 1 < len(blocks) and blocks[at + 1][0] == "text":
                assert spaced(result.stdout) == spaced(blocks[at + 1][1])
            ran += 1
    assert ran >= 4


def spaced(text: str) -> list[str]:
    """Its words: a table is as wide as its terminal."""
    return text.replace("p-", " p-").split()
