"""The state of a running system, built from its public messages. Pure: messages in, figures out."""

from dataclasses import dataclass, field
from typing import Any

from proto.public import AlertV1, CameraV1, DeliveryV1, Suppression, WindowV1
from proto.types import WHOLE_SITE
from services.sites.settings import SiteSettings

SUPPRESSED: dict[Suppression, str] = {
    "small-count": "too few people to show",
    "nothing-observed": "nothing observed",
    "not-under-this-profile": "not published under this profile",
}
"""Why figures are withheld, in words."""


@dataclass
class LiveState:
    """The latest public message of each kind; it holds no more detail than was published."""

    windows: dict[tuple[str, str], WindowV1] = field(default_factory=dict)
    cameras: dict[tuple[str, str], CameraV1] = field(default_factory=dict)
    alerts: dict[tuple[str, str, str], AlertV1] = field(default_factory=dict)
    deliveries: int = 0
    _sites: list[SiteSettings] | None = None

    def keep(self, sites: list[SiteSettings]) -> None:
        """Forget cameras, zones and rules that are not in these settings; ignore later messages about such a camera."""
        self._sites = sites
        zones = {(site.id, zone) for site in sites for zone in (WHOLE_SITE, *(zone.id for zone in site.zones))}
        self.windows = {place: window for place, window in self.windows.items() if place in zones}
        self.cameras = {place: camera for place, camera in self.cameras.items() if self._has(*place)}
        self.alerts = {place: alert for place, alert in self.alerts.items() if self._judges(*place)}

    def _judges(self, site: str, zone: str, rule: str) -> bool:
        return self._sites is None or any(site == one.id and one.rule(zone, rule) is not None for one in self._sites)

    def _has(self, site: str, camera: str) -> bool:
        return self._sites is None or any(
            site == one.id and any(camera == other.id for other in one.cameras) for one in self._sites
        )

    def recall(self, message: AlertV1) -> None:
        """Take an alert of before, which may still fire, unless a later one of the same rule came.

        Nobody ends an alert whose rule the settings no longer have: that one is left out.
        """
        place = message.site, message.zone, message.rule
        if self._judges(*place):
            self.alerts.setdefault(place, message)

    def take(self, message: Any) -> None:
        """Count a public message."""
        if isinstance(message, WindowV1):
            self.windows[message.site, message.zone] = message
        elif isinstance(message, CameraV1) and self._has(message.site, message.camera):
            self.cameras[message.site, message.camera] = message
        elif isinstance(message, AlertV1):
            self.alerts[message.site, message.zone, message.rule] = message
        elif isinstance(message, DeliveryV1) and message.outcome == "sent":
            self.deliveries += 1

    def cameras_up(self) -> int:
        """Return how many cameras are live."""
        return sum(camera.state == "live" for camera in self.cameras.values())

    def firing(self) -> list[AlertV1]:
        """Return the alerts that fire."""
        return [alert for alert in self.alerts.values() if alert.state == "firing"]

    def late(self) -> tuple[int, int] | None:
        """Return how many pictures lived too long, at most, and of how many: in the last window of the worst camera.

        None before a window with a picture has ended.
        """
        lifetimes = [one for camera in self.cameras.values() if (one := camera.lifetime) is not None and one.pictures]
        if not lifetimes:
            return None
        worst = max(lifetimes, key=lambda one: one.late / one.pictures)
        return worst.late, worst.pictures

    def status(self) -> dict[str, Any]:
        """Return the status object of one second."""
        late = self.late()
        return {
            "cameras": len(self.cameras),
            "cameras_up": self.cameras_up(),
            "late": {"at_most": late[0], "pictures": late[1]} if late else None,
            "firing": [{"site": a.site, "zone": a.zone, "rule": a.rule} for a in self.firing()],
            "mails": self.deliveries,
        }


def rate_text(window: WindowV1) -> str:
    """Return a rate with its interval as text, or the reason why there is none."""
    if window.suppressed is not None:
        return SUPPRESSED[window.suppressed]
    if window.rate is None:
        return "nobody judged" if window.persons else "nobody"
    text = f"{window.rate:.0%}"
    return f"{text} ({window.interval[0]:.0%} to {window.interval[1]:.0%})" if window.interval else text


def count_text(count: int | None) -> str:
    """Return a count, or a dash where the profile withholds it."""
    return "–" if count is None else str(count)


def share_text(share: float | None) -> str:
    """Return a share in percent, or a dash where the profile withholds it."""
    return "–" if share is None else f"{share:.0%}"
