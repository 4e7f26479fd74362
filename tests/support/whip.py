"""WHIP clients for tests: aiortc publishing a moving pattern over real HTTP, ICE, DTLS and SRTP."""

import asyncio
import contextlib
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import aioice.ice
import av
import clips
import rtsp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from lacking import lacks

HOST_ADDRESSES = aioice.ice.get_host_addresses
TOKEN = "a-token-of-the-tests-32-characters"


class Pattern(MediaStreamTrack):
    """A moving pattern, 320x180, 25 pictures a second."""

    kind = "video"

    def __init__(self):
        super().__init__()
        self.sent = 0
        self._start = time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0.0, self._start + self.sent / 25 - time.monotonic()))
        frame = av.VideoFrame.from_ndarray(clips.pattern(320, 180, self.sent), format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = self.sent, Fraction(1, 25)
        self.sent += 1
        return frame


class Publisher:
    """One aiortc peer; `offer` is its SDP."""

    def __init__(self, codec="H264", *, audio=False):
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.track = Pattern()
        if audio:
            self.connection.addTransceiver("audio", direction="sendonly")
        self.transceiver = self.connection.addTransceiver(self.track, direction="sendonly")
        known = RTCRtpSender.getCapabilities("video").codecs
        wanted = [one for one in known if one.mimeType in {f"video/{codec}", "video/rtx"}]
        self.transceiver.setCodecPreferences(wanted if codec else known)

    async def offer(self):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer):
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def vanish(self):
        """Say nothing any more, as a phone that lost its network: no goodbye of any kind."""
        for protocol in self.transceiver.sender.transport.transport._connection._protocols:
            protocol.transport.sendto = lambda *_: None

    def reappear(self):
        """Go on where it vanished."""
        for protocol in self.transceiver.sender.transport.transport._connection._protocols:
            del protocol.transport.sendto

    async def close(self):
        self.track.stop()
        await self.connection.close()


@contextlib.contextmanager
def loopback_only():
    """Let ICE use 127.0.0.1 alone."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = HOST_ADDRESSES


PACKAGES = ("python3-gi", "gir1.2-gst-plugins-bad-1.0", "gstreamer1.0-nice", "gstreamer1.0-plugins-bad")
"""The Debian packages that the GStreamer publisher needs beside those of rtsp.py."""
GSTREAMER = Path(__file__).with_name("whip_gstreamer.py")


def require_gstreamer():
    """Skip the test by name when the packages are missing; fail it if MORETTA_REQUIRE_ALL=1."""
    probe = subprocess.run([rtsp.PYTHON, GSTREAMER, "--probe"], capture_output=True, text=True, timeout=60)
    if probe.returncode == 0:
        return
    lacks(f"WHIP publisher: install {' '.join(PACKAGES)} ({(probe.stderr.strip().splitlines() or ['unknown'])[-1]})")


@contextlib.contextmanager
def gstreamer(url):
    """A publishing GStreamer process."""
    require_gstreamer()
    command = [rtsp.PYTHON, GSTREAMER, url, TOKEN]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
