"""The channel `webhook`: a notification as Alertmanager's JSON, signed, to a server of the receiver's choice."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from proto.types import Channel as ChannelName
from proto.types import ReceiverId, SiteId
from services.notify.core.alertmanager import payload, signature
from services.notify.core.http_outcome import failure_of_status
from services.notify.core.local_time import UnpresentableError
from services.notify.core.notification import Notification
from services.notify.core.outcome import Failure
from services.notify.core.recipient import Recipient
from services.notify.core.sms_gateway import Request
from services.notify.http_client import HttpClient
from services.notify.webhook_settings import WebhookSettings
from services.notify.words import words_in
from services.sites.settings import SiteSettings

SIGNATURE = "Moretta-Signature"


class Receiver(Protocol):
    """What is asked of a receiver here."""

    @property
    def id(self) -> ReceiverId:
        """Its name."""

    @property
    def webhooks(self) -> Sequence[WebhookSettings]:
        """Its webhooks."""


class WebhookChannel:
    """Calls webhooks. `site` returns what the settings say of a site."""

    def __init__(
        self,
        receivers: Iterable[Receiver],
        site: Callable[[SiteId], SiteSettings],
        public_url: str = "",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Prepare; nothing is connected yet. StartError if a certificate's file is of no use."""
        self._site, self._public_url, self._clock = site, public_url, clock
        self._hooks = {
            (receiver.id, hook.url.reveal()): (hook, self._client_of(f"notify.receivers[{i}].webhooks[{j}]", hook))
            for i, receiver in enumerate(receivers)
            for j, hook in enumerate(receiver.webhooks)
        }

    @property
    def name(self) -> ChannelName:
        """Which of the channels it is."""
        return "webhook"

    async def send(self, notification: Notification, recipient: Recipient) -> Failure | None:
        """Return None once the server has taken it (2xx), else why not. `recipient.address` is the webhook's URL."""
        known = self._hooks.get((recipient.receiver, recipient.address))
        if known is None:
            return Failure("rejected", "data", detail="the settings have this webhook no longer")
        if notification.reason == "report":
            return Failure("rejected", "data", detail="a daily report goes by e-mail")
        hook, client = known
        try:
            # Beside the loop: ten thousand alerts take seconds, and a lease wants to be renewed meanwhile.
            request = await asyncio.to_thread(self._request, notification, recipient, hook)
        except UnpresentableError:
            return Failure("rejected", "data", detail="its time lies beyond the calendar")
        except Exception as error:  # the contract of a channel: whatever is wrong with a document, others go out
            return Failure("other", "data", detail=type(error).__name__)
        answer = await client.send(request)
        return answer if isinstance(answer, Failure) else failure_of_status(answer.status, answer.retry_after_s)

    async def close(self) -> None:
        """Give connections back."""
        for _, client in self._hooks.values():
            await client.close()

    def _request(self, notification: Notification, recipient: Recipient, hook: WebhookSettings) -> Request:
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
        return Request("POST", hook.url.reveal(), headers, body)

    def _client_of(self, path: str, hook: WebhookSettings) -> HttpClient:
        return HttpClient(hook.timeout_s, hook.tls(path), self._clock)
