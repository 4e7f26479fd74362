"""How much memory FFmpeg takes at once: services.ingest.sources.ffmpeg, in its own process: it holds for all."""

import subprocess
import sys

PROGRAM = """
import av
from services.ingest.sources.ffmpeg import MAX_BYTES, limit_memory

def takes(size):
    try:
        return av.packet.Packet(size).size == size
    except MemoryError:
        return False

print(takes(MAX_BYTES), limit_memory(), takes(MAX_BYTES // 2), takes(MAX_BYTES), takes(1000))
"""


def test_no_block_is_larger_than_a_picture_needs():
    """Before and after: what was given is refused, and smaller ones are not."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["True", "True", "True", "False", "True"], run.stderr
