"""Where the recipes of docs/recipes are tried: a server with identities and streams, and what is published there."""

import json
import re
import time
from pathlib import Path
from typing import Any

import messages
from messages import HOUR, MINUTE
from patience import patient, until
from site_process import Site
from windows import hidden, window

from proto.public import AlertV1, WindowV1
from proto.subjects import STREAMS, WINDOWS
from services.aggregate.mirrors.keeper import Mirrors

PYTHON = "venv/bin/python"
TODAY = time.time_ns() // HOUR * HOUR
_WEBSOCKET = re.compile(r"Listening for websocket clients on ws://127\.0\.0\.1:(\d+)")


class Place(Site):
    """A server with identities, streams and a door for browsers, whose port stays."""

    origins: tuple[str, ...] = ()
    """The pages that may come; empty: all."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, extend=self._with_door)
        self.server.make()
        self.server.start()

    async def mirrored(self) -> None:
        """Make the readers' streams, as aggregate does."""
        async with self.bus("aggregate") as bus:
            await bus.ensure_streams(stream.name for stream in STREAMS)
            await Mirrors(bus).turn()

    @property
    def door(self) -> int:
        return int((_WEBSOCKET.findall("".join(self.server.output)) or [-1])[0])

    def _with_door(self, text: str) -> str:
        door: dict[str, Any] = {"listen": f"127.0.0.1:{self.door}", "no_tls": True}
        if self.origins:
            door["allowed_origins"] = list(self.origins)
        return json.dumps(json.loads(text) | {"websocket": door})


def environment(site: Site) -> dict[str, str]:
    """What a recipe is told of a place."""
    return {"NATS_URL": site.server.url, "NATS_NKEY": str(site.identities.folder / "subscriber.nk")}


def restart(site: Site, **changes: Any) -> None:
    """Start the server anew with other settings."""
    site.server.stop()
    vars(site).update(changes)
    site.server.start()


async def store(site: Site, *messages: Any, row: Any = WINDOWS) -> None:
    """Publish as aggregate does."""
    async with site.bus("aggregate") as bus:
        for one in messages:
            await bus.store(row, one)


async def acknowledged(site: Site) -> None:
    """Wait until no consumer of the readers' windows lacks an acknowledgement: what was printed is not sent again."""
    async with site.bus("subscriber") as bus:

        async def none_lacks() -> bool:
            answer = json.loads(await bus.ask("$JS.API.CONSUMER.LIST.WINDOWS", timeout=patient(5)))
            return not any(one["num_pending"] or one["num_ack_pending"] for one in answer["consumers"])

        await until(none_lacks, "all acknowledged")


def some(name: str) -> list[WindowV1]:
    """Windows of two zones of a site, one not shown."""
    return [
        window(TODAY, site=name), window(TODAY, site=name, zone="fish", masked=3),
        hidden(TODAY + 20 * MINUTE, site=name, zone="fish"), window(TODAY + 20 * MINUTE, site=name, masked=5),
    ]  # fmt: skip


def alert(name: str, **changes: Any) -> AlertV1:
    """An alert of a site that fires."""
    usual: dict[str, Any] = {
        "rule": "low", "since": TODAY, "start": TODAY, "end": TODAY + 20 * MINUTE, "rate": 0.4, "interval": (0.3, 0.5),
        "persons": 80, "coverage": 1.0, "fire_below": 0.5, "clear_above": 0.6,
    }  # fmt: skip
    return messages.alert(site=name, **usual | changes)


def in_each_language(name: str) -> list[str]:
    """The commands of a recipe in Python, Node.js and Go."""
    return [f"{PYTHON} {name}.py", f"node {name}.mjs", f"./{name}"]


def name_of(command: str) -> str:
    """A test's name for a command: its file."""
    return re.sub(r"\W", "-", next(one for one in reversed(command.split()) if "." in one)).strip("-")
