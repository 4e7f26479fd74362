"""The drawn people."""

import numpy as np
import pytest

from testbed.simulation import people
from testbed.simulation.people import COATS, HEIGHT, MASKS, WIDTH, Appearance, PersonDrawing
from testbed.simulation.walkers import FACE

PLAIN = Appearance(hair=0, skin=0, coat=0, trousers=0, mask=None, flipped=False)


def pixels(look: Appearance, scale: float = 0.5, shown: int = 600, stride: float = 0.0) -> np.ndarray:
    return np.asarray(PersonDrawing(look, scale, shown).picture(stride)).astype(int)


def with_(**changes) -> Appearance:
    values = {name: getattr(PLAIN, name) for name in Appearance.__slots__}
    return Appearance(**{**values, **changes})


def changed(a: np.ndarray, b: np.ndarray) -> tuple[int, int, int, int]:
    """Return the box, in pixels of the portrait, of what differs."""
    rows, columns = np.nonzero(np.abs(a - b).max(axis=2) > 12)
    return columns.min() * 2, rows.min() * 2, columns.max() * 2, rows.max() * 2


def test_a_seed_fixes_the_look():
    """The same seed gives the same person."""
    assert Appearance.drawn(7, masked=True) == Appearance.drawn(7, masked=True)


def test_only_the_mask_follows_from_masked():
    """A person with and without a mask is otherwise the same: nothing else gives the mask away."""
    for seed in range(50):
        bare, masked = Appearance.drawn(seed, masked=False), Appearance.drawn(seed, masked=True)
        assert bare.mask is None
        assert masked.mask in range(len(MASKS))
        assert (bare.hair, bare.skin, bare.coat, bare.trousers) == (
            masked.hair,
            masked.skin,
            masked.coat,
            masked.trousers,
        )


def test_people_differ():
    """Fifty people show every coat and mask, and hardly two are the same."""
    looks = [Appearance.drawn(seed, masked=True) for seed in range(50)]
    assert len({look.coat for look in looks}) == len(COATS)
    assert len({look.mask for look in looks}) == len(MASKS)
    assert len(set(looks)) > 45


@pytest.mark.parametrize("mask", range(len(MASKS)))
def test_a_mask_changes_the_lower_face_alone(mask):
    """A mask covers nose, mouth and chin, and leaves the eyes free."""
    x1, y1, x2, y2 = changed(pixels(PLAIN), pixels(with_(mask=mask)))
    left, top, right, bottom = FACE
    assert left - 12 <= x1 < left + 14
    assert right - 14 < x2 <= right + 12
    assert top + 38 < y1 < top + 60
    assert bottom - 16 < y2 <= bottom + 8


def test_masks_have_their_colour():
    """The cloth at the mouth has about the mask's colour, lit from above."""
    for index, colour in enumerate(MASKS):
        mouth = pixels(with_(mask=index))[73, 102, :3]
        assert np.abs(mouth - np.array(colour)).max() < 40


def test_coats_have_their_colour():
    """The drawn part of the coat has the coat's colour, in the photograph's part too."""
    for index, colour in enumerate(COATS):
        person = pixels(with_(coat=index))
        for row in (146, 250):
            tone = person[row, 60:80, :3].mean(axis=0)
            ratio = tone / np.array(colour)
            assert ratio.max() - ratio.min() < 0.35, (colour, tone)


def test_background_of_the_portrait_is_gone():
    """Beside head and shoulders the figure is transparent, and it is no rectangle."""
    alpha = pixels(PLAIN)[..., 3]
    assert alpha[:60, :50].max() == 0
    assert alpha[:60, -20:].max() == 0
    assert alpha[60, 100] == 255
    assert 0.3 < (alpha > 128).mean() < 0.8


def test_edges_are_soft():
    """Along the outline alpha takes values in between: a hard edge would look pasted."""
    alpha = pixels(PLAIN)[..., 3]
    soft = ((alpha > 20) & (alpha < 235)).sum(axis=1)
    assert np.median(soft[20:300]) >= 2


def test_flipped_is_the_mirror_image():
    """Flipping mirrors the whole person."""
    assert np.array_equal(pixels(with_(flipped=True)), pixels(PLAIN)[:, ::-1])


@pytest.mark.parametrize("scale", [0.38, 0.5, 0.66])
def test_size_follows_scale(scale):
    """A figure has the scaled canvas's width, and no more height than is shown."""
    whole = PersonDrawing(PLAIN, scale, 10_000).picture()
    assert whole.size == (round(WIDTH * scale), round(HEIGHT * scale))
    assert PersonDrawing(PLAIN, scale, 200).picture().size == (round(WIDTH * scale), 200)


def test_cut_figure_is_the_upper_part_of_the_whole():
    """What is not shown is left away, and nothing else changes (but for the resampling at the cut)."""
    whole, cut = pixels(PLAIN, shown=590), pixels(PLAIN, shown=300)
    assert np.abs(whole[:290] - cut[:290]).max() <= 6


def test_legs_move_where_they_show():
    """Legs stand differently with the stride; of a figure cut above the hem there are none to draw."""
    assert PersonDrawing(PLAIN, 0.38, 360).shows_legs
    assert not PersonDrawing(PLAIN, 0.66, 200).shows_legs
    a, b = pixels(PLAIN, stride=1.0), pixels(PLAIN, stride=-0.5)
    _, top, _, bottom = changed(a, b)
    assert top > 680
    assert bottom > 1100
    assert np.array_equal(pixels(PLAIN, shown=300, stride=1.0), pixels(PLAIN, shown=300, stride=-1.0))


def test_hair_and_skin_take_their_tone():
    """Darker hair leaves the face as it is; a darker skin leaves the hair as it is."""
    plain, hair, skin = pixels(PLAIN), pixels(with_(hair=2)), pixels(with_(skin=2))
    crown, forehead = (20, 105), (44, 103)
    assert hair[crown][:3].sum() < 0.6 * plain[crown][:3].sum()
    assert np.abs(hair[forehead] - plain[forehead]).max() < 30
    assert skin[forehead][:3].sum() < 0.95 * plain[forehead][:3].sum()
    assert np.abs(skin[crown] - plain[crown]).max() < 8


def test_drawing_does_not_change_what_is_cached():
    """The same look drawn twice is the same picture, whatever was drawn between."""
    first = pixels(PLAIN)
    pixels(with_(mask=2, coat=3, flipped=True))
    assert np.array_equal(pixels(PLAIN), first)


def test_portrait_is_the_one_that_scikit_image_ships():
    """The photograph comes out of an installed package; none is in this repository."""
    from skimage import data

    assert np.array_equal(np.asarray(people._portrait()), data.astronaut()[:, people.LEFT : people.LEFT + WIDTH])
