"""`moretta count` on a film with people, as people type it."""

import json

import clips
import numpy as np
from command_line import moretta
from market import market

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
