"""`moretta tryout`: what the chart's try-out needs beside Moretta, in one process (k8s/tryout-values.yaml)."""

import asyncio
import contextlib
import itertools
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from operate import output
from services.kernel.settings import SettingsError
from testbed.servers.mail import Mail, MailServer
from testbed.servers.server import Handle, TcpServer
from testbed.simulation.crowd_plan import Plan
from testbed.tryout.cameras import drawn, length, planned
from testbed.tryout.door import Backend, Door

COMMAND = "moretta tryout"
_DOOR = "127.0.0.1"
"""Where the door listens: within the pod alone, which is where `kubectl port-forward` comes in."""


@dataclass(frozen=True)
class Ports:
    """Where it listens: two cameras, a mail server, and the door."""

    rtsp: int
    mjpeg: int
    mail: int
    door: int


def place(option: str, text: str) -> Backend:
    """Return the place that HOST:PORT names; SettingsError if the text has another form."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise SettingsError(COMMAND, [(option, f"{text!r} is no HOST:PORT, such as moretta-page:8088")])
    return Backend(host.strip("[]"), int(port))


async def serve(host: str, ports: Ports, door: Door) -> None:
    """Draw the films, then be two cameras, a mail server and a door until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    plans = planned()
    gate, hall = await _drawn(*plans)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moretta-tryout-")))
        try:
            rtsp = await stack.enter_async_context(TcpServer(gate, host, ports.rtsp))
            mjpeg = await stack.enter_async_context(TcpServer(hall, host, ports.mjpeg))
            mail = await stack.enter_async_context(MailServer(folder, _print_mail, host, ports.mail))
            page = await stack.enter_async_context(TcpServer(door.connected, _DOOR, ports.door))
        except OSError as error:
            raise SettingsError(COMMAND, [("", f"cannot listen: {error.strerror or error}")]) from None
        print(f"two cameras, {plans[0].scenario.length_s:g} s again and again: rtsp://{host}:{rtsp.port}/gate")
        print(f"  and http://{host}:{mjpeg.port}/hall.mjpeg; mails to port {mail.port} are printed here")
        print(f"the page: http://localhost:{page.port}", flush=True)
        await ended.wait()


async def _drawn(gate: Plan, hall: Plan) -> tuple[Handle, Handle]:
    done = itertools.count(1)
    with (
        tempfile.TemporaryDirectory(prefix="moretta-tryout-") as folder,
        output.progress("drawing", length(gate, hall)) as progress,
    ):
        return await asyncio.to_thread(drawn, Path(folder), gate, hall, lambda: progress(next(done)))


def _print_mail(mail: Mail) -> None:
    """Print a mail's subject and text: it is delivered to nobody."""
    mail.file.unlink()
    print(mail.shown(), flush=True)
