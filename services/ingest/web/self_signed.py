"""A server's own certificate, self-signed: people compare its fingerprint once, and browsers keep it."""

import datetime as dt
import ipaddress
import socket
import ssl
from pathlib import Path

import ifaddr
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 397
"""Apple's devices refuse certificates valid for more than 825 days, and an authority's if valid for more than 398."""
_RENEW_DAYS = 30
_FILES = ("moretta.crt", "moretta.key")


def kept(folder: Path, wanted: list[str], now: dt.datetime) -> tuple[Path, Path]:
    """Return the files of the certificate and its key in a folder, made if need be; OSError if that fails.

    They are made anew a month before their end, or for a name that people are to type.
    """
    certificate, key = (folder / name for name in _FILES)
    if not (_is_pair(certificate, key) and _is_good(certificate, wanted, now)):
        shown, secret = self_signed(names_of(wanted), now)
        _replace(key, secret)
        _replace(certificate, shown)
    return certificate, key


def self_signed(names: list[str], now: dt.datetime) -> tuple[bytes, bytes]:
    """Return a certificate for these host names and addresses, and its key, both as PEM; P-256, valid for 397 days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Moretta")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now - dt.timedelta(hours=1) + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret


def names_of(wanted: list[str]) -> list[str]:
    """Return the wanted names, then this machine's addresses and names, each once."""
    addresses = [_address(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    usable = [one for one in addresses if not ipaddress.ip_address(one).is_link_local]
    usable.sort(key=lambda one: (ipaddress.ip_address(one).is_loopback, ":" in one))
    host = socket.gethostname()
    return list(dict.fromkeys([*wanted, *usable, *([host] if host.isascii() and host else []), "localhost"]))


def _address(ip: str | tuple[str, int, int]) -> str:
    return ip if isinstance(ip, str) else ip[0]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_pair(certificate: Path, key: Path) -> bool:
    """Return whether both can be read and belong together: a power cut may have come between the two."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError:  # ssl.SSLError is one
        return False
    return True


def _is_good(file: Path, names: list[str], now: dt.datetime) -> bool:
    """Return whether the certificate exists, is valid for another month, and covers all these names.

    It need not cover all of this machine's addresses: they come and go, and people have accepted this fingerprint.
    """
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    left = certificate.not_valid_after_utc - now
    return left >= dt.timedelta(days=_RENEW_DAYS) and {_general(name) for name in names} <= set(known)


def _replace(file: Path, text: bytes) -> None:
    """Put a file that this user alone may read in the place of an old one, which may be a link to elsewhere."""
    new = file.with_suffix(f"{file.suffix}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_bytes(text)
    new.replace(file)
