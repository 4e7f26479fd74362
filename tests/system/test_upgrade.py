"""A rolling upgrade, and the way back, lose and double no window and no alert; N and N-1 understand each other.

The earlier version is built from git and runs beside today's on one NATS server, with the rights that each version's
own configuration gives (ADR 29). `make test-long` goes there in a chart's order, and there and back.
All sixteen mixtures, in which each service is alone new, alone old, ...:
`MORETTA_UPGRADE=all .venv/bin/pytest -s -m long tests/system/test_upgrade.py`. With `server-last` the server keeps the
earlier version's configuration all the time, which is promised for equal rights alone.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from http_camera import HttpCamera
from mixed_site import CAMERAS, FPS, LATENESS_S, REPLICAS, WINDOW_S, MixedSite, Run, film, read, read_told, settings
from nats.aio.msg import Msg
from patience import patient
from previous_version import TODAY, Version, previous

from proto.codec import decode
from proto.public import HINTS, WindowV1
from proto.subjects import WINDOWS
from services.kernel.build import build
from testbed.servers.mail import MailServer

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
        self.shown: set[tuple[str, int]] = set()
        """What an open page heard: zone and start of each window."""
        self.connection: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def open_page(self) -> AsyncIterator[None]:
        """Listen as the page does while it is open: by its key, and to what is published from now on alone."""

        async def show(msg: Msg) -> None:
            window = decode(WINDOWS, msg.data)
            self.shown.add((window.zone, window.start))

        async with self.site.bus("page") as bus:
            client = bus.client
            await client.subscribe(WINDOWS.wildcard(), cb=show)
            await client.flush()
            self.connection = client.stats
            yield

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
            async with MailServer(
                tmp_path / "mails", lambda mail: scene.mails.append(mail.message["Message-ID"])
            ) as server:
                site.write(settings(camera.url("mjpeg"), server.port))
                playing = asyncio.create_task(scene.play())
                try:
                    everybody = [site.begin(name, old) for name, count in REPLICAS.items() for _ in range(count)]
                    await site.ready(*everybody)
                    scene.since = await site.whole()
                    async with scene.open_page():
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


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("comes_back", [False, pytest.param(True, marks=pytest.mark.alone)])
async def test_a_rolling_upgrade_and_the_way_back(scene: Scene, old: Version, comes_back: bool):
    """No window lost or doubled, each alert told once, and on the long way no camera unseen for long."""
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
    check_page(scene, run)
    check_first(scene, run)
    check_moves(run, moves=(1 + comes_back) * len(CAMERAS))
    if comes_back or WALK:
        check_gaps(scene, run)
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
    print("silent sources:", run.silences())
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

    Beside a change of the model, which a new version may bring, it is the other model's pictures, too. How much that
    is depends on what else the machine does; how much handing over costs is below.
    """
    assert set(run.windows) == {"_site", *CAMERAS.values()}
    for zone, windows in run.windows.items():
        starts = [one.start for one in windows]
        assert {after - before for before, after in pairwise(starts)} == {WINDOW_S * 10**9}, (zone, starts)
        judged = [(one.start, one.model_sha256) for one in windows if one.model_sha256]
        changes = {at for (_, before), (at, after) in pairwise(judged) if before != after}
        for one in windows:
            allowed = {"frames-lost", *HINTS} | ({"camera-down"} if is_silent(run, zone, one) else set())
            allowed |= {"model-changed"} if {one.start, one.end} & changes else set()
            assert one.start <= run.since or set(one.gaps) <= allowed, (zone, one, run.words)
        assert all(set(one.gaps) - HINTS for one in windows if one.coverage < 1)
    models = {one.model_sha256 for windows in run.windows.values() for one in windows} - {None}
    reasons = {None, "frames-lost", *(["model-changed"] if len(models) > 1 else [])}
    assert {one.reason for one in run.operations if one.since > run.since} <= reasons


def check_page(scene: Scene, run: Run) -> None:
    """A page that stays open was never disconnected, and heard of each window that closed since it was opened."""
    assert scene.connection["reconnects"] == 0
    later = {(zone, one.start) for zone, windows in run.windows.items() for one in windows if one.start > scene.since}
    assert later
    assert later - scene.shown == set()


def is_silent(run: Run, zone: str, window: WindowV1) -> bool:
    """Whether a camera of the zone said in the window that its source was silent: so may a film's server on a machine
    that does something else. Handing a camera over is no reason to say anything but `live`, which `check_first` holds.
    """
    cameras = [name for name in CAMERAS if zone in {"_site", CAMERAS[name]}]
    return any(
        at < window.end and at > window.start - WINDOW_S * 10**9 and who in cameras for at, who, _ in run.silences()
    )


def check_first(scene: Scene, run: Run) -> None:
    """An ingest that takes a camera over says nothing before it has pictures: that would fence the other's off."""
    takers = scene.site.takers()
    first = {(one.camera, one.lease): one for one in reversed(run.words)}
    heard = [one for one in first.values() if one.at > run.since and takers.get(one.lease) == TODAY.name]
    assert {one.state for one in heard} == {"live"}, heard


def check_moves(run: Run, moves: int) -> None:
    """Cameras were taken over, by as many leases as there were services that read or analyse them."""
    assert len([gap for name in CAMERAS for gap in run.gaps(name) if gap.taken]) >= moves


def check_gaps(scene: Scene, run: Run) -> None:
    """No camera that another replica takes over is unseen for longer than that may need.

    This measures time: so it is in `make test-long`, where fewer tests run beside it.

    On a machine that does something else, cameras that nobody takes over are unseen for a while, too: that is added, up
    to the limit itself.
    """
    takers, gaps = scene.site.takers(), [gap for name in CAMERAS for gap in run.gaps(name)]
    taken = [gap for gap in gaps if gap.taken]
    busy_s = min(GAP_S, max([gap.seconds for gap in gaps if not gap.taken], default=0.0))
    limits = {TODAY.name: GAP_S}
    assert not [gap for gap in taken if gap.seconds > busy_s + limits.get(takers.get(gap.taken, ""), OLD_GAP_S)]


def unheard(scene: Scene, run: Run) -> set[str]:
    """Alerts that were over before notify's next holder had read them, if its last one left as they began.

    notify does not tell of an alert that was over before it read it (ADR 17); how long handing over takes depends on
    the machine, and so does how much later than aggregate the first notify is there.
    """
    moves = [(began, done) for name, _, began, done in scene.site.rolled if name == "notify"]
    ends = {a.alert: a.end for a in run.alerts if a.state == "resolved"}
    begins = {a.alert: a.end for a in run.alerts if a.state == "firing"}
    late = (LATENESS_S + WINDOW_S) * 10**9  # a window is judged this long after its end at most
    return {
        alert for alert, end in ends.items()
        if end < run.since or any(begins[alert] + late > began and end < done for began, done in moves)
    }  # fmt: skip


def check_alerts(scene: Scene, run: Run) -> None:
    """Just the alerts that follow from the windows, each told once, but for one that nobody could hear."""
    for rule, zone in (("low", "_site"), ("low-hall", "hall")):
        assert [(a.state, a.start) for a in run.alerts if a.rule == rule] == run.expected(zone)
    sent = Counter((d.alert, d.state) for d in run.deliveries if getattr(d, "outcome", "") == "sent")
    untold = {a.alert for a in run.alerts if (a.alert, a.state) not in sent}
    assert untold <= unheard(scene, run)
    assert sent == Counter((a.alert, a.state) for a in run.alerts if a.alert not in untold)
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
