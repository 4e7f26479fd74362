"""A service's page of metrics, and what the doctor reads off it."""

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from operate.doctor.core import judged
from operate.doctor.core.findings import Finding, fail

_TIMEOUT_S = 10.0
_STAYED = "moretta_drift_stayed_share"


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


async def staying(url: str) -> list[Finding]:
    """Return whether cameras count people who neither come nor go, by the metrics of aggregate at `url`."""
    try:
        shares = stayed_of(await page(url))
    except NoMetrics as error:
        return [fail("who stays", f"no metrics from there: {error}", "is --metrics aggregate's /metrics?")]
    return judged.staying(shares)


def stayed_of(text: str) -> dict[tuple[str, str], float]:
    """Return by site and camera which share of yesterday's passages stayed; NoMetrics if it is no page of metrics."""
    try:
        return {
            (sample.labels["site"], sample.labels["camera"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if family.name == _STAYED and sample.labels.get("day") == "yesterday"
        }
    except (ValueError, KeyError) as error:  # its text would quote the page
        raise NoMetrics(type(error).__name__) from None
