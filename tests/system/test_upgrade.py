"""A rolling upgrade, and the way back, lose and double no window and no alert; N and N-1 understand each other.

The earlier version is built from git and runs beside today's on one NATS server, with the rights that each version's
own configuration gives (ADR 29). `make test` goes there in a chart's order, `make test-long` there and back.
All sixteen mixtures, in which each service is alone new, alone old, ...:
`MORETTA_UPGRADE=all .venv/bin/pytest -s -m long tests/system/test_upgrade.py`. With `server-last` the server keeps the
earlier version's configuration all the time, which is promised for equal rights alone.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from http_camera import HttpCamera
from mixed_site import CAMERAS, FPS, REPLICAS, WINDOW_S, MixedSite, Run, film, read, read_told, settings
from patience import patient
from previous_version import TODAY, Version, previous

from operate.simulation.demo.sink import Sink
from services.kernel.build import build

GAP_S, OLD_GAP_S = patient(4.0), patient(8.0)
"""How long a camera may be without a counted picture when today's version takes it over, and when the earlier one does:
`faaa38c` took effect before a worker had its keys."""
WALK = os.environ.get("MORETTA_UPGRADE", "")
SCENE_S = 11
"""So long everybody wears a mask, then nobody: an alert fires and is over again and again."""


@pytest.fixture(name="old", scope="module")
def _old() -> Version:
    return previous()


class Scene:
    """A site with three cameras and a mail server, beginning in the earlier version altogether."""

    def __init__(self, site: MixedSite, camera: HttpCamera, films: list[Path]) -> None:
        self.site, self._camera, self._films = site, camera, films
        self.mails: list[str] = []
        self.since = 0

    async def play(self) -> None:
        """Let people come with masks and without, in turn, for ever."""
        while True:
            for one in self._films:
                self._camera.turn(one)
                await asyncio.sleep(SCENE_S)

    async def settle(self, windows: int = 2) -> None:
        """Let so many windows pass."""
        await asyncio.sleep(windows * WINDOW_S)


@pytest.fixture(name="scene")
async def _scene(tmp_path: Path, old: Version) -> AsyncIterator[Scene]:
    films = [film(tmp_path / f"{name}.mjpeg", masked=name == "masked") for name in ("masked", "bare")]
    site = MixedSite(tmp_path, old)
    site.server.start()
    try:
        async with HttpCamera(mjpeg=films[0], every_s=1 / FPS) as camera:
            scene = Scene(site, camera, films)
            async with Sink(tmp_path / "mails", lambda mail: scene.mails.append(mail.message["Message-ID"])) as sink:
                site.write(settings(camera.url("mjpeg"), sink.port))
                playing = asyncio.create_task(scene.play())
                try:
                    everybody = [site.begin(name, old) for name, count in REPLICAS.items() for _ in range(count)]
                    await site.ready(*everybody)
                    scene.since = await site.whole()
                    yield scene
                finally:
                    playing.cancel()
                    await asyncio.gather(playing, return_exceptions=True)
    finally:
        await asyncio.to_thread(site.close)


def walk() -> list[str]:
    """The services to be replaced in turn, so that every mixture of old and new comes once: a Gray code."""
    names = list(REPLICAS)
    return [names[(step & -step).bit_length() - 1] for step in range(1, 16)] + [names[-1]]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("comes_back", [False, pytest.param(True, marks=pytest.mark.long)])
async def test_a_rolling_upgrade_and_the_way_back(scene: Scene, old: Version, comes_back: bool):
    """No window lost or doubled, each alert told once, no camera unseen for long, whatever runs beside what."""
    site = scene.site
    if WALK != "server-last":
        await site.reload(TODAY)  # the server first: rights only grow
    if WALK == "all":
        is_new = dict.fromkeys(REPLICAS, False)
        for name in walk():
            is_new[name] = not is_new[name]
            await site.roll(name, TODAY if is_new[name] else old)
            await scene.settle(1)
    else:
        for version in (TODAY, old)[: 1 + comes_back]:
            for name in REPLICAS:
                await site.roll(name, version)
            await scene.settle(1)
    if comes_back or WALK:
        await site.reload(old)
        await scene.settle()
    await site.end()
    run = await everything(scene)
    report(scene, run)
    check_versions(scene, old)
    check_windows(run)
    check_gaps(scene, run, moves=(1 + comes_back) * len(CAMERAS))
    check_alerts(scene, run)
    check_words(scene, run)


async def everything(scene: Scene) -> Run:
    bus = scene.site.bus
    async with bus("aggregate") as aggregate, bus("notify") as notify, bus("operator") as operator:
        run = await read(aggregate)
        run.since = scene.since
        await read_told(notify, operator, run)
        return run


def report(scene: Scene, run: Run) -> None:
    """Print what was measured (`-s`)."""
    takers = scene.site.takers()
    for name, version, began, done in scene.site.rolled:
        within = [gap for camera in CAMERAS for gap in run.gaps(camera) if began - 10**9 < gap.at < done]
        stayed = max([gap.seconds for gap in within if not gap.taken], default=0.0)
        moved = [f"{gap.seconds:.2f} to {takers.get(gap.taken, '?')}" for gap in within if gap.taken]
        print(f"{name} -> {version} in {(done - began) / 1e9:.1f} s; gaps, s: at moves {moved}, else {stayed:.2f}")
    for zone, windows in sorted(run.windows.items()):
        print(f"{zone}: {len(windows)} windows, {sum(one.persons or 0 for one in windows)} persons")
    print("not observed, by window:", {start // 10**9: round(share, 2) for start, share in run.shortfall().items()})
    print(f"alerts {Counter((a.rule, a.state) for a in run.alerts)}, mails {len(scene.mails)}")


def check_versions(scene: Scene, old: Version) -> None:
    """Each process says whose code it runs: of proto and services alike."""
    for one in scene.site.everyone():
        code = one.code()
        assert {Path(code[part]).parent for part in ("proto", "services")} == {one.version.home}, code
        told = one.service.said("running")[0]
        assert one.version is old or (told["version"], told["build"]) == (code["version"], build()["build"]), told
    ran = {(one.code()["service"], one.version.name) for one in scene.site.everyone()}
    assert ran == {(name, version.name) for name in REPLICAS for version in (old, TODAY)}


def check_windows(run: Run) -> None:
    """Windows of every zone follow one another, each once; what was not observed is pictures that were shed or lost.

    How much that is depends on what else the machine does; how much handing over costs is below.
    """
    assert set(run.windows) == {"_site", *CAMERAS.values()}
    for zone, windows in run.windows.items():
        starts = [one.start for one in windows]
        assert {after - before for before, after in pairwise(starts)} == {WINDOW_S * 10**9}, (zone, starts)
        # A machine that does something else may need a moment for a camera's connection; how long, `check_gaps` limits.
        assert {gap for one in windows if one.start > run.since for gap in one.gaps} <= {"frames-lost", "camera-down"}
        assert all(one.gaps for one in windows if one.coverage < 1)
    assert {one.reason for one in run.operations if one.since > run.since} <= {None, "frames-lost"}


def check_gaps(scene: Scene, run: Run, moves: int) -> None:
    """No camera that another replica takes over is unseen for longer than that may need; some were taken over."""
    takers = scene.site.takers()
    taken = [gap for name in CAMERAS for gap in run.gaps(name) if gap.taken]
    assert len(taken) >= moves
    limits = {TODAY.name: GAP_S}
    assert not [gap for gap in taken if gap.seconds > limits.get(takers.get(gap.taken, ""), OLD_GAP_S)]


def check_alerts(scene: Scene, run: Run) -> None:
    """Just the alerts that follow from the windows, each told once."""
    for rule, zone in (("low", "_site"), ("low-hall", "hall")):
        assert [(a.state, a.start) for a in run.alerts if a.rule == rule] == run.expected(zone)
    sent = Counter((d.alert, d.state) for d in run.deliveries if getattr(d, "outcome", "") == "sent")
    assert sent == Counter((a.alert, a.state) for a in run.alerts)
    assert Counter(scene.mails) == Counter(set(scene.mails))
    told = {d.notification for d in run.deliveries if getattr(d, "outcome", "") == "sent"}
    assert len(scene.mails) == len(told)  # what fires and ends within a group's second is one mail


def check_words(scene: Scene, run: Run) -> None:
    """Nobody met a message that it did not understand, or was refused what it asked the server for."""
    everyone = scene.site.everyone()
    assert {name: count for one in everyone for name, count in one.counted.items() if count} == {}
    assert not run.dead
    assert not [line for one in everyone for line in one.service.lines if line.get("level") == "error"]
    assert not [line for line in scene.site.server.output if "violation" in line.lower()]
