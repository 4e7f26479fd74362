"""The charts of a daily report: what is drawn where, in the reader's language and by the site's clock."""

from datetime import date
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from fonts import open_fonts
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from PIL import Image
from windows import HOUR, decree, hidden, market_day, window

from services.charts.periods import drawable
from services.notify.languages import words_in
from services.notify.reports.charts import hours_chart, zones_chart
from services.notify.reports.day import Question, report_of
from services.statistics.calendar import day_start

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
T = day_start(DAY, PARIS)
EN, FR = words_in("en"), words_in("fr")


def report(windows, day=DAY, **changes):
    return report_of(Question("cannes", day, PARIS, 2**62, **changes), windows, [])


@pytest.fixture(autouse=True, scope="module")
def _fonts():
    open_fonts()


@pytest.fixture(name="drawn")
def _drawn(monkeypatch):
    """The figures that were to be saved; that files come of them is tried apart, since drawing is most of the work."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: saved.append(figure))
    return saved


def clock(axes):
    return [f"{num2date(at, tz=PARIS):%H:%M}" for at in axes.get_xticks()]


def test_the_day_is_drawn_as_it_was(drawn):
    """A line and a band up to the gap and after it, the night hatched, the gap crossed, the coverage below."""
    found = report(market_day(T))
    hours_chart(found, EN, PARIS, "Europe/Paris")
    upper, lower = drawn[0].axes
    assert [[round(n * 24 % 24) for n in (line.get_xdata()[0], line.get_xdata()[-1])] for line in upper.lines] == [
        [5, 11], [12, 20],
    ]  # fmt: skip
    assert [s for line in upper.lines for s in line.get_ydata()[::2]] == pytest.approx(
        [100 * p.rate for p in found.parts if p.rate is not None]
    )
    bands = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in upper.containers[0]]
    assert bands == [pytest.approx((100 * p.interval[0], 100 * p.interval[1])) for p in found.parts if p.interval]
    hatches = [patch.get_hatch() for patch in upper.patches if patch.get_hatch()]
    assert (hatches.count("//"), hatches.count("xx")) == (9, 1)
    assert [bar.get_height() for bar in lower.containers[0]] == pytest.approx([100 * p.coverage for p in found.parts])
    assert clock(lower) == ["00:00", "06:00", "12:00", "18:00", "00:00"]


def test_labels_are_the_readers(drawn):
    """French words and numbers."""
    hours_chart(report(market_day(T)), FR, PARIS, "Europe/Paris")
    upper, lower = drawn[0].axes
    names = {text.replace("\u202f", "\xa0") for text in upper.get_legend_handles_labels()[1] if text[0] != "_"}
    assert names == {"taux", "marge d’erreur", "rien de publié", "trop peu de personnes"}
    assert [tick.get_text()[-1] for tick in upper.get_yticklabels()] == ["%"] * 6
    assert (lower.get_xlabel(), lower.get_ylabel()) == ("heure (Europe/Paris)", "observé")


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_the_axis_is_as_long_as_the_day(drawn, day, hours):
    """Six o'clock is where clocks show it."""
    start = day_start(day, PARIS)
    hours_chart(report([window(start + n * HOUR) for n in range(hours)], day), EN, PARIS, "Europe/Paris")
    axes = drawn[0].axes[0]
    low, high = axes.get_xlim()
    assert round((high - low) * 24, 6) == hours
    assert clock(drawn[0].axes[-1]) == ["00:00", "06:00", "12:00", "18:00", "00:00"]


def test_a_strict_day_has_no_band_and_no_coverage(drawn):
    """One axis with a line, as the profile has no more."""
    hours_chart(report([decree(T, 30, 0.5), decree(T + HOUR, 30, 0.7)]), EN, PARIS, "Europe/Paris")
    (axes,) = drawn[0].axes
    assert (len(axes.lines), len(axes.containers)) == (2, 0)


def test_zones_have_whiskers_or_reasons(drawn):
    """A bar to the rate with its interval; without a rate a hatched one that says why. A name is no formula."""
    windows = [
        window(T, 60, (40, 0, 0), zone="a"), window(T, 0, (0, 0, 5), zone="b"), hidden(T, zone="c"),
        decree_like(T, "d"),
    ]  # fmt: skip
    found = report(windows, zones=("a", "b", "c", "e"))
    names = ["$a$ & co", "b", "鱼市", "e", "d"]
    zones_chart(found.zones, names, EN)
    (axes,) = drawn[0].axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([60, 100, 100, 100, 50])
    assert [bar.get_hatch() for bar in axes.patches] == [None, "//", "//", "xx", None]
    low, high = found.zones[0].total.interval
    (whisker,) = axes.collections[0].get_segments()
    assert whisker[:, 0] == pytest.approx([100 * low, 100 * high])
    told = [text.get_text() for text in axes.texts]
    assert told == [
        "60%", "$a$ & co", "nobody could be judged", "b", "too few people to show", "c", "nothing published", "e",
        "50%", "d",
    ]  # fmt: skip
    assert len(axes.collections) == 1


def decree_like(start, zone):
    """A window with a rate and no interval."""
    return window(start, 5, (5, 0, 0), zone=zone, interval=None)


def test_pictures_are_the_same_bytes_on_white():
    """Deterministic, wide enough for a screen of twice the pixels, readable on a dark page: white all around."""
    found = report(market_day(T), zones=("fish",))
    one = hours_chart(found, EN, PARIS, "Europe/Paris")
    assert one == hours_chart(found, EN, PARIS, "Europe/Paris")
    other = zones_chart(found.zones, ["Fish hall"], EN)
    for png in (one, other):
        with Image.open(BytesIO(png)) as image:
            assert image.width > 1000
            pixels = image.convert("RGB")
            corners = [(0, 0), (image.width - 1, 0), (0, image.height - 1), (image.width - 1, image.height - 1)]
            assert {pixels.getpixel(at) for at in corners} == {(255, 255, 255)}
            assert "Software" not in image.info
    assert hours_chart(report([]), EN, PARIS, "Europe/Paris")


def test_names_without_letters_in_the_font():
    """They are written as their ids."""
    assert [drawable(name, "fish") for name in ("Marché", "鱼市", "")] == ["Marché", "fish", ""]
