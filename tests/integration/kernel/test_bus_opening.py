"""A connection that is given up while it is made is closed."""

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import nats.errors
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats_process import NatsProcess
from patience import patient, until
from structlog.testing import capture_logs

from services.bus import Bus, NatsSettings
from services.bus.connection.client import SecureClient, tasks_of
from services.bus.nkey import Seed, _text
from services.kernel.app import end_tasks
from services.kernel.tls import Tls


@dataclass
class Silent:
    """A server that greets and never answers, or greets with nonsense; it knows who is still connected."""

    greeting: bytes = b'INFO {"server_id":"x","version":"2.11.0","max_payload":1000}\r\n'
    connected: set[asyncio.StreamWriter] = field(default_factory=set)
    url: str = ""

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet a client, and read until it has gone."""
        self.connected.add(writer)
        writer.write(self.greeting)
        try:
            await reader.read()
        except ConnectionError:  # it was cut off
            pass
        finally:
            self.connected.discard(writer)
            writer.close()


@pytest_asyncio.fixture
async def silent() -> AsyncIterator[Silent]:
    """Yield the server; at its end nobody may be connected, for it waits for them."""
    known = Silent()
    server = await asyncio.start_server(known.hold, "127.0.0.1", 0)
    known.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield known
    server.close()
    for writer in known.connected:
        writer.transport.abort()
    await server.wait_closed()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[SecureClient]:
    """Return the clients that are made from now on: while somebody knows them, no collector closes them."""
    known: list[SecureClient] = []

    def client(tls: Tls | None) -> SecureClient:
        known.append(SecureClient(tls))
        return known[-1]

    monkeypatch.setattr("services.bus.connection.connection.SecureClient", client)
    return known


async def test_a_connection_that_is_cancelled_while_it_is_made_is_closed(silent: Silent, made: list[SecureClient]):
    """The server has greeted, and its next answer never comes."""
    connecting = asyncio.create_task(Bus.connect(NatsSettings(url=silent.url), "notify"))
    await until(lambda: silent.connected, "it is connected")
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await until(lambda: not silent.connected, "it is closed")
    assert [tasks_of(client) for client in made] == [[]]


async def test_a_connection_whose_trouble_ends_the_wait_is_closed(silent: Silent, made: list[SecureClient]):
    """A command that gives up at the first error raises where it hears of it."""
    silent.greeting = b"HTTP/1.1 400 Bad Request\r\n"

    def give_up(why: str) -> None:
        assert silent.connected
        raise LookupError(why)

    async with asyncio.timeout(patient(20)):
        with pytest.raises(LookupError, match="expecting INFO"):
            await Bus.connect(NatsSettings(url=silent.url), "notify", on_error=give_up)
    await until(lambda: not silent.connected, "it is closed")
    assert [tasks_of(client) for client in made] == [[]]


async def test_a_cancellation_that_gets_lost_ends_the_connecting_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As `wait_for` of Python 3.11 loses it, where the server answers in the moment of the cancellation."""
    server, waiting = NatsProcess(tmp_path).start(), asyncio.Event()

    async def lose(_self: SecureClient) -> None:
        waiting.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise nats.errors.TimeoutError

    monkeypatch.setattr(SecureClient, "_process_connect_init", lose)
    connecting = asyncio.create_task(Bus.connect(NatsSettings(url=server.url), "notify"))
    try:
        await asyncio.wait_for(waiting.wait(), patient(10))
        connecting.cancel()
        done, _ = await asyncio.wait([connecting], timeout=patient(5))
        assert done
        assert connecting.cancelled()
    finally:
        await end_tasks([connecting])
        server.stop()


_OPERATOR = 14 << 3


def operator_mode(port: int, _store: str) -> str:
    """The configuration of a server in operator mode, which takes accounts from JWTs alone; no account is there yet.

    https://docs.nats.io/running-a-nats-service/configuration/securing_nats/jwt
    """
    key = Ed25519PrivateKey.generate()
    name = _text(bytes([_OPERATOR]) + key.public_key().public_bytes_raw())
    claims = {
        "iat": 1_700_000_000,
        "iss": name,
        "sub": name,
        "name": "operator",
        "nats": {"type": "operator", "version": 2},
    }
    return json.dumps({"listen": f"127.0.0.1:{port}", "operator": _token(key, claims), "resolver": "MEMORY"})


def _token(key: Ed25519PrivateKey, claims: dict[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(claims).encode()).digest()
    claims |= {"jti": base64.b32encode(digest).decode().rstrip("=")}
    parts = [_base64(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)]
    return ".".join([*parts, _base64(key.sign(".".join(parts).encode()))])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_a_server_in_operator_mode_is_named_where_it_refuses(tmp_path: Path):
    """It says no more than that it does not know the seed."""
    server = NatsProcess(tmp_path, whole=operator_mode).start()
    try:
        settings = NatsSettings(url=server.url, user="notify", seed=Seed.new())
        with capture_logs() as said:
            connecting = asyncio.create_task(Bus.connect(settings, "notify"))
            await until(
                lambda: [
                    one
                    for one in said
                    if "operator mode (JWT) knows none of them: docs/operations.md#operator-mode"
                    in one.get("error", "")
                ],
                "it is told",
            )
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
    finally:
        server.stop()
