"""FFmpeg's own log lines, through PyAV, to structlog: without credentials, and each line once.

A broken stream makes FFmpeg say the same for every packet. A line that was said in the last minute is only counted.
"""

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import av.logging

from services.kernel.log import get_logger, redact

QUIET_NS = 60_000_000_000
_REMEMBERED = 256
_USERINFO = re.compile(r"(://)[^\s/'\"]*@")
_PATH = re.compile(r"(://[^\s/'\"]*/)[^\s'\"]+")
"""For some cameras the path is the key."""
_VARIABLE = re.compile(r"0x[0-9a-f]+|\d+")


class LavHandler(logging.Handler):
    """Takes the records of PyAV's loggers `libav.*`."""

    def __init__(self, logger: Any = None, clock: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(logging.WARNING)
        self._logger, self._clock = logger, clock
        self._said: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on, unless it was said in the last minute (numbers in it don't make it another one)."""
        text = scrub(record.getMessage())
        repeated = self._count((record.name, _VARIABLE.sub("#", text)))
        if repeated is None or not text:
            return
        extra = {"repeated": repeated} if repeated else {}
        logger = self._logger or get_logger()
        logger.warning("ffmpeg", part=record.name.removeprefix("libav."), text=text, **extra)

    def _count(self, line: tuple[str, str]) -> int | None:
        """None if the line is to be kept back, else how often it was kept back since it was said last."""
        now = self._clock()
        with self._guard:
            said_at, held = self._said.pop(line, (now - QUIET_NS, 0))
            if now - said_at < QUIET_NS:
                self._said[line] = (said_at, held + 1)
                return None
            self._said[line] = (now, 0)
            if len(self._said) > _REMEMBERED:
                self._said.popitem(last=False)
            return held


def scrub(text: str) -> str:
    """Return the text without user names, passwords and paths of URLs, even unescaped ones with an @."""
    return _PATH.sub(r"\1***", redact(_USERINFO.sub(r"\1***@", text))).strip()


def install(handler: LavHandler | None = None) -> LavHandler:
    """Send FFmpeg's warnings and errors to structlog; replaces what an earlier call installed."""
    handler = handler or LavHandler()
    root = logging.getLogger("libav")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.WARNING)
    av.logging.set_skip_repeated(False)
    av.logging.set_level(av.logging.WARNING)
    return handler
