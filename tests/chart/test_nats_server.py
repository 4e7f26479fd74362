"""The rendered configuration, run by the real nats-server: who may what, probes, keys renewed in place, browsers."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import chart_values as values
import pytest
import secrecy
from authority import Volume
from chart import KEYS, ROOT, merged, seed
from identity_matrix import MIRRORS, SEEDS, against_the_table, case, denied_of, make_streams, with_admin
from patience import until
from rendered_nats import RenderedNats, conf

from services.bus.nkey import Seed

PROBES = ("/healthz", "/healthz?js-server-only=true", "/healthz?js-enabled-only=true")
PAGE = "https://numbers.example.org"


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderedNats]:
    """One server with everybody's key, and one more user who sees what became of the streams."""
    keys = {user: [found.public] for user, found in SEEDS.items()}
    text = with_admin(
        conf({"keys": keys, "readers": [{"name": "acme", "streams": [*MIRRORS]}]}).replace(
            "$POD_NAME", '"moretta-nats-0"'
        )
    )
    server = RenderedNats(tmp_path_factory.mktemp("rendered"), text)
    server.start()
    yield server
    server.stop()


async def test_everybody_may_what_the_table_says_and_nothing_else(locked: RenderedNats):
    """As with the configuration of `moretta nats apply`: every identity, every subject, all of JetStream's API."""
    await make_streams(locked)
    assert not await against_the_table(locked), "True: denied against the table; False: allowed against it"


def test_a_server_that_is_ready_answers_its_probes(locked: RenderedNats):
    """All three of them, at the port of the pod's."""
    assert [path for path in PROBES if not locked.healthy(path)] == []


def hello(info: bytes, who: Seed | None) -> bytes:
    """What a client answers to the server's first line; nats-py would try for long, and leave its socket open."""
    told = json.loads(info.split(b"\r\n")[0].removeprefix(b"INFO "))
    shown = {"nkey": who.public, "sig": who.sign(told["nonce"]).decode()} if who else {}
    words = {**shown, "verbose": False}
    return b"CONNECT " + json.dumps(words).encode() + b"\r\nPING\r\n"


async def admitted(server: RenderedNats, who: Seed | None) -> bool:
    """Whether somebody with this seed is let in, or without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(hello(await reader.readline(), who))
        return await asyncio.wait_for(reader.readline(), 20) == b"PONG\r\n"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[tuple[RenderedNats, Volume]]:
    """A server whose configuration lies as a ConfigMap is mounted, and the chart's own script that watches it."""
    server = RenderedNats(tmp_path, conf())
    volume = Volume(tmp_path / "mounted", **{"nats.conf": b"{}"})
    server.start()
    volume.put(**{"nats.conf": server.written(-1).encode()})
    shutil.copy(server.folder / "nats.conf", tmp_path / "first")
    (server.folder / "nats.conf").unlink()
    (server.folder / "nats.conf").symlink_to(tmp_path / "mounted/..data/nats.conf")
    script = ROOT / "k8s/moretta/files/nats-reload.sh"
    monitor, data = str(server.found["monitor"]), str(tmp_path)
    command = ["sh", str(script), str(tmp_path / "nats.pid"), "0.2", monitor, data, str(tmp_path / "mounted")]
    with subprocess.Popen(command, start_new_session=True) as watching:
        yield server, volume
        os.killpg(watching.pid, signal.SIGKILL)
    server.stop()


async def test_keys_are_renewed_while_the_server_runs(place):
    """By values: both keys, then the new one. Who is connected stays until its key is gone; nothing is started anew."""
    server, volume = place
    old, new = seed("notify"), seed("notify", "new")
    for one in (old, new):
        secrecy.keep(one.reveal())

    def given(*keys: Seed) -> None:
        server.text = conf({"keys": KEYS | {"notify": [key.public for key in keys]}})
        volume.put(**{"nats.conf": server.written(-1).encode()})

    def reloads() -> int:
        return sum("Reloaded server configuration" in line for line in server.output)

    await until(lambda: reloads() == 2, "the script's first look, twice")
    assert (await admitted(server, old), await admitted(server, new)) == (True, False)
    given(new, old)
    await until(lambda: reloads() == 4, "both keys")
    assert (await admitted(server, old), await admitted(server, new)) == (True, True)
    given(new)
    await until(lambda: reloads() == 6, "the new key")
    assert (await admitted(server, old), await admitted(server, new)) == (False, True)
    assert sum("Server is ready" in line for line in server.output) == 1


async def test_a_configuration_of_no_use_changes_nothing(place):
    """The server says why, and goes on with what it has; so it is with what only a start takes into force."""
    server, volume = place
    good = server.written(-1)
    for bad, why in (("{", "Failed to reload"), (good.replace("8388608", '"x"'), "Failed to reload")):
        before = len(server.output)
        volume.put(**{"nats.conf": bad.encode()})
        await until(lambda n=before, w=why: any(w in line for line in server.output[n:]), why)
        assert await admitted(server, seed("notify"))


async def browse(server: RenderedNats, origin: str, user: str | None, path: str = "") -> str:
    """What a page of this origin hears that comes with a user's seed or without one; of a refused page the status."""
    url = f"http://127.0.0.1:{server.found['websocket']}{path}"
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(url, origin=origin) as socket:
                await socket.send_bytes(hello(await socket.receive_bytes(timeout=20), user and seed(user)))
                return (await socket.receive_bytes(timeout=20)).decode().strip()
        except aiohttp.WSServerHandshakeError as error:
            return str(error.status)


async def test_a_browser_comes_as_a_reader_from_the_named_page_alone(tmp_path: Path):
    """Another page is refused, and so is another identity's seed by that door."""
    keys = KEYS | {"subscriber-acme": [seed("subscriber-acme").public]}
    given = {"keys": keys, "readers": ["acme"], "websocket": {"enabled": True, "origins": [PAGE]}}
    server = RenderedNats(tmp_path, conf(given))
    server.start()
    try:
        heard = {user: await browse(server, PAGE, user) for user in keys}
        readers = {"subscriber", "subscriber-acme", "page"}
        assert {user for user, said in heard.items() if said == "PONG"} == readers
        assert {said for user, said in heard.items() if user not in readers} == {"-ERR 'Authorization Violation'"}
        assert await browse(server, "https://other.example.org", "subscriber") == "403"
        assert await browse(server, PAGE, None) == "-ERR 'Authorization Violation'"
        assert all([await admitted(server, seed(user)) for user in keys]), "by the usual door they all come"
    finally:
        server.stop()


@pytest.mark.filterwarnings("ignore:parameter .timeout. of type .float.:DeprecationWarning")
async def test_an_open_page_is_the_page_without_a_key(tmp_path: Path):
    """By the websocket, at any path, it may what the table says of the page; by no other door somebody comes."""
    keys = {"nats": {"keys": {user: [found.public] for user, found in SEEDS.items()}}}
    text = with_admin(conf(**merged(values.PAGE, keys)).replace("$POD_NAME", '"moretta-nats-0"'))
    server = RenderedNats(tmp_path, text)
    server.start()
    try:
        await make_streams(server)
        assert await browse(server, PAGE, None, "/nats") == "PONG"
        assert await browse(server, "https://other.example.org", None) == "403"
        one = case("page", "MORETTA")
        denied = await denied_of(server, one, f"ws://127.0.0.1:{server.found['websocket']}/nats")
        tried = {(kind, subject.lower(), queue) for kind, subject, queue in one.tried}
        assert tried - denied == one.allowed != set()
        assert not await admitted(server, None), "by the usual door nobody comes without"
    finally:
        server.stop()


async def test_a_server_that_is_told_to_leave_ends_in_order(tmp_path: Path):
    """`--signal ldm=PID_FILE`, the hook before a pod of three stops; then TERM, which must not cut it short."""
    server = RenderedNats(tmp_path, conf())
    server.start()
    server.signal(signal.SIGUSR2)
    async with asyncio.timeout(20):
        while not any("Entering lame duck mode" in line for line in server.output):
            await asyncio.sleep(0.05)
    server.stop()
