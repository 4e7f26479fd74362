"""What of a camera's time was observed, and why the rest was not (design §1.5)."""

from dataclasses import dataclass

from proto.public import GapReason

VOUCHES = 3
"""A picture vouches for the time up to the next one, at most this many periods."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one camera's time, ns; `reason` is None where somebody looked."""

    start: int
    end: int
    reason: GapReason | None = None


class Watch:
    """Accounts for one camera's event time, from `since` on, each moment once."""

    def __init__(self, since: int, reason: GapReason) -> None:
        self._settled, self._reach = since, since
        self._reason, self._reason_at = reason, since

    @property
    def reason(self) -> GapReason:
        """Why the camera is not observed, should the next picture be late."""
        return self._reason

    def picture(self, at: int, period: int) -> list[Span]:
        """Account for the time up to a picture; it vouches for what follows."""
        spans = self.settle(at)
        self._reach = max(self._reach, at + VOUCHES * period)
        if at >= self._reason_at:
            self._reason = "frames-lost"
        return spans

    def excuse(self, at: int, reason: GapReason) -> None:
        """Say why no picture may follow this moment; a silence that is going on gets this reason as a whole."""
        self._reason, self._reason_at = reason, at

    def turn(self, at: int, reason: GapReason) -> list[Span]:
        """Account for the time up to `at` with the reason so far; from then on this one holds."""
        spans = self.settle(at)
        self.excuse(at, reason)
        return spans

    def settle(self, to: int) -> list[Span]:
        """Account for the time up to `to`: observed as far as the last picture vouches, then a gap."""
        seen = max(self._settled, min(self._reach, to))
        spans = [Span(self._settled, seen)] if seen > self._settled else []
        if to > seen:
            spans.append(Span(seen, to, self._reason))
        self._settled = max(self._settled, to)
        return spans
