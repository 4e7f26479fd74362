"""The chart of the last hours: gaps stay gaps, what was withheld is marked, times are the site's."""

import struct

import pytest
from fonts import _fonts  # noqa: F401 - a fixture
from msgspec import structs

from services.notify.channels.email.drawing import draw
from services.notify.languages import words_in
from services.notify.texts.chart import HOURS, Chart, chart_of
from services.sites.settings import SiteSettings, ZoneSettings

MINUTE = 60 * 10**9
EN, FR = words_in("en"), words_in("fr")


@pytest.fixture(name="chart")
def _chart(make_alert, notify, site):
    """`chart(windows)`: what is drawn of these windows for one firing alert of the whole site."""

    def make(windows, words=EN, **changes) -> Chart | None:
        return chart_of(notify("first", make_alert(**changes)), site, words, windows)

    return make


def withheld(make_window, number: int):
    return make_window(number, rate=None, interval=None, persons=None, suppressed="small-count")


def test_a_missing_window_is_a_gap_and_a_withheld_one_has_a_mark(chart, make_window):
    """No line is drawn across what nobody published."""
    drawn = chart([make_window(-5), make_window(-4), make_window(-2), withheld(make_window, -1), make_window(0)])
    [line] = drawn.lines
    assert [[point.at_s / 60 for point in run] for run in line.runs] == [[10, 30], [70], [110]]
    assert [at / 60 for at in line.withheld_s] == [90]
    assert drawn.withheld == "too few people"
    assert drawn.length_s == 120 * 60
    assert [(point.rate, point.low, point.high) for point in line.runs[0]] == [(0.8, 0.7, 0.9)] * 2


def test_it_ends_with_the_figure_that_the_mail_shows(make_alert, make_window, notify, site):
    """Of an alert that is new or over the figure that decided it, however late the mail is; else the newest."""
    windows = [make_window(n, rate=0.9 if n < 1 else 0.4) for n in range(-4, 3)]
    later = {"at": windows[-1].end + MINUTE}
    over, on = make_alert(state="resolved", rate=0.9), make_alert()
    for mail, last in (
        (notify("all-resolved", over, **later), 0.9), (notify("first", on, **later), 0.9),
        (notify("repeat", on, new=[], **later), 0.4),
    ):  # fmt: skip
        drawn = chart_of(mail, site, EN, windows)
        assert drawn is not None
        assert drawn.lines[0].runs[-1][-1].rate == last


def test_each_line_ends_with_the_figures_of_its_zone(make_alert, make_window, notify, site):
    """North is over, south goes on; of two rules in one zone one is new, and the other goes on."""
    windows = [
        make_window(n, zone=zone, rate=0.9 if n < 1 else 0.4) for n in range(-4, 3) for zone in ("north", "south")
    ]
    later = {"at": windows[-1].end + MINUTE}
    over = make_alert(alert="1" * 16, zone="north", state="resolved", rate=0.9)
    on, new = make_alert(alert="2" * 16, zone="south"), make_alert(alert="3" * 16, zone="south", rule="other")
    for mail, last in (
        (notify("some-resolved", on, over, new=[], **later), {"north": 0.9, "south": 0.4}),
        (notify("new-alerts", new, on, new=[new], **later), {"south": 0.4}),
    ):
        drawn = chart_of(mail, site, EN, windows)
        assert drawn is not None
        assert {line.zone: line.runs[-1][-1].rate for line in drawn.lines} == last


def test_a_mail_that_comes_hours_later_has_the_chart_of_then(make_alert, make_window, notify, site):
    """As after quiet hours: six hours before the figure, not before the mail."""
    windows = [make_window(n) for n in range(-30, 30)]
    over = make_alert(state="resolved", rate=0.8)
    soon, late = (
        chart_of(notify("all-resolved", over, at=windows[-1].end + hours * 60 * MINUTE), site, EN, windows)
        for hours in (0, 8)
    )
    assert soon == late
    assert soon is not None


def test_only_published_windows_of_its_zones_and_hours_are_drawn(chart, make_window):
    """What ended after the decision, lies longer ago, or is of another site or zone, is not: a retry draws the same."""
    windows = [make_window(n) for n in range(-40, 3)]
    others = [make_window(-1, zone="north", rate=0.1), make_window(-1, site="elsewhere", rate=0.2)]
    drawn = chart([*reversed(windows), *others])
    [line] = drawn.lines
    assert sum(len(run) for run in line.runs) == HOURS * 3  # 04:20 to 10:20, the alert's own window
    assert {point.rate for run in line.runs for point in run} == {0.8}
    assert drawn.withheld == ""


def test_nothing_to_draw_is_no_chart(chart, make_window, make_fault, notify, site):
    """No windows, one alone, withheld ones, or a mail that is not about rates."""
    windows = [make_window(-1), make_window(0)]
    assert chart(windows) is not None
    assert chart([]) is None
    assert chart(windows[:1]) is None
    assert chart([withheld(make_window, -1), withheld(make_window, 0)]) is None
    assert chart_of(notify("first", make_fault()), site, EN, windows) is None
    assert chart_of(notify("test"), site, EN, windows) is None


def test_the_axes_are_in_the_readers_language_and_the_sites_time(chart, make_window):
    """Round local hours; per cent with its space."""
    drawn = chart([make_window(n) for n in range(-17, 1)], FR)
    assert [tick.label for tick in drawn.times] == ["05:00", "06:00", "07:00", "08:00", "09:00", "10:00"]
    assert [tick.at for tick in drawn.times][:2] == [40 * 60, 100 * 60]
    assert [tick.label for tick in drawn.rates] == [f"{n}\N{NO-BREAK SPACE}%" for n in (0, 25, 50, 75, 100)]
    assert drawn.alternative.replace("\N{NO-BREAK SPACE}", " ") == (
        "Port du masque de 04:20 à 10:20. Market Forville : 80 % à la fin\u202f; au plus bas 80 %, au plus haut 80 %."
    )


def test_labels_with_seconds_do_not_overlap(chart, make_window):
    """Short windows, as trials have them: labels are wider, so there are fewer."""
    last, second = make_window(0), 10**9
    ends = [last.end - 20 * n * second for n in (2, 1, 0)]
    drawn = chart([structs.replace(last, start=end - 20 * second, end=end) for end in ends])
    assert [tick.label for tick in drawn.times] == ["10:19", "10:19:30", "10:20"]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("firing",), ["70%"]),
        (("resolved",), ["75%"]),
        (("firing", "resolved"), ["70%"]),
    ],
)
def test_the_threshold_is_the_one_that_matters_now(make_alert, make_window, notify, site, states, expected):
    """That to fall below while any alert fires, else that to rise above."""
    alerts = [make_alert(alert=f"{n:016x}", state=state) for n, state in enumerate(states)]
    drawn = chart_of(notify("first", *alerts), site, EN, [make_window(-1), make_window(0)])
    assert drawn is not None
    assert [tick.label for tick in drawn.thresholds] == expected


def test_few_lines_are_drawn_of_many_zones(make_alert, make_window, notify, site):
    """The first four told of, each once, where there is something to draw; and no forest of thresholds."""
    zones = ["a", "a", "b", "c", "d", "e"]  # of c there are no windows
    alerts = [make_alert(alert=f"{n:016x}", zone=zone, fire_below=n / 10) for n, zone in enumerate(zones)]
    windows = [make_window(n, zone=zone) for zone in set(zones) - {"c"} for n in (-1, 0)]
    drawn = chart_of(notify("first", *alerts), site, EN, windows)
    assert drawn is not None
    assert [line.zone for line in drawn.lines] == ["a", "b", "d"]
    assert drawn.thresholds == ()


@pytest.mark.parametrize("name", ["東京駅", "$x$ _y \\frac", "_hidden", "a" * 80, "Entrée “nord” & <co>", "مدخل"])
def test_whatever_a_zone_is_called_it_is_drawn_the_same_again(make_alert, make_window, notify, name: str):
    """No name is an order to the library, none fails for lack of letters, and the same chart is the same bytes."""
    site = SiteSettings(id="forville", timezone="Europe/Paris", zones=[ZoneSettings(id="north", name=name)])
    windows = [make_window(n, zone="north") for n in (-4, -2, -1)]
    windows.append(make_window(0, zone="north", rate=None, interval=None, persons=None, suppressed="small-count"))
    drawn = chart_of(notify("first", make_alert(zone="north")), site, FR, windows)
    assert drawn is not None
    png = draw(drawn)
    assert png == draw(drawn)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (920, 500)
    assert len(png) < 100_000
