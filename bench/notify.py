"""The delay from storing an alert to the acceptance of its mail: `python -m bench.notify [--json]`.

The service runs as a separate process, with a real nats-server, and a mail server in this process. Alerts come in
bursts; each has its own mail, sent at once (`group_wait_s` 0). The time of acceptance is that of the mail's record in
DELIVERIES.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any, cast

import psutil
import typer
import uvloop
import yaml

from bench.bus_cost import server_url, start_program
from bench.verdicts import Row, at_most
from operate.box.programs import MALLOC, SERVER, nats_server
from proto.public import AlertV1, DeliveryV1
from proto.subjects import ALERTS, DELIVERIES
from services.bus import Bus, NatsSettings
from services.kernel.log import LogSettings, configure
from testbed.servers.mail import MailServer

BURST = 50
"""Alerts in a burst, all stored at once; a burst comes every second."""
_LIMIT_S = 60.0
_NAME = "alert stored to mail accepted, bursts of 50 alerts/s, p99"


class _Taker(MailServer):
    """A mail server that takes everything and keeps nothing."""

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        """Take one mail (aiosmtpd's hook)."""
        return "250 2.0.0 taken"


@dataclass(frozen=True)
class Told:
    """The delay of each alert, s, and notify's processor time for all of them, ms an alert."""

    seconds: list[float]
    cpu_ms: float


async def told(bursts: int) -> Told:
    """Store so many bursts of alerts and return their delays; TimeoutError if a mail is not accepted in time."""
    with tempfile.TemporaryDirectory(prefix="moretta-bench-") as name:
        async with (
            _Taker(Path(name) / "mails", lambda _mail: None) as server,
            _service(Path(name), server.port) as running,
        ):
            bus, process = running
            await _told(bus, {await _store(bus, 0)})  # after this, one-time work is done
            cpu_s = _cpu_s(process)
            began: dict[str, int] = {}
            for burst in range(bursts):
                at = time.time_ns()
                names = await asyncio.gather(*(_store(bus, 1 + burst * BURST + n) for n in range(BURST)))
                began |= dict.fromkeys(names, at)
                await asyncio.sleep(max(0.0, 1.0 - (time.time_ns() - at) / 1e9))
            accepted = await _told(bus, set(began))
            seconds = [(accepted[alert] - at) / 1e9 for alert, at in began.items()]
            return Told(seconds, 1e3 * (_cpu_s(process) - cpu_s) / len(seconds))


def _cpu_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


async def _store(bus: Bus, number: int) -> str:
    """Store an alert of a separate rule; return its name."""
    now, name = time.time_ns(), f"{number:016x}"
    alert = AlertV1(
        site="bench",
        zone="hall",
        rule=f"r{number}",
        profile="alerting",
        alert=name,
        state="firing",
        severity="warning",
        since=now,
        start=now,
        end=now,
        rate=0.6,
        interval=(0.5, 0.7),
        persons=100,
        coverage=1.0,
        fire_below=0.7,
        clear_above=0.8,
    )
    await bus.store(ALERTS, alert)
    return name


async def _told(bus: Bus, alerts: set[str]) -> dict[str, int]:
    """Wait until the mails of all alerts are accepted; return the time of each acceptance, ns."""
    async with asyncio.timeout(_LIMIT_S):
        while True:
            records = [cast("DeliveryV1", stored.message) for stored in await bus.history(DELIVERIES)]
            accepted = {record.alert: record.at for record in records if record.outcome == "sent"}
            if alerts <= accepted.keys():
                return accepted
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def _service(folder: Path, smtp_port: int) -> AsyncIterator[tuple[Bus, psutil.Process]]:
    """Run a server and the service on it; yield a connection, and the service's process."""
    config, file, programs = folder / "nats.conf", folder / "settings.yaml", []
    jetstream = {"store_dir": str(folder), "max_memory_store": 1 << 30, "max_file_store": 1 << 30}
    config.write_text(json.dumps({"listen": "127.0.0.1:-1", "ports_file_dir": str(folder), "jetstream": jetstream}))
    programs.append(await start_program(nats_server(), "-c", str(config), more=SERVER))
    try:
        url = await server_url(folder)
        file.write_text(yaml.safe_dump(_settings(url, smtp_port)))
        bus = await Bus.connect(NatsSettings(url=url), "bench")
        await bus.ensure_streams(["ALERTS", "DELIVERIES"])
        command = (sys.executable, "-P", "-m", "services.notify", "-c", str(file))
        programs.append(await start_program(*command, more=MALLOC))
        try:
            yield bus, psutil.Process(programs[-1].pid)
        finally:
            await bus.close()
    finally:
        for program in reversed(programs):
            with contextlib.suppress(ProcessLookupError):
                program.kill()
            await program.wait()


def _settings(url: str, smtp_port: int) -> dict[str, Any]:
    return {
        "nats": {"url": url},
        "probes": {"port": 0},
        "log": {"level": "error"},
        "sites": [{"id": "bench"}],
        "notify": {
            "smtp": {"port": smtp_port, "security": "none", "sender": "alerts@example.org"},
            "receivers": [{"id": "staff", "email": ["anna@example.org"], "max_per_hour": 3600}],
            "routes": [{"receiver": "staff", "group_by": ["zone", "rule"], "group_wait_s": 0}],
            "salt": "0123456789abcdef",
        },
    }


def row(rounds: list[Told]) -> Row:
    """Return the row of the capacity table: the 99th percentile of each round."""
    worst, cpu_ms = max(max(each.seconds) for each in rounds), median(each.cpu_ms for each in rounds)
    note = f"{len(rounds[0].seconds)} alerts a round, one mail each; the slowest took {worst:.2f} s"
    note += f"; {cpu_ms:.1f} ms of notify's processor time an alert"
    return at_most(_NAME, 2.0, [quantiles(each.seconds, n=100)[98] for each in rounds], " s", note)


def run(
    bursts: Annotated[int, typer.Option(min=1, max=60, help="bursts of 50 alerts, one a second")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="the median of so many counts")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Measure how long it takes from an alert to its mail."""
    configure("bench", LogSettings(level="error"))
    found = row([uvloop.run(told(bursts)) for _ in range(rounds)])
    if as_json:
        print(json.dumps({"name": found.name, "runs": found.runs, "met": found.met}))
        return
    print(f"{found.name}: {found.measured} ({found.target}, {found.verdict}); {found.note}")


if __name__ == "__main__":
    typer.run(run)
