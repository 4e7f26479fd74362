"""What is drawn on faces and done to pictures, and labels that are doubted: `pytest tests/training` with torch."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")

from modelling.training import scenes  # noqa: E402
from modelling.training.degradation import filmed, h264, moved, relit  # noqa: E402
from modelling.training.doubts import Doubt, doubted, doubts, without  # noqa: E402
from modelling.training.drawing import Shares, dressed  # noqa: E402
from modelling.training.photos import CLASSES, DOUBTED, Sample  # noqa: E402
from modelling.training.scenes import Scene, make_scene  # noqa: E402

MASK, BARE, BADLY = range(3)
POINTS = torch.tensor([[40.0, 45], [70, 45], [55, 58], [45, 72], [65, 72]])
ALWAYS = {
    "mask": Shares(1.0, 0.0, 0.0, 0.0),
    "badly": Shares(0.0, 1.0, 0.0, 0.0),
    "else": Shares(0.0, 0.0, 1.0, 0.0),
    "headgear": Shares(0.0, 0.0, 0.0, 1.0),
}


def face():
    """A picture of one colour, in which every drawing shows."""
    return torch.tensor([200, 160, 140], dtype=torch.uint8).reshape(3, 1, 1).expand(3, 112, 112).contiguous()


def changed(one, other):
    """[H, W]: where two pictures differ noticeably."""
    return (one.int() - other.int()).abs().amax(0) > 8


@pytest.mark.parametrize("seed", range(25))
def test_drawn_mask_covers_nose_and_mouth(seed):
    """A bare face with a drawn mask is masked: mouth and nose are covered, the eyes and the far corner are not."""
    picture, worn = dressed(face(), POINTS, BARE, random.Random(seed), ALWAYS["mask"])
    where = changed(picture, face())
    assert worn == MASK
    assert where[72, 55]
    assert where[62, 55]
    assert not where[42, 40]
    assert not where[5, 5]


@pytest.mark.parametrize("seed", range(25))
def test_badly_worn_mask_leaves_the_nose_free(seed):
    """A drawn mask below the nose, or below the mouth, makes the face `incorrect`."""
    picture, worn = dressed(face(), POINTS, BARE, random.Random(seed), ALWAYS["badly"])
    where = changed(picture, face())
    assert worn == BADLY
    assert where.any()
    assert not where[56, 55]


@pytest.mark.parametrize("seed", range(25))
def test_other_things_are_no_mask(seed):
    """Glasses, beards and hands leave a bare face bare, and change the picture."""
    picture, worn = dressed(face(), POINTS, BARE, random.Random(seed), ALWAYS["else"])
    assert worn == BARE
    assert changed(picture, face()).any()


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("worn", [MASK, BARE, BADLY])
def test_headgear_covers_the_forehead_alone(worn, seed):
    """Bare and masked faces alike get it, and stay what they are; eyes, nose and mouth are seen."""
    picture, after = dressed(face(), POINTS, worn, random.Random(seed), ALWAYS["headgear"])
    where = changed(picture, face())
    assert after == worn
    assert where[14:36, 55].any()
    assert not any(where[y, x] for y, x in ((50, 40), (50, 70), (58, 55), (72, 55))), "below the eyes, nose and mouth"


@pytest.mark.parametrize("worn", [MASK, BADLY])
def test_worn_masks_are_not_drawn_over(worn):
    """A face that wears something keeps its class, and its mouth is not touched."""
    for seed in range(25):
        picture, after = dressed(face(), POINTS, worn, random.Random(seed), Shares(0.4, 0.2, 0.3, 0.0))
        assert after == worn
        assert not changed(picture, face())[72, 55]


def test_faces_without_landmarks_are_left():
    """Where nobody knows the eyes, nothing is drawn."""
    unknown = torch.full((5, 2), torch.nan)
    picture, worn = dressed(face(), unknown, BARE, random.Random(1), ALWAYS["mask"])
    assert worn == BARE
    assert torch.equal(picture, face())


def test_landmarks_outside_the_picture_are_harmless():
    """A face mostly beyond the edge is drawn as far as it is seen."""
    for shift in (-200.0, -60.0, 60.0, 500.0):
        picture, _ = dressed(face(), POINTS + shift, BARE, random.Random(2), ALWAYS["mask"])
        assert picture.shape == face().shape


def test_drawn_scenes_carry_what_is_worn(monkeypatch):
    """When every bare face gets a mask, the scene's classes say masked."""
    monkeypatch.setattr(scenes, "_DRAWN", ALWAYS["mask"])
    photo = Sample("a/b.jpg", face(), torch.tensor([[25.0, 25, 85, 95]]), torch.tensor([BARE]), POINTS[None])
    for seed in range(8):
        scene = make_scene(photo, long_side=112, side=128, smallest_px=5, dice=random.Random(seed))
        assert set(scene.classes[scene.judged].tolist()) <= {MASK}


def test_headgear_is_not_drawn_over_a_neighbour(monkeypatch):
    """Whose box and label would stay: who stands close to somebody gets none, others do."""
    monkeypatch.setattr(scenes, "_DRAWN", ALWAYS["headgear"])
    boxes, points = torch.tensor([[25.0, 25, 85, 95]]), POINTS[None]
    for shift, drawn in ((70.0, False), (200.0, True)):
        pair = torch.cat([boxes, boxes + shift * torch.tensor([1.0, 0, 1, 0])])
        both = torch.cat([points, points + torch.tensor([shift, 0.0])])
        plain = torch.full((3, 112, 400), 128, dtype=torch.uint8)
        picture, _ = scenes._dressed(plain, pair, torch.tensor([BARE, BARE]), both, random.Random(1))
        assert changed(picture, plain).any().item() is drawn


def test_turned_box_holds_the_turned_ellipse():
    """An upright ellipse, drawn and turned with the picture, touches its new box on all sides."""
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    inside = ((x - 150) / 20) ** 2 + ((y - 100) / 40) ** 2 <= 1
    pixels = (inside * 255).to(torch.uint8).expand(3, 256, 256)
    scene = Scene(pixels, torch.tensor([[130.0, 60, 170, 140]]), torch.tensor([True]), torch.tensor([0]))
    for angle in (-40.0, -10.0, 25.0):
        turned = scenes._turned(scene, angle)
        rows, columns = (turned.pixels[0] > 127).nonzero(as_tuple=True)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert turned.boxes[0].numpy() == pytest.approx([float(v) for v in found], abs=2.0)


def test_cameras_keep_size_and_kind():
    """Whatever light and camera do, the picture stays uint8 [3, H, W]; the same dice do the same."""
    for seed in range(40):
        torch.manual_seed(seed)
        one = filmed(relit(face(), random.Random(seed)), random.Random(seed))
        torch.manual_seed(seed)
        other = filmed(relit(face(), random.Random(seed)), random.Random(seed))
        assert one.dtype == torch.uint8
        assert one.shape == face().shape
        assert torch.equal(one, other)


def test_h264_loses_more_at_a_higher_factor():
    """The picture comes back in place, worse the higher the rate factor."""
    torch.manual_seed(1)
    grey = torch.rand(1, 1, 12, 12) * 255
    picture = torch.nn.functional.interpolate(grey, 96, mode="bilinear")[0].expand(3, 96, 96).to(torch.uint8)
    errors = [float((h264(picture, factor).float() - picture.float()).abs().mean()) for factor in (10, 30, 45)]
    assert errors == sorted(errors)
    assert errors[0] < 8


def test_movement_smears_along_its_line():
    """A point becomes a line of the movement's length, of the same total brightness."""
    picture = torch.zeros(3, 21, 21, dtype=torch.uint8)
    picture[:, 10, 10] = 250
    level = moved(picture, 5, 0.0)
    assert (level[0] > 0).sum() == 5
    assert (level[0, 10] > 0).sum() == 5
    assert int(level[0].sum()) == pytest.approx(250, abs=5)


def told(mask, bare, badly=0.0):
    """A row of probabilities."""
    return [mask, bare, badly]


def test_contradicted_labels_are_doubted():
    """A label is doubted when the network is as sure of the contrary as it usually is where that is the label."""
    probabilities = torch.tensor([told(0.97, 0.03)] * 9 + [told(0.02, 0.98)] * 9 + [told(0.01, 0.99), told(0.6, 0.4)])
    classes = torch.tensor([MASK] * 9 + [BARE] * 9 + [MASK, BARE])
    assert doubted(probabilities, classes).nonzero().flatten().tolist() == [18]


def test_bare_against_badly_worn_is_not_doubted():
    """Where the line between `no_mask` and `incorrect` is drawn differs between sources: that is no error."""
    probabilities = torch.tensor([told(0.0, 0.02, 0.98)] * 5 + [told(0.0, 0.98, 0.02)] * 5)
    classes = torch.tensor([BARE] * 5 + [BADLY] * 5)
    assert not doubted(probabilities, classes).any()


def test_doubted_faces_stay_faces():
    """A doubted label is taken back, the box stays, and other labels are untouched."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [20.0, 0, 30, 10]])
    photo = Sample("a/b.jpg", face(), boxes, torch.tensor([MASK, BARE]), torch.full((2, 5, 2), torch.nan))
    (after,) = without([photo], [Doubt("a/b.jpg", 1, "no_mask", "mask", 0.01)])
    assert after.classes.tolist() == [MASK, DOUBTED]
    assert torch.equal(after.boxes, boxes)
    assert photo.classes.tolist() == [MASK, BARE]


def test_doubts_name_the_face():
    """Each doubt names photo, box, label and what is said, least likely first."""
    probabilities = torch.tensor([told(0.9, 0.1)] * 6 + [told(0.05, 0.95)] * 6 + [told(0.03, 0.97), told(0.01, 0.99)])
    classes = torch.tensor([MASK] * 6 + [BARE] * 6 + [MASK, MASK])
    faces = [(f"a/{row}.jpg", row) for row in range(len(classes))]
    found = doubts(faces, classes, probabilities)
    assert [(one.name, one.index, one.label, one.said) for one in found] == [
        ("a/13.jpg", 13, CLASSES[MASK], CLASSES[BARE]),
        ("a/12.jpg", 12, CLASSES[MASK], CLASSES[BARE]),
    ]
