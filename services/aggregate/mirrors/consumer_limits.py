"""Limits of readers' consumers that nats-server does not have: what a consumer asks for beyond them (ADR 45). Pure.

The server delivers what is not acknowledged again and again, to any subject of the account, imports too, and with
nobody connected. `consumer_limits` of a stream bounds neither `ack_wait` nor `max_waiting` (nats-server 2.15).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proto.permissions import DELIVERED

MAX_REDELIVERIES = 34
"""Messages a second that one consumer may deliver again: 1,000 unacknowledged ones each 30 s, as by default."""
MAX_WAITING = 512
"""Pull requests that one consumer keeps: the server's default, which it lets everybody raise without a limit."""
MAX_UNACKNOWLEDGED = 1_000
"""Messages that one consumer may have without an acknowledgement: a limit of readers' accounts, and NATS's default."""
_NS = 1_000_000_000
_PLACES = " or ".join(DELIVERED)


def exceeded(consumer: Mapping[str, Any]) -> list[str]:
    """Return what a consumer's configuration, as JetStream tells it, has beyond a reader's limits, as phrases."""
    return [*_delivered_elsewhere(consumer), *_hurried(consumer), *_hoarded(consumer)]


def _delivered_elsewhere(consumer: Mapping[str, Any]) -> Iterator[str]:
    subject = str(consumer.get("deliver_subject") or "")
    if subject and not subject.startswith(tuple(one.removesuffix(">") for one in DELIVERED)):
        yield f"deliver_subject {subject} is not in {_PLACES}"


def _hurried(consumer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is delivered again too often. What needs no acknowledgement comes once."""
    waits = [wait for wait in (consumer.get("ack_wait"), *(consumer.get("backoff") or ())) if wait]
    pending = consumer.get("max_ack_pending", MAX_UNACKNOWLEDGED)
    if waits and (pending <= 0 or pending * _NS > MAX_REDELIVERIES * min(waits)):
        again = f"max_ack_pending {pending} with a wait of {min(waits) / _NS:g} s"
        yield f"{again} delivers more than {MAX_REDELIVERIES} messages a second again"


def _hoarded(consumer: Mapping[str, Any]) -> Iterator[str]:
    waiting = consumer.get("max_waiting") or 0
    if waiting > MAX_WAITING:
        yield f"max_waiting {waiting} is more than {MAX_WAITING}"
