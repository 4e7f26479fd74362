"""Searches files: those in the box's folder, and those that a traced process wrote anywhere."""

from pathlib import Path

from operate.proof import trace
from operate.proof.search import Search

_TRACED = ("ingest", "inference", "aggregate", "notify", "nats-server")


class Disk:
    """What is on disk below a scratch folder, in which `box` is the box's own folder."""

    def __init__(self, search: Search, scratch: Path) -> None:
        self._search, self._scratch = search, scratch
        self.box, self.traces = scratch / "box", scratch / "traces"
        (self.box / "tmp").mkdir(parents=True)
        self.traces.mkdir()
        self._written: dict[str, set[str]] = {}
        self._calls = 0

    def folder(self) -> None:
        """Search the box's folder as it is now."""
        store = self.box / "jetstream"
        for path in sorted(self.box.rglob("*")):
            if path.is_file() and not path.is_symlink():
                self._file("jetstream" if path.is_relative_to(store) else "files", path)

    def traced(self, canary: str) -> None:
        """Search all that was written anywhere, once everything has ended; `canary` is the planter's name."""
        for pid in trace.unfinished(self.traces):
            self._search["strace"].miss(f"strace (pid {pid}) has not ended")
        for file in sorted(self.traces.iterdir()):
            name = file.name.rpartition("-")[0]
            with file.open(errors="replace") as lines:
                self._trace(name, trace.read(lines), is_canary=name == canary)
        for path, names in sorted(self._written.items()):
            self._elsewhere(Path(path), names)
        silent = [name for name in _TRACED if not any(name in names for names in self._written.values())]
        self._search["strace"].notes.append(f"{self._calls} calls seen; no file was written by {', '.join(silent)}")

    def _trace(self, name: str, seen: trace.Seen, *, is_canary: bool) -> None:
        self._calls += seen.calls
        for path in filter(trace.is_file, seen.written):
            self._written.setdefault(path, set()).add(name)
        cores = self._search["cores"]
        if is_canary:
            cores.canary = seen.cores > 0
        elif seen.cores:
            cores.hit(f"{name} dumped core", seen.cores)

    def _elsewhere(self, path: Path, names: set[str]) -> None:
        if path.is_relative_to(self.box):
            return  # searched already, as often as it was there
        if not path.exists():
            self._search["strace"].miss(f"{path}, which {', '.join(sorted(names))} wrote, is gone")
        elif path.is_file():
            self._file("strace", path)

    def _file(self, place: str, path: Path) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            self._search[place].miss(f"{path}: {error.strerror}")
            return
        where = path.relative_to(self._scratch) if path.is_relative_to(self._scratch) else path
        self._search.text(place, str(where), data)
