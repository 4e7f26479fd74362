"""Event-time tumbling windows (Akidau et al. 2015, "The Dataflow Model"): one window's tallies and what it publishes.

Windows are aligned to full hours of the site's clock and their length divides an hour, so no change to summer time
moves a border.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import get_args

from proto.model_errors import ModelErrors
from proto.public import GapReason, WindowV1
from proto.sightings import PassageV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.counting.coverage import CoverageSpan
from services.aggregate.core.counting.evidence import JUDGED
from services.statistics.figures import observed, rates
from services.statistics.rate_interval import Judged

CAMERA_OK = 0.9
"""A camera counts as ok when this share of the window was observed."""
_REASONS: tuple[GapReason, ...] = get_args(GapReason)
Model = tuple[str, str]
"""A model's name and its file's SHA-256."""


class OpenWindow:
    """One window of a site, until it closes."""

    def __init__(self, start: int, end: int, config: SiteConfig) -> None:
        self.start, self.end, self.config = start, end, config
        self.model: Model | None = None
        self._passages: dict[str, Counter[str]] = {}
        self._observed: Counter[str] = Counter()
        self._missed: dict[str, Counter[GapReason]] = {}
        self._gaps: dict[str, set[GapReason]] = {}

    def adopt(self, model: Model) -> bool:
        """Return whether this model judges the window: the first model seen in it does."""
        if self.model is None:
            self.model = model
        return self.model == model

    def count(self, passage: PassageV1) -> None:
        """Count a passage for its zone and the whole site."""
        for zone in {passage.zone, WHOLE_SITE}:
            self._passages.setdefault(zone, Counter())[passage.verdict] += 1

    def note(self, camera: str, span: CoverageSpan) -> None:
        """Record the part of a span of a camera's time that lies in this window."""
        length = min(span.end, self.end) - max(span.start, self.start)
        if length <= 0 or camera not in self.config.grounds:
            return
        if span.reason is None:
            self._observed[camera] += length
        else:
            self._missed.setdefault(camera, Counter())[span.reason] += length
            self.miss(camera, span.reason)

    def miss(self, camera: str, reason: GapReason) -> None:
        """Record a reason why a camera's time was not observed."""
        for zone in self.config.grounds[camera].zones if camera in self.config.grounds else {WHOLE_SITE}:
            self._gaps.setdefault(zone, set()).add(reason)

    def observed(self, camera: str) -> float:
        """Return the share of the window that a camera observed."""
        length = self.end - self.start
        return min(self._observed[camera], length) / length

    def missed(self, camera: str) -> Counter[GapReason]:
        """Return how much of the window a camera did not observe, in ns by reason."""
        return self._missed.get(camera, Counter())

    @property
    def has_rest(self) -> bool:
        """Whether a camera that counts only for the whole site observed any part of the window."""
        return any(ground.zone == WHOLE_SITE and self._observed[name] for name, ground in self.config.grounds.items())

    def publish(self, late: Mapping[str, int], errors: Mapping[Model, ModelErrors]) -> list[WindowV1]:
        """Return the windows of all zones that have cameras, the whole site last; nothing is withheld here.

        `errors` are those of the models that are known.
        """
        known = errors.get(self.model) if self.model else None
        return [self._window(zone, cameras, late, known) for zone, cameras in self.config.zone_cameras.items()]

    def _window(self, zone: str, cameras: list[str], late: Mapping[str, int], errors: ModelErrors | None) -> WindowV1:
        tally = self._passages.get(zone, Counter())
        judged = sum(tally[verdict] for verdict in JUDGED)
        shares = [self.observed(camera) for camera in cameras]
        gaps = self._gaps.get(zone, set())
        return WindowV1(
            site=self.config.site,
            zone=zone,
            profile=self.config.profile,
            start=self.start,
            end=self.end,
            persons=judged + tally["unknown"],
            masked=tally["masked"],
            unmasked=tally["unmasked"],
            incorrect=tally["incorrect"],
            unknown=tally["unknown"],
            **rates(tally["masked"], [Judged(judged, errors)])._asdict(),
            coverage=observed(sum(shares) / len(shares)),
            cameras_ok=sum(share >= CAMERA_OK for share in shares),
            cameras_expected=len(cameras),
            gaps=[reason for reason in _REASONS if reason in gaps],
            late_total=late.get(zone, 0),
            model=self.model[0] if self.model else None,
            model_sha256=self.model[1] if self.model else None,
            model_errors=errors,
            config_sha256=self.config.sha256,
        )


class LateTotals:
    """How many faces came too late for their window, by zone, since the first window under a profile that tells it."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._since = 0
        """Late faces from before this moment (ns) are in no window's total."""

    def restore(self, windows: Iterable[WindowV1]) -> None:
        """Go on from the totals of these windows."""
        self.totals.update({window.zone: window.late_total or 0 for window in windows})

    def add(self, at: int, faces: Mapping[str, int]) -> None:
        """Add a late picture's faces by zone; the picture was taken at `at`, ns."""
        if at >= self._since:
            self.totals.update(faces)

    def correct(self, published: WindowV1) -> None:
        """Take over the total that a window had when it was published before the start."""
        if published.late_total is not None:
            self.totals[published.zone] = published.late_total

    def clear(self, at: int) -> None:
        """Forget the totals up to `at`, ns: the profile withholds them, and no later one may tell them."""
        self.totals.clear()
        self._since = at
