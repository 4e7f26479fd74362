"""Reads and checks PEM files. An error names the file and says what is wrong with it."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from services.kernel.faults import StartError

Content = bytes | str
"""A file's bytes, or the system's reason why it can't be read."""


class CertificateError(StartError):
    """A file can't be used. `field` is its place in the settings; `why` names the file and says what is wrong."""

    def __init__(self, field: str, why: str) -> None:
        self.field, self.why = field, why
        super().__init__(f"{field}: {why}")


@dataclass(frozen=True)
class Named:
    """A file, and its place in the settings."""

    field: str
    file: str

    def unusable(self, why: str) -> CertificateError:
        """Return the error that says why this file can't be used."""
        return CertificateError(self.field, f"cannot use {self.file}: {why}")

    def read(self) -> Content:
        """Return the file's present content."""
        try:
            return Path(self.file).read_bytes()
        except OSError as error:
            return error.strerror or "it cannot be read"


@dataclass(frozen=True)
class Certificate:
    """The dates and the fingerprint of a certificate that we show."""

    not_before: dt.datetime
    not_after: dt.datetime
    fingerprint: str
    """SHA-256 of the certificate, as browsers show it: AB:CD:..."""

    @classmethod
    def of(cls, shown: x509.Certificate) -> "Certificate":
        """Return the dates and the fingerprint of a parsed certificate."""
        fingerprint = shown.fingerprint(hashes.SHA256()).hex(":").upper()
        return cls(shown.not_valid_before_utc, shown.not_valid_after_utc, fingerprint)


@dataclass(frozen=True)
class Anchors:
    """Certificate authorities, in the form that OpenSSL takes."""

    der: bytes
    not_after: dt.datetime
    """When the last of the authorities expires: after that no certificate is trusted."""


def anchors_of(named: Named, content: Content) -> Anchors:
    """Return the authorities that a file holds. CertificateError if it holds none."""
    known = _certificates(named, content)
    return Anchors(b"".join(one.public_bytes(Encoding.DER) for one in known), max(c.not_valid_after_utc for c in known))


def certificate_of(named: Named, content: Content, key: Named, secret: Content) -> Certificate:
    """Return the first certificate of a file, which the key must belong to. CertificateError if they can't be used."""
    shown = _certificates(named, content)[0]
    try:
        belongs = _private_key(key, secret).public_key() == shown.public_key()
    except UnsupportedAlgorithm:
        raise named.unusable("its kind of key is not known here; take ECDSA, Ed25519 or RSA") from None
    if not belongs:
        raise key.unusable(f"it is not the key of the certificate in {named.file}")
    return Certificate.of(shown)


def _certificates(named: Named, content: Content) -> list[x509.Certificate]:
    if isinstance(content, str):
        raise named.unusable(content)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise named.unusable("it holds no PEM certificate") from None


def _private_key(named: Named, content: Content) -> PrivateKeyTypes:
    if isinstance(content, str):
        raise named.unusable(content)
    try:
        return load_pem_private_key(content, None)
    except TypeError:
        raise named.unusable(
            "its key is encrypted; give one without a password, that only this service may read"
        ) from None
    except ValueError:
        raise named.unusable("it holds no private key in PEM") from None
