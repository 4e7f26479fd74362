"""H.264 that claims pictures of any size, made from small ones: its SPS is rewritten."""

from pathlib import Path

import clips


def h264(path: Path, width: int, height: int) -> Path:
    """Write H.264 whose SPS says that its pictures are of this size (multiples of 16)."""
    plain = clips.make_clip(path.with_name("small.h264"), width=64, height=64, pictures=50, key_every=5)
    units = plain.read_bytes().replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    path.write_bytes(b"".join(b"\0\0\0\1" + (_sps(u, width, height) if u[0] & 31 == 7 else u) for u in units))
    return path


def _sps(unit: bytes, width: int, height: int) -> bytes:
    """The SPS (ITU-T H.264 §7.3.2.1.1) with other sizes; of a constrained baseline stream."""
    assert unit[1] == 66, "only baseline has no more fields before the size"
    raw = unit[4:].replace(b"\0\0\3", b"\0\0")
    bits = "".join(f"{byte:08b}" for byte in raw)
    place, out = 0, ""

    def golomb() -> int:
        nonlocal place
        zeros = bits.index("1", place) - place
        value = int(bits[place + zeros : place + 2 * zeros + 1], 2) - 1
        place += 2 * zeros + 1
        return value

    golomb(), golomb()  # the SPS's id, the length of frame numbers
    if golomb() == 0:  # picture order count
        golomb()
    golomb()  # reference frames
    place += 1  # gaps
    out = bits[:place]
    golomb(), golomb()
    out += _golomb(width // 16 - 1) + _golomb(height // 16 - 1) + bits[place:].rstrip("0")[:-1] + "1"
    out += "0" * (-len(out) % 8)
    made = bytes(int(out[n : n + 8], 2) for n in range(0, len(out), 8))
    return unit[:4] + _escaped(made)


def _golomb(value: int) -> str:
    binary = f"{value + 1:b}"
    return "0" * (len(binary) - 1) + binary


def _escaped(data: bytes) -> bytes:
    out = bytearray()
    for byte in data:
        if byte <= 3 and out[-2:] == b"\0\0":
            out.append(3)
        out.append(byte)
    return bytes(out)
