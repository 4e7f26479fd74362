"""`moretta nats-config --server-tls`: a site's server that nobody reaches without a certificate and a seed."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from authority import Authority, Volume
from command_line import moretta
from nats_process import NatsProcess
from patience import patient, until

from operate.identities import Kept
from operate.orders import OperatorFile
from services.bus import Bus, NatsSettings
from services.kernel.settings import Secret, load

LIMIT_S = 30


def nats_config(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return moretta("nats-config", "--out", folder, *arguments)


@pytest.fixture(name="authority", scope="module")
def _authority() -> Authority:
    return Authority()


async def test_certificate_and_seed_are_both_asked_for(tmp_path: Path, authority: Authority):
    """The files that the command writes name the authority, and a service's own certificate is all they lack."""
    theirs = Volume(tmp_path / "theirs", ca=authority.pem, pem=authority.issue("127.0.0.1"))
    ours = Volume(tmp_path / "ours", ca=authority.pem, pem=authority.issue("operator"))
    out = tmp_path / "identities"
    files = ("--server-tls", theirs.pem, theirs.pem, theirs.ca)
    run = nats_config(out, "--listen", "127.0.0.1:-1", "--url", "tls://127.0.0.1:4222", *files)
    assert run.returncode == 2  # a port that is none
    run = nats_config(out, "--listen", "127.0.0.1:0", "--url", "tls://127.0.0.1:4222", *files)
    assert (run.returncode, run.stderr) == (0, "")
    assert "nats.client_cert_file" in run.stdout
    kept = Kept.open(out)
    assert kept.server.tls
    assert f"MORETTA_NATS__CA_FILE={theirs.ca}\n" in (out / "aggregate.env").read_text()
    config = (out / "nats.conf").read_text().replace('"listen": "127.0.0.1:0"', '"listen": "127.0.0.1:-1"')
    server = NatsProcess(out, whole=lambda *_: config).start()
    try:
        given = load(out / "operator.yaml", OperatorFile).nats
        assert given.ca_file == str(theirs.ca)
        whole = changed(given, url=f"tls://127.0.0.1:{server.port}", client_cert_file=str(ours.pem))
        bus = await asyncio.wait_for(Bus.connect(whole, "operator"), patient(LIMIT_S))
        await bus.close()
        for lacking in ({"client_cert_file": None}, {"seed": None, "password": Secret("x" * 20)}):
            said: list[str] = []
            trying = asyncio.create_task(Bus.connect(changed(whole, **lacking), "operator", on_trouble=said.append))
            await until(lambda said=said: said, "why", LIMIT_S)
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)
            assert not trying.done() or trying.cancelled()
    finally:
        server.stop()


def changed(settings: NatsSettings, **values: object) -> NatsSettings:
    return NatsSettings(**{name: getattr(settings, name) for name in settings.__struct_fields__} | values)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--server-tls", "/no/cert", "/no/key", "/no/ca"), "--server-tls: /no/cert is no file here"),
        (("--hub", "127.0.0.1:7422", "--server-tls", "x", "x", "x"), "--server-tls: is a site's"),
    ],
)
def test_a_mistake_is_told_with_its_option(tmp_path: Path, arguments: tuple[str, ...], why: str):
    """Exit code 2, and nothing is written."""
    run = nats_config(tmp_path / "out", *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"moretta nats-config: {why}")
    assert not (tmp_path / "out").exists()
