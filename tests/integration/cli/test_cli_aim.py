"""`moretta aim` as people type it, with the real ingest, inference and model on a real server."""

import asyncio
import contextlib
import io
import os
import time
from pathlib import Path

import aiohttp
import clips
import msgspec
import numpy as np
import pytest
from command_line import moretta
from patience import patient, until, wait_until
from PIL import Image
from rich.console import Console
from site_process import Site
from skimage import data

from operate import aim
from operate.identities import settings_file
from proto.aiming import AimReportV1
from proto.subjects import AIM_RECORD, AIM_REPORTS, CAMERAS, SIGHTINGS

pytestmark = pytest.mark.xdist_group("cli-aim")
SIZE = (640, 360)
PATIENT = Path(__file__).parents[2] / "support" / "patient_service.py"
TOKEN = "an operator's own token"
FACES = ((40, 40, 60), (200, 200, 60), (420, 100, 12), (520, 240, 12))
"""Upper left corner and rough width of four faces in pixels: two large ones, two that are too small at half of it."""


def crowd(width, height, index):
    """Four times the same portrait (NASA's, public domain) on a wall."""
    wall = clips.pattern(width, height, 0) // 3 + 80
    portrait = Image.fromarray(data.astronaut()[0:260, 120:380])
    for x, y, face in FACES:
        side = round(face * 2.6)
        wall[y : y + side, x + index % 3 : x + index % 3 + side] = np.asarray(portrait.resize((side, side)))
    return wall


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory):
    """A camera that sees faces and one that shows nobody, both served; `operator` is the operator's file."""
    folder = tmp_path_factory.mktemp("aim")
    site = Site(folder)
    seen = clips.make_clip(folder / "crowd.mp4", width=SIZE[0], height=SIZE[1], pictures=50, picture=crowd)
    empty = clips.make_clip(folder / "empty.mp4", width=160, height=96, pictures=50)
    site.server.start()
    site.operator = site.identities.write("operator.yaml", settings_file(site.server.url, "operator"))
    cameras = [
        {"id": "gate", "url": str(seen), "loop": True, "long_side": 320},
        {"id": "wall", "url": str(empty), "loop": True, "long_side": 160},
    ]
    site.write(
        {
            "sites": [{"id": "cannes", "cameras": cameras}],
            "log": {"format": "json"},
            "ingest": {"web": {"host": "127.0.0.1", "port": 0, "operator_token": TOKEN}},
        }
    )
    try:
        # A machine that takes more than 100 ms for each picture would analyse none, and say nothing of faces.
        ingest, inference = (site.start(name, script=PATIENT) for name in ("ingest", "inference"))
        ingest.wait_for("camera live", 2)
        inference.wait_for("running")
        site.start("aggregate").wait_for("site in service")
        wait_until(lambda: asyncio.run(analysed(site)), "both cameras' pictures are analysed")
        yield site
    finally:
        site.close()


async def analysed(site):
    """Whether a picture of each camera was analysed: on a busy machine half of an aiming may pass before."""
    async with site.bus("aggregate") as bus:
        return all([await bus.history(SIGHTINGS, site="cannes", camera=name) for name in ("gate", "wall")])


async def audited(site, since):
    """What was recorded from then on (ns): other tests aim here, too."""
    async with site.bus("operator") as operator:
        found = [stored.message for stored in await operator.history(AIM_RECORD, site="cannes")]
    return [record for record in found if record.at >= since]


async def run_aim(site, camera, *more):
    return await asyncio.to_thread(
        moretta, "aim", "cannes", camera, "-c", site.operator, "--why", "mounted anew", *more
    )


@pytest.mark.timeout(300)
async def test_what_an_operator_sees(site):
    """The map, sizes in both pictures, light, what to do; nothing of faces at first; in the audit."""
    began, last = time.time_ns(), None
    async with asyncio.timeout(patient(70)):  # on a machine that analyses little, 30 s may hold too few faces to tell
        while last is None or last.sizes is None:
            console = Console(force_terminal=True, width=100, file=io.StringIO(), record=True)
            last = await aim.aim(
                site.operator, "cannes", "gate", operator="ana", why="mounted anew", seconds=30, console=console
            )
    first, shown = console.file.getvalue().split("s left")[2], console.export_text()
    assert "px of" not in first
    assert "px of 320x180" in shown
    assert (last.ended, last.picture.width, last.analysed.width) == ("time", 640, 320)
    assert last.picture_sizes.p90 == pytest.approx(2 * last.sizes.p90, abs=1)
    assert 20 < last.sizes.p90 < 40
    for x, y, face in FACES[:2]:
        middle = int((y + 0.4 * face) / 20) * 32 + int((x + 1.1 * face) / 20)
        assert last.heat[middle] != "0"
    assert last.heat[31] == "0"
    assert 0.1 < last.brightness < 0.9
    assert last.sharpness > 0.05
    assert all(aim.in_words(advice) in shown for advice in last.advice)
    *_, record = await audited(site, began)
    assert record.at <= last.since
    told = (record.camera, record.operator, record.why, record.seconds)
    assert told == ("gate", "ana", "mounted anew", 30)
    if folder := os.environ.get("MORETTA_TEST_SCREENS"):
        picture = Console(force_terminal=True, width=100, file=io.StringIO(), record=True)
        picture.print(aim.screen(last))
        picture.save_svg(str(Path(folder) / "aim.svg"), title="moretta aim cannes gate")


async def test_a_subscriber_hears_nothing(site):
    """Neither reports nor the audit: the server refuses both."""
    heard = []

    async def take(message, _request):
        heard.append(message)

    async with site.bus("subscriber") as bus:
        with contextlib.suppress(Exception):
            await bus.serve(AIM_REPORTS, take)
        reports = []
        async with asyncio.timeout(patient(40)):
            while not reports or reports[-1].analysed is None:  # until a picture was analysed
                run = await run_aim(site, "wall", "--seconds", "4")
                reports = [msgspec.json.decode(line, type=AimReportV1) for line in run.stdout.splitlines()]
        with pytest.raises(Exception, match=r".*"):
            await asyncio.wait_for(bus.history(AIM_RECORD, site="cannes"), 5)
    assert (run.returncode, heard) == (0, [])
    assert [report.ended for report in reports] == [None] * (len(reports) - 1) + ["time"]
    assert (len({report.since for report in reports}), reports[-1].heat) == (1, None)
    reader = site.operator.with_name("reader.yaml")
    reader.write_text(site.operator.read_text().replace("operator", "subscriber"))
    run = await asyncio.to_thread(moretta, "aim", "cannes", "gate", "-c", reader, "--why", "mounted anew")
    assert (run.returncode, run.stdout) == (2, "")
    assert "moretta aim: no ingest answered" in run.stderr


async def test_the_page_aims_too(site):
    """Over HTTPS with the operator's token: a report a line, audited; a new order ends the one before."""
    began = time.time_ns()
    (told,) = site.services[0].said("camera page")
    shown = aiohttp.Fingerprint(bytes.fromhex(told["fingerprint"].replace(":", "")))
    body = {"operator": "ana", "why": "mounted anew", "seconds": 20}
    right = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=shown)) as http:
        for camera, headers, json, status in [
            ("wall", {}, body, 401),
            ("wall", {"Authorization": "Bearer wrong"}, body, 401),
            ("gaet", right, body, 404),
            ("wall", right, {**body, "operator": "Ana Ng"}, 400),
            ("wall", right, {**body, "reason": "x"}, 400),
            ("wall", right, [], 400),
        ]:
            async with http.post(f"{told['url']}api/cannes/{camera}/aim", headers=headers, json=json) as answer:
                assert (answer.status, answer.content_type) == (status, "application/problem+json")
        async with http.post(f"{told['url']}api/cannes/wall/aim", headers=right, json=body) as answer:
            assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
            first = msgspec.json.decode(await answer.content.readline(), type=AimReportV1)
            assert (first.camera, first.ended) == ("wall", None)
            assert (await run_aim(site, "wall", "--seconds", "1")).returncode == 0
            *_, last = [msgspec.json.decode(line, type=AimReportV1) async for line in answer.content]
            assert (last.since, last.ended) == (first.since, "replaced")
    audit = await audited(site, began)
    assert [(record.camera, record.seconds) for record in audit] == [("wall", 20), ("wall", 1)]
    assert (audit[0].operator, audit[0].why) == ("ana", "mounted anew")
    assert audit[0].at <= first.since < audit[1].at
    assert TOKEN not in str(site.services[0].lines)


async def test_who_cannot_be_aimed(site):
    """Another site, no such camera, no reason or one that is too long: told in one line, exit code 2."""
    began = time.time_ns()
    for arguments, told in [
        (("cannes", "gaet", "--why", "x"), "moretta aim: site 'cannes' has no camera 'gaet'; it has gate, wall"),
        (("lyon", "gate", "--why", "x"), "moretta aim: no ingest serves site 'lyon'"),
        (("cannes", "gate", "--why", " "), "moretta aim: why: must be a reason of 1 to 200 characters, got ''"),
        (("cannes", "gate", "--why", "x" * 201), "moretta aim: why: must be a reason of 1 to 200 characters, got 'x"),
    ]:
        run = await asyncio.to_thread(moretta, "aim", *arguments, "-c", site.operator)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
        assert run.stderr.startswith(told)
    run = await asyncio.to_thread(moretta, "aim", "cannes", "gate", "-c", site.operator)
    assert (run.returncode, run.stdout, "--why" in run.stderr) == (2, "", True)
    assert await audited(site, began) == []


async def test_a_camera_that_is_paused_while_it_is_aimed(site):
    """Aiming ends before its time, exit code 1; then the camera can't be aimed at all."""
    heard = []

    async def take(report, _request):
        heard.append(report)

    async with site.bus("operator") as operator:
        await operator.serve(AIM_REPORTS, take, site="cannes", camera="wall")
        running = asyncio.create_task(run_aim(site, "wall"))
        await until(lambda: heard, "a report")
    assert (await asyncio.to_thread(moretta, "pause", "cannes", "wall", "-c", site.operator)).returncode == 0
    run = await running
    ended = msgspec.json.decode(run.stdout.splitlines()[-1], type=AimReportV1)
    assert (run.returncode, ended.ended) == (1, "paused")
    assert [advice.code for advice in ended.advice] in [["no-face"], ["no-picture"]]
    run = await run_aim(site, "wall")
    assert (run.returncode, run.stderr) == (
        2,
        "moretta aim: wall is paused (operator); only a camera that is live can be aimed\n",
    )
    assert (await asyncio.to_thread(moretta, "resume", "cannes", "wall", "-c", site.operator)).returncode == 0

    async def is_live():
        async with site.bus("operator") as bus:
            return (await bus.last(CAMERAS, site="cannes", camera="wall")).message.state == "live"

    await until(is_live, "that the camera is live again", every_s=0.1)
