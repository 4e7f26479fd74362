"""Which cameras there should be, as a metric."""

from prometheus_client import REGISTRY

from services.sites import metrics
from services.sites.settings import CameraSettings, SiteSettings


def told() -> set[tuple[str, str]]:
    return {
        (sample.labels["site"], sample.labels["camera"])
        for family in REGISTRY.collect()
        if family.name == "moretta_camera_configured"
        for sample in family.samples
    }


def site(name: str, *cameras: str, ends: bool = False) -> SiteSettings:
    return SiteSettings(
        id=name, cameras=[CameraSettings(id=one, url=f"{one}.mp4") for one in cameras], close_on_end=ends
    )


def test_the_cameras_of_the_settings_are_told_and_no_others():
    """What is taken out of the settings is told no more; recordings end by themselves, and are no camera to miss."""
    metrics.update([site("forville", "gate", "hall"), site("films", "one", ends=True)])
    assert told() == {("forville", "gate"), ("forville", "hall")}
    metrics.update([site("forville", "gate"), site("station", "hall")])
    assert told() == {("forville", "gate"), ("station", "hall")}
    metrics.update([])
    assert told() == set()
