"""Contexts for clients and servers: TLS 1.2 or later, and no authority that the settings don't name.

Not by `ssl.create_default_context`, which takes the system's authorities where none are named, and writes the
sessions' keys into a file that the environment names (SSLKEYLOGFILE).
"""

import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from services.kernel.tls.files import Certificate, Content, Named, anchors_of, certificate_of
from services.kernel.tls.settings import SYSTEM, ClientFiles
from services.kernel.tls.tls import Loaded, Tls, Use


def client_tls(use: Use, path: str, files: ClientFiles, *, verify: bool = True) -> Tls:
    """Return how to speak to servers; `path` is the section of the settings. CertificateError if a file is of no use.

    Without `verify` whoever answers is believed.
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
    """Return how to serve with a certificate. CertificateError if a file is of no use."""
    pair = (certificate, key)

    def load(contents: Sequence[Content]) -> Loaded:
        context = bare_context(ssl.PROTOCOL_TLS_SERVER)
        return Loaded(context, _load_pair(context, pair, contents), None)

    return Tls(use, lambda: [one.read() for one in pair], load)


def server_tls_of_pem(use: Use, certificate: bytes, key: bytes) -> Tls:
    """Return how to serve with a certificate from memory, for good.

    Python's TLS reads files only, and a pipe is one that is on no disk.
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
    """What tells whether the authorities have changed: the file's content, or which file the system's is."""
    if named.file != SYSTEM:
        return named.read()
    bundle = ssl.get_default_verify_paths().cafile
    try:
        found = Path(bundle).stat() if bundle else None
    except OSError:  # it is being replaced
        return b""
    # Not the whole answer: the time of the last access changes when anybody reads it.
    return repr((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)).encode() if found else b""


def bare_context(protocol: int) -> ssl.SSLContext:
    """Return a context that believes nobody yet."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load_pair(context: ssl.SSLContext, pair: tuple[Named, Named], contents: Sequence[Content]) -> Certificate:
    certificate, key = pair
    checked = certificate_of(certificate, contents[0], key, contents[1])
    try:
        # Without a password, OpenSSL would ask on the terminal for that of an encrypted key.
        context.load_cert_chain(certificate.file, key.file, password="")
    except OSError as error:  # of which ssl.SSLError is one: a weak key, or a file that changed just now
        why = getattr(error, "reason", None) or error.strerror
        raise certificate.unusable(f"OpenSSL refuses it: {why}") from None
    return checked


def _pipe(content: bytes) -> int:
    """A pipe's reading end that holds the content; a few kB always fit."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading
