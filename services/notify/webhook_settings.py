"""The webhooks of a receiver in the settings file."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from services.kernel.settings import Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_problems, client_tls
from services.notify.web_settings import url_problems
from services.sites.problems import MIN_TOKEN, Problem


class WebhookSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server that takes notifications as Alertmanager sends them."""

    url: Secret
    secret: Secret | None = None
    """Signs each request (HMAC-SHA256), so that the server knows whom it comes from."""
    token: Secret | None = None
    """Is sent as `Authorization: Bearer`."""
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    max_alerts: Annotated[int, Meta(ge=0)] = 0
    """At most so many alerts in a request; 0: all."""
    ca_file: Authorities = SYSTEM
    """Who may vouch for the server: these alone."""
    client_cert_file: str | None = None
    """A PEM file with the certificate that we show to a server that asks for one, and the key unless it is apart."""
    client_key_file: str | None = None
    allow_http: bool = False
    """Whether a server on another machine may be called without TLS."""

    def tls(self, path: str) -> Tls:
        """Return how to speak TLS to it. CertificateError if a file is of no use."""
        return client_tls("webhook", path, self)


class WebhookReceiver(Protocol):
    """What is asked of a receiver here."""

    @property
    def webhooks(self) -> list[WebhookSettings]:
        """Its webhooks."""


def webhook_problems(receivers: Sequence[WebhookReceiver]) -> Iterator[Problem]:
    """Yield what no single field shows. No URL is quoted: these lines end in logs."""
    for index, receiver in enumerate(receivers):
        seen: set[str] = set()
        for place, hook in enumerate(receiver.webhooks):
            path = f"notify.receivers[{index}].webhooks[{place}]"
            yield from url_problems(f"{path}.url", hook.url, allow_http=hook.allow_http)
            yield from client_problems(path, hook)
            # In records a URL is a hash without regard to case.
            if hook.url.reveal().lower() in seen:
                yield f"{path}.url", "is in this receiver already and would get each request twice; remove one"
            seen.add(hook.url.reveal().lower())
            if hook.secret is not None and len(hook.secret.reveal()) < MIN_TOKEN:
                yield f"{path}.secret", f"is shorter than {MIN_TOKEN} characters; take 32 random ones"
