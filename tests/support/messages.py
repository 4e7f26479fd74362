"""Ordinary messages that a test changes where it matters: of 24 November 2026, 10:00 to 10:20 in Cannes."""

from typing import Any

from msgspec import structs

from proto.frames import FrameV1
from proto.public import AlertV1, DeliveryV1, OperationalAlertV1, WindowV1
from proto.sightings import SightingsV1, SightingV1
from services.frames.sealing.seal import NONCE_BYTES, TAG_BYTES
from services.statistics.figures import rates
from services.statistics.rate_interval import Judged

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
TEN = 1_795_510_800 * SECOND
SITE = "forville"
SHA = "0123456789abcdef" * 4

_ALERT = AlertV1(
    site=SITE,
    zone="_site",
    rule="mask-rate",
    profile="alerting",
    alert="0123456789abcdef",
    state="firing",
    severity="warning",
    since=TEN - 20 * MINUTE,
    start=TEN,
    end=TEN + 20 * MINUTE,
    rate=0.62,
    interval=(0.54, 0.69),
    persons=143,
    coverage=0.97,
    fire_below=0.7,
    clear_above=0.75,
)
_FAULT = OperationalAlertV1(
    site=SITE,
    kind="camera-down",
    name="gate",
    state="firing",
    since=TEN - 20 * MINUTE,
    at=TEN + 20 * MINUTE,
    reason="camera-down",
    coverage=0.12,
)


_SENT = DeliveryV1(
    site=SITE, kind="rule", zone="_site", rule="mask-rate", alert="0123456789abcdef", state="firing",
    notification="00112233445566ff", receiver="staff", channel="email", recipient_sha256="d" * 64, attempt=1,
    outcome="sent", reason="accepted", at=TEN,
)  # fmt: skip


def alert(**changes: Any) -> AlertV1:
    """An alert that fires for the whole site, but for what is given."""
    return structs.replace(_ALERT, **changes)


def fault(**changes: Any) -> OperationalAlertV1:
    """An operational alert of a camera that is down, but for what is given."""
    return structs.replace(_FAULT, **changes)


def delivery(**changes: Any) -> DeliveryV1:
    """A mail about `alert()` that was sent, but for what is given."""
    return structs.replace(_SENT, **changes)


def window(start: int = TEN, masked: int = 8, others: tuple[int, int, int] = (2, 0, 1), **changes: Any) -> WindowV1:
    """A window of 20 minutes as aggregate makes it; `others` are unmasked, incorrect, unknown."""
    unmasked, incorrect, unknown = others
    judged = masked + unmasked + incorrect
    made = WindowV1(
        site=SITE,
        zone="_site",
        profile="alerting",
        start=start,
        end=start + 20 * MINUTE,
        persons=judged + unknown,
        masked=masked,
        unmasked=unmasked,
        incorrect=incorrect,
        unknown=unknown,
        **rates(masked, [Judged(judged, changes.get("model_errors"))])._asdict(),
        coverage=1.0,
        cameras_ok=2,
        cameras_expected=2,
        late_total=0,
        model="moretta-1.0",
        model_sha256=SHA,
        config_sha256=SHA,
    )
    return structs.replace(made, **changes)


def frame(size: int, **changes: Any) -> FrameV1:
    """A frame with room for a sealed picture of `size` bytes, but for what is given."""
    usual: dict[str, Any] = {
        "site": "cannes", "camera": "gate", "lease": 7, "sequence": 41, "at": 10**18, "age": 0,
        "budget": SECOND // 10, "period": SECOND // 5, "width": 16, "height": 16, "key": bytes(8), "key_age": SECOND,
        "nonce": bytes(NONCE_BYTES),
    }  # fmt: skip
    return FrameV1(**usual | changes, sealed=memoryview(bytearray(size + TAG_BYTES)))


def sightings(*faces: SightingV1, **changes: Any) -> SightingsV1:
    """What was seen in a picture of five a second, but for what is given."""
    usual: dict[str, Any] = {
        "site": "market", "camera": "door", "lease": 1, "period": SECOND // 5, "aspect": 1.0, "model": "masks-1",
        "model_sha256": "a" * 64,
    }  # fmt: skip
    return SightingsV1(**usual | changes, faces=list(faces))
