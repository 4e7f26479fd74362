"""A capture of every packet on this machine's network interfaces, loopback included: a raw packet socket (packet(7)).

The proof runs in its own network namespace (network_namespaces(7)), so every packet that leaves is the proof's own. In
that namespace every address is routed back to this machine. A packet to another machine is captured and never arrives.
"""

import contextlib
import ctypes
import fcntl
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
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
"""Called with the ports (from, to) as text, and the bytes that were sent."""


class CaptureError(Exception):
    """Nothing can be captured here; the text says why."""


class Capture:
    """Captures packets in a thread while its block runs. It ignores packets from the ports in `known`: the camera's."""

    def __init__(self, take: Take) -> None:
        self._take, self.known = take, set[int]()
        self.outwards: set[str] = set()
        """Addresses beyond this machine to which packets were sent."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._batches: dict[str, bytearray] = {}
        self.dropped = self.packets = 0

    def __enter__(self) -> Self:
        """Start the capture; CaptureError if this process may not capture."""
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
        """End the capture, and take the last packets."""
        self.end()

    def end(self) -> None:
        """End the capture, and take the last packets; a second call is harmless."""
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
    """Return the ports (from, to) and payload of a TCP or UDP packet; for any other packet None and all its bytes."""
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
    """Return the destination address of an IP packet; None for any other packet."""
    if protocol == _IPV4 and len(packet) >= 20:
        return ipaddress.IPv4Address(bytes(packet[16:20]))
    if protocol == _IPV6 and len(packet) >= 40:
        return ipaddress.IPv6Address(bytes(packet[24:40]))
    return None


def _transport(protocol: int, packet: memoryview) -> int | None:
    """Return the offset of the transport header (RFC 791, RFC 8200 without extension headers)."""
    if protocol == _IPV4 and len(packet) >= 20:
        return int(packet[0] & 0x0F) * 4
    if protocol == _IPV6 and len(packet) >= 40:
        return 40
    return None


_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41


def isolate() -> str | None:
    """Move this thread and its later children into a new network namespace; return the reason if that fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        return "there are no network namespaces here"
    if libc.unshare(_CLONE_NEWNET) != 0:
        return f"no network of its own: {os.strerror(ctypes.get_errno())}"
    with socket.socket() as some:
        fcntl.ioctl(some, _SIOCSIFFLAGS, struct.pack("16sH", b"lo", _IFF_UP_RUNNING))
    if (ip := shutil.which("ip")) is not None:
        for family in ("-4", "-6"):
            # Without IPv6 this fails, and then there is nothing to route back.
            words = [ip, family, "route", "add", "local", "default", "dev", "lo"]
            subprocess.run(words, capture_output=True, check=False)
    return None
