"""Prometheus and Alertmanager beside the running system, as docs/other-systems.md and the recipes have them."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import alerting
import pytest
import yaml
from alerting import alertmanager, recipe
from free_ports import in_a_row
from http_peer import HttpPeer
from market import market_film
from patience import until
from recipes import FOLDER, Recipe
from up_process import UpProcess

SEED = 9
LIMIT_S = 120
OURS, OF_RATES, OF_SYSTEM = {"few-masks", "camera-down"}, "MaskRateLow", "MorettaCameraCoverageBudgetBurns"
"""Moretta's own alerts; Prometheus' of published rates; one of k8s/moretta/files/rules.yaml."""
FIGURES = ("rate_ratio", "rate_low_ratio", "rate_high_ratio", "persons", "coverage_ratio")


def settings(clip: Path, ports: dict[int, int], **changes: object) -> str:
    """A site where nobody wears a mask, with a camera that is not there; told and shown as the recipes have it."""
    rule = {"id": "few-masks", "fire_below": 0.9, "clear_above": 0.95, "for_windows": 1, "min_persons": 1}
    cameras = [{"id": "gate", "url": str(clip), "loop": True}, {"id": "gone", "url": "rtsp://127.0.0.1:1/none"}]
    site = {"id": "forville", "profile": "lab", "window_s": 4, "lateness_s": 1, "cameras": cameras, "rules": [rule]}
    told = yaml.safe_load(recipe("alertmanager.settings.yaml", ports))
    shown = {"probes": {"port": ports[9101]}, "aggregate": {"publish_metrics": True}, "ingest": {"report_s": 1}}
    return yaml.safe_dump({"sites": [{**site, **changes}], **shown, **told})


async def holds(condition: Callable[[], object], what: Callable[[], object]) -> None:
    """Wait beside the loop, on which the peer answers; a server may not answer at once."""
    await until(lambda: asyncio.to_thread(condition), what, LIMIT_S, every_s=0.3, ignoring=(OSError,))


def received(peer: HttpPeer) -> set[tuple[str, str]]:
    """Name and state of each alert that Alertmanager has sent to the staff's server."""
    return {(a["labels"]["alertname"], a["status"]) for got in peer.got for a in json.loads(got.body)["alerts"]}


def as_published(watching: alerting.Prometheus, up: UpProcess) -> bool:
    """Whether Prometheus has a window of the bus, with each of its figures; one that was not published it never has."""
    found = watching.values('{__name__=~"moretta_window_.*", zone="_site"}')
    said = {labels["__name__"].removeprefix("moretta_window_"): value for labels, value in found}
    window = next((w for w in up.windows() if w["end"] / 1e9 == said.get("end_timestamp_seconds")), None)
    if window is None or window["rate"] is None:
        return False
    told = (window["rate"], *window["interval"], window["persons"], window["coverage"])
    assert tuple(said[name] for name in FIGURES) == told
    return True


@contextlib.contextmanager
def running(folder: Path, ports: dict[int, int], clip: Path):
    """The pair, the recipe between Moretta and it, and Moretta."""
    environment = {"PORT": str(ports[9099]), "ALERTMANAGER_URL": f"http://127.0.0.1:{ports[9093]}"}
    file = folder / "site.yaml"
    file.write_text(settings(clip, ports))
    with (
        alertmanager(folder, recipe("alertmanager.yml", ports), ports[9093]) as pair,
        alerting.Prometheus(folder, ports) as watching,
        Recipe(f"{sys.executable} -W error to_alertmanager.py", FOLDER, environment) as between,
    ):
        between.listening()
        up = UpProcess(["-c", str(file), "--temporary"]).start()
        try:
            yield pair, watching, between, up
        finally:
            up.stop()


@pytest.mark.timeout(5 * LIMIT_S)
@pytest.mark.first
async def test_alerts_of_both_are_in_one_alertmanager(tmp_path):
    """Prometheus has the published windows, and its alerts and Moretta's reach Alertmanager and the staff's server;
    when Moretta's is resolved it is over there too.
    """
    alerting.require()
    clip = market_film(tmp_path / "people.mp4", (12, 0.0), seed=SEED)
    first = in_a_row(7)
    ports = dict(zip((9101, 9102, 9103, 9104, 9093, 9099), range(first, first + 6), strict=True))
    async with HttpPeer() as peer:
        ports[9098] = peer.port
        with running(tmp_path, ports, clip) as (pair, watching, between, up):
            wanted = {(name, "firing") for name in (*OURS, OF_RATES, OF_SYSTEM)}
            await holds(lambda: wanted <= received(peer), lambda: (received(peer), between.words, up.words[-10:]))
            await holds(lambda: as_published(watching, up), lambda: watching.values("moretta_window_persons"))
            seen: list[dict] = []

            def all_fire() -> bool:
                """Whether Alertmanager has all of them at once; Prometheus's ends and begins again with the windows."""
                seen[:] = [pair.alerts()]
                return seen[0].keys() >= {*OURS, OF_RATES, OF_SYSTEM}

            await holds(all_fire, lambda: seen)
            told(seen[0], up)
            (tmp_path / "site.yaml").write_text(settings(clip, ports, rules=[]))
            await holds(lambda: ("few-masks", "resolved") in received(peer), lambda: received(peer))
            await holds(lambda: "few-masks" not in pair.alerts(), pair.alerts)
            await holds(lambda: pair.alerts().keys() >= {OF_RATES, OF_SYSTEM}, pair.alerts)
    assert between.words[1:] == []


async def test_what_alertmanager_has_not_taken_is_tried_again():
    """The recipe answers 502 while there is none, and Moretta goes on; 400 to what is no webhook's document."""
    alert = {"status": "firing", "labels": {}, "annotations": {}, "startsAt": "", "endsAt": "", "generatorURL": ""}
    port = in_a_row(2)
    environment = {"PORT": str(port), "ALERTMANAGER_URL": f"http://127.0.0.1:{port + 1}"}
    with Recipe(f"{sys.executable} -W error to_alertmanager.py", FOLDER, environment) as between:
        await asyncio.to_thread(between.listening)
        async with aiohttp.ClientSession() as session:
            for body, status in (({"alerts": [alert]}, 502), ({}, 400), ({"alerts": [{}]}, 400)):
                async with session.post(f"http://127.0.0.1:{port}/", json=body) as answer:
                    assert answer.status == status
    assert (between.printed, len(between.words)) == ([], 2)


def told(known: dict, up: UpProcess) -> None:
    """Moretta's alert has its labels and the figures of the window that decided; it lasts until it is repeated."""
    [ours] = known["few-masks"]
    alert = next(m for m in up.messages("alerts") if m["state"] == "firing")
    assert (ours["labels"]["site"], ours["labels"]["zone"], ours["labels"]["profile"]) == ("forville", "_site", "lab")
    assert (ours["annotations"]["alert"], ours["annotations"]["rate"]) == (alert["alert"], str(alert["rate"]))
    assert ours["endsAt"] > ours["updatedAt"]
    assert ours["receivers"] == [{"name": "staff"}]
    down = {a["labels"]["camera"] for a in known["camera-down"]}
    assert {"gone"} <= down <= {"gone", "gate"}, down  # a busy machine may miss most of the film in windows of 4 s
    assert {a["labels"]["severity"] for a in known[OF_RATES]} == {"info"}
