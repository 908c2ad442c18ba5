"""A rolling restart under traffic: every process is another one afterwards, and no caller has noticed."""

import asyncio
import itertools
import re
import signal
from collections.abc import Callable

import aiohttp
import anthropic
import openai
import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER, Client
from .gateway import ADMIN_KEY, Gateway, until
from .invariant import check

NUMBER = re.compile(r"^(\w+)(\{.*\})? ([0-9.e+]+)$", re.MULTILINE)


def metrics(gateway: Gateway) -> dict[str, float]:
    return {name + labels: float(value) for name, labels, value in NUMBER.findall(gateway.rest.get("/metrics"))}


def rolls(gateway: Gateway, outcome: str) -> float:
    return metrics(gateway).get(f'spangate_rolling_restarts_total{{outcome="{outcome}"}}', 0.0)


def pids(gateway: Gateway) -> dict[str, set[int]]:
    return {kind: {process.pid for process in gateway.processes(kind)} for kind in ("worker", "control")}


class Traffic:
    """Callers of all kinds, each of whom calls again as soon as it was answered, until told to end."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.over = False
        self.answered = 0
        self.numbers = itertools.count()

    async def kept(self, client: Client, endpoint: str, format: str, *, stream: bool) -> None:
        """On connections that are used again."""
        while not self.over:
            seen = await client.call(endpoint, f"kept-{next(self.numbers)}", format=format, stream=stream, n=8, delay=0.01)
            assert (seen.status, seen.whole, seen.fault) == (200, True, None), seen
            self.answered += 1

    async def fresh(self, client: Client) -> None:
        """On a new connection each."""
        while not self.over:
            async with Client(self.gateway.url, ADMIN_KEY) as once:
                seen = await once.call("chat", f"fresh-{next(self.numbers)}")
            client.seen.append(seen)
            assert (seen.status, seen.whole, seen.fault) == (200, True, None), seen
            self.answered += 1

    async def slow(self, client: Client) -> None:
        """Now and then, so that a connection lies idle when its process is told to go."""
        while not self.over:
            seen = await client.call("chat", f"slow-{next(self.numbers)}")
            assert (seen.status, seen.whole, seen.fault) == (200, True, None), seen
            self.answered += 1
            await asyncio.sleep(0.7)

    async def long(self, client: Client) -> None:
        """An answer that takes longer than a roll."""
        seen = await client.call("chat", "long", stream=True, n=200, delay=0.06)
        assert (seen.status, seen.whole, seen.fault) == (200, True, None), seen

    async def sdk(self, stream: bool) -> None:
        async with openai.AsyncOpenAI(base_url=f"{self.gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
            while not self.over:
                call = f"sdk-{next(self.numbers)}"
                asked = [{"role": "user", "content": mark(call, n=5)}]
                if stream:
                    answer = await client.chat.completions.create(model="chat", messages=asked, stream=True, extra_headers={CALLER: call})  # type: ignore[arg-type]
                    last = [chunk.choices[0].finish_reason async for chunk in answer if chunk.choices][-1]
                else:
                    whole = await client.chat.completions.create(model="chat", messages=asked, extra_headers={CALLER: call})  # type: ignore[arg-type]
                    last = whole.choices[0].finish_reason
                assert last == "stop"
                self.answered += 1

    async def claude(self) -> None:
        async with anthropic.AsyncAnthropic(base_url=self.gateway.url, api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
            while not self.over:
                call = f"claude-{next(self.numbers)}"
                asked = [{"role": "user", "content": mark(call, n=5)}]
                async with client.messages.stream(model="claude", max_tokens=64, messages=asked, extra_headers={CALLER: call}) as answer:  # type: ignore[arg-type]
                    assert (await answer.get_final_message()).stop_reason == "end_turn"
                self.answered += 1

    async def manage(self) -> None:
        """The management API answers all the while."""
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {ADMIN_KEY}"}) as session:
            while not self.over:
                async with session.get(f"{self.gateway.url}/api/v1/status") as answer:
                    assert answer.status == 200, await answer.text()
                self.answered += 1
                await asyncio.sleep(0.02)

    async def run(self, client: Client, during: Callable[[], None]) -> None:
        """Calls on while `during` runs in a thread. Raises what went wrong for any caller."""

        async def end() -> None:
            try:
                await asyncio.to_thread(during)
            finally:
                self.over = True

        async with asyncio.TaskGroup() as callers:
            callers.create_task(end())
            for format, endpoint in (("openai.chat", "chat"), ("anthropic.messages", "claude"), ("mlflow.chat", "chat")):
                callers.create_task(self.kept(client, endpoint, format, stream=True))
            callers.create_task(self.kept(client, "chat", "openai.chat", stream=False))
            callers.create_task(self.fresh(client))
            for _ in range(4):
                callers.create_task(self.slow(client))
            callers.create_task(self.long(client))
            callers.create_task(self.sdk(stream=False))
            callers.create_task(self.sdk(stream=True))
            callers.create_task(self.claude())
            callers.create_task(self.manage())


@pytest.mark.timeout(240)
def test_rolls_drop_no_call_and_leave_new_processes(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own(workers=2, access_log="false").start()
    gateway.endpoint("chat", alone.base)
    gateway.endpoint("claude", alone.base, provider="anthropic", model_name="claude-replay")
    before = pids(gateway)
    traffic = Traffic(gateway)

    def roll_thrice() -> None:
        for number in range(1, 4):
            assert gateway.process is not None
            answered = traffic.answered
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda number=number: rolls(gateway, "done") == number, 60, f"roll {number}")
            until(lambda answered=answered: traffic.answered > answered + 50, 60, "more calls")

    async def drive() -> Client:
        async with Client(gateway.url, ADMIN_KEY) as client:
            await traffic.run(client, roll_thrice)
            return client

    client = asyncio.run(drive())
    until(lambda: {kind: len(found) for kind, found in pids(gateway).items()} == {"worker": 2, "control": 1}, 30, "the old are gone")
    after = pids(gateway)
    assert not before["worker"] & after["worker"]
    assert not before["control"] & after["control"]
    books = check(gateway, alone, client.seen)
    counted = metrics(gateway)
    assert sum(value for name, value in counted.items() if name.startswith("spangate_calls_total")) == len(books.calls)
    assert sum(value for name, value in counted.items() if name.startswith("spangate_attempts_total")) == len(books.served)
    assert counted["spangate_open_calls"] == 0
    assert rolls(gateway, "given_up") == 0
    assert gateway.stop() == 0


def test_settings_that_cannot_be_are_not_rolled_out(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own()
    gateway.data_dir.parent.mkdir(exist_ok=True)
    file = gateway.data_dir.parent / "spangate.toml"
    file.write_text('log_format = "json"\n')
    gateway.settings["config"] = str(file)
    gateway.start()
    gateway.endpoint("chat", alone.base)
    before = pids(gateway)
    assert gateway.process is not None
    file.write_text('log_format = "xml"\n')
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: rolls(gateway, "given_up") == 1, 20, "the roll is given up")
    assert pids(gateway) == before
    assert "log_format: Input should be 'text' or 'json'" in gateway.log_text()
    file.write_text('workers = 2\nlog_format = "text"\n')
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: rolls(gateway, "done") == 1, 60, "the roll")
    until(lambda: not pids(gateway)["worker"] & before["worker"], 30, "the old worker is gone")
    assert gateway.stop() == 0
