"""The search of files: those in the box's folder, and all files that strace saw a process write or map."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from testbed.proof.search import Search

CALLS = "open,openat,creat,mmap,memfd_create,rename,renameat,renameat2,link,linkat"
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>")
_OPENED = re.compile(r"^(?:open|openat|creat)\(.*?(O_[A-Z_|]+).*\)\s+= \d+<(.*)>(?:\(deleted\))?$")
_CREATED = re.compile(r"^creat\(.*\)\s+= \d+<(.*)>(?:\(deleted\))?$")
_MAPPED = re.compile(r"^mmap\([^,]+, \d+, ([A-Z_|]+), ([A-Z_|]+), \d+<(.*)>, ")
_MEMFD = re.compile(r"^memfd_create\(.*\)\s+= \d+<(.*)>(?:\(deleted\))?$")
_RENAMED = re.compile(r'^(?:rename|link)\w*\(.*"(.*)"[^"]*\)\s+= 0$')
_CORE = re.compile(r"^\+\+\+ killed by \w+ \(core dumped\) \+\+\+$")
_KILLED = re.compile(r"^\+\+\+ killed by (\w+)")
_TIMEOUT_S, _TICK_S = 60.0, 0.05
_NO_FILES = ("/dev/", "/proc/", "/sys/", "pipe:", "socket:", "anon_inode:", "UNIX", "TCP", "UDP")


@dataclass
class TracedFiles:
    """The content of a trace."""

    written: set[str] = field(default_factory=set)
    """Files that were opened for writing, or mapped so that writing reaches them."""
    memory_files: set[str] = field(default_factory=set)
    calls: int = 0
    killed: list[str] = field(default_factory=list)
    """The signals that ended the program."""
    cores: int = 0
    """Number of core dumps that the kernel wrote, by its own word."""


def why_not() -> str | None:
    """Return why tracing fails here; None if it works. A container may forbid it; an old strace lacks options."""
    if shutil.which("strace") is None:
        return "strace is missing: install it"
    done = subprocess.run([*prefix(Path(os.devnull)), sys.executable, "-c", ""], capture_output=True, check=False)
    if done.returncode == 0 and not done.stderr:
        return None
    return f"strace can't trace here: {done.stderr.decode(errors='replace').strip() or done.returncode}"


def prefix(into: Path) -> list[str]:
    """Return the strace command to put before a program. The program, not strace, becomes the direct child."""
    signals = "signal=ABRT,SEGV,BUS,ILL,KILL"
    how = ["-D", "-f", "-y", "-s", "0", "--quiet=attach,personality", "--seccomp-bpf", "-e", signals]
    return ["strace", *how, "-e", f"trace={CALLS}", "-o", str(into)]


def read(lines: Iterable[str]) -> TracedFiles:
    """Return the content of a trace's lines."""
    seen = TracedFiles()
    for line in _joined(lines):
        seen.calls += line[0] not in "+-"
        _take(seen, line)
    return seen


def _take(seen: TracedFiles, line: str) -> None:
    if (match := _OPENED.match(line)) and re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", match[1]):
        seen.written.add(match[2])
    elif match := _CREATED.match(line):
        seen.written.add(match[1])
    elif (match := _MAPPED.match(line)) and "PROT_WRITE" in match[1] and "MAP_SHARED" in match[2]:
        seen.written.add(match[3])
    elif match := _RENAMED.match(line):
        seen.written.add(match[1])
    elif match := _MEMFD.match(line):
        seen.memory_files.add(match[1])
    elif match := _KILLED.match(line):
        seen.killed.append(match[1])
        seen.cores += bool(_CORE.match(line))


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield each call in one line, without its process id: threads interrupt one another's calls."""
    begun: dict[str, str] = {}
    for line in lines:
        process, _, rest = line.rstrip("\n").partition(" ")
        rest = rest.lstrip()
        if rest.endswith("<unfinished ...>"):
            begun[process] = rest.removesuffix("<unfinished ...>").rstrip()
        elif match := _RESUMED.match(rest):
            yield begun.pop(process, "") + rest[match.end() :]
        elif rest:
            yield rest


def unfinished(folder: Path, limit_s: float = _TIMEOUT_S) -> list[int]:
    """Wait until no tracer writes below a folder; return the process ids of tracers that still do after `limit_s`.

    A tracer is not a child of ours. It writes its last lines some time after its program has ended and was waited for.
    """
    end = time.monotonic() + limit_s
    while (found := _tracers(folder)) and time.monotonic() < end:
        time.sleep(_TICK_S)
    return found


def _tracers(folder: Path) -> list[int]:
    below, found = os.fsencode(folder) + b"/", []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"strace") and any(word.startswith(below) for word in words):
                    found.append(int(entry.name))
    return found


def is_file(path: str) -> bool:
    """Return whether this path names a file that stores data, and not a device or a pipe."""
    return not path.startswith(_NO_FILES) and path.startswith("/")


_TRACED = ("ingest", "inference", "aggregate", "notify", "nats-server")


class Disk:
    """The files below a scratch folder, and their search; `box` is the box's own folder in it."""

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
        """Search all files written anywhere, after all programs have ended; `canary` is the planter's name."""
        for pid in unfinished(self.traces):
            self._search["strace"].miss(f"strace (pid {pid}) has not ended")
        for file in sorted(self.traces.iterdir()):
            name = file.name.rpartition("-")[0]
            with file.open(errors="replace") as lines:
                self._trace(name, read(lines), is_canary=name == canary)
        for path, names in sorted(self._written.items()):
            self._elsewhere(Path(path), names)
        silent = [name for name in _TRACED if not any(name in names for names in self._written.values())]
        self._search["strace"].notes.append(f"{self._calls} calls seen; no file was written by {', '.join(silent)}")

    def _trace(self, name: str, seen: TracedFiles, *, is_canary: bool) -> None:
        self._calls += seen.calls
        for path in filter(is_file, seen.written):
            self._written.setdefault(path, set()).add(name)
        cores = self._search["cores"]
        if is_canary:
            cores.canary = seen.cores > 0
        elif seen.cores:
            cores.hit(f"{name} dumped core", seen.cores)

    def _elsewhere(self, path: Path, names: set[str]) -> None:
        if path.is_relative_to(self.box):
            return  # `folder` has searched it already, each time that it was there
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
