"""Heads from labelled photos."""

import numpy as np
import pytest
from annotated import FACE as BOX
from annotated import annotate, portraits
from PIL import Image

from modelling.evaluation.labelled import InputError
from services.kernel.settings import SettingsError
from testbed.simulation.cutouts import Cutout, Cutouts
from testbed.simulation.film import look
from testbed.simulation.people import Appearance, PersonDrawing
from testbed.simulation.scenario import Phase, Scenario
from testbed.simulation.walkers import FACE, Walker

BARE = Scenario(phases=[Phase(seconds=9, arrivals_per_minute=9, masked=0.0)])


def walker(seed: int = 0, verdict="unmasked", *, shows_face: bool = True) -> Walker:
    return Walker(seed, verdict, shows_face, 0.0, (0.0, 1.0), ((0.0, 3.0), (1.0, 3.0)))


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    return portraits(tmp_path_factory.mktemp("photos") / "p")


def test_the_face_is_where_the_figures_face_is(folder):
    """The photo's face lies in the figure's, the oval round it is soft, and beside it nothing is drawn."""
    head = np.asarray(Cutout(folder / "images/portrait.png", tuple(BOX)).head()).astype(int)
    x1, y1, x2, y2 = FACE
    with Image.open(folder / "images/portrait.png") as photo:
        wanted = np.asarray(photo.convert("RGB").crop(tuple(map(int, BOX))).resize((x2 - x1, y2 - y1))).astype(int)
    inner = (slice(y1 + 20, y2 - 20), slice(x1 + 20, x2 - 20))
    assert np.abs(head[inner][..., :3] - wanted[20:-20, 20:-20]).mean() < 12
    assert head[inner][..., 3].min() == 255
    assert head[..., 3][300:].max() == head[..., 3][:, :60].max() == 0


def test_beyond_the_photos_edge_nothing_is_drawn(folder):
    """A face at the edge of its photo has no black rim."""
    head = np.asarray(Cutout(folder / "images/portrait.png", (0.0, 0.0, 100.0, 120.0)).head())
    assert head[FACE[1] - 20, FACE[0] - 20 : FACE[0], 3].max() == 0
    assert head[(FACE[1] + FACE[3]) // 2, (FACE[0] + FACE[2]) // 2, 3] == 255


def test_everybody_keeps_a_head(folder):
    """The same person has the same head; people share those that there are."""
    cutouts = Cutouts.of(folder, BARE)
    first, second = cutouts.head(walker(0)), cutouts.head(walker(1))
    assert np.array_equal(first, cutouts.head(walker(2)))
    assert not np.array_equal(first, second)


def test_small_cut_and_unjudged_faces_are_left_out(tmp_path):
    """Too small, not wholly in the photo, or labelled `ignore`: no head, and the scenario's need is told."""
    folder = portraits(tmp_path / "p")
    annotate(folder, {"portrait.png": [([0, 0, 20, 20], "no_mask"), (BOX, "ignore"), ([-9, 0, 90, 90], "no_mask")]})
    with pytest.raises(SettingsError, match=r"--people: .* no face of 32 px or more that is labelled as unmasked"):
        Cutouts.of(folder, BARE)


def test_what_the_scenario_needs(folder):
    """Only what people of the scenario may wear has to be there."""
    Cutouts.of(folder, BARE)
    nobody = Scenario(phases=[Phase(seconds=9, masked=1.0)])
    Cutouts.of(folder, nobody)
    with pytest.raises(SettingsError, match="labelled as masked"):
        Cutouts.of(folder, Scenario(phases=[Phase(seconds=9, arrivals_per_minute=1, masked=0.5)]))


def test_no_such_folder(tmp_path):
    """A missing folder, and a photo that is gone, are mistakes with their names."""
    with pytest.raises(InputError, match="no such folder"):
        Cutouts.of(tmp_path / "nowhere", BARE)
    folder = portraits(tmp_path / "p")
    cutouts = Cutouts.of(folder, BARE)
    for picture in (folder / "images").iterdir():
        picture.unlink()
    with pytest.raises(SettingsError, match=r"--people: .*png can't be read"):
        cutouts.head(walker())


def test_looks_follow_what_is_worn():
    """The mask is all that the verdict changes; a back has no face."""
    bare, masked, low = (look(walker(7, verdict)) for verdict in ("unmasked", "masked", "incorrect"))
    assert (bare.mask, masked.low, low.low, low.mask) == (None, False, True, masked.mask)
    assert look(walker(7, shows_face=False)).turned
    assert bare.coat == masked.coat == low.coat


def test_low_masks_leave_the_nose_free():
    """A badly worn mask covers the chin as a worn one does, and nothing above the mouth; from behind there is hair."""
    plain = Appearance(hair=0, skin=0, coat=0, trousers=0, mask=None, flipped=False)

    def pixels(**changes) -> np.ndarray:
        values = {name: getattr(plain, name) for name in Appearance.__slots__}
        return np.asarray(PersonDrawing(Appearance(**{**values, **changes}), 1.0, 600).picture()).astype(int)

    bare, low, worn, behind = pixels(), pixels(mask=1, low=True), pixels(mask=1), pixels(turned=True)
    nose, mouth = (slice(125, 145), slice(205, 220)), (slice(165, 180), slice(205, 220))
    assert np.abs(low - bare)[nose].mean() < 3 < np.abs(worn - bare)[nose].mean()
    assert np.abs(low - bare)[mouth].mean() > 20
    x1, y1, x2, _y2 = FACE
    assert behind[y1:145, x1:x2, :3].mean() < 0.6 * bare[y1:145, x1:x2, :3].mean()
    assert np.array_equal(behind[230:], bare[230:])
