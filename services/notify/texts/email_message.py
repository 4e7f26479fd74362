"""A notification's e-mail as the standard library's EmailMessage: the same letter gives the same bytes, every time.

RFC 5322 (message), RFC 3834 (automatic mail), RFC 2919 (List-Id), RFC 2046 (alternatives), RFC 2387 (related parts).
"""

from dataclasses import dataclass
from datetime import UTC
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from hashlib import sha256

from proto.types import NotificationId, SiteId
from services.notify.notification import Audience, Notification
from services.notify.recipient import Recipient
from services.notify.texts.mail_contents import Bodies
from services.notify.texts.names import one_line
from services.notify.texts.words import instant


class _Names(UnstructuredHeader, BaseHeader):
    """Names of messages or lists, one per line. The standard library would write a long one as encoded words."""

    def fold(self, *, policy: Policy) -> str:
        """Return the header's lines with no name broken: programs compare names (RFC 5322 §3.6.4, RFC 2919 §2)."""
        names = f"{policy.linesep} ".join(str(self).split())
        return f"{self.name}: {names}{policy.linesep}"


def _headers() -> HeaderRegistry:
    registry = HeaderRegistry()
    for name in ("in-reply-to", "references", "list-id"):
        registry.map_to_type(name, _Names)
    return registry


POLICY = SMTP.clone(cte_type="7bit", header_factory=_headers())
"""Seven-bit lines: no server on the way has a reason to re-encode the mail."""


@dataclass(frozen=True)
class MailSender:
    """The sender of the mails."""

    address: str
    name: str

    @property
    def domain(self) -> str:
        """The part behind the @."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True)
class InlineImage:
    """A PNG that the HTML body shows as `cid:CONTENT_ID` (RFC 2392)."""

    content_id: str
    png: bytes


@dataclass(frozen=True)
class Letter:
    """A mail before it has a recipient: everything that is the same for all of a receiver's people."""

    notification: NotificationId
    root: NotificationId
    previous: NotificationId | None
    site: SiteId
    audience: Audience
    at: int
    """When it was decided, ns. This is the mail's date, so that a repeated mail is the same mail."""
    language: str
    subject: str
    bodies: Bodies
    pictures: tuple[InlineImage, ...] = ()
    urgent: bool = False
    topic: str = ""
    """The mailing list's name beside the site; if empty, it follows from the audience."""


def letter_of(
    notification: Notification, language: str, subject: str, bodies: Bodies, pictures: tuple[InlineImage, ...] = ()
) -> Letter:
    """Return a notification's letter. Only a new critical alert is urgent; a mark on every mail would mean nothing."""
    begins = notification.reason in {"first", "new-alerts"}
    return Letter(
        notification=notification.id,
        root=notification.root,
        previous=notification.previous,
        site=notification.group.site,
        audience=notification.group.audience,
        at=notification.at,
        language=language,
        subject=subject,
        bodies=bodies,
        pictures=pictures,
        urgent=begins and any(notice.severity == "critical" for notice in notification.firing),
        topic="reports" if notification.reason == "report" else "",
    )


def content_id(name: str, notification: NotificationId) -> str:
    """Return the Content-ID of a picture of a notification's mails, without its angle brackets."""
    return f"{name}@{notification}.moretta"


def message_id(notification: NotificationId, recipient: Recipient, sender: MailSender) -> str:
    """Return the Message-ID of this recipient's mail about this notification. A second copy has the same one."""
    return f"<{notification}.{recipient.digest[:16]}@{sender.domain}>"


def compose(letter: Letter, recipient: Recipient, sender: MailSender) -> EmailMessage:
    """Return the mail for one recipient, with a plain and an HTML body; UnpresentableError past the calendar."""
    message = EmailMessage(policy=POLICY)
    message["From"] = Address(display_name=one_line(sender.name), addr_spec=sender.address)
    message["To"] = Address(addr_spec=recipient.address)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(instant(letter.at, UTC))
    message["Message-ID"] = message_id(letter.notification, recipient, sender)
    for name, value in [*_thread(letter, recipient, sender), *_automatic(letter, sender)]:
        message[name] = value
    message.set_content(letter.bodies.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(letter.bodies.html, subtype="html", charset="utf-8", cte="quoted-printable")
    _attach(message, letter.pictures)
    message["Content-Language"] = letter.language  # after the bodies: setting them clears every Content-* header
    _bound(message)
    return message


def _thread(letter: Letter, recipient: Recipient, sender: MailSender) -> list[tuple[str, str]]:
    """Return headers that answer the previous mail, in the thread of the incident's first one (RFC 5322 §3.6.4)."""
    if letter.root == letter.notification:
        return []
    before = dict.fromkeys([letter.root, letter.previous or letter.root])
    ids = [message_id(notification, recipient, sender) for notification in before]
    return [("In-Reply-To", ids[-1]), ("References", " ".join(ids))]


def _automatic(letter: Letter, sender: MailSender) -> list[tuple[str, str]]:
    """Return headers that mark the mail as automatic. They prevent vacation notes and give filters a list to name."""
    kind = letter.topic or ("alerts" if letter.audience == "field" else "operations")
    headers = [
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", f"<{letter.site}.{kind}.{sender.domain}>"),
    ]
    return [*headers, ("Importance", "high")] if letter.urgent else headers


def _attach(message: EmailMessage, pictures: tuple[InlineImage, ...]) -> None:
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    for number, picture in enumerate(pictures, 1):
        html.add_related(
            picture.png, "image", "png",
            cid=f"<{picture.content_id}>", disposition="inline", filename=f"chart-{number}.png",
        )  # fmt: skip


def _bound(message: EmailMessage) -> None:
    """Derive boundaries from the mail itself. "=_" cannot occur in quoted-printable or base64 (RFC 2045 §6.7)."""
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        name = f"{number} {message['Message-ID']}"
        part.set_boundary(f"=_{sha256(name.encode()).hexdigest()[:32]}")
