"""Plays a recording at the speed at which it was made."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import threading
from collections.abc import Callable

from av.packet import Packet
from av.video.stream import VideoStream

from services.ingest.core.sampling import SECOND_NS


def packet_ns(packet: Packet[VideoStream]) -> int | None:
    """Return when a packet is to be decoded, in ns of the stream's own clock; None if nobody says."""
    stamp = packet.dts if packet.dts is not None else packet.pts
    if stamp is None:
        return None
    return stamp * packet.time_base.numerator * SECOND_NS // packet.time_base.denominator


class Pacer:
    """Plays packets by their time stamps if they come faster than they were recorded."""

    _LONGEST_NS = 60 * SECOND_NS

    def __init__(self, clock: Callable[[], int], leaving: threading.Event) -> None:
        """`clock` gives ns; `leaving` is set when the camera is paused or stopped."""
        self._clock, self._leaving = clock, leaving
        self._start: tuple[int, int] | None = None

    def wait(self, stamp_ns: int | None) -> None:
        """Sleep until it is this packet's turn, or the camera is paused or stopped."""
        if stamp_ns is None:
            return
        now = self._clock()
        if self._start is None:
            self._start = (now, stamp_ns)
        left = self._start[0] + stamp_ns - self._start[1] - now
        if not -SECOND_NS <= left <= self._LONGEST_NS:  # a damaged stamp, or decoding can't keep up: restart
            self._start = (now, stamp_ns)
            return
        if left > 0:
            self._leaving.wait(left / SECOND_NS)
