"""The layouts: nothing from a name becomes markup, and the bar shows what the figures say."""

from html.parser import HTMLParser

import pytest

from services.notify.core.english import describe
from services.notify.templates import render
from services.sites.settings import SiteSettings


class Reader(HTMLParser):
    """Collects the tags, the bar's widths, and what loads from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.widths: list[int] = []
        self.remote: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if tag == "td" and "width" in values:
            self.widths.append(int(values["width"].rstrip("%")))
        self.remote += [value for name, value in attrs if name in {"src", "background"} and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def html(alert, site, link: str = "") -> str:
    return render(describe(alert, site, "field-staff", link)).html


def test_a_name_is_text_never_markup(make_alert):
    """A site called <script> is called <script>."""
    page = Reader(html(make_alert(), SiteSettings(id="forville", name="<script>alert(1)</script> & co")))
    assert "script" not in page.tags
    assert "<script>alert(1)</script> & co" in page.text


def test_a_link_cannot_leave_its_attribute(make_alert, site):
    """A quote in the link is escaped."""
    assert "onclick" not in Reader(html(make_alert(), site, 'https://x/"onclick="y')).tags
    assert '"onclick="' not in html(make_alert(), site, 'https://x/"onclick="y')


def test_the_mail_loads_nothing(make_alert, site):
    """No picture, font or script from elsewhere: opening a mail tells nobody."""
    page = html(make_alert(), site)
    assert Reader(page).remote == []
    assert not {"img", "link", "script", "iframe"} & set(Reader(page).tags)
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize(
    ("interval", "threshold", "widths"),
    [
        ((0.54, 0.69), 0.7, [54, 15, 31, 70, 30]),
        ((0.0, 0.1), 0.0, [10, 90, 100]),
        ((0.9, 1.0), 1.0, [90, 10, 100]),
        ((0.69, 0.54), 0.7, [54, 15, 31, 70, 30]),
    ],
)
def test_the_bar_is_the_interval_and_the_threshold(make_alert, site, interval, threshold: float, widths: list[int]):
    """Solid to the lower bound, pale to the upper one, a tick at the threshold; no empty cell."""
    alert = make_alert(interval=interval, fire_below=threshold)
    assert Reader(html(alert, site)).widths == widths


def test_both_colour_schemes_are_declared(make_alert, site):
    """A mail program in dark mode uses our colours instead of inverting them."""
    page = html(make_alert(), site)
    assert '<meta name="color-scheme" content="light dark">' in page
    assert "prefers-color-scheme: dark" in page


def test_both_bodies_say_the_same(make_alert, site):
    """Who reads the plain form learns no less."""
    bodies = render(describe(make_alert(profile="lab"), site, "field-staff", "https://masks.example.org/"))
    view = describe(make_alert(profile="lab"), site, "field-staff")
    shown = Reader(bodies.html).text
    for piece in [view.banner, view.headline, view.place, view.lead, *(v for _, v in view.rows), *view.notes]:
        assert piece in bodies.text
        assert piece in shown
    assert "https://masks.example.org/" in bodies.text


def test_the_plain_body_has_no_gaps_and_no_markup(make_alert, site):
    """The layout's own lines leave no trace."""
    text = render(describe(make_alert(), site, "field-staff")).text
    assert "\n\n\n" not in text
    assert "{" not in text
    assert "<" not in text
