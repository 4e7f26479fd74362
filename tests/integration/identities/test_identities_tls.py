"""`server.tls` of nats.yaml: a site's server that nobody reaches without a certificate and a seed; and a bad file."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from authority import Authority, Volume
from command_line import assert_mistakes, moretta
from nats_process import NatsProcess
from patience import patient, until

from operate.identities import IdentityFolder
from operate.orders import OperatorFile
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed
from services.kernel.settings import Secret, load

LIMIT_S = 30


def applied(folder: Path, wish: dict[str, Any], *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command with a file beside the folder."""
    file = folder.with_name("nats.yaml")
    file.write_text(yaml.safe_dump(wish))
    return moretta("nats", "apply", folder, "-f", file, *words)


@pytest.fixture(name="authority", scope="module")
def _authority() -> Authority:
    return Authority()


async def test_certificate_and_seed_are_both_asked_for(tmp_path: Path, authority: Authority):
    """The files that the command writes name the authority, and a service's own certificate is all they lack."""
    theirs = Volume(tmp_path / "theirs", ca=authority.pem, pem=authority.issue("127.0.0.1"))
    ours = Volume(tmp_path / "ours", ca=authority.pem, pem=authority.issue("operator"))
    out = tmp_path / "identities"
    tls = {"cert_file": str(theirs.pem), "key_file": str(theirs.pem), "ca_file": str(theirs.ca)}
    asked = {"listen": "127.0.0.1:0", "url": "tls://127.0.0.1:4222", "tls": tls}
    run = applied(out, {"server": asked | {"listen": "127.0.0.1:-1"}})
    assert run.returncode == 2  # a port that is none
    run = applied(out, {"server": asked})
    assert (run.returncode, run.stderr) == (0, "")
    assert "nats.client_cert_file" in run.stdout
    kept = IdentityFolder.open(out)
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
        assert await streams_of(out, ours, tls, server) == []
        for lacking in ({"client_cert_file": None}, {"seed": None, "password": Secret("x" * 20)}):
            said: list[str] = []
            trying = asyncio.create_task(Bus.connect(changed(whole, **lacking), "operator", on_error=said.append))
            await until(lambda said=said: said, "why", LIMIT_S)
            trying.cancel()
            await asyncio.gather(trying, return_exceptions=True)
            assert not trying.done() or trying.cancelled()
    finally:
        server.stop()


async def streams_of(folder: Path, ours: Volume, tls: dict[str, str], server: NatsProcess) -> list[str]:
    """What `moretta nats streams` complains of, with a file that names certificates alone: DIR has the address."""
    asked = {"listen": "127.0.0.1:0", "url": f"tls://127.0.0.1:{server.port}", "tls": tls}
    assert (await asyncio.to_thread(applied, folder, {"server": asked})).returncode == 0
    file = folder.with_name("certificates.yaml")
    file.write_text(yaml.safe_dump({"nats": {"ca_file": tls["ca_file"], "client_cert_file": str(ours.pem)}}))
    run = await asyncio.to_thread(moretta, "nats", "streams", folder, "-c", file)
    assert "WINDOWS" in run.stdout
    return run.stderr.splitlines()


def test_a_hub_s_readers_files_name_its_authority(tmp_path: Path, authority: Authority):
    """As a site's do."""
    theirs = Volume(tmp_path / "theirs", ca=authority.pem, pem=authority.issue("127.0.0.1"))
    tls = {"cert_file": str(theirs.pem), "key_file": str(theirs.pem), "ca_file": str(theirs.ca)}
    server = {"listen": "127.0.0.1:4222", "url": "tls://127.0.0.1:4222", "tls": tls}
    leaves = [{"sites": ["cannes"], "keys": [Seed.new().public]}]
    wish = {"server": server, "hub": {"listen": "127.0.0.1:7422", "leaves": leaves}, "readers": ["acme"]}
    run = applied(out := tmp_path / "hub", wish)
    assert (run.returncode, run.stderr) == (0, "")
    for user in ("subscriber", "subscriber-acme"):
        assert load(out / f"{user}.yaml", OperatorFile).nats.ca_file == str(theirs.ca)


def changed(settings: NatsSettings, **values: object) -> NatsSettings:
    return NatsSettings(**{name: getattr(settings, name) for name in settings.__struct_fields__} | values)


AWAY = {"cert_file": "/no/cert", "key_file": "/no/key", "ca_file": "/no/ca"}


@pytest.mark.parametrize(
    ("wish", "whys"),
    [
        (
            {"server": {"tls": AWAY}},
            [f"server.tls.{name}: {file} is no file here; name a PEM file" for name, file in AWAY.items()],
        ),
        ({"server": {"tls": {"cert_file": "x", "key_file": "x"}}}, ["server.tls.ca_file: is missing"]),
        (
            {"servers": {}, "server": {"listen": "here"}, "leaf": {"sites": []}, "readers": ["A", "b", "C"]},
            [
                "servers: unknown key; known here are server, websocket",
                "server.listen: must be HOST:PORT",
                "leaf.hubs: is missing",
                "leaf.sites: must be a list of at least 1",
                "readers[0]: must be 1-32",
                "readers[2]: must be 1-32",
            ],
        ),
    ],
)
@pytest.mark.parametrize("words", [[], ["--plan"]], ids=["apply", "plan"])
def test_all_mistakes_are_told_with_their_paths(
    tmp_path: Path, wish: dict[str, Any], whys: list[str], words: list[str]
):
    """Exit code 2, a line each without a traceback, and nothing is written."""
    run = applied(tmp_path / "out", wish, *words)
    assert_mistakes(run, *[f"{tmp_path}/nats.yaml: {why}" for why in whys])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_its_own_is_told(tmp_path: Path):
    """As a mistake is, by every command; nothing is written."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    assert_mistakes(moretta("nats", "apply", tmp_path / "mine"), f"{tmp_path}/mine: is not empty")
    for words in (["rotate", tmp_path, "all"], ["retire", tmp_path, "all"], ["show", tmp_path], ["streams", tmp_path]):
        assert_mistakes(moretta("nats", *words), f"{tmp_path}/site-state.json: cannot be read")
    assert_mistakes(moretta("nats", "show"), "moretta nats show: DIR: is missing")
    assert [one.name for one in tmp_path.rglob("*")] == ["mine", "file"]
