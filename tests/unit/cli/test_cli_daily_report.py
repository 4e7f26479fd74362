"""`moretta report`: which day is asked for, by the clock of the site."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from operate.stats import daily_report
from operate.stats.daily_report import ReportFile
from services.kernel.settings import SettingsError, load
from services.sites.settings import SiteSettings
from services.statistics.calendar import SECOND, instant

PARIS = SiteSettings(id="forville", timezone="Europe/Paris", profile="alerting", window_s=300)


@pytest.fixture(name="at")
def _at(monkeypatch):
    """`at(moment)`: the time that it is, in UTC."""

    def set_to(*moment):
        now = instant(datetime(*moment, tzinfo=UTC))
        monkeypatch.setattr("time.time_ns", lambda: now)

    return set_to


@pytest.mark.parametrize(
    ("moment", "yesterday"),
    [
        ((2026, 11, 24, 22, 59), date(2026, 11, 23)),  # 23:59 in Paris
        ((2026, 11, 24, 23, 0), date(2026, 11, 24)),
        ((2026, 3, 29, 22, 0), date(2026, 3, 29)),  # summer time began that day
        ((2026, 10, 25, 22, 59), date(2026, 10, 24)),
        ((2026, 10, 25, 23, 0), date(2026, 10, 25)),
    ],
)
def test_the_default_is_the_sites_yesterday(at, moment, yesterday):
    """And no later day can be asked for: today is not over."""
    at(*moment)
    assert daily_report._question(PARIS, None, known=True).day == yesterday
    assert daily_report._question(PARIS, yesterday, known=True).day == yesterday
    today = date.fromordinal(yesterday.toordinal() + 1)
    with pytest.raises(SettingsError, match=f"--day: {today} is not over at forville.* {yesterday}"):
        daily_report._question(PARIS, today, known=True)


@pytest.mark.parametrize("moment", [(2026, 11, 24, 22, 59), (2026, 11, 23, 23, 0)])
def test_so_far_is_about_the_sites_today(at, moment):
    """By the site's clock, until now: what lies ahead is not missing."""
    at(*moment)
    asked = daily_report._so_far(PARIS, known=True)
    assert asked.day == date(2026, 11, 24)
    assert asked.span.end == instant(datetime(*moment, tzinfo=UTC))
    assert [(one.start, one.end - one.start) for one in asked.days()] == [(asked.span.start, 24 * 3600 * SECOND)]


def test_a_profile_is_taken_from_a_section_alone(at):
    """What is said of a site without a section in the file is only its clock: its windows name their profile."""
    at(2026, 11, 25)
    assert daily_report._question(PARIS, None, known=True).profile == "alerting"
    assert daily_report._question(PARIS, None, known=False).profile is None


@pytest.mark.parametrize("text", ["2026-11-31", "yesterday", "2026-11-24T08:00", "", "1969-12-31", "9999-01-01"])
def test_days_that_there_are_not(text):
    """One line that says what to write, or that there was nothing."""
    with pytest.raises(SettingsError) as told:
        daily_report._parse(text)
    (line,) = str(told.value).splitlines()
    assert line.startswith("moretta report: --day: ")


def test_a_whole_settings_file_will_do(tmp_path: Path):
    """Its other sections are left alone, cameras' addresses are not read, and a wrong section of a site is told."""
    path = tmp_path / "site.yaml"
    site = {"id": "forville", "timezone": "Europe/Paris", "cameras": [{"id": "gate", "url_file": "nowhere"}]}
    path.write_text(yaml.safe_dump({"sites": [site], "notify": {"receivers": "many"}, "aggregate": 5}))
    assert [one.timezone for one in load(path, ReportFile).sites] == ["Europe/Paris"]
    path.write_text(yaml.safe_dump({"sites": [{**site, "timezone": "Europe/Cannes"}]}))
    with pytest.raises(SettingsError, match=r"sites\[0\].timezone: 'Europe/Cannes' is no IANA time zone"):
        load(path, ReportFile)
