"""The bar and the tone: figures that the layouts only place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.core.texts.describe import describe
from services.notify.core.texts.view import bar, tone_of
from services.notify.words import words_in


@pytest.mark.parametrize(("state", "threshold"), [("firing", 70), ("resolved", 75)])
def test_the_tick_is_the_threshold_that_was_crossed(make_alert, notify, site, state: str, threshold: int):
    """A firing alert fell below the lower threshold, a resolved one rose above the upper."""
    drawn = describe(notify("first", make_alert(state=state)), site, words_in("en")).bar
    assert drawn is not None
    assert (drawn.threshold, drawn.sure, drawn.unsure, drawn.rest) == (threshold, 54, 15, 31)


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_the_bar_is_always_whole(low: float, high: float):
    """Its parts are never negative and make 100, whatever the interval."""
    drawn = bar((low, high), 0.7, "", "")
    assert min(drawn.sure, drawn.unsure, drawn.rest) >= 0
    assert drawn.sure + drawn.unsure + drawn.rest == 100


def test_the_tone_is_the_worst_that_fires():
    """Green only when nothing does."""
    assert tone_of({"info", "critical", "warning"}) == "critical"
    assert tone_of({"info"}) == "info"
    assert tone_of(set()) == "resolved"
