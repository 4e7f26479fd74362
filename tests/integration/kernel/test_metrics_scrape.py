"""What a scrape of the four real services finds: every metric that is written down, and no value that is not."""

from pathlib import Path

import pytest
from clips import make_clip
from patience import wait_until
from prometheus_client.parser import text_string_to_metric_families
from site_process import Site

import metrics_table as table

SERVICES = ("aggregate", "notify", "inference", "ingest")
PROCESS = {"process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"}


@pytest.fixture(name="site")
def _site(tmp_path: Path):
    site = Site(tmp_path, cold=True)  # each has its own metrics only
    site.server.start()
    yield site
    site.close()


def pages(services: dict) -> dict[str, list]:
    return {name: list(text_string_to_metric_families(s.get("/metrics")[1])) for name, s in services.items()}


def test_every_metric_is_there_and_says_only_what_is_written_down(site, tmp_path):
    """Each name of docs/metrics.md at each service that it names, memory also in the sandbox, and no processor time.

    Labels have the ids of the settings, or words of the enums. A site that goes takes its series with it.
    """
    cameras = [{"id": "door", "url": str(make_clip(tmp_path / "clip.mp4", fps=5, pictures=10)), "loop": True}]
    places = [{"id": "market", "profile": "lab", "window_s": 2, "lateness_s": 0.5, "cameras": cameras,
               "tracking": {"max_gap_s": 0.5}}, {"id": "hall"}]  # fmt: skip
    settings = {
        "sites": places, "notify": {"salt": "s3cret-salt-0123456789"},
        "aggregate": {"tick_s": 0.2, "publish_metrics": True},
        "ingest": {"web": {"host": "127.0.0.1", "port": 0}},
    }  # fmt: skip
    site.write(settings)
    everything = table.everything()  # each service in a Python of its own: not while these run
    services = {name: site.start(name) for name in SERVICES}
    wait_until(lambda: all(s.running for s in services.values()), "all run", 60)
    wait_until(
        lambda: services["ingest"].metric("moretta_ingest_frames_total", outcome="done") > 3,
        "pictures",
        60,
        every_s=0.2,
    )
    aggregate = services["aggregate"]
    wait_until(
        lambda: aggregate.metric("moretta_aggregate_window_delay_seconds_count", site="market") > 1, "windows", 60
    )
    wait_until(lambda: aggregate.metric("moretta_stream_bytes", stream="WINDOWS") > 0, "streams", 60)
    coverage = lambda: aggregate.metric("moretta_window_coverage_ratio", site="market", zone="_site")  # noqa: E731
    wait_until(lambda: coverage() > 0, "a window that was observed", 60)
    found = pages(services)
    for metric in everything:
        for name in metric.services:
            assert metric.name in {f.name for f in found[name]} | {
                f"{f.name}".removesuffix("_info") for f in found[name]
            }
    known = {metric.name: metric for metric in everything}
    ids = {"site": {"market", "hall"}, "camera": {"door"}}
    for name, families in found.items():
        assert {f.name for f in families} >= PROCESS
        assert not any(f.name.startswith(("python_gc", "process_cpu")) for f in families), "both follow the faces"
        for family in families:
            metric = known.get(family.name) or known.get(family.name.removesuffix("_info"))
            for sample in family.samples if family.name.startswith("moretta_") else ():
                assert metric is not None
                assert name in metric.services
                for label, value in sample.labels.items():
                    allowed = set() if label == "le" else table.values_of(metric.name, label)
                    assert label == "le" or value in ids.get(label, allowed) or isinstance(allowed, str), (label, value)
    site.write({**settings, "sites": places[1:]})
    deciding = [services[name] for name in ("ingest", "inference", "aggregate")]  # notify goes on with what was told
    left = lambda: [line for s in deciding for line in s.get("/metrics")[1].splitlines() if "market" in line]  # noqa: E731
    wait_until(lambda: not left(), lambda: f"the site is gone: {left()}", 30)
    assert aggregate.metric("moretta_aggregate_window_end_timestamp_seconds", site="hall") > 0
    assert all(service.metric("moretta_build_info") == 1 for service in services.values())
