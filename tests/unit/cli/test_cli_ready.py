"""What a box says to the systemd that started it: operate.box.ready."""

import socket
from pathlib import Path

import pytest

from operate.box.ready import notify_ready


@pytest.mark.parametrize("is_abstract", [False, True], ids=["a file", "abstract"])
def test_systemd_hears_that_it_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_abstract: bool):
    """At the socket that it named; without one, or with one where nobody listens, nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_ready()
    name = f"@moretta-{tmp_path}" if is_abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    notify_ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0", 1))
        systemd.setblocking(False)
        notify_ready()
        assert systemd.recv(100) == b"READY=1"
