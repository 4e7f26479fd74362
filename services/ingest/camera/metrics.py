"""One camera's metrics. None of them counts people.

Where people depend on the site (any profile but `lab`), what tells how long pictures took changes once a minute and in
steps (services.privacy.steps): at the rate of pictures it would tell whether somebody is in front of the camera.
"""

import contextlib
from dataclasses import dataclass
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from proto.types import CameraReason, CameraState
from services.ingest.camera.playback import CameraStats
from services.ingest.core.attempts import Ended
from services.ingest.core.figures import Figures
from services.ingest.core.lifetime import PROMISE_S
from services.privacy.counters import Outcomes, Times

_CAMERA = ["site", "camera"]
STATE = Gauge("moretta_camera_state", "1 for the state a camera is in", [*_CAMERA, "state"])
FPS = Gauge(
    "moretta_camera_fps",
    "Pictures a second that the camera delivers, 0 unless live; outside trials once a minute, with two digits",
    _CAMERA,
)
ANALYSED = Gauge(
    "moretta_camera_analysed_fps",
    "Pictures a second that were analysed; outside trials once a minute, in steps",
    _CAMERA,
)
AGE = Gauge(
    "moretta_camera_picture_age_seconds",
    "Since the camera's last picture, or since it came into service; outside trials in whole seconds",
    _CAMERA,
)
FAILURES = Counter(
    "moretta_camera_failures_total", "Connections that were lost or not made; each is tried again", [*_CAMERA, "reason"]
)
INFO = Gauge(
    "moretta_camera_info",
    "1 for the decoder in use, the size of the pictures, and which of them are decoded",
    [*_CAMERA, "decoder", "size", "decoded"],
)
LIFETIME = Histogram(
    "moretta_pixel_lifetime_seconds",
    "From decode() returning a picture to the reply that follows its overwriting; unconfirmed ones count as +Inf."
    " Outside trials once a minute, as 0.1 or beyond, in steps",
    _CAMERA,
    buckets=(0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1),
)
ANSWERS = Counter(
    "moretta_ingest_frames_total",
    "Sampled pictures by what became of them; outside trials once a minute, in steps",
    [*_CAMERA, "outcome"],
)
LAG = Histogram(
    "moretta_ingest_decode_lag_seconds",
    "How far a sampled picture's decoding was behind the camera, above the least delay of its connection."
    " Outside trials once a minute, as 0.2 or beyond, in steps",
    _CAMERA,
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
WHIP_DROPPED = Counter("moretta_whip_frames_dropped_total", "Encoded frames dropped undecoded", _CAMERA)
STATES: tuple[CameraState, ...] = get_args(CameraState)
_NOW = (FPS, ANALYSED, AGE)
_COUNTED = (LIFETIME, LAG, WHIP_DROPPED)
UNCONFIRMED_S = 60.0
"""Above the last bucket, so it counts as +Inf, but finite: +Inf itself would make the histogram's sum useless."""
_LAG_LIMIT_S = 0.2
"""An alert judges this bucket (k8s/moretta/files/rules.yaml)."""
_LAGGED_S = 60.0


class PictureMetrics:
    """What became of one camera's pictures, and how long they took: at once if `is_trial`, else when `flush` is called.

    The decode thread and the loop call it.
    """

    def __init__(self, site: str, camera: str, *, is_trial: bool) -> None:
        self._labels, self.is_trial = (site, camera), is_trial
        self._outcomes, self._lifetimes, self._lags = Outcomes("done"), Times(PROMISE_S), Times(_LAG_LIMIT_S)

    def ended(self, outcome: Ended) -> None:
        """Count a picture by what became of it."""
        if self.is_trial:
            ANSWERS.labels(*self._labels, outcome).inc()
        else:
            self._outcomes.add(outcome)

    def lived(self, seconds: float) -> None:
        """Count a picture's lifetime; UNCONFIRMED_S for one that nobody confirmed."""
        if self.is_trial:
            LIFETIME.labels(*self._labels).observe(seconds)
        else:
            self._lifetimes.add(seconds)

    def lagged(self, seconds: float) -> None:
        """Count how far a picture's decoding was behind the camera."""
        if self.is_trial:
            LAG.labels(*self._labels).observe(seconds)
        else:
            self._lags.add(seconds)

    def flush(self) -> None:
        """Tell what was counted since the last call."""
        for outcome, count in self._outcomes.take().items():
            ANSWERS.labels(*self._labels, outcome).inc(count)
        _observe(LIFETIME.labels(*self._labels), self._lifetimes.take(), PROMISE_S, UNCONFIRMED_S)
        _observe(LAG.labels(*self._labels), self._lags.take(), _LAG_LIMIT_S, _LAGGED_S)


def _observe(histogram: Histogram, counts: tuple[int, int], within_s: float, beyond_s: float) -> None:
    for count, seconds in zip(counts, (within_s, beyond_s), strict=True):
        for _ in range(count):
            histogram.observe(seconds)


@dataclass(slots=True)
class CameraMetrics:
    """The Prometheus metrics of one camera."""

    site: str
    camera: str
    _info: tuple[str, str, str] | None = None

    def changed(self, state: CameraState, reason: CameraReason | None) -> None:
        """Record a change of state."""
        for each in STATES:
            STATE.labels(self.site, self.camera, each).set(int(each == state))
        if state in {"backing-off", "failed-config"}:
            FAILURES.labels(self.site, self.camera, reason or "other").inc()

    def rates(self, fps: float, analysed_fps: float, age_s: float) -> None:
        """Record the rates measured since the last call."""
        FPS.labels(self.site, self.camera).set(fps)
        ANALYSED.labels(self.site, self.camera).set(analysed_fps)
        AGE.labels(self.site, self.camera).set(age_s)

    def steps(self, figures: Figures | None, *, is_live: bool, age_s: float) -> None:
        """Record the rates of the last period, and the age in whole seconds."""
        AGE.labels(self.site, self.camera).set(int(age_s))
        if figures is not None:
            FPS.labels(self.site, self.camera).set((figures.fps or 0) if is_live else 0)
            ANALYSED.labels(self.site, self.camera).set(figures.analysed_fps if is_live else 0)

    def described(self, stats: CameraStats) -> None:
        """Record the decoder in use, the size of the pictures, and which are decoded."""
        size = f"{stats.width}x{stats.height}" if stats.width else "unknown"
        info = (stats.decoder or "none", size, stats.decoded)
        if info != self._info:
            self._forget_info()
            INFO.labels(self.site, self.camera, *info).set(1)
            self._info = info

    def retire(self) -> None:
        """Remove the camera's state: it is out of service here, and a gauge that stays would say otherwise."""
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
    """Remove a camera's counts too: the settings no longer contain it."""
    for metric in _COUNTED:
        _remove(metric, site, camera)
    for reason in get_args(CameraReason):
        _remove(FAILURES, site, camera, reason)
    for outcome in get_args(Ended):
        _remove(ANSWERS, site, camera, outcome)


def _remove(metric: Counter | Gauge | Histogram, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        metric.remove(*labels)
