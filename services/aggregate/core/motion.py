"""Constant-velocity Kalman filter of a face's centre (Kalman 1960; the white-acceleration model of Bar-Shalom et al.,
"Estimation with Applications to Tracking and Navigation", 2001, §6.2).

x and y have the same noise, so one 2x2 covariance serves both. All noise scales with the face's size: a face twice as
near moves twice as many picture widths, and so does its detector's jitter.
"""

from dataclasses import dataclass

from services.aggregate.core.geometry import Location

JITTER = 0.25
"""Standard deviation of a measured centre, in face sizes: the detector's, and that of heads that nod and bob."""
SPEED = 5.0
"""Standard deviation of an unknown velocity, in face sizes a second: at 5 pictures a second people move 1-2 sizes."""
ACCELERATION = 2.5
"""Square root of the spectral density of the acceleration, in face sizes a second^1.5."""
_SIZE_GAIN = 0.5


@dataclass(slots=True)
class Motion:
    """Position, velocity and their covariance [[a, b], [b, c]], in picture widths and seconds."""

    x: float
    y: float
    size: float
    vx: float
    vy: float
    a: float
    b: float
    c: float

    @classmethod
    def start(cls, seen: Location) -> "Motion":
        """Return the motion of a face seen once: somewhere here, at an unknown velocity."""
        return cls(seen.x, seen.y, seen.size, 0.0, 0.0, (JITTER * seen.size) ** 2, 0.0, (SPEED * seen.size) ** 2)

    def predict(self, seconds: float) -> None:
        """Move on by a time."""
        self.x += self.vx * seconds
        self.y += self.vy * seconds
        q = (ACCELERATION * self.size) ** 2 * seconds
        self.a += seconds * (2 * self.b + seconds * (self.c + q / 3))
        self.b += seconds * (self.c + q / 2)
        self.c += q

    def correct(self, seen: Location) -> None:
        """Take a measurement in."""
        spread = self.a + (JITTER * seen.size) ** 2
        gain_x, gain_v = self.a / spread, self.b / spread
        dx, dy = seen.x - self.x, seen.y - self.y
        self.x += gain_x * dx
        self.y += gain_x * dy
        self.vx += gain_v * dx
        self.vy += gain_v * dy
        self.c -= gain_v * self.b
        self.b -= gain_x * self.b
        self.a -= gain_x * self.a
        self.size += _SIZE_GAIN * (seen.size - self.size)
