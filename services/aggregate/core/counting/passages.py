"""Which ended track is a passage, and the passage's id: its place in the stream (ADR 7)."""

from collections.abc import Iterable
from dataclasses import dataclass

from proto.sightings import CODES, PassageV1
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.counting.track import PLAIN, Track
from services.aggregate.core.exchange import StoredMessage


@dataclass(frozen=True, slots=True)
class ReplayMark:
    """How far the stored passages of a stream go. They are stored in order, so a replay repeats those up to this mark.

    A cluster may make a new memory stream with the old one's creation time; event time tells them apart. Where the
    stream of passages is full, it has dropped some: then only those count as stored that were read.
    """

    created: int = 0
    last: tuple[int, int] = (0, 0)
    """The largest (sequence, index)."""
    at: int = 0
    read: frozenset[tuple[int, int]] | None = None
    """Those that were read; None if none was dropped."""

    @classmethod
    def of(cls, passages: Iterable[PassageV1], created: int, *, whole: bool = True) -> "ReplayMark":
        """Return the mark from the stored passages of the stream with this creation time; `whole`: none was dropped."""
        own = [p for p in passages if p.stream_created == created]
        if not own:
            return cls()
        read = frozenset((p.stream_sequence, p.index) for p in own)
        return cls(created, max(read), max(p.at for p in own), None if whole else read)

    def covers(self, passage: PassageV1) -> bool:
        """Return whether a passage was stored before the start, and its window counts it."""
        place = (passage.stream_sequence, passage.index)
        known = place <= self.last if self.read is None else place in self.read
        return passage.stream_created == self.created and known and passage.at <= self.at


class PassageWriter:
    """Writes the passages of a site. Those that were stored before the start get the same ids again."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._id = (0, 0, 0)
        """Of the next passage: the stream's creation time, the message's sequence, and an index within that message."""
        self._mark = ReplayMark()

    def begin(self, stored: Iterable[PassageV1], created: int, *, whole: bool) -> None:
        """Begin with the stream that was created then (ns); `stored` are the passages before the start.

        `whole` says that the stream of passages has dropped none of those that open windows count.
        """
        self._mark = ReplayMark.of(stored, created, whole=whole)

    def turn_to(self, message: StoredMessage) -> None:
        """Number passages by this message from now on."""
        self._id = (message.stream_created, message.sequence, 0)

    def passage(self, camera: str, track: Track, config: SiteConfig) -> PassageV1 | None:
        """Return the passage that a track was, or None: too few sightings, too small a face, or the line not crossed.

        `config` is in force when the track was seen last.
        """
        ground = config.grounds.get(camera, PLAIN)
        person = track.collect()
        if person.hits < config.tracking.min_hits or not ground.confirms(person.largest, track.net):
            return None
        created, sequence, index = self._id
        self._id = (created, sequence, index + 1)
        return PassageV1(
            site=self._site,
            camera=camera,
            zone=person.zone if person.zone in config.zone_cameras else ground.zone,
            code=CODES[person.evidence.verdict()],
            at=track.last,
            stream_created=created,
            stream_sequence=sequence,
            index=index,
        )

    def is_stored(self, passage: PassageV1) -> bool:
        """Return whether a passage was stored before the start, and its window counts it."""
        return self._mark.covers(passage)
