"""Routes and times in the section `notify`: who is told of what, when, and how often."""

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from proto.types import ReceiverId, RuleId, Severity, SiteId, ZoneId
from services.notify.core.notification import Audience
from services.notify.core.routing import GroupBy
from services.sites.settings import DAYS, Day, WallTime

TimeId = Annotated[
    str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z", description="1-32 of a-z, 0-9 and inner hyphens")
]


class DatesSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Some days in a row, the first and the last one inside."""

    first: date
    last: date | None = None
    """None: the first one alone."""


class TimeSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Office hours, a night, holidays: by the clock on the wall. An end not after the start is on the next day."""

    id: TimeId
    days: Annotated[tuple[Day, ...], Meta(min_length=1)] = DAYS
    """The days on which it starts."""
    start: WallTime | None = None
    """None: midnight."""
    end: WallTime | None = None
    """None: midnight at the end of the day."""
    dates: list[DatesSettings] = []
    """Only on these; without any on all."""
    timezone: str | None = None
    """An IANA zone; None: the one of the alert's site."""


class RouteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"goes_on": "continue"}):
    """Leads alerts to a receiver. What is left out matches all; the first route that matches holds."""

    receiver: ReceiverId
    sites: list[SiteId] = []
    zones: list[ZoneId] = []
    rules: list[RuleId] = []
    """Ids of rules, or `camera-down` and `no-data`."""
    severities: list[Severity] = []
    audience: Audience | None = None
    """`field`: alerts about rates, `operators`: about the system itself; None: what the receiver is for."""
    goes_on: bool = False
    """`continue`: whether the routes behind it are asked too."""
    group_by: Annotated[tuple[GroupBy, ...], Meta(min_length=1)] = ("site",)
    """What alerts must agree in to be told together; the site always is among it."""
    group_wait_s: Annotated[float, Meta(ge=0, le=3_600)] = 10.0
    group_interval_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    repeat_interval_s: Annotated[float, Meta(ge=1, le=30 * 86_400)] = 14_400.0
    active_times: list[TimeId] = []
    """Told within one of them only; without any always."""
    mute_times: list[TimeId] = []
    """Told within none of them."""
    send_resolved: bool = True
