"""The part `notify.reports` of the settings."""

from datetime import time

import pytest
from msgspec import ValidationError, convert

from services.notify.reports.settings import ReportSettings, plans
from services.notify.settings import NotifyFile
from services.sites.settings import SiteSettings

STAFF = {"id": "staff", "email": ["anna@example.org"], "sites": ["forville"]}
BOSS = {"id": "boss", "email": ["bob@example.org"]}


def problems(*reports):
    file = {
        "sites": [{"id": "forville"}, {"id": "gare"}],
        "notify": {
            "smtp": {"sender": "m@example.org"},
            "receivers": [STAFF, BOSS],
            "reports": list(reports),
        },
    }
    return convert(file, NotifyFile).problems()


def test_good_reports():
    """Each receiver once for each site, by whatever way."""
    assert problems({"receivers": ["staff", "boss"]}) == []
    assert problems({"receivers": ["staff"]}, {"sites": ["gare"], "receivers": ["boss"], "at": "00:00"}) == []
    assert problems() == []


MISTAKES = [
    ([{"sites": ["nice"], "receivers": ["boss"]}], "notify.reports[0].sites[0]", "unknown site 'nice'"),
    ([{"receivers": ["bosss"]}], "notify.reports[0].receivers[0]", "no receiver 'bosss' with e-mail addresses; such"),
    ([{"sites": ["gare"], "receivers": ["staff"]}], "notify.reports[0].receivers[0]", "'staff' is not told about"),
    ([{"receivers": ["boss", "boss"]}], "notify.reports[0].receivers[1]", "by notify.reports[0] already"),
    (
        [{"receivers": ["boss"]}, {"sites": ["gare"], "receivers": ["boss"], "at": "08:00"}],
        "notify.reports[1].receivers[0]",
        "'boss' gets the report about 'gare' by notify.reports[0] already; name it once",
    ),
]


@pytest.mark.parametrize(("reports", "path", "why"), MISTAKES)
def test_mistakes_name_their_place(reports, path, why):
    """One problem each, with what would be right."""
    ((where, told),) = problems(*reports)
    assert where == path
    assert why in told


@pytest.mark.parametrize(
    "wrong", [{"receivers": []}, {"receivers": ["boss"], "at": "24:00"}, {"at": "07:00"}, {"to": []}]
)
def test_mistakes_in_one_field(wrong):
    """No receiver, no time, unknown keys."""
    with pytest.raises(ValidationError):
        convert(wrong, ReportSettings)


def test_plans_are_by_site():
    """A report without sites is about all that the receiver is told about; the clock is the site's."""
    sites = [
        SiteSettings(id="forville", timezone="Europe/Paris", lateness_s=5),
        SiteSettings(id="gare", timezone="UTC"),
    ]
    reports = [ReportSettings(receivers=["staff", "boss"], at="06:30", zone_detail=False)]
    found = plans(reports, {"staff": ["forville"], "boss": []}, sites)
    assert [(plan.site, plan.receiver, str(plan.zone)) for plan in found] == [
        ("forville", "staff", "Europe/Paris"), ("forville", "boss", "Europe/Paris"), ("gare", "boss", "UTC"),
    ]  # fmt: skip
    assert {(plan.at, plan.lateness, plan.zone_detail) for plan in found} == {(time(6, 30), 5 * 10**9, False)}
