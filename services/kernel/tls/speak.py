"""TLS contexts for clients and servers: TLS 1.2 or later, and only the authorities that the settings name.

They do not come from `ssl.create_default_context`. That function trusts the system's authorities if none are named. It
also writes the sessions' keys into a file that the environment names (SSLKEYLOGFILE). Every section of the settings for
a client names its files by the same three keys.
"""

import os
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Protocol

from cryptography import x509
from msgspec import Meta

from services.kernel.settings import Problem
from services.kernel.tls.files import Certificate, Content, Named, anchors_of, certificate_of
from services.kernel.tls.tls import Loaded, Tls, Use

SYSTEM = "system"
"""Stands for the certificate authorities that this machine's system trusts."""
Authorities = Annotated[
    str, Meta(min_length=1, description=f"a PEM file of certificate authorities, or {SYSTEM} for this machine's own")
]
"""The only authorities that may issue a server's certificate."""


class ClientFiles(Protocol):
    """The TLS files for a connection to a server, as a section of the settings names them."""

    @property
    def ca_file(self) -> str | None:
        """The authorities that may issue the server's certificate."""

    @property
    def client_cert_file(self) -> str | None:
        """The certificate that we show to a server that asks for one."""

    @property
    def client_key_file(self) -> str | None:
        """The certificate's key, unless that is in the same file."""


def client_problems(path: str, files: ClientFiles) -> Iterator[Problem]:
    """Yield the problems that a check of each key alone does not find; read no file."""
    if files.client_key_file is not None and files.client_cert_file is None:
        yield f"{path}.client_cert_file", "is missing; a key is of no use without its certificate"


def client_tls(use: Use, path: str, files: ClientFiles, *, verify: bool = True) -> Tls:
    """Return a client's `Tls`; `path` is the section of the settings. CertificateError if a file can't be used.

    Without `verify` any server is trusted.
    """
    assert files.ca_file is not None
    anchors = Named(f"{path}.ca_file", files.ca_file)
    pair = None
    if files.client_cert_file is not None:
        key = files.client_key_file
        shown = Named(f"{path}.client_cert_file", files.client_cert_file)
        pair = (shown, Named(f"{path}.client_key_file", key) if key is not None else shown)

    def read() -> list[Content]:
        return [_authorities(anchors), *(one.read() for one in pair or ())]

    def load(contents: Sequence[Content]) -> Loaded:
        context = bare_context(ssl.PROTOCOL_TLS_CLIENT)
        end = None
        if anchors.file == SYSTEM:
            context.load_default_certs()
        else:
            known = anchors_of(anchors, contents[0])
            context.load_verify_locations(cadata=known.der)
            end = known.not_after
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return Loaded(context, _load_pair(context, pair, contents[1:]) if pair else None, end)

    return Tls(use, read, load)


def server_tls(use: Use, certificate: Named, key: Named) -> Tls:
    """Return a server's `Tls` with this certificate. CertificateError if a file can't be used."""
    pair = (certificate, key)

    def load(contents: Sequence[Content]) -> Loaded:
        context = bare_context(ssl.PROTOCOL_TLS_SERVER)
        return Loaded(context, _load_pair(context, pair, contents), None)

    return Tls(use, lambda: [one.read() for one in pair], load)


def server_tls_of_pem(use: Use, certificate: bytes, key: bytes) -> Tls:
    """Return a server's `Tls` with a certificate from memory, which is never renewed.

    Python's TLS reads files only, and a pipe is a file that is on no disk.
    """

    def load(_: Sequence[Content]) -> Loaded:
        context = bare_context(ssl.PROTOCOL_TLS_SERVER)
        ends = [_pipe(content) for content in (certificate, key)]
        try:
            context.load_cert_chain(*(f"/dev/fd/{end}" for end in ends))
        finally:
            for end in ends:
                os.close(end)
        return Loaded(context, Certificate.of(x509.load_pem_x509_certificate(certificate)), None)

    return Tls(use, list, load)


def _authorities(named: Named) -> Content:
    """Return a value that changes with the authorities: the file's content, or the identity of the system's file."""
    if named.file != SYSTEM:
        return named.read()
    bundle = ssl.get_default_verify_paths().cafile
    try:
        found = Path(bundle).stat() if bundle else None
    except OSError:  # it is being replaced
        return b""
    # Not all fields: the time of the last access changes whenever the file is read.
    return repr((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)).encode() if found else b""


def bare_context(protocol: int) -> ssl.SSLContext:
    """Return a context that trusts nobody yet."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load_pair(context: ssl.SSLContext, pair: tuple[Named, Named], contents: Sequence[Content]) -> Certificate:
    certificate, key = pair
    checked = certificate_of(certificate, contents[0], key, contents[1])
    try:
        # Without a password here, OpenSSL would ask for an encrypted key's password on the terminal.
        context.load_cert_chain(certificate.file, key.file, password="")
    except OSError as error:  # includes ssl.SSLError: a weak key, or a file that changed just now
        why = getattr(error, "reason", None) or error.strerror
        raise certificate.unusable(f"OpenSSL refuses it: {why}") from None
    return checked


def _pipe(content: bytes) -> int:
    """Return the reading end of a pipe that holds the content; a few kB always fit."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading
