"""nats-py's client with the settings' TLS. It keeps reading, whatever headers a message has.

nats-py by itself asks for no TLS when the server doesn't offer it. It also stops reading once a header's status is no
text. This module is the only one that uses private parts of nats-py. A test names the nats-py version whose
code was read.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from nats.aio.client import PING_PROTO, Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js import JetStreamContext
from nats.micro.service import Service

from services.kernel.tls import Tls, saw

REQUEST_INFO = "Nats-Request-Info"
"""The header in which the server names the client that sent a request from another account."""
_INFO = f"{REQUEST_INFO}: ".encode()


class TlsError(Error):
    """TLS is not possible as the settings want it; the text says what to fix."""


class SecureClient(Client):
    """A client whose certificates may be renewed while it runs. Without `tls` it never speaks TLS."""

    def __init__(self, tls: Tls | None) -> None:
        super().__init__()
        self._tls = tls

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The context for each new connection of nats-py, from the files' present content."""
        if self._tls is None:
            raise TlsError("the server requires TLS; set nats.ca_file to the file of the issuing CA")
        if self._server_info.get("tls_verify") and self._tls.certificate is None:
            raise TlsError("the server asks for a certificate of ours, so name one in nats.client_cert_file")
        return self._tls.context

    def _connect_command(self) -> bytes:
        """Return the command that holds the password, unless it could be read on the way.

        A server that claims to speak no TLS, or a machine in front of it, would get the password unencrypted.
        """
        if self._tls is not None and _connection_of(self) is None:
            raise TlsError("the server offers no TLS, which nats.ca_file demands; nothing was sent to it")
        _announce_tls(self)
        command: bytes = super()._connect_command()
        return command

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        """Return a message's headers; if they can't be read, none of them. REQUEST_INFO is what the server says.

        nats-py 2.16 silently stops reading when a status is no text, until its pings are missed. One message of a
        stranger would take a service off the bus.
        """
        if not headers:
            return None
        try:
            found = await super()._process_headers(headers)
        except Exception:
            found = None
        info = request_info(headers)
        others = {name: text for name, text in (found or {}).items() if name != REQUEST_INFO}
        return (others | ({REQUEST_INFO: info} if info else {})) or None

    async def _connect_to_server(self, s: Any) -> None:
        """Connect to a server of the list; raise CancelledError if this task was cancelled before.

        Where `wait_for` has lost the cancellation (see `request`), nats-py would try one server after another for ever.
        """
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        await super()._connect_to_server(s)

    async def request(self, *args: Any, **named: Any) -> Msg:
        """Return the answer to a request; raise CancelledError if this task was cancelled meanwhile.

        Before Python 3.12 `wait_for`, in which nats-py waits, may lose a cancellation (python/cpython issue 86296). A
        task group cancels only once, so a reader of a stream would never end.
        """
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        answer = await super().request(*args, **named)
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
        return answer

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        """Send a PING behind what waits to be sent. nats-py writes it ahead, so a `flush` ends too early.

        A subscription that is drained was forgotten before the server had stopped sending to it: messages were lost.
        """
        self._pongs.append(future or asyncio.Future())
        self._pending.append(
            PING_PROTO
        )  # and not `_send_command`: behind much it waits for a server that may be frozen
        self._pending_data_size += len(PING_PROTO)
        await self._flush_pending()

    async def _process_connect_init(self) -> None:
        self._ps.reset()  # what came of a message when the last connection ended
        # A PING of the last connection would be answered before what a `flush` of this one waits for.
        waiting = self._pending.count(PING_PROTO)
        self._pending = [part for part in self._pending if part != PING_PROTO]
        self._pending_data_size -= waiting * len(PING_PROTO)
        await super()._process_connect_init()
        saw("nats", _connection_of(self))


def request_info(headers: bytes) -> str:
    """Return what the server says about the sender of a request; empty if it says nothing.

    The server writes its header behind the sender's. The sender may have left out the end, or put in an imitation, so
    the last such header counts.
    """
    _, there, rest = headers.rpartition(_INFO)
    return rest.partition(b"\r\n")[0].decode(errors="replace") if there else ""


def _connection_of(client: Any) -> Any:
    """Return the TLS object of a client's connection; None without TLS."""
    transport = client._transport  # noqa: SLF001 - nats-py tells it nowhere else
    stream = getattr(transport, "_io_writer", None) or getattr(transport, "_ws", None)
    return stream.get_extra_info("ssl_object") if stream is not None else None


def _announce_tls(client: Any) -> None:
    """Give asyncio's protocol its TLS transport, which nats-py upgrades without a word to it.

    Without it the protocol logs a warning at each connection's end, and has nothing to pause when a server is fast.
    """
    writer = getattr(client._transport, "_io_writer", None)  # noqa: SLF001
    if writer is None or _connection_of(client) is None:
        return
    protocol = writer.transport.get_protocol()
    if protocol is not None:  # by TLS 1.3 the server may have refused our certificate, and ended the connection
        protocol.connection_made(writer.transport)


def client_of(js: JetStreamContext) -> Client:
    """Return the client of a JetStream context, which has no public way to get it."""
    return js._nc  # noqa: SLF001


def come_as(client: Client, public: str) -> None:
    """Make a client present this public key, whose seed signs elsewhere: nats-py wants the seed itself, or a file."""
    client._public_nkey = public  # noqa: SLF001


def subscriptions_of(client: Client) -> list[Subscription]:
    """Return a client's subscriptions, as they are now."""
    return list(client._subs.values())  # noqa: SLF001


async def subscribe_again(client: Client, subscription: Subscription) -> None:
    """Ask the server again for a refused subscription; nats-py does so only when it reconnects."""
    await client._send_subscribe(subscription)  # noqa: SLF001


def reader_of(subscription: Subscription) -> asyncio.Task[None] | None:
    """Return the task in which nats-py hands a subscription's messages on, if there is one."""
    found: asyncio.Task[None] | None = subscription._wait_for_msgs_task  # noqa: SLF001
    return found


def reconnection_of(client: Client) -> list[asyncio.Task[None]]:
    """Return the task that is connecting a client again; empty if none is."""
    task = client._reconnection_task  # noqa: SLF001
    return [] if task is None or task.done() else [task]


def tasks_of(client: Client) -> list[asyncio.Task[None]]:
    """Return the tasks of a connection that have not ended: reading, writing, pings, connecting again."""
    found = (client._reading_task, client._flusher_task, client._ping_interval_task)  # noqa: SLF001
    return [task for task in found if task is not None and not task.done()] + reconnection_of(client)


def cut_off(client: Client) -> None:
    """Close a client's connection at once, if it is still open; what waits to be sent is lost."""
    writer = getattr(client._transport, "_io_writer", None)  # noqa: SLF001
    if writer is not None:
        writer.transport.abort()


def asked_by(msg: Msg) -> Client:
    """Return the connection by which a message came; nats-py's own consumer answers flow control over it, too."""
    return msg._client  # noqa: SLF001


async def keep_endpoints(service: Service, wanted: Mapping[str, Mapping[str, str] | None]) -> set[str]:
    """Stop a micro service's endpoints but those on these subjects with this metadata; return the subjects kept.

    nats-py has no way to take an endpoint back.
    """
    for old in list(service._endpoints):  # noqa: SLF001
        if old._subject not in wanted or old._metadata != wanted[old._subject]:  # noqa: SLF001
            service._endpoints.remove(old)  # noqa: SLF001
            await old._stop()  # noqa: SLF001
    return {old._subject for old in service._endpoints}  # noqa: SLF001


def words_of(error: Exception, *, secure: bool) -> str:
    """Return what NATS or the network said, and what may be wrong, as one line."""
    text = str(error) or type(error).__name__
    if isinstance(error, TlsError):
        return text
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "nats.ca_file must hold the issuing CA, and nats.url a name that the certificate has"
        return f"certificate verification failed: {error.verify_message}; {advice}"
    if secure and isinstance(error, (ssl.SSLError, ConnectionError)):  # a TLS alert, or the closing that follows it
        return f"{text}; is it running there, and does it trust the CA of nats.client_cert_file?"
    if "Authorization Violation" in text:
        advice = "A server in operator mode (JWT) knows none of them: docs/operations.md#operator-mode"
        return f"{text}; are user and password right, or the seed? {advice}"
    return f"{text}; is it running there, and are user and password right, or the seed?"
