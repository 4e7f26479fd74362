"""One camera's metrics. None of them counts people."""

import contextlib
from dataclasses import dataclass
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from proto.types import CameraReason, CameraState
from services.ingest.core.attempts import Ended
from services.ingest.playback import CameraStats

_CAMERA = ["site", "camera"]
STATE = Gauge("moretta_camera_state", "1 for the state a camera is in", [*_CAMERA, "state"])
FPS = Gauge("moretta_camera_fps", "Pictures a second that the camera delivers, as measured; 0 unless live", _CAMERA)
ANALYSED = Gauge("moretta_camera_analysed_fps", "Pictures a second that were analysed", _CAMERA)
AGE = Gauge(
    "moretta_camera_picture_age_seconds", "Since the camera's last picture, or since it came into service", _CAMERA
)
FAILURES = Counter(
    "moretta_camera_failures_total", "Connections that were lost or not made; each is tried again", [*_CAMERA, "reason"]
)
INFO = Gauge(
    "moretta_camera_info", "1 for the decoder in use and the size of the pictures", [*_CAMERA, "decoder", "size"]
)
LIFETIME = Histogram(
    "moretta_pixel_lifetime_seconds",
    "From decode() returning a picture to the reply that follows its overwriting; unconfirmed ones count as +Inf",
    _CAMERA,
    buckets=(0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1),
)
ANSWERS = Counter("moretta_ingest_frames_total", "Sampled pictures by what became of them", [*_CAMERA, "outcome"])
LAG = Histogram(
    "moretta_ingest_decode_lag_seconds",
    "How far a sampled picture's decoding was behind the camera, above the least delay of its connection",
    _CAMERA,
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
WHIP_DROPPED = Counter("moretta_whip_frames_dropped_total", "Encoded frames dropped undecoded", _CAMERA)
STATES: tuple[CameraState, ...] = get_args(CameraState)
_NOW = (FPS, ANALYSED, AGE)
_COUNTED = (LIFETIME, LAG, WHIP_DROPPED)


@dataclass(slots=True)
class CameraMetrics:
    """What Prometheus hears of one camera."""

    site: str
    camera: str
    _info: tuple[str, str] | None = None

    def changed(self, state: CameraState, reason: CameraReason | None) -> None:
        """Take a change of state."""
        for each in STATES:
            STATE.labels(self.site, self.camera, each).set(int(each == state))
        if state in {"backing-off", "failed-config"}:
            FAILURES.labels(self.site, self.camera, reason or "other").inc()

    def figures(self, stats: CameraStats, *, is_live: bool, analysed_fps: float, age_s: float) -> None:
        """Take what was measured since the last time."""
        FPS.labels(self.site, self.camera).set(stats.fps if is_live else 0)
        ANALYSED.labels(self.site, self.camera).set(analysed_fps)
        AGE.labels(self.site, self.camera).set(age_s)
        info = (stats.decoder or "none", f"{stats.width}x{stats.height}" if stats.width else "unknown")
        if info != self._info:
            self._forget_info()
            INFO.labels(self.site, self.camera, *info).set(1)
            self._info = info

    def retire(self) -> None:
        """Forget the camera's state: it is out of service here, and a gauge that stays would say otherwise."""
        self._forget_info()
        for state in STATES:
            _remove(STATE, self.site, self.camera, state)
        for gauge in _NOW:
            _remove(gauge, self.site, self.camera)

    def _forget_info(self) -> None:
        if self._info is not None:
            _remove(INFO, self.site, self.camera, *self._info)
            self._info = None


def forget(site: str, camera: str) -> None:
    """Forget what was counted of a camera, too: no settings know it any more."""
    for metric in _COUNTED:
        _remove(metric, site, camera)
    for reason in get_args(CameraReason):
        _remove(FAILURES, site, camera, reason)
    for outcome in get_args(Ended):
        _remove(ANSWERS, site, camera, outcome)


def _remove(metric: Counter | Gauge | Histogram, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        metric.remove(*labels)
