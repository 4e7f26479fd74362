"""What another salt leaves behind: hashes in old decisions of which nobody can tell any more whom they name."""

from collections.abc import Iterable, Iterator

from proto.notifications import NotificationV1
from proto.public import DeliveryV1
from proto.types import Channel
from services.notify.core.ledger import Ledger
from services.notify.core.notification import Notification
from services.notify.core.outbox import Envelope
from services.notify.core.recipient import Recipient
from services.notify.directory import Directory


def unknown_recipients(
    decided: Iterable[tuple[NotificationV1, Notification]], deliveries: Iterable[DeliveryV1], directory: Directory
) -> Iterator[Envelope]:
    """Yield what was on its way under another salt, to receivers that the settings still have; without an address.

    By which channel says the last attempt; where there was none the receiver's first one is named.
    """
    tried = list(deliveries)
    ledger = Ledger(tried)
    channels: dict[str, Channel] = {one.recipient_sha256: one.channel for one in tried}
    for record, notification in decided:
        people = directory.recipients(record.receiver, "email" if record.reason == "report" else None)
        if not people or record.salt in {None, directory.salt_name}:
            continue
        for name in record.recipients:
            unknown = Recipient(record.receiver, "", name, channel=channels.get(name, people[0].channel))
            if not ledger.attempts(notification.id, unknown).settled:
                yield Envelope(notification, unknown)
