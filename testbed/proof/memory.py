"""Lists processes and reads their memory, through Linux's /proc."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from testbed.proof.core.needles import SIZE

CHUNK = 16 << 20
_PROC = Path("/proc")
_KERNEL = ("[vvar", "[vdso", "[vsyscall")


def descendants(root: int) -> list[int]:
    """Return the ids of all descendants of a process, without its own."""
    parents = {int(entry.name): _parent(entry) for entry in _PROC.iterdir() if entry.name.isdigit()}
    found: list[int] = []
    for pid, parent in parents.items():
        above = parent
        while above is not None and above != root:
            above = parents.get(above)
        if above == root:
            found.append(pid)
    return sorted(found)


def _parent(entry: Path) -> int | None:
    try:
        # The second field is the name in brackets, which may hold anything.
        return int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]) or None
    except (OSError, IndexError, ValueError):
        return None


def name_of(pid: int) -> str:
    """Return the name of the process's module or program, without arguments; empty if the process is gone."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    ours = (
        word.decode(errors="replace")
        for word in words
        if word.startswith((b"services.", b"operate.", b"testbed.", b"moretta."))
    )
    return next(ours, _program(words))


def _program(words: list[bytes]) -> str:
    return Path(words[0].decode(errors="replace")).name if words and words[0] else ""


def regions(pid: int) -> list[tuple[int, int]]:
    """Return (from, to) of all memory that is writable or belongs to no file; OSError if the process is gone."""
    found = []
    for line in (_PROC / str(pid) / "maps").read_text().splitlines():
        span, permissions, _offset, _device, inode, *path = line.split(maxsplit=5)
        kernels = bool(path) and path[0].startswith(_KERNEL)
        if "r" in permissions and ("w" in permissions or inode == "0") and not kernels:
            low, high = (int(end, 16) for end in span.split("-"))
            found.append((low, high))
    return found


def chunks(pid: int) -> Iterator[bytes]:
    """Yield the process's memory in pieces, each overlapping the next; OSError if it can't be read at all."""
    spans = regions(pid)
    with (_PROC / str(pid) / "mem").open("rb", buffering=0) as memory:
        for low, high in spans:
            yield from _pieces(memory.fileno(), low, high)


def _pieces(memory: int, low: int, high: int) -> Iterator[bytes]:
    for start in range(low, high, CHUNK):
        try:
            data = os.pread(memory, min(CHUNK + SIZE, high - start), start)
        except OSError:  # unmapped meanwhile, or a device's
            continue
        yield data


def at_once(pid: int) -> list[bytes]:
    """Return a copy of the process's memory. The process is stopped meanwhile. OSError as in `chunks`."""
    os.kill(pid, signal.SIGSTOP)
    try:
        return list(chunks(pid))
    finally:
        os.kill(pid, signal.SIGCONT)


def may_read() -> str | None:
    """Return why other processes' memory can't be read; None if it can. Reading needs root's CAP_SYS_PTRACE."""
    status = (_PROC / "self/status").read_text()
    held = int(status.partition("CapEff:")[2].split()[0], 16)
    if held >> 19 & 1:
        return None
    return "another process's memory is read with CAP_SYS_PTRACE: run it as root"
