"""What a daily report says, in English and French, and that it says nothing that it may not."""

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from golden import ERRORS
from messages import alert
from msgspec import structs
from windows import HOUR, MINUTE, decree, hidden, market_day, window

from proto.notifications import NotificationV1
from proto.public import Suppression
from services.notify.languages import words_in
from services.notify.reports.alerts import RuleDay
from services.notify.reports.day import Question, report_of
from services.notify.reports.report_view import Footer, suppressed, view_of
from services.notify.templates import render
from services.notify.texts.mail_wording import describe
from services.sites.settings import SiteSettings, ZoneSettings
from services.statistics.calendar import day_start

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
T = day_start(DAY, PARIS)
EN, FR = words_in("en"), words_in("fr")
SITE = SiteSettings(
    id="cannes",
    name="Marché\n <Forville>",
    timezone="Europe/Paris",
    zones=[ZoneSettings(id="fish", name="Fish & chips"), ZoneSettings(id="hall")],
)


def report(windows, day=DAY, alerts=(), **changes):
    asked = Question("cannes", day, PARIS, 2**62, **changes)
    return report_of(asked, windows, alerts)


def whole_day():
    fish = [window(T + 9 * HOUR, 30, (10, 0, 0), zone="fish"), hidden(T + 10 * HOUR, zone="fish")]
    return [*market_day(T - 7 * 24 * HOUR), *market_day(T), *fish]


def rows(view):
    return {row.label: row.texts for row in view.rows}


CHANCE = "It allows for chance alone (95 of 100 times), not for errors of the image analysis."


def test_a_day_says_that_its_range_holds_the_models_errors():
    """Of windows with the model's errors the day's range has them too, and says so; the difference of days does not."""
    days = [structs.replace(one, model_errors=ERRORS) if one.masked else one for one in whole_day()]
    found = rows(view_of(report(days), SITE, EN, Footer("staff")))
    [sure] = found["How sure"]
    assert sure == (
        "Margin of error: 75% to 87%. In 95 of 100 places the true rate is within it: "
        "it allows for chance and for the errors that the image analysis made "
        "elsewhere; here it may make more."
    )
    assert found["The same weekday a week before"][-1] == "It is the same."


def test_an_ordinary_day():
    """Each figure where a reader looks for it, with the percent and the dates of the language."""
    view = view_of(report(whole_day(), zones=("fish",)), SITE, EN, Footer("staff", "https://moretta.example"))
    assert view.subject == "Marché <Forville>: 79% wore masks, Tuesday, 24 November 2026"
    assert (view.figure, view.place, view.banner) == ("79%", "Marché <Forville>", "")
    assert view.lead == "of the people counted wore a mask correctly. Based on 2,314 people."
    assert rows(view) == {
        "How sure": (f"Margin of error: 77% to 81%. {CHANCE}",),
        "The day before": ("Monday, 23 November 2026: no rate was published.",),
        "The same weekday a week before": (
            "Tuesday, 17 November 2026: 79%, 2,314 people.",
            "It is the same.",
        ),
        "Observed": (
            "88% of the day was observed.",
            "Reason for gaps: a camera was down (7 periods of 20 min).",
        ),
        "Not published": ("Nothing was published for 5 of 72 periods of 20 min.",),
        "Not shown": ("27 of 67 periods of 20 min: too few people to show.",),
        "Alerts": ("No alert fired.",),
    }
    ((fish),) = view.zone_rows
    assert fish.label == "Fish & chips"
    assert fish.texts[:2] == (
        "75% of 40 people, between 60% and 86%.",
        "Not shown: 1 of 2 periods of 20 min: too few people to show.",
    )
    assert [line.text for line in view.lines][:2] == [
        "00:00 to 06:00: too few people to show", "06:00 to 07:00: 86% (80% to 91%), 178 people",
    ]  # fmt: skip
    assert view.columns == ["Time", "Rate", "Interval", "People"]
    assert view.hours_alternative.startswith(
        "Share of people who wore a mask over the day: lowest 68% at 20:00 to 21:00,"
    )
    assert view.notes[-1] == "Sent automatically to “staff”. Please do not reply to this message."


def test_a_day_that_is_not_over_is_told_until_its_last_window():
    """Its heading says so; it compares with no whole day, and says nothing of what is still to come."""
    firing = alert(site="cannes", start=T + 9 * HOUR, end=T + 9 * HOUR + 20 * MINUTE)
    now = T + 14 * HOUR + 45 * MINUTE
    published = [one for one in whole_day() if one.end <= now]
    made = report(published, until=now, alerts=[firing])
    view = view_of(made, SITE, EN)
    assert view.headline == "Tuesday, 24 November 2026, so far, until 14:40"
    assert view.subject == "Marché <Forville>: 82% wore masks, Tuesday, 24 November 2026, so far, until 14:40"
    assert [label for label in rows(view) if "before" in label] == []
    assert rows(view)["Observed"][0] == "89% of the time was observed."
    assert rows(view)["Alerts"] == ("Whole site, “mask-rate”: 1 alert, firing for 5 h 40 min; one is not over yet.",)
    assert rows(view)["Not published"] == ("Nothing was published for 5 of 44 periods of 20 min.",)
    assert view.lines[-1].when == "14:00 to 14:40"
    assert view_of(made, SITE, FR).headline == "mardi 24 novembre 2026, journée en cours, jusqu’à 14:40"


def test_what_is_missing_until_now_is_missing_of_a_day_so_far():
    """Where windows stopped, the report goes on to the last that should be there; a film's may end after now."""
    now = T + 14 * HOUR + 45 * MINUTE
    stopped = report([one for one in market_day(T) if one.end <= T + 9 * HOUR], until=now)
    assert view_of(stopped, SITE, EN).headline == "Tuesday, 24 November 2026, so far, until 14:40"
    assert stopped.whole.missing >= 17
    film = report([window(T + 14 * HOUR + 40 * MINUTE, 30, (10, 0, 0))], until=now)
    assert view_of(film, SITE, EN).headline == "Tuesday, 24 November 2026, so far, until 15:00"
    assert film.whole.total.persons == 40


def test_the_same_in_french():
    """Decimal comma, spaces before signs and between thousands, the day as the French write it."""
    windows = [*market_day(T), window(T - 24 * HOUR, 60, (40, 0, 0))]
    view = view_of(report(windows), SITE, FR, Footer("équipe"))
    assert view.subject == "Marché <Forville> : 79 % ont porté le masque, mardi 24 novembre 2026"
    assert view.figure.replace("\u202f", "\xa0") == "79\xa0%"
    assert "2\u202f314 personnes" in view.lead
    told = " ".join(rows(view)["La veille"]).replace("\u202f", "\xa0")
    assert told.startswith("lundi 23 novembre 2026\xa0: 60\xa0%, 100 personnes. Hausse de 18,9 points.")
    assert told.endswith("C’est trop pour être dû au hasard.")
    assert not {"figures", "people", "period"} & set(" ".join(line.text for line in view.lines).split())


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        (0.0321, "It rose by 3.2 percentage points."),
        (-0.1, "It fell by 10 percentage points."),
        (-0.0004, "It is the same."),
    ],
)
def test_a_difference_says_its_direction(difference: float, told: str):
    """In words; what rounds to nothing is none, and no chance has made it."""
    made = report(whole_day())
    week = replace(made.comparisons[1], difference=difference)
    said = rows(view_of(replace(made, comparisons=(made.comparisons[0], week)), SITE, EN))[
        "The same weekday a week before"
    ]
    assert told in said
    assert ("That may be chance." in said) == (told != "It is the same.")


def test_a_report_says_whom_to_ask_where_the_settings_do():
    """Below its figures, as an alert's mail does."""
    view = view_of(report(whole_day()), SITE, EN, Footer("staff", contact="dpo@example.org"))
    assert view.notes[-1] == "Other hours, questions, or not for you? Ask dpo@example.org."


def test_a_strict_profile():
    """Two figures by window as published; the mean is called one; nothing of zones, coverage, alerts or causes."""
    windows = [decree(T - 24 * HOUR, 100, 0.5), decree(T, 30, 0.8), decree(T + 20 * MINUTE, 10, 0.4)]
    view = view_of(report(windows, profile="fr-2021-269", zones=("fish",)), SITE, EN)
    assert (view.figure, view.zone_rows, view.hours_heading) == ("70%", [], "Over the day")
    assert rows(view) == {
        "How sure": ("It is the mean of the published periods, weighted by their people. No interval is published.",),
        "The day before": (
            "Monday, 23 November 2026: 50%, 100 people.",
            "It rose by 20 percentage points.",
            "Without published intervals nobody can tell whether that is chance.",
        ),
        "The same weekday a week before": ("Tuesday, 17 November 2026: no rate was published.",),
        "Not published": ("Nothing was published for 70 of 72 periods of 20 min.",),
    }
    assert view.columns == ["Time", "Rate", "People"]
    assert [line.cells for line in view.lines] == [["80%", "30"], ["40%", "10"], []]
    assert "lapsed in 2022" in view.notes[1]


LEADS = [
    ([], "", "Nothing was published about this day."),
    ([hidden(T)], "", "There are no figures of this day: too few people to show."),
    ([hidden(T, "nothing-observed")], "", "There are no figures of this day: nothing observed."),
    ([window(T, 0, (0, 0, 0))], "", "Nobody was counted in the published periods."),
    ([window(T, 0, (0, 0, 1))], "", "Of 1 person nobody could be judged."),
    ([window(T, 1, (0, 0, 0))], "100%", "of the people counted wore a mask correctly. Based on 1 person."),
]


@pytest.mark.parametrize(("windows", "figure", "lead"), LEADS)
def test_days_without_figures(windows, figure, lead):
    """Why there are none is said; no rate is made up. Zones, too."""
    fish = [structs.replace(w, zone="fish") for w in windows]
    view = view_of(report([*windows, *fish], zones=("fish",)), SITE, EN)
    assert (view.figure, view.lead) == (figure, lead)
    assert ("How sure" in rows(view)) == bool(figure)
    assert view.zone_rows[0].texts
    assert view.hours_alternative.startswith("Share" if figure else "A chart of the day, without any rate.")
    for form in render("report", view=view, sources={"hours": "cid:hours", "zones": "cid:zones"}):
        assert lead.split(".")[0] in form


def test_a_trial_is_marked_as_one():
    """In the subject and above all else."""
    view = view_of(report([window(T, profile="lab")]), SITE, EN)
    assert view.subject.startswith("[Test] ")
    assert "This is a test, sent by an installation on trial." in view.banner


def test_hours_that_clocks_show_twice():
    """They say their distance to UTC; other times don't."""
    day = date(2026, 10, 25)
    start = day_start(day, PARIS)
    view = view_of(report([window(start + n * HOUR) for n in range(25)], day), SITE, EN)
    assert [line.when for line in view.lines][1:5] == [
        "01:00 to 02:00 UTC+02:00",
        "02:00 UTC+02:00 to 02:00 UTC+01:00",
        "02:00 UTC+01:00 to 03:00",
        "03:00 to 04:00",
    ]


def test_rows_of_alerts_durations_and_periods():
    """Plurals, what was carried over midnight; periods of more than one length have none."""
    mixed = report([window(T), window(T + HOUR, end=T + HOUR + 5 * MINUTE), window(T + 2 * HOUR)])
    assert rows(view_of(mixed, SITE, EN))["Not published"] == ("Nothing was published for 78 of 81 periods.",)

    def said(words, *rules):
        return rows(view_of(replace(mixed, alerts=rules), SITE, words))[words.gettext("Alerts")]

    lasted = [RuleDay("hall", "low", 1, 0, n, lasting=False) for n in (20 * 10**9, 5 * MINUTE, 2 * HOUR, 160 * MINUTE)]
    assert [one.rpartition("firing for ")[2] for one in said(EN, *lasted)] == ["20 s.", "5 min.", "2 h.", "2 h 40 min."]
    assert said(EN, RuleDay("_site", "mask-rate", 1, 1, 20 * MINUTE, lasting=True)) == (
        "Whole site, “mask-rate”: 1 alert, firing for 20 min; one had begun before this day; one went on after it.",
    )
    [several] = said(FR, RuleDay("hall", "mask-rate", 3, 0, 20 * MINUTE, lasting=False))
    assert several.replace("\u202f", "\xa0") == "hall, «\xa0mask-rate\xa0»\xa0: 3 alertes, actives pendant 20\xa0min."


@pytest.mark.parametrize("words", [EN, FR], ids=["en", "fr"])
def test_every_reason_has_words(words):
    """Each reason of a suppression, and no two the same."""
    assert len({suppressed(why, words) for why in Suppression.__args__}) == 3


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))
        elif tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_layouts():
    """Names are escaped, tags are closed, pictures have their words; the text has all that the HTML has."""
    view = view_of(
        report(whole_day(), zones=("fish", "hall")), SITE, EN, Footer("staff", "https://moretta.example/?a=1&b=2")
    )
    text, html = render("report", view=view, sources={"hours": "cid:hours", "zones": "cid:zones"})
    page = _Page(html)
    assert page.open == []
    assert [(i["src"], bool(i["alt"])) for i in page.images] == [("cid:hours", True), ("cid:zones", True)]
    assert "<Forville>" not in html
    assert "Fish & chips" in page.text
    for told in (*(t for row in (*view.rows, *view.zone_rows) for t in row.texts), *view.notes, view.lead):
        assert told in text
        assert told in page.text
    for line in view.lines:
        assert line.text in text
        assert all(cell in page.text for cell in (line.when, *line.cells))
    assert "Open Moretta: https://moretta.example/?a=1&b=2" in text


def withheld(reason, *alerts, at=T + HOUR, receiver="staff", ended=()):
    return NotificationV1(
        site="cannes", receiver=receiver, notification="f" * 16, group="e" * 16, number=0, root="f" * 16,
        withheld=reason, firing=[f"{alert:016x}" for alert in alerts], resolved=[f"{e:016x}" for e in ended], at=at,
    )  # fmt: skip


HELD = [
    withheld("muted", 1, 2, 3),
    withheld("muted", ended=[3]),
    withheld("silenced", 4, 99),  # 99 is about the system itself
    withheld("capped", 1, at=T + 25 * HOUR),
    withheld("muted", 5, at=T - 1),
    withheld("inhibited", 6, receiver="head"),
    structs.replace(withheld("muted", 7), withheld=None, reason="first"),
]


OF_ALL = (
    "5 alertes ont été retenues\xa0: hors des plages d’envoi (3), silence demandé par un opérateur (1) et la zone"
    " n’était pas observée (1)."
)


@pytest.mark.parametrize(
    ("receiver", "words", "label", "told"),
    [
        (
            *("staff", EN, "Held back"),
            "4 alerts were held back: outside the times for messages (3) and silenced by an operator (1).",
        ),
        ("head", EN, "Held back", "1 alert was held back: the zone could not be observed."),
        ("head", FR, "Retenu", "1 alerte a été retenue\xa0: la zone n’était pas observée."),
        (None, FR, "Retenu", OF_ALL),
    ],
)
def test_what_notify_held_back_is_told_with_its_reasons(make_alert, receiver, words, label, told):
    """Alerts about rates, of this day, of the receiver who reads: once each; a file tells of all receivers."""
    alerts = [make_alert(site="cannes", alert=f"{n:016x}", start=T, rule=f"r{n}") for n in range(1, 8)]
    asked = Question("cannes", DAY, PARIS, 2**62, receiver=receiver)
    view = view_of(report_of(asked, market_day(T), alerts, HELD), SITE, words)
    assert rows(view)[label] == (told,)
    bodies = render("report", view=view, sources={"hours": "cid:h", "zones": "cid:z"})
    assert all(told in body for body in (bodies.text, bodies.html))


@pytest.mark.parametrize("profile", ["stats-only", "fr-2021-269"])
def test_where_no_alert_is_about_a_rate_nothing_was_held_back(make_alert, profile):
    """Operators' alerts are not for field staff; under the decree not even a rule that was taken out is told of."""
    alerts = [make_alert(site="cannes", alert=f"{1:016x}", start=T)] if profile == "fr-2021-269" else []
    asked = Question("cannes", DAY, PARIS, 2**62, profile=profile)
    assert "Held back" not in rows(view_of(report_of(asked, market_day(T), alerts, HELD), SITE, EN))


def test_a_report_has_the_head_of_an_alerts_mail(make_alert, notify, site):
    """One layout of light, dark, telephone and paper; a name in the title is no markup."""
    named = structs.replace(site, name="<b>Forville</b>")
    mail = render("alert", view=describe(notify("first", make_alert()), named, EN)).html
    view = view_of(report(whole_day()), SITE, EN)
    page = render("report", view=view, sources={"hours": "cid:h", "zones": "cid:z"}).html
    heads = [re.split("<title>(.*)</title>", html.lstrip().split("<body")[0]) for html in (mail, page)]
    assert [title for _, title, _ in heads] == [
        "&lt;b&gt;Forville&lt;/b&gt;: 62% wear masks (alert below 70%)",
        "Marché &lt;Forville&gt;: 79% wore masks, Tuesday, 24 November 2026",
    ]
    assert heads[0][0] == heads[1][0]
    assert heads[0][2] == heads[1][2]
    assert all(rule in heads[0][2] for rule in ("prefers-color-scheme: dark", "max-width: 480px", "@media print"))


def test_a_camera_that_does_not_know_its_walls_yet_is_said_apart():
    """It lowers no coverage, so it is no reason why not all was seen; the people may be too many."""
    windows = [window(T + n * HOUR, 30, (10, 0, 0), gaps=["static-learning"] * (n < 11)) for n in range(9, 12)]
    told = rows(view_of(report(windows), SITE, EN, Footer("staff")))["Observed"]
    assert told[1:] == ("Faces on walls may be among the people: they were not known yet (2 periods of 20 min).",)


def test_a_film_that_was_over_is_no_camera_out_of_order():
    """At a site whose windows are closed by films; elsewhere it is a camera's fault."""
    windows = [window(T + 9 * HOUR, 30, (10, 0, 0), coverage=0.25, gaps=["camera-down"])]
    for films, told in ((False, "a camera was down"), (True, "a camera was down or a film was over")):
        site = structs.replace(SITE, close_on_end=films)
        said = " ".join(rows(view_of(report(windows), site, EN, Footer("staff")))["Observed"])
        assert told in said
        assert ("film" in said) == films
