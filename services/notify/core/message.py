"""An alert's e-mail as the standard library's EmailMessage: the same alert gives the same bytes, every time.

RFC 5322 (message), RFC 3834 (automatic mail), RFC 2919 (List-Id), RFC 2046 (alternatives).
"""

from dataclasses import dataclass
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256

from proto.public import AlertV1
from proto.types import AlertState
from services.notify.core.local_time import instant
from services.notify.core.recipient import Recipient
from services.notify.core.view import AlertView, Bodies, one_line

POLICY = SMTP.clone(cte_type="7bit")
"""Seven-bit lines: no server on the way has a reason to re-encode the mail."""


@dataclass(frozen=True)
class Sender:
    """Whom the mails come from."""

    address: str
    name: str

    @property
    def domain(self) -> str:
        """The part behind the @."""
        return self.address.rpartition("@")[2]


def message_id(alert: AlertV1, state: AlertState, recipient: Recipient, sender: Sender) -> str:
    """Return the Message-ID of the mail that tells this recipient of this state: a second copy has the same."""
    return f"<{alert.alert}.{state}.{recipient.digest[:16]}@{sender.domain}>"


def compose(alert: AlertV1, view: AlertView, bodies: Bodies, recipient: Recipient, sender: Sender) -> EmailMessage:
    """Return the mail for one recipient, with a plain and an HTML body; UnpresentableError past the calendar.

    The date is the end of the alert's window: it says what the mail is about and makes a repeated mail the same bytes.
    """
    message = EmailMessage(policy=POLICY)
    message["From"] = Address(display_name=one_line(sender.name), addr_spec=sender.address)
    message["To"] = Address(addr_spec=recipient.address)
    message["Subject"] = view.subject
    message["Date"] = format_datetime(instant(alert.end, UTC))
    message["Message-ID"] = message_id(alert, alert.state, recipient, sender)
    for name, value in [*_thread(alert, recipient, sender), *_automatic(alert, sender)]:
        message[name] = value
    message.set_content(bodies.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(bodies.html, subtype="html", charset="utf-8", cte="quoted-printable")
    message["Content-Language"] = view.language  # after the bodies: setting them clears every Content-* header
    # "=_" can't occur in quoted-printable text (RFC 2045 §6.7), so this boundary never collides.
    message.set_boundary(f"=_{sha256(message['Message-ID'].encode()).hexdigest()[:32]}")
    return message


def _thread(alert: AlertV1, recipient: Recipient, sender: Sender) -> list[tuple[str, str]]:
    if alert.state == "firing":
        return []
    first = message_id(alert, "firing", recipient, sender)
    return [("In-Reply-To", first), ("References", first)]


def _automatic(alert: AlertV1, sender: Sender) -> list[tuple[str, str]]:
    """Tell programs that no person wrote this: no vacation notes in return, and a list that filters can name."""
    headers = [
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", f"<{alert.site}.alerts.{sender.domain}>"),
    ]
    if alert.severity == "critical" and alert.state == "firing":
        headers.append(("Importance", "high"))
    return headers
