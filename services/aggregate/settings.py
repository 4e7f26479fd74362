"""The settings that aggregate reads."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from proto.leases import ReplicaId
from services.aggregate.core import policy
from services.aggregate.page_settings import PageSettings
from services.bus import NatsSettings
from services.kernel.log import LogSettings
from services.kernel.probes import ProbesSettings
from services.kernel.tracing.settings import TracingSettings
from services.sites import problems as sites
from services.sites.problems import Problem
from services.sites.settings import SiteSettings


class AggregateSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `aggregate` of the settings file."""

    tick_s: Annotated[float, Meta(ge=0.05, le=5)] = 1.0
    """How often time passes in a stream in which nothing else happens."""
    announce_s: Annotated[float, Meta(ge=1, le=1_800)] = 300.0
    """How often the configuration in force is repeated, so that the stream's last hour always holds it."""
    replica: ReplicaId | None = None
    """This replica's name among those that share the sites; None: one is made at start. Two that run at the same time
    must not share one."""
    publish_metrics: bool = False
    """Whether /metrics shows the newest published window of each zone: rate, interval, people, coverage."""
    page: PageSettings | None = None
    """None: no page is served."""


class AggregateFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file, as far as aggregate reads it."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "token"})
    """Cameras' addresses, passwords included, are ingest's alone."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    tracing: TracingSettings = TracingSettings()
    sites: list[SiteSettings] = field(default_factory=list)
    aggregate: AggregateSettings = AggregateSettings()

    def problems(self) -> list[Problem]:
        """Return what no single field shows, and what a site's legal profile forbids."""
        return [
            *self.nats.problems(),
            *self.tracing.problems(),
            *sites.problems(self.sites),
            *policy.problems(self.sites),
            *(self.aggregate.page.problems() if self.aggregate.page else []),
        ]
