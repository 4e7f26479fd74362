"""Reads films that are nearly whole, as ingest does, in a process that may die: `fuzz_media.py FOLDER FIRST COUNT`.

Each line on standard output is a seed that was tried and what came of it. FFmpeg runs in C: where it fails it may take
the process with it, and who started this sees the last seed.
"""

import resource
import signal
import sys
from pathlib import Path

import av
from fuzzing import mutate

from services.ingest.core.picture import i420_size
from services.ingest.sources.address import SourceError
from services.ingest.sources.decoder import Decoder
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings

MAX_PICTURES = 50
LONG_SIDE = 160
HANG_S = 30
ADDRESSES = 6 << 30
"""No picture needs as much address space; what asks for more gets an error in place of the machine's memory."""


def read(path: Path) -> str:
    """Return what became of one film: why it was refused, or how many pictures it had."""
    pictures, into = 0, memoryview(bytearray(i420_size(LONG_SIDE, LONG_SIDE)))
    try:
        with open_source(CameraSettings(id="fuzz", url=str(path), long_side=LONG_SIDE)) as source:
            decoder = Decoder(source.stream, LONG_SIDE)
            for packet in source.packets():
                for frame in decoder.decode(packet) if packet is not None else []:
                    decoder.pts_ns(frame)
                    try:
                        decoder.convert(frame, into)
                    except ValueError:
                        return "inconvertible"
                    pictures += 1
                if pictures > MAX_PICTURES:
                    break
            decoder.discard()
    except SourceError as error:
        return error.reason
    return "pictures" if pictures else "no-pictures"


def main(folder: Path, first: int, count: int) -> None:
    """Try these seeds."""
    av.logging.set_level(av.logging.PANIC)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    films = sorted(folder.glob("clip.*"))
    corpora = {film.suffix: film.read_bytes() for film in films}
    for seed in range(first, first + count):
        suffix = films[seed % len(films)].suffix
        path = folder / f"broken-{first}{suffix}"
        path.write_bytes(mutate([corpora[suffix]], seed))
        signal.alarm(HANG_S)  # its default ends the process: that is a hang
        print(seed, "began", flush=True)
        print(seed, read(path), flush=True)
        signal.alarm(0)
    print("most", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
