"""What a mail says, word by word, in English and in French."""

from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from services.notify.languages import words_in
from services.notify.notification import Group, notice_of
from services.notify.texts.mail_contents import MailView
from services.notify.texts.mail_wording import LONGEST, describe
from services.notify.texts.names import listed, one_line, place
from services.notify.texts.words import UnpresentableError, instant
from services.sites.settings import RuleSettings

MINUTE, HOUR = 60 * 10**9, 3_600 * 10**9
EN, FR = words_in("en"), words_in("fr")


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


CHANCE = "It allows for chance alone (95 of 100 times), not for errors of the image analysis."


def said(view: MailView) -> dict[str, str]:
    return {label: plain(value) for label, value in (*view.first, *view.facts)}


def test_a_mail_says_that_the_range_holds_the_models_errors(make_alert, notify, site):
    """One sentence says what the margin of error allows for, and what it leaves out."""
    whole = describe(notify("first", make_alert(sampling_interval=(0.56, 0.67)), by_rule=True), site, EN)
    assert said(whole)["How sure"] == (
        "Margin of error: 54% to 69%. In 95 of 100 places the true rate is within it: "
        "it allows for chance and for the errors that the image analysis made "
        "elsewhere; here it may make more."
    )
    chance = describe(notify("first", make_alert(sampling_interval=(0.54, 0.69)), by_rule=True), site, EN)
    assert said(chance)["How sure"] == f"Margin of error: 54% to 69%. {CHANCE}"


def test_a_firing_mail_says_where_what_and_how_sure(make_alert, notify, site):
    """Place, window with its zone, rate, interval, people, coverage, change and rule are all there."""
    view = describe(notify("first", make_alert(), by_rule=True), site, EN)
    assert view.subject == "Market Forville: 62% wear masks (alert below 70%)"
    assert (view.badge, view.headline, view.place) == ("Warning", "Mask rate below 70%", "Market Forville")
    assert view.figure == "62%"
    assert view.lead == "of the people counted wore a mask correctly. Based on 143 people."
    assert said(view) == {
        "Alert": "This alert has been on since 09:40.",
        "Counted": "Tuesday, 24 November 2026, 10:00 to 10:20 (Europe/Paris, UTC+01:00)",
        "How sure": f"Margin of error: 54% to 69%. {CHANCE}",
        "Observed": "97% of the time was observed.",
        "Rule": "“mask-rate” warns when the rate is clearly below 70% (margin of error included) and ends above 75%.",
    }
    assert (view.banner, view.table) == ("", None)
    assert view.notes[1:] == (
        "Sent automatically to “field-staff”. Please do not reply to this message.",
        f"Alert 0123456789abcdef, notification {'f' * 16}",
    )  # fmt: skip


def test_a_rules_name_and_what_to_do_are_in_the_mail(make_alert, notify, site):
    """Action first, above the picture, while it fires; of several alerts each once, with its places. Else the id."""
    few = RuleSettings(id="mask-rate", zone="north", fire_below=0.7, clear_above=0.75, name="Few\nmasks", action="Go.")
    other = structs.replace(few, zone="south", name=None)
    site = structs.replace(site, rules=[few, other])
    one = describe(notify("first", make_alert(zone="north"), by_rule=True), site, EN)
    assert one.first == (("What to do", "Go."), ("Alert", "This alert has been on since 09:40."))
    assert said(one)["Rule"].startswith("“Few masks” warns when")
    both = notify("first", make_alert(zone="north"), make_alert(zone="south", alert="1" * 16))
    assert said(describe(both, site, EN))["What to do"] == "North entrance and south: Go."
    many = [structs.replace(few, id=f"r{n}", action=f"Do {n}") for n in range(9)]
    storm = notify("first", *(make_alert(zone="north", rule=one.id, alert=f"{n:016x}") for n, one in enumerate(many)))
    facts = describe(storm, structs.replace(site, rules=many), EN).first
    assert [text for label, text in facts if label == "What to do"] == [f"North entrance: Do {n}." for n in range(5)]
    over = describe(notify("all-resolved", make_alert(zone="south", state="resolved"), by_rule=True), site, EN)
    assert said(over)["Alert"].endswith("It is over because the rule was changed or removed.")
    assert "What to do" not in said(over)
    assert said(over)["Rule"].startswith("“mask-rate” warns when")


def test_a_rules_texts_are_in_the_readers_language_or_else_in_the_sites(make_alert, notify, site):
    """Name and action alike; one text is for every reader."""
    texts = {"name": {"en": "Few masks", "fr": "Peu de masques"}, "action": {"fr": "Distribuez des masques"}}
    rule = RuleSettings(id="mask-rate", zone="north", fire_below=0.7, clear_above=0.75, **texts)
    site = structs.replace(site, rules=[rule], language="fr")
    french, english = (describe(notify("first", make_alert(zone="north")), site, words) for words in (FR, EN))
    assert french.first[0] == ("Que faire", "Distribuez des masques.")
    assert "Peu de masques" in said(french)["Règle"]
    assert english.first[0] == ("What to do", "Distribuez des masques.")
    assert "Few masks" in said(english)["Rule"]


def test_the_same_mail_in_french(make_alert, notify, site):
    """Its own spaces, quotation marks, plural and order of words."""
    view = describe(notify("first", make_alert(persons=1, zone="north"), by_rule=True), site, FR)
    assert view.subject == "North entrance : 62 % portent le masque (alerte sous 70 %), Market Forville"
    assert (view.badge, view.headline) == ("Avertissement", "Port du masque sous 70\N{NO-BREAK SPACE}%")
    assert plain(view.figure + " " + view.lead) == (
        "62 % des personnes comptées portaient correctement un masque. Chiffre établi sur 1 personne."
    )
    assert said(view)["Comptage"] == "mardi 24 novembre 2026, de 10:00 à 10:20 (Europe/Paris, UTC+01:00)"
    assert said(view)["Précision"] == (
        "Marge d’erreur : de 54 % à 69 %. Elle ne tient compte que du hasard (95 fois sur 100), pas des erreurs de "
        "l’analyse d’images."
    )


def test_the_subject_says_what_holds_and_where(make_alert, make_window, notify, site):
    """From the first mail to the last, with the newest rate of an alert that goes on."""
    alert = make_alert(zone="north")
    over = make_alert(zone="north", state="resolved", rate=0.81, interval=(0.74, 0.86))
    mails = [
        notify("first", alert, by_rule=True),
        notify("repeat", alert, new=[], by_rule=True, at=alert.end + 60 * MINUTE),
        notify("all-resolved", over, by_rule=True),
        notify("all-resolved", make_alert(zone="north", state="resolved"), by_rule=True),
    ]
    later = [make_window(1, zone="north", rate=0.44, interval=(0.36, 0.52))]
    views = [describe(mail, site, EN, windows=later if mail.reason == "repeat" else ()) for mail in mails]
    assert [view.subject for view in views] == [
        "North entrance: 62% wear masks (alert below 70%), Market Forville",
        "North entrance: still 44% wear masks (alert below 70%), Market Forville",
        "Over: North entrance, 81% wear masks (back above 75%), Market Forville",
        "Over: North entrance, Market Forville",
    ]
    assert [view.headline for view in views] == [
        "Mask rate below 70%",
        "Not over yet: mask rate too low",
        "Mask rate back above 75%",
        "This alert is over",  # for another reason than its rate, which is not claimed
    ]
    assert [view.badge for view in views] == ["Warning", "Warning", "Over", "Over"]
    assert said(views[2])["Alert"] == "It lasted from 09:40 to 10:20, and is over."


def test_a_reminder_claims_no_rate_below_the_bound_that_is_not(make_alert, make_window, notify, site):
    """An alert goes on until its rate is above the upper bound, so its newest rate may be between the two."""
    alert = make_alert(zone="north")
    mail = notify("repeat", alert, new=[], by_rule=True, at=alert.end + 60 * MINUTE)
    later = [make_window(1, zone="north", rate=0.74, interval=(0.66, 0.81))]
    told = "North entrance: 74% wear masks (alert not over yet), Market Forville"
    assert said(describe(mail, site, EN, windows=later))["Alert"] == "This alert has been on since 09:40."
    assert describe(mail, site, EN, windows=later).subject == told


def test_a_mail_says_whom_to_ask_where_the_settings_do(make_alert, notify, site):
    """Who gets it at night, or in the place of another, is told no way to answer otherwise."""
    mail = notify("first", make_alert(), by_rule=True)
    ask = "Other hours, questions, or not for you? Ask the control room, 04 97 06 40 00."
    assert ask in describe(mail, site, EN, contact="the control room, 04 97 06 40 00").notes
    assert not [note for note in describe(mail, site, EN).notes if "Ask" in note]
    french = describe(mail, site, FR, contact="accueil@example.org").notes
    assert "D’autres horaires, une question, ou vous n’êtes pas concerné ? Contact : accueil@example.org." in [
        plain(note) for note in french
    ]


@pytest.mark.parametrize(
    ("reason", "new", "over", "english", "french"),
    [
        (
            "first", None, (),
            "Mask rate too low: North entrance and south", "Port du masque trop faible : North entrance et south",
        ),
        ("new-alerts", (1,), ("_site",), "New alert: south", "Nouvelle alerte : south"),
        ("some-resolved", (), ("_site",), "Over: whole site", "Fin d’alerte : tout le site"),
        (
            "repeat", (), (),
            "Not over yet: mask rate too low, North entrance and south",
            "Toujours en cours : port du masque insuffisant, North entrance et south",
        ),
        ("digest", (), ("_site", "a"), "4 alerts in one mail", "4 alertes dans un seul courriel"),
    ],
)  # fmt: skip
def test_the_headline_says_why_several_are_told(make_alert, notify, site, reason, new, over, english, french):
    """And so does the subject, with the site."""
    firing = [make_alert(alert="1" * 16, zone="north"), make_alert(alert="2" * 16, zone="south")]
    resolved = [make_alert(alert="3" * 15 + str(n), zone=zone, state="resolved") for n, zone in enumerate(over)]
    mail = notify(reason, *firing, *resolved, new=None if new is None else [firing[n] for n in new])
    assert describe(mail, site, EN).headline == english
    assert plain(describe(mail, site, FR).headline) == french
    assert describe(mail, site, EN).subject == f"{english}, Market Forville"


def test_all_over_and_many_places_are_said_shortly(make_alert, notify, site):
    """A list that nobody reads is a number."""
    over = [make_alert(alert=f"{n:016x}", zone=zone, state="resolved") for n, zone in enumerate(("north", "south"))]
    assert describe(notify("all-resolved", *over), site, EN).headline == "All alerts are over"
    many = [make_alert(alert=f"{n:016x}", zone=f"z{n}") for n in range(LONGEST + 2)]
    view = describe(notify("first", *many), site, EN)
    assert view.headline == "Mask rate too low: 42 places"
    assert view.table is not None
    assert (len(view.table.rows), view.table.more) == (LONGEST, "And 2 more.")


def test_a_table_says_of_each_where_since_when_and_how_sure(make_alert, notify, site):
    """Firing ones, new or not, and those that are over, with what the mail is worth in one sentence."""
    new = make_alert(alert="1" * 16, zone="north", severity="critical")
    old = make_alert(alert="2" * 16, since=make_alert().since - 24 * 60 * MINUTE)
    over = make_alert(alert="3" * 16, zone="south", state="resolved", rate=0.8, interval=(0.76, 0.9), persons=1_234)
    view = describe(notify("new-alerts", new, old, over, new=[new]), site, EN)
    assert view.lead == "2 alerts are on (1 new) and 1 alert is over."
    assert (view.tone, view.badge) == ("critical", "Critical")
    assert view.table is not None
    assert view.table.columns == ("Where", "Mask rate", "People")
    assert [(row.state, row.tone, *row.cells) for row in view.table.rows] == [
        (
            "New", "critical", ("North entrance", "since 09:40, “mask-rate” warns below 70%"),
            ("62%", "54% to 69%"), ("143", ""),
        ),
        (
            "Goes on", "warning", ("Whole site", "since Monday, 23 November 2026, 09:40, “mask-rate” warns below 70%"),
            ("62%", "54% to 69%"), ("143", ""),
        ),
        (
            "Over", "resolved", ("south", "from 09:40 to 10:20, “mask-rate” warns below 70%"),
            ("80%", "76% to 90%"), ("1,234", ""),
        ),
    ]  # fmt: skip
    assert list(said(view)) == ["Newest figures", "How sure"]


def test_an_alert_that_goes_on_has_its_newest_figure(make_alert, make_window, notify, site):
    """Hours later the figure that set it off is old news; a withheld or later window is not used."""
    windows = [
        make_window(2, rate=0.5, interval=(0.4, 0.6), persons=77),
        make_window(1, rate=0.9),
        make_window(2, zone="north", rate=0.1),
        make_window(3, rate=None, interval=None, persons=None, suppressed="small-count"),
        make_window(4, rate=0.2),
    ]
    at = windows[3].end + MINUTE
    view = describe(notify("repeat", make_alert(), new=[], at=at), site, EN, windows=windows)
    assert view.figure == "50%"
    assert "Based on 77 people" in view.lead
    assert said(view)["Counted"].startswith("Tuesday, 24 November 2026, 10:40 to 11:00")
    assert describe(notify("first", make_alert(), at=at), site, EN, windows=windows).figure == "62%"
    new = notify("new-alerts", make_alert(), new=[make_alert()], at=at)
    assert describe(new, site, EN, windows=windows).figure == "62%"


def test_operators_are_told_what_is_missing_and_what_helps(make_fault, notify, site):
    """A wording of its own; no count and no rate."""
    down = make_fault()
    view = describe(notify("first", down), site, EN)
    assert view.subject == "Missing: camera “gate”, Market Forville"
    assert view.headline == "Missing: camera “gate”"
    assert view.lead.endswith("Check its power, its network and its address.")
    assert said(view)["Observed"] == "12% of the last window."
    blind = make_fault(kind="no-data", name="north", reason=None, coverage=None)
    view = describe(notify("first", down, blind), site, FR)
    assert plain(view.headline) == "Données absentes : caméra « gate » et chiffres de « North entrance »"
    assert view.table is not None
    assert [plain(row.cells[0].main) for row in view.table.rows] == [
        "Caméra « gate »",
        "Chiffres de « North entrance »",
    ]
    assert plain(view.table.rows[0].cells[1].beside) == "observé : 12 %"
    back = make_fault(state="resolved", reason=None, coverage=None)
    view = describe(notify("all-resolved", back, by_rule=True), site, EN)
    assert (view.subject, view.headline) == ("Back: camera “gate”, Market Forville", "Back: camera “gate”")
    by_zone = Group("operators", "forville", "operators", "north")
    view = describe(notify("first", blind, group=by_zone), site, EN)
    assert view.subject == "Missing: figures of “North entrance”, Market Forville"
    site_back = make_fault(kind="no-data", name="_site", state="resolved")
    assert describe(notify("all-resolved", back, site_back), site, EN).headline == "Nothing is missing any more"
    assert describe(notify("some-resolved", down, site_back), site, EN).headline == "Back: figures of “Market Forville”"


@pytest.mark.parametrize(
    ("kind", "name", "words", "subjects"),
    [
        ("camera-down", "gate", EN, ("Missing: camera “gate”", "Back: camera “gate”")),
        ("no-data", "north", EN, ("Missing: figures of “North entrance”", "Back: figures of “North entrance”")),
        (
            "channel-down",
            "email",
            FR,
            ("Ne fonctionne pas : canal « email »", "Fonctionne à nouveau : canal « email »"),
        ),
    ],
)
def test_operators_subjects_say_what_they_are_about(make_fault, notify, site, kind, name, words, subjects):
    """Whatever a route groups by."""
    said = []
    for state, reason in (("firing", "first"), ("resolved", "all-resolved")):
        alert = make_fault(kind=kind, name=name, state=state, reason=None, coverage=None)
        groups = [Group("ops", "forville", "operators", *by) for by in ((), (None, kind), (name, kind))]
        (one,) = {plain(describe(notify(reason, alert, group=group), site, words).subject) for group in groups}
        said.append(one)
    assert said == [f"{subject}, Market Forville" for subject in subjects]


@pytest.mark.timeout(30)  # half a second where it was written
def test_a_storm_that_goes_on_is_described_at_once(make_alert, make_window, notify, site):
    """Ten thousand alerts in a hundred zones, repeated, with seven hours of windows: seconds would cost the lease."""
    alerts = [make_alert(alert=f"{n:016x}", zone=f"z{n % 100}", rule=f"r{n}") for n in range(10_000)]
    windows = [make_window(1 - n, zone=f"z{z}", rate=0.5 + z / 1000) for n in range(84) for z in range(100)]
    told = notify("repeat", *alerts, new=[], at=alerts[0].end + 12 * HOUR)
    view = describe(told, site, EN, windows=[*windows, make_window(2, zone="z1", rate=None), make_window(9, zone="z2")])
    assert view.table is not None
    assert [row.cells[1].main for row in view.table.rows[:4]] == ["50%", "50%", "80%", "50%"]
    assert view.table.more == "And 9,960 more."


@pytest.mark.parametrize(
    ("kind", "name", "on", "over", "helps"),
    [
        ("channel-down", "email", "Not working: channel “email”", "Works again: channel “email”", "log of notify"),
        ("undelivered", "ops-1a2b3c4d", "Not working: messages to “ops-1a2b3c4d”",
         "Works again: messages to “ops-1a2b3c4d”", "moretta notify replay"),
    ],
)  # fmt: skip
def test_operators_are_told_what_cannot_be_told(make_fault, notify, site, kind, name, on, over, helps):
    """Of a channel or a recipient nothing is said of figures and people; it happened at one moment. Also in French."""
    at = make_fault().at
    fires = make_fault(kind=kind, name=name, since=at, reason=None, coverage=None)
    ends = make_fault(kind=kind, name=name, since=at, at=at + 10**9, state="resolved", reason=None, coverage=None)
    first, last = (describe(notify(r, f), site, EN) for r, f in (("first", fires), ("all-resolved", ends)))
    assert (first.headline, last.headline) == (on, over)
    assert helps in first.lead
    assert said(first) == {"When": "Tuesday, 24 November 2026, 10:20 (Europe/Paris, UTC+01:00)"}
    assert "again" in last.lead
    down = make_fault()
    both = describe(notify("first", down, fires), site, EN)
    assert (both.headline, both.table.rows[1].cells[1].main) == (
        f"Not working: camera “gate” and {on.removeprefix('Not working: ')}", first.lead,
    )  # fmt: skip
    gone = [make_fault(state="resolved", reason=None, coverage=None), ends]
    assert describe(notify("all-resolved", *gone), site, EN).headline.startswith("Works again: ")
    for reason, fault in (("first", fires), ("all-resolved", ends)):
        french = describe(notify(reason, fault), site, FR)
        assert not {"figures", "chiffres", "personnes", "people"} & set(f"{french.headline} {french.lead}".split())
        assert name in french.headline
        assert "log of" not in french.lead


def test_lab_says_that_it_is_a_test(make_alert, notify, site):
    """A mail of a lab installation says so in subject and body. It shows what to do, so it says no "nothing to do"."""
    rule = RuleSettings(id="mask-rate", fire_below=0.7, clear_above=0.75, action="Hand out masks.")
    site = structs.replace(site, rules=[rule])
    view = describe(notify("first", make_alert(profile="lab")), site, EN)
    assert view.subject == "[Test] Market Forville: 62% wear masks (alert below 70%)"
    assert view.banner == "This is a test, sent by an installation on trial."
    assert view.first[0] == ("What to do", "Hand out masks.")


def test_a_test_message_says_that_its_figures_are_made_up(make_alert, notify, site):
    """It comes from any installation, and shows a rate as an alert does."""
    view = describe(notify("test", make_alert(profile="lab")), site, EN)
    assert (view.badge, view.banner) == (
        "Test", "This is a test: its figures are made up, and nothing needs to be done.",
    )  # fmt: skip


def test_a_test_message_says_that_it_arrived(notify, site):
    """With no alert at all."""
    view = describe(notify("test"), site, EN)
    assert (view.subject, view.badge) == ("[Test] Mails from Moretta reach you, Market Forville", "Test")
    assert view.headline == "Mails from Moretta reach you"


def test_a_mail_without_a_public_page_has_no_link(make_alert, notify, site):
    """No link text without a link."""
    assert describe(notify("first", make_alert()), site, EN).link_text == ""
    linked = describe(notify("first", make_alert()), site, EN, link="https://masks.example.org/")
    assert (linked.link, linked.link_text) == ("https://masks.example.org/", "Open Moretta")


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


def test_a_time_beyond_the_calendar_is_named(site):
    """A legal but absurd time is an error of its own, not a crash inside the calendar."""
    with pytest.raises(UnpresentableError, match="beyond the calendar"):
        instant(10**30, ZoneInfo(site.timezone))


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


def test_places_are_listed_up_to_three(make_alert, notify, site):
    """Each once; four or more are counted."""
    zones = ["_site", "north", "east", "west"]

    def named(*zones: str) -> str:
        return plain(listed([notice_of(make_alert(zone=zone), 1) for zone in zones], site, EN))

    assert named(*zones[:3], "east") == "whole site, North entrance and east"
    assert named(*zones) == "4 places"
