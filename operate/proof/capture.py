"""What passes any of this machine's network interfaces, loopback included: a raw packet socket (packet(7))."""

import contextlib
import ctypes
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

_ALL = 0x0003
_SOL_PACKET, _STATISTICS = 263, 6
_FORCE_BUFFER, _ATTACH_FILTER = 33, 26
_BUFFER = 256 << 20
_OUTGOING = 4
_LARGEST = 1 << 18
_FILTER = (
    (0x20, 0, 0, 0xFFFFF008),  # A = the interface's number (linux/filter.h, SKF_AD_IFINDEX)
    (0x15, 0, 3, 1),  # unless it is 1, loopback, keep it
    (0x20, 0, 0, 0xFFFFF004),  # A = the packet's kind (SKF_AD_PKTTYPE)
    (0x15, 0, 1, _OUTGOING),  # unless it goes out, keep it
    (0x06, 0, 0, 0),  # drop it: it comes again, as a packet that was received
    (0x06, 0, 0, _LARGEST),
)
"""Classic BPF, which the kernel runs: code, jump if true, jump if false, value."""
_BATCH = 4 << 20
_IPV4, _IPV6, _TCP, _UDP = 0x0800, 0x86DD, 6, 17

Take = Callable[[str, bytes], None]
"""Called with who sent it to whom, and what was sent."""


class CaptureError(Exception):
    """Nothing can be captured here; the text says why."""


class Capture:
    """Captures while its block runs, in a thread. What the ports of `known` sent is left out: the camera's own."""

    def __init__(self, take: Take) -> None:
        self._take, self.known = take, set[int]()
        self.outwards: set[str] = set()
        """Addresses beyond this machine that packets were sent to."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._batches: dict[str, bytearray] = {}
        self.dropped = self.packets = 0

    def __enter__(self) -> Self:
        """Begin; CaptureError if this process may not."""
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        except (PermissionError, AttributeError):
            raise CaptureError("a raw socket takes CAP_NET_RAW: run it as root") from None
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _FORCE_BUFFER, _BUFFER)
        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _FILTER))
        filtering = struct.pack("HL", len(_FILTER), ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, filtering)
        self._socket.settimeout(0.2)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and take what was captured last."""
        self.end()

    def end(self) -> None:
        """End, and take what was captured last; harmless a second time."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        raw = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, ctypes.sizeof(ctypes.c_uint) * 2)
        _, self.dropped = struct.unpack("II", raw)
        self._socket.close()
        for way in list(self._batches):
            self._flush(way)

    def _run(self) -> None:
        buffer = bytearray(_LARGEST)
        while not self._ended.is_set():
            try:
                size, (_, protocol, *_) = self._socket.recvfrom_into(buffer)
            except TimeoutError:
                continue
            self._packet(protocol, memoryview(buffer)[:size])

    def _packet(self, protocol: int, packet: memoryview) -> None:
        self.packets += 1
        if (beyond := destination(protocol, packet)) is not None and not beyond.is_loopback:
            self.outwards.add(str(beyond))
        way, payload = parsed(protocol, packet)
        if way is not None and way[0] in self.known:
            return
        name = f"port {way[0]} to port {way[1]}" if way else f"protocol {protocol:#06x}"
        batch = self._batches.setdefault(name, bytearray())
        batch += payload
        if len(batch) >= _BATCH:
            self._flush(name)

    def _flush(self, way: str) -> None:
        batch = bytes(self._batches[way])
        self._batches[way] = bytearray(batch[-64:]) if not self._ended.is_set() else bytearray()
        self._take(way, batch)


def parsed(protocol: int, packet: memoryview) -> tuple[tuple[int, int] | None, memoryview]:
    """Return the ports, from and to, and the payload of a TCP or UDP packet; None and all of it for any other."""
    start = _transport(protocol, packet)
    if start is None or len(packet) < start + 8:
        return None, packet
    ports = struct.unpack_from("!HH", packet, start)
    kind = packet[9] if protocol == _IPV4 else packet[6]
    if kind == _UDP:
        return ports, packet[start + 8 :]
    if kind != _TCP or len(packet) < start + 20:
        return None, packet
    return ports, packet[start + (packet[start + 12] >> 4) * 4 :]


def destination(protocol: int, packet: memoryview) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return where an IP packet goes; None for any other."""
    if protocol == _IPV4 and len(packet) >= 20:
        return ipaddress.IPv4Address(bytes(packet[16:20]))
    if protocol == _IPV6 and len(packet) >= 40:
        return ipaddress.IPv6Address(bytes(packet[24:40]))
    return None


def _transport(protocol: int, packet: memoryview) -> int | None:
    """Where the transport's header begins (RFC 791, RFC 8200 without extension headers)."""
    if protocol == _IPV4 and len(packet) >= 20:
        return int(packet[0] & 0x0F) * 4
    if protocol == _IPV6 and len(packet) >= 40:
        return 40
    return None
