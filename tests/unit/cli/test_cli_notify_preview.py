"""`moretta notify preview`: the files of what each receiver would get, without a server, a key or a secret."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from operate.notify.preview import write
from operate.notify.sample import Sample
from operate.rules.file import shipped_errors
from proto.types import Profile
from services.kernel.settings import SettingsError
from services.sites.settings import RuleSettings, SiteSettings, ZoneSettings

RULE: dict[str, Any] = {
    "id": "few",
    "zone": "north",
    "fire_below": 0.7,
    "clear_above": 0.75,
    "action": {"en": "Go there", "fr": "Allez-y"},
}
SITE: dict[str, Any] = {
    "id": "forville", "name": "Forville", "timezone": "Europe/Paris", "profile": "alerting",
    "zones": [{"id": "north", "name": "North"}], "cameras": [{"id": "gate", "zone": "north", "url_file": "nowhere"}],
    "rules": [RULE],
}  # fmt: skip
STAFF: dict[str, Any] = {"id": "staff", "email": ["a@example.org"], "sms": ["+33601020304"], "language": "fr"}
OFFICE: dict[str, Any] = {"id": "office", "email": ["b@example.org"], "audience": "operators"}
NOTIFY: dict[str, Any] = {
    "smtp": {"host": "mail.example", "sender": "masks@example.org", "user": "me", "password_file": "nowhere"},
    "sms": {"kannel": {"url_file": "nowhere", "user": "me", "password_file": "nowhere"}},
    "salt_file": "nowhere",
    "receivers": [STAFF, OFFICE],
    "contact": {"en": "the office", "fr": "la régie"},
    "reports": [{"receivers": ["staff"]}],
}


async def previewed(folder: Path, sites: list[dict[str, Any]], notify: dict[str, Any] = NOTIFY) -> dict[str, str]:
    """The text of each file, by its name."""
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({"sites": sites, "notify": notify}))
    return {path.name: path.read_text("utf-8") for path in await write(file, folder / "out", None)}


async def test_every_receiver_has_its_alert_the_end_of_it_and_the_report(tmp_path: Path):
    """In its language, as pages with pictures inside and as SMS; a page says its subject, and that it is a sample."""
    found = await previewed(tmp_path, [SITE])
    assert list(found) == [
        "office-fault-over.html", "office-fault.html", "staff-alert-over-sms.txt", "staff-alert-over.html",
        "staff-alert-sms.txt", "staff-alert.html", "staff-report.html",
    ]  # fmt: skip
    alert, over, report = found["staff-alert.html"], found["staff-alert-over.html"], found["staff-report.html"]
    assert "Exemple aux chiffres inventés" in alert
    assert "Objet\u00a0: North : 57 % portent le masque (alerte sous 70 %), Forville" in alert
    assert "Allez-y." in alert
    assert "Objet\u00a0: Fin d’alerte" in over
    assert "1 alerte" in report
    for text in (alert, over, report):
        assert "data:image/png;base64," in text
        assert "cid:" not in text
        assert "a@example.org" not in text
        assert "la régie" in text
    assert "Allez-y." in found["staff-alert-sms.txt"]
    assert "the office" in found["office-fault.html"]
    assert "Subject: Missing: camera “gate”, Forville" in found["office-fault.html"]


async def test_only_what_a_route_leads_to_a_receiver_is_written(tmp_path: Path):
    """A route without ends has none in the preview; the rule is the first that a route leads there."""
    rules = [RULE, {**RULE, "id": "fewer", "severity": "critical", "fire_below": 0.5}]
    routes = [{"receiver": "staff", "severities": ["critical"], "send_resolved": False}]
    notify = {**NOTIFY, "receivers": [{**STAFF, "sms": []}], "routes": routes, "reports": []}
    found = await previewed(tmp_path, [{**SITE, "rules": rules}], notify)
    assert list(found) == ["staff-alert.html"]
    assert "alerte sous 50 %" in found["staff-alert.html"]


async def test_a_rule_that_never_fires_has_no_alert(tmp_path: Path):
    """No rate is below 0; the report is written all the same."""
    found = await previewed(
        tmp_path, [{**SITE, "rules": [{**RULE, "fire_below": 0}]}], {**NOTIFY, "receivers": [STAFF]}
    )
    assert list(found) == ["staff-report.html"]


async def test_a_profile_without_rules_has_a_report_alone(tmp_path: Path):
    """And that is no finer than the profile allows: the rate of the whole site without an interval."""
    site = {"id": "forville", "profile": "fr-2021-269"}
    found = await previewed(tmp_path, [site], {**NOTIFY, "receivers": [STAFF]})
    assert list(found) == ["staff-report.html"]
    assert "fr-2021-269" in found["staff-report.html"]
    assert "Marge d’erreur" not in found["staff-report.html"]


@pytest.mark.parametrize(
    ("sites", "notify", "why"),
    [
        ([], {}, "sites: is empty"),
        ([SITE], {}, "notify.receivers: none has an e-mail address or a number and is told anything of forville"),
    ],
)
async def test_nothing_to_show_is_an_error(
    tmp_path: Path, sites: list[dict[str, Any]], notify: dict[str, Any], why: str
):
    """One line says what is missing."""
    with pytest.raises(SettingsError, match=why):
        await previewed(tmp_path, sites, notify)


@pytest.mark.parametrize("fire_below", [0.01, 0.05, 0.4, 0.7, 0.95])
@pytest.mark.parametrize("window_s", [5.0, 300.0, 1_200.0, 3_600.0])
def test_an_invented_alert_is_one_that_its_rule_would_raise(fire_below: float, window_s: float):
    """Below the bound when it begins, above the other when it ends, decided by windows of the day."""
    profile: Profile = "lab" if window_s < 300 else "alerting"
    rule = RuleSettings(id="few", fire_below=fire_below, clear_above=fire_below + 0.02, for_windows=3, min_persons=200)
    site = SiteSettings(
        id="s", profile=profile, window_s=window_s, rules=[rule], zones=[ZoneSettings(id="a"), ZoneSettings(id="b")]
    )
    sample = Sample(site, date(2026, 11, 24), shipped_errors(), rule)
    begun, ended = sample.alerts()
    windows = {(window.zone, window.end): window for window in sample.windows()}
    for alert in (begun, ended):
        assert windows["_site", alert.end].rate == alert.rate
        assert alert.persons >= 200
    assert begun.rate < begun.interval[1] < fire_below < rule.clear_above < ended.rate
    assert begun.since < begun.start < begun.end < ended.end
