"""How many lanes of a worker are used: more while they are full, fewer while the cores have other work.

A second lane takes load off the first only where a core is idle. Where decoding has the cores, two lanes get in each
other's way (docs/capacity.md, "What was tried"). Lanes notice: by the clock, their work then takes longer beside the
processor's time than it did with one lane fewer. If it takes twice as long, two do no more than one. That holds in a
container with a share of the cores, too, whose host's idle time says nothing.
"""

from dataclasses import dataclass

SECOND_NS = 1_000_000_000
FULL = 0.7
"""Above this share of time that the lanes in use are busy, one more is used."""
_ROOMY = 0.5
"""Below this share of time that one lane fewer would be busy, one fewer is used."""
NO_GAIN = 1.7
"""From this factor on, work with one lane more takes so much longer that it is no gain; at 2, two do what one did."""
_AGAIN_NS = 30 * SECOND_NS
_LONGEST_NS = 600 * SECOND_NS


@dataclass(slots=True)
class Width:
    """Decides once a second, from the lanes' work since the last time. At most `most` lanes, at least one."""

    most: int
    now: int = 1
    _since: int = 0
    _clock_ns: int = 0
    _cpu_ns: int = 0
    _before: float = 1.0
    """By how much work was slowed with one lane fewer, when last seen."""
    _not_before: int = 0
    _pause_ns: int = _AGAIN_NS

    def done(self, clock_ns: int, cpu_ns: int, at: int) -> None:
        """Count a frame that took this long by the clock and by the processor's time; `at` is now, ns."""
        self._clock_ns += clock_ns
        self._cpu_ns += cpu_ns
        passed = at - self._since
        if passed < SECOND_NS:
            return
        # After a pause without frames the share is low, as it was.
        self._decide(self._clock_ns / passed, self._clock_ns / max(1, self._cpu_ns), at)
        self._since, self._clock_ns, self._cpu_ns = at, 0, 0

    def _decide(self, busy: float, slowed: float, at: int) -> None:
        """`busy` is of one lane: with two it may be 2. `slowed` is the clock's time over the processor's."""
        if self.now > 1 and slowed > NO_GAIN * self._before:
            self.now -= 1
            self._not_before = at + self._pause_ns
            self._pause_ns = min(2 * self._pause_ns, _LONGEST_NS)
        elif busy > FULL * self.now and self.now < self.most and at >= self._not_before:
            self.now, self._before = self.now + 1, slowed
        elif self.now > 1 and busy < _ROOMY * (self.now - 1):
            self.now -= 1
            self._pause_ns = _AGAIN_NS
