"""Random journals: calls of every kind that the ledger knows, from several processes, with all that can go wrong on the way there."""

import random
from collections.abc import Sequence

import msgspec
from tests.unit.store.given import T0, attempt, exchange

from spangate.exchange import AttemptRecord, Begun, Exchange, Fault, JournalRecord, ProcessPosition, Resumed, Settled, Status
from spangate.prices.cost import Billed, Cost
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage

SPREAD = 30 * 86_400_000  # ms: from the middle of November 2023 to the middle of December
MODELS = ("large", "small", "unheard-of")
LOOK = "passthrough/model/openai-responses-get"


class PriceList:
    """So many picodollars an input token, the model's place in the list times that; output costs three times as much."""

    def __init__(self, factor: int, known: Sequence[str]) -> None:
        self.factor = factor
        self.known = known

    def __call__(self, billed: Billed) -> Cost | None:
        usage = billed.usage
        if billed.model not in self.known or usage.input is None or usage.output is None:
            return None
        rate = self.factor * (1 + MODELS.index(billed.model))
        return Cost(price_id=f"p-{billed.model}-{self.factor}", input=usage.input * rate, output=usage.output * rate * 3)


class Mix:
    """What one seed makes. Each record that a process wrote, and what of them is lost."""

    def __init__(self, seed: int, calls: int = 40) -> None:
        self.random = random.Random(seed)
        self.responses: list[str] = []  # that were made, and may be looked at
        self.calls = [self._call(n) for n in range(1, calls + 1)]

    # ------------------------------------------------------------ calls

    def _call(self, n: int) -> Exchange:
        pick = self.random
        tracked = pick.random() < 0.7
        who = pick.choice(
            [{}, {"caller_id": "k-1", "caller": "ann's", "owner": "ann"}, {"caller_id": "k-2", "caller": "ci", "team": "web"}]
        )
        facts: dict[str, object] = {
            "experiment_id": "0" if tracked else None,
            "received_at": (T0 + pick.randrange(SPREAD)) * 1_000_000 + pick.randrange(1_000_000),
            "duration": pick.choice([None, pick.randrange(10**11)]),
            "first_token": pick.choice([None, pick.randrange(10**9)]),
            **pick.choice([{}, {"endpoint_id": "e-2", "endpoint": "other"}]),
            **who,
        }
        kind = pick.random()
        if kind < 0.1:
            return exchange(
                n, **(facts | {"status": Status.refused, "http_status": 401, "endpoint_id": None, "endpoint": None, "attempts": ()})
            )
        if kind < 0.3:
            return self._stored(n, facts)
        tried = [self._tried(no, failed=True) for no in range(1, pick.choice([1, 1, 1, 2, 3]))]
        tried.append(self._tried(len(tried) + 1, failed=pick.random() < 0.2))
        return exchange(n, **(facts | {"status": tried[-1].status, "attempts": tuple(tried)}))

    def _tried(self, no: int, *, failed: bool) -> AttemptRecord:
        pick = self.random
        status = pick.choice([Status.error, Status.timeout, Status.provider_gone, Status.client_gone]) if failed else Status.ok
        told = pick.choice(["reported", "reported", "drained", "estimated", "unknown", "half"])
        usage = self._usage()
        if told == "unknown":
            usage = Usage(invalid=("input",) if pick.random() < 0.2 else ())
        elif told == "half":
            usage = pick.choice([Usage(input=5), Usage(output=7)])
        provenance = Provenance.reported if told == "half" else Provenance(told)
        fault = Fault("upstream_connect", "No connection.") if failed and pick.random() < 0.3 else None
        return attempt(
            no,
            model=pick.choice(MODELS),
            provider=pick.choice(["openai", "other"]),
            status=status,
            usage=usage,
            provenance=provenance,
            fault=fault,
        )

    def _usage(self) -> Usage:
        pick = self.random
        count = pick.choice([0, 1, 17, 1_000_000_000])
        return Usage(
            input=count, output=pick.randrange(500), cache_read=pick.choice([None, 0, count // 2]), reasoning=pick.choice([None, 3])
        )

    def _stored(self, n: int, facts: dict[str, object]) -> Exchange:
        """A response that the provider keeps is made, or looked at: often before the one who made it is in the ledger."""
        pick = self.random
        if self.responses and pick.random() < 0.6:
            one = attempt(
                format="openai.responses.stored",
                model="large",
                response_id=pick.choice(self.responses),
                usage=pick.choice([Usage(), Usage(input=40, output=9)]),
                provenance=Provenance.reported,
            )
            one = one if one.usage.known else msgspec.structs.replace(one, provenance=Provenance.unknown)
            return exchange(n, **(facts | {"format": "openai.responses.stored", "request_type": LOOK, "attempts": (one,)}))
        self.responses.append(f"resp_{n}")
        told = pick.choice([Provenance.reported, Provenance.estimated, Provenance.unknown])
        one = attempt(
            format="openai.responses",
            model="large",
            model_definition_id="d-1",
            response_id=f"resp_{n}",
            usage=Usage() if told is Provenance.unknown else Usage(input=40, output=9),
            provenance=told,
        )
        return exchange(n, **(facts | {"format": "openai.responses", "attempts": (one,)}))

    # ------------------------------------------------------------ journals

    def drain(self, sink: LedgerSink) -> None:
        """Every process's journal, in batches, out of step with each other; some are drained twice, some are killed with calls open."""
        pick = self.random
        processes = [f"p-{name}" for name in "abc"]
        journals: dict[str, list[Exchange]] = {name: [] for name in processes}
        for one in self.calls:
            journals[pick.choice(processes)].append(one)
        batches = [batch for name in processes for batch in self._batches(name, journals[name])]
        order = sorted(range(len(batches)), key=lambda _: pick.random())
        queues = {name: [batch for batch in batches if batch[1].process_id == name] for name in processes}
        for at in order:
            before, after, records, gaps = queues[batches[at][1].process_id].pop(0)
            assert sink.keep(before, after, records, gaps=gaps)
            if pick.random() < 0.3:
                assert not sink.keep(before, after, records, gaps=gaps)  # another drain, which is late
        for name in processes:
            sink.close(name)
            sink.close(name)

    def _batches(
        self, name: str, calls: Sequence[Exchange]
    ) -> list[tuple[ProcessPosition | None, ProcessPosition, list[JournalRecord], list[tuple[int, int]]]]:
        pick = self.random
        records: list[JournalRecord] = []
        gaps: list[tuple[int, int]] = []
        seq = 0
        for call in calls:
            opened = msgspec.structs.replace(call, status=Status.unknown, duration=None, http_status=None, attempts=call.attempts[:1])
            written: list[type[JournalRecord]] = [Begun, Settled] if call.attempts else [Settled]
            if len(call.attempts) > 1:
                written.insert(1, Resumed)
            if call.attempts and pick.random() < 0.1:
                written.pop()  # the process died with it open
            for kind in written:
                seq += 1
                if kind is not Settled and pick.random() < 0.05:
                    gaps.append((seq, seq))  # the record is damaged
                    continue
                records.append(kind(seq=seq, exchange=call if kind is Settled else opened))
                if kind is Settled and pick.random() < 0.05:  # a fault of ours: written twice, and once more by another process's number
                    seq += 1
                    records.append(Settled(seq=seq, exchange=call))
        found: list[tuple[ProcessPosition | None, ProcessPosition, list[JournalRecord], list[tuple[int, int]]]] = []
        before: ProcessPosition | None = None
        while records or not found:
            size = pick.randint(1, 12)
            batch, records = records[:size], records[size:]
            last = seq if not records else batch[-1].seq
            done = 0 if before is None else before.last_seq
            after = ProcessPosition(name, 1, last * 100, last)
            found.append((before, after, batch, [gap for gap in gaps if done < gap[0] <= last]))
            before = after
        return found
