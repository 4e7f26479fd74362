"""Receivers and recipients of a site's alerts, and the names that records use instead of addresses."""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from proto.public import DeliveryV1
from proto.types import Channel, SaltName

Language = str
"""The name of a catalogue, such as `fr`; `services.notify.languages` knows which there are."""


@dataclass(frozen=True)
class Receiver:
    """A group of people who get the same alerts."""

    id: str
    addresses: tuple[tuple[Channel, str], ...] = field(repr=False)
    """Their e-mail addresses, telephone numbers and webhook URLs."""
    language: Language = "en"


RecipientKey = tuple[str, Channel, str]
"""Receiver, channel and address: they identify a recipient whatever the salt."""
_OWN_SERVER: frozenset[Channel] = frozenset({"webhook"})
"""Channels on which each recipient is a server of its own."""


@dataclass(frozen=True)
class Recipient:
    """One address of a receiver. `digest` stands for it in public records; the address shows in no repr."""

    receiver: str
    address: str = field(repr=False)
    digest: str
    language: Language = "en"
    channel: Channel = "email"

    @property
    def name(self) -> str:
        """A name that identifies the recipient in logs and alarms, without its address."""
        return f"{self.receiver[:23]}-{self.digest[:8]}"

    @property
    def server(self) -> str:
        """The server that takes its messages, named without an address. Recipients of one server fail together."""
        return f"{self.channel}-{self.digest[:8]}" if self.channel in _OWN_SERVER else self.channel

    @property
    def place(self) -> RecipientKey:
        """The key that holds its address. Not for logs."""
        return self.receiver, self.channel, self.address.lower()


def digest(salt: bytes, receiver: str, address: str) -> str:
    """Return HMAC-SHA256 (RFC 2104) of receiver and address, keyed with the salt, as 64 hex digits.

    Upper and lower case count as equal: two such spellings are one mailbox nearly everywhere.
    """
    return hmac.new(salt, f"{receiver}\0{address.lower()}".encode(), sha256).hexdigest()


def default_salt(sender: str) -> bytes:
    """Return the salt used when none is set: the same after a restart, but no secret, as anyone may compute it."""
    return sha256(f"moretta notify recipients {sender.lower()}".encode()).digest()


def salt_name(salt: bytes) -> SaltName:
    """Return the name that identifies a salt in public records: an HMAC-SHA256 keyed with it, 16 hex digits."""
    return hmac.new(salt, b"moretta notify salt", sha256).hexdigest()[:16]


def recipients(receiver: Receiver, salt: bytes) -> list[Recipient]:
    """Return a receiver's recipients on every channel, in the order of the settings."""
    return [
        Recipient(receiver.id, address, digest(salt, receiver.id, address), receiver.language, channel)
        for channel, address in receiver.addresses
    ]


def named(record: DeliveryV1) -> Recipient:
    """Return the recipient that a record names, without an address, since the record has none."""
    return Recipient(record.receiver, "", record.recipient_sha256, channel=record.channel)
