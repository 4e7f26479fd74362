"""What an SMS gateway gets by HTTP and what its answer means; each kind of gateway says both. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.notify.core.gsm import Encoding
from services.notify.core.outcome import Failure


@dataclass(frozen=True)
class Sms:
    """One text to one number; neither shows in a repr."""

    number: str = field(repr=False)
    """E.164, such as `+33612345678`."""
    text: str = field(repr=False)
    encoding: Encoding
    segments: int
    key: str
    """The same for the same SMS, so that a gateway that knows it sends a repeated one once."""
    report_url: str = field(default="", repr=False)
    """Where its delivery is reported; empty: nobody asks."""


@dataclass(frozen=True)
class Request:
    """A request of HTTP. It holds numbers and secrets, so that nothing of it shows."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP, with the beginning of its body."""

    status: int
    retry_after_s: float | None = None
    body: bytes = field(default=b"", repr=False)


class Gateway(Protocol):
    """One kind of SMS gateway."""

    def request(self, sms: Sms) -> Request:
        """Return what asks it to send this SMS."""

    def failure(self, answer: Answer) -> Failure | None:
        """Return None if it took the SMS, else why not."""
