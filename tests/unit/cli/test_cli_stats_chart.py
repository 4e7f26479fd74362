"""The chart of `moretta stats`: what is drawn where, and what is not drawn."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from fonts import _fonts  # noqa: F401 - a fixture
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from msgspec import structs
from PIL import Image
from windows import HOUR, MINUTE, decree, hidden, market_day, window

from operate.stats.stats_chart import chart
from proto.stats import StatsReplyV1
from services.charts.periods import runs
from services.statistics.calendar import TimeRange
from services.statistics.roll_ups import RollUp

DAY = 1_795_474_800_000_000_000
"""2026-11-24T00:00+01:00."""
PARIS = ZoneInfo("Europe/Paris")


def reply(windows, step="window", span=None):
    windows = list(windows)
    span = span or TimeRange(windows[0].start, windows[-1].end)
    found = RollUp(span, step, PARIS, 20 * MINUTE, span.end)
    for one in windows:
        found.add(one)
    empty = StatsReplyV1(
        site="cannes", zone="_site", step=step, timezone="Europe/Paris", since=span.start, until=span.end
    )
    return structs.replace(empty, periods=found.periods("cannes", "_site"))


@pytest.fixture(name="drawn")
def _drawn(monkeypatch):
    """The figures that were to be saved; that files come of them is tried apart, since drawing is most of the work."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: saved.append(figure))
    return saved


def times(line):
    """From when to when a line is drawn, by the clock in Paris."""
    found = [num2date(at, tz=PARIS) for at in line.get_xdata()]
    return f"{found[0]:%H:%M}", f"{found[-1]:%H:%M}"


def test_no_line_crosses_a_gap(tmp_path, drawn):
    """The made-up day: one line up to the outage, one after it, and none at night; each window as long as it was."""
    answer = reply(market_day(DAY), span=TimeRange(DAY, DAY + 24 * HOUR))
    chart(answer, tmp_path / "day.png")
    upper, lower = drawn[0].axes
    assert [times(line) for line in upper.lines] == [("06:00", "11:40"), ("13:20", "21:00")]
    shares = [share for line in upper.lines for share in line.get_ydata()]
    rates = [100 * p.rate for p in answer.periods if p.rate is not None for _ in range(2)]
    assert shares == pytest.approx(rates)
    (bars,) = lower.containers
    assert [bar.get_height() for bar in bars] == pytest.approx([100 * p.coverage for p in answer.periods])


def test_intervals_are_a_band(tmp_path, drawn):
    """Each from its lower to its upper bound, over the time that it is about."""
    answer = reply(market_day(DAY), "hour", span=TimeRange(DAY, DAY + 24 * HOUR))
    chart(answer, tmp_path / "day.png")
    (band,) = drawn[0].axes[0].containers
    bounds = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in band]
    assert bounds == [pytest.approx((100 * p.interval[0], 100 * p.interval[1])) for p in answer.periods if p.interval]
    assert {round(bar.get_width() * 24, 6) for bar in band} == {1.0}


def test_what_has_no_rate_is_marked(tmp_path, drawn):
    """Suppressed and missing periods are hatched, each kind named once in the legend."""
    chart(reply(market_day(DAY), span=TimeRange(DAY, DAY + 24 * HOUR)), tmp_path / "day.png")
    _, labels = drawn[0].axes[0].get_legend_handles_labels()
    assert sorted(labels) == ["95 % interval", "no window published", "rate", "too few people to show"]
    hatched = [patch.get_hatch() for patch in drawn[0].axes[0].patches if patch.get_hatch()]
    assert (hatched.count("//"), hatched.count("xx")) == (27, 5)


def test_the_time_before_anything_was_published_is_short(tmp_path, drawn):
    """It takes a quarter of the picture at most, and since when it lasts is told; the rest is as long as it was."""
    answer = reply([window(DAY + 8 * HOUR), window(DAY + 8 * HOUR + 40 * MINUTE)], span=TimeRange(DAY, DAY + 9 * HOUR))
    chart(answer, tmp_path / "morning.png")
    upper = drawn[0].axes[0]
    begin, end = (num2date(at, tz=PARIS) for at in upper.get_xlim())
    assert (f"{begin:%H:%M}", f"{end:%H:%M}") == ("07:40", "09:00")
    assert [" ".join(text.get_text().split()) for text in upper.texts] == ["◂ none since 2026-11-24 00:00"]
    _, labels = upper.get_legend_handles_labels()
    assert [text.get_text() for text in drawn[0].legends[0].texts][:2] == ["rate", "95 % interval"]
    assert len(drawn[0].legends[0].texts) == len(labels)
    chart(reply(market_day(DAY), span=TimeRange(DAY - HOUR, DAY + 24 * HOUR)), tmp_path / "day.png")
    assert f"{num2date(drawn[1].axes[0].get_xlim()[0], tz=PARIS):%H:%M}" == "23:00"
    assert not drawn[1].axes[0].texts


def test_runs_end_where_time_does():
    """Also where a period is simply not there."""
    periods = reply([window(DAY), window(DAY + 20 * MINUTE), window(DAY + HOUR)]).periods
    assert [len(run) for run in runs(periods)] == [2, 1]
    assert [len(run) for run in runs([*periods[:1], *periods[3:]])] == [1, 1]
    assert list(runs([])) == []


@pytest.mark.parametrize(
    "windows",
    [
        [window(DAY)],
        [hidden(DAY)],
        [window(DAY, 0, (0, 0, 3))],
        [decree(DAY, 30, 0.5), decree(DAY + 20 * MINUTE, 30, 0.7)],
        [window(DAY), window(DAY + 70 * 24 * HOUR)],
    ],
    ids=["one", "hidden", "nobody judged", "decree", "months apart"],
)
def test_anything_can_be_drawn(tmp_path, windows):
    """A readable picture on white, whatever was published, without a warning."""
    path = tmp_path / "chart.png"
    chart(reply(windows, "total" if len(windows) == 1 else "day"), path)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert min(pixels.shape[:2]) > 500
    assert (pixels[0, 0] == 255).all()
    assert pixels.min() < 100
