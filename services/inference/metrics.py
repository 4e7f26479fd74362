"""Metrics of frames. Where people depend on a site, they change once a minute and in steps (services.privacy.steps).

Analysing a picture takes longer for each face in it, so at the rate of pictures they would tell whether somebody is in
front of a camera.
"""

import asyncio
from collections.abc import Iterable

from prometheus_client import Counter, Histogram

from proto.frames import Outcome
from services.privacy.counters import PERIOD_S, Outcomes, Times
from services.sites.profiles import any_lasting
from services.sites.settings import SiteSettings

FRAMES = Counter(
    "moretta_inference_frames_total",
    "Received frames by what became of them; with a site that is not on trial once a minute, in steps",
    ["outcome"],
)
SERVICE = Histogram(
    "moretta_inference_service_seconds",
    "Time from taking a frame to overwriting its pixels; with a site that is not on trial once a minute, as"
    " 0.1 or beyond, in steps",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5),
)
AGE = Histogram(
    "moretta_inference_frame_age_seconds",
    "Age of a frame, since it was decoded, when a lane took it or it was refused; with a site that is not on trial"
    " once a minute, as 0.1 or beyond, in steps",
    buckets=(0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.5),
)
_BUDGET_S = 0.1
_BEYOND_S = 0.2


class FrameMetrics:
    """Counts the frames of one worker: at once if `is_trial`, else when `flush` is called."""

    def __init__(self, *, is_trial: bool = True) -> None:
        self.is_trial = is_trial
        self._outcomes, self._services, self._ages = Outcomes("done"), Times(_BUDGET_S), Times(_BUDGET_S)

    def keep(self, sites: Iterable[SiteSettings]) -> None:
        """Count as these sites' profiles ask for: a worker serves all of them."""
        self.is_trial = not any_lasting(site.profile for site in sites)

    def ended(self, outcome: Outcome, service_s: float) -> None:
        """Count a frame by what became of it, and how long it was in hand if it was analysed."""
        if self.is_trial:
            FRAMES.labels(outcome).inc()
        else:
            self._outcomes.add(outcome)
        if outcome == "done":
            self._add(SERVICE, self._services, service_s)

    def taken(self, age_s: float) -> None:
        """Count the age of a frame that a lane took, or that was refused."""
        self._add(AGE, self._ages, age_s)

    def _add(self, histogram: Histogram, times: Times, seconds: float) -> None:
        if self.is_trial:
            histogram.observe(seconds)
        else:
            times.add(seconds)

    def flush(self) -> None:
        """Tell what was counted since the last call."""
        for outcome, count in self._outcomes.take().items():
            FRAMES.labels(outcome).inc(count)
        for histogram, times in ((SERVICE, self._services), (AGE, self._ages)):
            for count, seconds in zip(times.take(), (_BUDGET_S, _BEYOND_S), strict=True):
                for _ in range(count):
                    histogram.observe(seconds)

    async def run(self) -> None:
        """Tell the counts once in a while, for ever."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self.flush()
