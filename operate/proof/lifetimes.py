"""Pixel lifetimes as ingest's metrics have them."""

from prometheus_client.parser import text_string_to_metric_families

from operate.proof.core.verdicts import Lifetime

_METRIC = "moretta_pixel_lifetime_seconds"


def lifetime_of(page: str) -> Lifetime:
    """Return the pixel lifetimes on a page of metrics, over all cameras; the bounds in ms."""
    sums: dict[float, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples if family.name == _METRIC else ():
            if sample.name.endswith("_bucket"):
                bound = float(sample.labels["le"]) * 1_000
                sums[bound] = sums.get(bound, 0.0) + sample.value
    total = sums.pop(float("inf"), 0.0)
    return Lifetime(sums, total)
