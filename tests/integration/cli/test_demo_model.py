"""The shipped model reads the demo's people. If it does not, take other pictures; never tune the model to them."""

from collections import Counter
from functools import cache

import av
import numpy as np
import pytest

from operate.simulation.demo.backdrop import backdrop
from operate.simulation.demo.people import Figure, Look
from operate.simulation.demo.scene import BOTH_WAYS, HEIGHT, WIDTH, Walker
from services.inference.core.faces import Face
from services.inference.model import FaceModel, load_model

pytestmark = pytest.mark.xdist_group("demo-model")
PEOPLE = 30
empty_hall = cache(backdrop)


@pytest.fixture(name="model", scope="module")
def _model() -> FaceModel:
    return load_model()


def found(model: FaceModel, picture) -> list[Face]:
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(format="yuv420p")
    return model.find(frame.to_ndarray())


def verdicts(model: FaceModel, lane, *, masked: bool) -> Counter:
    """Return what is said of each person standing alone in the hall, `missed` where no face is found."""
    counts: Counter = Counter()
    for seed in range(PEOPLE):
        walker = Walker(seed, 0.0, lane, masked)
        at = 1.2 + walker.seen_until_s * 0.4 * seed / PEOPLE
        picture, (x, y) = empty_hall(seed % 3).copy(), walker.corner(at)
        person = Figure(Look.drawn(seed, masked=masked, flipped=walker.flipped), lane.scale, 400).picture()
        picture.paste(person, (round(x), round(y)), person)
        x1, y1, x2, y2 = walker.face(at)
        middle = (x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT
        hits = [f for f in found(model, picture) if f.x1 < middle[0] < f.x2 and f.y1 < middle[1] < f.y2]
        counts[hits[0].verdict if hits else "missed"] += 1
    return counts


@pytest.mark.parametrize("lane", BOTH_WAYS, ids=["far", "middle", "near"])
@pytest.mark.parametrize("masked", [False, True], ids=["bare", "masked"])
def test_the_model_reads_single_pictures(model, lane, masked):
    """At least eight of ten people are found and judged rightly in one picture, hardly any wrongly."""
    counts = verdicts(model, lane, masked=masked)
    right, wrong = ("masked", "unmasked") if masked else ("unmasked", "masked")
    assert counts[right] >= 0.8 * PEOPLE, counts
    assert counts[wrong] <= 0.05 * PEOPLE, counts
    assert counts["missed"] <= 0.05 * PEOPLE, counts


@pytest.mark.parametrize("seed", range(4))
def test_the_empty_hall_has_no_faces(model, seed):
    """Nothing in the scene itself is taken for a face."""
    assert found(model, empty_hall(seed)) == []
