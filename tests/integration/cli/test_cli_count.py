"""`moretta count` on a film with people, as people type it."""

import asyncio
import contextlib
import json
from pathlib import Path

import clips
import numpy as np
import psutil
import pytest
from command_line import moretta
from in_process import invoke
from market import market

from operate.box.count import CAMERA, SITE, FilmCount, count, length_of
from operate.orders import OperatorFile
from proto.sightings import SightingsV1
from proto.subjects import CAMERA_LEASES
from services.bus import Bus, Fenced
from services.kernel.settings import SettingsError, load
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.film import pictures
from testbed.simulation.walkers import HEIGHT, WIDTH


def test_a_film_that_lies_on_its_side_is_counted_upright(tmp_path):
    """A phone's film, encoded lying, with a mark. Everybody wears a mask, which shows on upright faces alone."""
    plan = Plan.drawn(market((12, 1.0)))
    people, drawn = plan.passages("film"), [np.rot90(np.asarray(picture)) for picture in pictures(plan)]
    film = clips.make_clip(
        tmp_path / "phone.mp4", width=HEIGHT, height=WIDTH, fps=round(plan.scenario.fps), pictures=len(drawn),
        picture=lambda _width, _height, index: drawn[index], turned=-90,
    )  # fmt: skip
    run = moretta("count", film, "--json", limit_s=120)
    assert run.returncode == 0, run.stderr
    counted = json.loads(run.stdout)
    assert counted["masked"] >= 0.8 * len(people) > 3


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("nosuch.mp4", f"nosuch.mp4 does not exist; a relative path begins in {Path.cwd()}"),
        (__file__, f"{__file__}: is not a video that FFmpeg can read, or is damaged; MP4, MOV, MKV, WebM and AVI can"),
    ],
)
def test_what_is_no_film_is_refused_with_what_would_be(source: str, why: str):
    """In one line: where the path was looked for, or which films can be counted."""
    with pytest.raises(SettingsError) as error:
        length_of(source)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_ingest_is_killed_while_it_counts(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """The next ingest reads the film from its beginning: no figure, but what happened, and exit code 1."""
    film = clips.make_clip(tmp_path / "film.mp4", fps=5, pictures=300)
    take, killed = FilmCount.sightings, list[int]()

    def kill_after_a_few(tally: FilmCount, message) -> None:
        take(tally, message)
        if tally.frames == 3:
            ours = psutil.Process().children(recursive=True)
            (ingest,) = [one for one in ours if "services.ingest" in one.cmdline()]
            ingest.kill()
            killed.append(ingest.pid)

    monkeypatch.setattr(FilmCount, "sightings", kill_after_a_few)
    run = invoke("count", str(film), "--json")
    assert run.exit_code == 1
    assert "passages" not in run.stdout
    lines = run.stderr.splitlines()
    assert lines[0] == f"{film}: ingest or NATS ended while it was counted; count it again"
    assert any("ingest ended (killed by SIGKILL)" in line for line in lines), lines
    assert killed


async def test_a_lease_expires_while_it_counts(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """As after a pause of the machine: ingest goes on where it was under a higher number, and the film is counted."""
    take, leases, again = FilmCount.sightings, set[int](), asyncio.Event()

    def note(tally: FilmCount, message: SightingsV1) -> None:
        take(tally, message)
        leases.add(message.lease)
        if tally.frames == 3:
            again.set()

    monkeypatch.setattr(FilmCount, "sightings", note)
    film = clips.make_clip(tmp_path / "film.mp4", fps=5, pictures=200)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(remove_lease(tmp_path, again))
        counted = tasks.create_task(count(tmp_path, str(film), 5.0, lambda _seconds: None))
    assert len(leases) > 1
    assert counted.result().frames == 200


async def remove_lease(folder: Path, when: asyncio.Event) -> None:
    """Remove the camera's lease, as its expiry does."""
    await when.wait()
    bus = await Bus.connect(load(folder / "identities/ingest.yaml", OperatorFile, {}).nats, "test")
    subject, removed = CAMERA_LEASES.subject(site=SITE, camera=CAMERA), 0
    while not removed:
        revision, _entry = await bus.streams.entry(CAMERA_LEASES, subject)
        with contextlib.suppress(Fenced):  # ingest wrote it again in between
            removed = await bus.streams.remove(CAMERA_LEASES, subject, expected=revision)
    await bus.close()
