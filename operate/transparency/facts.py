"""Computes what a site's documents state: from the settings, the profile and the table of streams. Pure.

The words are in the templates, one for each language and document; these facts are their variables.
"""

from operate.transparency.operator_texts import operator_texts
from operate.transparency.settings import ReceiverOutline, TransparencySettings
from proto.subjects import DRIFT, STREAMS
from services.kernel.settings import STAND_IN
from services.notify.notification import Audience
from services.sites.profiles import PROFILES
from services.sites.settings import CameraSettings, SiteSettings


def facts(
    site: SiteSettings, operator: TransparencySettings, receivers: list[ReceiverOutline], language: str
) -> dict[str, object]:
    """Return the variables of the templates. Durations are in seconds."""
    terms = PROFILES[site.profile]
    zones = {zone.id: zone.name or zone.id for zone in site.zones}
    rules = site.rules if terms.rules else []
    return {
        "language": language,
        "site": site,
        "name": site.name or site.id,
        "terms": terms,
        "small": max(terms.small, site.suppress_below or 0),  # with fewer passages, no number of people is shown
        "zones": zones,
        "rules": rules,
        "least": max(terms.min_persons, min((rule.min_persons for rule in rules), default=0)),
        "cameras": [_camera(camera, zones) for camera in site.cameras],
        "receivers": receivers,
        "field": _addresses(receivers, "field"),
        "operators": _addresses(receivers, "operators"),
        "streams": [one for one in STREAMS if one.name != DRIFT.stream or terms.figures is None],
        "kept": {one.name: one.max_age_s for one in STREAMS},
        "operator": operator_texts(operator, language),
    }


def _camera(camera: CameraSettings, zones: dict[str, str]) -> dict[str, object]:
    seen = dict.fromkeys([camera.zone, *(part.zone for part in camera.zone_areas)])
    return {
        "id": camera.id,
        "zones": [zones[zone] for zone in seen if zone is not None],
        "source": _source(camera),
        "fps": camera.fps,
        "areas": len(camera.privacy.areas) if camera.privacy else 0,
        "rests": camera.rests,
    }


def _source(camera: CameraSettings) -> str:
    """Return how a camera's pictures come, and whether they are encrypted; never its address."""
    scheme = camera.url.partition(":")[0].lower()
    if camera.is_peer:
        return "peer"
    if scheme in {"rtsps", "https"}:
        return "encrypted" if camera.tls_verify else "not authenticated"
    if scheme in {"rtsp", "http"}:
        return "not encrypted"
    return "file" if camera.url == STAND_IN else "local"


def _addresses(receivers: list[ReceiverOutline], audience: Audience) -> int:
    return sum(count for one in receivers if one.audience == audience for _, count in one.channels())
