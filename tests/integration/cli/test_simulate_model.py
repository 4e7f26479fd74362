"""The shipped model reads the drawn people. If it does not, take other pictures; never tune the model to them."""

from collections import Counter
from functools import cache

import av
import numpy as np
import pytest

from proto.types import Verdict
from services.inference.core.faces import Face
from services.inference.model import FaceModel, load_model
from testbed.simulation.backdrop import backdrop
from testbed.simulation.film import Cast
from testbed.simulation.scenario import load_scenario
from testbed.simulation.walkers import FOCAL, HEIGHT, WIDTH, Walker, seen

pytestmark = pytest.mark.xdist_group("simulate-model")
PEOPLE = 30
DISTANCES = (3.4, 2.4, 1.7)
"""The demo's farthest people, those in the middle, and the nearest, in metres."""
empty_hall = cache(backdrop)


@pytest.fixture(name="model", scope="module")
def _model() -> FaceModel:
    return load_model()


def found(model: FaceModel, picture) -> list[Face]:
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(format="yuv420p")
    return model.find(frame.to_ndarray())


def verdicts(model: FaceModel, away_m: float, worn: Verdict) -> Counter:
    """Return what is said of each person alone in the hall, `missed` where no face is found."""
    view, side, counts = load_scenario("market").view, 0.4 * WIDTH / FOCAL * away_m, Counter()
    for seed in range(PEOPLE):
        ends = ((-side, away_m), (side, away_m))
        walker = Walker(seed, worn, True, 0.0, (0.0, PEOPLE - 1), ends if seed % 2 else ends[::-1])
        picture, one = empty_hall(seed % 3).copy(), seen(walker, view, seed)
        Cast().put(picture, one, seed)
        middle = one.x / WIDTH, one.y / HEIGHT
        hits = [f for f in found(model, picture) if f.x1 < middle[0] < f.x2 and f.y1 < middle[1] < f.y2]
        counts[hits[0].verdict if hits else "missed"] += 1
    return counts


@pytest.mark.parametrize("away_m", DISTANCES)
@pytest.mark.parametrize(("right", "wrong"), [("masked", "unmasked"), ("unmasked", "masked")])
def test_the_model_reads_single_pictures(model, away_m, right, wrong):
    """At least eight of ten people are found and judged rightly in one picture, hardly any wrongly."""
    counts = verdicts(model, away_m, right)
    assert counts[right] >= 0.8 * PEOPLE, counts
    assert counts[wrong] <= 0.05 * PEOPLE, counts
    assert counts["missed"] <= 0.05 * PEOPLE, counts


@pytest.mark.parametrize("seed", range(4))
def test_the_empty_hall_has_no_faces(model, seed):
    """Nothing in the scene itself is taken for a face."""
    assert found(model, empty_hall(seed)) == []
