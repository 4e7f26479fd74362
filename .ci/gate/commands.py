"""Runs a command, shows what it says, and says in one line why it failed."""

import os
import re
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_ERROR = re.compile(r"\b[Ee]rror\b|\b(failed|failure|[Ww]ould reformat)\b|: unused |\bBROKEN\b")
_TRIED_AGAIN = "; again in "
"""What .ci/thrice says of a try that failed."""
_MAX_OUTPUT = 1 << 28
"""The most bytes that a command may say: it, or what it left behind, may write for ever."""
_TICK_S = 0.5
"""How long to wait for more output; a process that the command left behind may hold its output open for ever."""


def failure(arguments: Sequence[str], root: Path) -> str | None:
    """Run a command and show its output; return None if it was green, else the first line that says why not."""
    read, write = os.pipe()
    with subprocess.Popen(arguments, cwd=root, stdin=subprocess.DEVNULL, stdout=write, stderr=write) as process:
        os.close(write)
        try:
            said = _shown(read, process)
        except BaseException:  # a signal, or nobody reads what we show
            process.terminate()
            raise
        finally:
            os.close(read)
    if process.returncode == 0:
        return None
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    wrong = [line for line in lines if _ERROR.search(line) and _TRIED_AGAIN not in line]
    first = (wrong or lines[-1:] or ["it said nothing"])[0]
    return f"{' '.join(arguments)}: {first}"


def _shown(read: int, process: subprocess.Popen[bytes]) -> bytes:
    """Copy what comes to our own output until the command has ended; return it."""
    said = bytearray()
    while len(said) < _MAX_OUTPUT:
        ended = process.poll() is not None
        ready, _, _ = select.select([read], [], [], 0 if ended else _TICK_S)
        if not ready:
            if ended:
                return bytes(said)
            continue
        part = os.read(read, 65_536)
        if not part:
            process.wait()
            return bytes(said)
        said += part
        sys.stdout.buffer.write(part)
        sys.stdout.flush()
    raise RuntimeError(f"it said more than {_MAX_OUTPUT} bytes")
