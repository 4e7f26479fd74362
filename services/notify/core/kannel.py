"""Kannel's interface `sendsms` (its user guide, "Using the HTTP interface to send SMS messages"), as of 1.4.5."""

from dataclasses import dataclass, field

from services.notify.core.http_outcome import failure_of_status
from services.notify.core.outcome import Failure
from services.notify.core.sms_gateway import Answer, Request, Sms
from services.notify.core.sms_reports import KANNEL_MASK

_CODINGS = {"gsm-7": "0", "ucs-2": "2"}
_NUMBER = (b"number", b"receiver")


@dataclass(frozen=True)
class Kannel:
    """How one Kannel is asked."""

    url: str = field(repr=False)
    user: str
    password: str = field(repr=False)
    sender: str = ""
    smsc: str = ""

    def request(self, sms: Sms) -> Request:
        """Return the request: parameters in headers, so that no proxy's or server's log of addresses has a number."""
        fields = {
            "Username": self.user, "Password": self.password, "To": sms.number, "From": self.sender, "SMSC": self.smsc,
            "Coding": _CODINGS[sms.encoding],
        }  # fmt: skip
        if sms.report_url:
            fields |= {"DLR-Mask": str(KANNEL_MASK), "DLR-Url": f"{sms.report_url}?status=%d"}
        headers = {f"X-Kannel-{name}": value for name, value in fields.items() if value}
        return Request("POST", self.url, {"Content-Type": "text/plain; charset=UTF-8", **headers}, sms.text.encode())

    def failure(self, answer: Answer) -> Failure | None:
        """Return None for 202, else why not. 400 is about the number, or about a field that settings decide."""
        if answer.status in {400, 404}:
            about_number = any(word in answer.body.lower() for word in _NUMBER)
            return Failure("recipient" if about_number else "misconfigured", "recipient", answer.status)
        return failure_of_status(answer.status, answer.retry_after_s)
