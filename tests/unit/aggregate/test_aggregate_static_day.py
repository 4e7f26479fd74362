"""What is told of static faces changes once a day: services.aggregate.core.static_day."""

from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from proto.sightings import StaticCameraV1, StaticCellV1, StaticFacesV1
from services.aggregate.core.places import Cell
from services.aggregate.core.static_day import DAY, StaticDay, Told
from services.aggregate.core.static_faces import LEARN, WINDOWS

HOUR = DAY // 24


def known(until, columns, camera="door", **changes):
    """What is learnt by then: places in these columns, and one that is not learnt yet."""
    cells = [StaticCellV1(-5, column, 3, windows=WINDOWS, held=LEARN) for column in columns]
    cells.append(StaticCellV1(-5, 99, 3, windows=WINDOWS - 1, held=LEARN))
    one = StaticCameraV1(**{"camera": camera, "windows": WINDOWS, "observed": LEARN, "cells": cells, **changes})
    return StaticFacesV1(site="market", until=until, cameras=[one])


def cells(columns):
    return tuple(Cell(-5, column, 3) for column in columns)


steps = st.lists(st.tuples(st.integers(1, 20 * HOUR), st.lists(st.integers(0, 9), unique=True)), min_size=1)


@examples(100)
@given(steps)
def test_what_is_told_is_what_was_known_at_a_days_first_window(windows):
    """Whatever is learnt or forgotten during the day changes nothing before the next one."""
    day, until, first = StaticDay(), 0, {}
    for length, columns in windows:
        until += length
        day.renew(known(until, columns), "alerting")
        first.setdefault(until // DAY, Told(until, cells(columns)))
        assert day.told("alerting") == {"door": first[until // DAY]}


def test_a_camera_that_is_learning_tells_nothing():
    """Whichever is missing; one that has learnt tells from its next window on, whatever the hour."""
    day = StaticDay()
    for lacks in ({"windows": WINDOWS - 1}, {"observed": LEARN - 1}):
        day.renew(known(HOUR, [1], **lacks), "alerting")
        assert day.told("alerting") == {}
    day.renew(known(2 * HOUR, [1]), "alerting")
    assert day.told("alerting") == {"door": Told(2 * HOUR, cells([1]))}


def test_a_camera_that_is_gone_or_learns_anew_is_told_no_more():
    """What was learnt before was of another place."""
    for after in (known(2 * HOUR, [], "gate"), known(2 * HOUR, [], windows=0, observed=0)):
        day = StaticDay()
        day.renew(known(HOUR, [1]), "alerting")
        day.renew(after, "alerting")
        assert "door" not in day.told("alerting")


def test_nothing_is_told_where_the_profile_shows_no_single_camera():
    """Neither of what ended under it, nor of what ended before it came into force."""
    day = StaticDay()
    day.renew(known(HOUR, [1]), "alerting")
    assert day.told("fr-2021-269") == {}
    day.renew(known(2 * HOUR, [1]), "fr-2021-269")
    assert day.told("alerting") == {}
