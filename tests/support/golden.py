"""One fixed example of each message of the contract, and their bytes in tests/contract/golden.

`python tests/support/golden.py` writes the files of messages that are new; it never changes one that is there, since
released bytes must stay readable within their version.
"""

from pathlib import Path

from msgspec import Struct

from proto.aiming import (
    Advice,
    AimRecordV1,
    AimReplyV1,
    AimReportV1,
    AimRequestV1,
    PictureSize,
    Quantiles,
)
from proto.codec import encode_as
from proto.control import DeadV1, PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.drift import DriftCounts, DriftDayV1
from proto.frames import FaceQualityV1, FrameKeyV1, FrameQualityV1, FrameReplyV1, FrameV1, WorkerV1
from proto.leases import (
    AggregateReplicaV1,
    CameraLeaseV1,
    NotifyLeaseV1,
    NotifyReplicaV1,
    ReplicaV1,
    SiteLeaseV1,
)
from proto.model_errors import ModelErrors
from proto.notifications import (
    NotificationV1,
    ReplayRecordV1,
    ReplayReplyV1,
    ReplayRequestV1,
    SilenceHeldReplyV1,
    SilenceHeldRequestV1,
    SilenceV1,
)
from proto.public import AlertV1, CameraV1, DeliveryV1, Lifetime, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import (
    CameraEventV1,
    ModelV1,
    PassageV1,
    SightingsV1,
    SightingV1,
    SiteConfigV1,
    TickV1,
)
from proto.stats import PeriodV1, StatsReplyV1, StatsRequestV1
from proto.subjects import TABLE, Encoding

FOLDER = Path(__file__).parent.parent / "contract" / "golden"
AT = 1_795_537_200_000_000_000
SHA = "0123456789abcdef" * 4

ERRORS = ModelErrors(
    sensitivity=0.97,
    sensitivity_limits=(0.95, 0.98),
    specificity=0.9875,
    specificity_limits=(0.9375, 0.9975),
    recall_ratio=0.9844,
    recall_ratio_limits=(0.6875, 1.4063),
    overdispersion=1.25,
    sources=6,
)
EXAMPLES: tuple[Struct, ...] = (
    FrameV1(
        site="cannes",
        camera="gate-1",
        lease=7,
        sequence=1234,
        at=AT,
        age=4_000_000,
        budget=100_000_000,
        period=200_000_000,
        width=16,
        height=16,
        key=bytes(range(8)),
        key_age=700_000_000,
        nonce=bytes(range(12)),
        sealed=memoryview(bytes(i % 251 for i in range(16 * 16 * 3 // 2 + 16))),
        aim=True,
    ),
    FrameReplyV1(
        outcome="done",
        worker="box-1",
        service_ms=12.5,
        quality=FrameQualityV1(
            brightness=0.5,
            dark=0.125,
            clipped=0.25,
            sharpness=0.1875,
            smallest=10.0,
            faces=[FaceQualityV1(box=(0.25, 0.25, 0.5, 0.75), size=9.5, unknown="too-small")],
        ),
        proof=bytes(range(16)),
    ),
    WorkerV1(site="cannes", worker="box-1", public_key=bytes(range(32)), at=AT, signature=bytes(range(64)), names=True),
    FrameKeyV1(
        site="cannes",
        worker="box-1",
        key=bytes(range(8)),
        age=150_000_000,
        waited=400_000_000,
        ephemeral=bytes(range(32)),
        wrapped=bytes(range(48)),
        signature=bytes(range(64)),
    ),
    SightingsV1(
        site="cannes",
        camera="gate-1",
        lease=7,
        sequence=1234,
        at=AT,
        period=200_000_000,
        aspect=1.5,
        model="moretta-1.0",
        model_sha256=SHA,
        faces=[
            SightingV1(box=(0.25, 0.25, 0.5, 0.75), code="m", score=0.875, confidence=0.75),
            SightingV1(box=(0.0, 0.0, 1.0, 1.0), code="n", score=0.5, confidence=0.5),
        ],
    ),
    TickV1(site="cannes"),
    CameraLeaseV1(site="cannes", camera="gate-1", holder="ingest-0", live=True, offered=True, number=7),
    ReplicaV1(replica="ingest-0", leaving=True),
    SiteLeaseV1(site="cannes", holder="aggregate-0", live=True, offered=True),
    AggregateReplicaV1(replica="aggregate-0", leaving=True),
    NotifyLeaseV1(site="cannes", holder="notify-0", live=True, offered=True),
    NotifyReplicaV1(replica="notify-0", leaving=True),
    SiteConfigV1(site="cannes", sha256=SHA, config='{"id":"cannes"}'),
    CameraEventV1(site="cannes", camera="gate-1", lease=7, state="backing-off", reason="timeout", at=AT),
    ModelV1(site="cannes", model="moretta-1.0", model_sha256=SHA, errors=ERRORS),
    PassageV1(
        site="cannes",
        camera="gate-1",
        zone="fish",
        code="i",
        at=AT,
        stream_created=AT - 1,
        stream_sequence=99,
        index=2,
    ),
    DriftDayV1(
        site="cannes",
        camera="gate-1",
        day="2026-11-24",
        stream_created=AT - 1,
        stream_sequence=99,
        stream_time=AT,
        models=[DriftCounts(model_sha256=SHA, unknown=1, sizes=[0, 3, 2], scores=[1, 4])],
        passages=3,
        stayed=1,
    ),
    WindowV1(
        site="cannes",
        zone="_site",
        profile="alerting",
        start=AT,
        end=AT + 1_200_000_000_000,
        persons=100,
        masked=70,
        unmasked=15,
        incorrect=5,
        unknown=10,
        rate=0.778,
        interval=(0.562, 0.922),
        sampling_interval=(0.68, 0.852),
        coverage=0.937,
        cameras_ok=3,
        cameras_expected=4,
        gaps=["camera-down", "started-late"],
        suppressed=None,
        late_total=2,
        adjusted=False,
        model="moretta-1.0",
        model_sha256=SHA,
        model_errors=ERRORS,
        config_sha256=SHA,
    ),
    AlertV1(
        site="cannes",
        zone="fish",
        rule="low-rate",
        profile="alerting",
        alert="0123456789abcdef",
        state="firing",
        severity="warning",
        since=AT,
        start=AT + 1_200_000_000_000,
        end=AT + 2_400_000_000_000,
        rate=0.5,
        interval=(0.375, 0.625),
        sampling_interval=(0.437, 0.563),
        persons=64,
        coverage=1.0,
        fire_below=0.75,
        clear_above=0.875,
    ),
    RuleStateV1(
        site="cannes",
        zone="fish",
        rule="low-rate",
        profile="alerting",
        state="pending",
        before="normal",
        reason="breached",
        row=1,
        start=AT,
        end=AT + 1_200_000_000_000,
        since=AT,
        config_sha256=SHA,
    ),
    OperationalAlertV1(
        site="cannes",
        kind="camera-down",
        name="gate-1",
        state="firing",
        since=AT,
        at=AT + 1_200_000_000_000,
        reason="camera-down",
        coverage=0.25,
    ),
    CameraV1(
        site="cannes",
        camera="gate-1",
        state="live",
        reason=None,
        since=AT,
        at=AT + 1_000_000,
        decoder="h264",
        width=1920,
        height=1080,
        fps=25.0,
        analysed_fps=5.0,
        shed_share=0.06,
        lifetime=Lifetime(start=AT - 60_000_000_000, end=AT, pictures=300, late=3),
    ),
    DeliveryV1(
        site="cannes",
        kind="rule",
        zone="fish",
        rule="low-rate",
        alert="0123456789abcdef",
        state="firing",
        notification="fedcba9876543210",
        receiver="field-staff",
        channel="email",
        recipient_sha256=SHA,
        attempt=1,
        outcome="sent",
        reason="accepted",
        at=AT,
    ),
    NotificationV1(
        site="cannes",
        receiver="field-staff",
        notification="fedcba9876543210",
        group="00112233445566ff",
        number=1,
        root="fedcba9876543210",
        reason="first",
        firing=["0123456789abcdef"],
        recipients=[SHA],
        salt="00ff112233445566",
        at=AT,
    ),
    SilenceV1(
        silence="0a1b2c3d",
        sites=["cannes"],
        zones=["fish"],
        starts=AT,
        ends=AT + 3_600_000_000_000,
        operator="ana@example.org",
        why="the market is closed",
    ),
    SilenceHeldRequestV1(site="cannes", silence="0a1b2c3d", ends=AT + 3_600_000_000_000),
    SilenceHeldReplyV1(site="cannes", held=True),
    ReplayRequestV1(
        site="cannes", notification="fedcba9876543210", operator="ana@example.org", why="the server is back", at=AT
    ),
    ReplayReplyV1(site="cannes", recipients=2, error=None),
    ReplayRecordV1(
        site="cannes",
        notification="fedcba9876543210",
        operator="ana@example.org",
        why="the server is back",
        recipients=2,
        at=AT,
    ),
    PauseRequestV1(
        site="cannes", action="pause", operator="ana@example.org", camera="fish-1", why="asked to by the bakery"
    ),
    PauseReplyV1(site="cannes", paused=True, cameras=1, error=None, paused_cameras=["fish-1"]),
    PauseStateV1(
        site="cannes",
        paused=True,
        operator="ana@example.org",
        at=AT,
        paused_cameras=["fish-1"],
        action="pause",
        camera="fish-1",
        why="asked to by the bakery",
        stuck_cameras=["gate-2"],
    ),
    AimRequestV1(site="cannes", camera="gate-1", operator="ana@example.org", why="mounted anew", seconds=20.0),
    AimReplyV1(site="cannes", camera="gate-1", since=AT, error=None),
    AimRecordV1(site="cannes", camera="gate-1", operator="ana@example.org", at=AT, seconds=20.0, why="mounted anew"),
    AimReportV1(
        site="cannes",
        camera="gate-1",
        since=AT,
        at=AT + 20_000_000_000,
        left=0,
        ended="time",
        picture=PictureSize(1920, 1080),
        analysed=PictureSize(640, 360),
        brightness=0.5,
        dark=0.125,
        clipped=0.0625,
        sharpness=0.1875,
        heat="0" * 200 + "0379" + "0" * 372,
        sizes=Quantiles(8.0, 12.0, 30.0),
        picture_sizes=Quantiles(24.0, 36.0, 90.0),
        smallest=10.0,
        too_small=0.25,
        unsure=0.05,
        advice=[Advice("move-closer", 0.25, 10.0)],
    ),
    StatsRequestV1(site="cannes", zone="_site", since=AT, until=AT + 3_600_000_000_000, step="hour"),
    StatsReplyV1(
        site="cannes",
        zone="_site",
        step="hour",
        timezone="Europe/Paris",
        since=AT,
        until=AT + 3_600_000_000_000,
        periods=[
            PeriodV1(
                site="cannes",
                zone="_site",
                profiles=["alerting"],
                start=AT,
                end=AT + 3_600_000_000_000,
                persons=100,
                masked=70,
                unmasked=15,
                incorrect=5,
                unknown=10,
                rate=0.778,
                interval=(0.562, 0.922),
                sampling_interval=(0.68, 0.852),
                coverage=0.625,
                windows_expected=3,
                windows_published=2,
                windows_suppressed=1,
                suppressed=None,
                gaps=["camera-down"],
                adjusted=False,
                models=["moretta-1.0"],
            )
        ],
        error="unknown-zone",
        path="zone",
        value="_site",
    ),
    DeadV1(
        service="notify", subject="moretta.v1.alerts.cannes.fish.low-rate", reason="why", size=3, at=AT, payload=b"abc"
    ),
)
BY_TYPE: dict[type[Struct], Struct] = {type(example): example for example in EXAMPLES}


def encodings() -> dict[type[Struct], Encoding]:
    """Return the encoding of each message and reply of the one table."""
    rows = [(kind, row.encoding) for row in TABLE for kind in (row.message, row.reply) if kind is not None]
    return dict(rows)


def path_of(kind: type[Struct]) -> Path:
    """Return the golden file of a message."""
    return FOLDER / f"{kind.__name__}.{encodings()[kind]}"


def main() -> None:
    """Write what is missing."""
    FOLDER.mkdir(exist_ok=True)
    for kind, encoding in encodings().items():
        if not path_of(kind).exists():
            path_of(kind).write_bytes(encode_as(encoding, BY_TYPE[kind]))


if __name__ == "__main__":
    main()
