"""The channel e-mail: a mail about a notification's first alert, over connections that are used again."""

import asyncio
from email.headerregistry import Address
from email.message import EmailMessage

from proto.public import AlertV1
from proto.types import Channel as ChannelName
from services.notify.core.english import describe
from services.notify.core.local_time import UnpresentableError
from services.notify.core.message import POLICY, compose
from services.notify.core.notification import Notification
from services.notify.core.outcome import Failure
from services.notify.core.recipient import Recipient
from services.notify.directory import Directory
from services.notify.smtp import Session
from services.notify.templates import render

_IDLE_S = 5.0


class Email:
    """Sends mails through the one mail server; several at once, each over a connection of its own."""

    name: ChannelName = "email"

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._idle: list[Session] = []
        self._cleaning: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, notification: Notification, recipient: Recipient) -> Failure | None:
        """Hand the mail over; None once the server has accepted it."""
        try:
            message = self._mail(notification, recipient)
        except UnpresentableError:
            return Failure("response", "data", 554, detail="its time lies beyond the calendar")
        session = self._idle.pop() if self._idle else self._directory.session()
        kept = False
        try:
            failure = await session.send(message, recipient.address)
            kept = failure is None or (failure.kind == "response" and failure.stage != "connect")
        finally:
            if kept:
                self._keep(session)
            else:
                await session.__aexit__(None, None, None)
        return failure

    async def close(self) -> None:
        """Say goodbye on every idle connection."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        await asyncio.gather(self._part(), *self._closing)

    async def _part(self) -> None:
        idle, self._idle = self._idle, []
        await asyncio.gather(*(session.__aexit__(None, None, None) for session in idle))

    def _keep(self, session: Session) -> None:
        self._idle.append(session)
        if self._cleaning is not None:
            self._cleaning.cancel()
        self._cleaning = asyncio.get_running_loop().call_later(_IDLE_S, self._clean)

    def _clean(self) -> None:
        task = asyncio.create_task(self._part(), name="close idle connections to the mail server")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _mail(self, notification: Notification, recipient: Recipient) -> EmailMessage:
        first, sender = notification.notices[0], self._directory.sender()
        if isinstance(first.message, AlertV1):
            view = describe(first.message, self._directory.site(first.site), recipient.receiver, self._directory.link)
            return compose(first.message, view, render(view), recipient, sender)
        message = EmailMessage(policy=POLICY)
        message["From"] = Address(display_name=sender.name, addr_spec=sender.address)
        message["To"] = Address(addr_spec=recipient.address)
        message["Subject"] = f"[Moretta] {first.site}: {first.rule} {first.zone}"
        message["Message-ID"] = f"<{notification.id}.{recipient.digest[:16]}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(f"{first.rule} {first.zone} at {first.site}: {first.state}\n")
        return message
