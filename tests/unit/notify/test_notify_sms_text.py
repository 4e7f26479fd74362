"""What an SMS says, in each language and in as much room as there is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from notifications import FEW, MINUTE, SITE, TEN, fault, notification, rate

from services.notify.channels.sms.shortening import SmsPart, clipped, encoding, fitted, segments
from services.notify.channels.sms.text import sms_text
from services.notify.languages import words_in
from services.notify.texts.words import UnpresentableError
from services.sites.settings import SiteSettings, ZoneSettings

OVER = {"state": "resolved", "rate": 0.78, "interval": (0.71, 0.84)}
SEVERAL = notification(
    rate(alert="1" * 16), rate(alert="2" * 16, zone="south", rate=0.5), rate(alert="3" * 16, zone="_site", **OVER),
    reason="new-alerts", new=["2" * 16],
)  # fmt: skip


@pytest.mark.parametrize(
    ("told", "language", "text"),
    [
        (
            notification(rate()), "en",
            ("Marché Forville, Entrée nord: masks 62%, below 70%. Between 54% and 69%. 143 people,"
            " 24 Nov 10:00-10:20, Paris time. New, since 09:40."),
        ),
        (
            notification(rate()), "fr",
            ("Marché Forville, Entrée nord : masques 62 %, sous 70 %. Entre 54 % et 69 %. 143 personnes,"
            " 24 nov. 10:00-10:20, heure de Paris. Nouveau, depuis 09:40."),
        ),
        (
            notification(rate(persons=1, zone="_site", since=TEN - 1440 * MINUTE), reason="repeat"), "fr",
            ("Marché Forville : masques 62 %, sous 70 %. Entre 54 % et 69 %. 1 personne, 24 nov. 10:00-10:20,"
            " heure de Paris. Toujours en cours, depuis 23 nov. 10:00."),
        ),
        (
            notification(rate(**OVER), reason="all-resolved"), "en",
            ("Marché Forville, Entrée nord: over, masks 78%, above 75%. Between 71% and 84%. 143 people,"
            " 24 Nov 10:00-10:20, Paris time. It began at 09:40."),
        ),
        (
            notification(rate(**OVER), reason="all-resolved"), "fr",
            ("Marché Forville, Entrée nord : fini, masques 78 %, au-dessus de 75 %. Entre 71 % et 84 %."
            " 143 personnes, 24 nov. 10:00-10:20, heure de Paris. Début à 09:40."),
        ),
        (
            SEVERAL, "en",
            ("Marché Forville: 2 alerts on, 1 over. 24 Nov 10:20, Paris time. Hall 12 50% (<70%), new."
            " Entrée nord 62% (<70%). whole site over, 78%."),
        ),
        (
            SEVERAL, "fr",
            ("Marché Forville : 2 alertes en cours, 1 finie. 24 nov. 10:20, heure de Paris. Hall 12 50 % (<70 %),"
            " nouveau. Entrée nord 62 % (<70 %). tout le site : fini, 78 %."),
        ),
        (
            notification(fault(since=TEN)), "fr",
            "Marché Forville : caméra gate en panne. 24 nov. 10:20, heure de Paris. Nouveau, depuis 10:00.",
        ),
        (
            notification(fault(kind="no-data", name="north", state="resolved", since=TEN)), "en",
            "Marché Forville: figures of Entrée nord again. 24 Nov 10:20, Paris time. It began at 10:00.",
        ),
        (
            notification(fault(name="north", since=TEN)), "en",
            "Marché Forville: camera north down. 24 Nov 10:20, Paris time. New, since 10:00.",
        ),
        (notification(reason="test"), "fr", "Ceci est un test : les messages de Moretta vous parviennent."),
    ],
)  # fmt: skip
def test_a_text_says_where_how_many_when_and_what_is_new(told, language: str, text: str):
    """The place, the rate, the threshold, the people, the time with its zone, what changed; all of it in GSM-7."""
    assert sms_text(told, SITE, words_in(language), 2) == text
    assert encoding(text) == "gsm-7"


def test_a_lab_says_that_it_is_a_test():
    """First of all, so that nobody runs."""
    assert (sms_text(notification(rate(profile="lab")), SITE, words_in("en"), 2) or "").startswith("TEST Marché")


def test_the_hour_that_comes_twice_is_told_with_its_distance_to_utc():
    """On 25 October 2026, from 02:50 in summer time to 02:10 in winter time."""
    start = 1_792_889_400 * 10**9
    text = sms_text(notification(rate(start=start, end=start + 20 * MINUTE, since=start)), SITE, words_in("en"), 3)
    assert "25 Oct 02:50 UTC+02:00-02:10 UTC+01:00, Paris time" in (text or "")


@pytest.mark.parametrize(
    ("zone", "english", "french"),
    [
        ("UTC", "24 Nov 09:00-09:20, UTC", "24 nov. 09:00-09:20, UTC"),
        ("Asia/Kolkata", "24 Nov 14:30-14:50, Kolkata time", "24 nov. 14:30-14:50, heure de Kolkata"),
        ("America/New_York", "24 Nov 04:00-04:20, New York time", "24 nov. 04:00-04:20, heure de New York"),
        ("Pacific/Auckland", "24 Nov 22:00-22:20, Auckland time", "24 nov. 22:00-22:20, heure de Auckland"),
        ("Etc/GMT+1", "24 Nov 08:00-08:20, GMT+1 time", "24 nov. 08:00-08:20, heure de GMT+1"),
    ],
)
def test_the_time_is_the_sites_and_says_so(zone: str, english: str, french: str):
    """By the city that its time zone is named for."""
    site = SiteSettings(id="forville", timezone=zone)
    assert english in (sms_text(notification(rate()), site, words_in("en"), 2) or "")
    assert french in (sms_text(notification(rate()), site, words_in("fr"), 2) or "")


def test_a_storm_is_told_by_its_first_alerts():
    """Ten thousand alerts in one digest: how many, and as many by name as there is room for, in no time."""
    storm = notification(*(rate(alert=f"{number:016x}", zone="south") for number in range(10_000)), reason="digest")
    text = sms_text(storm, SITE, words_in("en"), 2) or ""
    assert text.startswith("Marché Forville: 10,000 alerts on. 24 Nov 10:20, Paris time. Hall 12 62% (<70%).")
    assert text.count("Hall 12") > 8
    assert segments(text) == 2


def test_a_time_beyond_the_calendar_is_refused():
    """The channel turns it into a final failure."""
    with pytest.raises(UnpresentableError):
        sms_text(notification(rate(end=10**21)), SITE, words_in("en"), 2)


def test_what_matters_least_is_left_out_first():
    """The interval, then what is new, then letters of the name; rate, threshold, people and time remain."""
    site = SiteSettings(id="forville", name="Marché Forville de la vieille ville de Cannes", timezone="Europe/Paris")
    text = sms_text(notification(rate(zone="_site")), site, words_in("fr"), 1)
    assert text == (
        "Marché Forville de la vieille ville de Cannes : masques 62 %, sous 70 %. 143 personnes,"
        " 24 nov. 10:00-10:20, heure de Paris. Nouveau, depuis 09:40."
    )
    arabic = SiteSettings(id="souk", name="سوق المدينة القديمة في وسط البلد", timezone="Africa/Tunis")
    text = sms_text(notification(rate(zone="_site")), arabic, words_in("fr"), 1)
    assert text == "سوق المدينة القديمة في وسط البلد\u00a0: masques 62\u00a0%, sous 70\u00a0%."


def test_what_to_do_is_said_where_there_is_room():
    """Its reader has to act: the interval and what is new, which the rule has weighed, give way before it."""
    site = structs.replace(SITE, rules=[FEW])
    long, short = (str(sms_text(notification(rate()), site, words_in("en"), most)) for most in (2, 1))
    assert ("Hand out masks at the door." in long, "Between" in long) == (True, True)
    assert ("Hand out masks at the door." in short, "Between" in short, segments(short)) == (True, False, 1)
    bare = structs.replace(SITE, rules=[structs.replace(FEW, action="Go there")])
    assert "Go there. New" in str(sms_text(notification(rate()), bare, words_in("en"), 2))
    over = sms_text(notification(rate(**OVER)), site, words_in("en"), 2)
    assert "Hand out" not in str(over)


def test_names_are_cut_to_what_is_offered():
    """A name is as long as the settings allow at first, then shorter by steps, each with all that is not spared yet."""
    offered = []

    def parts(length: int) -> list[SmsPart]:
        offered.append(length)
        return [SmsPart("x" * 200), SmsPart("spared", 3)]

    assert fitted(parts, 1) is None
    assert list(dict.fromkeys(offered)) == [80, 40, 24, 12]
    texts = [
        fitted(lambda length, most=most: [SmsPart("x" * (2 * length)), SmsPart("y" * 80, 2)], most) for most in (2, 1)
    ]
    assert [(text.count("x"), text.count("y")) for text in texts if text] == [(160, 80), (48, 80)]


names = st.text(st.sampled_from("abcdefg éêÖ12 34.9سوق😀"), min_size=1, max_size=80)
alerts = st.builds(
    rate,
    zone=st.sampled_from(["north", "south", "_site"]),
    rate=st.floats(0, 1), persons=st.integers(0, 10**7), fire_below=st.sampled_from([0.7, 0.725, 0.0001]),
    state=st.sampled_from(["firing", "resolved"]), profile=st.sampled_from(["lab", "alerting"]),
)  # fmt: skip
faults = st.builds(fault, kind=st.sampled_from(["camera-down", "no-data"]), name=st.sampled_from(["gate", "north"]))


@given(
    st.lists(alerts | faults, min_size=1, max_size=30), names, names, st.integers(1, 4), st.sampled_from(["en", "fr"])
)
def test_every_notification_fits_and_no_number_is_cut(messages, name: str, zone: str, most: int, language: str):
    """Whatever the names hold: at most the segments allowed, and each number of it is a number of the fullest text."""
    site = SiteSettings(id="forville", name=name, timezone="Europe/Paris", zones=[ZoneSettings(id="north", name=zone)])
    told = notification(*messages)
    text = sms_text(told, site, words_in(language), most)
    assert text is not None
    assert segments(text) <= most
    assert text == sms_text(told, site, words_in(language), most)
    known = [*_numbers(sms_text(told, site, words_in(language), 400) or ""), *_numbers(name), *_numbers(zone)]
    assert not _numbers(text) - set(known)


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))


@pytest.mark.parametrize(
    ("name", "most", "short"),
    [
        ("Hall 12", 12, "Hall 12"),
        ("Hall 1234567890", 12, "Hall."),
        ("Hall 12 north side", 12, "Hall 12."),
        ("Hall 12 north side", 14, "Hall 12 north."),
        ("Hallenstadion1234", 14, "Hallenstadion."),
        ("Hallenstadion", 12, "Hallenstadi."),
    ],
)
def test_a_name_is_cut_between_words(name: str, most: int, short: str):
    """And in a word only where no number stands."""
    assert clipped(name, most) == short
