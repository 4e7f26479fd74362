"""Linux's measures that hold for a whole process; each is read back after it was taken."""

import ctypes
import os
import resource
import signal
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from services.sandbox.measures import MeasureState

_SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS, _SET_DUMPABLE, _GET_DUMPABLE = 38, 39, 4, 3
_PERTURB, _PATTERN = -6, 0x55
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
_CAP_IPC_LOCK = 14
TELEMETRY = "ORT_DISABLE_TELEMETRY"


def files_among(streams: Iterable[Any]) -> list[str]:
    """Return the names of those of these streams that are regular files."""
    return [stream.name for stream in streams if stream is not None and _is_regular(stream)]


def _is_regular(stream: Any) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # closed, or not a file of the system
        return False


def no_core() -> MeasureState:
    """Let no core file be written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return _read_back(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))


def not_dumpable() -> MeasureState:
    """Let no process of the same user look into our memory, and write no core file at all."""
    return _prctl(_SET_DUMPABLE, 0, _GET_DUMPABLE)


def no_new_privileges() -> MeasureState:
    """Let no started program gain privileges."""
    return _prctl(_SET_NO_NEW_PRIVS, 1, _GET_NO_NEW_PRIVS)


def no_file_grows() -> MeasureState:
    """Let no file get a byte, on a disk, in shared memory or in memory alone; a process that tries gets an error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return _read_back(resource.getrlimit(resource.RLIMIT_FSIZE) == (0, 0))


def no_telemetry() -> MeasureState:
    """Turn off onnxruntime's telemetry (1.29 and later), by a variable that it reads while it is imported."""
    if "onnxruntime" in sys.modules and os.environ.get(TELEMETRY) != "1":
        return MeasureState("refused", "onnxruntime was imported before")
    os.environ[TELEMETRY] = "1"
    return MeasureState("applied")


def overwrite_freed() -> MeasureState:
    """Let glibc overwrite freed memory (mallopt(3), M_PERTURB): else pictures would stay there."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return MeasureState("absent", "this C library cannot; glibc can")
    return _read_back(mallopt(_PERTURB, _PATTERN) == 1)


def lock_memory() -> MeasureState:
    """Keep this process's memory out of swap: for good if there is no limit, else what is mapped now, if it fits.

    Pages are locked when they are first used, so that no unneeded memory is reserved (mlock(2), MCL_ONFAULT).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    unlimited = hard == resource.RLIM_INFINITY or _may_lock()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_CURRENT | _ON_FAULT | (_FUTURE if unlimited else 0)):
        return MeasureState("refused", os.strerror(ctypes.get_errno()))
    return MeasureState("applied", "" if unlimited else "what was mapped at start")


def threads() -> int:
    """Return how many threads this process has."""
    return len(list(Path("/proc/self/task").iterdir()))


def _may_lock() -> bool:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    return False


def _prctl(put: int, value: int, get: int) -> MeasureState:
    libc = ctypes.CDLL(None, use_errno=True)
    none = ctypes.c_ulong(0)
    libc.prctl(put, ctypes.c_ulong(value), none, none, none)
    return _read_back(libc.prctl(get, none, none, none, none) == value)


def _read_back(holds: bool) -> MeasureState:
    return MeasureState("applied") if holds else MeasureState("refused", "it was asked for, and is not in force")
