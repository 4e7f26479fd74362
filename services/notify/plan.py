"""From the settings to the plan that the dispatcher follows, and to the daily reports that are due."""

from datetime import time
from zoneinfo import ZoneInfo

from services.notify.core.report_schedule import ReportPlan
from services.notify.core.routing import SECOND, Plan, Route, SiteFacts
from services.notify.core.times import Hours, Schedule
from services.notify.report_settings import plans
from services.notify.routing_settings import RouteSettings, TimeSettings
from services.notify.settings import NotifyFile, ReceiverSettings
from services.sites.settings import DAYS, CameraSettings, SiteSettings, local_zone


def plan_of(file: NotifyFile) -> Plan:
    """Return the plan of checked settings; without routes, each receiver gets the alerts of its audience and sites."""
    notify = file.notify
    receivers = {receiver.id: receiver for receiver in notify.receivers}
    times = {one.id: _hours(one) for one in notify.times}
    routes = [_route(one, receivers[one.receiver], times) for one in notify.routes]
    if not notify.routes:
        routes = [_default(receiver) for receiver in notify.receivers]
    return Plan(
        tuple(routes),
        {site.id: _place(site) for site in file.sites},
        {receiver.id: receiver.max_per_hour for receiver in notify.receivers},
    )


def schedule_of(file: NotifyFile) -> list[ReportPlan]:
    """Return what is to be sent every day by these settings, which were checked."""
    notify = file.notify
    return plans(notify.reports, {one.id: one.sites for one in notify.receivers if one.email}, file.sites)


def _default(receiver: ReceiverSettings) -> Route:
    return Route(receiver.id, receiver.audience, frozenset(receiver.sites), goes_on=True, named=False)


def _route(one: RouteSettings, receiver: ReceiverSettings, times: dict[str, Hours]) -> Route:
    return Route(
        receiver=receiver.id,
        audience=one.audience or receiver.audience,
        sites=frozenset(one.sites or receiver.sites),
        zones=frozenset(one.zones),
        rules=frozenset(one.rules),
        severities=frozenset(one.severities),
        goes_on=one.goes_on,
        group_by=frozenset(one.group_by),
        wait=round(one.group_wait_s * SECOND),
        interval=round(one.group_interval_s * SECOND),
        repeat=round(one.repeat_interval_s * SECOND),
        send_resolved=one.send_resolved,
        schedule=Schedule(*(tuple(times[name] for name in names) for names in (one.active_times, one.mute_times))),
    )


def _hours(one: TimeSettings) -> Hours:
    return Hours(
        start=time.fromisoformat(one.start or "00:00"),
        end=time.fromisoformat(one.end or "00:00"),
        weekdays=frozenset(DAYS.index(day) for day in one.days),
        dates=tuple((days.first, days.last or days.first) for days in one.dates),
        zone=ZoneInfo(one.timezone) if one.timezone else None,
    )


def _place(site: SiteSettings) -> SiteFacts:
    return SiteFacts(local_zone(site), {camera.id: _zones(camera) for camera in site.cameras})


def _zones(camera: CameraSettings) -> frozenset[str]:
    zones = {area.zone for area in camera.zone_areas}
    return frozenset(zones | {camera.zone} if camera.zone is not None else zones)
