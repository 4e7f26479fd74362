"""The bar and the tone: figures that the layouts only place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.languages import words_in
from services.notify.templates import render
from services.notify.texts.mail_contents import Mark, bar, tone_of
from services.notify.texts.mail_wording import describe


@pytest.mark.parametrize(("state", "threshold"), [("firing", 70), ("resolved", 75)])
def test_the_tick_is_the_threshold_that_was_crossed(make_alert, notify, site, state: str, threshold: int):
    """A firing alert is below the lower threshold, a resolved one above the upper."""
    drawn = describe(notify("first", make_alert(state=state)), site, words_in("en")).bar
    assert drawn is not None
    assert (drawn.threshold.at, drawn.sure, drawn.unsure, drawn.rest) == (threshold, 54, 15, 31)


def test_the_bar_marks_the_rate_that_the_subject_names(make_alert, notify, site):
    """At its place, with the same number of decimals."""
    view = describe(notify("first", make_alert(rate=0.696, interval=(0.6, 0.75))), site, words_in("en"))
    assert view.bar is not None
    assert view.bar.rate == Mark(70, "69.6%")
    assert view.bar.rate.text in view.subject
    assert ">69.6%</td>" in render("alert", view=view).html


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_the_bar_is_always_whole(low: float, high: float):
    """Its parts are never negative and make 100, whatever the interval."""
    drawn = bar((low, high), Mark(60, ""), Mark(70, ""), "")
    assert min(drawn.sure, drawn.unsure, drawn.rest) >= 0
    assert drawn.sure + drawn.unsure + drawn.rest == 100


def test_the_tone_is_the_worst_that_fires():
    """Green only when nothing does."""
    assert tone_of({"info", "critical", "warning"}) == "critical"
    assert tone_of({"info"}) == "info"
    assert tone_of(set()) == "resolved"
