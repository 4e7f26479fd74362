"""The service as a process of its own: killed at the worst moment, stopped, and started with a mistake."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import yaml
from patience import until
from program import Program
from set_clock import WallClock
from warm import SERVICES, warm

from proto.subjects import ALERTS

ANNA = "anna@example.org"


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
        nats = {"url": f"nats://127.0.0.1:{nats_port}"}
        settings = {"nats": nats, "sites": [{"id": "forville"}], "notify": notify, "log": {"format": "json"}}
        path.write_text(yaml.safe_dump(settings))
        return path

    return write


@pytest.fixture(name="run_service")
def _run_service() -> Iterator[Callable[[Path], Program]]:
    """`run_service(path)`: the running process; killed at the test's end at the latest."""
    with contextlib.ExitStack() as stack:

        def run(path: Path) -> Program:
            service = stack.enter_context(Program(warm(SERVICES).start("services.notify", ["-c", str(path)])))
            service.wait_for("running")
            return service

        yield run


def sent(service: Program) -> float:
    """How many mails the process knows to have handed over or failed to."""
    return service.metric("moretta_notify_smtp_seconds_count")


async def test_killed_between_acceptance_and_record_the_copy_has_the_same_message_id(
    bus, way, serve_mail, file, run_service, make_alert, recorded, eventually
):
    """The server has the mail, the record does not reach NATS, SIGKILL: Anna gets the same mail again.

    Once more and no more: with the record, a third start sends nothing.
    """
    box = await serve_mail()
    service = await asyncio.to_thread(run_service, file(box.port, way.port))

    async def swallow(server, recipient: str) -> None:
        way.swallow = True

    box.after_data = swallow
    await bus.store(ALERTS, make_alert())
    # It knows that the mail was accepted, and can't record it.
    await until(lambda: asyncio.to_thread(sent, service), "a mail that was accepted", every_s=0.1)
    assert await asyncio.to_thread(service.stop, signal.SIGKILL) == -signal.SIGKILL
    box.after_data = None
    path = file(box.port)
    assert await recorded() == []
    second = await asyncio.to_thread(run_service, path)
    # Nobody else takes the site before the killed process's lease has run out (3 s).
    await eventually(recorded, lambda found: found == [("anna", "firing", 1, "sent", "accepted")], 60)
    first, copy = box.to(ANNA)
    assert first["Message-ID"] == copy["Message-ID"]
    assert first.as_bytes() == copy.as_bytes()
    assert await asyncio.to_thread(second.stop) == 0
    third = await asyncio.to_thread(run_service, path)
    await bus.store(ALERTS, make_alert(state="resolved"))
    await eventually(recorded, lambda found: len(found) == 2)
    assert len(box.to(ANNA)) == 3
    assert not any("@example.org" in line for line in [*service.words, *second.words, *third.words])


async def test_a_mistake_in_the_settings_is_a_line_and_exit_code_2(tmp_path: Path):
    """No traceback for a user's mistake, and the address that is wrong is not shown."""
    path = tmp_path / "moretta.yaml"
    path.write_text(
        yaml.safe_dump({"notify": {"smtp": {"sender": "a@b.cd"}, "receivers": [{"id": "x", "email": ["anna at b"]}]}})
    )
    with Program([sys.executable, "-m", "services.notify", "-c", path]) as service:
        assert await asyncio.to_thread(service.ended) == 2
    [line] = service.words
    assert line.startswith(f"{path}: notify.receivers[0].email[0]: is no plain e-mail address such as name@example.org")
    assert "anna" not in line


async def test_by_a_wrong_clock_nobody_is_told_and_nothing_is_given_up(
    bus, tmp_path, serve_mail, file, make_alert, recorded
):
    """A day ahead it would think an alert too old to tell. When its clock is right, Anna gets one mail."""
    box, clock = await serve_mail(), WallClock(tmp_path, off_s=86_400.0)
    command = [sys.executable, "-m", "services.notify", "-c", file(box.port)]
    with Program(command, environment=os.environ | clock.environment) as service:
        await asyncio.to_thread(service.wait_for, "running")
        await bus.store(ALERTS, make_alert())
        await until(lambda: asyncio.to_thread(lambda: "clock is" in service.get("/readyz")[1]), "it says why")
        await asyncio.sleep(5)
        assert (box.to(ANNA), await recorded()) == ([], [])
        clock.set(0.0)
        await until(lambda: len(box.to(ANNA)) == 1, service.last_words, 60)
        assert await asyncio.to_thread(service.stop) == 0
