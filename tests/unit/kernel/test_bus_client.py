"""What is said when TLS to NATS fails, and that nats-py is the one whose insides were read: services.bus.client."""

import inspect
import ssl

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.transport import TcpTransport, WebSocketTransport

from services.bus import NatsSettings
from services.bus.client import TlsError, words_of


def unproven() -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "secure", "words"),
    [
        (TlsError("the server offers no TLS"), True, "the server offers no TLS"),
        (unproven(), True, "its certificate is not believed: certificate has expired; nats.ca_file must be"),
        (
            ssl.SSLError(1, "alert unknown ca"),
            True,
            "alert unknown ca; is it running there, and does it know who vouches",
        ),
        (ConnectionResetError("Connection lost"), True, "Connection lost; is it running there, and does it know who"),
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
