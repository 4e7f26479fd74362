"""Debian's Kannel with its fake SMS centre: bearerbox, smsbox and fakesmsc as processes on free ports of loopback."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
from pathlib import Path
from typing import Self
from urllib.parse import unquote_plus, unquote_to_bytes

import aiohttp
import pytest

FAKESMSC = Path("/usr/lib/kannel/test/fakesmsc")
PATH = "/usr/sbin:/usr/bin"
CONFIG = """
group = core
admin-port = {admin}
admin-password = bearer
status-password = status
smsbox-port = {box}
box-allow-ip = "127.0.0.1"

group = smsc
smsc = fake
smsc-id = centre
host = 127.0.0.1
port = {centre}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}

group = sendsms-user
username = moretta
password = kannel-word
max-messages = 10
concatenation = true
"""


def require() -> None:
    """Skip the test by name when Kannel is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if shutil.which("bearerbox", path=PATH) and shutil.which("smsbox", path=PATH) and FAKESMSC.exists():
        return
    why = "Kannel: install kannel kannel-extras"
    if os.environ.get("MORETTA_REQUIRE_ALL") == "1":
        pytest.fail(why)
    pytest.skip(why)


class Kannel:
    """`async with Kannel(folder) as kannel`: `kannel.url` takes SMS, `await kannel.parts()` is what the centre got."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(("admin", "box", "centre", "send"), _free_ports(4), strict=True))
        self._processes: list[asyncio.subprocess.Process] = []
        self._centre: asyncio.subprocess.Process | None = None
        self._log = folder / "fakesmsc.log"
        self.url = f"http://127.0.0.1:{self._ports['send']}/cgi-bin/sendsms"

    async def __aenter__(self) -> Self:
        require()
        config = self._folder / "kannel.conf"
        config.write_text(CONFIG.format(**self._ports))
        await self._start("bearerbox", str(config))
        await _listening(self._ports["box"])
        await self._start("smsbox", str(config))
        await _listening(self._ports["send"])
        await self.open_centre()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close_centre()
        for process in reversed(self._processes):
            await _end(process)

    async def open_centre(self) -> None:
        """Connect the SMS centre, and wait until Kannel knows it."""
        with self._log.open("ab") as log:
            self._centre = await asyncio.create_subprocess_exec(
                str(FAKESMSC), "-r", str(self._ports["centre"]), "-m", "0", "1 2 text none", stdout=log, stderr=log
            )
        await self._until("online")

    async def close_centre(self) -> None:
        """Take the SMS centre away: Kannel keeps what it is given."""
        if self._centre is not None:
            await _end(self._centre)
            self._centre = None

    def parts(self) -> list[str]:
        """Return the texts that the centre got, segment by segment."""
        found = re.findall(r"Got message \d+: <(\S+) (\S+) (?:udh \S+ )?(\S+) (.*)>", self._log.read_text())
        return [_text(kind, payload) for _, _, kind, payload in found]

    async def _start(self, name: str, config: str) -> None:
        quiet = asyncio.subprocess.DEVNULL
        binary = shutil.which(name, path=PATH)
        assert binary is not None
        self._processes.append(await asyncio.create_subprocess_exec(binary, config, stdout=quiet, stderr=quiet))

    async def _until(self, word: str) -> None:
        url = f"http://127.0.0.1:{self._ports['admin']}/status.txt?password=status"
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                async with session.get(url) as answer:
                    if re.search(rf"centre\S*\s.*\({word}", await answer.text()):
                        return
                await asyncio.sleep(0.1)


def _text(kind: str, payload: str) -> str:
    """The centre prints 16 bit text, and parts, in URL encoding."""
    if kind == "text":
        return payload
    raw = unquote_to_bytes(payload.replace("+", " "))
    return raw.decode("utf-16-be") if kind == "ucs-2" or raw[:1] < b"\5" else unquote_plus(payload)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        return [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
