"""The bar and the link: figures that the layouts only place."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.notify.core.english import describe
from services.notify.core.view import bar


@pytest.mark.parametrize(("state", "threshold"), [("firing", 70), ("resolved", 75)])
def test_the_tick_is_the_threshold_that_was_crossed(make_alert, state: str, threshold: int):
    """A firing alert fell below the lower threshold, a resolved one rose above the upper."""
    assert bar(make_alert(state=state), "", "").threshold == threshold


def test_the_bar_reaches_to_the_intervals_bounds(make_alert):
    """Solid to the lower bound, pale to the upper one."""
    drawn = bar(make_alert(interval=(0.54, 0.69)), "", "")
    assert (drawn.sure, drawn.unsure, drawn.rest) == (54, 15, 31)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture only builds values
@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_the_bar_is_always_whole(make_alert, low: float, high: float):
    """Its parts are never negative and make 100, whatever the interval."""
    drawn = bar(make_alert(interval=(low, high)), "", "")
    assert min(drawn.sure, drawn.unsure, drawn.rest) >= 0
    assert drawn.sure + drawn.unsure + drawn.rest == 100


def test_a_mail_without_a_public_page_has_no_link(make_alert, site):
    """No link text without a link."""
    assert describe(make_alert(), site, "x").link_text == ""
    assert describe(make_alert(), site, "x", "https://masks.example.org/").link_text == "Open Moretta"
