"""The part `notify.smtp` of the settings: the mail server, and whether a text is an e-mail address or a host."""

import ipaddress
from collections.abc import Iterator
from email.errors import MessageError
from email.headerregistry import Address
from typing import Annotated, Literal

from msgspec import Meta, Struct

from services.kernel.settings import Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_problems, client_tls
from services.sites.problems import Problem
from services.sites.settings import Name

Security = Literal["starttls", "tls", "none"]
_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
NO_ADDRESS = (
    "is no plain e-mail address such as name@example.org (no name beside it, ASCII only; an international domain"
    " is written in its xn-- form)"
)
"""What is wrong with a text that is no address."""


class SmtpSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The mail server that takes our mails. `password_file` reads the password from a file."""

    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    """Without one: 587 for starttls, 465 for tls, 25 for none."""
    security: Security = "starttls"
    user: str | None = None
    password: Secret | None = None
    sender: str
    sender_name: Name = "Moretta"
    bounces: str | None = None
    """The envelope sender, to which servers return what they can't deliver (RFC 5321 §4.4); None: the sender."""
    timeout_s: Annotated[float, Meta(gt=0, le=600)] = 60.0
    """Time limit for each answer of the server. Some servers inspect a mail for a while before they accept it."""
    ca_file: Authorities = SYSTEM
    """The certificate authorities that are trusted to vouch for the server; no others are."""
    client_cert_file: str | None = None
    """PEM file with the client certificate for a server that asks for one, and its key unless that is separate."""
    client_key_file: str | None = None
    verify: bool = True
    """Check the server's certificate. False sends mails to any server that answers; never use it with a password."""

    def tls(self) -> Tls:
        """Return the TLS settings for the server; CertificateError if a file is unusable."""
        return client_tls("smtp", "notify.smtp", self, verify=self.verify)

    def port_in_use(self) -> int:
        """Return the port; if none is set, the default port of `security`."""
        return self.port or _PORTS[self.security]

    def envelope_sender(self) -> str:
        """Return the address that bounces go to."""
        return self.bounces or self.sender


def is_address(text: str) -> bool:
    """Return whether this is one bare ASCII address (RFC 5321), with a host name after the @."""
    if not text.isascii() or len(text) > 254 or set(text) & set(" \"'()<>[]\\,:;"):
        return False
    try:
        address = Address(addr_spec=text)
    except (ValueError, MessageError, IndexError):  # IndexError: the standard library on "name@"
        return False
    return bool(address.username) and len(address.username) <= 64 and is_host(address.domain)


def is_host(name: str) -> bool:
    """Return whether this is a host name (RFC 1123 §2.1)."""
    labels = name.split(".")
    return (
        name.isascii()
        and len(name) <= 253
        and all(
            0 < len(label) <= 63 and label.replace("-", "a").isalnum() and label[0] != "-" != label[-1]
            for label in labels
        )
    )


def smtp_problems(smtp: SmtpSettings) -> Iterator[Problem]:
    """Yield problems across fields. They quote no address, since these lines end up in logs."""
    if not is_address(smtp.sender):
        yield "notify.smtp.sender", NO_ADDRESS
    if smtp.bounces is not None and not is_address(smtp.bounces):
        yield "notify.smtp.bounces", NO_ADDRESS
    yield from client_problems("notify.smtp", smtp)
    if smtp.client_cert_file is not None and smtp.security == "none":
        yield "notify.smtp.security", "'none' shows no certificate to the server; take starttls or tls"
    if (smtp.user is None) != (smtp.password is None):
        missing = "user" if smtp.user is None else "password"
        yield f"notify.smtp.{missing}", "is missing; a login needs both user and password (or password_file)"
    if not (is_loopback(smtp.host) or is_host(smtp.host) or _is_ip(smtp.host)):
        yield "notify.smtp.host", f"{smtp.host!r} is no host name, such as mail.example.org"
    if smtp.password is not None and not is_loopback(smtp.host):
        if smtp.security == "none":
            yield (
                "notify.smtp.security",
                f"'none' sends the password openly to {smtp.host!r}; take starttls or tls, or remove the password",
            )
        elif not smtp.verify:
            yield (
                "notify.smtp.verify",
                "false would give the password to whoever answers; name the server's authority in ca_file instead",
            )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether this name or address is this machine itself."""
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
