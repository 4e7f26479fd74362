"""One camera's metrics. None of them counts people."""

import contextlib
from dataclasses import dataclass
from typing import ClassVar

from prometheus_client import Counter, Gauge

from proto.types import CameraReason, CameraState
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
STATES: tuple[CameraState, ...] = ("connecting", "live", "stalled", "backing-off", "paused", "failed-config", "ended")


@dataclass(slots=True)
class CameraMetrics:
    """What Prometheus hears of one camera."""

    site: str
    camera: str
    _info: tuple[str, str] | None = None

    _PLAIN: ClassVar = (FPS, ANALYSED, AGE)

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
        """Forget the camera: it is out of service, and a gauge that stays would say otherwise."""
        self._forget_info()
        for state in STATES:
            _remove(STATE, self.site, self.camera, state)
        for gauge in self._PLAIN:
            _remove(gauge, self.site, self.camera)

    def _forget_info(self) -> None:
        if self._info is not None:
            _remove(INFO, self.site, self.camera, *self._info)
            self._info = None


def _remove(gauge: Gauge, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        gauge.remove(*labels)
