"""Enters the sandbox: tries, logs and exports each measure; refuses to start if the legal profile demands more."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from prometheus_client import Gauge

from services.kernel.faults import StartError
from services.kernel.log import get_logger
from services.kernel.settings import raw_settings
from services.sandbox import landlock, process
from services.sandbox.measures import MEASURES, STATES, Measure, MeasureState, not_in_force, shortfalls
from services.sites.settings import SiteSettings

log = get_logger()

STATE = Gauge("moretta_sandbox_state", "1 for the state that each measure of the sandbox is in", ["measure", "state"])
_DEV = Path("/dev")


class Settings(Protocol):
    """The part of a service's settings that the sandbox reads."""

    @property
    def sites(self) -> Sequence[SiteSettings]: ...


class Sandbox:
    """The sandbox of one process. Call `enter` before any other thread starts.

    Some measures bind only the thread that takes them and the threads that it starts later.
    """

    def __init__(self, service: str, schema: type[Struct]) -> None:
        self._service, self._schema = service, schema
        self._unread: frozenset[str] = getattr(schema, "UNREAD", frozenset())
        self._file = Path()
        self._readable: list[Path] = []
        self._has_devices = False
        self.findings: dict[Measure, MeasureState] = {}

    def enter(self, file: Path, settings: Settings) -> None:
        """Take every measure; StartError if less is in force than the profiles demand, or if the log is a file."""
        if files := process.files_among((sys.stdout, sys.stderr)):
            raise StartError(
                f"{' and '.join(files)} is a regular file, and {self._service} may write none: log to a pipe, as in "
                f"`moretta {self._service} -c FILE 2>&1 | cat >> LOG`, or to the journal"
            )
        self._file = file
        self.findings = self._on_linux(settings) if sys.platform == "linux" else _elsewhere()
        for measure, finding in self.findings.items():
            for state in STATES:
                STATE.labels(measure, state).set(int(finding.state == state))
        log.info("in the sandbox", **{measure: str(finding) for measure, finding in self.findings.items()})
        if missing := not_in_force(self.findings):
            log.warning("sandbox incomplete", **missing)
        self._demand(settings)

    def check(self, settings: Settings) -> None:
        """Raise StartError if these new settings need more than was allowed at start."""
        self._demand(settings)
        if self.findings["landlock"].state != "applied":
            return
        outside = [
            f"{where}: {value} is outside the folders that the sandbox lets {self._service} read since its start"
            for where, value in self._named(settings)
            if (found := landlock.places(value, self._bases())) and not any(self._may_read(place) for place in found)
        ]
        if outside:
            raise StartError(f"{'; '.join(outside)}; restart it, or move it into one of them")

    def _may_read(self, place: Path) -> bool:
        return self._has_devices if place.is_relative_to(_DEV) else landlock.is_below(place, self._readable)

    def _named(self, settings: Settings) -> list[landlock.Named]:
        named = list(landlock.named_in(raw_settings(self._file, self._schema), self._unread))
        return named if "url" in self._unread else [*named, *landlock.sources_in(settings.sites)]

    def _bases(self) -> list[Path]:
        return [self._file.parent.resolve(), Path.cwd()]

    def _demand(self, settings: Settings) -> None:
        if lacking := shortfalls(self.findings, [site.profile for site in settings.sites]):
            raise StartError("; ".join(lacking))

    def _on_linux(self, settings: Settings) -> dict[Measure, MeasureState]:
        sys.dont_write_bytecode = True
        steps: dict[Measure, Callable[[], MeasureState]] = {
            "core": process.no_core,
            "dumpable": process.not_dumpable,
            "no-new-privileges": process.no_new_privileges,
            "landlock": lambda: self._deny_files(settings),
            "file-size": process.no_file_grows,
            "telemetry": process.no_telemetry,
            "freed-memory": process.overwrite_freed,
            "memory-lock": process.lock_memory,
        }
        return {measure: _tried(steps[measure]) for measure in MEASURES}

    def _deny_files(self, settings: Settings) -> MeasureState:
        if (others := process.threads() - 1) > 0:
            return MeasureState("refused", f"{others} threads run already, which it would not bind")
        abi = landlock.version()
        if not abi:
            return MeasureState("absent", "this kernel has no Landlock, or was started without it (lsm=)")
        named = [place for _, value in self._named(settings) for place in landlock.places(value, self._bases())]
        self._has_devices = "url" not in self._unread and landlock.wants_devices(settings.sites)
        files = [place for place in named if not place.is_relative_to(_DEV)]
        rights = landlock.allowed([self._file, *files], devices=self._has_devices)
        landlock.restrict(abi, rights)
        self._readable = [path.resolve() for path in rights if path != _DEV]
        return MeasureState("applied", f"version {abi}")


def _tried(step: Callable[[], MeasureState]) -> MeasureState:
    try:
        return step()
    except (OSError, ValueError) as error:
        return MeasureState("refused", getattr(error, "strerror", None) or str(error))


def _elsewhere() -> dict[Measure, MeasureState]:
    """Return the findings where this is not Linux: only the limit of core files can be in force."""
    absent: dict[Measure, MeasureState] = dict.fromkeys(
        MEASURES, MeasureState("absent", f"this is {sys.platform}, not Linux")
    )
    return absent | {"core": _tried(process.no_core)}
