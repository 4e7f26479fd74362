"""The settings of a deployment, as far as the doctor has the secrets that they name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from operate.doctor import bare
from operate.doctor.core.findings import Finding, fail, left_out, ok
from operate.doctor.reach import ServerAddress
from operate.orders import OperatorFile
from operate.settings_file import SCHEMAS
from services.aggregate.settings import AggregateFile
from services.bus import NatsSettings
from services.bus.stream_sizes import Sizes
from services.ingest.settings import IngestFile
from services.kernel.settings import Problem, SettingsError, load
from services.kernel.settings.load import raw_settings
from services.notify.settings import NotifyFile
from services.sites.settings import CameraSettings, SiteSettings

_UNREADABLE = "cannot read "
T = TypeVar("T", bound=Struct)


@dataclass(frozen=True)
class Deployment:
    """The settings file as each service reads it. A service's part is None if a secret of it is not here."""

    file: Path
    nats: NatsSettings
    loaded: dict[str, Struct] = field(default_factory=dict)
    bare: dict[str, Struct] = field(default_factory=dict)
    """A service's part where a secret of it is not here: with stand-ins for all of its secrets."""
    findings: list[Finding] = field(default_factory=list)
    store: Path | None = None
    """nats-server's storage folder, if it is known."""

    @classmethod
    def read(cls, file: Path, data: Path | None = None) -> "Deployment":
        """Return the settings that can be read; SettingsError if not even those of the bus can be.

        `data` is the folder of `moretta up --data`: the bus is then that box's, whatever the file says.
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
            if all(_is_elsewhere(*one) for one in error.problems):
                self.bare[name] = load(self.file, schema, secrets=False)
            return _unfit(check, error.problems)
        return ok(check, "good")

    @property
    def sites(self) -> list[SiteSettings]:
        """The sites, as services without camera passwords read them."""
        known = self._of(AggregateFile)
        return known.sites if known else []

    @property
    def sizes(self) -> Sizes:
        """The stream sizes in the settings, whichever identity we have."""
        known = self._of(AggregateFile)
        return known.nats.sizes if known else self.nats.sizes

    @property
    def ingest(self) -> IngestFile | None:
        """The settings of ingest; None if they cannot be read."""
        return self._of(IngestFile)

    @property
    def bare_cameras(self) -> list[tuple[str, CameraSettings]]:
        """The cameras, each with its site, that need no secret, where those of others are not here."""
        known = next((one for one in self.bare.values() if isinstance(one, IngestFile)), None)
        return list(bare.cameras(known, raw_settings(self.file, IngestFile))) if known else []

    @property
    def bare_mail_server(self) -> ServerAddress | None:
        """The mail server, where a secret of notify is not here."""
        known = next((one for one in self.bare.values() if isinstance(one, NotifyFile)), None)
        return bare.mail_server(known.notify) if known else None

    @property
    def notify(self) -> NotifyFile | None:
        """The settings of notify; None if they cannot be read."""
        return self._of(NotifyFile)

    def _of(self, schema: type[T]) -> T | None:
        return next((one for one in self.loaded.values() if isinstance(one, schema)), None)


def _of_box(data: Path) -> Path:
    file = data / "identities" / "operator.yaml"
    if not file.exists():
        why = (
            f"{str(data)!r} has no identities/operator.yaml; name the folder in which a `moretta up` keeps its numbers"
        )
        raise SettingsError("moretta doctor", [("--data", why)])
    return file


def _unfit(check: str, problems: list[Problem]) -> Finding:
    """Return the finding on a service's settings. A secret that is not here is no fault of the settings."""
    wrong = [f"{path}: {why}" for path, why in problems if not _is_elsewhere(path, why)]
    if wrong:
        return fail(check, "; ".join(wrong), "mend the settings file; moretta check-config tells the same")
    names = ", ".join(path for path, _ in problems)
    todo = "whoever has these secrets may run moretta doctor for what needs them"
    return left_out(check, f"good as far as it can be read: not here are {names}", todo)


def _is_elsewhere(path: str, why: str) -> bool:
    return path.endswith("_file") and why.startswith(_UNREADABLE)
