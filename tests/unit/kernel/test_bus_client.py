"""What is said when TLS to NATS fails, and that nats-py is the one whose insides were read: `bus.client`."""

import asyncio
import inspect
import ssl

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.transport import TcpTransport, WebSocketTransport

from services.bus import NatsSettings
from services.bus.connection import resubscribe
from services.bus.connection.client import REQUEST_INFO, SecureClient, TlsError, request_info, words_of


def unproven() -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "secure", "words"),
    [
        (TlsError("the server offers no TLS"), True, "the server offers no TLS"),
        (unproven(), True, "certificate verification failed: certificate has expired; nats.ca_file must hold"),
        (
            ssl.SSLError(1, "alert unknown ca"),
            True,
            "alert unknown ca; is it running there, and does it trust the CA",
        ),
        (ConnectionResetError("Connection lost"), True, "Connection lost; is it running there, and does it trust the"),
        (ConnectionResetError("Connection lost"), False, "Connection lost; is it running there, and are user and pass"),
        (ConnectionRefusedError(111, "refused"), False, "[Errno 111] refused; is it running there"),
        (nats.errors.AuthorizationError(), True, "nats: authorization failed; is it running there, and are user and"),
        (TimeoutError(), True, "TimeoutError; is it running there"),
    ],
)
def test_each_failure_has_its_advice(error: Exception, secure: bool, words: str):
    """One line: what was said, and what may be wrong. Who speaks no TLS is not sent to look for certificates."""
    said = words_of(error, secure=secure)
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("url", "ca_file", "is_open"),
    [
        ("nats://127.0.0.1:4222", None, False),
        ("nats://localhost:4222,nats://[::1]:4223", None, False),
        ("nats://bus.example:4222", None, True),
        ("nats://127.0.0.1:4222,nats://10.0.0.7:4222", None, True),
        ("ws://bus.example", None, True),
        ("nats://bus.example:4222", "system", False),
        ("tls://10.0.0.7", "system", False),
    ],
)
def test_who_could_be_read_by_others_is_warned(url: str, ca_file: str | None, is_open: bool):
    """Another machine without TLS; this one alone is no network."""
    assert NatsSettings(url=url, ca_file=ca_file).is_open() == is_open


def test_nats_py_is_the_one_that_was_read():
    """What `SecureClient` overrides or looks into is as it was; else read it again (ADR 21)."""
    connect = inspect.getsource(Client._process_connect_init)
    upgrade, command = connect.rindex("connect_tls"), connect.index("connect_cmd = self._connect_command()")
    assert upgrade < command < connect.index("self._transport.write(connect_cmd)")
    assert connect.index("self._server_info = srv_info") < upgrade  # so that what the server asks for is known
    assert connect.count("self.ssl_context,") == 2
    assert "ssl_context=self.ssl_context" in inspect.getsource(Client._connect_to_server)
    assert isinstance(inspect.getattr_static(Client, "ssl_context"), property)
    assert "self._io_writer" in inspect.getsource(TcpTransport)
    assert "self._ws:" in inspect.getsource(WebSocketTransport)


UNREADABLE = [
    b"NATS/1.0 \xff\xfe\xfd\r\n\r\n",
    b"NATS/1.0 1\xff3 a\r\n\r\n",
    b"NATS/1.0",
    b"\xff",
    b"NATS/1.0\r\n\xff: \xff\r\n\r\n",
]


@pytest.mark.parametrize("headers", UNREADABLE)
async def test_headers_that_cannot_be_read_are_none(headers: bytes):
    """nats-py raises where it reads from the socket, and reads no more."""
    client = SecureClient(None)
    assert not await client._process_headers(headers)


def test_one_of_these_does_end_nats_pys_reading():
    """So that the case above is looked at again once nats-py minds it itself."""
    with pytest.raises(UnicodeDecodeError):
        Client()._process_headers(UNREADABLE[0]).send(None)


async def test_headers_that_can_be_read_are_nats_pys():
    """A status, and what a sender wrote."""
    client = SecureClient(None)
    assert await client._process_headers(b"NATS/1.0 503\r\n\r\n") == {"Status": "503"}
    assert await client._process_headers(b"NATS/1.0\r\na: b\r\n\r\n") == {"a": "b"}
    assert await client._process_headers(b"") is None
    assert await client._process_headers(None) is None


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (b"NATS/1.0\r\n\r\n", ""),
        (b'NATS/1.0\r\nNats-Request-Info: {"acc":"A"}\r\n\r\n', '{"acc":"A"}'),
        (b'NATS/1.0\r\nNats-Request-Info : {"acc":"B"}\r\nX: yNats-Request-Info: {"acc":"A"}\r\n\r\n', '{"acc":"A"}'),
        (b'NATS/1.0\r\nNats-Request-Info : {"acc":"B"}\r\n\r\n', ""),
    ],
)
async def test_who_asks_is_what_is_written_last(headers: bytes, said: str):
    """By the server; an imitation before it, which nats-py would take, is not believed."""
    assert request_info(headers) == said
    found = await SecureClient(None)._process_headers(headers) or {}
    assert found.get(REQUEST_INFO, "") == said


class Deaf:
    """A client whose flush loses the first cancellation, as `wait_for` may when its result comes at the same moment."""

    def __init__(self) -> None:
        self._subs = {1: type("Subscription", (), {"subject": "$SRV.PING"})}
        self.flushing, self.lost = asyncio.Event(), False

    async def _send_subscribe(self, _subscription: object) -> None:
        """Tell it nowhere."""

    async def flush(self) -> None:
        self.flushing.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if self.lost:
                raise
            self.lost = True


async def test_a_cancellation_that_got_lost_is_repeated():
    """Closing ends it, however often its waiting swallows that."""
    client = Deaf()
    one = resubscribe.RefusedSubjects(client, retry_s=0.001)
    one.heard('permissions violation for subscription to "$srv.ping"')
    await client.flushing.wait()
    async with asyncio.timeout(20):
        await one.close()
    assert client.lost


async def test_a_cancellation_that_gets_lost_in_a_question_ends_its_task(monkeypatch):
    """As `wait_for` loses it when the answer comes at that moment; who cleans up after a cancellation may still ask."""
    asked, answers = asyncio.Event(), list[str]()

    async def request(_self, subject):
        try:
            asked.set()
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass
        return subject

    async def ask_on():
        try:
            while True:
                answers.append(await client.request("one"))
        finally:
            answers.append(await client.request("the last"))

    monkeypatch.setattr(Client, "request", request)
    client = SecureClient(None)
    task = asyncio.create_task(ask_on())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answers == ["the last"]
