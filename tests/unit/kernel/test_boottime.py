"""What sleeps with its host does not look young: services.kernel.clock, and everything that asks for an age by it."""

import asyncio
import importlib
import inspect
import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from patience import until

from proto.subjects import CAMERA_LEASES, REPLICAS, WORKERS
from services.frames.sealing.wrap import announce
from services.inference.keys import KeyReceiver
from services.inference.lanes import Lane, Lanes
from services.inference.worker import Worker
from services.ingest.camera.camera import Camera
from services.ingest.camera.keys import KeyGiver
from services.kernel import clock as sut
from services.kernel.clock import boottime, boottime_ns
from services.leases import Leases
from services.sites.settings import CameraSettings

IDENTITY = Ed25519PrivateKey.generate()
TRUSTED = (IDENTITY.public_key(),)
KEY = ("cannes", "gate")


def test_it_goes_on_while_the_host_is_suspended(suspend):
    """In nanoseconds and in seconds; the clock of the event loop stands still meanwhile."""
    before, seconds, monotonic = boottime_ns(), boottime(), time.monotonic()
    suspend(3_600)
    assert 3_600 <= (boottime_ns() - before) / 1e9 < 3_660
    assert 3_600 <= boottime() - seconds < 3_660
    assert time.monotonic() - monotonic < 60


def test_a_system_without_it_has_its_monotonic_clock(monkeypatch):
    """As macOS, whose CLOCK_MONOTONIC goes on anyway."""
    with monkeypatch.context() as patch:
        patch.delattr(time, "CLOCK_BOOTTIME")
        importlib.reload(sut)
        assert abs(sut.boottime_ns() - time.monotonic_ns()) < 60e9
    importlib.reload(sut)


@pytest.mark.parametrize("owner", [Camera, Lane, Lanes, Leases, Worker])
def test_ages_and_leases_are_by_it(owner):
    """Unless another clock is given, it is the one that goes on."""
    default = inspect.signature(owner).parameters["clock"].default
    assert (default.__module__, default.__name__[:8]) == ("services.kernel.clock", "boottime")


async def test_a_holder_that_slept_knows_that_its_lease_has_expired(suspend):
    """A minute of sleep is a minute: another replica has the lease by now, and both would do the same."""

    async def entry(*_):
        return 0, None

    async def put(*_, **__):
        return 1

    bus = SimpleNamespace(streams=SimpleNamespace(entry=entry, put=put))
    leases = Leases(bus, CAMERA_LEASES, REPLICAS, "one")
    assert await leases.take(KEY)
    assert leases.is_valid(KEY)
    suspend(60)
    assert not leases.is_valid(KEY)


class Line:
    """A connection that keeps what is published."""

    connected = True

    def __init__(self):
        self.published = []

    async def publish(self, row, message):
        self.published.append((row, message))


async def test_an_ingest_that_slept_seals_with_a_new_key(suspend):
    """Before any timer fires: the first look makes a new key, and the old one is zeros."""
    giver = KeyGiver(Line(), "cannes", IDENTITY, TRUSTED)
    giver.begin()
    old = giver.current()
    assert giver.current() is old
    suspend(2)
    assert giver.current() is not old
    assert (bytes(old.secret), old.cipher) == (bytes(32), None)
    giver.end()


async def test_an_announcement_from_before_the_sleep_gets_no_key(suspend):
    """Its private key is gone by now; the worker says soon which one is next."""
    giver = KeyGiver(Line(), "cannes", IDENTITY, TRUSTED)
    public = X25519PrivateKey.generate().public_key().public_bytes_raw()
    said = announce(IDENTITY, "cannes", "box-1", public, time.time_ns())
    await giver._announced(said, SimpleNamespace(received=boottime_ns()))
    suspend(60)
    giver.begin()
    assert giver._workers == {}
    giver.end()


async def test_a_worker_that_slept_has_no_key(suspend):
    """What the next look finds is dead, and overwritten; private keys are gone, too."""
    line = Line()
    receiver = KeyReceiver(line, "box-1", ["cannes"], IDENTITY, TRUSTED)
    running = asyncio.create_task(receiver.run())
    try:
        await until(lambda: [row for row, _ in line.published] == [WORKERS])
        secret, private = bytearray(range(32)), receiver._private[0]
        receiver.keys.add("cannes", b"key id 8", secret, boottime_ns())
        suspend(60)
        receiver._expire(boottime_ns())
        assert receiver.keys.get("cannes", b"key id 8", boottime_ns()) is None
        assert (bytes(secret), private in receiver._private) == (bytes(32), False)
    finally:
        running.cancel()
        await asyncio.wait([running])


def test_a_camera_that_slept_is_not_stuck(suspend):
    """Its thread shows no sign of life while the host sleeps: that is no reason to end ingest. Its pictures age."""
    stuck = []
    settings = CameraSettings(id="gate", url="rtsp://127.0.0.1/")
    camera = Camera("cannes", settings, lease=1, phase_ns=0, on_state=lambda _: None, on_stuck=stuck.append)
    camera._play.busy_since = camera._steady()
    before = camera._clock()
    suspend(3_600)
    camera._watchdog._look_at_thread()
    assert stuck == []
    assert camera._clock() - before >= 3_600 * 10**9
