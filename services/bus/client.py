"""nats-py's client with TLS as the settings have it: by itself it asks for none when the server doesn't offer it."""

import ssl
from typing import Any

from nats.aio.client import Client
from nats.errors import Error

from services.certificates import Tls, saw


class TlsError(Error):
    """TLS as the settings want it can't be had; the text is what to mend."""


class SecureClient(Client):
    """A client whose certificates may be renewed while it runs. Without `tls` it never speaks TLS."""

    def __init__(self, tls: Tls | None) -> None:
        super().__init__()
        self._tls = tls

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """What nats-py asks for at each connection: the files' present content."""
        if self._tls is None:
            raise TlsError("the server speaks TLS alone, so name the authority that vouches for it in nats.ca_file")
        if self._server_info.get("tls_verify") and self._tls.certificate is None:
            raise TlsError("the server asks for a certificate of ours, so name one in nats.client_cert_file")
        return self._tls.context

    def _connect_command(self) -> bytes:
        """Return the command that has the password, unless it could be read on the way.

        A server, or whoever stands before it, that says it speaks no TLS would get it in the open.
        """
        if self._tls is not None and _connection_of(self) is None:
            raise TlsError("the server offers no TLS, which nats.ca_file demands; nothing was sent to it")
        command: bytes = super()._connect_command()
        return command

    async def _process_connect_init(self) -> None:
        await super()._process_connect_init()
        saw("nats", _connection_of(self))


def _connection_of(client: Any) -> Any:
    """Return the TLS object of a client's connection; None without TLS."""
    transport = client._transport  # noqa: SLF001 - nats-py tells it nowhere else
    stream = getattr(transport, "_io_writer", None) or getattr(transport, "_ws", None)
    return stream.get_extra_info("ssl_object") if stream is not None else None


def words_of(error: Exception, *, secure: bool) -> str:
    """Return what NATS or the network said, and what may be wrong, as one line."""
    text = str(error) or type(error).__name__
    if isinstance(error, TlsError):
        return text
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "nats.ca_file must be who vouches for it, and nats.url have a name that is in it"
        return f"its certificate is not believed: {error.verify_message}; {advice}"
    if secure and isinstance(error, (ssl.SSLError, ConnectionError)):  # an alert, or the end that follows on it
        return f"{text}; is it running there, and does it know who vouches for nats.client_cert_file?"
    return f"{text}; is it running there, and are user and password right, or the seed?"
