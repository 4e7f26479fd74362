"""Ctrl-C while a command is being loaded: one line, and no traceback out of an import."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_INTERRUPTED = 130
"""A shell's exit code for SIGINT."""


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """End the process at Ctrl-C while the block runs, which must have nothing to clean up.

    KeyboardInterrupt would be raised amid an import, and what an import calls may swallow it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as under nohup
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(_INTERRUPTED)
