"""bench.scale on a real nats-server with its identities and the services as processes, for a few seconds."""

import asyncio

import pytest
from patience import patient

from bench.scale_load import Load
from bench.scale_stack import stack
from bench.scale_system import Layout, measure, restart
from bench.system import Restarted


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_it_measures_sites_and_replicas():
    """Two sites by two replicas: every program takes time, sightings are stored, and windows are published in time."""
    found = await measure(Layout(Load(cameras=4, sites=2), replicas=2, seconds=13.0, warm_up_s=1.0))
    assert {name for name, spent in found.cpu_s.items() if spent > 0} == {
        "nats-server",
        "aggregate",
        "notify",
        "teller",
    }
    assert 0 < found.told_share < 1.5
    assert found.size["SIGHTINGS"] > 200
    assert found.lags
    assert min(found.closing) >= 0


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_restart_reads_the_open_window():
    """What was told at once is in the stream, was counted before, and is read again."""
    found = await restart(Load(cameras=3, at_once_s=20.0), 1_200.0)
    assert found.messages >= 3 * 5 * 20
    assert found.passages > 0
    assert found.cpu_s > 0
    assert found.seconds > 0


async def test_a_program_that_ends_is_told():
    """Its times would be those of nobody."""
    async with stack(Layout(Load(cameras=1)).settings) as running:
        await running.start("notify", "notify")
        await running.until_ready("notify")
        process = running.programs["notify"]
        process.terminate()
        await asyncio.wait_for(process.wait(), patient(60))
        with pytest.raises(Restarted, match="notify ended while"):
            running.cpu_s()
