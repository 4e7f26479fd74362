"""What a mail says, word by word."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.notify.core.english import beside, describe, exact, percent, window
from services.notify.core.local_time import Span, UnpresentableError, instant, time_of_day
from services.notify.core.view import one_line, place

PARIS = ZoneInfo("Europe/Paris")
NBSP = "\N{NO-BREAK SPACE}"


def plain(text: str) -> str:
    return text.replace(NBSP, " ")


def said(view) -> dict[str, str]:
    return {label: plain(value) for label, value in view.rows}


def test_a_firing_mail_says_where_what_and_how_sure(make_alert, site):
    """Place, window with its zone, rate, interval, people, coverage, change and rule are all there."""
    view = describe(make_alert(), site, "field-staff")
    assert view.subject == "[Moretta] Market Forville: mask rate below 70 %"
    assert (view.badge, plain(view.headline), view.place) == ("Warning", "Mask rate below 70 %", "Market Forville")
    assert plain(view.figure) == "62 %"
    assert view.lead == "of the people counted wore a mask correctly. The figure rests on 143 people."
    assert said(view) == {
        "When": "Tuesday 24 November 2026, 10:00 to 10:20 (Europe/Paris, UTC+01:00)",
        "What changed": "The rate has been below 70 % since 09:40.",
        "How sure": "The rate is between 54 % and 69 %, with 95 % confidence.",
        "Observed": "The cameras saw 97 % of this time.",
        "Rule": "“mask-rate” warns when the rate is surely below 70 % and ends when it is above 75 %.",
    }
    assert view.banner == ""


def test_a_resolved_mail_says_that_it_is_over_under_the_same_subject(make_alert, site):
    """One subject from firing to resolved keeps both in one thread; the headline tells them apart."""
    view = describe(make_alert(state="resolved", rate=0.81, interval=(0.74, 0.86)), site, "field-staff")
    assert view.subject == describe(make_alert(), site, "field-staff").subject
    assert (view.badge, plain(view.headline)) == ("Resolved", "Mask rate back above 75 %")
    assert said(view)["What changed"] == "The alert that began at 09:40 is over."


def test_a_resolved_mail_does_not_claim_a_rate_that_it_does_not_have(make_alert, site):
    """An alert can end for another reason than a rate above the upper threshold."""
    assert describe(make_alert(state="resolved"), site, "x").headline == "This alert is over"


def test_lab_says_that_it_is_a_test(make_alert, site):
    """Nobody acts on a mail of a lab installation: it says so in subject and body."""
    view = describe(make_alert(profile="lab"), site, "x")
    assert view.subject.startswith("[Moretta test] ")
    assert "test" in view.banner


def test_one_person_is_not_one_people(make_alert, site):
    """Singular."""
    assert describe(make_alert(persons=1), site, "x").lead.endswith("rests on 1 person.")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("_site", "Market Forville"),
        ("north", "Market Forville, North entrance"),
        ("south", "Market Forville, south"),
        ("gone", "Market Forville, gone"),
    ],
)
def test_a_place_is_called_what_people_call_it(site, zone: str, expected: str):
    """Names where there are any, ids else, also for a zone that the settings no longer have."""
    assert place(site, zone) == expected


def test_began_on_another_day_says_the_day(make_alert, site):
    """09:40 alone would be read as today's."""
    alert = make_alert(since=make_alert().since - 24 * 3600 * 10**9)
    assert said(describe(alert, site, "x"))["What changed"].endswith("since Monday 23 November 2026, 09:40.")


@pytest.mark.parametrize(
    ("share", "threshold", "expected"),
    [(0.62, 0.7, "62 %"), (0.696, 0.7, "69.6 %"), (0.6996, 0.7, "69.96 %"), (0.7, 0.7, "70 %"), (0.0, 0.7, "0 %")],
)
def test_a_rate_is_never_rounded_onto_its_threshold(share: float, threshold: float, expected: str):
    """ "70 %, below 70 %" would make a reader doubt the rest."""
    assert plain(beside(share, threshold)) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.7, "70 %"), (0.725, "72.5 %"), (1.0, "100 %"), (0.0, "0 %")])
def test_a_threshold_is_said_as_it_was_set(share: float, expected: str):
    """No trailing zeros, no lost half per cent."""
    assert plain(exact(share)) == expected


def test_a_percentage_does_not_break_before_its_sign():
    """A line that begins with "%" is hard to read."""
    assert percent(0.5) == f"50{NBSP}%"


@pytest.mark.parametrize(
    ("start", "zone", "expected"),
    [
        ((7, 1, 8, 0), "Europe/Paris", "Wednesday 1 July 2026, 10:00 to 10:20 (Europe/Paris, UTC+02:00)"),
        ((7, 1, 8, 0), "UTC", "Wednesday 1 July 2026, 08:00 to 08:20 (UTC)"),
        ((7, 1, 21, 40), "Europe/Paris", "Wednesday 1 July 2026, 23:40 to 00:00 (Europe/Paris, UTC+02:00)"),
        (
            (7, 1, 21, 50),
            "Europe/Paris",
            "Wednesday 1 July 2026, 23:50 to Thursday 2 July 2026, 00:10 (Europe/Paris, UTC+02:00)",
        ),
        (
            (10, 25, 0, 50),
            "Europe/Paris",
            "Sunday 25 October 2026, 02:50 UTC+02:00 to 02:10 UTC+01:00 (Europe/Paris)",
        ),
        ((7, 1, 8, 0), "Asia/Kolkata", "Wednesday 1 July 2026, 13:30 to 13:50 (Asia/Kolkata, UTC+05:30)"),
    ],
)
def test_a_window_is_said_in_local_time_with_its_zone(start: tuple[int, ...], zone: str, expected: str):
    """Summer, winter, midnight and the hour that comes twice are each unambiguous."""
    local = ZoneInfo(zone)
    begin = datetime(2026, *start, tzinfo=UTC)
    end = begin + timedelta(minutes=20)
    assert window(Span(begin.astimezone(local), end.astimezone(local), zone)) == expected


def test_seconds_are_said_where_they_matter():
    """A lab's window of ten seconds is not "10:00 to 10:00"."""
    assert time_of_day(datetime(2026, 1, 1, 10, 0, 10, tzinfo=UTC)) == "10:00:10"


def test_a_time_beyond_the_calendar_is_named():
    """A legal but absurd time is an error of its own, not a crash inside the calendar."""
    with pytest.raises(UnpresentableError, match="beyond the calendar"):
        instant(10**30, PARIS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Marché Forville", "Marché Forville"),
        ("a\r\nBcc: x@y.z", "a Bcc: x@y.z"),
        ("  two   blanks\t", "two blanks"),
        ("a\u2028b\x00c\ud800d", "a b c d"),
        ("東京駅", "東京駅"),
    ],
)
def test_a_name_is_one_line(name: str, expected: str):
    """Nothing that ends a header's line survives; letters of every script do."""
    assert one_line(name) == expected
