"""What anyone may read (docs/architecture.md). No bytes, no box, no track id, no free text; a test says so.

Fields that a legal profile withholds are None from v1 on.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.types import (
    AlertId,
    AlertState,
    CameraId,
    CameraReason,
    CameraState,
    Channel,
    Count,
    Fraction,
    Interval,
    Milliseconds,
    ModelId,
    Nanoseconds,
    NotificationId,
    Pixels,
    Profile,
    Rate,
    ReceiverId,
    RuleId,
    Severity,
    Sha256,
    SiteId,
    ZoneId,
)

GapReason = Literal["camera-down", "paused", "frames-lost", "bus-restarted", "started-late", "model-changed"]
Suppression = Literal["small-count", "not-under-this-profile", "nothing-observed"]


class WindowV1(Struct, frozen=True, tag="WindowV1", kw_only=True):
    """One closed window of one zone, published once and final."""

    site: SiteId
    zone: ZoneId
    profile: Profile
    start: Nanoseconds
    end: Nanoseconds
    persons: Count | None = None
    """Passages whose last sighting fell into the window, unknown ones included."""
    masked: Count | None = None
    unmasked: Count | None = None
    incorrect: Count | None = None
    unknown: Count | None = None
    rate: Fraction | None = None
    """masked / (masked + unmasked + incorrect); in whole percent under `fr-2021-269`."""
    interval: Interval | None = None
    """Wilson score interval at 95 % (Wilson 1927)."""
    coverage: Fraction | None = None
    """Observed camera time / expected camera time."""
    cameras_ok: Count | None = None
    cameras_expected: Count | None = None
    gaps: list[GapReason] = []
    suppressed: Suppression | None = None
    late_total: Count | None = None
    """Sightings that came too late for their window, since the site's service started to count."""
    adjusted: bool = False
    model: ModelId | None = None
    model_sha256: Sha256 | None = None
    config_sha256: Sha256 | None = None


class AlertV1(Struct, frozen=True, tag="AlertV1", kw_only=True):
    """A rate rule fired or resolved. Names a place, a window, a rate and a count; never a person or a moment."""

    site: SiteId
    zone: ZoneId
    rule: RuleId
    profile: Profile
    alert: AlertId
    state: AlertState
    severity: Severity
    since: Nanoseconds
    """Start of the first window that breached."""
    start: Nanoseconds
    end: Nanoseconds
    """The window that decided."""
    rate: Fraction
    interval: Interval
    persons: Count
    coverage: Fraction
    fire_below: Fraction
    clear_above: Fraction


RuleStateName = Literal["normal", "pending", "firing", "recovering", "no-data"]
RuleReason = Literal[
    "breached",
    "held-long-enough",
    "cleared",
    "cleared-long-enough",
    "back-in-band",
    "too-few-people",
    "not-observed",
    "data-again",
    "new-configuration",
]


class RuleStateV1(Struct, frozen=True, tag="RuleStateV1", kw_only=True):
    """A rate rule changed its state, and why; at most once a window, and once more when it ends.

    Names a place and a window, never a person.
    """

    site: SiteId
    zone: ZoneId
    rule: RuleId
    profile: Profile
    state: RuleStateName
    before: RuleStateName
    reason: RuleReason
    row: Count
    """Windows in a row: breaching ones in `pending`, clearing ones in `recovering`; kept while there is no data."""
    start: Nanoseconds
    end: Nanoseconds
    """The window that decided."""
    since: Nanoseconds | None = None
    """Start of the first window of the alert, or of the row that may become one; None where there is neither."""
    config_sha256: Sha256 | None = None
    """The configuration whose windows the row counts; None where there is no row."""


OperationalKind = Literal["camera-down", "no-data", "channel-down", "undelivered"]
"""The last two are notify's: a channel takes nothing until a person mends it, a receiver could not be told."""


class OperationalAlertV1(Struct, frozen=True, tag="OperationalAlertV1", kw_only=True):
    """Numbers are missing, or are there again: for those who run the system, never for field staff. Holds no count."""

    site: SiteId
    kind: OperationalKind
    name: ZoneId
    """The camera of a `camera-down`, the zone of a `no-data`, the channel of a `channel-down`, the receiver of an
    `undelivered`."""
    state: AlertState
    since: Nanoseconds
    """Start of the first window in the row that fired; of a delivery, when it failed."""
    at: Nanoseconds
    """End of the window that decided; of a delivery, when that was known."""
    reason: GapReason | None = None
    """Why most was not observed; None: the zone was observed, and too few people came. None, too, when resolved."""
    coverage: Fraction | None = None
    """Observed share of the window that decided; None where the profile withholds it, or what it is about is gone."""


class Lifetime(Struct, frozen=True):
    """Measured pixel lifetime (docs/privacy.md) of the frames since the last report but one."""

    p50_ms: Milliseconds
    p99_ms: Milliseconds
    max_ms: Milliseconds
    frames: Count
    unconfirmed: Count
    pictures: Count | None = None
    """Pictures since the report before: summed over reports each counts once. None from versions without it."""
    late: Count | None = None
    """Those of `pictures` that lived longer than the 100 ms that are promised, unconfirmed ones included."""


class CameraV1(Struct, frozen=True, tag="CameraV1", kw_only=True):
    """A camera's state; holds no count of people."""

    site: SiteId
    camera: CameraId
    state: CameraState
    reason: CameraReason | None = None
    since: Nanoseconds
    at: Nanoseconds
    decoder: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}\Z")] | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    fps: Rate | None = None
    """Pictures per second that the camera delivers."""
    analysed_fps: Rate | None = None
    shed_share: Fraction | None = None
    """Share of the sampled pictures dropped unread because they could not make 100 ms."""
    lifetime: Lifetime | None = None


DeliveryOutcome = Literal["sent", "delivered", "retrying", "failed", "dead", "replayed"]
"""`delivered`: an SMS centre reported, later, that the telephone has it. `replayed`: an operator has it tried again."""
DeliveryReason = Literal[
    "accepted", "connect", "timeout", "temporary", "refused", "recipient", "auth", "tls", "config", "rate-limited",
    "cost-cap", "too-long", "lost", "salt-changed",
    "other",
]  # fmt: skip


class DeliveryV1(Struct, frozen=True, tag="DeliveryV1", kw_only=True):
    """One attempt to tell a recipient about an alert; no address, only a salted hash of it.

    A notification of several alerts has one record for each of them; one of more than 16, for those that it brings as
    news, and for the first 16 of them while it is tried in vain. A daily report is the rule `daily-report`.
    """

    site: SiteId
    zone: ZoneId
    """Of an operational alert the camera or the zone that it names."""
    rule: RuleId
    """Of an operational alert its kind."""
    alert: AlertId
    state: AlertState
    notification: NotificationId
    receiver: ReceiverId
    channel: Channel
    recipient_sha256: Sha256
    attempt: Annotated[int, Meta(ge=1)]
    outcome: DeliveryOutcome
    reason: DeliveryReason
    at: Nanoseconds
