"""A service as its own process, with certificates of both sides to NATS, which are renewed while it runs."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from authority import ENDS, Authority, Volume
from patience import until
from program import Program
from site_process import Site

LIMIT_S = 60
LATER = ENDS + timedelta(days=90)
EXPIRY = "moretta_certificate_expiry_timestamp_seconds"


@pytest.fixture(name="authority", scope="module")
def _authority() -> Authority:
    return Authority()


@pytest.fixture(name="ours")
def _ours(tmp_path: Path, authority: Authority) -> Volume:
    return Volume(tmp_path / "ours", ca=authority.pem, pem=authority.issue("aggregate"))


@pytest.fixture(name="theirs")
def _theirs(tmp_path: Path, authority: Authority) -> Volume:
    return Volume(tmp_path / "theirs", ca=authority.pem, pem=authority.issue("127.0.0.1"))


@pytest.fixture(name="site")
async def _site(tmp_path: Path, theirs: Volume):
    def secured(config: str) -> str:
        block = {"cert_file": theirs.pem, "key_file": theirs.pem, "ca_file": theirs.ca, "verify": True}
        return json.dumps(json.loads(config) | {"tls": block})

    site = Site(tmp_path, extend=secured)
    site.write({"sites": [{"id": "s", "profile": "lab", "window_s": 60, "cameras": []}]})
    site.server.start()
    yield site
    site.close()


def start(site: Site, ours: Volume) -> Program:
    files = {"MORETTA_NATS__CA_FILE": ours.ca, "MORETTA_NATS__CLIENT_CERT_FILE": ours.pem}
    return site.start("aggregate", **files)


async def settled(condition) -> None:
    """Wait for it beside the loop: probes are asked by blocking calls."""
    await until(lambda: asyncio.to_thread(condition), "its probes", LIMIT_S, every_s=0.05)


async def test_it_goes_on_with_new_certificates(site: Site, ours: Volume, theirs: Volume, authority: Authority):
    """The metric follows the file at once, a broken file changes nothing but a metric, and when the server is gone and
    comes back with another certificate the next connection shows and sees the new ones."""
    service = start(site, ours)
    await settled(lambda: service.running)
    assert [service.metric(EXPIRY, use="nats", side=side) for side in ("own", "peer")] == [ENDS.timestamp()] * 2
    ours.put(ca=authority.pem, pem=b"a half-written")
    await settled(lambda: service.metric("moretta_certificate_renewal_failed", use="nats") == 1)
    await settled(lambda: service.get("/readyz") == (200, "ok\n"))
    ours.put(ca=authority.pem, pem=authority.issue("aggregate", ends=LATER))
    theirs.put(ca=authority.pem, pem=authority.issue("127.0.0.1", ends=LATER))
    await settled(lambda: service.metric(EXPIRY, use="nats", side="own") == LATER.timestamp())
    assert service.metric("moretta_certificate_renewal_failed", use="nats") == 0
    assert service.metric(EXPIRY, use="nats", side="peer") == ENDS.timestamp()
    site.server.kill()
    await settled(lambda: service.get("/readyz")[0] == 503)
    site.server.start()
    await settled(lambda: service.metric(EXPIRY, use="nats", side="peer") == LATER.timestamp())
    await settled(lambda: service.get("/readyz")[0] == 200)
    assert service.stop() == 0
    assert len(service.said("changed certificate files not usable")) == 1
    assert len(service.said("new certificate files in force")) == 1


async def test_it_does_not_start_with_files_that_cannot_be_used(site: Site, ours: Volume, authority: Authority):
    """Exit code 2: starting again is no use, and the last line says what to mend."""
    ours.put(ca=authority.pem, pem=authority.pem)
    service = start(site, ours)
    assert service.ended(LIMIT_S) == 2
    [told] = service.said("cannot start")
    assert told["error"] == f"nats.client_cert_file: cannot use {ours.pem}: it holds no private key in PEM"
