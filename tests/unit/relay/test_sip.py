"""Connections to providers on the event loops that there are, plain and over TLS: what comes is read in sips, and is all there."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from aiohttp.client_proto import ResponseHandler
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from spangate.relay.upstream import READ_BUFFER, HttpTransport, Outgoing, Timeouts

from .fakes import whole

ANSWER = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


async def answers(certificate: Path | None) -> list[bytes]:
    """Two calls on one connection."""
    served = trusted = None
    if certificate is not None:
        served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        served.load_cert_chain(certificate)
        trusted = ssl.create_default_context(cafile=str(certificate))
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
            await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=served)
    scheme, port = "https" if served else "http", server.sockets[0].getsockname()[1]
    http = HttpTransport(Timeouts(), tls=trusted)
    outgoing = Outgoing(url=f"{scheme}://127.0.0.1:{port}/", headers={}, body=b"{}", allow_private=True)
    got = [await whole(await http.send(outgoing)) for _ in range(2)]
    assert connections == 1
    await http.close()
    server.close()
    await server.wait_closed()
    return got


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_reads_in_sips(
    loop: Callable[[], asyncio.AbstractEventLoop], tls: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    received = ResponseHandler.data_received

    def measured(self: ResponseHandler, data: bytes) -> None:
        sizes.append(len(data))
        received(self, data)

    monkeypatch.setattr(ResponseHandler, "data_received", measured)
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(answers(certificate if tls else None)) == [ANSWER, ANSWER]
    assert sum(sizes) > 2 * len(ANSWER)
    assert max(sizes) <= READ_BUFFER
