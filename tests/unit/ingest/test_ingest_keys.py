"""What the giver of frame keys logs of announcements that it refuses: services.ingest.camera.keys."""

import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.frames.sealing.wrap import announce
from services.inference.keys import KeyReceiver
from services.ingest.camera import keys as sut
from services.ingest.camera.keys import KeyGiver
from services.kernel.clock import boottime_ns

SECOND = 1_000_000_000
IDENTITY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC = X25519PrivateKey.generate().public_key().public_bytes_raw()


def refused():
    return REGISTRY.get_sample_value("moretta_ingest_announcements_refused_total")


async def test_refused_announcements_are_logged_once_a_minute(monkeypatch):
    """For each site and reason, by a made-up clock; the counter has them all."""
    now, before = [boottime_ns()], refused()
    monkeypatch.setattr(sut, "boottime_ns", lambda: now[0])
    bus = SimpleNamespace(connected=True)
    givers = {
        site: KeyGiver(bus, site, Ed25519PrivateKey.generate(), (IDENTITY.public_key(),)) for site in ("cannes", "lyon")
    }

    async def hear(signer, off_s, count=50):
        for site, giver in givers.items():
            for number in range(count):
                said = announce(signer, site, f"box-{number}", PUBLIC, time.time_ns() + off_s * SECOND)
                await giver._announced(said, SimpleNamespace(received=now[0]))

    for giver in givers.values():
        giver.begin()
    try:
        with capture_logs() as lines:
            for moment_s, signer, off_s, told in (
                (0, STRANGER, 0, 2), (1, IDENTITY, 61, 2), (58, STRANGER, 0, 0), (59, IDENTITY, -61, 0),
                (60, STRANGER, 0, 2), (61, IDENTITY, 61, 2),
            ):  # fmt: skip
                now[0], seen = now[0] + moment_s * SECOND, len(lines)
                await hear(signer, off_s)
                assert len(lines) - seen == told, moment_s
                now[0] -= moment_s * SECOND
        assert refused() - before == 6 * 2 * 50
        assert {line["log_level"] for line in lines} == {"error"}
    finally:
        for giver in givers.values():
            giver.end()


@pytest.mark.parametrize("by_s", [1, 19, 29, 31, 45, 57, 58, 59, 60, 61, 120, 86_400])
def test_a_worker_whose_clock_was_set_back_goes_on_getting_keys(by_s, monkeypatch):
    """That of a box, which ingest has, too; or of a host, however far ahead it was. None looks like a replay."""
    start = time.time_ns()
    read = [start]
    monkeypatch.setattr(time, "time_ns", lambda: read[0])
    for ahead_s in (None, *(range(0, 58, 19) if by_s < 58 else ())):
        giver = KeyGiver(SimpleNamespace(connected=True), "cannes", IDENTITY, (IDENTITY.public_key(),))
        worker = KeyReceiver(SimpleNamespace(connected=True), "box-1", ["cannes"], IDENTITY, (IDENTITY.public_key(),))
        worker._utc_offset = start + (ahead_s or 0) * SECOND - (since := boottime_ns())
        for beat in range(240):
            elapsed = beat * SECOND // 2
            read[0] = start + elapsed + (ahead_s or 0) * SECOND - (by_s * SECOND if beat >= 4 else 0)
            said = announce(IDENTITY, "cannes", "box-1", PUBLIC, worker._utc(since + elapsed))
            if ahead_s is not None:
                read[0] = start + elapsed
            assert giver._is_recent(said), (ahead_s, beat)
            giver._remember(said)
