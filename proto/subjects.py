"""The one table: subject x message x who x delivery (docs/architecture.md).

It feeds the bus, the JSON Schemas, the NATS permissions and the documents. Nobody writes a subject string elsewhere.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from proto.aiming import (
    AimRecordV1,
    AimReplyV1,
    AimReportV1,
    AimRequestV1,
)
from proto.control import DeadV1, PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.drift import DriftDayV1
from proto.frames import FrameKeyV1, FrameReplyV1, FrameV1, WorkerV1
from proto.leases import (
    AggregateReplicaV1,
    CameraLeaseV1,
    NotifyLeaseV1,
    NotifyReplicaV1,
    ReplicaV1,
    SiteLeaseV1,
)
from proto.notifications import (
    NotificationV1,
    ReplayRecordV1,
    ReplayReplyV1,
    ReplayRequestV1,
    SilenceHeldReplyV1,
    SilenceHeldRequestV1,
    SilenceV1,
)
from proto.public import AlertV1, CameraV1, DeliveryV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import CameraEventV1, ModelV1, PassageV1, SightingsV1, SiteConfigV1, TickV1
from proto.stats import StatsReplyV1, StatsRequestV1

Identity = Literal["ingest", "inference", "aggregate", "notify", "operator", "backup", "subscriber", "page"]
Account = Literal["MORETTA_FRAMES", "MORETTA"]
Encoding = Literal["msgpack", "json"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
FRAMES_QUEUE = "inference"
"""The queue group on which inference workers share frames."""


@dataclass(frozen=True)
class Service:
    """A NATS micro service (NATS ADR-32): others find it, and what it answers, by asking `$SRV`."""

    name: str
    version: str
    description: str


@dataclass(frozen=True)
class Subject:
    """One row of the table; `pattern` has a placeholder per variable token (`moretta.v1.windows.{site}.{zone}`)."""

    pattern: str
    message: type[Struct]
    encoding: Encoding
    publishers: tuple[Identity, ...]
    subscribers: tuple[Identity, ...]
    purpose: str
    stream: str | None = None
    account: Account = "MORETTA"
    reply: type[Struct] | None = None
    queue: str | None = None
    service: Service | None = None
    """The micro service (NATS ADR-32) that answers on it."""
    public: bool = False
    fields: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the placeholders' names from the pattern."""
        object.__setattr__(self, "fields", tuple(_PLACEHOLDER.findall(self.pattern)))

    def subject(self, **tokens: str) -> str:
        """Return the subject for these tokens, as in `WINDOWS.subject(site="cannes", zone="_site")`."""
        return self.pattern.format(**tokens)

    def wildcard(self, **tokens: str) -> str:
        """Return the subject with `*` for each token that is not given."""
        return self.pattern.format(**{name: tokens.get(name, "*") for name in self.fields})

    def of(self, message: Struct) -> str:
        """Return the subject that this message belongs on, from its own fields."""
        return self.pattern.format(**{name: getattr(message, name) for name in self.fields})

    def parse(self, subject: str) -> dict[str, str] | None:
        """Return the tokens of a concrete subject, or None if it is another row's."""
        want, have = self.pattern.split("."), subject.split(".")
        if len(want) != len(have):
            return None
        pairs = list(zip(want, have, strict=True))
        if any(w != h for w, h in pairs if not w.startswith("{")):
            return None
        return {w[1:-1]: h for w, h in pairs if w.startswith("{")}


@dataclass(frozen=True)
class Stream:
    """A JetStream stream. Ages are seconds; None is for ever (bounded by `max_bytes`)."""

    name: str
    subjects: tuple[str, ...]
    storage: Literal["memory", "file"]
    max_age_s: float | None
    max_bytes: int
    per_subject: int = -1
    purpose: str = ""
    expires: bool = False
    """Whether its messages may have a time to live of their own, and leave a marker: a KV bucket of leases."""
    kept: bool = False
    """Whether a backup has it: what was published, decided and ordered; nothing finer leaves the site (ADR 32)."""


FRAMES = Subject(
    "moretta.v1.frames.{site}.{camera}",
    FrameV1,
    "msgpack",
    ("ingest",),
    ("inference",),
    "one sealed picture, answered after its pixels were overwritten",
    account="MORETTA_FRAMES",
    reply=FrameReplyV1,
    queue=FRAMES_QUEUE,
)
WORKERS = Subject(
    "moretta.v1.workers.{site}",
    WorkerV1,
    "msgpack",
    ("inference",),
    ("ingest",),
    "a worker asks for frame keys, signed by the inference identity",
    account="MORETTA_FRAMES",
)
KEYS = Subject(
    "moretta.v1.keys.{site}.{worker}",
    FrameKeyV1,
    "msgpack",
    ("ingest",),
    ("inference",),
    "one second's frame key, encrypted to one worker",
    account="MORETTA_FRAMES",
)
SIGHTINGS = Subject(
    "moretta.v1.sightings.{site}.{camera}",
    SightingsV1,
    "msgpack",
    ("inference",),
    ("aggregate",),
    "the faces of one picture",
    stream="SIGHTINGS",
)
TICKS = Subject(
    "moretta.v1.site.{site}.tick",
    TickV1,
    "msgpack",
    ("aggregate",),
    ("aggregate",),
    "lets time pass in the stream, once a second",
    stream="SIGHTINGS",
)
SITE_CONFIG = Subject(
    "moretta.v1.site.{site}.config",
    SiteConfigV1,
    "msgpack",
    ("aggregate",),
    ("aggregate",),
    "the configuration in force from here on",
    stream="SIGHTINGS",
)
CAMERA_EVENTS = Subject(
    "moretta.v1.site.{site}.camera",
    CameraEventV1,
    "msgpack",
    ("ingest",),
    ("aggregate",),
    "a camera changed its state",
    stream="SIGHTINGS",
)
MODELS = Subject(
    "moretta.v1.site.{site}.model",
    ModelV1,
    "msgpack",
    ("inference",),
    ("aggregate",),
    "a model that judges the site's pictures, and its errors",
    stream="SIGHTINGS",
)
PASSAGES = Subject(
    "moretta.v1.passages.{site}",
    PassageV1,
    "msgpack",
    ("aggregate",),
    ("aggregate",),
    "closed tracks of the open windows; internal",
    stream="PASSAGES",
)
DRIFT = Subject(
    "moretta.v1.drift.{site}.{camera}.{day}",
    DriftDayV1,
    "msgpack",
    ("aggregate",),
    ("aggregate",),
    "histograms and passages of one camera's day, by which drift is seen; internal",
    stream="DRIFT",
)
WINDOWS = Subject(
    "moretta.v1.windows.{site}.{zone}",
    WindowV1,
    "json",
    ("aggregate",),
    ("aggregate", "notify", "operator", "subscriber", "page"),
    "one closed window of a zone; `_site` is the whole site",
    stream="WINDOWS",
    public=True,
)
ALERTS = Subject(
    "moretta.v1.alerts.{site}.{zone}.{rule}",
    AlertV1,
    "json",
    ("aggregate",),
    ("aggregate", "notify", "operator", "subscriber", "page"),
    "a rule fired or resolved",
    stream="ALERTS",
    public=True,
)
RULES = Subject(
    "moretta.v1.rules.{site}.{zone}.{rule}",
    RuleStateV1,
    "json",
    ("aggregate",),
    ("aggregate", "operator", "subscriber"),
    "a rule changed its state, and why",
    stream="RULES",
    public=True,
)
OPERATIONS = Subject(
    "moretta.v1.operations.{site}.{kind}.{name}",
    OperationalAlertV1,
    "json",
    ("aggregate", "notify"),
    ("aggregate", "notify", "operator", "subscriber", "page"),
    "a camera is down, a zone has no data, nobody can be told: for those who run the system",
    stream="OPERATIONS",
    public=True,
)
CAMERAS = Subject(
    "moretta.v1.cameras.{site}.{camera}",
    CameraV1,
    "json",
    ("ingest",),
    ("operator", "subscriber", "page"),
    "a camera's state, and its pixel lifetime by window; the last value per camera is kept",
    stream="CAMERAS",
    public=True,
)
DELIVERIES = Subject(
    "moretta.v1.deliveries.{site}.{receiver}",
    DeliveryV1,
    "json",
    ("notify",),
    ("notify", "operator", "subscriber"),
    "what was sent, by which channel, with what outcome; no address",
    stream="DELIVERIES",
    public=True,
)
NOTIFICATIONS = Subject(
    "moretta.v1.notifications.{site}.{receiver}",
    NotificationV1,
    "json",
    ("notify",),
    ("notify", "operator", "subscriber"),
    "a decision to tell a receiver, or not to for now, with its reason; before anything is sent",
    stream="DELIVERIES",
    public=True,
)
SILENCES = Subject(
    "$KV.SILENCES.v1.{silence}",
    SilenceV1,
    "json",
    ("operator",),
    ("notify", "operator"),
    "alerts that are not told between two moments",
    stream="KV_SILENCES",
)
PAUSE = Subject(
    "moretta.v1.control.{site}.pause",
    PauseRequestV1,
    "json",
    ("operator",),
    ("ingest",),
    "stop processing pictures now; sticky and audited",
    reply=PauseReplyV1,
)
PAUSE_STATE = Subject(
    "moretta.v1.control.{site}.state",
    PauseStateV1,
    "json",
    ("ingest",),
    ("ingest", "operator"),
    "the order in force, and every earlier one as its audit",
    stream="CONTROL",
)
CAMERA_LEASES = Subject(
    "$KV.LEASES_INGEST.v1.camera.{site}.{camera}",
    CameraLeaseV1,
    "json",
    ("ingest",),
    ("ingest",),
    "which replica of ingest serves a camera; gone when its holder is silent",
    stream="KV_LEASES_INGEST",
)
REPLICAS = Subject(
    "$KV.LEASES_INGEST.v1.replica.{replica}",
    ReplicaV1,
    "json",
    ("ingest",),
    ("ingest",),
    "a replica of ingest is there; gone when it is silent",
    stream="KV_LEASES_INGEST",
)
SITE_LEASES = Subject(
    "$KV.LEASES_AGGREGATE.v1.site.{site}",
    SiteLeaseV1,
    "json",
    ("aggregate",),
    ("aggregate",),
    "which replica of aggregate decides a site; gone when its holder is silent",
    stream="KV_LEASES_AGGREGATE",
)
AGGREGATE_REPLICAS = Subject(
    "$KV.LEASES_AGGREGATE.v1.replica.{replica}",
    AggregateReplicaV1,
    "json",
    ("aggregate",),
    ("aggregate",),
    "a replica of aggregate is there; gone when it is silent",
    stream="KV_LEASES_AGGREGATE",
)
NOTIFY_LEASES = Subject(
    "$KV.LEASES_NOTIFY.v1.site.{site}",
    NotifyLeaseV1,
    "json",
    ("notify",),
    ("notify",),
    "which replica of notify sends a site's messages; gone when its holder is silent",
    stream="KV_LEASES_NOTIFY",
)
NOTIFY_REPLICAS = Subject(
    "$KV.LEASES_NOTIFY.v1.replica.{replica}",
    NotifyReplicaV1,
    "json",
    ("notify",),
    ("notify",),
    "a replica of notify is there; gone when it is silent",
    stream="KV_LEASES_NOTIFY",
)
SILENCE_HELD = Subject(
    "moretta.v1.control.{site}.silenced",
    SilenceHeldRequestV1,
    "json",
    ("operator",),
    ("notify",),
    "whether notify applies a silence that was stored",
    reply=SilenceHeldReplyV1,
)
REPLAY = Subject(
    "moretta.v1.control.{site}.replay",
    ReplayRequestV1,
    "json",
    ("operator",),
    ("notify",),
    "send a notification again to those who could not be told; audited",
    reply=ReplayReplyV1,
)
REPLAY_RECORD = Subject(
    "moretta.v1.control.{site}.replayed",
    ReplayRecordV1,
    "json",
    ("notify",),
    ("operator",),
    "who had which notification sent again, as an audit",
    stream="AUDIT",
)
AIM = Subject(
    "moretta.v1.control.{site}.aim",
    AimRequestV1,
    "json",
    ("operator",),
    ("ingest",),
    "tell for some seconds what a camera's picture is good for; audited",
    reply=AimReplyV1,
)
AIM_RECORD = Subject(
    "moretta.v1.control.{site}.aimed",
    AimRecordV1,
    "json",
    ("ingest",),
    ("operator",),
    "who aimed which camera, as an audit",
    stream="AUDIT",
)
AIM_REPORTS = Subject(
    "moretta.v1.aim.{site}.{camera}",
    AimReportV1,
    "json",
    ("ingest",),
    ("operator",),
    "sizes of faces and the picture's quality while a camera is aimed; in no stream",
)
STATS_SERVICE = Service(
    "moretta-stats",
    "1.0.0",
    "What was published about a site over time: windows, and their sums by hour, day or in all",
)
STATS = Subject(
    "moretta.v1.stats.{site}",
    StatsRequestV1,
    "json",
    ("notify", "operator", "subscriber", "page"),
    ("aggregate",),
    "what was published over time, answered from the stream WINDOWS",
    reply=StatsReplyV1,
    queue=STATS_SERVICE.name,
    service=STATS_SERVICE,
    public=True,
)
DEAD = Subject(
    "moretta.v1.dead.{service}",
    DeadV1,
    "msgpack",
    ("ingest", "inference", "aggregate", "notify"),
    ("operator",),
    "a message that could not be handled, with the reason",
    stream="DEAD",
)

TABLE: tuple[Subject, ...] = (
    FRAMES,
    WORKERS,
    KEYS,
    SIGHTINGS,
    TICKS,
    SITE_CONFIG,
    CAMERA_EVENTS,
    MODELS,
    PASSAGES,
    DRIFT,
    WINDOWS,
    ALERTS,
    RULES,
    OPERATIONS,
    CAMERAS,
    DELIVERIES,
    NOTIFICATIONS,
    SILENCES,
    PAUSE,
    PAUSE_STATE,
    CAMERA_LEASES,
    REPLICAS,
    SITE_LEASES,
    AGGREGATE_REPLICAS,
    NOTIFY_LEASES,
    NOTIFY_REPLICAS,
    SILENCE_HELD,
    REPLAY,
    REPLAY_RECORD,
    AIM,
    AIM_RECORD,
    AIM_REPORTS,
    STATS,
    DEAD,
)

_MIB = 1 << 20
_DAY = 86_400.0

STREAM_OWNER: Identity = "aggregate"
"""Who alone makes and changes streams: a stream may copy from, or repeat on, every subject of its account (ADR 20)."""


def _leases(service: str) -> Stream:
    return Stream(
        f"KV_LEASES_{service}",
        (f"$KV.LEASES_{service}.>",),
        "memory",
        None,
        4 * _MIB,
        per_subject=1,
        purpose="who serves what",
        expires=True,
    )


# Whoever may read one message of a stream may read all: the rows of a stream have the same subscribers.
STREAMS: tuple[Stream, ...] = (
    # Memory, so that no sighting reaches a disk; 70 minutes hold the longest window and its lateness until a replica
    # that died then is replaced (services.aggregate.core.restart.retention).
    Stream(
        "SIGHTINGS",
        (SIGHTINGS.wildcard(), "moretta.v1.site.*.*"),
        "memory",
        4_200.0,
        256 * _MIB,
        purpose="what aggregate decides from",
    ),
    Stream("PASSAGES", (PASSAGES.wildcard(),), "file", 2 * 3_600.0, 64 * _MIB, purpose="passages of open windows"),
    # Today, yesterday and the 14 days before them; the last record of a day replaces the earlier ones.
    Stream("DRIFT", (DRIFT.wildcard(),), "file", 16 * _DAY, 16 * _MIB, per_subject=1, purpose="cameras' days"),
    Stream("WINDOWS", (WINDOWS.wildcard(),), "file", 400 * _DAY, 256 * _MIB, purpose="published windows", kept=True),
    Stream("ALERTS", (ALERTS.wildcard(),), "file", 400 * _DAY, 64 * _MIB, purpose="published alerts", kept=True),
    Stream("RULES", (RULES.wildcard(),), "file", 400 * _DAY, 64 * _MIB, purpose="changes of rules' states", kept=True),
    Stream(
        "OPERATIONS", (OPERATIONS.wildcard(),), "file", 400 * _DAY, 16 * _MIB, purpose="operational alerts", kept=True
    ),
    Stream("CAMERAS", (CAMERAS.wildcard(),), "memory", None, 16 * _MIB, per_subject=1, purpose="camera states"),
    Stream(
        "DELIVERIES",
        (DELIVERIES.wildcard(), NOTIFICATIONS.wildcard()),
        "file",
        400 * _DAY,
        64 * _MIB,
        purpose="decisions to tell, and delivery attempts",
        kept=True,
    ),
    Stream(
        "KV_SILENCES", ("$KV.SILENCES.>",), "file", 400 * _DAY, 4 * _MIB, per_subject=8, purpose="silences", kept=True
    ),
    Stream(
        "CONTROL",
        (PAUSE_STATE.wildcard(),),
        "file",
        400 * _DAY,
        16 * _MIB,
        purpose="orders to pause, audited",
        kept=True,
    ),
    Stream(
        "AUDIT",
        (AIM_RECORD.wildcard(), REPLAY_RECORD.wildcard()),
        "file",
        400 * _DAY,
        16 * _MIB,
        purpose="other orders",
        kept=True,
    ),
    # Memory: a lease that outlives its server would be nobody's.
    _leases("INGEST"),
    _leases("AGGREGATE"),
    _leases("NOTIFY"),
    Stream("DEAD", (DEAD.wildcard(),), "file", 7 * _DAY, 64 * _MIB, purpose="what could not be handled"),
)


def stream(name: str) -> Stream:
    """Return the stream of that name; KeyError if the table has none."""
    return {s.name: s for s in STREAMS}[name]


def covers(pattern: str, subject: str) -> bool:
    """Return whether a pattern takes all that a subject, or another pattern, stands for (NATS's rules)."""
    want, have = pattern.split("."), subject.split(".")
    if want[-1] == ">":
        want = want[:-1]
        return len(have) > len(want) and all(w in {"*", h} for w, h in zip(want, have, strict=False))
    return len(want) == len(have) and ">" not in have and all(w in {"*", h} for w, h in zip(want, have, strict=True))


@lru_cache(maxsize=4_096)
def row_of(subject: str) -> tuple[Subject, dict[str, str]] | None:
    """Return the row that a concrete subject belongs to and its tokens, or None."""
    for row in TABLE:
        tokens = row.parse(subject)
        if tokens is not None:
            return row, tokens
    return None
