"""A time zone whose clocks are put forward or back at a moment that a test chooses (TZif, RFC 8536)."""

import struct
from pathlib import Path

HOUR = 3_600


def soon_zone(folder: Path, name: str, moment: int, before_s: int, after_s: int) -> dict[str, str]:
    """Write a zone that is `before_s` ahead of UTC until `moment` (Unix seconds), then `after_s`.

    The larger of the two is summer time. Return the variables by which a Python process knows this zone beside the
    system's.
    """
    summer = max(before_s, after_s)
    kinds = b"".join(struct.pack(">lbB", off, off == summer, 4 * (off == summer)) for off in (before_s, after_s))
    names = b"STD\0DST\0"
    counts = struct.pack(">6l", 0, 0, 0, 2, 2, len(names))  # two transitions: one long ago, one at the moment
    times = struct.pack(">2q", -(1 << 33), moment) + bytes([0, 1])
    old = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 1) + struct.pack(">lbB", before_s, 0, 0) + b"\0"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(old + b"TZif2" + bytes(15) + counts + times + kinds + names + b"\n\n")
    return {"PYTHONTZPATH": f"{folder}:/usr/share/zoneinfo:/usr/lib/zoneinfo"}
