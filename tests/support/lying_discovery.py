"""Answers every question of WS-Discovery with lies, from two addresses.    lying_discovery.py ADDRESS OTHER"""

import re
import socket
import sys

ENVELOPE = (
    "{declared}<e:Envelope xmlns:e='urn:e'><Header><RelatesTo>{id}</RelatesTo></Header><Body><ProbeMatches>"
    "<ProbeMatch><Scopes>{scopes}</Scopes><XAddrs>{xaddrs}</XAddrs></ProbeMatch></ProbeMatches></Body></e:Envelope>"
)
HERE = "http://{address}/onvif/device_service"


def lies(address: str, asked: str) -> list[bytes]:
    """Return the answers of one address; the last one is nearly honest."""
    here = HERE.format(address=address)
    one = lambda **changes: ENVELOPE.format(**{"declared": "", "id": asked, "scopes": "", "xaddrs": here} | changes)  # noqa: E731
    scopes = "onvif://www.onvif.org/name/%1B%5B2J%1B%5B31mevil onvif://www.onvif.org/hardware/[red]X[/red]"
    return [
        b"noise", b"\xff" * 60_000, b"", one(id="uuid:other").encode(), one(declared="<!DOCTYPE a>").encode(),
        one(scopes=scopes).encode(),
    ]  # fmt: skip


def main(address: str, other: str) -> None:
    group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    group.bind(("", 3702))
    group.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.255.255.250") + socket.inet_aton(address)
    )
    sockets = {one: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for one in (address, other)}
    for one, sock in sockets.items():
        sock.bind((one, 0))
    print("ready", flush=True)
    while True:
        data, who = group.recvfrom(65_535)
        found = re.search(rb"MessageID>(.+?)<", data)
        asked = found[1].decode() if found else ""
        for answer in lies(address, asked):
            sockets[address].sendto(answer, who)
        for _ in range(200):
            elsewhere = ENVELOPE.format(declared="", id=asked, scopes="", xaddrs=HERE.format(address="10.9.9.9"))
            sockets[other].sendto(elsewhere.encode(), who)


if __name__ == "__main__":
    main(*sys.argv[1:])
