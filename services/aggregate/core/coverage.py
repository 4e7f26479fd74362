"""What of a camera's time was observed, and why the rest was not (ADR 7)."""

from dataclasses import dataclass
from itertools import pairwise

from proto.public import GapReason

VOUCHES = 3
"""A picture vouches for the time up to the next one, at most this many periods."""


@dataclass(frozen=True, slots=True)
class CoverageSpan:
    """A piece of one camera's time, ns; `reason` is None where somebody looked."""

    start: int
    end: int
    reason: GapReason | None = None


class Watch:
    """Accounts for one camera's event time, from `since` on, each moment once.

    What was observed is known when pictures come; that the rest was not, only when a window closes. So a camera whose
    clock was ahead for a while has lost nothing of the time that it goes through again.
    """

    def __init__(self, since: int, reason: GapReason) -> None:
        self._settled = self._turned = since
        self._seen: list[tuple[int, int]] = []
        """What pictures vouch for and is not settled: in order, with gaps between."""
        self._why: list[tuple[int, GapReason]] = [(since, reason)]
        """Why nothing is seen, should that be so, by the moment from which on."""

    @property
    def reason(self) -> GapReason:
        """Why the camera is not observed, should the next picture be late."""
        return self._why[-1][1]

    def picture(self, at: int, period: int) -> None:
        """A picture vouches for what follows."""
        self._see(at, at + VOUCHES * period)
        if self._reason_at(at) != "frames-lost":
            self._say(at, at, "frames-lost")

    def excuse(self, at: int, reason: GapReason) -> None:
        """Say why no picture may follow this moment; a silence that is going on gets this reason as a whole."""
        if any(start <= at < end for start, end in self._seen):
            self._say(at, at, reason)
            return
        silent = max((end for _, end in self._seen if end <= at), default=self._settled)
        self._say(min(at, max(silent, self._turned)), at, reason)

    def turn(self, at: int, reason: GapReason) -> None:
        """Say why no picture follows from this moment on; what was said of the time before holds."""
        self._turned = at
        self._why = [entry for entry in self._why if entry[0] < at] + [(at, reason)]

    def settle(self, to: int) -> list[CoverageSpan]:
        """Account for the time up to `to`: observed as far as pictures vouch, gaps between."""
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

    def _say(self, since: int, until: int, reason: GapReason) -> None:
        """Let a reason hold from `since` on, in place of others up to `until`."""
        later = list[tuple[int, GapReason]]()
        while self._why and self._why[-1][0] >= since:
            entry = self._why.pop()
            if entry[0] > until:
                later.insert(0, entry)
        if self._why and self._is_seen_between(self._why[-1][0], since):
            self._why.pop()  # or it would be kept for each picture of a camera that two models look at in turn
        self._why += [(since, reason), *later]

    def _is_seen_between(self, start: int, end: int) -> bool:
        return bool(self._seen) and self._seen[-1][0] <= start and end <= self._seen[-1][1]

    def _see(self, start: int, end: int) -> None:
        if not self._seen or start > self._seen[-1][1]:  # as nearly always, and the next one
            self._seen.append((start, end))
        elif start >= self._seen[-1][0]:
            self._seen[-1] = self._seen[-1][0], max(end, self._seen[-1][1])
        else:
            apart = [piece for piece in self._seen if piece[1] < start or piece[0] > end]
            touched = [(start, end), *(piece for piece in self._seen if piece not in apart)]
            self._seen = sorted([*apart, (min(a for a, _ in touched), max(b for _, b in touched))])
