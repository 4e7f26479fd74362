"""A mail server that delivers nothing: it keeps each mail as a file and passes it to a callback (aiosmtpd)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Mail:
    """One mail that the server accepted."""

    file: Path
    message: EmailMessage

    @property
    def text(self) -> str:
        """The plain body; empty if it has none."""
        body = self.message.get_body(("plain",))
        return str(body.get_content()).strip() if body is not None else ""

    def shown(self) -> str:
        """Return the receiver, the subject and the plain body, as a terminal shows them."""
        text = "\n".join(f"    {line}" for line in self.text.splitlines())
        return f"mail to {self.message['To']}: {self.message['Subject']}\n{text}"


class MailServer:
    """Listens while its block runs, on the loop that runs it: by itself on loopback, on a free port."""

    def __init__(self, folder: Path, on_mail: Callable[[Mail], None], host: str = _HOST, port: int = 0) -> None:
        self._folder, self._on_mail, self._host, self.port = folder, on_mail, host, port
        self._connections: set[_Session] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Start to listen; OSError if the folder can't be made, or the address can't be used."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.get_running_loop().create_server(self._session, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop the open connections."""
        assert self._server is not None
        self._server.close()
        for session in list(self._connections):
            session.drop()
        await self._server.wait_closed()

    def _session(self) -> "_Session":
        return _Session(self, self._connections)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep one mail (aiosmtpd's hook); return the reply to the client."""
        file = self._free_name()
        file.write_bytes(envelope.content)
        self._on_mail(Mail(file, BytesParser(policy=default).parsebytes(envelope.content)))
        return "250 2.0.0 kept"

    def _free_name(self) -> Path:
        """Return the next name; an earlier run's mails stay."""
        names = (self._folder / f"mail-{number}.eml" for number in count(1))
        return next(name for name in names if not name.exists())


class _Session(SMTP):
    """One client's connection, which its server can drop."""

    def __init__(self, server: MailServer, connections: "set[_Session]") -> None:
        super().__init__(server, hostname="mail.invalid", enable_SMTPUTF8=True)
        self._connections = connections

    def connection_made(self, transport: Any) -> None:
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(error)

    def drop(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.close()
