"""`moretta count` on a film with people, as people type it."""

import json

import clips
import numpy as np
import psutil
import pytest
from command_line import moretta
from in_process import invoke
from market import market

from operate.cli.count import Tally
from operate.simulation.film import pictures
from operate.simulation.plan import Plan
from operate.simulation.walkers import HEIGHT, WIDTH


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


def test_ingest_is_killed_while_it_counts(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """The next ingest reads the film from its beginning: no figure, but what happened, and exit code 1."""
    film = clips.make_clip(tmp_path / "film.mp4", fps=5, pictures=300)
    take, killed = Tally.sightings, list[int]()

    def kill_after_a_few(tally: Tally, message) -> None:
        take(tally, message)
        if tally.frames == 3:
            ours = psutil.Process().children(recursive=True)
            (ingest,) = [one for one in ours if "services.ingest" in one.cmdline()]
            ingest.kill()
            killed.append(ingest.pid)

    monkeypatch.setattr(Tally, "sightings", kill_after_a_few)
    run = invoke("count", str(film), "--json")
    assert run.exit_code == 1
    assert "passages" not in run.stdout
    lines = run.stderr.splitlines()
    assert lines[0] == f"{film}: ingest or NATS ended while it was counted; count it again"
    assert any("ingest ended (killed by SIGKILL)" in line for line in lines), lines
    assert killed
