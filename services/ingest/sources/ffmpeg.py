"""What holds for FFmpeg in the whole process: where its log lines go, and how much memory it takes at once."""

import ctypes
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.logging

from services.kernel.log import get_logger, redact

log = get_logger()

MAX_BYTES = 112 << 20
"""One block holds the largest picture (`core.picture.MAX_PIXELS`) as a graphics card hands it over: 4:2:0 in
16 bits, 106 MB. Decoders in software take each plane alone."""
QUIET_NS = 60_000_000_000
_REMEMBERED = 256
_USERINFO = re.compile(r"(://)[^\s/'\"]*@")
_PATH = re.compile(r"(://[^\s/'\"]*/)[^\s'\"]+")
"""For some cameras the path is the key that opens the stream."""
_VARIABLE = re.compile(r"0x[0-9a-f]+|\d+")


class LavHandler(logging.Handler):
    """Takes the records of PyAV's loggers `libav.*` to structlog, without credentials and each line once.

    A broken stream makes FFmpeg log the same line for every packet. A line that was logged in the last minute is only
    counted.
    """

    def __init__(self, logger: Any = None, clock: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(logging.WARNING)
        self._logger, self._clock = logger, clock
        self._logged: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Forward a line unless it was logged in the last minute; lines that differ only in numbers are the same."""
        text = scrub(record.getMessage())
        repeated = self._count((record.name, _VARIABLE.sub("#", text)))
        if repeated is None or not text:
            return
        extra = {"repeated": repeated} if repeated else {}
        logger = self._logger or get_logger()
        logger.warning("ffmpeg", part=record.name.removeprefix("libav."), text=text, **extra)

    def _count(self, line: tuple[str, str]) -> int | None:
        """Return None if the line must be held back, else how often it was held back since it was last logged."""
        now = self._clock()
        with self._guard:
            logged_at, held = self._logged.pop(line, (now - QUIET_NS, 0))
            if now - logged_at < QUIET_NS:
                self._logged[line] = (logged_at, held + 1)
                return None
            self._logged[line] = (now, 0)
            if len(self._logged) > _REMEMBERED:
                self._logged.popitem(last=False)
            return held


def scrub(text: str) -> str:
    """Return the text without user names, passwords and paths of URLs, even unescaped ones with an @."""
    return _PATH.sub(r"\1***", redact(_USERINFO.sub(r"\1***@", text))).strip()


def forward_log(handler: LavHandler | None = None) -> LavHandler:
    """Send FFmpeg's warnings and errors to structlog; replaces what an earlier call installed."""
    handler = handler or LavHandler()
    root = logging.getLogger("libav")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.WARNING)
    av.logging.set_skip_repeated(False)
    av.logging.set_level(av.logging.WARNING)
    return handler


def limit_memory(most: int = MAX_BYTES) -> bool:
    """Limit every block that FFmpeg takes in this process; return False, and log it, if its library is not found.

    FFmpeg reads the length of an RTSP server's description from the server, and collects a picture until the next one
    begins: either may grow by whatever the network carries until the time limit is over. Its own limit for one block
    (`av_max_alloc`, libavutil/mem.h) is 2 GiB and has no name in PyAV.
    """
    path = _library()
    if path is None:
        log.warning("FFmpeg's memory is not limited", why="libavutil was not found")
        return False
    ctypes.CDLL(str(path)).av_max_alloc(ctypes.c_size_t(most))
    return True


def _library() -> Path | None:
    """Return the libavutil that PyAV has loaded: its wheel's own, or the system's as Linux says."""
    assert av.__file__ is not None
    bundled = sorted(Path(av.__file__).parent.with_name("av.libs").glob("libavutil*"))
    if bundled:
        return bundled[0]
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    return next((Path(line.split(maxsplit=5)[-1]) for line in lines if "/libavutil" in line), None)
