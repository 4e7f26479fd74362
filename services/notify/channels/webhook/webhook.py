"""The channel `webhook`: sends a notification as signed Alertmanager JSON to a server of the receiver's choice."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta, Struct

from proto.types import Channel as ChannelName
from proto.types import ReceiverId, SiteId
from services.kernel.settings import Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_problems, client_tls
from services.notify.channels.http_client import HttpClient, url_problems
from services.notify.channels.http_exchange import HttpRequest
from services.notify.channels.webhook.payload import payload, signature
from services.notify.languages import words_in
from services.notify.notification import Notification
from services.notify.outcome import Failure, failure_of_status
from services.notify.recipient import Recipient
from services.notify.texts.words import UnpresentableError
from services.sites.problems import MIN_TOKEN, Problem
from services.sites.settings import SiteSettings

SIGNATURE = "Moretta-Signature"


class WebhookSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server that takes notifications in the format of Alertmanager's webhooks."""

    url: Secret
    secret: Secret | None = None
    """Signs each request (HMAC-SHA256), so that the server can verify the sender."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`."""
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    max_alerts: Annotated[int, Meta(ge=0)] = 0
    """Maximum alerts in a request; 0: all."""
    ca_file: Authorities = SYSTEM
    """The certificate authorities that are trusted to vouch for the server; no others are."""
    client_cert_file: str | None = None
    """PEM file with the client certificate for a server that asks for one, and its key unless that is separate."""
    client_key_file: str | None = None
    allow_http: bool = False
    """Whether a server on another machine may be called without TLS."""

    def tls(self, path: str) -> Tls:
        """Return the TLS settings for the server; CertificateError if a file is unusable."""
        return client_tls("webhook", path, self)


class WebhookReceiver(Protocol):
    """The part of a receiver that this module needs."""

    @property
    def id(self) -> ReceiverId:
        """Its name."""

    @property
    def webhooks(self) -> Sequence[WebhookSettings]:
        """Its webhooks."""


def webhook_problems(receivers: Sequence[WebhookReceiver]) -> Iterator[Problem]:
    """Yield problems across fields. They quote no URL, since these lines end up in logs."""
    for index, receiver in enumerate(receivers):
        seen: set[str] = set()
        for place, hook in enumerate(receiver.webhooks):
            path = f"notify.receivers[{index}].webhooks[{place}]"
            yield from url_problems(f"{path}.url", hook.url, allow_http=hook.allow_http)
            yield from client_problems(path, hook)
            # Records hold a hash of the URL that ignores upper and lower case.
            if hook.url.reveal().lower() in seen:
                yield f"{path}.url", "is in this receiver already and would get each request twice; remove one"
            seen.add(hook.url.reveal().lower())
            if hook.secret is not None and len(hook.secret.reveal()) < MIN_TOKEN:
                yield f"{path}.secret", f"is shorter than {MIN_TOKEN} characters; take 32 random ones"


class WebhookChannel:
    """Calls webhooks. `site` returns a site's settings."""

    def __init__(
        self,
        receivers: Iterable[WebhookReceiver],
        site: Callable[[SiteId], SiteSettings],
        public_url: str = "",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Prepare without connecting. StartError if a certificate file is unusable."""
        self._site, self._public_url, self._clock = site, public_url, clock
        self._hooks = {
            (receiver.id, hook.url.reveal()): (hook, self._client_of(f"notify.receivers[{i}].webhooks[{j}]", hook))
            for i, receiver in enumerate(receivers)
            for j, hook in enumerate(receiver.webhooks)
        }

    @property
    def name(self) -> ChannelName:
        """The channel's name."""
        return "webhook"

    async def send(self, notification: Notification, recipient: Recipient) -> Failure | None:
        """Return None once the server has accepted it (2xx), else the failure. `recipient.address` is its URL."""
        known = self._hooks.get((recipient.receiver, recipient.address))
        if known is None:
            return Failure("rejected", "data", detail="the settings have this webhook no longer")
        if notification.reason == "report":
            return Failure("rejected", "data", detail="a daily report goes by e-mail")
        hook, client = known
        try:
            # In a thread: ten thousand alerts take seconds, and a lease must be renewed meanwhile.
            request = await asyncio.to_thread(self._request, notification, recipient, hook)
        except UnpresentableError:
            return Failure("rejected", "data", detail="its time lies beyond the calendar")
        except Exception as error:  # a channel's contract: one faulty document must not stop the others
            return Failure("other", "data", detail=type(error).__name__)
        answer = await client.send(request)
        return answer if isinstance(answer, Failure) else failure_of_status(answer.status, answer.retry_after_s)

    async def close(self) -> None:
        """Close the connections."""
        for _, client in self._hooks.values():
            await client.close()

    def _request(self, notification: Notification, recipient: Recipient, hook: WebhookSettings) -> HttpRequest:
        document = payload(
            notification, self._site(notification.group.site), words_in(recipient.language),
            public_url=self._public_url, most=hook.max_alerts,
        )  # fmt: skip
        body = msgspec.json.encode(document)
        headers = {"Content-Type": "application/json", "Idempotency-Key": notification.id}
        if hook.secret is not None:
            headers[SIGNATURE] = signature(hook.secret.reveal(), self._clock() // 10**9, body)
        if hook.token is not None:
            headers["Authorization"] = f"Bearer {hook.token.reveal()}"
        return HttpRequest("POST", hook.url.reveal(), headers, body)

    def _client_of(self, path: str, hook: WebhookSettings) -> HttpClient:
        return HttpClient(hook.timeout_s, hook.tls(path), self._clock)
