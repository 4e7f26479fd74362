"""Charts of published periods: what is drawn of what was not published."""

import threading
from io import BytesIO

import pytest
from fonts import close_fonts, open_fonts
from msgspec import structs
from PIL import Image

from proto.stats import PeriodV1
from services.charts import periods
from services.charts.periods import Figure, Labels, coverage, marks, rates

HOUR = 3_600 * 10**9
LABELS = Labels(
    rate="rate",
    interval="interval",
    missing="missing",
    nobody="nobody",
    suppressed={"small-count": "few", "nothing-observed": "unseen", "not-under-this-profile": "withheld"},
    rate_axis="%",
    coverage_axis="observed",
)
SHOWN = PeriodV1(
    site="x", zone="_site", start=0, end=HOUR, persons=10, rate=0.5, interval=(0.3, 0.7), coverage=1.0,
    windows_expected=3, windows_published=3, windows_suppressed=0,
)  # fmt: skip
BARE = structs.replace(SHOWN, interval=None, coverage=None)
GONE = structs.replace(SHOWN, persons=None, rate=None, interval=None, coverage=0.0, windows_published=0)


def drawn(draw, *periods):
    axes = Figure().subplots()
    draw(axes, [structs.replace(p, start=n * HOUR, end=(n + 1) * HOUR) for n, p in enumerate(periods)], LABELS)
    return axes


@pytest.mark.parametrize(
    ("periods", "told"),
    [((SHOWN,), []), ((BARE, BARE), ["withheld"]), ((BARE, SHOWN), []), ((GONE,), []), ((GONE, BARE), ["withheld"])],
)
def test_that_the_coverage_is_withheld_is_said_only_where_it_is(periods, told):
    """Where nothing was published nothing is withheld."""
    assert [text.get_text() for text in drawn(coverage, *periods).texts] == told


def test_each_kind_of_silence_is_named_once():
    """Hatched, or crossed where nothing was published; a period with a rate is left alone."""
    few = structs.replace(GONE, windows_published=3, windows_suppressed=3, suppressed="small-count")
    nobody = structs.replace(GONE, windows_published=3, persons=2)
    axes = drawn(marks, few, SHOWN, few, GONE, nobody, GONE)
    assert [(patch.get_label(), patch.get_hatch()) for patch in axes.patches] == [
        ("few", "//"), ("_", "//"), ("missing", "xx"), ("nobody", "//"), ("_", "xx"),
    ]  # fmt: skip


def test_without_intervals_there_is_no_band():
    """A line for each row of periods, and a band where an interval was published."""
    axes = drawn(rates, BARE, BARE, GONE, SHOWN)
    assert [len(line.get_xdata()) for line in axes.lines] == [4, 2]
    assert [[bar.get_x() * 24 for bar in bars] for bars in axes.containers] == [[pytest.approx(3)]]
    assert axes.get_ylim() == (0, 100)


def test_pictures_drawn_at_once_are_as_if_alone():
    """Threads take turns: each gets its own picture, the same as without the others."""
    open_fonts()

    def picture(number):
        return periods.png(drawn(rates, *[SHOWN] * number).figure)

    alone, made = [picture(n) for n in range(1, 4)], {}
    threads = [threading.Thread(target=lambda n=n: made.setdefault(n, picture(n))) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [made[n] for n in range(1, 4)] == alone
    assert all(Image.open(BytesIO(data)).format == "PNG" for data in alone)
    close_fonts()
