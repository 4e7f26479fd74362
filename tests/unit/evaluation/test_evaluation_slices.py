"""The figures of each source and each pose that a folder's annotations name."""

from modelling.evaluation.labelled import Photo
from modelling.evaluation.measuring import PredictionLine, what_became
from modelling.evaluation.outcomes import Outcome
from modelling.evaluation.slices import slices

ONE, OTHER = (0.0, 0.0, 20.0, 20.0), (40.0, 0.0, 60.0, 20.0)
PHOTOS = [
    Photo("a", 80, 40, [ONE, OTHER], ["mask", "no_mask"], source="gate", pose=["front", "turned"]),
    Photo("b", 80, 40, [ONE], ["mask"], source="hall", pose=["turned"]),
    Photo("c", 80, 40, [ONE], ["mask"]),
]


def seen(picture, face, truth, said="mask"):
    box = ONE if face is None else PHOTOS[picture].boxes[face]
    return Outcome(picture, box, truth, said, said, 0.9, face)


FACES = [
    seen(0, 0, "mask"), seen(0, 1, "no_mask", None), seen(0, None, None),
    seen(1, 0, "mask"), seen(2, 0, "mask"),
]  # fmt: skip


def test_each_source_has_its_faces_and_its_false_alarms():
    """What has no source is in none."""
    rows = slices(PHOTOS, FACES)["by_source"]
    assert [(one["name"], one["faces"], one["found"], one["false_alarms"]) for one in rows] == [
        ("gate", 2, 1, 1),
        ("hall", 1, 1, 0),
    ]


def test_each_pose_has_the_faces_that_are_held_so():
    """A false alarm is no face, even where one is annotated in its place."""
    rows = slices(PHOTOS, FACES)["by_pose"]
    found = [(one["name"], one["faces"], one["found"], one["false_alarms"]) for one in rows]
    assert found == [("front", 1, 1, 0), ("turned", 2, 1, 0)]


def test_of_two_faces_on_one_spot_each_has_its_own_pose():
    """From the annotations on: one box was found, so one of the two is missed."""
    photo = Photo("d", 80, 40, [OTHER, ONE, ONE], ["ignore", "mask", "mask"], pose=["none", "front", "turned"])
    line = PredictionLine("d", [ONE], [0.9], ["mask"], ["mask"], [0.9])
    rows = slices([photo], what_became([photo], [line], 0.5))["by_pose"]
    assert [(one["name"], one["faces"]) for one in rows] == [("front", 1), ("turned", 1)]
    assert sum(one["found"] for one in rows) == 1


def test_without_such_annotations_there_are_none():
    """As in most folders."""
    assert slices(PHOTOS[2:], [seen(0, 0, "mask")]) == {"by_source": [], "by_pose": []}
