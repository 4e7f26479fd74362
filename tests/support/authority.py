"""Certificates of a test's own authority, and files that are renewed as Kubernetes does it."""

import ssl
import weakref
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from prometheus_client import REGISTRY

from services.kernel.tls import EXPIRIES, Tls, tls

REGISTRY.register(EXPIRIES)  # as a service that serves its metrics has it
ENDS = datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC)


class Authority:
    """Vouches for servers and clients."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.pem = self._authority.cert_pem.bytes()

    def issue(self, *names: str, ends: datetime = ENDS, begins: datetime | None = None) -> bytes:
        """Return a certificate for these names and its key, as one PEM."""
        leaf = self._authority.issue_cert(*names, not_after=ends, not_before=begins)
        return leaf.cert_chain_pems[0].bytes() + leaf.private_key_pem.bytes()


class Volume:
    """A folder whose files change all at once, by a link: a Secret as the kubelet mounts it."""

    def __init__(self, folder: Path, **files: bytes) -> None:
        self.folder, self._turn = folder, 0
        folder.mkdir()
        self.put(**files)
        for name in files:
            (folder / name).symlink_to(f"..data/{name}")

    def __getattr__(self, name: str) -> str:
        """The path of a file."""
        return str(self.folder / name)

    def put(self, **files: bytes) -> None:
        """Put new files in the place of all those before."""
        self._turn += 1
        new = self.folder / f"..{self._turn}"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        link = self.folder / "..data_tmp"
        link.symlink_to(new.name)
        link.rename(self.folder / "..data")


def serving(pem: Path, known: Path | None = None) -> ssl.SSLContext:
    """Return a server's context; with `known` it asks for a client's certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if known is not None:
        context.load_verify_locations(known)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let metrics tell of certificates from now on alone: other tests' may wait to be collected."""
    known: weakref.WeakSet[Tls] = weakref.WeakSet()
    monkeypatch.setattr(tls, "IN_FORCE", known)
    monkeypatch.setattr(tls, "_PEERS", {})
