"""`moretta aim` as people type it, with the real ingest, inference and model on a real server."""

import asyncio
import contextlib
import os
import subprocess
import sys

import clips
import msgspec
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from site_process import Site
from skimage import data

from proto.aiming import AimReportV1
from proto.subjects import AIM_RECORD, AIM_REPORTS, CAMERAS
from services.cli.aim_screen import screen
from services.cli.box import operator_file

SIZE = (640, 360)
FACES = ((40, 40, 60), (200, 200, 60), (420, 100, 12), (520, 240, 12))
"""Upper left corner and rough width of four faces in pixels: two large ones, two that are too small at half the size."""


def crowd(width, height, index):
    """Four times the same portrait (NASA's, public domain) on a wall."""
    wall = clips.pattern(width, height, 0) // 3 + 80
    portrait = Image.fromarray(data.astronaut()[0:260, 120:380])
    for x, y, face in FACES:
        side = round(face * 2.6)
        wall[y : y + side, x + index % 3 : x + index % 3 + side] = np.asarray(portrait.resize((side, side)))
    return wall


def moretta(*arguments):
    command = [sys.executable, "-P", "-m", "services.cli", *map(str, arguments)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment, check=False)


@pytest.fixture(name="site")
async def _site(tmp_path):
    """A camera that sees faces and one that shows nobody, both served; `file` is the operator's."""
    site = Site(tmp_path)
    seen = clips.make_clip(tmp_path / "crowd.mp4", width=SIZE[0], height=SIZE[1], pictures=50, picture=crowd)
    empty = clips.make_clip(tmp_path / "empty.mp4", width=160, height=96, pictures=50)
    site.server.start()
    site.operator = site.identities.write("operator.yaml", operator_file(site.server.url))
    cameras = [
        {"id": "gate", "url": str(seen), "loop": True, "long_side": 320},
        {"id": "wall", "url": str(empty), "loop": True, "long_side": 160},
    ]
    site.write({"sites": [{"id": "cannes", "cameras": cameras}], "log": {"format": "json"}})
    try:
        site.start("ingest")
        site.start("inference")
        await until(site, "live", "live")
        yield site
    finally:
        site.close()


async def until(site, *states):
    async with asyncio.timeout(30), site.bus("subscriber") as bus:
        while True:
            found = [await bus.last(CAMERAS, site="cannes", camera=name) for name in ("gate", "wall")]
            if [one and one.message.state for one in found] == list(states):
                return
            await asyncio.sleep(0.1)


async def aim(site, camera, *more):
    return await asyncio.to_thread(moretta, "aim", "cannes", camera, "-c", site.operator, *more)


async def test_aiming_from_the_command_line(site):
    """Sizes, light and what to do, twice a second till the end; audited; frames carry nothing of it before and after."""
    async with site.bus("ingest") as listener:  # which may not read it
        run = await aim(site, "gate", "--operator", "ana", "--why", "mounted anew", "--seconds", "16")
        assert listener.connected
    assert run.returncode == 0, run.stderr
    reports = [msgspec.json.decode(line, type=AimReportV1) for line in run.stdout.splitlines()]
    assert len(reports) >= 16
    assert [report.ended for report in reports] == [None] * (len(reports) - 1) + ["time"]
    assert len({report.since for report in reports}) == 1
    early, last = reports[1], reports[-1]
    assert (early.heat, early.sizes) == (None, None)
    assert (last.picture.width, last.analysed.width) == (640, 320)
    assert last.picture_sizes.p50 == pytest.approx(2 * last.sizes.p50, abs=1)
    assert last.sizes.p90 > 20
    assert last.heat is not None
    assert "9" in last.heat
    hot = [(i % 32, i // 32) for i, digit in enumerate(last.heat) if int(digit) > 4]
    assert all(any(abs((x + 0.5) * 20 - fx - 1.3 * w) < 2 * w for fx, _, w in FACES) for x, _ in hot)
    assert 0.1 < last.brightness < 0.9
    assert last.advice
    async with site.bus("operator") as operator:
        (record,) = [stored.message for stored in await operator.history(AIM_RECORD, site="cannes")]
    assert (record.camera, record.operator, record.why, record.seconds, record.at) == (
        "gate",
        "ana",
        "mounted anew",
        16,
        last.since,
    )
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(screen(last))
    console.file.close()
    shown = console.export_text()
    assert "half of the faces" in shown or "%" in shown


async def test_a_subscriber_hears_nothing(site):
    """Neither reports nor the audit: the server refuses both."""
    heard = []

    async def take(message, _request):
        heard.append(message)

    async with site.bus("subscriber") as bus:
        with contextlib.suppress(Exception):
            await bus.serve(AIM_REPORTS, take)
        assert (await aim(site, "wall", "--seconds", "2")).returncode == 0
        with pytest.raises(Exception, match=r".*"):
            await asyncio.wait_for(bus.history(AIM_RECORD, site="cannes"), 5)
    assert heard == []
    reader = site.operator.with_name("reader.yaml")
    reader.write_text(site.operator.read_text().replace("operator", "subscriber"))
    run = await asyncio.to_thread(moretta, "aim", "cannes", "gate", "-c", reader)
    assert (run.returncode, run.stdout) == (2, "")
    assert "moretta aim: no ingest answered" in run.stderr


async def test_who_cannot_be_aimed(site):
    """Another site, no such camera, a text that is too long, a camera that is paused: told in one line, exit code 2."""
    for arguments, told in [
        (("cannes", "gaet"), "moretta aim: site 'cannes' has no camera 'gaet'; it has gate, wall"),
        (("lyon", "gate"), "moretta aim: no ingest serves site 'lyon'"),
        (("cannes", "gate", "--why", "x" * 300), "moretta aim: why: must be a text with at most 200 characters"),
    ]:
        run = await asyncio.to_thread(moretta, "aim", *arguments, "-c", site.operator)
        assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1), run.stderr
        assert run.stderr.startswith(told)
    running = asyncio.create_task(aim(site, "wall"))
    await asyncio.sleep(3)
    assert (await asyncio.to_thread(moretta, "pause", "cannes", "wall", "-c", site.operator)).returncode == 0
    ended = msgspec.json.decode((await running).stdout.splitlines()[-1], type=AimReportV1)
    assert (ended.ended, [advice.code for advice in ended.advice]) in [
        ("paused", ["no-face"]),
        ("paused", ["no-picture"]),
    ]
    run = await aim(site, "wall")
    assert (run.returncode, run.stderr) == (
        2,
        "moretta aim: wall is paused (operator); only a camera that is live can be aimed\n",
    )
