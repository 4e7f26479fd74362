"""What a process wrote or mapped, as strace saw it: which files, and whether it left a core."""

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

CALLS = "open,openat,creat,mmap,memfd_create,rename,renameat,renameat2,link,linkat"
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>")
_OPENED = re.compile(r"^(?:open|openat|creat)\(.*?(O_[A-Z_|]+).*\)\s+= \d+<(.*)>(?:\(deleted\))?$")
_CREATED = re.compile(r"^creat\(.*\)\s+= \d+<(.*)>(?:\(deleted\))?$")
_MAPPED = re.compile(r"^mmap\([^,]+, \d+, ([A-Z_|]+), ([A-Z_|]+), \d+<(.*)>, ")
_MEMFD = re.compile(r"^memfd_create\(.*\)\s+= \d+<(.*)>(?:\(deleted\))?$")
_RENAMED = re.compile(r'^(?:rename|link)\w*\(.*"(.*)"[^"]*\)\s+= 0$')
_CORE = re.compile(r"^\+\+\+ killed by \w+ \(core dumped\) \+\+\+$")
_KILLED = re.compile(r"^\+\+\+ killed by (\w+)")
_LIMIT_S, _TICK_S = 60.0, 0.05
_NO_FILES = ("/dev/", "/proc/", "/sys/", "pipe:", "socket:", "anon_inode:", "UNIX", "TCP", "UDP")


@dataclass
class Seen:
    """What a trace shows."""

    written: set[str] = field(default_factory=set)
    """Files that were opened to be written, or mapped so that writing reaches them."""
    memory_files: set[str] = field(default_factory=set)
    calls: int = 0
    killed: list[str] = field(default_factory=list)
    """The signals that ended it."""
    cores: int = 0
    """How many core dumps the kernel says that it wrote."""


def why_not() -> str | None:
    """Return why nothing can be traced here; None if it can. A container may forbid it; an old strace knows less."""
    if shutil.which("strace") is None:
        return "strace is missing: install it"
    done = subprocess.run([*prefix(Path(os.devnull)), sys.executable, "-c", ""], capture_output=True, check=False)
    if done.returncode == 0 and not done.stderr:
        return None
    return f"strace can't trace here: {done.stderr.decode(errors='replace').strip() or done.returncode}"


def prefix(into: Path) -> list[str]:
    """Return the command under which a program is traced, itself the child and not strace."""
    signals = "signal=ABRT,SEGV,BUS,ILL,KILL"
    how = ["-D", "-f", "-y", "-s", "0", "--quiet=attach,personality", "--seccomp-bpf", "-e", signals]
    return ["strace", *how, "-e", f"trace={CALLS}", "-o", str(into)]


def read(lines: Iterable[str]) -> Seen:
    """Return what the lines of a trace show."""
    seen = Seen()
    for line in _joined(lines):
        seen.calls += line[0] not in "+-"
        _take(seen, line)
    return seen


def _take(seen: Seen, line: str) -> None:
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
    """Yield each call whole, without its process: threads interrupt one another."""
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


def unfinished(folder: Path, limit_s: float = _LIMIT_S) -> list[int]:
    """Wait until nobody writes traces below a folder any more; return the process ids of those that still do then.

    A tracer is nobody's child: it writes its last lines some time after what it traced has ended and was waited for.
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
    """Whether this names a file that keeps what is written, as opposed to a device or a pipe."""
    return not path.startswith(_NO_FILES) and path.startswith("/")
