"""The interval of a share that a model with errors counted: against Wilson's, its own definition, its laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy.optimize import brentq

from proto.model_errors import ModelErrors
from services.statistics.proportions import Z_95, wilson
from services.statistics.rate_interval import NO_ERRORS, Judged, expected, interval

MANY = 10**12
"""So many people that chance moves nothing."""
NEAR = 2e-7
"""The ends are found to 2 ** -24; that of a share is this exact."""
TODAY = ModelErrors(
    sensitivity=0.97, sensitivity_limits=(0.88, 0.995), specificity=0.96, specificity_limits=(0.86, 0.99),
    recall_ratio=1.02, recall_ratio_limits=(0.8, 1.3), overdispersion=1.3, sources=6,
)  # fmt: skip


@st.composite
def models(draw):
    """A model's errors, whose verdicts are better than chance at every limit."""
    sensitivity, specificity = (sorted(draw(st.tuples(*[st.floats(0.55, 1.0)] * 3))) for _ in range(2))
    ratio = [2.0**one for one in sorted(draw(st.tuples(*[st.floats(-1.5, 1.5)] * 3)))]
    return ModelErrors(
        sensitivity=sensitivity[1],
        sensitivity_limits=(sensitivity[0], sensitivity[2]),
        specificity=specificity[1],
        specificity_limits=(specificity[0], specificity[2]),
        recall_ratio=ratio[1],
        recall_ratio_limits=(ratio[0], ratio[2]),
        overdispersion=draw(st.floats(1, 4)),
        sources=6,
    )


@st.composite
def counts(draw, most=2_000):
    """Masked and judged people, at least one."""
    judged = draw(st.integers(1, most))
    return draw(st.integers(0, judged)), judged


def whole(masked, judged, errors):
    """The interval with one model."""
    return interval(masked, [Judged(judged, errors)])


def test_what_is_expected_by_hand():
    """Half wear a mask and are found twice as often: two of three judged; share, variance and shifts follow."""
    errors = ModelErrors(
        sensitivity=0.9, sensitivity_limits=(0.8, 0.95), specificity=0.8, specificity_limits=(0.7, 0.9), recall_ratio=2,
        recall_ratio_limits=(1, 3), overdispersion=2, sources=6,
    )  # fmt: skip
    up, down = (expected(0.5, errors, up=which) for which in (True, False))
    assert up[:2] == down[:2] == pytest.approx((2 / 3 * 0.9 + 1 / 3 * 0.2, 2 / 9 * 0.49 + 2 * (0.06 + 0.16 / 3)))
    assert up.shifts == pytest.approx((0.1 / 3, 0.1 / 3, 0.7 / 12))
    assert down.shifts == pytest.approx((-0.2 / 3, -0.1 / 3, -0.7 / 6))


@pytest.mark.parametrize("masked", [20, 60])
@pytest.mark.parametrize("other", [None, TODAY])
def test_the_ends_of_two_groups(other, masked):
    """A quarter judged with other errors: each end is where the distance is what both groups' shifts add up to."""
    wide = structs.replace(TODAY, sensitivity_limits=(0.6, 0.99), recall_ratio_limits=(0.4, 2.2), overdispersion=3)
    ends = interval(masked, [Judged(75, wide), Judged(0, NO_ERRORS), Judged(25, other)])

    def off(p, up):
        one, two = expected(p, wide, up=up), expected(p, other or NO_ERRORS, up=up)
        shifts = [0.75 * a + 0.25 * b for a, b in zip(one.shifts, two.shifts, strict=True)]
        reach = Z_95**2 * (0.75 * one.variance + 0.25 * two.variance) / 100 + sum(shift**2 for shift in shifts)
        return (masked / 100 - 0.75 * one.share - 0.25 * two.share) * (1 if up else -1) - reach**0.5

    exact = [brentq(off, 0.001, 0.999, args=(up,), xtol=1e-12) for up in (True, False)]
    assert ends == pytest.approx(exact, abs=2**-23)


@given(counts())
def test_a_model_without_errors_leaves_wilsons_interval(count):
    """With every verdict right, everybody found alike and no place unlike another, nothing is added."""
    assert whole(*count, NO_ERRORS) == pytest.approx(wilson(*count), abs=1e-12)
    assert whole(*count, None) == wilson(*count)


def test_nobody_judged_has_no_interval():
    """Nothing is invented where nobody was judged."""
    assert interval(0, []) is None
    assert whole(0, 0, TODAY) is None


@given(counts(), models())
def test_it_holds_the_published_share_and_chance(count, errors):
    """Whatever the model's bias: within 0 to 1, with the plain share inside, and never narrower than chance alone."""
    low, high = whole(*count, errors)
    by_chance = wilson(*count)
    assert 0 <= low <= by_chance[0] <= count[0] / count[1] <= by_chance[1] <= high <= 1


@given(st.floats(0, 1), st.integers(1, 2_000), models())
def test_it_holds_what_fits_exactly(p, judged, errors):
    """A true share that makes the model expect just what was observed, to the nearest person, is inside."""
    there = expected(p, errors, up=True)
    masked = round(there.share * judged)
    low, high = whole(masked, judged, errors)
    if abs(masked / judged - there.share) <= Z_95 * (there.variance / judged) ** 0.5:
        assert low - NEAR <= p <= high + NEAR


@given(counts(), models())
def test_inner_ends_are_as_far_as_chance_and_places_reach(count, errors):
    """The definition: from an inner end the observed share is just as far as chance and places may move it."""
    share, judged = count[0] / count[1], count[1]
    low, high = whole(*count, errors)
    for end, by_chance, up in ((low, wilson(*count)[0], True), (high, wilson(*count)[1], False)):
        if end in {0.0, 1.0, by_chance}:
            continue
        there = expected(end, errors, up=up)
        reach = (Z_95**2 * there.variance / judged + sum(shift**2 for shift in there.shifts)) ** 0.5
        assert abs(share - there.share) == pytest.approx(reach, abs=1e-5)


@given(counts(), models())
def test_one_more_masked_moves_it_up(count, errors):
    """With one masked person more among as many, neither end is lower."""
    masked, judged = count
    if masked < judged:
        before, after = whole(masked, judged, errors), whole(masked + 1, judged, errors)
        assert before[0] <= after[0]
        assert before[1] <= after[1]


@given(counts(), models(), st.integers(2, 50))
def test_more_people_narrow_it_down_to_what_places_differ(count, errors, times):
    """The same share of more people has an interval inside; what remains with very many is how places differ."""
    masked, judged = count
    one = whole(masked, judged, errors)
    more = whole(masked * times, judged * times, errors)
    places = whole(masked * MANY, judged * MANY, errors)
    assert one[0] <= more[0] <= places[0]
    assert places[1] <= more[1] <= one[1]


@given(counts(), models())
def test_places_that_differ_more_widen_it(count, errors):
    """With limits that lie further out the interval lies around that with nearer ones."""
    wide = structs.replace(errors, sensitivity_limits=(0.5, 1.0), overdispersion=5.0)
    near, far = whole(*count, errors), whole(*count, wide)
    assert far[0] <= near[0] + NEAR
    assert near[1] - NEAR <= far[1]


@given(counts(), models())
def test_the_share_without_a_mask_has_the_mirrored_interval(count, errors):
    """Masked for not masked, sensitivity for specificity, the ratio turned over: the same interval, mirrored."""
    low, high = errors.recall_ratio_limits
    turned = structs.replace(
        errors,
        sensitivity=errors.specificity,
        sensitivity_limits=errors.specificity_limits,
        specificity=errors.sensitivity,
        specificity_limits=errors.sensitivity_limits,
        recall_ratio=1 / errors.recall_ratio,
        recall_ratio_limits=(1 / high, 1 / low),
    )
    other = whole(count[1] - count[0], count[1], turned)
    assert whole(*count, errors) == pytest.approx((1 - other[1], 1 - other[0]), abs=NEAR)


@given(counts(), models(), st.integers(0, 2_000))
def test_groups_of_one_model_are_one_group(count, errors, first):
    """People who were judged alike may be given in parts: the ends are the same but for rounding."""
    masked, judged = count
    parts = [Judged(min(first, judged), errors), Judged(judged - min(first, judged), errors)]
    assert interval(masked, parts) == pytest.approx(whole(masked, judged, errors), abs=NEAR)


def test_groups_with_other_errors_lie_between():
    """Half judged by a model with errors, half by one without: wider than without, narrower than with."""
    mixed = interval(80, [Judged(50, TODAY), Judged(50, None)])
    assert whole(80, 100, TODAY)[0] < mixed[0] < wilson(80, 100)[0]
    assert whole(80, 100, TODAY)[1] >= mixed[1] >= wilson(80, 100)[1]


@pytest.mark.parametrize(
    ("masked", "judged"), [(0, 1), (1, 1), (0, 400), (400, 400), (1, 400), (72, 100), (288, 400), (7_200, 10_000)]
)
def test_nobody_or_everybody_masked(masked, judged):
    """At none and at all the end is exact, and the other one says how many may be wrong."""
    low, high = whole(masked, judged, TODAY)
    assert (low == 0) == (masked == 0) or low < 0.01
    assert (high == 1) == (masked == judged) or high > 0.7
    assert low < high


def test_what_no_share_explains_has_the_plain_count_inside():
    """Everybody judged masked by a model that always misses one in five: chance alone is left around the count."""
    blind = structs.replace(NO_ERRORS, sensitivity=0.8, sensitivity_limits=(0.8, 0.8))
    assert whole(10_000, 10_000, blind) == wilson(10_000, 10_000)


def test_worthless_verdicts_break_nothing():
    """Verdicts worse than chance, which no measured model has, give an interval all the same."""
    limits = (0.0, 1.0)
    worthless = structs.replace(
        TODAY, sensitivity=0.3, sensitivity_limits=limits, specificity=0.3, specificity_limits=limits
    )
    low, high = whole(50, 100, worthless)
    assert 0 <= low < 0.5 < high <= 1
