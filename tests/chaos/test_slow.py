"""Clients that hardly read: what the gateway holds for each is bounded, whatever their providers would send."""

import json
import socket
import time
from collections.abc import Callable

import pytest

from tests.e2e.gateway import ADMIN_KEY, Gateway, until
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .size import FLOOD, READERS

pytestmark = pytest.mark.timeout(120 + READERS)

KIB = 1 << 10
HELD = 256 * KIB  # a reader
SLACK = 24 << 20  # what the process takes for itself under load: connections, tasks, the allocator's own waste
EVENT = 64 * KIB


def reader(gateway: Gateway, call: str) -> socket.socket:
    """A client that has the first bytes of its stream, and a kernel that holds as little for it as it may."""
    # The same counts for all of them, so that the fake provider has one flood to remember and not one a reader.
    asked = mark(call, n=FLOOD * 16, size=EVENT, pace=1, input=7, output=7)
    body = {"model": "flood", "stream": True, "messages": [{"role": "user", "content": asked}]}
    text = json.dumps(body).encode()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    client.settimeout(300)
    client.connect(("127.0.0.1", gateway.port))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    client.sendall(head.encode() + text)
    return client


def resident(gateway: Gateway) -> int:
    (worker,) = gateway.processes("worker")
    return worker.memory_info().rss


def steady(gateway: Gateway) -> int:
    """The most that the worker had, once it takes no more."""
    most, since = 0, time.monotonic()
    while time.monotonic() - since < 2.0:
        now = resident(gateway)
        if now > most + (1 << 20):
            since = time.monotonic()
        most = max(most, now)
        time.sleep(0.05)
    return most


def test_slow_readers_cost_a_quarter_of_a_mebibyte_each(own: Callable[..., Gateway], upstream: Upstream) -> None:
    patience = 600.0  # of everybody with everybody: hundreds of floods that begin at once keep the fake provider busy
    gateway = own(write_timeout=patience, idle_timeout=patience, first_byte_timeout=patience, connect_timeout=patience).start()
    gateway.endpoint("flood", upstream.base, usage_tracking=False)
    with reader(gateway, "warm") as client:  # what is loaded and cached once
        tail = b""
        while b"data: [DONE]\n\n" not in tail:
            tail = (tail + client.recv(256 * KIB))[-64:]
    until(lambda: upstream.stats()["open_connections"] <= 1, 30, "the warm-up is over")
    before = resident(gateway)
    clients = [reader(gateway, f"slow-{number}") for number in range(READERS)]
    try:
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
        held = steady(gateway) - before
        print(f"{READERS} readers of {FLOOD} MiB: {held / READERS / KIB:.0f} KiB each, {held >> 20} MiB in all")
        assert held <= READERS * HELD + SLACK
        # They are slow, not gone: one that reads on gets what is its own, to the end.
        said = 0
        tail = b""
        while b"data: [DONE]\n\n" not in tail:
            piece = clients[0].recv(256 * KIB)
            assert piece
            said += len(piece)
            tail = (tail + piece)[-64:]
        assert said > FLOOD << 20
    finally:
        for client in clients:
            client.close()
    until(lambda: len(gateway.calls()) >= READERS + 1, 60, "all are in the ledger")
    rows = gateway.calls()
    assert len([row for row in rows if row.status == "ok"]) in (1, 2)
    assert {row.status for row in rows} == {"ok", "client_gone"}
    assert gateway.stop() == 0
