"""The settings that inference reads."""

from typing import Annotated, ClassVar, Literal

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
    """Folder of the model; None: the model that is shipped."""
    threads: Annotated[int, Meta(ge=1, le=32)] | Literal["auto"] = "auto"
    """Pictures analysed at a time. `auto`: as many as decoding leaves cores for, found while it runs."""


class InferenceFile(Struct, frozen=True, kw_only=True):
    """The part of the settings file that inference reads."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "password", "token"})
    """Only ingest reads cameras' addresses, passwords included."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    tracing: TracingSettings = TracingSettings()
    sealing: SealingSettings = SealingSettings()
    sites: Annotated[list[SiteSettings], Meta(min_length=1)]
    inference: InferenceSettings = field(default_factory=InferenceSettings)

    def problems(self) -> list[Problem]:
        """Return problems that checks of single fields cannot find."""
        return [*self.nats.problems(), *self.tracing.problems(), *problems(self.sites)]
