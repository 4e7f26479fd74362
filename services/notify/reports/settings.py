"""The part `notify.reports` of the settings: who gets a daily report about which sites, and at what local time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from typing import Annotated

from msgspec import Meta, Struct

from proto.types import ReceiverId, SiteId
from services.notify.reports.schedule import ReportPlan
from services.sites.problems import Problem
from services.sites.settings import SiteSettings, WallTime, local_zone
from services.statistics.calendar import SECOND


class ReportSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One report per day and site, about the local day before, by e-mail in the language of each receiver."""

    sites: list[SiteId] = []
    """If empty: all sites that each receiver is notified about."""
    receivers: Annotated[list[ReceiverId], Meta(min_length=1)]
    at: WallTime = "07:00"
    """Time of day, by the site's clock."""
    zone_detail: bool = True
    """Whether the report shows figures of each zone, where the profile allows them."""


SitesByReceiver = Mapping[ReceiverId, Sequence[SiteId]]
"""The receivers that have e-mail addresses, each with its sites; an empty list means all sites."""


def report_problems(
    reports: Sequence[ReportSettings], of_receiver: SitesByReceiver, sites: Sequence[SiteId]
) -> Iterator[Problem]:
    """Yield problems across fields: unknown names, and reports that a receiver would get never or twice."""
    known: dict[tuple[SiteId, ReceiverId], int] = {}
    for index, report in enumerate(reports):
        path = f"notify.reports[{index}]"
        for place, site in enumerate(report.sites):
            if site not in sites:
                yield f"{path}.sites[{place}]", f"unknown site {site!r}; known here: {', '.join(sites) or 'none'}"
        for place, receiver in enumerate(report.receivers):
            where = f"{path}.receivers[{place}]"
            if receiver not in of_receiver:
                names = ", ".join(of_receiver) or "none"
                yield where, f"no receiver {receiver!r} with e-mail addresses; such here: {names}"
                continue
            yield from _twice(
                where, index, [(site, receiver) for site in _sites(report, of_receiver[receiver], sites)], known
            )
            for site in report.sites:
                if site in sites and site not in (of_receiver[receiver] or sites):
                    yield where, f"{receiver!r} is not told about the site {site!r}; add it to the receiver's sites"


def _twice(
    where: str, index: int, wanted: Sequence[tuple[SiteId, ReceiverId]], known: dict[tuple[SiteId, ReceiverId], int]
) -> Iterator[Problem]:
    for site, receiver in wanted:
        if (site, receiver) in known:
            first = f"notify.reports[{known[site, receiver]}]"
            yield where, f"{receiver!r} gets the report about {site!r} by {first} already; name it once"
            return
        known[site, receiver] = index


def _sites(report: ReportSettings, allowed: Sequence[SiteId], sites: Sequence[SiteId]) -> list[SiteId]:
    return [site for site in sites if site in (report.sites or sites) and site in (allowed or sites)]


def plans(
    reports: Sequence[ReportSettings], of_receiver: SitesByReceiver, sites: Sequence[SiteSettings]
) -> list[ReportPlan]:
    """Return the daily reports to send, one plan for each receiver and site."""
    by_id = {site.id: site for site in sites}
    return [
        _plan(report, receiver, by_id[site])
        for report in reports
        for receiver in report.receivers
        for site in _sites(report, of_receiver[receiver], list(by_id))
    ]


def _plan(report: ReportSettings, receiver: ReceiverId, site: SiteSettings) -> ReportPlan:
    lateness = round(site.lateness_s * SECOND)
    at = time.fromisoformat(report.at)
    return ReportPlan(site.id, receiver, local_zone(site), at, lateness, report.zone_detail)
