"""Which parts of a camera's time were observed, and the reasons for the gaps (ADR 7)."""

from dataclasses import dataclass
from itertools import pairwise

from proto.public import GapReason

VOUCHES = 3
"""A picture counts as observation up to the next one, for at most this many sampling periods."""


@dataclass(frozen=True, slots=True)
class CoverageSpan:
    """A piece of one camera's time, ns; `reason` is None if the camera observed."""

    start: int
    end: int
    reason: GapReason | None = None


class Coverage:
    """Accounts for one camera's event time from `since` on, each moment once.

    Pictures mark time as observed at once; gaps are decided only when a window closes. So a camera whose clock was
    ahead for a while loses none of the time that it goes through again.
    """

    def __init__(self, since: int, reason: GapReason) -> None:
        self._settled = self._turned = since
        self._seen: list[tuple[int, int]] = []
        """Observed pieces of time that are not settled yet: in order, with gaps between them."""
        self._why: list[tuple[int, GapReason]] = [(since, reason)]
        """Reasons for possible gaps, each with the moment from which it holds."""

    @property
    def reason(self) -> GapReason:
        """The reason that a gap will get if the next picture is late."""
        return self._why[-1][1]

    def picture(self, at: int, period: int) -> None:
        """Count the time after a picture as observed, for at most `VOUCHES` periods."""
        self._see(at, at + VOUCHES * period)
        if self._reason_at(at) != "frames-lost":
            self._set_reason(at, at, "frames-lost")

    def excuse(self, at: int, reason: GapReason) -> None:
        """Set the reason for a gap that may follow this moment; a gap in progress gets this reason as a whole."""
        if any(start <= at < end for start, end in self._seen):
            self._set_reason(at, at, reason)
            return
        silent = max((end for _, end in self._seen if end <= at), default=self._settled)
        self._set_reason(min(at, max(silent, self._turned)), at, reason)

    def turn(self, at: int, reason: GapReason) -> None:
        """Set the reason for gaps from this moment on; reasons for earlier time stay."""
        self._turned = at
        self._why = [entry for entry in self._why if entry[0] < at] + [(at, reason)]

    def settle(self, to: int) -> list[CoverageSpan]:
        """Return the time up to `to` as observed spans and gaps, and settle it."""
        spans, at, to = list[CoverageSpan](), self._settled, max(to, self._settled)
        for start, end in self._seen:
            if end > at and start < to:
                spans += [*self._gap(at, start), CoverageSpan(max(at, start), min(end, to))]
                at = min(end, to)
        spans += self._gap(at, to)
        self._settled = to
        self._seen = [piece for piece in self._seen if piece[1] > to]
        old = sum(at <= to for at, _ in self._why) - 1
        del self._why[: max(0, old)]
        return spans

    def _reason_at(self, moment: int) -> GapReason:
        return next((why for at, why in reversed(self._why) if at <= moment), self._why[0][1])

    def _gap(self, start: int, end: int) -> list[CoverageSpan]:
        borders = [start, *(at for at, _ in self._why if start < at < end), end]
        return [CoverageSpan(one, two, self._reason_at(one)) for one, two in pairwise(borders) if one < two]

    def _set_reason(self, since: int, until: int, reason: GapReason) -> None:
        """Apply a reason from `since` on; it replaces those that begin from then up to `until`."""
        later = list[tuple[int, GapReason]]()
        while self._why and self._why[-1][0] >= since:
            entry = self._why.pop()
            if entry[0] > until:
                later.insert(0, entry)
        if self._why and self._is_seen_between(self._why[-1][0], since):
            self._why.pop()  # else the list would grow with each picture when two models analyse a camera in turn
        self._why += [(since, reason), *later]

    def _is_seen_between(self, start: int, end: int) -> bool:
        return bool(self._seen) and self._seen[-1][0] <= start and end <= self._seen[-1][1]

    def _see(self, start: int, end: int) -> None:
        if not self._seen or start > self._seen[-1][1]:  # nearly always this branch or the next one
            self._seen.append((start, end))
        elif start >= self._seen[-1][0]:
            self._seen[-1] = self._seen[-1][0], max(end, self._seen[-1][1])
        else:
            apart = [piece for piece in self._seen if piece[1] < start or piece[0] > end]
            touched = [(start, end), *(piece for piece in self._seen if piece not in apart)]
            self._seen = sorted([*apart, (min(a for a, _ in touched), max(b for _, b in touched))])
