"""The settings that ingest reads."""

from typing import Annotated

from msgspec import Meta, Struct, field

from proto.leases import ReplicaId
from services.bus import NatsSettings
from services.log import LogSettings
from services.probes import ProbesSettings
from services.sealing.settings import SealingSettings
from services.settings import Problem
from services.sites.settings import SiteSettings, problems


class IngestSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `ingest`."""

    report_s: Annotated[float, Meta(ge=0.2, le=60)] = 2.0
    """How often each camera's state is published, beside every change."""
    stop_limit_s: Annotated[float, Meta(ge=0.5, le=60)] = 4.0
    """How long a decode thread may take to end; a read that hangs in FFmpeg is not waited for longer."""
    replica: ReplicaId | None = None
    """This replica's name among those that share the cameras; None: one is made at start. Two that run at the same time
    must not share one."""


class IngestFile(Struct, frozen=True, kw_only=True):
    """What ingest reads of the settings file."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    sealing: SealingSettings = SealingSettings()
    sites: Annotated[list[SiteSettings], Meta(min_length=1)]
    ingest: IngestSettings = field(default_factory=IngestSettings)

    def problems(self) -> list[Problem]:
        """Return what no single field shows."""
        return problems(self.sites)
