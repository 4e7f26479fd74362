"""How often a rule fires: computed exactly, and told."""

import pytest
from golden import ERRORS
from msgspec import structs
from rich.console import Console
from scipy.stats import binom

from bench.rule_power import FIRE_BELOW, most_that_breach, places, power, table
from services.sites.figures import rates
from services.sites.measurement import Judged, expected


def test_places_are_all_places():
    """Their shares are one, and the model's errors as expected are the one in the middle, which weighs most."""
    found = list(places(ERRORS))
    assert sum(share for share, _ in found) == pytest.approx(1)
    _, middle = max(found, key=lambda one: one[0])
    assert middle.sensitivity == pytest.approx(ERRORS.sensitivity)
    assert middle.recall_ratio == pytest.approx(ERRORS.recall_ratio)


@pytest.mark.parametrize("people", [20, 100])
def test_the_border_is_where_the_upper_end_is(people):
    """Of those who may be masked, one more than the most would not breach; errors ask for fewer."""
    most = most_that_breach(people, None)
    ends = [rates(masked, [Judged(people)]).interval[1] for masked in (most, most + 1)]
    assert ends[0] < FIRE_BELOW <= ends[1]
    assert most_that_breach(people, ERRORS) <= most


def test_places_that_are_alike_are_the_typical_one():
    """Where every place is the same, the chance is the binomial's, for one window of two and for both."""
    alike = structs.replace(
        ERRORS,
        sensitivity_limits=(ERRORS.sensitivity,) * 2,
        specificity_limits=(ERRORS.specificity,) * 2,
        recall_ratio_limits=(ERRORS.recall_ratio,) * 2,
    )
    one = power(0.55, 100, alike, whole=True)
    breach = binom.cdf(most_that_breach(100, alike), 100, expected(0.55, alike, up=True).share)
    assert one.typical == pytest.approx((1 - (1 - breach) ** 2, breach**2))
    assert one.places == pytest.approx(one.typical)


def test_the_whole_interval_fires_more_seldom():
    """Errors in the interval cost power, and spare false alarms."""
    for share in (0.55, 0.72):
        whole, chance = (power(share, 100, ERRORS, whole=which) for which in (True, False))
        assert whole.places[0] < chance.places[0]
        assert whole.typical[0] < chance.typical[0]


def test_the_table_says_both():
    """A line for each row."""
    console = Console(width=110, record=True)
    console.print(table([power(0.55, 50, ERRORS, whole=which) for which in (False, True)]))
    text = console.export_text()
    assert "chance" in text
    assert "whole" in text
