"""The service as a process of its own: killed at the worst moment, stopped, and started with a mistake."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from proto.subjects import ALERTS

ANNA = "anna@example.org"


class Service:
    """`python -m services.notify -c FILE`, its log lines, and its metrics."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process, self.lines, self.probes = process, [], ""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode())
            if '"probes":' in self.lines[-1]:
                self.probes = self.lines[-1].partition('"probes": "')[2].partition('"')[0]

    async def sent(self) -> float:
        """How many mails the process knows to have handed over or failed to."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.probes}/metrics") as answer:
            text = await answer.text()
        [line] = [line for line in text.splitlines() if line.startswith("moretta_notify_smtp_seconds_count")]
        return float(line.split()[1])

    async def end(self, number: int) -> int:
        """Send the signal unless it has ended; returns the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(20):
            code = await self.process.wait()
            await self._reader
        return code


class Way:
    """A TCP way to the NATS server that can swallow everything that the service says from now on."""

    def __init__(self) -> None:
        self.swallow, self.port = False, 0
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, target: int) -> None:
        """Listen on a free port for what is meant for the target."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", target)
            self._writers += [writer, back]
            for source, sink, ours in ((reader, back, True), (there, writer, False)):
                self._tasks.add(asyncio.create_task(self._pass_on(source, sink, ours)))

        self._server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, ours: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                if not (ours and self.swallow):
                    sink.write(data)
        sink.close()

    async def close(self) -> None:
        """Cut every connection."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()


@pytest.fixture(name="way")
async def _way(nats_server) -> AsyncIterator[Way]:
    way = Way()
    await way.open(nats_server.port)
    yield way
    await way.close()


@pytest.fixture(name="file")
def _file(tmp_path: Path, nats_server):
    """`file(port)`: a settings file on disk that tells Anna by the server on that port."""

    def write(port: int, nats_port: int = nats_server.port) -> Path:
        smtp = {"port": port, "security": "none", "sender": "alerts@example.org"}
        receivers = [{"id": "field-staff", "email": [ANNA]}]
        routes = [{"receiver": "field-staff", "group_wait_s": 0, "group_interval_s": 1}]
        notify = {"smtp": smtp, "receivers": receivers, "routes": routes, "salt": "0123456789abcdef"}
        path = tmp_path / "moretta.yaml"
        path.write_text(
            yaml.safe_dump(
                {"nats": {"url": f"nats://127.0.0.1:{nats_port}"}, "sites": [{"id": "forville"}], "notify": notify}
            )
        )
        return path

    return write


@pytest.fixture(name="run_service")
async def _run_service() -> AsyncIterator:
    """`await run_service(path)`: the running process; killed at the test's end at the latest."""
    services: list[Service] = []

    async def run(path: Path) -> Service:
        command = [sys.executable, "-m", "services.notify", "-c", str(path)]
        service = Service(await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE))
        services.append(service)
        async with asyncio.timeout(30):
            while not service.probes:
                assert service.process.returncode is None, service.lines
                await asyncio.sleep(0.05)
        return service

    yield run
    for service in services:
        await service.end(signal.SIGKILL)


async def test_killed_between_acceptance_and_record_the_copy_has_the_same_message_id(
    bus, way, serve_mail, file, run_service, make_alert, recorded, eventually
):
    """The server has the mail, the record does not reach NATS, SIGKILL: Anna gets the same mail again.

    Once more and no more: with the record, a third start sends nothing.
    """
    box = await serve_mail()
    service = await run_service(file(box.port, way.port))

    async def swallow(server, recipient: str) -> None:
        way.swallow = True

    box.after_data = swallow
    await bus.store(ALERTS, make_alert())
    await eventually(service.sent, lambda count: count == 1)  # it knows that the mail was accepted, and can't record it
    assert await service.end(signal.SIGKILL) == -signal.SIGKILL
    box.after_data = None
    path = file(box.port)
    assert await recorded() == []
    second = await run_service(path)
    # Nobody else takes the site before the killed process's lease has run out (3 s).
    await eventually(recorded, lambda found: found == [("anna", "firing", 1, "sent", "accepted")], 60)
    first, copy = box.to(ANNA)
    assert first["Message-ID"] == copy["Message-ID"]
    assert first.as_bytes() == copy.as_bytes()
    assert await second.end(signal.SIGTERM) == 0
    third = await run_service(path)
    await bus.store(ALERTS, make_alert(state="resolved"))
    await eventually(recorded, lambda found: len(found) == 2)
    assert len(box.to(ANNA)) == 3
    assert not any("@example.org" in line for line in [*service.lines, *second.lines, *third.lines])


async def test_a_mistake_in_the_settings_is_a_line_and_exit_code_2(tmp_path: Path):
    """No traceback for a user's mistake, and the address that is wrong is not shown."""
    path = tmp_path / "moretta.yaml"
    path.write_text(
        yaml.safe_dump({"notify": {"smtp": {"sender": "a@b.cd"}, "receivers": [{"id": "x", "email": ["anna at b"]}]}})
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.notify", "-c", str(path), stderr=subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    [line] = errors.decode().splitlines()
    assert line.startswith(f"{path}: notify.receivers[0].email[0]: is no plain e-mail address such as name@example.org")
    assert "anna" not in line
