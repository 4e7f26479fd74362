"""nats-py's client with TLS as the settings have it, which reads on whatever headers a message has.

By itself it asks for no TLS when the server doesn't offer it, and is deaf once a header's status is no text.
"""

import asyncio
import ssl
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from services.kernel.tls import Tls, saw

REQUEST_INFO = "Nats-Request-Info"
"""The header in which the server says who asks from another account."""
_INFO = f"{REQUEST_INFO}: ".encode()


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

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        """Return a message's headers, none of those that can't be read; REQUEST_INFO is what the server says.

        nats-py 2.16 ends its reading without a word where a status is no text, until its pings are missed: one message
        of a stranger would take a service off the bus.
        """
        if not headers:
            return None
        try:
            found = await super()._process_headers(headers)
        except Exception:
            found = None
        said = request_info(headers)
        others = {name: text for name, text in (found or {}).items() if name != REQUEST_INFO}
        return (others | ({REQUEST_INFO: said} if said else {})) or None

    async def request(self, *args: Any, **named: Any) -> Msg:
        """Ask, and end if this task was cancelled meanwhile.

        Before Python 3.12 `wait_for`, in which nats-py waits, may lose that (python/cpython issue 86296), and a group
        of tasks cancels but once: a reader of a stream would never end.
        """
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        answer = await super().request(*args, **named)
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
        return answer

    async def _process_connect_init(self) -> None:
        await super()._process_connect_init()
        saw("nats", _connection_of(self))


def request_info(headers: bytes) -> str:
    """Return what the server says of who asks; empty if it says nothing.

    It writes that behind whatever the asker wrote, who may have left the end out, or an imitation in: the last counts.
    """
    _, there, rest = headers.rpartition(_INFO)
    return rest.partition(b"\r\n")[0].decode(errors="replace") if there else ""


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
