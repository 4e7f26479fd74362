"""What the doctor may know of a deployment: the settings, as far as its own secrets reach."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from operate.doctor.core.findings import Finding, fail, left_out, ok
from operate.orders import OperatorFile
from operate.settings_file import SCHEMAS
from services.aggregate.settings import AggregateFile
from services.bus import NatsSettings
from services.bus.sizes import Sizes
from services.ingest.settings import IngestFile
from services.kernel.settings import Problem, SettingsError, load
from services.notify.settings import NotifyFile
from services.sites.settings import SiteSettings

_UNREADABLE = "cannot read "
T = TypeVar("T", bound=Struct)


@dataclass(frozen=True)
class Deployment:
    """The settings file as each service reads it. What lacks a secret that is not here is None."""

    file: Path
    nats: NatsSettings
    loaded: dict[str, Struct] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    store: Path | None = None
    """Where nats-server stores, if that is known."""

    @classmethod
    def read(cls, file: Path, data: Path | None = None) -> "Deployment":
        """Return what can be read; SettingsError where not even the bus is to be found.

        `data` is the folder of `moretta up --data`: the bus is that box's, whatever the file says of another one.
        """
        nats = load(file if data is None else _of_box(data), OperatorFile).nats
        found = cls(file, nats, store=None if data is None else data / "jetstream")
        for name, schema in SCHEMAS.items():
            found.findings.append(found._load(name, schema))
        return found

    def _load(self, name: str, schema: type[Struct]) -> Finding:
        check = f"settings of {name}"
        try:
            self.loaded[name] = load(self.file, schema)
        except SettingsError as error:
            return _unfit(check, error.problems)
        return ok(check, "good")

    @property
    def sites(self) -> list[SiteSettings]:
        """The sites, as those know them who have no camera's password."""
        known = self._of(AggregateFile)
        return known.sites if known else []

    @property
    def sizes(self) -> Sizes:
        """The sizes that the settings have for streams, whoever we are there."""
        known = self._of(AggregateFile)
        return known.nats.sizes if known else self.nats.sizes

    @property
    def ingest(self) -> IngestFile | None:
        """What ingest reads."""
        return self._of(IngestFile)

    @property
    def notify(self) -> NotifyFile | None:
        """What notify reads."""
        return self._of(NotifyFile)

    def _of(self, schema: type[T]) -> T | None:
        return next((one for one in self.loaded.values() if isinstance(one, schema)), None)


def _of_box(data: Path) -> Path:
    file = data / "identities" / "operator.yaml"
    if not file.exists():
        why = f"{str(data)!r} has no identities/operator.yaml; name the folder of a running `moretta up --data`"
        raise SettingsError("moretta doctor", [("--data", why)])
    return file


def _unfit(check: str, problems: list[Problem]) -> Finding:
    """Return what is wrong with settings: of a secret that is not here nothing is wrong with them."""
    wrong = [f"{path}: {why}" for path, why in problems if not _is_elsewhere(path, why)]
    if wrong:
        return fail(check, "; ".join(wrong), "mend the settings file; moretta check-config tells the same")
    names = ", ".join(path for path, _ in problems)
    todo = "whoever has these secrets may run moretta doctor for what needs them"
    return left_out(check, f"good as far as it can be read: not here are {names}", todo)


def _is_elsewhere(path: str, why: str) -> bool:
    return path.endswith("_file") and why.startswith(_UNREADABLE)
