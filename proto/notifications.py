"""What notify decides and what operators tell it: notifications, silences (ADR 17)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.control import OperatorName, Why
from proto.instants import Timed
from proto.types import (
    AlertId,
    Count,
    Instant,
    Nanoseconds,
    NotificationId,
    ReceiverId,
    RuleId,
    SaltName,
    Sha256,
    SilenceId,
    SiteId,
    ZoneId,
)

NotificationReason = Literal[
    "first", "new-alerts", "some-resolved", "all-resolved", "repeat", "digest", "report", "test"
]
WithheldReason = Literal["muted", "silenced", "inhibited", "capped"]


class NotificationV1(Timed, Struct, frozen=True, tag="NotificationV1", kw_only=True):
    """A decision to tell a receiver, or not to for now; stored before anything is sent. Holds ids alone, no address."""

    site: SiteId
    receiver: ReceiverId
    notification: NotificationId
    group: NotificationId
    """Which alerts are told together."""
    number: Count
    """Place in its incident, from 1; 0 of a decision not to send."""
    root: NotificationId
    """The first notification of the incident."""
    reason: NotificationReason | None = None
    """Why it is sent; None: it isn't."""
    withheld: WithheldReason | None = None
    """Why it is not sent for now; None: it is."""
    firing: list[AlertId] = []
    resolved: list[AlertId] = []
    recipients: list[Sha256] = []
    """Whom it is for, by the salted hashes that DeliveryV1 has; who comes into the settings later is not told of it."""
    salt: SaltName | None = None
    """Which salt these hashes have: under another one nobody can tell whom they name."""
    at: Instant


class SilenceV1(Struct, frozen=True, tag="SilenceV1", kw_only=True):
    """Alerts that match are not told between two moments. Written by operators; every empty list matches all."""

    silence: SilenceId
    sites: list[SiteId] = []
    zones: list[ZoneId] = []
    rules: list[RuleId] = []
    receivers: list[ReceiverId] = []
    starts: Nanoseconds
    ends: Nanoseconds
    operator: Annotated[str, Meta(min_length=1, max_length=128)]
    why: Annotated[str, Meta(max_length=500)] = ""


class SilenceHeldRequestV1(Struct, frozen=True, tag="SilenceHeldRequestV1", kw_only=True):
    """Does notify apply this silence already? What `moretta silence` asks after it has stored one."""

    site: SiteId
    silence: SilenceId
    ends: Nanoseconds
    """When the silence ends as it was stored: an earlier version of it does not count."""


class SilenceHeldReplyV1(Struct, frozen=True, tag="SilenceHeldReplyV1", kw_only=True):
    """The answer of the replica that tells of the site."""

    site: SiteId
    held: bool
    """Whether it is applied to every alert that comes from now on."""


class ReplayRequestV1(Struct, frozen=True, tag="ReplayRequestV1", kw_only=True):
    """Send a notification again to those who could not be told of it: what `moretta notify replay` asks."""

    site: SiteId
    notification: NotificationId
    operator: OperatorName
    why: Why = ""
    at: Nanoseconds


class ReplayReplyV1(Struct, frozen=True, tag="ReplayReplyV1", kw_only=True):
    """What came of it."""

    site: SiteId
    recipients: Count = 0
    """How many are tried again."""
    error: str | None = None
    """Why nothing was changed."""


class ReplayRecordV1(Struct, frozen=True, tag="ReplayRecordV1", kw_only=True):
    """Who had which notification sent again, as an audit."""

    site: SiteId
    notification: NotificationId
    operator: OperatorName
    why: Why = ""
    recipients: Count
    at: Nanoseconds
