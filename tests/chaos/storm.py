"""Mixed load until told to stop: every format, plain and streamed, with clients that leave and providers that fail."""

import asyncio
import random
import threading
from types import TracebackType

from tests.e2e.client import Client, Seen
from tests.e2e.gateway import ADMIN_KEY, Gateway
from tests.upstream.process import Upstream

KINDS = [
    ("chat", "openai.chat"),
    ("chat", "openai.completions"),
    ("chat", "openai.responses"),
    ("chat", "openai.embeddings"),
    ("chat", "mlflow.chat"),
    ("chat", "mlflow.embeddings"),
    ("claude", "anthropic.messages"),
    ("gemini", "gemini.generate"),
    ("gemini", "gemini.embeddings"),
    ("quiet", "openai.chat"),
]
UNSTREAMED = {"openai.embeddings", "gemini.embeddings", "mlflow.embeddings"}


def endpoints(gateway: Gateway, upstream: Upstream) -> None:
    """What the storm calls: a tracked endpoint of each provider, and one that keeps no trace."""
    gateway.endpoint("chat", upstream.base)
    gateway.endpoint("claude", upstream.base, provider="anthropic", model_name="claude-replay")
    gateway.endpoint("gemini", f"{upstream.url}/v1beta", provider="gemini", model_name="gemini-replay")
    gateway.endpoint("quiet", upstream.base, usage_tracking=False)


class Storm:
    """`with Storm(...) as storm:` blows in a thread of its own; `storm.seen` is the clients' book."""

    def __init__(self, gateway: Gateway, dice: random.Random, *, at_once: int, faults: bool = True, name: str = "s") -> None:
        self.gateway = gateway
        self.dice = dice
        self.at_once = at_once
        self.faults = faults
        self.name = name
        self.seen: list[Seen] = []
        self.stopping = threading.Event()
        self.broken: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="storm")

    def _run(self) -> None:
        try:
            asyncio.run(self._blow())
        except BaseException as error:
            self.broken = error

    async def _blow(self) -> None:
        async with Client(self.gateway.url, ADMIN_KEY, timeout=90) as client:
            self.seen = client.seen
            await asyncio.gather(*(self._calls(client, lane) for lane in range(self.at_once)))

    async def _calls(self, client: Client, lane: int) -> None:
        dice = random.Random(f"{self.dice.random()}/{lane}")
        number = 0
        while not self.stopping.is_set():
            number += 1
            endpoint, format = dice.choice(KINDS)
            stream = dice.random() < 0.6 and format not in UNSTREAMED
            knobs: dict[str, object] = {"n": dice.randint(1, 12)}
            if dice.random() < 0.7:
                knobs |= {"delay": round(dice.uniform(0.001, 0.03), 3), "first": round(dice.uniform(0, 0.05), 3)}
            leave: int | None = None
            if self.faults and dice.random() < 0.15:
                knobs |= dice.choice([{"status": 429}, {"status": 500}, {"drop": 1}, {"end": 1}, {"err": 1}])
            elif self.faults and dice.random() < 0.08:
                leave = dice.choice([0, 1, 400, 1500])
            ask = dice.random() < 0.5
            seen = await client.call(
                endpoint, f"{self.name}-{lane}-{number}", format=format, stream=stream, leave_after=leave, ask_usage=ask, **knobs
            )
            if seen.status is None:
                await asyncio.sleep(0.03)  # nobody listens: don't spin

    @property
    def answered(self) -> int:
        return sum(seen.whole for seen in list(self.seen))

    def stop(self) -> list[Seen]:
        self.stopping.set()
        self.thread.join(120)
        assert not self.thread.is_alive(), "a call hangs"
        if self.broken is not None:
            raise self.broken
        return self.seen

    def __enter__(self) -> "Storm":
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.stopping.set()
        self.thread.join(120)
