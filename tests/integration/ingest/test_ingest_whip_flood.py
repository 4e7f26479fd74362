"""A peer that attacks by ICE: what of the camera beside it, with the real ingest and inference as processes."""

import asyncio
import re
import ssl
import sys
import time
from pathlib import Path

import aiohttp
import clips
import pytest
import stun_flood
import whip
from patience import patient, until
from site_process import Site
from whip import TOKEN, Publisher

from proto.subjects import CAMERAS, SIGHTINGS

SUPPORT = Path(stun_flood.__file__).parent
SECOND = 1_000_000_000
PORTS = 20_000
LEAST = 0.9
"""4.5 of 5 pictures a second."""


@pytest.fixture(name="site")
async def _site(tmp_path):
    site = Site(tmp_path)
    clip = clips.make_clip(tmp_path / "film.mp4", pictures=100)
    gate = {"id": "gate", "url": str(clip), "loop": True, "fps": 5.0, "long_side": 160}
    phone = {"id": "phone", "url": "whip://", "token": TOKEN, "fps": 5.0, "long_side": 160}
    web = {"host": "127.0.0.1", "port": 0}
    site.write(
        {
            "sites": [{"id": "cannes", "profile": "lab", "window_s": 60, "cameras": [gate, phone]}],
            "log": {"format": "json"},
            "ingest": {"report_s": 0.5, "web": web},
        }
    )
    site.server.start()
    try:
        yield site
    finally:
        site.close()


async def live(bus, site, camera):
    """Wait until a camera is live and analysed."""

    async def is_live():
        last = await bus.last(CAMERAS, site="cannes", camera=camera)
        return last is not None and last.message.state == "live" and last.message.reason is None

    await until(is_live, lambda: [line for one in site.services for line in one.words[-8:]], 60, every_s=0.2)


async def rates(bus, spans):
    """Return the pictures a second of each camera that were analysed in each span of time (ns, UTC)."""
    found = [s.message for s in await bus.history(SIGHTINGS, site="cannes")]
    return {
        camera: [
            sum(m.camera == camera and begin <= m.at < end for m in found) * SECOND / (end - begin)
            for begin, end in spans
        ]
        for camera in ("gate", "phone")
    }


def told(sdp, key):
    return re.search(rf"a={key}:(\S+)", sdp)[1]


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(240)
async def test_the_camera_beside_an_attacker_goes_on(site):
    """20,000 valid requests, each from a port of its own, by who holds one phone's token: nobody loses a picture.

    Asserted as shares of what the same cameras had before in the same run, the attacker's own phone included.
    """
    ingest = site.start("ingest", script=SUPPORT / "loopback_ingest.py")
    site.start("inference")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with site.bus("aggregate") as bus, site.bus("operator") as reader, aiohttp.ClientSession() as http:
        await until(lambda: ingest.said("camera page"), ingest.last_words, 60)
        url = ingest.said("camera page")[-1]["url"] + "whip/cannes/phone"
        with whip.loopback_only():
            publisher = Publisher()
            offer = await publisher.offer()
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {TOKEN}"}
        async with http.post(url, data=offer, headers=headers, ssl=context) as response:
            answer = await response.text()
            assert response.status == 201, answer
        await publisher.accept(answer)
        for camera in ("gate", "phone"):
            await live(reader, site, camera)
        begin = time.time_ns()
        await asyncio.sleep(patient(10))
        attack = time.time_ns()
        where = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", answer)
        names = f"{told(answer, 'ice-ufrag')}:{told(offer, 'ice-ufrag')}"
        flood = await asyncio.create_subprocess_exec(
            sys.executable, SUPPORT / "stun_flood.py", *where.groups(), names, told(answer, "ice-pwd"), str(PORTS),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        sent, _ = await asyncio.wait_for(flood.communicate(), patient(90))
        assert int(sent) > 0.99 * PORTS
        await asyncio.sleep(max(0.0, patient(10) - (time.time_ns() - attack) / SECOND))
        end = time.time_ns()
        await publisher.close()
        found = await rates(bus, [(begin, attack), (attack, end)])
    shares = {camera: during / before for camera, (before, during) in found.items()}
    print(f"pictures a second before and during the attack: {found}; shares: {shares}")
    assert min(shares.values()) >= LEAST, found
    assert ingest.metric("moretta_whip_peers") <= 1
