"""The settings in force, as a delivery asks them: who is told about a site, and what people call its places."""

import ssl
from dataclasses import dataclass
from typing import Self

from services.notify.core.message import Sender
from services.notify.core.recipient import Receiver, Recipient, default_salt, recipients
from services.notify.settings import NotifyFile, NotifySettings, SmtpSettings
from services.notify.smtp import Session, tls_context
from services.sites.settings import SiteSettings


@dataclass(frozen=True)
class Directory:
    """One state of the settings; a reload makes another one."""

    sites: dict[str, SiteSettings]
    receivers: tuple[Receiver, ...]
    salt: bytes
    smtp: SmtpSettings | None
    context: ssl.SSLContext | None
    give_up_after_s: float
    link: str

    @classmethod
    def of(cls, file: NotifyFile) -> Self:
        """Return the directory of these settings; StartError if a certificate cannot be read."""
        notify = file.notify
        return cls(
            sites={site.id: site for site in file.sites},
            receivers=tuple(Receiver(r.id, tuple(r.email), frozenset(r.sites), r.language) for r in notify.receivers),
            salt=_salt(notify),
            smtp=notify.smtp,
            context=None if notify.smtp is None else tls_context(notify.smtp),
            give_up_after_s=notify.give_up_after_s,
            link=notify.public_url or "",
        )

    def site(self, name: str) -> SiteSettings:
        """Return what is known of a site; of one that the settings do not have, its id and UTC."""
        return self.sites.get(name) or SiteSettings(id=name)

    def recipients(self, site: str) -> list[Recipient]:
        """Return everyone who is told about this site's alerts."""
        return [] if self.smtp is None else recipients(self.receivers, site, self.salt)

    def sender(self) -> Sender:
        """Return whom the mails come from."""
        assert self.smtp is not None
        return Sender(self.smtp.sender, self.smtp.sender_name)

    def session(self) -> Session:
        """Return a connection to be made to the mail server."""
        assert self.smtp is not None
        assert self.context is not None
        return Session(self.smtp, self.context)


def _salt(notify: NotifySettings) -> bytes:
    if notify.salt is not None:
        return notify.salt.reveal().encode()
    return default_salt(notify.smtp.sender if notify.smtp else "")
