"""What anyone may read (docs/architecture.md). No bytes, no box, no track id, no free text; a test says so.

Fields that a legal profile withholds are None from v1 on.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.instants import Timed
from proto.model_errors import ModelErrors
from proto.types import (
    AlertId,
    AlertState,
    CameraId,
    CameraReason,
    CameraState,
    Channel,
    Count,
    Fraction,
    Instant,
    Interval,
    ModelId,
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

GapReason = Literal[
    "camera-down",
    "paused",
    "frames-lost",
    "bus-restarted",
    "started-late",
    "model-changed",
    "wrong-clock",
    "static-learning",  # in windows of an earlier version; nobody writes it any more
]
HINTS: frozenset[GapReason] = frozenset({"static-learning"})
"""Those that lower no coverage."""
Suppression = Literal["small-count", "not-under-this-profile", "nothing-observed"]


class WindowV1(Timed, Struct, frozen=True, tag="WindowV1", kw_only=True):
    """One closed window of one zone, published once and final."""

    site: SiteId
    zone: ZoneId
    profile: Profile
    """The legal profile under which it was published."""
    start: Instant
    """Its first moment."""
    end: Instant
    """The first moment after it, and the `start` of the next window."""
    persons: Count | None = None
    """Passages whose last sighting fell into the window, unknown ones included."""
    masked: Count | None = None
    """Passages of people with a mask that is worn well."""
    unmasked: Count | None = None
    """Passages of people without a mask."""
    incorrect: Count | None = None
    """Passages of people with a badly worn mask."""
    unknown: Count | None = None
    """Passages that were counted and could not be judged."""
    rate: Fraction | None = None
    """masked / (masked + unmasked + incorrect); in whole percent under `fr-2021-269`. None, too, where
    nobody was judged."""
    interval: Interval | None = None
    """95 % interval of the rate: how far chance and the model's errors in a new place may have moved it (ADR 41)."""
    sampling_interval: Interval | None = None
    """What of it is chance alone: Wilson's score interval (Wilson 1927). It lies within `interval`."""
    coverage: Fraction | None = None
    """Observed camera time / expected camera time."""
    cameras_ok: Count | None = None
    """Cameras that observed at least nine tenths of the window."""
    cameras_expected: Count | None = None
    """Cameras that the settings have for the zone."""
    gaps: list[GapReason] = []
    """Why `coverage` is below 1. Under `fr-2021-269` always empty, which says nothing."""
    suppressed: Suppression | None = None
    """Why the figures of people are None. None: they are there, but for those that the profile never publishes."""
    late_total: Count | None = None
    """Sightings that came too late for their window, since the site's service started to count. None
    where small counts are withheld."""
    adjusted: bool = False
    """Whether the counts were corrected for missed faces: always false so far (ADR 11)."""
    model: ModelId | None = None
    """The model that judged the window; None where no picture of it was analysed, as far as is remembered."""
    model_sha256: Sha256 | None = None
    """The SHA-256 of that model."""
    model_errors: ModelErrors | None = None
    """The errors in `interval`; None where no model's are known: then `interval` is chance alone."""
    config_sha256: Sha256 | None = None
    """The SHA-256 of the settings that decide the site's figures: another one, other settings."""


class AlertV1(Timed, Struct, frozen=True, tag="AlertV1", kw_only=True):
    """A rate rule fired or resolved. Names a place, a window, a rate and a count; never a person or a moment."""

    site: SiteId
    zone: ZoneId
    rule: RuleId
    profile: Profile
    """That of the window that decided."""
    alert: AlertId
    """The alert's name, the same from firing to resolved."""
    state: AlertState
    severity: Severity
    """As the rule's settings have it."""
    since: Instant
    """Start of the first window of the row that fired; the same when it is resolved."""
    start: Instant
    """Start of the window that decided."""
    end: Instant
    """End of the window that decided."""
    rate: Fraction
    """That of the window that decided, as `interval`, `sampling_interval` and `coverage` are."""
    interval: Interval
    """95 % interval of the rate, as in the window."""
    sampling_interval: Interval | None = None
    """What of `interval` is chance alone, as in the window."""
    persons: Count
    """The judged people on whom the rate rests: the window's masked, unmasked and incorrect, without its unknown."""
    coverage: Fraction
    """Observed share of the cameras' time."""
    fire_below: Fraction
    """The rule's threshold: it fires when rate and upper bound of `interval` are below."""
    clear_above: Fraction
    """The rule's other threshold: it is resolved when the rate is above."""


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


class RuleStateV1(Timed, Struct, frozen=True, tag="RuleStateV1", kw_only=True):
    """A rate rule changed its state, and why; at most once a window, and once more when it ends.

    Names a place and a window, never a person.
    """

    site: SiteId
    zone: ZoneId
    rule: RuleId
    profile: Profile
    state: RuleStateName
    before: RuleStateName
    """The state that it left."""
    reason: RuleReason
    """Why it changed."""
    row: Count
    """Windows in a row: breaching ones in `pending`, clearing ones in `recovering`; kept for an hour without data."""
    start: Instant
    """Start of the window that decided."""
    end: Instant
    """End of the window that decided."""
    since: Instant | None = None
    """Start of the first window of the alert, or of the row that may become one; None where there is neither."""
    config_sha256: Sha256 | None = None
    """The configuration whose windows the row counts; None where there is no row."""


OperationalKind = Literal["camera-down", "no-data", "channel-down", "undelivered"]
"""The last two are notify's: a channel takes nothing until a person mends it, a receiver could not be told."""


class OperationalAlertV1(Timed, Struct, frozen=True, tag="OperationalAlertV1", kw_only=True):
    """Numbers are missing, or are there again: for those who run the system, never for field staff. Holds no count."""

    site: SiteId
    kind: OperationalKind
    name: ZoneId
    """The camera of a `camera-down`, the zone of a `no-data`, the channel of a `channel-down`, the receiver of an
    `undelivered`."""
    state: AlertState
    since: Instant
    """Start of the first window in the row that fired; of a delivery, when it failed."""
    at: Instant
    """End of the window that decided; of a delivery, when that was known."""
    reason: GapReason | None = None
    """Why most was not observed; None: the zone was observed, and too few people came. None, too, when resolved."""
    coverage: Fraction | None = None
    """Observed share of the window that decided; None where the profile withholds it, or what it is about is gone."""


class Lifetime(Timed, Struct, frozen=True):
    """How long a camera's pictures lived (docs/privacy.md) in one whole window, in steps.

    A figure that followed each picture would tell whether somebody is in front of the camera.
    """

    start: Instant
    end: Instant
    """The window; `start` is inside, `end` is not."""
    pictures: Count
    """Pictures that were sent to be analysed; rounded up to two digits."""
    late: Count
    """At most so many of `pictures` lived longer than the 100 ms that are promised, unconfirmed ones included: 1, 3, 6,
    14.4, 50 or 100 %, rounded down."""


class CameraV1(Timed, Struct, frozen=True, tag="CameraV1", kw_only=True):
    """A camera's state, which is told at once, and what it did in the last whole window of its site.

    `fps`, `analysed_fps`, `shed_share` and `lifetime` are of that window, and None before the first has ended. Holds no
    count of people.
    """

    site: SiteId
    camera: CameraId
    state: CameraState
    reason: CameraReason | None = None
    """Why; None where the state says it all."""
    since: Instant
    """Since when it is in this state."""
    at: Instant
    """When this was said."""
    decoder: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}\Z")] | None = None
    """FFmpeg's name of the decoder that was opened last; None before the first."""
    width: Pixels | None = None
    """Of the last picture; None before the first."""
    height: Pixels | None = None
    """Of the last picture; None before the first."""
    fps: Rate | None = None
    """Pictures per second that the camera delivered at the window's end, rounded to two digits."""
    analysed_fps: Rate | None = None
    """Pictures analysed per second, rounded to two digits."""
    shed_share: Fraction | None = None
    """At most this share of the sampled pictures was dropped unread because they could not make 100 ms: 0.01, 0.03,
    0.06, 0.144, 0.5 or 1. None, too, where none was sampled."""
    lifetime: Lifetime | None = None
    """How long its pictures lived."""


DeliveryOutcome = Literal["sent", "delivered", "retrying", "failed", "dead", "replayed"]
"""`delivered`: an SMS centre reported, later, that the telephone has it. `replayed`: an operator has it tried again."""
DeliveryReason = Literal[
    "accepted", "connect", "timeout", "temporary", "refused", "recipient", "auth", "tls", "config", "rate-limited",
    "cost-cap", "too-long", "lost", "salt-changed",
    "other",
]  # fmt: skip


DeliveryKind = Literal["rule", OperationalKind, "daily-report"]
"""What a delivery is about: a rule's alert, an operational alert of that kind, or a day's report."""


class DeliveryV1(Timed, Struct, frozen=True, tag="DeliveryV1", kw_only=True):
    """One attempt to tell a recipient about an alert; no address, only a salted hash of it.

    A notification of several alerts has one record for each of them; one of more than 16, for those that it brings as
    news, and for the first 16 of them while it is tried without success.
    """

    site: SiteId
    receiver: ReceiverId
    notification: NotificationId
    kind: DeliveryKind
    zone: ZoneId | None = None
    """Of a `rule` and of `no-data`."""
    rule: RuleId | None = None
    """Of a `rule`."""
    camera: CameraId | None = None
    """Of a `camera-down`."""
    name: ZoneId | None = None
    """Of a `channel-down` the channel, of an `undelivered` the receiver that could not be told."""
    alert: AlertId
    """Which alert; of a report, the notification."""
    state: AlertState
    channel: Channel
    """By which way."""
    recipient_sha256: Sha256
    """The recipient's salted hash."""
    attempt: Annotated[int, Meta(ge=1)]
    """Which attempt for this recipient and notification, from 1; to give up and to try again by order count as one."""
    outcome: DeliveryOutcome
    reason: DeliveryReason
    """Why the outcome is what it is."""
    at: Instant
    """When that was known."""
