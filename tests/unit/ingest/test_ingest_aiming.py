"""What aiming tells: services.ingest.core.aiming."""

from itertools import pairwise

import numpy as np
import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from proto.aiming import PictureSize
from proto.codec import encode
from proto.frames import FaceQualityV1, FrameQualityV1
from proto.subjects import AIM_REPORTS
from services.ingest.core.aiming import MIN_SEEN, Aiming, Looked, heat_of, painted

SECOND = 1_000_000_000
WIDE, SMALL = PictureSize(1920, 1080), PictureSize(640, 360)


def face(px=30.0, unknown=None, box=(0.25, 0.25, 0.5, 0.5)):
    return FaceQualityV1(box, px, unknown)


def looked(*faces, brightness=0.5, dark=0.0, clipped=0.0, sharpness=0.25):
    quality = FrameQualityV1(
        brightness=brightness, dark=dark, clipped=clipped, sharpness=sharpness, smallest=10.0, faces=list(faces)
    )
    return Looked(quality, SMALL, WIDE)


def told(*pictures, times=20, profile="stats-only", **how):
    """The report after these pictures were seen so often, one picture a second."""
    aiming = Aiming("cannes", "gate", profile=profile, start=7, since=10**18, seconds=30, **how)
    count = 0
    for _ in range(times):
        for picture in pictures:
            count += 1
            aiming.add(7 + count * SECOND // len(pictures), picture)
    return aiming.report(7 + count * SECOND // len(pictures))


def of_faces(report):
    return (report.heat, report.sizes, report.picture_sizes, report.smallest, report.too_small, report.unsure)


NOTHING = (None,) * 6


def codes(report):
    return [advice.code for advice in report.advice]


corner = st.floats(0, 1)
boxes = st.tuples(corner, corner, corner, corner).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
faces = st.builds(face, st.floats(0, 1900), st.sampled_from([None, "too-small", "unsure"]), boxes)
pictures = st.lists(st.lists(faces, max_size=5), min_size=1, max_size=6)


@examples(50)
@given(pictures, st.integers(2, 4))
def test_no_count_can_be_worked_out(seen, times):
    """Twice or four times as many of the same faces make the same report: shares and steps, relative to a maximum."""
    once, often = (
        told(*(looked(*(n * some)) for some in seen), times=20) for n in (1, times)
    )  # each face n times over
    assert often == once


def story(seen, seconds, *, crowd):
    """What is told of faces every 0.2 s, where `seen` has of each second: is somebody there, when, and how many."""
    aiming, said = Aiming("cannes", "gate", profile="lab", start=0, since=0, seconds=seconds), []
    for number in range(5 * (int(seconds) + 2)):
        now, (somebody, when, people) = number * SECOND // 5, seen[number // 5]
        said.append((now, of_faces(aiming.report(now))))
        there = somebody and when == number % 5
        aiming.add(now, looked(*[face(10.0 + number)] * (there * (people if crowd else 1))))
    return said


SECONDS = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 9)), min_size=32, max_size=32)


@example([(True, 0, 2)] * 32, 9.8)
@examples(50)
@given(SECONDS, st.sampled_from([9.8, 10, 12.5, 30]))
def test_when_something_is_said_tells_nothing_of_how_many(seen, seconds):
    """Alone or in a crowd: it begins at the step of 5 s after ten such seconds, and changes at steps only."""
    alone, crowd = (story(seen, seconds, crowd=crowd) for crowd in (False, True))
    assert [found == NOTHING for _, found in alone] == [found == NOTHING for _, found in crowd]
    changed = [now / SECOND for (_, before), (now, after) in pairwise(crowd) if after != before]
    steps = [step for step in (5, 10, 15, 20, 25, 30) if step <= seconds]
    enough = [step for step in steps if sum(somebody for somebody, *_ in seen[:step]) >= MIN_SEEN]
    assert changed[:1] == enough[:1]
    assert set(changed) <= set(steps)


@given(pictures)
def test_every_report_keeps_its_contract(seen):
    """Whatever was seen can be published, and its map has its maximum."""
    report = told(*(looked(*some) for some in seen))
    assert encode(AIM_REPORTS, report)
    assert report.heat is None or "9" in report.heat or set(report.heat) == {"0"}


@given(boxes)
def test_a_box_is_painted_where_it_is(box):
    """The cells hold its area, in cells, and none outside it."""
    cover = painted(box)
    assert cover.sum() == pytest.approx((box[2] - box[0]) * 32 * (box[3] - box[1]) * 18, abs=1e-6)
    assert cover.max(initial=0) <= 1
    assert not cover[:, : int(box[0] * 32)].any()
    assert not cover[: int(box[1] * 18)].any()


@pytest.mark.parametrize("a_second", [1, 25])
def test_one_passer_by_is_not_measured(a_second):
    """Nothing is said of faces until enough seconds had one, whatever the rate."""
    aiming = Aiming("cannes", "gate", profile="alerting", start=0, since=0, seconds=30)
    for number in range((MIN_SEEN - 1) * a_second):
        aiming.add(number * SECOND // a_second, looked(face()))
    report = aiming.report(MIN_SEEN * SECOND)
    assert (of_faces(report), codes(report), report.brightness) == (NOTHING, ["no-face"], 0.5)
    aiming.add(14 * SECOND, looked(face()))
    assert codes(aiming.report(15 * SECOND - 1)) == ["no-face"]
    assert codes(aiming.report(15 * SECOND)) == ["fine"]


def test_where_the_profile_allows_nothing_finer_than_the_site():
    """Light and sharpness, and nothing of faces, however many there are; that it is withheld is said."""
    report = told(looked(face(), face(6, "too-small"), sharpness=0.01), profile="fr-2021-269")
    assert (of_faces(report), codes(report)) == (NOTHING, ["blurred", "faces-withheld"])
    assert (report.brightness, report.analysed) == (0.5, SMALL)


def test_sizes_of_both_pictures():
    """Quantiles by nearest rank in the analysed picture's pixels, and in the camera's own."""
    report = told(looked(*(face(px) for px in (8, 10, 12, 14, 16, 18, 20, 22, 24, 40))))
    assert (report.sizes.p10, report.sizes.p50, report.sizes.p90) == (8, 16, 24)
    assert (report.picture_sizes.p10, report.picture_sizes.p50, report.picture_sizes.p90) == (24, 48, 72)
    assert (report.analysed, report.picture, report.smallest) == (SMALL, WIDE, 10.0)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (looked(face()), ["fine"]),
        (looked(face(), face(6, "too-small")), ["move-closer"]),
        (looked(face(23.9), face()), ["move-closer"]),
        (looked(face(24), face()), ["fine"]),
        (looked(face(), face(30, "unsure"), face()), ["turn-to-faces"]),
        (looked(*[face()] * 9, face(30, "unsure")), ["fine"]),
        (looked(face(), brightness=0.1), ["too-dark"]),
        (looked(face(), brightness=0.9), ["too-bright"]),
        (looked(face(), dark=0.4, clipped=0.2), ["against-light"]),
        (looked(face(), sharpness=0.03), ["blurred"]),
        (looked(face(), sharpness=None), ["fine"]),
        (looked(brightness=0.1, sharpness=0.01), ["too-dark", "blurred", "no-face"]),
    ],
)
def test_advice(picture, expected):
    """What to do follows from light, sharpness and sizes, in this order; without faces it isn't fine."""
    assert codes(told(picture)) == expected


def test_the_numbers_of_advice():
    """The share is a step of five percent, and the limit is the size that docs/cameras.md says to aim at."""
    (advice,) = told(looked(face(6, "too-small"), face(6, "too-small"), face())).advice
    assert (advice.code, advice.share, advice.limit) == ("move-closer", 0.65, 24.0)


@pytest.mark.parametrize(
    ("smallest", "analysed", "would_do"),
    [
        (32, SMALL, 480),
        (31, SMALL, 0),
        (60, PictureSize(360, 640), 480),
        (60, PictureSize(480, 272), 0),
        (47, PictureSize(960, 540), 0),
        (48, PictureSize(960, 540), 480),
    ],
)
def test_a_smaller_picture_that_would_do(smallest, analysed, would_do):
    """If nine of ten faces have 24 px or more in it; an upright picture is as large as it is high."""
    (advice,) = told(structs.replace(looked(face(smallest), face(90)), analysed=analysed)).advice
    assert (advice.code, advice.share, advice.limit) == ("fine", 0.0, would_do)


def test_privacy_areas_are_neither_dark_nor_part_of_the_light():
    """A half that is black on purpose: the other half counts."""
    report = told(looked(face(), brightness=0.25, dark=0.5, clipped=0.1), hidden=0.5)
    assert (report.brightness, report.dark, report.clipped) == (0.5, 0.0, 0.2)
    assert codes(report) == ["fine"]


def test_shares_have_three_digits():
    """More would be noise."""
    report = told(looked(face(), brightness=0.12345, dark=0.06789, clipped=0.0004))
    assert (report.brightness, report.dark, report.clipped) == (0.123, 0.068, 0.0)


def test_rounding_errors_do_not_move_a_step():
    """Half a step is the even one next to it, also when the sums made it a millionth of a step more, and no further."""
    assert heat_of(np.array([[9.0, 4.5, 4.5 + 4e-7, 4.5 + 4e-6]])) == "9445"


def test_time_and_silence():
    """It ends with the time or before, and a camera that shows nothing is told; light is that of the last second."""
    aiming = Aiming("cannes", "gate", profile="lab", start=0, since=5, seconds=10)
    assert codes(aiming.report(SECOND)) == ["no-picture"]
    aiming.add(0, looked(brightness=0.1))
    aiming.add(2 * SECOND, looked(brightness=0.6))
    report = aiming.report(2 * SECOND)
    assert (report.brightness, report.left, report.at, report.ended) == (0.6, 8 * SECOND, 5 + 2 * SECOND, None)
    assert codes(aiming.report(6 * SECOND)) == ["no-picture"]
    assert aiming.report(10 * SECOND).ended == "time"
    paused = aiming.report(3 * SECOND, "paused")
    assert (paused.ended, paused.left) == ("paused", 0)
