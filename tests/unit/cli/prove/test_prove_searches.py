"""What the searches see: bytes in any form of text, images of any format, packets, traces, pages of metrics."""

import base64
import binascii
import io
import json
import os
import struct
import urllib.parse
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from testbed.proof import disk
from testbed.proof.capture import destination, parsed
from testbed.proof.core.images import BLOCK, images, is_drawing
from testbed.proof.core.needles import forms
from testbed.proof.core.verdicts import lifetime_of

WRITTEN = {
    "raw": bytes,
    "hex": lambda row: row.hex().encode(),
    "HEX": lambda row: row.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base64 for URLs": base64.urlsafe_b64encode,
    "repr": lambda row: repr(row).encode(),
    "JSON": lambda row: json.dumps(row.decode("latin-1")).encode(),
    "numbers": lambda row: repr(list(row)).encode(),
    "quoted for URLs": lambda row: urllib.parse.quote_from_bytes(row).encode(),
    # As binary data are (RFC 2045 §6.7): as text, one kind of line break becomes another.
    "quoted-printable": lambda row: binascii.b2a_qp(row, istext=False),
    "backslashreplace": lambda row: row.decode(errors="backslashreplace").encode(),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@given(row=st.binary(min_size=64, max_size=200), before=st.text(" abc=:", max_size=7))
def test_a_row_is_found_in_every_form_of_text(write, row, before):
    """However it was written, 32 bytes of its middle are in one of the forms."""
    text = before.encode() + b'"' + write(row) + b'" and so on'
    assert any(row[16:48] in form for form in forms(text))


def picture(kind: str) -> bytes:
    data = io.BytesIO()
    Image.frombytes("RGB", (48, 32), os.urandom(48 * 32 * 3)).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WebP", "BMP", "JPEG", "TIFF", "AVIF"])
def test_images_are_known_by_their_beginning(kind):
    """Also in the middle of other bytes."""
    found = next(images(b"text before" + picture(kind)))
    assert (found.kind, found.at) == (kind, 11)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("brand", [None, b"mif1", b"msf1"])
def test_an_avif_is_known_whatever_brand_comes_first(several, brand):
    """A picture or a sequence; encoders may write the container's general brand first and AVIF's after it."""
    frames = [Image.frombytes("RGB", (48, 32), os.urandom(48 * 32 * 3)) for _ in range(2)]
    frames[0].save(written := io.BytesIO(), "AVIF", save_all=several, append_images=frames[1:] if several else [])
    data = written.getvalue()
    assert data[8:12] == (b"avis" if several else b"avif")
    assert [one.kind for one in images(data[:8] + (brand or data[8:12]) + data[12:])][:1] == ["AVIF"]


@pytest.mark.parametrize(("kind", "name", "encoder"), [("H.264", "h264", "libx264"), ("H.265", "hevc", "libx265")])
def test_a_stream_of_video_is_known(tmp_path, kind, name, encoder):
    """H.264 and H.265 as they are sent or stored outside a container; neither is taken for the other."""
    path = tmp_path / f"clip.{name}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode())
    assert [one.kind for one in images(b"\0" * 9 + path.read_bytes())] == [kind]


def test_noise_is_known_and_text_is_none():
    """Two noisy blocks are one finding with its size; text, base64 and machine code are none."""
    noise = os.urandom(5 * BLOCK)
    found = list(images(b"a" * BLOCK + noise))
    assert [(one.kind, one.at, one.size) for one in found] == [("noise", BLOCK, 5 * BLOCK)]
    assert str(found[0]) == f"{5 * BLOCK} bytes like noise"
    assert list(images(os.urandom(BLOCK))) == []
    for plain in (Path(__file__).read_bytes() * 9, base64.b64encode(noise), bytes(9 * BLOCK)):
        assert list(images(plain)) == []


def test_a_chart_is_a_drawing_and_a_photograph_is_not():
    """By how few colours make up nearly all of it."""
    assert is_drawing([90_000, 4_000, 3_000, *[1] * 900])
    assert not is_drawing([20] * 4_000)


def ipv4(payload: bytes, protocol: int = 6, to: bytes = b"\x7f\0\0\1") -> memoryview:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, protocol, 0, b"\x7f\0\0\1", to)
    return memoryview(head + payload)


def test_packets_are_taken_apart():
    """Ports and payload of TCP and UDP over IPv4 and IPv6; anything else is searched whole."""
    tcp = struct.pack("!HHIIBBHHH", 4222, 50_000, 0, 0, 8 << 4, 0, 0, 0, 0) + bytes(12) + b"payload"
    udp = struct.pack("!HHHH", 53, 9, 0, 0) + b"payload"
    ipv6 = memoryview(struct.pack("!IHBB16s16s", 6 << 28, 0, 6, 64, bytes(15) + b"\1", bytes(15) + b"\2") + tcp)
    for protocol, packet, ports in (
        (0x0800, ipv4(tcp), (4222, 50_000)),
        (0x0800, ipv4(udp, 17), (53, 9)),
        (0x86DD, ipv6, (4222, 50_000)),
    ):
        assert parsed(protocol, packet) == (ports, b"payload")
    for protocol, packet in ((0x0806, memoryview(b"arp")), (0x0800, ipv4(b"x" * 30, 1)), (0x0800, memoryview(b"E"))):
        assert parsed(protocol, packet) == (None, packet)
    assert str(destination(0x0800, ipv4(tcp, to=b"\x08\x08\x08\x08"))) == "8.8.8.8"
    assert str(destination(0x86DD, ipv6)) == "::2"
    assert destination(0x0806, memoryview(b"arp")) is None


TRACE = """\
7 openat(AT_FDCWD</w>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>
7 openat(AT_FDCWD</w>, "out.bin", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 4</w/out.bin>
7 openat(AT_FDCWD</w>, "/no", O_RDWR|O_CREAT, 0666) = -1 EACCES (Permission denied)
8 openat(AT_FDCWD</w>, "/w/late", O_RDWR|O_CREAT, 0666 <unfinished ...>
7 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3</usr/lib/gconv.cache>, 0) = 0x7f0
8 <... openat resumed>) = 5</w/late>
7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 4</w/mapped>, 0) = 0x7f1
7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f2
7 openat(AT_FDCWD</w>, "/dev/null", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</dev/null>
7 rename("/w/out.bin", "/w/final")     = 0
7 memfd_create("x", MFD_CLOEXEC)  = 5</memfd:x>(deleted)
8 --- SIGABRT {si_signo=SIGABRT, si_code=SI_TKILL, si_pid=7, si_uid=0} ---
8 +++ killed by SIGABRT (core dumped) +++
7 +++ killed by SIGKILL +++
"""


def test_a_trace_tells_what_was_written_and_which_cores_were_dumped():
    """Calls that another thread interrupted are put together; what failed or only read is none."""
    seen = disk.read(TRACE.splitlines())
    assert {path for path in seen.written if disk.is_file(path)} == {"/w/out.bin", "/w/late", "/w/mapped", "/w/final"}
    assert seen.memory_files == {"/memfd:x"}
    assert (seen.killed, seen.cores) == (["SIGABRT", "SIGKILL"], 1)
    assert seen.calls == 10


def test_lifetimes_are_summed_over_cameras():
    """Bounds in ms; +Inf is the total alone."""
    lines = ["# TYPE moretta_pixel_lifetime_seconds histogram"]
    for camera, counts in (("a", (90, 99, 100)), ("b", (0, 9, 100))):
        for bound, count in zip(("0.05", "0.1", "+Inf"), counts, strict=True):
            lines.append(f'moretta_pixel_lifetime_seconds_bucket{{camera="{camera}",le="{bound}"}} {count}')
    found = lifetime_of("\n".join(lines) + "\n")
    assert (found.buckets, found.total) == ({50.0: 90.0, 100.0: 108.0}, 200.0)
