"""A service's page of metrics, and what the doctor reads off it."""

from collections.abc import Mapping

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from operate.doctor.core import judged
from operate.doctor.core.findings import Finding, fail
from operate.doctor.core.judged import SiteCamera

_TIMEOUT_S = 10.0
_STAYED = "moretta_drift_stayed_share"
_SIZE = "moretta_drift_size_pixels"


class NoMetrics(Exception):
    """No page of metrics is there; the text names the kind of error, never an address."""


async def page(url: str) -> str:
    """Return the page at a URL; NoMetrics if there is none."""
    try:
        limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=limit, raise_for_status=True) as session, session.get(url) as answer:
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise NoMetrics(type(error).__name__) from None


async def of_yesterday(url: str, long_sides: Mapping[SiteCamera, int]) -> list[Finding]:
    """Return what aggregate's metrics at `url` say of each camera's yesterday: who stayed, and sizes of faces.

    `long_sides` is the longer side of each camera's analysed picture (px).
    """
    try:
        text = await page(url)
        return [*judged.staying(stayed_of(text)), *judged.face_sizes(small_faces_of(text), long_sides)]
    except NoMetrics as error:
        return [fail("who stays", f"no metrics from there: {error}", "is --metrics aggregate's /metrics?")]


def stayed_of(text: str) -> dict[SiteCamera, float]:
    """Return by camera which share of yesterday's passages stayed; NoMetrics if it is no page of metrics."""
    return _by_camera(text, _STAYED)


def small_faces_of(text: str) -> dict[SiteCamera, float]:
    """Return by camera the size (px) that nine of ten of yesterday's faces had; NoMetrics if it is no such page."""
    return _by_camera(text, _SIZE, quantile="0.1")


def _by_camera(text: str, name: str, **labels: str) -> dict[SiteCamera, float]:
    wanted = labels | {"day": "yesterday"}

    def is_wanted(sample: Sample) -> bool:
        return all(sample.labels.get(label) == value for label, value in wanted.items())

    try:
        return {
            (sample.labels["site"], sample.labels["camera"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if family.name == name and is_wanted(sample)
        }
    except (ValueError, KeyError) as error:  # its text would quote the page
        raise NoMetrics(type(error).__name__) from None
