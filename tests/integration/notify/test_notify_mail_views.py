"""The mails in a real browser: they fit a phone, and can be read by everyone in light and in dark mode."""

import browser
import pytest

from proto.public import OperationalAlertV1
from services.notify.languages import words_in
from services.notify.notification import Group, Notification, notice_of
from services.notify.templates import render
from services.notify.texts.mail_contents import MailImage
from services.notify.texts.mail_wording import describe
from services.sites.settings import SiteSettings, ZoneSettings

LONG = "Entrée principale côté boulevard de la République, près de la poissonnerie"
SITE = SiteSettings(id="forville", name=LONG, timezone="Europe/Paris", zones=[ZoneSettings(id="north", name=LONG)])
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
"""Beside these, axe-core wants landmarks, which a mail has no use for: its program has them."""


@pytest.fixture(name="mails")
def _mails(make_alert) -> dict[str, Notification]:
    """One of each kind, with names as long as people give, and every colour of a state."""
    site, north = make_alert(severity="critical"), make_alert(alert="1" * 16, zone="north", severity="info")
    warning = make_alert(alert="3" * 16, zone="z" * 32, rate=0.6996, fire_below=0.7251)
    over = make_alert(alert="2" * 16, zone="north", state="resolved", profile="lab")
    fault = OperationalAlertV1(
        site="forville", kind="camera-down", name="c" * 32, state="firing", since=site.since, at=site.end, coverage=0.1,
        reason="camera-down",
    )  # fmt: skip
    blind = OperationalAlertV1(
        site="forville", kind="no-data", name="north", state="resolved", since=site.since, at=site.end
    )
    told = {
        "firing": ("first", site),
        "resolved": ("all-resolved", over),
        "several": ("new-alerts", site, north, warning, over),
        "fault": ("first", fault),
        "operational": ("some-resolved", fault, blind),
        "test": ("test",),
    }
    return {kind: _notification(reason, messages) for kind, (reason, *messages) in told.items()}


def _notification(reason, messages) -> Notification:
    notices = [notice_of(message, 0) for message in messages]
    group = Group("field-staff", "forville", notices[0].audience if notices else "field")
    firing = tuple(notice for notice in notices if notice.firing)
    resolved = tuple(notice for notice in notices if not notice.firing)
    new = frozenset(notice.alert for notice in firing[:1])
    return Notification("f" * 16, group, reason, 1, "f" * 16, 1_795_512_060 * 10**9, firing, resolved, new)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "fr"])
async def test_every_mail_is_accessible_and_fits_a_phone(mails, tmp_path, scheme: str, language: str):
    """No rule of axe-core (WCAG 2.2 AA, contrast included) is broken, and nothing is wider than 320 px."""
    browser.require()
    words = words_in(language)
    async with browser.chromium(tmp_path / "profile", color_scheme=scheme) as context:
        page = context.pages[0]
        await page.set_viewport_size({"width": 320, "height": 740})
        for kind, notification in mails.items():
            view = describe(
                notification, SITE, words, link="https://masks.example.org/", image=MailImage("c@x", "A chart")
            )
            await page.set_content(render("alert", view=view).html)
            await browser.accessible(page, **WCAG)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320, kind
