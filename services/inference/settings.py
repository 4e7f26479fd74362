"""The settings that inference reads."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from services.bus import NatsSettings
from services.frames.sealing.settings import SealingSettings
from services.kernel.log import LogSettings
from services.kernel.probes import ProbesSettings
from services.kernel.settings import Problem
from services.kernel.tracing.settings import TracingSettings
from services.sites.problems import problems
from services.sites.settings import SiteSettings


class InferenceSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `inference`."""

    model: str | None = None
    """Folder of the model; the one that is shipped if absent."""
    threads: Annotated[int, Meta(ge=1, le=32)] = 1
    """Pictures analysed at a time; at most the cores that decoding leaves free."""


class InferenceFile(Struct, frozen=True, kw_only=True):
    """What inference reads of the settings file."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "token"})
    """Cameras' addresses, passwords included, are ingest's alone."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    tracing: TracingSettings = TracingSettings()
    sealing: SealingSettings = SealingSettings()
    sites: Annotated[list[SiteSettings], Meta(min_length=1)]
    inference: InferenceSettings = field(default_factory=InferenceSettings)

    def problems(self) -> list[Problem]:
        """Return what no single field shows."""
        return [*self.nats.problems(), *self.tracing.problems(), *problems(self.sites)]
