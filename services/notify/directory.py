"""The settings in force, as a delivery asks them: who is told about a site, and what people call its places."""

import ssl
from dataclasses import dataclass
from typing import Self

from proto.types import Channel
from services.app import StartError
from services.notify.core.message import Sender
from services.notify.core.recipient import Receiver, Recipient, default_salt, recipients
from services.notify.core.routing import Plan
from services.notify.plan import plan_of
from services.notify.settings import NotifyFile, NotifySettings, ReceiverSettings, SmtpSettings
from services.notify.smtp import Session, tls_context
from services.sites.settings import SiteSettings


@dataclass(frozen=True)
class Directory:
    """One state of the settings; a reload makes another one."""

    sites: dict[str, SiteSettings]
    receivers: dict[str, Receiver]
    plan: Plan
    salt: bytes
    smtp: SmtpSettings | None
    context: ssl.SSLContext | None
    give_up_after_s: float
    link: str

    @classmethod
    def of(cls, file: NotifyFile) -> Self:
        """Return the directory of these settings; StartError if the certificate authority cannot be read."""
        notify = file.notify
        return cls(
            sites={site.id: site for site in file.sites},
            receivers={one.id: Receiver(one.id, _addresses(one), one.language) for one in notify.receivers},
            plan=plan_of(file),
            salt=_salt(notify),
            smtp=notify.smtp,
            context=None if notify.smtp is None else _context(notify.smtp),
            give_up_after_s=notify.give_up_after_s,
            link=notify.public_url or "",
        )

    def site(self, name: str) -> SiteSettings:
        """Return what is known of a site; of one that the settings do not have, its id and UTC."""
        return self.sites.get(name) or SiteSettings(id=name)

    def recipients(self, receiver: str) -> list[Recipient]:
        """Return everyone of a receiver, by every channel; nobody if the settings don't have it."""
        known = self.receivers.get(receiver)
        return [] if known is None else recipients(known, self.salt)

    def sender(self) -> Sender:
        """Return whom the mails come from."""
        assert self.smtp is not None
        return Sender(self.smtp.sender, self.smtp.sender_name)

    def session(self) -> Session:
        """Return a connection to be made to the mail server."""
        assert self.smtp is not None
        assert self.context is not None
        return Session(self.smtp, self.context)


def _addresses(receiver: ReceiverSettings) -> tuple[tuple[Channel, str], ...]:
    """Return where a receiver's people are reached, by every channel that the settings know."""
    return tuple(("email", address) for address in receiver.email)


def _salt(notify: NotifySettings) -> bytes:
    if notify.salt is not None:
        return notify.salt.reveal().encode()
    return default_salt(notify.smtp.sender if notify.smtp else "")


def _context(smtp: SmtpSettings) -> ssl.SSLContext:
    try:
        return tls_context(smtp)
    except OSError as error:  # ssl.SSLError is one too
        why = error.strerror if not isinstance(error, ssl.SSLError) else "it holds no PEM certificate"
        raise StartError(f"notify.smtp.ca_file: cannot use {smtp.ca_file}: {why}") from None
