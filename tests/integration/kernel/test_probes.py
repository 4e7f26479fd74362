"""/livez, /readyz and /metrics over real HTTP."""

import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from free_ports import free_port
from patience import until
from program import Program
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from warm import SERVICES, warm

from services.kernel import probes as module
from services.kernel.probes import Probes, ProbesSettings


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock for the loop's heartbeat, which beats only once."""
    monkeypatch.setattr(module, "_BEAT_S", 3600)
    return Clock()


@pytest.fixture(name="probes")
async def _probes(clock: Clock) -> AsyncIterator[Probes]:
    registry = CollectorRegistry()
    Counter("moretta_test", "A counter", registry=registry).inc(3)
    probes = Probes(registry, clock)
    await probes.start(ProbesSettings())
    yield probes
    await probes.stop()


async def get(probes: Probes, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{probes.port}{path}") as answer:
        return answer.status, await answer.text()


async def test_alive(probes: Probes):
    """A loop that turns is alive, ready or not."""
    assert await get(probes, "/livez") == (200, "ok\n")


async def test_a_stuck_loop_is_not_alive(probes: Probes, clock: Clock):
    """More than 10 s without a beat: 503 with how long; a late beat of less is forgiven."""
    clock.now += 10
    assert (await get(probes, "/livez"))[0] == 200
    clock.now += 1
    assert await get(probes, "/livez") == (503, "the event loop is 11 s behind\n")


async def test_the_loop_beats(monkeypatch: pytest.MonkeyPatch):
    """The heartbeat itself keeps the loop alive: a clock that went on is noticed and forgiven."""
    monkeypatch.setattr(module, "_BEAT_S", 0.05)
    clock = Clock()
    probes = Probes(CollectorRegistry(), clock)
    await probes.start(ProbesSettings())
    clock.now += 1000
    await until(lambda: probes._beat == clock.now)
    assert (await get(probes, "/livez"))[0] == 200
    await probes.stop()


async def test_ready_when_every_condition_holds(probes: Probes):
    """Not ready before anything is known; 503 with each reason, in order; ready when all hold."""
    assert await get(probes, "/readyz") == (503, "starting\n")
    probes.ready("nats", ok=False, why="not connected")
    probes.ready("model", ok=False)
    probes.ready("running", ok=True)
    assert await get(probes, "/readyz") == (503, "model: not yet\nnats: not connected\n")
    probes.ready("nats", ok=True, why="ignored")
    assert await get(probes, "/readyz") == (503, "model: not yet\n")
    probes.ready("model", ok=True)
    assert await get(probes, "/readyz") == (200, "ok\n")
    assert probes.is_ready()
    probes.ready("nats", ok=False, why="gone")
    assert await get(probes, "/readyz") == (503, "nats: gone\n")


async def test_metrics(probes: Probes):
    """The exposition format, of the registry given."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{probes.port}/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "moretta_test_total 3.0" in await answer.text()


@pytest.mark.parametrize("path", ["/", "/livez/x", "/metricsx"])
async def test_nothing_else_is_served(probes: Probes, path: str):
    """No other page."""
    assert (await get(probes, path))[0] == 404


async def test_nothing_can_be_written(probes: Probes):
    """Probes are read only."""
    async with aiohttp.ClientSession() as session, session.post(f"http://127.0.0.1:{probes.port}/livez") as answer:
        assert answer.status == 405


async def test_a_taken_port():
    """OSError, and stopping afterwards is clean."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        probes = Probes(CollectorRegistry())
        with pytest.raises(OSError, match=r"Address already in use$"):
            await probes.start(ProbesSettings(port=taken.getsockname()[1]))
        await probes.stop()


async def test_a_port_of_ones_own():
    """A port that is set is the port."""
    port = free_port()
    probes = Probes(CollectorRegistry())
    await probes.start(ProbesSettings(port=port))
    assert probes.port == port
    await probes.stop()


async def test_after_the_stop_nothing_listens(probes: Probes):
    """The port is free again, and the heartbeat has ended."""
    await probes.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(probes, "/livez")


async def test_stop_without_a_start():
    """Nothing to stop is nothing wrong."""
    await Probes(CollectorRegistry()).stop()


async def test_a_condition_goes_with_what_it_was_about(probes):
    """A site that is not served here any more keeps nobody from being ready, and has no series."""
    probes.ready("nats", ok=True)
    probes.ready("site gone", ok=False, why="reading")
    assert (await get(probes, "/readyz"))[0] == 503
    probes.forget("site gone")
    probes.forget("site never")
    assert (await get(probes, "/readyz"))[0] == 200
    assert REGISTRY.get_sample_value("moretta_ready", {"condition": "site gone"}) is None


def test_from_the_first_second_readiness_says_that_nats_is_away(tmp_path: Path):
    """Without its URL, which may hold a password: a probe is anybody's to read, and a pod may wait for hours."""
    port = free_port()
    file = tmp_path / "settings.yaml"
    away = {"nats": {"url": "nats://ana:hunter2@127.0.0.1:1"}, "probes": {"host": "127.0.0.1", "port": port}}
    file.write_text(yaml.safe_dump(away | {"sites": [{"id": "market"}]}))
    program = Program(warm(SERVICES).start("services.aggregate", ["-c", str(file)]))
    try:
        url = f"http://127.0.0.1:{port}/readyz"
        assert program.until(lambda: _read(url), "an answer") == (
            "nats: not connected to NATS yet; the log says why\nrunning: starting\n"
        )
    finally:
        program.stop()


def _read(url: str) -> str:
    """What a probe that isn't ready says; empty until it answers."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""
