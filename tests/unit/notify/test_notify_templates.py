"""The layouts: valid HTML, nothing from a name becomes markup, and the bar shows what the figures say."""

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from services.notify.languages import words_in
from services.notify.templates import render
from services.notify.texts.mail_contents import Bodies, MailImage
from services.notify.texts.mail_wording import describe
from services.sites.settings import SiteSettings

EN = words_in("en")
IMAGE = MailImage("chart@1.moretta", "Rates & more")


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


@pytest.fixture(name="laid_out")
def _laid_out(make_alert, make_fault, notify, site):
    """`laid_out("several", "fr")`: both bodies of one of the kinds of mail."""
    firing = make_alert(alert="1" * 16, profile="lab")
    over = make_alert(alert="2" * 16, zone="north", state="resolved")
    mails = {
        "firing": notify("first", firing),
        "resolved": notify("all-resolved", over),
        "several": notify("some-resolved", firing, over),
        "operational": notify("first", make_fault(), make_fault(kind="no-data", name="north", coverage=None)),
        "digest": notify("digest", *(make_alert(alert=f"{n:016x}", zone=f"z{n}") for n in range(60))),
        "test": notify("test"),
    }

    def lay(kind: str, language: str = "en") -> Bodies:
        image = IMAGE if kind in {"firing", "several"} else None
        link = "https://masks.example.org/?a=1&b=2"
        return render("alert", view=describe(mails[kind], site, words_in(language), link=link, image=image))

    return lay


KINDS = ["firing", "resolved", "several", "operational", "digest", "test"]
FOR_OUTLOOK = re.compile(r"attribute \"(width|cellpadding|cellspacing|align)\" not allowed for HTML5")
"""Outlook lays mails out with Word, which reads these and no style sheet."""


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_html_is_valid(laid_out, kind: str, language: str):
    """HTML Tidy finds nothing but the attributes that are there for Outlook."""
    if shutil.which("tidy") is None and "MORETTA_REQUIRE_ALL" not in os.environ:
        pytest.skip("tidy is not installed")
    html = laid_out(kind, language).html
    found = subprocess.run(["tidy", "-q", "-e", "-utf8"], input=html, capture_output=True, text=True, timeout=60)
    assert [line for line in found.stderr.splitlines() if not FOR_OUTLOOK.search(line)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_body_has_no_gaps_and_no_markup(laid_out, kind: str):
    """The layout's own lines leave no trace."""
    text = laid_out(kind).text
    assert "\n\n\n" not in text
    assert not set("{<") & set(text)
    assert "\n-- \n" in text  # what mail programs take for the signature (RFC 3676 §4.3)


def test_a_name_is_text_never_markup(make_alert, notify):
    """A site called <script> is called <script>; a quote in the link stays in its attribute."""
    site = SiteSettings(id="forville", name="<script>alert(1)</script> & co")
    page = render("alert", view=describe(notify("first", make_alert()), site, EN, link='https://x/"onclick="y')).html
    assert "script" not in Reader(page).tags
    assert "<script>alert(1)</script> & co" in Reader(page).text
    assert '"onclick="' not in page


@pytest.mark.parametrize("kind", KINDS)
def test_the_mail_loads_nothing_from_elsewhere(laid_out, kind: str):
    """No picture but its own, no font, no script: opening a mail tells nobody."""
    page = laid_out(kind).html
    assert set(Reader(page).remote) <= {"cid:chart@1.moretta"}
    assert not {"link", "script", "iframe"} & set(Reader(page).tags)
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
def test_the_bar_is_the_interval_and_the_threshold(make_alert, notify, site, interval, threshold, widths):
    """A tick at the rate above it, solid to the lower bound, pale to the upper, a tick at the threshold; none empty."""
    alert = make_alert(interval=interval, fire_below=threshold)
    assert Reader(render("alert", view=describe(notify("first", alert), site, EN)).html).widths == [62, 38, *widths]


def test_both_colour_schemes_are_declared(laid_out):
    """A mail program in dark mode uses our colours instead of inverting them."""
    page = laid_out("firing").html
    assert '<meta name="color-scheme" content="light dark">' in page
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize("kind", ["firing", "several"])
def test_both_bodies_say_the_same(make_alert, notify, site, kind: str):
    """Who reads the plain form learns no less."""
    alerts = [make_alert(profile="lab"), make_alert(alert="2" * 16, zone="north", state="resolved")]
    view = describe(notify("some-resolved", *alerts[: 1 + (kind == "several")]), site, EN, image=IMAGE)
    bodies = render("alert", view=view)
    shown = Reader(bodies.html).text
    pieces = [view.banner, view.headline, view.place, view.lead, *(value for _, value in view.facts), *view.notes]
    if view.table is not None:
        pieces += [piece for row in view.table.rows for cell in row.cells for piece in cell]
    for piece in pieces:
        assert piece in bodies.text
        assert piece in shown
    assert IMAGE.alternative in bodies.text
