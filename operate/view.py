"""What is known of a running system from its public messages. Pure: messages in, figures out."""

from dataclasses import dataclass, field
from typing import Any

from proto.public import AlertV1, CameraV1, DeliveryV1, Lifetime, Suppression, WindowV1
from proto.types import WHOLE_SITE
from services.sites.settings import SiteSettings

SUPPRESSED: dict[Suppression, str] = {
    "small-count": "too few people to show",
    "nothing-observed": "nothing observed",
    "not-under-this-profile": "not published under this profile",
}
"""Why figures are withheld, in words."""
BUDGET_MS = 100.0
"""How long a picture may live; without a reply by then it is unconfirmed."""


@dataclass
class View:
    """The latest public message of each kind; holds nothing finer than what was published."""

    windows: dict[tuple[str, str], WindowV1] = field(default_factory=dict)
    cameras: dict[tuple[str, str], CameraV1] = field(default_factory=dict)
    alerts: dict[tuple[str, str, str], AlertV1] = field(default_factory=dict)
    lifetimes: dict[tuple[str, str], Lifetime] = field(default_factory=dict)
    """The last report of each camera that held a picture."""
    deliveries: int = 0
    _sites: list[SiteSettings] | None = None

    def keep(self, sites: list[SiteSettings]) -> None:
        """Forget cameras and zones that these settings don't have, and take no message about such a camera."""
        self._sites = sites
        zones = {(site.id, zone) for site in sites for zone in (WHOLE_SITE, *(zone.id for zone in site.zones))}
        self.windows = {place: window for place, window in self.windows.items() if place in zones}
        self.cameras = {place: camera for place, camera in self.cameras.items() if self._has(*place)}
        self.lifetimes = {place: one for place, one in self.lifetimes.items() if self._has(*place)}

    def _has(self, site: str, camera: str) -> bool:
        return self._sites is None or any(
            site == one.id and any(camera == other.id for other in one.cameras) for one in self._sites
        )

    def take(self, message: Any) -> None:
        """Count a public message."""
        if isinstance(message, WindowV1):
            self.windows[message.site, message.zone] = message
        elif isinstance(message, CameraV1) and self._has(message.site, message.camera):
            self.cameras[message.site, message.camera] = message
            if message.lifetime is not None and message.lifetime.frames:
                self.lifetimes[message.site, message.camera] = message.lifetime
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

    def lifetime(self) -> tuple[float, float] | None:
        """Return p50 and p99 of the pixel lifetime in ms: the worst live camera's, so that none hides behind another.

        Where none is live, those that were last.
        """
        live = [key for key, camera in self.cameras.items() if camera.state == "live"]
        reports = [report for key, report in self.lifetimes.items() if key in live or not live]
        if not reports:
            return None
        return max(r.p50_ms for r in reports), max(r.p99_ms for r in reports)

    def status(self) -> dict[str, Any]:
        """Return the status object of one second."""
        lifetime = self.lifetime()
        return {
            "cameras": len(self.cameras),
            "cameras_up": self.cameras_up(),
            "lifetime_ms": {"p50": lifetime[0], "p99": lifetime[1]} if lifetime else None,
            "firing": [{"site": a.site, "zone": a.zone, "rule": a.rule} for a in self.firing()],
            "mails": self.deliveries,
        }


def milliseconds(value: float) -> str:
    """Return a pixel lifetime in whole ms; a picture whose end nobody confirmed in time has none (docs/privacy.md)."""
    return f"{value:.0f}" if value <= BUDGET_MS else f"over {BUDGET_MS:.0f}"


def rate_text(window: WindowV1) -> str:
    """Return a rate with its interval as people read it, or why there is none."""
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
