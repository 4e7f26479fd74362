"""The running build of Moretta: its version, and a digest of its files that tells two builds of a version apart."""

from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, PackagePath, distribution

from prometheus_client import Gauge

BUILD = Gauge(
    "moretta_build_info",
    "1 for the service, its version, a digest of its files, and the Python that runs it",
    ["service", "version", "build", "python"],
)
_OURS = frozenset({"proto", "services", "operate", "testbed", "moretta", "bench"})
_DIGITS = 12


@cache
def build() -> dict[str, str]:
    """Return `version` and `build`, the same wherever the same wheel is installed; `unknown` without a wheel."""
    try:
        ours = distribution("moretta")
    except PackageNotFoundError:
        return {"version": "unknown", "build": "unknown"}
    return {"version": ours.version, "build": _digest(ours.files or [])}


def _digest(files: list[PackagePath]) -> str:
    """Return a short digest of the file hashes in the wheel's record (PEP 376). Bytecode has no hash there."""
    hashes = sorted(f"{file} {file.hash.value}" for file in files if file.hash and file.parts[0] in _OURS)
    return sha256("\n".join(hashes).encode()).hexdigest()[:_DIGITS]
