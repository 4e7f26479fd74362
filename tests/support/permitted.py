"""What public types may hold: each field by name and type, with the reason why it tells of no person. Pure.

A number can carry a track's id, and many numbers a face: no rule sees from a type what it means. So a field of a
public type is refused until a person enters it here with a reason. What could hold a face or a text under any name is
refused all the same (`privacy.dangers`).
"""

from typing import Annotated, Any

from msgspec import Meta

from proto import model_errors as m
from proto import types as t
from proto.public import GapReason, Lifetime
from proto.stats import Given, PeriodV1, TimeZone

CHOICE = "one of some words"
"""A permitted type: any choice of words that the code names."""
_COUNTED = "WindowV1 PeriodV1"
_SHARED = "WindowV1 AlertV1 RuleStateV1"
_EVENTS = "AlertV1 RuleStateV1"
_ASKED = "StatsRequestV1 StatsReplyV1"
PERMITTED: dict[str, dict[str, tuple[Any, str]]] = {
    "names that an operator gave a place, a camera, a rule or a receiver": {
        "site": (
            t.SiteId,
            f"{_SHARED} {_ASKED} PeriodV1 OperationalAlertV1 CameraV1 DeliveryV1 NotificationV1",
        ),
        "zone": (t.ZoneId, f"{_SHARED} {_ASKED} PeriodV1 DeliveryV1"),
        "camera": (t.CameraId, "CameraV1 DeliveryV1"),
        "rule": (t.RuleId, f"{_EVENTS} DeliveryV1"),
        "receiver": (t.ReceiverId, "DeliveryV1 NotificationV1"),
        "name": (t.ZoneId, "OperationalAlertV1 DeliveryV1"),
    },
    "bounds of windows, and moments at which the system itself did something": {
        "start": (t.Instant, f"{_SHARED} PeriodV1 Lifetime"),
        "end": (t.Instant, f"{_SHARED} PeriodV1 Lifetime"),
        "since": (t.Instant, f"{_EVENTS} {_ASKED} OperationalAlertV1 CameraV1"),
        "until": (t.Instant, _ASKED),
        "at": (t.Instant, "OperationalAlertV1 CameraV1 DeliveryV1 NotificationV1"),
    },
    "sums over a whole window, which the legal profile shows or withholds": {
        "persons": (t.Count, f"{_COUNTED} AlertV1"),
        "masked": (t.Count, _COUNTED),
        "unmasked": (t.Count, _COUNTED),
        "incorrect": (t.Count, _COUNTED),
        "unknown": (t.Count, _COUNTED),
        "rate": (t.Fraction, f"{_COUNTED} AlertV1"),
        "interval": (t.Interval, f"{_COUNTED} AlertV1"),
        "sampling_interval": (t.Interval, f"{_COUNTED} AlertV1"),
    },
    "how much of a window was observed, by how many cameras, in how many windows": {
        "coverage": (t.Fraction, f"{_COUNTED} AlertV1 OperationalAlertV1"),
        "cameras_ok": (t.Count, "WindowV1"),
        "cameras_expected": (t.Count, "WindowV1"),
        "late_total": (t.Count, "WindowV1"),
        "adjusted": (bool, _COUNTED),
        "windows_expected": (t.Count, "PeriodV1"),
        "windows_published": (t.Count, "PeriodV1"),
        "windows_suppressed": (t.Count, "PeriodV1"),
    },
    "words that the code names: a state, a reason, a kind": {
        "profile": (CHOICE, _SHARED),
        "profiles": (list[t.Profile], "PeriodV1"),
        "gaps": (list[GapReason], _COUNTED),
        "suppressed": (CHOICE, _COUNTED),
        "state": (CHOICE, f"{_EVENTS} OperationalAlertV1 CameraV1 DeliveryV1"),
        "before": (CHOICE, "RuleStateV1"),
        "reason": (CHOICE, "RuleStateV1 OperationalAlertV1 CameraV1 DeliveryV1 NotificationV1"),
        "severity": (CHOICE, "AlertV1"),
        "kind": (CHOICE, "OperationalAlertV1 DeliveryV1"),
        "channel": (CHOICE, "DeliveryV1"),
        "outcome": (CHOICE, "DeliveryV1"),
        "withheld": (CHOICE, "NotificationV1"),
        "step": (CHOICE, _ASKED),
        "error": (CHOICE, "StatsReplyV1"),
        "path": (CHOICE, "StatsReplyV1"),
    },
    "what judged, and by which settings: the same for all people": {
        "model": (t.ModelId, "WindowV1"),
        "models": (list[t.ModelId], "PeriodV1"),
        "model_sha256": (t.Sha256, "WindowV1"),
        "model_errors": (m.ModelErrors, "WindowV1"),
        "sensitivity": (t.Fraction, "ModelErrors"),
        "sensitivity_limits": (m.ShareLimits, "ModelErrors"),
        "specificity": (t.Fraction, "ModelErrors"),
        "specificity_limits": (m.ShareLimits, "ModelErrors"),
        "recall_ratio": (m.Ratio, "ModelErrors"),
        "recall_ratio_limits": (m.RatioLimits, "ModelErrors"),
        "overdispersion": (m.Overdispersion, "ModelErrors"),
        "sources": (m.SourceCount, "ModelErrors"),
        "config_sha256": (t.Sha256, "WindowV1 RuleStateV1"),
        "fire_below": (t.Fraction, "AlertV1"),
        "clear_above": (t.Fraction, "AlertV1"),
        "row": (t.Count, "RuleStateV1"),
        "timezone": (TimeZone, "StatsReplyV1"),
    },
    "a camera's technique: what it delivers, and how long its pictures lived in a whole window, in steps": {
        "decoder": (Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}\Z")], "CameraV1"),
        "width": (t.Pixels, "CameraV1"),
        "height": (t.Pixels, "CameraV1"),
        "fps": (t.Rate, "CameraV1"),
        "analysed_fps": (t.Rate, "CameraV1"),
        "shed_share": (t.Fraction, "CameraV1"),
        "lifetime": (Lifetime, "CameraV1"),
        "pictures": (t.Count, "Lifetime"),
        "late": (t.Count, "Lifetime"),
    },
    "what was decided and sent: ids of alerts and notifications, recipients as salted hashes, no address": {
        "alert": (t.AlertId, "AlertV1 DeliveryV1"),
        "notification": (t.NotificationId, "DeliveryV1 NotificationV1"),
        "group": (t.NotificationId, "NotificationV1"),
        "root": (t.NotificationId, "NotificationV1"),
        "number": (t.Count, "NotificationV1"),
        "firing": (list[t.AlertId], "NotificationV1"),
        "resolved": (list[t.AlertId], "NotificationV1"),
        "recipients": (list[t.Sha256], "NotificationV1"),
        "salt": (t.SaltName, "NotificationV1"),
        "recipient_sha256": (t.Sha256, "DeliveryV1"),
        "attempt": (Annotated[int, Meta(ge=1)], "DeliveryV1"),
    },
    "an answer's parts, and what the one who asked had given": {
        "periods": (list[PeriodV1], "StatsReplyV1"),
        "value": (Given, "StatsReplyV1"),
    },
}
