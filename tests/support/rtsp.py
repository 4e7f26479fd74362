"""A real RTSP camera for tests: GStreamer's RTSP server in a process of its own."""

import functools
import signal
import subprocess
from pathlib import Path

from lacking import lacks

PACKAGES = (
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
)
"""The Debian packages that these tests need (about 40 MB)."""
PYTHON = "/usr/bin/python3"
"""Debian's own: it has the bindings."""
SERVER = Path(__file__).with_name("rtsp_server.py")
LIMIT_S = 20


@functools.cache
def missing() -> str:
    """Return what is missing, or an empty text."""
    try:
        probe = subprocess.run([PYTHON, SERVER, "--probe"], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return PYTHON
    return "" if probe.returncode == 0 else (probe.stderr.strip().splitlines() or ["unknown"])[-1]


def require() -> None:
    """Skip the test by name when the packages are missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if not missing():
        return
    lacks(f"RTSP server: install {' '.join(PACKAGES)} ({missing()})")


class RtspServer:
    """An RTSP server; it keeps its port over kill and start. `prefix` is a command that runs it, as in a namespace."""

    def __init__(
        self,
        clip: Path,
        auth: str = "none",
        user: str = "cam",
        password: str = "",
        *,
        host: str = "127.0.0.1",
        prefix: tuple[str, ...] = (),
    ) -> None:
        self._host, self._prefix = host, prefix
        self._arguments = [auth, user, password] if auth != "none" else ["none"]
        self._clip = clip
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> "RtspServer":
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(
            [*self._prefix, PYTHON, SERVER, self._clip, self._host, str(self.port), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self._process.stdout.readline().split()
        assert line[:1] == ["ready"], f"the RTSP server did not start: {line}"
        self.port = int(line[1])
        return self

    def url(self, path: str = "cam", userinfo: str = "") -> str:
        """Return the URL of a stream."""
        return f"rtsp://{userinfo + '@' if userinfo else ''}{self._host}:{self.port}/{path}"

    def freeze(self) -> None:
        """Stop it as a hung camera: its sockets stay open and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def change_password(self, password: str) -> None:
        """Restart with another password."""
        self.kill()
        self._arguments[2] = password
        self.start()

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def give_keys(self) -> None:
        """Let /keyless have key frames."""
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """Kill it like a power cut of the camera; harmless if it isn't running."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(LIMIT_S)
            process.stdin.close()
            process.stdout.close()
