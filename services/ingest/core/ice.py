"""Decides which datagrams of a WebRTC peer are read, and how much is sent to an address before it answers. Pure.

An ICE agent answers, remembers and checks every address from which a valid request comes (RFC 8445 §7.3). ICE sets no
limit, anybody may send to the socket, and the peer itself may be hostile. So a peer has few addresses, each kind of
datagram has a rate, and an address that has proved nothing gets a multiple of what came from it at most, as in QUIC
(RFC 9000 §8.1). Times are seconds of any one clock. ADR 13 has the numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from services.destinations import refusal

Datagram = Literal["request", "response", "dtls", "rtcp", "rtp"]
"""What a datagram is; the first two are of STUN."""
Source = tuple[str, int]
"""An address and a UDP port."""

MAX_OFFERED = 16
"""How many candidates of an offer are used; a peer's checks show its other addresses."""
MAX_CANDIDATES = 32
"""How many remote candidates a peer has at most, those of its offer included."""
FACTOR = 3
"""An address without proof gets at most so many times the bytes of its valid requests (UDP payload)."""
OFFERED_BYTES = 512
"""What an address of the offer gets before anything came from it: five or six checks."""
MAX_STREAMS = 16
"""How many RTP sources (SSRC) of a peer are read at a time: a camera has two or three, with simulcast six.

Anybody can send the first datagrams of some, in the peer's name: only SRTP, behind this, proves who sent them. So a new
one replaces the one with the fewest datagrams. The longest unheard would be the peer's own after a burst of others.
"""
NEW_STREAM_S = 5.0
"""After that many seconds the next source may replace another: libsrtp and aiortc never forget one that is proved."""
LARGEST_STUN = 1024
PER_S: dict[Datagram, int] = {"request": 100, "response": 100, "dtls": 50, "rtcp": 50, "rtp": 2000}
"""How many datagrams of a kind are read in a second, of all the peer's addresses together."""
STRANGERS_PER_S = 50
"""How many requests are read in a second from addresses that are not the peer's yet."""
CHECKS_PER_S = 50
"""How many checks are sent in a second; RFC 8445 §14.2 has one in 50 ms begin."""

_COOKIE = bytes.fromhex("2112a442")
_STUN: dict[bytes, Datagram] = {b"\x00\x01": "request", b"\x01\x01": "response"}
_SHORTEST = 12
_STUN_HEADER = 20
_SSRC: dict[Datagram, slice] = {"rtp": slice(8, 12), "rtcp": slice(4, 8)}


def kind_of(data: bytes) -> Datagram | None:
    """Return what a datagram is by its first bytes (RFC 7983, RFC 5761 §4); None for what nothing here reads.

    STUN's indications and error responses are not read. Errors make aioice repeat a check at once and without an end;
    a conflict of roles is repaired by the peer's own requests.
    """
    if len(data) < _SHORTEST:
        return None
    if data[0] < 4:
        is_whole = _STUN_HEADER <= len(data) <= LARGEST_STUN and data[4:8] == _COOKIE
        return _STUN.get(data[:2]) if is_whole else None
    if 20 <= data[0] < 64:
        return "dtls"
    if 128 <= data[0] < 192:
        return "rtcp" if 192 <= data[1] <= 208 else "rtp"
    return None


class RateLimit:
    """At most `per_s` uses in a second on average, and no more than that at once (GCRA, ITU-T I.371)."""

    def __init__(self, per_s: float) -> None:
        self._step = 1 / per_s
        self._due = float("-inf")

    def spend(self, now: float) -> bool:
        """Return whether one more use is allowed now; if so, it is spent."""
        due = max(self._due, now) + self._step
        if due - now > 1 + self._step / 2:
            return False
        self._due = due
        return True


class RtpSources:
    """The RTP sources of a peer that are read, at most MAX_STREAMS at a time."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._next = float("-inf")

    def heard(self, ssrc: bytes, now: float) -> bool:
        """Return whether a datagram of this source is read. A new one takes the place of the one heard least often."""
        if ssrc not in self._counts and len(self._counts) >= MAX_STREAMS:
            if now < self._next:
                return False
            self._next = now + NEW_STREAM_S
            del self._counts[min(self._counts, key=self._counts.__getitem__)]  # of several the first
        self._counts[ssrc] = self._counts.get(ssrc, 0) + 1
        return True


@dataclass(slots=True)
class _Candidate:
    """What one address has sent and was sent, in bytes; `credit` is what it may get before it sends anything."""

    credit: int = 0
    received: int = 0
    sent: int = 0
    is_proved: bool = False

    @property
    def is_known(self) -> bool:
        return self.is_proved or self.received > 0


class RemoteCandidates:
    """One peer's remote candidates: addresses of its offer, and those that sent a request with the right password."""

    def __init__(self, fragment: str, offered: Iterable[Source] = (), *, link_local: bool = False) -> None:
        """`fragment` is our user name fragment; `offered` are the offer's addresses, already judged."""
        self._name = f"{fragment}:".encode()
        self._link_local = link_local
        first = list(dict.fromkeys(offered))[:MAX_OFFERED]
        self._candidates = {source: _Candidate(credit=OFFERED_BYTES) for source in first}
        self._rates = {kind: RateLimit(per_s) for kind, per_s in PER_S.items()}
        self._strangers, self._checks = RateLimit(STRANGERS_PER_S), RateLimit(CHECKS_PER_S)
        self._streams = RtpSources()
        self.refused = 0
        """How many datagrams were dropped unread."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._candidates)

    def heard(self, data: bytes, source: Source, now: float) -> Datagram | None:
        """Return what a datagram is if it is to be read; None if it is to be dropped.

        Of an address that is not the peer's yet only requests with our name are read, and answers to our checks.
        """
        kind = kind_of(data)
        if kind is not None and self._is_read(kind, data, source, now):
            return kind
        self.refused += 1
        return None

    def accept(self, source: Source, size: int) -> bool:
        """Record a request with the right password; return whether its address is the peer's from now on.

        It is not if the peer has enough addresses, or if Moretta must not send to this one.
        """
        candidate = self._candidates.get(source)
        if candidate is None:
            if len(self) >= MAX_CANDIDATES or refusal(source[0], link_local=self._link_local) is not None:
                return False
            candidate = self._candidates[source] = _Candidate()
        candidate.received += size
        return True

    def prove(self, source: Source) -> None:
        """Record that an address answered a check that was sent to it."""
        if (candidate := self._candidates.get(source)) is not None:
            candidate.is_proved = True

    def may_send(self, source: Source, size: int, now: float, *, is_check: bool) -> bool:
        """Return whether a STUN message of `size` bytes may be sent to an address; if so, it counts as sent."""
        candidate = self._candidates.get(source)
        if candidate is None:
            return False
        allowed = candidate.credit + FACTOR * candidate.received
        if not candidate.is_proved and candidate.sent + size > allowed:
            return False
        if is_check and not self._checks.spend(now):
            return False
        candidate.sent += size
        return True

    def _is_read(self, kind: Datagram, data: bytes, source: Source, now: float) -> bool:
        candidate = self._candidates.get(source)
        if candidate is not None and candidate.is_known:
            return self._is_of_a_stream(kind, data, now) and self._rates[kind].spend(now)
        return self._may_be_the_peer(kind, data, candidate) and self._strangers.spend(now)

    def _may_be_the_peer(self, kind: Datagram, data: bytes, candidate: _Candidate | None) -> bool:
        if kind == "response":
            return candidate is not None
        has_room = candidate is not None or len(self) < MAX_CANDIDATES
        return kind == "request" and has_room and self._name in data

    def _is_of_a_stream(self, kind: Datagram, data: bytes, now: float) -> bool:
        return kind not in _SSRC or self._streams.heard(data[_SSRC[kind]], now)
