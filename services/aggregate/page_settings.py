"""The section `aggregate.page`: where the page is served, and where it takes its numbers from."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from services.kernel.tls import Named, Tls, server_tls
from services.sites.problems import Problem

Text = Annotated[str, Meta(min_length=1)]
_PATH = r"/(?:[A-Za-z0-9._~\-]+(?:/[A-Za-z0-9._~\-]+)*/?)?"
_HOST = r"(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_SERVER = rf"^(?:wss?://{_HOST}(?:{_PATH})?|\.?{_PATH})\Z"
"""Two slashes at the beginning would be another host's address."""


class PageSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the page listens, and where it tells browsers to find NATS."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8088
    """0 takes a free one; the log says which."""
    server: Annotated[
        str, Meta(pattern=_SERVER, description="wss://HOST:PORT, or a path such as /nats of the page's own web server")
    ] = "/nats"
    """NATS's websocket as browsers reach it; `./nats` is beside the page, wherever a proxy has that. Under `moretta up`
    it is the box's own."""
    ask_key: bool = False
    """Whether the page asks for the subscriber's seed; False: the server lets pages in without (--page-open)."""
    certificate: Text | None = None
    """PEM file with the certificate and those that vouch for it. None: HTTP, for a web server with TLS before it."""
    key: Text | None = None
    """PEM file with its private key."""

    def tls(self) -> Tls | None:
        """Return how to serve with these files; None without. CertificateError if one is of no use."""
        if self.certificate is None or self.key is None:
            return None
        certificate, key = Named("aggregate.page.certificate", self.certificate), Named("aggregate.page.key", self.key)
        return server_tls("page", certificate, key)

    def problems(self) -> Iterator[Problem]:
        """Return what no single field shows."""
        if (self.certificate is None) != (self.key is None):
            missing = "certificate" if self.certificate is None else "key"
            yield f"aggregate.page.{missing}", "is missing; give both certificate and key, or none of them"
        if "[" in self.server:
            why = "is an IPv6 address, which no browser's content security policy can allow"
            yield (
                "aggregate.page.server",
                f"{why}; take a host's name, or a path such as /nats of the page's own web server",
            )
        if self.certificate is not None and self.server.startswith("ws://"):
            yield "aggregate.page.server", "is ws://, which no browser opens from a page over HTTPS; take wss://"
