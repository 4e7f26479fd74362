"""Starts a program that ends with its parent, so that a box which is killed leaves nothing running (Linux only).

Run by its path, with the parent's process id and a command, it asks the kernel for SIGTERM at the parent's death, and
becomes the program. A fork of the parent can't do that itself: its other threads may hold any lock (`preexec_fn`).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tied(command: list[str]) -> list[str]:
    """Return a command that runs this one and ends with us: strictly, with the thread that starts it (prctl(2))."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    """Run the program in this process; end instead if the parent died before the kernel was asked."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent has ended")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the program would inherit that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a box's own commands
    except OSError as error:
        sys.exit(f"{command[0]}: cannot be started: {error.strerror}")


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
