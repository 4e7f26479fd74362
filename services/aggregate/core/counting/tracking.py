"""One camera's tracker: links the sightings of the same passer-by, from geometry alone.

Each picture's faces are matched with the tracks by one optimal assignment (Jonker & Volgenant 1987, as in scipy);
ByteTrack's second one, for weak detections, had none to match (ADR 16). Pictures come every 200 ms. Between two of them
a face may move by two of its sizes, so boxes need not overlap. A match depends on how well a place fits the track, as a
log-likelihood.
"""

from collections.abc import Sequence

from scipy.optimize import linear_sum_assignment

from proto.sightings import SightingV1
from services.aggregate.core.counting.motion import gains
from services.aggregate.core.counting.portraits import Portraits
from services.aggregate.core.counting.track import PLAIN, LocatedFace, Track, TrackedPicture, faces_of
from services.aggregate.core.ground import Ground

_SECOND = 1e-9


class Tracker:
    """The open tracks of one camera. Results depend on the pictures alone, not on the order of faces in them."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._now: int | None = None
        """When the last picture was taken, ns."""
        self._before: int | None = None
        """When the one before it was."""

    def step(
        self,
        at: int,
        aspect: float,
        faces: Sequence[SightingV1],
        model: str,
        max_gap: int,
        ground: Ground = PLAIN,
    ) -> list[Track]:
        """Process one picture; return the tracks that ended before it.

        A track ends if it was unseen for more than `max_gap` ns (longer if the person waited), or is out of the picture
        by now. A picture older than the last one (a new lease on a host whose clock is behind) ends every track.
        `ground` holds the picture's zone areas and counting line.
        """
        is_older = self._now is not None and at < self._now
        ended = self._end([t for t in self._tracks if is_older or t.is_lost(at, max_gap)])
        self._predict(at)
        ended += self._end([t for t in self._tracks if t.is_out(aspect) or t.has_gone_over()])
        portraits = Portraits(self._tracks, at, self._before)
        picture = TrackedPicture(at, aspect, model, ground, portraits.places)
        others = portraits.others(self._tracks)
        unmatched = _match(picture, others, portraits.take_out(picture, faces_of(faces, aspect)))
        self._tracks += [Track.begin(picture, face) for face in portraits.without_outliers(picture, unmatched)]
        return ended

    def close_before(self, end: int | None) -> list[Track]:
        """End the tracks last seen before `end` (None: all) and return them, oldest first; portraits stay longer."""
        return self._end([t for t in self._tracks if end is None or t.has_ended(end)])

    def _end(self, over: list[Track]) -> list[Track]:
        if over:
            ended = set(map(id, over))
            self._tracks = [track for track in self._tracks if id(track) not in ended]
        return over

    def _predict(self, at: int) -> None:
        seconds = 0.0 if self._now is None else max(0, at - self._now) * _SECOND
        self._before, self._now = self._now, at
        for track in self._tracks:
            track.predict(seconds)


def _match(picture: TrackedPicture, tracks: list[Track], faces: list[LocatedFace]) -> list[LocatedFace]:
    """Match tracks with faces; return the unmatched faces, in their order."""
    if not tracks or not faces:
        return faces
    unseen = [max(0, picture.at - t.last) * _SECOND for t in tracks]
    explained, restarts = gains(tracks, unseen, [f.place for f in faces])
    for i, track in enumerate(tracks):
        if track.is_portrait:  # it is nowhere else
            explained[i] *= [track.stillness.is_near(face.place) for face in faces]
    rows, columns = linear_sum_assignment(explained, maximize=True)
    pairs = [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if explained[i, j] > 0]
    for i, j in pairs:
        tracks[i].match(picture, faces[j], restarts=bool(restarts[i, j]))
    used = {j for _, j in pairs}
    return [face for j, face in enumerate(faces) if j not in used]
