"""How settings name the files of TLS: the same three keys wherever we are a client."""

from collections.abc import Iterator
from typing import Annotated, Protocol

from msgspec import Meta

from services.kernel.settings import Problem

SYSTEM = "system"
"""Stands for the authorities that this machine's system knows."""
Authorities = Annotated[
    str, Meta(min_length=1, description=f"a PEM file of certificate authorities, or {SYSTEM} for this machine's own")
]
"""Who may vouch for a server: these, and no others beside them."""


class ClientFiles(Protocol):
    """What a section of the settings says of TLS to a server."""

    @property
    def ca_file(self) -> str | None:
        """Who may vouch for the server."""

    @property
    def client_cert_file(self) -> str | None:
        """What we show to a server that asks for it."""

    @property
    def client_key_file(self) -> str | None:
        """Its key, unless that is in the same file."""


def client_problems(path: str, files: ClientFiles) -> Iterator[Problem]:
    """Yield what no single key of a section shows, without a look at the files."""
    if files.client_key_file is not None and files.client_cert_file is None:
        yield f"{path}.client_cert_file", "is missing; a key is of no use without its certificate"
