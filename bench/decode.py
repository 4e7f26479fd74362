"""The processor time of ingest's decoding, against `ffmpeg -threads 1 -f null` on the same file."""

import resource
import shutil
import subprocess
import time
from pathlib import Path

from services.ingest.sources.decoder import Decoder
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings

_PLAYS = 4
"""The file is decoded so many times, so that a program's start counts for little."""


def ffmpeg() -> str | None:
    """Return where Debian's ffmpeg is, None without it."""
    return shutil.which("ffmpeg")


def own_s(file: Path) -> float:
    """Return the processor time that ingest's source and decoder take for the whole file, played a few times."""
    began = time.thread_time()
    for _ in range(_PLAYS):
        with open_source(CameraSettings(id="bench", url=str(file))) as source:
            decoder = Decoder(source.stream, 640)
            for packet in source.packets():
                decoder.decode(packet)
            decoder.decode(None)
            decoder.discard()
    return time.thread_time() - began


def ffmpeg_s(program: str, file: Path) -> float:
    """Return the processor time that ffmpeg takes for the same file, played as often."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    plays = ["-stream_loop", str(_PLAYS - 1), "-threads", "1", "-i", str(file)]
    subprocess.run([program, "-v", "error", "-nostdin", *plays, "-map", "0:v", "-f", "null", "-"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
